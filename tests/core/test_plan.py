"""What an edit would do, before it is made."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.preview.changes import changes
from tests.support.events import event, failed, rendered
from tests.support.planned_by_engine import Difference, plan
from tests.support.policies import example, example_text

EVENTS = [rendered("j-1", seconds=8), rendered("j-2", seconds=8, model="premium"), failed("j-2"), rendered("j-3", seconds=500)]


def test_an_edit_of_prices_and_refunds_is_shown_in_credits() -> None:
    """Worked out by hand: 0.10 -> 0.20 a second, and half comes back instead of all."""
    result = plan(EVENTS, example(), example(('"0.10"', '"0.20"'), ("percent: 100", "percent: 50")))

    assert {
        "debit": (Decimal("-52.8"), Decimal("-103.6")),  # 0.8 + 2 + 50; 1.6 + 2 + 100
        "refund": (Decimal(2), Decimal(1)),
        "net": (Decimal("-50.8"), Decimal("-102.6")),
    } == dict(result.sums)
    assert (
        Difference("job#j-3", "u-1", Decimal(-50), Decimal(-100)),
        Difference("job#j-2", "u-1", Decimal(0), Decimal(-1)),
        Difference("job#j-1", "u-1", Decimal("-0.8"), Decimal("-1.6")),
    ) == result.differences
    assert {"costs-over-50": (0, 1), "longer-than-5-minutes": (1, 1)} == dict(result.anomalies)
    assert 4 == result.events


def test_an_edit_that_does_nothing_says_so() -> None:
    """The same policy, or one with another comment."""
    result = plan(EVENTS, example(), example(("version: 1", "version: 1  # edited")))

    assert ((), (), ()) == (result.changes, result.differences, result.refused)


def test_events_that_would_be_refused_are_named() -> None:
    """A price that begins too late, say."""
    result = plan(EVENTS, example(), example(("2025-01-01T00:00:00Z", "2026-02-01T00:00:00Z")))

    assert 3 == len(result.refused)
    assert "rule debit-rendered, field time: is before the first price of render-second (2026-02-01)" in result.refused[0]
    assert {("debited", "error"): 3, ("refunded", "voided"): 1} == dict(result.outcomes)


def test_events_that_would_be_ignored_are_counted() -> None:
    """A rule that no longer matches."""
    result = plan(
        EVENTS, example(), example(("detail-type: [video.failed]", "detail-type: [video.failed], detail: {never: [there]}"))
    )

    assert {("debited", "debited"): 3, ("refunded", "ignored"): 1} == dict(result.outcomes)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([('"0.10"', '"0.20"')], ["price render-second from 2025-01-01T00:00:00Z: default 0.10 -> 0.20"]),
        (
            [('{default: "0.10"', '{default: [{up_to: 60, rate: "0.10"}, {rate: "0.08"}], extra: 1')],
            ["price render-second from 2025-01-01T00:00:00Z: default 0.10 -> 0.10 up to 60 then 0.08, extra none -> 1"],
        ),
        (
            [("effective: 2026-07-01", "effective: 2026-08-01")],
            [
                "price render-second from 2026-07-01T00:00:00Z is gone",
                "price render-second from 2026-08-01T00:00:00Z is new",
            ],
        ),
        ([("percent: 100", "percent: 50")], ["rule refund-failed: `refund` differs"]),
        ([('maximum: "500"', 'maximum: "400"')], ["rule debit-rendered: `charge or grant` differs"]),
        ([("name: refund-failed", "name: refund-all")], ["rule refund-failed is gone", "rule refund-all is new"]),
        ([('numeric: [">", 300]', 'numeric: [">", 200]')], ["anomaly longer-than-5-minutes: `match` differs"]),
        ([("overdraft: flag", "overdraft: refuse")], ["setting overdraft: flag -> refuse"]),
        ([("places: 4", "places: 2")], ["setting money: `places` differs"]),
        ([("video.failed, time: updatedAt", "video.failed, time: endedAt")],
         ["catch-up to video.generation video.failed: `time` differs"]),
    ],
)  # fmt: skip
def test_what_was_edited_is_said_in_words(edits: list[tuple[str, str]], said: list[str]) -> None:
    """Part by part, with the figures of prices."""
    assert said == list(changes(example(), example(*edits)))


def test_rules_in_another_order_are_a_change() -> None:
    """The first that matches decides."""
    text = example_text()
    start, end = text.index("  - name: refund-failed"), text.index("  - name: flag-test-renders")
    swapped = text[:start] + text[end : text.index("overdraft")] + text[start:end] + text[text.index("overdraft") :]

    assert ["rules are in another order"] == list(changes(example(), example((text, swapped))))


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return the policy, an edited one, and a packed file of events."""
    policy, edited, events = tmp_path / "policy.yaml", tmp_path / "edited.yaml", tmp_path / "events.jsonl.gz"
    policy.write_text(example_text())
    edited.write_text(example_text(("percent: 100", "percent: 50")))
    events.write_bytes(gzip.compress("\n".join(map(json.dumps, EVENTS)).encode()))
    return [policy, edited, events]


def run(*arguments: Any) -> Any:
    """Run the command."""
    return CliRunner().invoke(app, ["plan", *map(str, arguments)], env={"COLUMNS": "200"})


def test_the_command_shows_what_differs_and_the_largest_of_it(files: list[Path]) -> None:
    """In words and credits."""
    policy, edited, events = files

    result = run(edited, "--policy", policy, "--events", events, "--top", 1)

    assert 0 == result.exit_code
    assert "edited: rule refund-failed: `refund` differs" in result.stdout
    assert "refund: 2.0000 -> 1.0000 (-1.0000)" in result.stdout
    assert "1 jobs and grants would differ; the largest 1:" in result.stdout
    assert "job#j-2" in result.stdout
    assert "past charges keep their price" in result.stdout


def test_the_command_speaks_json(files: list[Path]) -> None:
    """Exact amounts, for a check in a pull request."""
    policy, edited, events = files

    answer = json.loads(run(edited, "--policy", policy, "--events", events, "--json").stdout)

    assert [
        {"reference": "job#j-2", "user": "u-1", "now": "0.0000", "then": "-1.0000", "by": "-1.0000"},
    ] == answer["differences"]


def test_the_command_fails_where_events_would_be_refused(files: list[Path]) -> None:
    """So that a pull request is stopped."""
    policy, edited, events = files
    edited.write_text(example_text(("quantity: detail.seconds", "quantity: detail.length")))

    result = run(edited, "--policy", policy, "--events", events)

    assert 1 == result.exit_code
    assert "field detail.length: is missing; a finite number >= 0 is needed" in result.stdout


def test_events_of_other_kinds_play_no_part() -> None:
    """They are ignored by both."""
    result = plan([event("video.queued", {"jobId": "j-1", "userId": "u-1"})], example(), example(('"0.10"', '"0.20"')))

    assert {("ignored", "ignored"): 1} == dict(result.outcomes)
    assert {"net": (Decimal(0), Decimal(0))} == dict(result.sums)
