"""Stories of jobs that are tried more than once: a higher attempt decides over a lower one. Each net is worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from engine.audit.recount import recount
from engine.domain.decision import Guard, Outcome, Standing
from engine.domain.entry import Correction, PricedAnew
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError
from engine.domain.fact import Adjustment
from engine.domain.facts import Facts
from engine.domain.instants import read_instant
from engine.domain.price import Price
from engine.policy import Policy
from engine.rating.assess import assess
from engine.rating.correct import Word, correct
from engine.rating.reprice import Repricer, facts_of
from tests.support.books import Books
from tests.support.events import event, failed, instant, rendered
from tests.support.policies import example

NUMBERED = ("time: time}", "time: time, attempt: detail.attempt, reference: detail.purchaseId}")
UNNUMBERED = ("time: time}", "time: time, reference: detail.purchaseId}")
RULES = (
    "  - name: flag-test-renders",
    """\
  - {name: half, match: {detail-type: [video.cancelled]}, action: refund, refund: {percent: 50, within: 1h}}
  - {name: credit, match: {detail-type: [video.credited]}, action: refund, refund: {amount: detail.back}}
  - {name: share, match: {detail-type: [video.broken]}, action: refund, refund: {percent: detail.missing}}
  - {name: bought, match: {detail-type: [credits.purchased]}, action: grant, grant: {quantity: detail.credits}}
  - name: flag-test-renders""",
)
NO_MINIMUM = (', minimum: "0.01"', "")
ONCE = ("action: debit\n", "action: debit\n    repeats: ignore\n")
DEAR = ('default: "0.10"', 'default: "1.00"')

type Event = dict[str, Any]


def policy(*changes: tuple[str, str]) -> Policy:
    """Return the example policy, which numbers attempts and has more refunds."""
    return example(NUMBERED, RULES, *changes)


def books(*changes: tuple[str, str]) -> Books:
    """Return empty books over that policy, with one user."""
    return Books(policy(*changes), {"u-1": Decimal(1000)})


def done(attempt: Any, seconds: Any = 10, at: str = "10:00") -> Event:
    """Return the event of an attempt that was rendered: 0.10 a second."""
    return rendered(seconds=seconds, at=at, attempt=attempt)


def lost(attempt: Any, at: str = "11:00") -> Event:
    """Return the event of an attempt that failed: all goes back."""
    return failed(at=at, attempt=attempt)


def told(kind: str, attempt: Any, at: str, **said: Any) -> Event:
    """Return another event of an attempt."""
    return event(f"video.{kind}", {"jobId": "j-1", "userId": "u-1", "attempt": attempt, **said}, at)


def half(attempt: Any, at: str = "10:30") -> Event:
    """Return the event of an attempt that was cancelled: half goes back, of what is at most an hour old."""
    return told("cancelled", attempt, at)


def row(document: Event, started: str, status: str = "completed") -> Envelope:
    """Return the envelope of a row of Jobs that has no time of its own, as a scan that has begun then tells it."""
    return Envelope({**document, "time": instant(started)}, Source.SCAN, status=status, time_is_assumed=True)


STORIES: dict[str, tuple[tuple[Event, ...], str]] = {
    "of two charged attempts the higher counts": ((done(1, 8), done(2, 10, "10:05")), "-1"),
    "though its clock says that it was the earlier": ((done(1, 8, "10:30"), done(2, 10)), "-1"),
    "the failure of a charged attempt gives back its own charge": ((done(1), lost(1)), "0"),
    "not one that its clock says was later": ((done(1, at="11:30"), lost(1)), "-1"),
    "a failure below plays no part, however late it is": ((done(1, 8), lost(1, "12:00"), done(2, 10, "11:30")), "-1"),
    "a failure above gives back what was charged below": ((done(1), lost(2)), "0"),
    "though its clock says that it was the earlier failure": ((done(1, at="2026-01-05T11:00:01Z"), lost(2, "11:00")), "0"),
    "and at one instant": ((done(1), lost(2, "10:00")), "0"),
    "a failure of the first attempt, a render of the third": ((lost(1), lost(2, "11:05"), done(3, at="09:00")), "-1"),
    "half of what is an hour old": ((done(1), half(2, "11:00")), "-0.5"),
    "nothing of what is older than the window": ((done(1), half(2, "2026-01-05T11:00:01Z")), "-1"),
    "half of what is later by the clocks": ((done(1), half(2, "09:00")), "-0.5"),
    "half, and half of what is left": ((done(1), half(2), half(3, "10:20")), "-0.25"),
    "half, and 0.2 of what is left": ((done(1), half(2), told("credited", 3, "10:00", back="0.2")), "-0.3"),
    "0.2, and half of what is left": ((done(1), told("credited", 2, "10:00", back="0.2"), half(3)), "-0.4"),
    "half in the attempt itself, and half of what is left": ((done(1), half(1), half(2)), "-0.25"),
    "never below nothing: half, and 0.9 of what is left": ((done(1), half(2), told("credited", 3, "10:00", back="0.9")), "0"),
    "of one attempt's refunds the latest": ((done(1), lost(2, "10:10"), half(2, "10:20")), "-0.5"),
    "unless it comes too late": ((done(1), told("credited", 2, "10:10", back="0.2"), half(2, "11:30")), "-0.8"),
    "of one instant the most generous": ((done(1), half(2), told("credited", 2, "10:30", back="0.6")), "-0.4"),
    "of twins of the attempt that counts the smaller": ((done(1, 3), done(2, 8), done(2, 9)), "-0.8"),
    "nothing was charged": ((lost(1), half(2)), "0"),
}
"""What is told, in whatever order, and what it comes to."""


@pytest.mark.parametrize("name", STORIES)
def test_attempts_end_in_one_balance_whatever_the_order(name: str) -> None:
    """Each told twice; and each entry, counted again, agrees."""
    events, net = STORIES[name]
    for order in permutations(events):
        ledger = books()
        ledger.deliver(*order, *reversed(order))

        assert Decimal(net) == ledger.net("j-1"), [document["detail"]["attempt"] for document in order]
        assert [] == [problem for each in recount(ledger.entries_of("j-1")) for problem in each.problems]


def test_what_several_attempts_leave_is_rounded_once() -> None:
    """Half of 0.0003 is 0.00015, less a tenth 0.000135: 0.0001. Rounded at each step it would be 0.0002."""
    ledger = books(NO_MINIMUM)
    ledger.deliver(done(1, "0.003"), half(2), told("broken", 3, "10:00", missing=10))

    assert Decimal("-0.0001") == ledger.net("j-1")


@pytest.mark.parametrize("again", [2, "2", 2.0, Decimal("2.0")])
def test_an_attempt_is_one_number_as_a_number_and_as_digits(again: Any) -> None:
    """The event that is told again is known."""
    ledger = books()

    assert [Outcome.DEBITED, Outcome.DUPLICATE] == ledger.deliver(done("2"), done(again))


@pytest.mark.parametrize("attempt", [None, -1, "-1", 1.5, "first", "", True, [1], {}, "1" * 39, "1e1"])
@pytest.mark.parametrize("of", [done, lost], ids=["debit", "refund"])
def test_an_event_without_its_attempt_makes_no_sense(of: Any, attempt: Any) -> None:
    """The error names the field, and nothing is posted."""
    ledger = books()
    with pytest.raises(EventError) as raised:
        ledger.deliver(of(attempt))

    assert "detail.attempt" == raised.value.field
    assert {} == ledger.entries


def test_what_is_bought_is_of_no_attempt() -> None:
    """A grant is told as ever, and so is a flag of a job that nothing else is told of."""
    ledger = books()
    ledger.deliver(event("credits.purchased", {"purchaseId": "p-1", "userId": "u-1", "credits": 5}))
    ledger.deliver(event("video.seen", {"jobId": "test-1", "userId": "u-1"}))

    assert Decimal(5) == ledger.net("grant#p-1")
    assert [("flag", "0")] == ledger.lines("test-1")


def test_repeats_are_ignored_within_an_attempt() -> None:
    """A callback that is sent again is nothing new after the failure; the next attempt says the same, and is charged."""
    ledger = books(ONCE)
    ledger.deliver(done(1), lost(1), done(1, at="12:00"))
    assert Decimal(0) == ledger.net("j-1")

    ledger.deliver(done(2, at="12:30"), done(2, at="12:45"), lost(1, "13:00"))
    assert Decimal(-1) == ledger.net("j-1")


# --- rows without a time of their own ---------------------------------------------------------------------------------


def test_a_row_without_a_time_counts_above_an_event_of_a_lower_attempt() -> None:
    """Nothing with a time of its own is known of the second attempt: 1.20 counts, until its event comes."""
    ledger = books()
    ledger.deliver(done(1))
    ledger.reconcile(row(done(2, 12), "13:00"))
    assert Decimal("-1.2") == ledger.net("j-1")

    ledger.reconcile(row(done(1), "14:00"))
    ledger.deliver(done(2, 12, "12:30"), lost(2, "12:45"))
    assert Decimal(0) == ledger.net("j-1")


def test_a_failed_row_without_a_time_gives_back_what_was_charged_below() -> None:
    """A refund of that attempt with a time of its own counts instead of it; a later scan that says the same is no news."""
    ledger = books()
    ledger.deliver(done(1, at="12:00"))
    assert [Outcome.REFUNDED, Outcome.VOIDED] == [ledger.reconcile(row(lost(2), at, "failed")) for at in ("11:00", "13:00")]
    assert Decimal(0) == ledger.net("j-1")

    ledger.deliver(half(2, "12:30"))
    assert Decimal("-0.5") == ledger.net("j-1")


# --- edits of the policy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(UNNUMBERED, NUMBERED), (NUMBERED, UNNUMBERED)], ids=["added", "taken away"])
def test_what_was_told_is_known_under_a_policy_that_begins_or_ceases_to_number(
    before: tuple[str, str], after: tuple[str, str]
) -> None:
    """Under ten times the price, too: charge and refund are what they were, half of 1.00."""
    ledger = Books(example(before, RULES), {"u-1": Decimal(1000)})
    ledger.deliver(done(2), half(2))

    ledger.policy = example(after, RULES, DEAR)

    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(half(2), done("2"))
    assert Decimal("-0.5") == ledger.net("j-1")


def test_what_was_told_without_a_number_is_below_the_first_attempt() -> None:
    """The failure of attempt 1 gives back what was charged before, and a render of it is charged."""
    ledger = begun(done(0))

    ledger.deliver(lost(1, "10:30"))
    assert Decimal(0) == ledger.net("j-1")
    ledger.deliver(done(2, 7, "10:15"))
    assert Decimal("-0.7") == ledger.net("j-1")


# --- what people say --------------------------------------------------------------------------------------------------


def say(ledger: Books, facts: Facts, rule: str) -> None:
    """Post what a person says of the job."""
    log = ledger.store.read("job#j-1", ledger.run.deadline)
    said = Correction("a mistake", "ann", "c-1", priced=tuple(PricedAnew(Price()) for _ in facts.charges))
    at = read_instant("2026-01-06T00:00:00Z")
    assert at is not None
    entry = correct(Word("job#j-1", "j-1", "u-1", at, rule, facts, said), log, Standing.ASSUMED_COVERED, ledger.policy).entry
    assert entry is not None
    ledger.store.post(entry, Guard.EXISTS, None, ledger.run.deadline)


def conceded(amount: str) -> Facts:
    """Return the fact of a concession."""
    at = read_instant("2026-01-06T00:00:00Z")
    assert at is not None
    return Facts(concessions=(Adjustment("c-1", Decimal(amount), at),))


@pytest.mark.parametrize(("amount", "net"), [("0.2", "-0.3"), ("0.6", "0")])
def test_a_concession_is_taken_off_in_the_end(amount: str, net: str) -> None:
    """Half of 1.00 goes back by the attempt above; what is conceded is no part of that, and the job costs nothing at least."""
    ledger = books()
    ledger.deliver(done(1))
    say(ledger, conceded(amount), "adjust")
    ledger.deliver(half(2))

    assert Decimal(net) == ledger.net("j-1")


def test_a_repricing_tells_the_charges_of_all_attempts() -> None:
    """At 0.01 a second, attempt 1 too. Of what attempt 2 costs then half goes back by attempt 3; told again it is no news."""
    ledger = books()
    ledger.deliver(done(1, 8), done(2, 10, "09:00"))
    cheap = policy(('default: "0.10"', 'default: "0.01"'))
    log, entries = ledger.store.read("job#j-1", ledger.run.deadline), ledger.entries_of("j-1")
    changes = Repricer(cheap).job(entries, log.facts)

    assert {(1, Decimal("0.08")), (2, Decimal("0.1"))} == {(each.now.attempt, each.now.amount) for each in changes}
    say(ledger, facts_of(changes), "reprice")
    assert Decimal("-0.1") == ledger.net("j-1")
    ledger.deliver(half(3, "09:30"), done(1, 8), done(2, 10, "09:00"))
    assert Decimal("-0.05") == ledger.net("j-1")


# --- the mark and doubts ----------------------------------------------------------------------------------------------


def test_the_mark_names_the_attempt_where_attempts_are_numbered() -> None:
    """A second completion is another mark."""
    marks = [
        assessed.marks
        for document in (done(1), done("2"), lost(2))
        if (assessed := assess(Envelope(document, Source.EVENT), policy()))
    ]
    assert ["completed#1", "completed#2", "failed#2"] == marks
    plain = assess(Envelope(done(2), Source.EVENT), example(RULES, UNNUMBERED))
    assert plain is not None
    assert "completed" == plain.marks


def test_only_what_is_unsure_within_an_attempt_is_flagged() -> None:
    """A second attempt replaces no charge, and its failure a second after another attempt's charge is no close call."""
    ledger = books()
    ledger.deliver(done(1, 8), done(2, 10, "10:05"), lost(3, "2026-01-05T10:05:01Z"))
    assert [] == ledger.anomalies("j-1")

    ledger.deliver(lost(2, "2026-01-05T10:05:03Z"), done(1, 9, "10:10"))
    assert ["close-call", "replaced-charge"] == ledger.anomalies("j-1")


