"""A scheduled run in steps, as the state machine takes them: begin, every segment bit by bit, finish."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import engine.reconcile.scheduled
import handler
from engine.domain.errors import EventError, LedgerRefused
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import NoAnswerError
from engine.reconcile.catch_up import SharedAllowance
from tests.support.events import rendered
from tests.support.invocations import Context
from tests.support.world import World

pytestmark = pytest.mark.local_aws

BEGIN = {"begin": "run-1", "time": "2026-01-05T18:00:00.123Z"}


def step(event: dict[str, Any]) -> dict[str, Any]:
    """Invoke the function with what a step of the state machine sends: JSON."""
    answer: dict[str, Any] = json.loads(json.dumps(handler.lambda_handler(json.loads(json.dumps(event)), Context())))
    return answer


def segment(part: dict[str, Any]) -> dict[str, Any]:
    """Do one segment, as the state machine's inner loop does."""
    while part["slices"] and not part.get("capped"):
        part = step(part)
    return part


def run(name: str = "run-1", at_once: int = 1) -> dict[str, Any]:
    """Do a whole run."""
    begun = step({**BEGIN, "begin": name})
    with ThreadPoolExecutor(at_once) as pool:
        return step({"parts": list(pool.map(segment, begun["parts"]))})


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small table have four segments, as a large one has."""
    monkeypatch.setattr(engine.reconcile.scheduled, "SEGMENT_BYTES", 1)
    monkeypatch.setattr(engine.reconcile.scheduled, "SEGMENTS_MAX", 4)


def test_a_run_catches_up_and_checks_the_books_and_then_has_nothing_to_do(world: World) -> None:
    """The same as in one invocation; a small table is one segment."""
    for number in range(20):
        world.job(f"j-{number}", status="completed" if number % 4 else "failed")

    begun = step(BEGIN)
    first, second = run(), run("run-2")

    assert [{"run": "run-1", "slices": [{"segment": 0, "segments": 1, "after": None, "started": None}]}] == begun["parts"]
    assert ({"debited": 15, "voided": 5}, 20, 0) == (first["outcomes"], first["adjustments"], first["unfinished"])
    assert {"users": 1, "entries": 20, "drifts": [], "faults": [], "busy": []}.items() <= first["audit"].items()
    assert 0 == second["adjustments"]


def test_a_run_in_which_every_row_failed_is_no_success(world: World) -> None:
    """Nor is it one of nothing: a row that is fine makes it one, and so does no row at all."""
    assert not run("run-0")["allFailed"]
    world.job("j-1", seconds="eight")
    world.job("j-2", seconds="nine")
    assert {"allFailed": True, "rows": 2, "errors": 2}.items() <= run().items()
    world.job("j-3")
    assert {"allFailed": False, "rows": 3, "errors": 2}.items() <= run("run-2").items()
    assert run("run-3")["allFailed"]


def test_a_run_says_how_many_segments_are_read_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a number: the state machine takes nothing else. Four, where nobody says."""
    assert 4 == step(BEGIN)["atOnce"]

    monkeypatch.setenv("SCANS_AT_ONCE", "9")
    assert 9 == step(BEGIN)["atOnce"]


@pytest.mark.usefixtures("small_segments")
def test_segments_at_work_at_once_post_each_job_once(world: World) -> None:
    """All of them, and the counts of their bits add up."""
    for number in range(60):
        world.job(f"j-{number}")

    done = run(at_once=4)

    assert (60, {"debited": 60}, False, 0) == (done["rows"], done["outcomes"], done["capped"], done["unfinished"])
    assert all(1 == len(world.entries(f"j-{number}")) for number in range(60))


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("cap", [1, 7, 30])
def test_segments_at_work_at_once_post_no_more_than_a_run_may(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    cap: int,
) -> None:
    """Not one more, and not many less: each may hold one that it needs no more. What an event has charged does not count."""
    monkeypatch.setenv("ADJUSTMENTS_CAP", str(cap))
    world.deliver(rendered("j-known"))
    world.job("j-known")
    for number in range(60):
        world.job(f"j-{number}")

    first, second = run("run-1", at_once=4), run("run-2", at_once=4)

    assert (True, 0) == (first["capped"], first["unfinished"])
    assert all(cap - 4 <= done["adjustments"] <= cap for done in (first, second))
    assert 1 + first["adjustments"] + second["adjustments"] == second["audit"]["entries"]


