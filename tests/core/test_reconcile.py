"""The conductor: what it asks of the ledger, in which order, and what it does with the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from engine.domain.decision import Guard, Outcome, Standing
from engine.domain.documents import read_document
from engine.domain.entry import Entry
from engine.domain.errors import EventError, LedgerUnavailable
from engine.domain.job_row import Mark
from engine.ledger.store import Receipt, ScanSlice, Verdict
from engine.reconcile.catch_up import scan
from engine.runtime.clock import Deadline
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tests.support.steps import Steps

QUEUED = event("video.queued", {"jobId": "test-1", "userId": "u-1"})


def row(job: str, **columns: Any) -> dict[str, Any]:
    """Return a row of Jobs."""
    completed = {"jobId": job, "userId": "u-1", "status": "completed", "seconds": 8, "model": "veo-3"}
    return {**completed, "updatedAt": "2026-01-05T10:00:00Z", "result_url": "s3://renders/x.mp4", **columns}


@pytest.mark.parametrize(
    ("before", "now", "calls"),
    [
        ([], [rendered()], ["post"]),
        ([], [failed()], ["read", "post"]),
        ([rendered()], [rendered()], ["post"]),
        ([rendered()], [failed()], ["read", "post"]),
        ([rendered(), failed()], [rendered()], ["post"]),
        ([rendered(), failed()], [failed()], ["read"]),
        ([rendered()], [rendered(at="12:00", seconds=9)], ["post", "read", "post"]),
        ([], [QUEUED], ["read", "post"]),
        ([], [event("video.queued", {"jobId": "j-1"})], []),
    ],
)
def test_each_course_costs_just_these_calls(before: list[dict[str, Any]], now: list[dict[str, Any]], calls: list[str]) -> None:
    """A first debit is one transaction without a read, and so is the answer to its duplicate."""
    steps = Steps(example())
    steps.ledger.rows["j-1"] = row("j-1")
    steps.deliver(*before)
    steps.ledger.calls.clear()

    steps.deliver(*now)

    assert calls == [call for call in steps.ledger.calls if call != "mark"]


def test_a_job_without_a_row_is_posted_without_a_mark_and_without_making_the_row() -> None:
    """The first attempt learns that there is no row; the second leaves the mark away."""
    steps = Steps(example())

    (report,) = steps.deliver(rendered())

    assert (Outcome.DEBITED, 2) == (report.outcome, report.attempts)
    assert {} == steps.ledger.rows


def test_an_event_marks_the_row_with_the_status_it_stands_for() -> None:
    """The catch-up of the policy, read backwards."""
    steps = Steps(example())
    steps.ledger.rows["j-1"] = row("j-1")

    steps.deliver(rendered())
    assert "completed" == steps.ledger.rows["j-1"]["reconciledStatus"]
    steps.deliver(failed())
    assert "failed" == steps.ledger.rows["j-1"]["reconciledStatus"]


def test_a_late_event_does_not_mark_over_a_later_fact() -> None:
    """The failure is the last word, whenever the render's event arrives."""
    steps = Steps(example())
    steps.ledger.rows["j-1"] = row("j-1", status="failed")

    steps.deliver(failed(), rendered())

    assert "failed" == steps.ledger.rows["j-1"]["reconciledStatus"]


def test_a_refused_charge_takes_the_mark_away() -> None:
    """So that every scan tries it again, until the balance covers it."""
    steps = Steps(example(("overdraft: flag", "overdraft: refuse")), balance="0")
    steps.ledger.rows["j-1"] = row("j-1", reconciled=True, reconciledStatus="completed")

    steps.deliver(rendered())
    assert steps.ledger.rows["j-1"]["reconciled"] is False
    assert {Outcome.REFUSED: 1} == steps.scan().outcomes
    steps.ledger.balances["u-1"] += 1
    assert {Outcome.DEBITED: 1} == steps.scan().outcomes
    assert {} == steps.scan().outcomes


