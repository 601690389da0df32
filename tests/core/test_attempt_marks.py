"""The mark where a policy numbers the tries of a job: it names the attempt, so that another completion is seen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.decision import Outcome
from engine.domain.errors import EventError
from engine.domain.job_row import status_and_attempt
from engine.policy import Policy
from engine.reconcile.job_rows import is_settled
from tests.core.test_marks import interrupted, row
from tests.support.attempts import MALFORMED, NEEDED, NUMBERED
from tests.support.events import failed, rendered
from tests.support.examples import tries
from tests.support.policies import example
from tests.support.steps import Steps


def world(*changes: tuple[str, str], **columns: Any) -> Steps:
    """Return a reconciler over memory, by the example that numbers attempts, with the row of j-1 at its first."""
    steps = Steps(example(NUMBERED, *changes))
    steps.ledger.rows["j-1"] = row(**{"attempt": 1, **columns})
    return steps


def under(steps: Steps, policy: Policy) -> None:
    """Go on under another policy."""
    steps.reconciler = evolve(steps.reconciler, policy=policy)


def mark(steps: Steps) -> tuple[str, int]:
    """Return what the row of j-1 is marked at, and by which entry."""
    marked = steps.ledger.rows["j-1"]
    return marked["reconciledStatus"], marked["reconciledSequence"]


def test_a_second_completion_whose_event_was_lost_is_charged_by_the_scan() -> None:
    """The row has the status at which it is marked, and another attempt: 8 seconds, then 20, of which the last count."""
    steps = world()
    steps.deliver(rendered(attempt=1))
    assert ("completed#1", 1) == mark(steps)
    assert {} == steps.scan().outcomes
    steps.ledger.rows["j-1"] |= row(at="09:00", seconds=20, attempt=2)  # by a clock that goes two hours behind

    assert ({Outcome.DEBITED: 1}, 1) == ((done := steps.scan()).outcomes, done.rows)

    assert ("completed#2", 2) == mark(steps)
    assert Decimal("998.0") == steps.ledger.balances["u-1"], "1000 - 20 x 0.10"
    assert {} == steps.scan().outcomes


def test_without_attempts_such_a_row_is_passed_over() -> None:
    """As ever: the mark names the status alone."""
    steps = Steps(example())
    steps.ledger.rows["j-1"] = row()
    steps.deliver(rendered())
    steps.ledger.rows["j-1"] |= row(at="11:00", seconds=20)

    assert ("completed", 1) == mark(steps)
    assert {} == steps.scan().outcomes


def test_a_late_event_of_a_lower_attempt_marks_nothing_over_the_higher_one() -> None:
    """It is remembered, and costs nothing: the row stays settled at the attempt that counts."""
    steps = world(attempt=2, at="12:00")
    steps.deliver(rendered(attempt=2, at="12:00"))
    assert ("completed#2", 1) == mark(steps)

    (report,) = steps.deliver(rendered(attempt=1, at="13:00", seconds=20))

    assert (Outcome.VOIDED, False) == (report.outcome, report.marked)
    assert ("completed#2", 1) == mark(steps)
    assert {} == steps.scan().outcomes


def test_an_event_of_an_attempt_that_the_row_has_left_leaves_the_row_due() -> None:
    """The row is at its second attempt, whose event was lost; the first one's comes late, and says a time as late."""
    steps = world(attempt=2, at="10:00", seconds=20)

    steps.deliver(rendered(attempt=1, at="10:00"))

    assert ("completed#1", 1) == mark(steps)
    assert {Outcome.DEBITED: 1} == steps.scan().outcomes
    assert (("completed#2", 2), Decimal("998.0")) == (mark(steps), steps.ledger.balances["u-1"])


def test_a_scan_that_read_the_row_before_another_attempt_does_not_hide_that_attempt() -> None:
    """Between its look and its mark the application writes the second attempt, and the event of that is lost."""
    steps = world()
    steps.deliver(rendered(attempt=1))
    ledger = interrupted(steps)
    ledger.rows["j-1"] = row(attempt=1)  # the application put the whole item, without our marks
    ledger.before_mark.append(lambda: ledger.rows["j-1"].update(row(at="11:00", seconds=20, attempt=2)))

    assert ({Outcome.DUPLICATE: 1}, 0) == ((done := steps.scan()).outcomes, done.marked)

    assert {Outcome.DEBITED: 1} == steps.scan().outcomes
    assert ("completed#2", 2) == mark(steps)


