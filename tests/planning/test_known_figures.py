"""Plans whose figures are known beforehand: of no edit zero, of ten percent on one model a tenth of its seconds' price.

On the real trace and on very many made events as proofs (``EVENTS=1000000``: a million), on some hundreds of both each time.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from benchmarks.planning import made_events
from engine.policy import Policy, parse_policy
from engine.preview.planning.answer import answer_of
from engine.preview.planning.run import planned
from engine.preview.planning.work import Wish
from tests.real.test_production_trace import EVENTS, FLAT

BASE = FLAT.replace("rates: {", "by: detail.model, rates: {")
NOW, DEARER = 'default: "0.10"', 'default: "0.10", MODEL: "0.11"'
"""A tenth more a second for one model; the other rate stays."""


def policies(model: str) -> tuple[Policy, Policy]:
    """Return the policy, and the one under which a model costs ten percent more."""
    edited = BASE.replace(NOW, DEARER.replace("MODEL", json.dumps(model)))
    return parse_policy(BASE, "now.yaml"), parse_policy(edited, "then.yaml")


def real_lines() -> Iterator[str]:
    """Yield the events of the production trace; each job is told once."""
    with gzip.open(EVENTS, "rt") as file:
        yield from (line.rstrip("\n") for line in file)


def renders(lines: Iterable[str]) -> Iterator[str]:
    """Yield made events of which what they come to can be added up: each render once, and what makes no sense not at all."""
    seen = set()
    for line in lines:
        event = json.loads(line)
        job, seconds = event["detail"]["jobId"], event["detail"]["seconds"]
        if event["detail-type"] == "video.rendered" and isinstance(seconds, int) and job not in seen:
            seen.add(job)
            yield line


VERY_MANY = int(os.environ.get("EVENTS", "100000"))

SOURCES: dict[str, Callable[[], Iterable[str]]] = {
    "made events": lambda: renders(made_events(400)),
    "very many made events": lambda: renders(made_events(VERY_MANY)),
    "some of the trace": lambda: islice(real_lines(), 400),
    "the trace": real_lines,
}
REAL = pytest.mark.skipif(not EVENTS.exists(), reason=f"the production trace is not at {EVENTS}")

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(
    scope="module",
    params=[
        "made events",
        pytest.param("very many made events", marks=pytest.mark.proof),
        pytest.param("some of the trace", marks=REAL),
        pytest.param("the trace", marks=[REAL, pytest.mark.proof]),
    ],
)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of events."""
    return written(tmp_path_factory.mktemp("events") / "events.jsonl", SOURCES[request.param]())


def written(path: Path, lines: Iterable[str]) -> Path:
    """Return a file of lines."""
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def events_in(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a file."""
    with path.open("rb") as file:
        yield from map(json.loads, file)


def renders_in(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what renders say."""
    return (
        {**event["detail"], "day": event["time"][:10]} for event in events_in(path) if event["detail-type"] == "video.rendered"
    )


def answer(path: Path, now: Policy, then: Policy) -> dict[str, Any]:
    """Return the answer of a plan; what it would stream is in memory."""
    wish = Wish((path,), now, then)
    with planned(wish) as outcome:
        told = answer_of(wish, outcome)
        return {
            **told,
            "groups": {name: [*rows] for name, rows in told["groups"].items()},
            "differences": [*told["differences"]],
        }


def test_an_edit_of_nothing_comes_to_nothing(path: Path):
    """Zero in every table: no difference, no winner, no loser, and each row of each group is by 0."""
    now, _ = policies("none")

    told = answer(path, now, now)

    assert {Decimal(0)} == {Decimal(row["by"]) for rows in told["groups"].values() for row in rows}
    assert ("0.0000", [], [], 0, 0) == (
        *(told["net"]["by"], told["differences"], told["refused"], told["jobs"]["concerned"], told["users"]["concerned"]),
    )
    assert all(end["now"] == end["then"] for end in told["outcomes"])
    assert all(pair["now"] == pair["then"] for pair in told["credits"].values())
    assert told["events"] == sum(1 for _ in events_in(path))


def test_ten_percent_on_one_model_is_a_tenth_of_its_price_in_each_group(path: Path):
    """To the last digit, by model, user and day: 0.01 a second of what the busiest model has rendered."""
    (model, _), *_ = Counter(render["model"] for render in renders_in(path)).most_common(1)
    seconds = {"model": Counter[str](), "userId": Counter[str](), "day": Counter[str]()}
    for render in renders_in(path):
        for group, of_key in seconds.items():
            of_key[render[group]] += render["seconds"] if render["model"] == model else 0

    told = answer(path, *policies(model))

    for group, of_key in seconds.items():
        by = {row["key"]: row["by"] for row in told["groups"][group.removesuffix("Id")] if Decimal(row["by"])}
        assert {key: f"{total * Decimal('0.0100')}" for key, total in of_key.items() if total} == by != {}
    assert f"{seconds['model'][model] * Decimal('0.0100')}" == told["net"]["by"] == told["causes"]["prices"]
    assert {key for key, total in seconds["userId"].items() if total} == {each["user"] for each in told["differences"]}


def test_a_file_that_is_shuffled_and_doubled_gives_the_same_plan(path: Path, tmp_path: Path):
    """But for what is counted of events: each that comes twice is a duplicate, now and then."""
    doubled = path.read_text().splitlines() * 2
    random.Random(1).shuffle(doubled)  # noqa: S311  to be played again
    now, then = policies(next(renders_in(path))["model"])

    once, twice = answer(path, now, then), answer(written(tmp_path / "doubled.jsonl", doubled), now, then)

    assert 2 * once["events"] == twice["events"]
    for part in ("changes", "net", "causes", "credits", "jobs", "users", "groups", "newly", "refused"):
        assert once[part] == twice[part]
    assert sorted(map(str, once["differences"])) == sorted(map(str, twice["differences"])) != []