def test_a_refused_charge_takes_the_mark_away_from_a_row_that_says_a_later_time() -> None:
    """The charge of a second try, whose row still tells how the first failed: nothing but that row can bring it back.

    The row takes no settled mark of so early an event. In a batch that
    knows the log already this is learned before it is known what the balance covers.
    """
    numbered = ("time: time}", "time: time, attempt: 'detail.attempt || row.attempt'}")
    steps = Steps(example(("overdraft: flag", "overdraft: refuse"), numbered), balance="0")
    steps.ledger.rows["j-1"] = row("j-1", status="failed", attempt=1, updatedAt="2026-01-05T11:00:00Z")
    assert {Outcome.VOIDED: 1} == steps.scan().outcomes

    assert [] == steps.batch(json.dumps(failed(at="11:30", attempt=1)), json.dumps(rendered(attempt=2)))

    assert (False, "failed#1") == tuple(steps.ledger.rows["j-1"][name] for name in ("reconciled", "reconciledStatus"))
    assert {Outcome.REFUSED: 1} == steps.scan().outcomes
    steps.ledger.balances["u-1"] += 1
    assert {Outcome.DEBITED: 1} == steps.scan().outcomes
    assert {} == steps.scan().outcomes


def test_others_writing_all_the_time_end_in_an_error_that_brings_the_event_back() -> None:
    """The time is used up, nothing is posted."""
    steps = Steps(example())

    def always_another_balance(_entry: Entry, guard: Guard, _mark: Mark | None, _deadline: Deadline) -> Receipt:
        seen = Standing.NOT_COVERED if guard is Guard.COVERED else Standing.ASSUMED_COVERED
        return Receipt(Verdict.STANDING_LEARNED, standing=seen)

    steps.reconciler = evolve(steps.reconciler, ledger=Contended(steps.ledger, always_another_balance))  # type: ignore[arg-type]

    with pytest.raises(LedgerUnavailable, match="j-1"):
        steps.deliver(rendered())
    assert 14 < steps.time.elapsed <= 15, "one event may try for fifteen seconds"


class Contended:
    """A ledger whose posting always meets somebody else's."""

    def __init__(self, ledger: Any, post: Any) -> None:
        self.read, self.post = ledger.read, post


# --- batches ----------------------------------------------------------------------------------------------------------


def test_in_a_batch_only_what_fails_comes_back() -> None:
    """A malformed event, one that is not JSON and one that is no object (told first); their neighbours are posted."""
    steps = Steps(example())
    good, bad = json.dumps(rendered("j-1")), json.dumps(rendered("j-2", seconds=-1))

    assert ["m-1", "m-2", "m-3"] == steps.batch(good, bad, "{", "[]", json.dumps(failed("j-1")))
    assert ["error", "error", "debited", "error", "refunded"] == [line["outcome"] for line in steps.lines]


def test_a_record_without_a_body_fails_alone() -> None:
    """It cannot be an SQS record, but its neighbours can."""
    steps = Steps(example())

    failures = steps.reconciler.batch([{"messageId": "m-0"}], steps.time.clock().deadline(30))

    assert ["m-0"] == failures


def test_a_batch_that_is_out_of_time_gives_the_rest_back() -> None:
    """What is not begun is not lost: the queue delivers it again."""
    steps = Steps(example())

    assert ["m-0"] == steps.batch(json.dumps(rendered("j-1")), seconds=0)
    assert {} == steps.ledger.entries


@pytest.mark.parametrize("written", ['"1234567890123456789.0001"', "12345678901234567890123456789012345678"])
def test_digits_of_a_text_and_whole_numbers_of_a_queue_stay_exact(written: str) -> None:
    """They never become a binary float: that is how a producer sends more digits than one has."""
    steps = Steps(example())

    steps.batch(json.dumps(rendered("j-1", seconds="X")).replace('"X"', written))
    assert "-500.0000" == steps.lines[0]["amount"]
    assert written.strip('"') == str(steps.ledger.lines("j-1")[0].quantity)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"x"', "NaN", b"\xff", "[" * 100_000, None, 7, {"a": 1}])