# --- logs of before the policy numbered attempts ---


def begun(*events: Event) -> Books:
    """Return books whose policy numbers attempts since these events were told without."""
    ledger = Books(example(UNNUMBERED, RULES), {"u-1": Decimal(1000)})
    ledger.deliver(*events)
    ledger.policy = policy()
    return ledger


@pytest.mark.parametrize(
    ("before", "again", "net"),
    [
        ((lost(1, "09:00"), done(1, 8, "10:00"), done(2, 10, "11:00")), done(1, 8, "10:00"), "-1"),
        ((lost(1, "10:30"), done(2, 10, "11:00"), told("credited", 2, "12:00", back="0.2")), lost(1, "10:30"), "-0.8"),
        ((done(1, 10, "10:00"), lost(1, "10:30")), done(1, 10, "10:00"), "0"),
    ],
)
def test_what_a_log_has_forgotten_is_of_no_attempt_when_it_is_told_again(
    before: tuple[Event, ...], again: Event, net: str
) -> None:
    """It did not count when it was told first, and an edit that numbers attempts does not make it count."""
    ledger = begun(*before)
    assert Decimal(net) == ledger.net("j-1")

    ledger.deliver(again, again)

    assert Decimal(net) == ledger.net("j-1")
    assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]


@pytest.mark.parametrize(("before", "net"), [((done(1, 10, "10:00"),), "-1"), ((done(1, 10, "10:00"), lost(1, "10:30")), "0")])
def test_a_row_without_a_time_says_nothing_new_of_a_job_that_was_told_without_numbers(
    before: tuple[Event, ...], net: str
) -> None:
    """Neither at a new price nor after a refund: nobody knows when that was."""
    ledger = begun(*before)
    ledger.policy = policy(DEAR)

    ledger.reconcile(row(done(1, 10), "13:00"))

    assert Decimal(net) == ledger.net("j-1")


def test_a_later_event_of_such_a_job_is_of_its_own_attempt() -> None:
    """0.80 were charged without a number; the second attempt costs 1.00, and the failure of the third gives that back."""
    ledger = begun(done(1, 8, "10:00"))

    ledger.deliver(done(2, 10, "11:00"))
    assert Decimal(-1) == ledger.net("j-1")

    ledger.deliver(lost(3, "12:00"))
    assert Decimal(0) == ledger.net("j-1")
