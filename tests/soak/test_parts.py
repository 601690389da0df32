"""The parts of the soak one by one: what comes back, runs in steps, processes that are killed."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.ledger.dynamodb.wire import ServiceError
from tests.soak.crew import Crew, Weight, Worker, slope
from tests.soak.figures import COLUMNS, HEAD, Figures, growth, memory
from tests.soak.post import RECEIVES_MAX, Batch, Direct, Explain, Message, Post
from tests.soak.runs import CLOSING_SECONDS, Run, Runs, Step
from tests.soak.worker import Seen, kinds_of

# --- what comes back ---


def post() -> Post:
    """Return a post in which everything is due at once."""
    return Post(Random(1), seconds=15, is_calm=True)


@pytest.mark.parametrize(("receives_max", "letters", "waiting"), [(RECEIVES_MAX - 1, 0, 1), (RECEIVES_MAX, 1, 0)])
def test_a_message_whose_process_died_comes_back_until_the_queue_gives_it_up(
    receives_max: int, letters: int, waiting: int
) -> None:
    """With one receive more each time; the fifth is the last."""
    it = post()
    it.messages.append(Message("m-1", {"id": "e-1"}))
    for receives in range(1, receives_max + 1):
        batch = it.next()
        assert isinstance(batch, Batch)
        assert [receives] == [message.receives for message in batch.messages]
        batch.done(None)
        it.due()

    assert ([{"id": "e-1"}] * letters, waiting) == (it.letters, len(it.messages))


def test_of_a_batch_only_what_failed_comes_back() -> None:
    """As SQS does with a partial answer."""
    it = post()
    batch = Batch(it, [Message("m-1", {}, 1), Message("m-2", {}, 1)])
    batch.done({"answer": {"batchItemFailures": [{"itemIdentifier": "m-2"}]}})
    it.due()

    assert ["m-2"] == [message.name for message in it.messages]


def test_lambda_tries_a_direct_event_three_times() -> None:
    """Whether the function raised or its process died; then it is a dead letter."""
    it = post()
    it.direct.append(({"id": "e-1"}, 0))
    for said in (None, {"error": "EventError"}, {"error": "LedgerUnavailable"}):
        direct = it.next()
        assert isinstance(direct, Direct)
        direct.done(said)
        it.due()

    assert ([{"id": "e-1"}], True) == (it.letters, it.is_idle)


def test_a_direct_event_that_has_an_answer_is_done() -> None:
    """It comes no second time."""
    it = post()
    it.direct.append(({"id": "e-1"}, 0))
    direct = it.next()
    assert isinstance(direct, Direct)
    direct.done({"answer": {"outcome": "debited"}})

    assert ([], True) == (it.letters, it.is_idle)


def test_entries_to_explain_come_again_until_they_are_explained() -> None:
    """And those that are count as such: the soak looks whether they have their words."""
    it = post()
    it.flag([("job#j-1", 1)])
    for said in (None, {"answer": {"failed": 1}}, {"answer": {"failed": 0}}):
        task = it.next()
        assert isinstance(task, Explain)
        task.done(said)
        it.due()

    assert ({("job#j-1", 1)}, True) == (it.explained, it.is_idle)


# --- scheduled runs ---


def runs() -> Runs:
    """Return runs of which none begins by itself."""
    return Runs(Random(1), seconds=15, pause=8, is_calm=True)


def answered(it: Runs, said: dict[str, Any] | None) -> dict[str, Any]:
    """Let the next step have an answer, and return its event."""
    step = it.next(may_close=True)
    assert isinstance(step, Step)
    step.done(said)
    return step.event


def test_a_run_goes_on_where_its_step_died_and_ends_with_its_parts() -> None:
    """Begin, two parts of which one is left over and one dies, the end."""
    it = runs()
    it.begin(is_whole=False)
    first, second, left = ({"run": "run-0", "slices": [{"segment": number}], "capped": False} for number in range(3))
    done = {"run": "run-0", "slices": [], "capped": False, "rows": 3}
    answered(it, None)
    assert "begin" in answered(it, {"answer": {"parts": [first, second]}})
    assert first == answered(it, {"answer": left})
    assert second == answered(it, None)
    assert left == answered(it, {"answer": done})
    assert second == answered(it, {"answer": done})

    assert [done, done] == answered(it, {"answer": {"leftOver": [], "audit": {"drifts": []}}})["parts"]
    assert (True, 1, 1, 2) == (it.is_idle, *(it.count[name] for name in ("runs done", "audits done", "steps that came again")))


def test_what_reads_the_whole_ledger_has_its_own_time_and_is_not_for_everybody() -> None:
    """The process whose memory is to stay as it is takes no such step."""
    it = runs()
    it.runs.append(Run("run-0", [({"parts": []}, 0)]))

    assert it.next(may_close=False) is None
    step = it.next(may_close=True)
    assert isinstance(step, Step)
    assert CLOSING_SECONDS == step.line()["seconds"]


def test_a_run_that_another_has_overtaken_is_over_and_an_alarm_of_an_audit_is_told() -> None:
    """A run that began later is the only one; an audit beside writers must not cry wolf."""
    it = runs()
    it.begin(is_whole=False)
    answered(it, {"error": "LedgerRefused"})
    it.audited({"audit": {"drifts": ["u-1"], "faults": [], "seal": {"cameOrWent": -1, "number": 2}}})

    assert (1, True) == (it.count["runs overtaken"], it.is_idle)
    assert ["audit: drifts ['u-1']", "audit: -1 entries came or went behind the seals"] == it.alarms


# --- processes ---


def test_a_killed_process_gives_its_task_back_and_another_takes_its_place(tmp_path: Path) -> None:
    """The real process: it answers what is no event by the function's own error, and is killed while it is at the next one."""
    nowhere = {
        "AWS_LAMBDA_FUNCTION_NAME": "soak",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "a",
    }
    environment = {**nowhere, "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    task = {"task": "invoke", "event": {"no": "event"}, "seconds": 5}
    with Crew(1, 0, lambda: environment, tmp_path, 60, Random(1)) as crew:
        worker = crew.workers[0]
        crew.give(worker, "first", task)
        replies: list[Any] = []
        while not replies:
            replies = crew.replies(1)
        crew.give(worker, "second", task)
        before = worker.process.pid

        assert ("first", "EventError") == (replies[0][1], replies[0][2]["error"])
        assert {"error EventError event": 1} == {name: many for name, many in replies[0][2]["count"].items() if many}
        assert "second" == crew.kill(worker)
        assert (1, 1, 0) == tuple(crew.count[name] for name in ("kills", "in a task", "in a transaction"))
        assert before != worker.process.pid
        assert worker.task is None


def test_lines_of_the_log_are_counted_however_they_are_cut() -> None:
    """What was posted, what was decided again, what is flagged, what failed."""
    seen = Seen()
    line = (
        '{"message":"reconciled","outcome":"debited","attempts":3,"sequence":2,"anomalies":["dear"],"reference":"job#j-1"}\n'
    )
    failures = (
        '{"message":"failed","error":"EventError","field":"time"}\n{"message":"failed","error":"TimeIsUp","field":null}\n'
    )
    for part in (line[:30], line[30:] + line[:5], line[5:], failures):
        seen.write(part)

    assert {
        "outcome debited": 2,
        "decided again": 4,
        "entries": 2,
        "error EventError time": 1,
        "error TimeIsUp": 1,
    } == seen.count
    assert [("job#j-1", 2)] * 2 == seen.emptied()["flagged"]
    assert Counter() == seen.count


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (
            ServiceError("TransactionCanceledException", "", 400, [{"Code": "None"}, {"Code": "TransactionConflict"}]),
            ["conflict"],
        ),
        (ServiceError("TransactionCanceledException", "", 400, [{"Code": "ConditionalCheckFailed"}] * 2), ["lost race"]),
        (ServiceError("TransactionConflictException", "", 400, []), ["conflict"]),
        (ServiceError("ConditionalCheckFailedException", "", 400, []), ["lost race"]),
        (ServiceError("ThrottlingException", "", 400, []), ["service ThrottlingException"]),
    ],
    ids=["conflict", "condition", "conflict of one", "condition of one", "throttle"],
)
def test_an_error_of_the_database_is_counted_by_its_reason(error: ServiceError, kinds: list[str]) -> None:
    """A conflict is another transaction on its way, a lost race a condition that no longer held."""
    assert kinds == list(kinds_of(error))


