"""A plan whose steps run on machines without a common disk says what a plan on one machine says."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.domain.documents import read_document
from engine.policy import Policy
from engine.policy.expressions.paths import compile_path
from engine.preview.planning.answer import answer_of
from engine.preview.planning.lines import UnreadableEvents
from engine.preview.planning.run import planned
from engine.preview.planning.work import Wish
from tests.planning.test_planning import EDITS, NOW, policy, written
from tests.support.apart import plan_apart, plan_apart_of
from tests.support.events import rendered
from tests.support.kept_plans import Books, plan_of
from tests.support.planning import made_lines, text_of

GROUPS = (("kind", compile_path('"detail-type"')), ("seconds", compile_path("detail.seconds")))


def on_one_machine(paths: list[Path], now: Policy, then: Policy) -> str:
    """Return the answer of a plan on one machine."""
    wish = Wish(tuple(paths), now, then, groups=GROUPS)
    with planned(wish) as outcome:
        return text_of(answer_of(wish, outcome))


@pytest.mark.parametrize("edit", EDITS)
def test_a_file_of_all_that_can_come_gives_the_answer_of_one_machine(tmp_path: Path, edit: str) -> None:
    """To the byte, though no step sees another's disk and nothing keeps its order on the way."""
    path, then = written(tmp_path, made_lines(len(edit), 60)), policy(*EDITS[edit])

    assert on_one_machine([path], NOW, then) == plan_apart([path], NOW, then, groups=GROUPS)


def test_without_events_the_answer_is_that_of_one_machine(tmp_path: Path) -> None:
    """Partitions may be empty: of a small file most are."""
    path = written(tmp_path, [b"\n"])

    assert on_one_machine([path], NOW, NOW) == plan_apart([path], NOW, NOW, groups=GROUPS)


@pytest.mark.parametrize(
    ("line", "edit", "said"),
    [
        (b"nonsense\n", [], "is not JSON"),
        (b"[1]\n", [], "is a JSON list"),
        (json.dumps(rendered("j-1")).encode(), [("detail.seconds,", "row.seconds,")], "event .*there is no row of job"),
    ],
)
def test_the_first_line_that_cannot_be_planned_is_named(tmp_path: Path, line: bytes, edit: Any, said: str) -> None:
    """It is told once all have run, and not tried again as an engine does with errors."""
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    first.write_bytes(b"\n\n" + line)
    second.write_bytes(b"{\n")

    with pytest.raises(UnreadableEvents, match=f"^{first}: line 3: {said}"):
        plan_apart([first, second], NOW, policy(*edit))


@pytest.mark.parametrize("edit", ["another price", "no price for others", "another refund, within an hour"])
def test_what_a_ledger_keeps_is_planned_as_on_one_machine(tmp_path: Path, edit: str) -> None:
    """In every figure; of jobs that differ by the same amount, partitions decide which comes first."""
    books = Books(NOW).tell(*map(read_document, made_lines(3, 150)))
    then = policy(*EDITS[edit])

    apart, here = plan_apart_of(books.entries(), NOW, then, tmp_path), plan_of(books.material(), NOW, then)

    assert here["differences"] or here["leftOut"]
    for answer in (apart, here):
        answer["differences"].sort(key=lambda row: (abs(Decimal(row["by"])), row["reference"]))
    assert here == apart