def test_the_mark_follows_the_row_where_the_row_trails_its_events() -> None:
    """The second attempt is settled while the row is still at the first; no scan posts anything."""
    steps = world()
    steps.deliver(rendered(attempt=1), rendered(attempt=2, at="11:00"))
    assert ("completed#2", 2) == mark(steps)

    assert {Outcome.DUPLICATE: 1} == steps.scan().outcomes
    assert ("completed#1", 2) == mark(steps)
    steps.ledger.rows["j-1"] |= row(at="11:00", attempt=2)
    assert {Outcome.DUPLICATE: 1} == steps.scan().outcomes
    assert ("completed#2", 2) == mark(steps)
    assert {} == steps.scan().outcomes


def test_a_row_that_was_marked_before_attempts_were_numbered_is_looked_at_once() -> None:
    """It was charged then, and is not charged again."""
    steps = Steps(example())
    steps.ledger.rows["j-1"] = row(attempt=1)
    steps.deliver(rendered(attempt=1))
    under(steps, example(NUMBERED))

    done = steps.scan()

    assert ({Outcome.DUPLICATE: 1}, 1, 0) == (done.outcomes, done.marked, done.adjustments)
    assert (("completed#1", 1), Decimal("999.2")) == (mark(steps), steps.ledger.balances["u-1"])
    assert {} == steps.scan().outcomes


def test_a_row_of_before_that_names_no_attempt_stays_settled() -> None:
    """It was charged before attempts were numbered and cannot say one; where its status changes, it is asked for it."""
    steps = Steps(example())
    steps.ledger.rows["j-1"] = row()
    steps.deliver(rendered())
    under(steps, example(NUMBERED))

    assert ({}, 0) == ((done := steps.scan()).outcomes, done.errors)
    assert (("completed", 1), Decimal("999.2")) == (mark(steps), steps.ledger.balances["u-1"])

    steps.ledger.rows["j-1"] |= row(at="11:00", status="failed")
    assert ({}, 1) == ((done := steps.scan()).outcomes, done.errors)


def test_a_job_that_was_marked_by_hand_as_charged_elsewhere_is_not_charged() -> None:
    """The ledger knows nothing of it; an edit that numbers attempts must not charge all jobs that were taken over."""
    steps = world(reconciled=True, reconciledStatus="completed")
    steps.ledger.rows["j-2"] = row("j-2", attempt=1, reconciled=True, reconciledStatus="failed")

    assert {Outcome.DEBITED: 1} == steps.scan().outcomes, "j-2 has another status than its mark"

    assert [] == steps.ledger.lines("j-1")
    assert {} == steps.scan().outcomes


def test_a_row_is_looked_at_once_after_attempts_are_numbered_no_longer() -> None:
    """The way back, too."""
    steps = world()
    steps.deliver(rendered(attempt=1))
    under(steps, example())

    assert ({Outcome.DUPLICATE: 1}, 1) == ((done := steps.scan()).outcomes, done.marked)
    assert ("completed", 1) == mark(steps)
    assert {} == steps.scan().outcomes


def test_a_failure_in_a_higher_attempt_settles_the_row_at_that_attempt() -> None:
    """The second try failed and its event was lost: what the first was charged goes back."""
    steps = world()
    steps.deliver(rendered(attempt=1))
    steps.ledger.rows["j-1"] |= row(at="09:00", status="failed", attempt=2)

    assert {Outcome.REFUNDED: 1} == steps.scan().outcomes
    assert (("failed#2", 2), Decimal("1000.0")) == (mark(steps), steps.ledger.balances["u-1"])