def test_what_is_no_json_object_is_refused_in_words(text: object) -> None:
    """Whatever stands in a queue or a file, the answer is one kind of error."""
    with pytest.raises(EventError, match="field body: is"):
        read_document(text)


# --- scans ------------------------------------------------------------------------------------------------------------


def test_a_scan_posts_what_no_event_told_and_a_second_scan_nothing() -> None:
    """One lost render, one lost failure, one that was told, one still under way, one without a time of its own."""
    steps = Steps(example())
    for columns in (
        row("lost-render"),
        row("lost-failure", status="failed"),
        row("told"),
        row("under-way", status="rendering"),
        row("timeless", updatedAt=None),
    ):
        steps.ledger.rows[columns["jobId"]] = columns
    steps.deliver(rendered("told"))

    first, second = steps.scan(), steps.scan()

    assert ({Outcome.DEBITED: 2, Outcome.VOIDED: 1}, 3) == (first.outcomes, first.adjustments)
    assert ({}, 0) == (second.outcomes, second.adjustments)
    assert "under-way" not in steps.ledger.entries


def test_a_row_that_came_after_its_event_is_marked_and_posts_nothing() -> None:
    """The scan finds its facts known, and marks it so that the next scan passes it by."""
    steps = Steps(example())
    steps.deliver(rendered("j-1"))
    steps.ledger.rows["j-1"] = row("j-1")

    report = steps.scan()

    assert ({Outcome.DUPLICATE: 1}, 1, 0) == (report.outcomes, report.marked, report.adjustments)
    assert {} == steps.scan().outcomes


@pytest.mark.parametrize(
    ("told", "row", "unclear"),
    [
        ([rendered(at="10:00"), failed(at="11:00")], {"status": "completed"}, 1),
        ([failed(at="11:00")], {"status": "completed"}, 1),
        ([rendered(at="10:00", seconds=8)], {"status": "completed", "seconds": 9}, 1),
        ([rendered(at="10:00", seconds=8)], {"status": "completed", "seconds": 8}, 0),
        ([rendered(at="10:00")], {"status": "failed"}, 0),
        ([rendered(at="10:00"), failed(at="11:00")], {"status": "failed"}, 0),
        ([], {"status": "completed"}, 0),
    ],
)
def test_a_row_without_a_time_that_contradicts_what_is_known_is_counted_as_unclear(
    told: list[dict[str, Any]], row: dict[str, Any], unclear: int
) -> None:
    """The user has the benefit of the doubt; the row is marked, so that it is read once."""
    steps = Steps(example())
    steps.deliver(*told)
    steps.ledger.rows["j-1"] = {"jobId": "j-1", "userId": "u-1", "seconds": 8, "model": "veo-3", **row}

    report = steps.scan()

    assert unclear == report.unclear == report.answer()["unclear"]
    assert (0, 0) == (steps.scan().unclear, steps.scan().rows)


def test_a_row_that_makes_no_sense_is_reported_and_holds_up_no_other() -> None:
    """It stays due, and every scan reports it again."""
    steps = Steps(example())
    for columns in (row("a", seconds="long"), row("b"), row("c"), row("d", userId=None)):
        steps.ledger.rows[columns["jobId"]] = columns
    steps.ledger.broken_jobs.add("c")

    first, second = steps.scan(), steps.scan()

    assert ({Outcome.DEBITED: 1}, 3) == (first.outcomes, first.errors)
    assert ({}, 3) == (second.outcomes, second.errors)


def test_a_scan_that_is_out_of_time_says_where_to_go_on() -> None:
    """The slices that are left over pick up just behind the last row, and together they see every row once."""
    steps = Steps(example())
    for number in range(7):
        steps.ledger.rows[f"j-{number}"] = row(f"j-{number}")
    seen = 0

    slices: tuple[ScanSlice, ...] = (ScanSlice(0, 2), ScanSlice(1, 2))
    while slices:
        report = scan_some(steps, slices, rows=2)
        seen += report.rows
        slices = report.left_over

    assert 7 == seen
    assert {f"job#j-{number}": 1 for number in range(7)} == {
        reference: len(entries) for reference, entries in steps.ledger.entries.items()
    }