# --- figures ---


def weights(*sizes: float) -> list[Weight]:
    """Return a size for each minute."""
    return [Weight(60.0 * minute, size) for minute, size in enumerate(sizes)]


def test_growth_is_the_slope_of_the_best_line_after_the_first_fifth() -> None:
    """Eight minutes at half a megabyte each; what comes in the beginning is loading, and a peak is no slope."""
    leak = [30 + minute / 2 for minute in range(11)]

    assert (4.0, 8.0) == slope(weights(*leak))
    assert (0.0, 8.0) == slope(weights(5, 20, *[30.0] * 9))
    assert (0.0, 8.0) == slope(weights(*[30.0] * 6, 50, *[30.0] * 4))
    assert (0.0, 0.0) == slope([])


@pytest.mark.parametrize(
    ("place", "entries", "size", "wrong"),
    [(0, 10_000, 0.5, 0), (0, 10_000, 1.5, 1), (1, 10_000, 6.5, 0), (1, 1000, 6.5, 1), (5, 0, 9.0, 0)],
    ids=["flat", "grows", "holds the last day's entries", "holds more than those", "is killed now and then"],
)
def test_a_process_that_grows_fails_the_soak(place: int, entries: int, size: float, wrong: int) -> None:
    """In 8 minutes: 12 MB are too many for one that holds nothing, 52 for 1,000 entries; 10,000 may take 54 (8 + 32 + 14)."""
    worker = Worker(place, is_spared=place < 2, weights=weights(*(30 + size * minute for minute in range(11))))

    assert wrong == len(growth([worker], entries))


@pytest.mark.parametrize(("minutes", "is_judged"), [(0.2, False), (3, False), (4, True)])
def test_growth_of_the_first_minutes_is_no_leak(minutes: float, is_judged: bool) -> None:  # noqa: FBT001
    """Buffers fill then: 12 MB say nothing in a soak of three minutes, and the table says so; in one of four they do."""
    sizes = [Weight(60 * minutes * step / 10, 40 + 1.5 * step) for step in range(11)]
    worker = Worker(0, is_spared=True, weights=sizes)

    assert is_judged is bool(growth([worker], 10_000))
    assert is_judged is not any("not judged" in line for line in memory([worker], sizes))


def test_a_line_has_its_columns_below_their_names() -> None:
    """Eighty columns, also for large figures."""
    count = Counter({"outcome debited": 1_234_567, "entries": 987_654, "kills": 450, "lost race": 12_345})
    figures = Figures(count=count, told_at=time.monotonic() - 1800)

    assert 80 == len(HEAD) == len(figures.line([], 99.0)) == sum(COLUMNS.values())
    assert ["entries", "987654"] == [line[19:27].strip() for line in (HEAD, figures.line([], 0.0))]