@pytest.mark.parametrize("seconds", [0.02, 0.0])
def test_an_invocation_of_a_run_ends_after_a_second_and_the_next_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Just behind the last row; where one page takes longer than the second, each has some rows all the same."""
    monkeypatch.setattr(engine.reconcile.scheduled, "WORK_SECONDS", seconds)
    for number in range(60):
        world.job(f"j-{number}")
    (part,) = step(BEGIN)["parts"]

    bits = [part]
    while bits[-1]["slices"] and len(bits) < 60:
        bits.append(step(bits[-1]))

    assert len(bits) > 3
    assert [] == bits[-1]["slices"], "an invocation has not moved on"
    assert 60 == bits[-1]["adjustments"]
    assert sorted(bit.get("adjustments", 0) for bit in bits) == [bit.get("adjustments", 0) for bit in bits]


def test_a_run_is_over_when_another_begins(world: World) -> None:
    """Two at once would read everything twice; whoever comes late is told so."""
    world.job("j-1")
    (part,) = step(BEGIN)["parts"]
    step({**BEGIN, "begin": "run-2"})

    with pytest.raises(LedgerRefused, match="run run-1 of the scan is over"):
        step(part)
    assert [] == world.entries("j-1")


def test_a_segment_that_was_given_up_is_counted_and_handed_on(world: World) -> None:
    """The others count, the books are checked, and the state machine takes up just that one again."""
    slices = [{"segment": 1, "segments": 2}]
    lost = {"run": "run-1", "slices": slices, "rows": 1, "errors": 1}
    capped = {**lost, "rows": 3, "errors": 0, "outcomes": {"debited": 3}, "capped": True}

    done = step({"parts": [lost, {"run": "run-1", "slices": slices}, capped, {**capped, "slices": [], "capped": False}]})

    first, second = done["leftOver"]
    assert (2, True, 6) == (done["unfinished"], done["capped"], done["adjustments"])
    assert {"run": "run-1", "slices": slices, "rows": 7, "errors": 1, "capped": False}.items() <= first.items()
    assert {"run": "run-1", "slices": slices} == second
    assert [] == done["audit"]["drifts"]


def test_what_is_counted_after_a_second_try_is_the_whole_run(world: World) -> None:
    """What was done before the segment was given up counts, each row once."""
    for number in range(3):
        world.job(f"j-{number}")
    (part,) = step(BEGIN)["parts"]
    before = {**part, "rows": 4, "errors": 4, "outcomes": {}}

    done = step({"again": [segment(again) for again in step({"parts": [before]})["leftOver"]]})

    assert {"rows": 7, "errors": 4, "adjustments": 3, "slices": [], "allFailed": False}.items() <= done.items()


@pytest.mark.parametrize(
    ("before", "then", "all_failed"),
    [
        ((0, 0), (2, 2), True),
        ((1, 1), (2, 2), True),
        ((1, 0), (2, 2), False),
        ((1, 1), (2, 1), False),
        ((0, 0), (0, 0), False),
    ],
)
def test_a_run_in_which_every_row_failed_is_none_after_a_second_try_either(
    world: World,
    before: tuple[int, int],
    then: tuple[int, int],
    all_failed: bool,  # noqa: FBT001
) -> None:
    """Rows and errors of a part that was done, and of one that was given up and done again."""
    done = {"run": "run-1", "slices": [], "rows": before[0], "errors": before[1]}
    lost = {"run": "run-1", "slices": [{"segment": 1, "segments": 2}]}

    (again,) = step({"parts": [lost, done]})["leftOver"]
    counted = {**again, "slices": [], "rows": again["rows"] + then[0], "errors": again["errors"] + then[1]}

    assert all_failed is step({"again": [counted]})["allFailed"]


@pytest.mark.parametrize("counts", [{"rows": "many"}, {"outcomes": [1]}, {"outcomes": {"debited": None}}])
def test_counts_that_are_none_are_refused(world: World, counts: dict[str, Any]) -> None:
    """Nothing is scanned on a guess."""
    (part,) = step(BEGIN)["parts"]

    with pytest.raises(EventError, match="these counts are none"):
        step({**part, **counts})


def test_what_is_taken_and_given_back_adds_up_under_threads(world: World) -> None:
    """However many take at once: together they never get more than there is, and what is given back can be had again."""
    ledger = DynamoStore(world.client, world.tables, world.clock)
    ledger.begin_run("run-1", 100, world.deadline())

    def take_some(_worker: int) -> int:
        allowance = SharedAllowance(ledger, "run-1", world.deadline())
        kept = 0
        for _ in range(12):
            taken = allowance.take(5)
            allowance.give_back(spare := taken // 2)
            kept += taken - spare
        return kept

    with ThreadPoolExecutor(8) as pool:
        kept = sum(pool.map(take_some, range(8)))

    assert 90 <= kept <= 100
    assert 100 - kept == ledger.run_left("run-1", world.deadline())


def test_an_answer_that_was_lost_lets_a_run_post_less_and_never_more(world: World) -> None:
    """Taking is done twice then, giving back once."""
    ledger = DynamoStore(world.client, world.tables, world.clock)
    ledger.begin_run("run-1", 100, world.deadline())
    losing = DynamoStore(LosesFirstAnswers(world.client), world.tables, world.clock)  # type: ignore[arg-type]

    taken = SharedAllowance(losing, "run-1", world.deadline()).take(6)
    assert (6, 88) == (taken, ledger.run_left("run-1", world.deadline()))

    losing.give_back_to_run("run-1", 6, world.deadline())
    assert 94 == ledger.run_left("run-1", world.deadline())


class LosesFirstAnswers:
    """A client that carries out the first call of each operation and loses its answer."""

    def __init__(self, client: Any) -> None:
        self.client, self.lost = client, set[str]()

    def __getattr__(self, operation: str) -> Any:
        def send(**request: Any) -> Any:
            answer = getattr(self.client, operation)(**request)
            if operation in {"update_item", "transact_write_items"} and operation not in self.lost:
                self.lost.add(operation)
                raise NoAnswerError("lost")
            return answer

        return send


@pytest.mark.usefixtures("small_segments")
def test_a_segment_that_was_given_up_is_taken_up_where_it_stood(world: World) -> None:
    """Three of four did their work; after the fourth every job is charged, each once."""
    for number in range(60):
        world.job(f"j-{number}")
    lost, *others = step(BEGIN)["parts"]

    done = step({"parts": [lost, *map(segment, others)]})
    (again,) = map(segment, done["leftOver"])

    assert 0 < done["adjustments"] < 60, "the fourth had nothing to do, or all of it"
    assert 60 == again["adjustments"] == step({"again": [again]})["adjustments"]
    assert all(1 == len(world.entries(f"j-{number}")) for number in range(60))