def scan_some(steps: Steps, slices: tuple[ScanSlice, ...], rows: int, seconds_each: int = 1) -> Any:
    """Scan with just the time for some rows: each posting takes a second, or more; what is too late is not posted."""
    post = steps.ledger.post
    deadline = steps.time.clock().deadline(rows + 2)

    def slow_post(*arguments: Any) -> Receipt:
        steps.time.elapsed += seconds_each
        if deadline.left() < 0:
            raise LedgerUnavailable("no answer in time")
        return post(*arguments)

    ledger = Slow(steps.ledger, slow_post)
    return scan(evolve(steps.reconciler, ledger=ledger), slices, deadline)  # type: ignore[arg-type]


class Slow:
    """A ledger whose postings take their time."""

    def __init__(self, ledger: Any, post: Any) -> None:
        self.read, self.mark, self.due_jobs, self.post = ledger.read, ledger.mark, ledger.due_jobs, post

    def post_all(self, postings: Any, deadline: Any) -> Any:
        """Post one by one."""
        yield from (self.post(*posting, deadline) for posting in postings)


def test_slices_left_over_keep_the_start_of_the_scan() -> None:
    """A row without a time counts as of the start of the whole scan, not of the slice that happens to see it."""
    steps = Steps(example())
    for number in range(3):
        steps.ledger.rows[f"j-{number}"] = row(f"j-{number}", updatedAt=None)

    first = scan_some(steps, (ScanSlice(0, 1),), rows=1)
    scan_some(steps, first.left_over, rows=9)

    assert {"2026-01-05T12:00:00+00:00"} == {entries[0].occurred_at.isoformat() for entries in steps.ledger.entries.values()}


def test_an_outage_ends_the_scan() -> None:
    """There is no point in asking row by row; the schedule's own retry comes back."""
    steps = Steps(example())
    steps.ledger.rows["j-1"] = row("j-1")

    def unavailable(*_arguments: Any) -> Receipt:
        raise LedgerUnavailable("no answer")

    steps.reconciler = evolve(steps.reconciler, ledger=Slow(steps.ledger, unavailable))  # type: ignore[arg-type]

    with pytest.raises(LedgerUnavailable):
        steps.scan()


def test_a_scan_whose_time_runs_out_within_a_turn_does_that_turn_again() -> None:
    """Rows that are posted already are known, and none is passed over."""
    steps = Steps(example())
    for number in range(6):
        steps.ledger.rows[f"j-{number}"] = row(f"j-{number}")
    steps.ledger.page_size = 6

    first = scan_some(steps, (ScanSlice(0, 1),), rows=1, seconds_each=2)
    assert (ScanSlice(0, 1, started=first.left_over[0].started),) == first.left_over
    scan_some(steps, first.left_over, rows=99)

    assert {f"job#j-{number}": 1 for number in range(6)} == {
        reference: len(entries) for reference, entries in steps.ledger.entries.items()
    }


def test_what_nobody_foresaw_in_a_batch_leaves_each_event_to_itself() -> None:
    """The neighbours of whatever is to blame are posted."""
    steps = Steps(example())
    post = steps.ledger.post

    def fail_for_one(entry: Any, *arguments: Any) -> Receipt:
        if entry.job == "j-1":
            raise ZeroDivisionError
        return post(entry, *arguments)

    steps.reconciler = evolve(steps.reconciler, ledger=Slow(steps.ledger, fail_for_one))  # type: ignore[arg-type]

    assert ["m-1"] == steps.batch(*(json.dumps(rendered(f"j-{number}")) for number in range(3)))
    assert {"job#j-0", "job#j-2"} == steps.ledger.entries.keys()