@pytest.mark.parametrize(("attempt", "problem"), MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("is_marked", [False, True])
def test_a_row_without_an_attempt_is_an_error_of_the_scan(attempt: Any, problem: str, is_marked: bool) -> None:  # noqa: FBT001
    """Also one that was marked at an attempt. It names the row and the field, and holds up no other row."""
    marked = {"reconciled": True, "reconciledStatus": "completed#1", "reconciledSequence": 1} if is_marked else {}
    steps = world(attempt=attempt, **marked)
    steps.ledger.rows["j-2"] = row("j-2", attempt="3")

    done = steps.scan()

    assert (1, {Outcome.DEBITED: 1}, 2) == (done.errors, done.outcomes, done.rows)
    assert "completed#3" == steps.ledger.rows["j-2"]["reconciledStatus"]
    (line,) = (line for line in steps.lines if line.get("outcome") == "error")
    assert f"event row 'j-1', rule debit-rendered, field detail.attempt: {problem}{NEEDED}" == line["problem"]


@pytest.mark.parametrize(("attempt", "problem"), MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("told", [rendered, failed])
def test_an_event_without_an_attempt_makes_no_sense(told: Any, attempt: Any, problem: str) -> None:
    """A charge as well as a failure: it comes back, and nothing moves."""
    steps = world()

    with pytest.raises(EventError) as raised:
        steps.deliver(told(attempt=attempt))

    assert ("detail.attempt", f"{problem}{NEEDED}") == (raised.value.field, raised.value.problem)
    assert [] == steps.ledger.lines("j-1")


def test_an_event_that_leaves_its_attempt_out_makes_no_sense() -> None:
    """Nothing stands where the policy looks."""
    with pytest.raises(EventError, match="detail.attempt: is missing"):
        world().deliver(rendered())


@pytest.mark.parametrize("attempt", [2, "2", "2.0", 2.0, Decimal(2)])
def test_an_attempt_is_one_number_however_it_is_written(attempt: Any) -> None:
    """The event says 2, the row says it in other words: it is settled."""
    steps = world(attempt=attempt)

    steps.deliver(rendered(attempt=2))

    assert ("completed#2", {}) == (mark(steps)[0], steps.scan().outcomes)


def test_a_row_that_only_a_flag_rule_takes_is_settled_at_its_status() -> None:
    """A flag is of no attempt, so its mark names none; the scan passes over it, whatever its attempt says."""
    test_job = ("detail-type: [video.rendered]}", "detail-type: [video.rendered], detail: {jobId: [{prefix: j-}]}}")
    steps = world(test_job)
    steps.ledger.rows.clear()
    steps.ledger.rows["test-1"] = row("test-1", attempt=None)

    assert {Outcome.FLAGGED: 1} == steps.scan().outcomes

    assert "completed" == steps.ledger.rows["test-1"]["reconciledStatus"]
    assert {} == steps.scan().outcomes


def test_a_status_that_is_mapped_no_longer_is_not_counted_where_it_was_marked() -> None:
    """As without attempts: of what is settled nothing is told."""
    steps = world(status="archived", reconciled=True, reconciledStatus="archived#1")
    steps.ledger.rows["j-2"] = row("j-2", status="archived", attempt=1)

    assert {"archived": 1} == steps.scan().unmapped


ATTEMPTS, STATUSES = st.sampled_from([1, 2, "1", None, "x"]), st.sampled_from(["completed", "failed", "queued", None])
MARKS = st.sampled_from(["completed", "completed#1", "completed#2", "failed#1", "completed#", "#1", "", None, 1])


@tries(300)
@given(MARKS, ATTEMPTS, STATUSES, st.booleans())
def test_only_a_row_that_is_marked_at_all_that_it_says_is_passed_over(
    marked: Any,
    attempt: Any,
    status: Any,
    done: bool,  # noqa: FBT001
) -> None:
    """Of a row that catch-up maps: its status and, where it says one, its attempt."""
    said = row(status=status, attempt=attempt, reconciled=done, reconciledStatus=marked, reconciledSequence=1)
    says_all = status if attempt is None else f"{status}#{attempt}"
    is_at_all = done and status in {"completed", "failed"} and marked == says_all and attempt != "x"

    assert is_at_all is is_settled(example(NUMBERED), said)


@pytest.mark.parametrize(
    ("marked", "read"),
    [
        ("done#2", ("done", "2")),
        ("done", ("done", None)),
        ("a#b", ("a#b", None)),
        ("a#1#02", ("a#1", "02")),
    ],
)
def test_a_mark_says_its_status_and_its_attempt(marked: str, read: tuple[str, str | None]) -> None:
    """What stands behind the last # is the attempt, where it is digits."""
    assert read == status_and_attempt(marked)


STEPS = st.tuples(
    st.sampled_from(["row", "put", "event", "scan"]),
    st.sampled_from(["completed", "failed"]),
    st.integers(0, 2),
    st.sampled_from([None, 9, 10, 11]),
    st.sampled_from([8, 20]),
)


def do(steps: Steps, step: tuple[str, str, int, int | None, int]) -> None:
    """Take one step: the application writes its attributes, puts a whole item (our marks are lost), an event comes ..."""
    kind, status, attempt, hour, seconds = step
    at = f"{hour or 10:02}:00"
    said = row(at=at, status=status, attempt=attempt, seconds=seconds, **({"updatedAt": None} if hour is None else {}))
    if kind == "scan":
        steps.scan()
    elif kind == "event":
        told = {"at": at, "attempt": attempt}
        steps.deliver(rendered(seconds=seconds, **told) if status == "completed" else failed(**told))
    else:
        steps.ledger.rows["j-1"] = ({} if kind == "put" else steps.ledger.rows.get("j-1", {})) | said


@tries(300)
@given(st.lists(STEPS, max_size=9))
def test_once_all_is_quiet_no_row_is_due(course: list[tuple[str, str, int, int | None, int]]) -> None:
    """In whatever order events of three attempts, rows with a time or without, and scans came: one scan more is enough."""
    steps = Steps(example(NUMBERED))
    for step in course:
        do(steps, step)
    steps.scan()

    assert ({}, 0, 0) == ((again := steps.scan()).outcomes, again.rows, again.errors)
