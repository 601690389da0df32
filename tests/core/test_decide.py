"""The one idea, as tables: what each course of events leaves in a job's log."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.domain.decision import Outcome
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError
from tests.support.books import Books
from tests.support.events import event, failed, instant, rendered
from tests.support.policies import example


def books(*changes: tuple[str, str], balance: str = "1000") -> Books:
    """Return empty books over the example policy, with one user."""
    return Books(example(*changes), {"u-1": Decimal(balance)})


COURSES: list[tuple[str, list[dict[str, Any]], list[tuple[str, str]]]] = [
    ("rendered", [rendered(seconds=8)], [("debit", "-0.8000")]),
    ("rendered twice", [rendered(seconds=8), rendered(seconds=8)], [("debit", "-0.8000")]),
    ("rendered, then failed", [rendered(), failed()], [("debit", "-0.8000"), ("refund", "0.8000")]),
    ("failed, then the older render", [failed(), rendered()], [("void", "0"), ("void", "0")]),
    ("failed, never rendered", [failed()], [("void", "0")]),
    ("failed twice", [failed(), failed()], [("void", "0")]),
    ("both at one instant", [rendered(at="10:00"), failed(at="10:00")], [("debit", "-0.8000"), ("refund", "0.8000")]),
    ("both at one instant, refund first", [failed(at="10:00"), rendered(at="10:00")], [("void", "0"), ("void", "0")]),
    (
        "rendered, failed, rendered again",
        [rendered(at="10:00"), failed(at="11:00"), rendered(at="12:00", seconds=9)],
        [("debit", "-0.8000"), ("refund", "0.8000"), ("debit", "-0.9000")],
    ),
    (
        "rendered again later at the same cost",
        [rendered(at="10:00"), rendered(at="12:00")],
        [("debit", "-0.8000"), ("void", "0")],
    ),
    (
        "rendered again later, shorter",
        [rendered(at="10:00", seconds=8), rendered(at="12:00", seconds=5)],
        [("debit", "-0.8000"), ("refund", "0.3000")],
    ),
    (
        "an older, longer render arrives late",
        [rendered(at="12:00", seconds=5), rendered(at="10:00", seconds=8), rendered(at="10:00", seconds=8)],
        [("debit", "-0.5000"), ("flag", "0")],
    ),
    ("no length", [rendered(seconds=0)], [("debit", "-0.0100")]),
    ("very long", [rendered(seconds=5001)], [("debit", "-500.0000")]),
    ("premium", [rendered(seconds="8.5", model="premium")], [("debit", "-2.1250")]),
    ("priced by the event's own time", [rendered(at="2026-07-01T00:00:00Z", seconds=8)], [("debit", "-0.9600")]),
    ("the instant before the new price", [rendered(at="2026-06-30T23:59:59.999Z", seconds=8)], [("debit", "-0.8000")]),
    ("a zone of its own", [rendered(at="2026-07-01T01:00:00+02:00", seconds=8)], [("debit", "-0.8000")]),
]


@pytest.mark.parametrize(("events", "lines"), [course[1:] for course in COURSES], ids=[course[0] for course in COURSES])
def test_a_course_of_events_leaves_these_entries(events: list[dict[str, Any]], lines: list[tuple[str, str]]) -> None:
    """Worked out by hand at 0.10 a second (0.12 from July 2026, 0.25 premium), at least 0.01, at most 500."""
    ledger = books()

    ledger.deliver(*events)

    assert lines == ledger.lines("j-1")


def test_a_later_change_of_policy_never_reprices_a_known_charge() -> None:
    """The same event under a dearer policy is the same charge, and changes nothing."""
    ledger = books()
    ledger.deliver(rendered(seconds=8))

    ledger.policy = example(('"0.10"', '"0.99"'))

    assert [Outcome.DUPLICATE] == ledger.deliver(rendered(seconds=8))
    assert [("debit", "-0.8000")] == ledger.lines("j-1")


def test_a_known_refund_is_not_worked_out_again_with_another_rounding() -> None:
    """What a refund left of a charge is kept in the log, so that fewer places today do not move credits of yesterday."""
    half = ("percent: 100", "percent: 50")
    ledger = books(half)
    ledger.deliver(rendered(seconds="1.003"), failed())

    ledger.policy = example(half, ("places: 4", "places: 2"))

    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(rendered(seconds="1.003"), failed())
    assert [("debit", "-0.1003"), ("refund", "0.0501")] == ledger.lines("j-1")


@pytest.mark.parametrize(
    ("percent", "net"),
    [("0", "-0.8000"), ("12.5", "-0.7000"), ("50", "-0.4000"), ("99.99", "-0.0001"), ("100", "0.0000")],
)
def test_a_refund_gives_back_its_percent(percent: str, net: str) -> None:
    """99.99 percent of 0.80 leave 0.00008, which is 0.0001 at four places."""
    ledger = books(("percent: 100", f"percent: {percent}"))

    ledger.deliver(rendered(seconds=8), failed())

    assert Decimal(net) == ledger.net("j-1")


@pytest.mark.parametrize("order", [(8, 5), (5, 8)])
def test_of_two_charges_of_one_instant_the_smaller_counts_and_a_flag_says_so(order: tuple[int, int]) -> None:
    """In either order, and sent again and again, the job costs the smaller and is flagged once."""
    ledger = books()

    ledger.deliver(*(rendered(seconds=seconds) for seconds in (*order, *order, *order)))

    assert Decimal("-0.5") == ledger.net("j-1")
    assert ["conflicting-charge"] == ledger.anomalies("j-1")


def test_of_two_refunds_of_one_instant_the_larger_counts() -> None:
    """Reasons cannot be told apart by time, so the user gets the better of the two."""
    half = (
        "  - name: refund-failed",
        "  - name: refund-half\n    match: {detail: {error: [slow]}}\n    action: refund\n    refund: {percent: 50}\n"
        "  - name: refund-failed",
    )
    for order in ([failed(error="slow"), failed()], [failed(), failed(error="slow")]):
        ledger = books(half)

        ledger.deliver(rendered(), *order)

        assert Decimal(0) == ledger.net("j-1")


def test_an_event_that_no_rule_matches_is_ignored() -> None:
    """It is none of our business, and leaves no entry."""
    ledger = books()

    assert [Outcome.IGNORED] == ledger.deliver(event("video.queued", {"jobId": "j-1", "userId": "u-1"}))
    assert [] == ledger.lines("j-1")


def test_flag_rules_apply_beside_the_rule_that_decides() -> None:
    """The debit is posted, and its entry carries the flag with its reason."""
    ledger = books()

    ledger.deliver(rendered("test-1"))

    assert [("debit", "-0.8000")] == ledger.lines("test-1")
    assert [("flag-test-renders", "a test render reached production")] == [
        (anomaly.name, anomaly.reason) for anomaly in ledger.entries_of("test-1")[0].anomalies
    ]


def test_an_event_that_is_only_flagged_leaves_one_flag_entry() -> None:
    """A flag moves nothing, and the same event flags once."""
    ledger = books()
    queued = event("video.queued", {"jobId": "test-1", "userId": "u-1"})

    assert [Outcome.FLAGGED, Outcome.DUPLICATE] == ledger.deliver(queued, queued)
    assert [("flag", "0")] == ledger.lines("test-1")


ANOMALIES = [
    (rendered(seconds=500), ["longer-than-5-minutes"]),
    (rendered(seconds=501), ["costs-over-50", "longer-than-5-minutes"]),
    (rendered(seconds=300), []),
    (event("video.rendered", {"jobId": "j-1", "userId": "u-1", "seconds": 8, "model": "veo-3"}), ["no-result"]),
    (failed(), []),
]


@pytest.mark.parametrize(("document", "names"), ANOMALIES)
def test_anomalies_are_matched_against_the_event_and_its_charge(document: dict[str, Any], names: list[str]) -> None:
    """500 seconds cost 50, which is not over 50; 501 do."""
    ledger = books()

    ledger.deliver(document)

    assert names == ledger.anomalies("j-1")


# --- overdraft and unknown users --------------------------------------------------------------------------------------


def test_an_overdraft_is_posted_and_flagged() -> None:
    """``overdraft: flag`` lets the balance go negative, and says so on the entry."""
    ledger = books(balance="0.5")

    assert [Outcome.DEBITED] == ledger.deliver(rendered(seconds=8))
    assert ["overdraft"] == ledger.anomalies("j-1")
    assert Decimal("-0.3") == ledger.balances["u-1"]


def test_a_balance_that_just_covers_the_debit_is_no_overdraft() -> None:
    """Down to zero is fine."""
    ledger = books(balance="0.8")

    ledger.deliver(rendered(seconds=8))

    assert [] == ledger.anomalies("j-1")
    assert Decimal(0) == ledger.balances["u-1"]


def test_an_overdraft_that_is_allowed_is_not_flagged() -> None:
    """``overdraft: allow`` never asks for the balance."""
    ledger = books(("overdraft: flag", "overdraft: allow"), balance="0")

    ledger.deliver(rendered(seconds=8))

    assert [("debit", "-0.8000")] == ledger.lines("j-1")
    assert [] == ledger.anomalies("j-1")


REFUSE = ("overdraft: flag", "overdraft: refuse")


def test_a_refused_charge_stays_due_until_the_balance_covers_it() -> None:
    """It is flagged once, tried again by every delivery, and posted once."""
    ledger = books(REFUSE, balance="0.5")

    assert [Outcome.REFUSED, Outcome.REFUSED] == ledger.deliver(rendered(), rendered())
    assert [("flag", "0")] == ledger.lines("j-1")
    assert ["overdraft"] == ledger.anomalies("j-1")

    ledger.balances["u-1"] += Decimal("0.3")

    assert [Outcome.DEBITED, Outcome.DUPLICATE] == ledger.deliver(rendered(), rendered())
    assert [("flag", "0"), ("debit", "-0.8000")] == ledger.lines("j-1")
    assert Decimal(0) == ledger.balances["u-1"]


def test_a_failure_after_a_refused_charge_clears_what_is_due() -> None:
    """The job costs nothing any more, so nothing is posted, and nothing is due."""
    ledger = books(REFUSE, balance="0")

    assert [Outcome.REFUSED, Outcome.VOIDED, Outcome.DUPLICATE] == ledger.deliver(rendered(), failed(), rendered())
    assert [("flag", "0"), ("void", "0")] == ledger.lines("j-1")


def test_a_refund_is_never_refused() -> None:
    """Only a debit can overdraw."""
    ledger = books(REFUSE, balance="0.8")

    ledger.deliver(rendered())
    ledger.balances["u-1"] = Decimal(-100)

    assert [Outcome.REFUNDED] == ledger.deliver(failed())


def test_an_unknown_user_is_an_error_that_names_event_rule_and_field() -> None:
    """``unknown_user: refuse``: the event comes back until the user exists, or ends in the dead-letter queue."""
    ledger = books()
    document = rendered(user="nobody")

    with pytest.raises(EventError, match=rf"{document['id']}, rule debit-rendered, field detail.userId: is 'nobody'"):
        ledger.deliver(document)
    assert {} == ledger.entries


def test_an_unknown_user_can_be_created_and_flagged() -> None:
    """``unknown_user: flag`` makes the row with the posting; the next one finds it."""
    ledger = books(("unknown_user: refuse", "unknown_user: flag"))

    ledger.deliver(rendered("j-1", user="new"), rendered("j-2", user="new"))

    assert ["unknown-user", "overdraft"] == ledger.anomalies("j-1")
    assert ["overdraft"] == ledger.anomalies("j-2")
    assert Decimal("-1.6") == ledger.balances["new"]


def test_an_unknown_user_has_no_balance_to_draw_on() -> None:
    """Created on sight, but a debit that must be covered is not."""
    ledger = books(("unknown_user: refuse", "unknown_user: flag"), REFUSE)

    assert [Outcome.REFUSED] == ledger.deliver(rendered(user="new"))
    assert {"u-1"} == ledger.balances.keys()


# --- scans ------------------------------------------------------------------------------------------------------------


def row(started: str, document: dict[str, Any], status: str = "completed") -> Envelope:
    """Return the envelope of a row of Jobs that has no time of its own."""
    return Envelope({**document, "time": instant(started)}, Source.SCAN, status=status, time_is_assumed=True)


def test_a_row_without_a_time_says_nothing_new_about_a_known_charge() -> None:
    """Its time is the scan's, which would otherwise look like a later render at each scan."""
    ledger = books()
    ledger.deliver(rendered(at="10:00"))

    assert Outcome.DUPLICATE is ledger.reconcile(row("18:00", rendered()))


def test_a_row_without_a_time_counts_as_of_the_start_of_the_scan() -> None:
    """Nothing else is known of the job; what is charged says where its time is from."""
    ledger = books()

    assert Outcome.DEBITED is ledger.reconcile(row("18:00", rendered()))
    assert [True] == [entry.time_is_assumed for entry in ledger.entries_of("j-1")]


def test_a_row_without_a_time_charges_for_nothing_that_failed() -> None:
    """The failure has a time of its own and the row has none: the user has the benefit of the doubt."""
    ledger = books()
    ledger.deliver(rendered(at="10:00"), failed(at="11:00"))

    assert Outcome.DUPLICATE is ledger.reconcile(row("18:00", rendered()))
    assert [("debit", "-0.8000"), ("refund", "0.8000")] == ledger.lines("j-1")


def test_a_refused_row_without_a_time_is_flagged_once() -> None:
    """Scan after scan finds it due, and none writes another flag."""
    ledger = books(REFUSE, balance="0")

    outcomes = [ledger.reconcile(row(at, rendered())) for at in ("12:00", "18:00", "23:00")]

    assert [Outcome.REFUSED] * 3 == outcomes
    assert [("flag", "0")] == ledger.lines("j-1")


def test_a_failed_row_without_a_time_is_remembered_beside_the_known_refund() -> None:
    """It gives nothing back twice, but a render between the two may still be told of late."""
    ledger = books()
    ledger.deliver(rendered(at="10:00"), failed(at="11:00"))

    assert Outcome.VOIDED is ledger.reconcile(row("18:00", failed(), status="failed"))
    assert Outcome.DUPLICATE is ledger.reconcile(row("18:00", failed(), status="failed"))

    ledger.deliver(rendered(at="12:00"))
    assert Decimal(0) == ledger.net("j-1")


# --- whose job it is --------------------------------------------------------------------------------------------------


def test_an_event_that_names_another_user_than_the_first_entry_is_an_error() -> None:
    """A job has one owner for life: the first entry's."""
    ledger = books()
    ledger.balances["u-2"] = Decimal(1000)
    ledger.deliver(rendered(user="u-1"))

    with pytest.raises(EventError, match="field detail.userId: is 'u-2'; the job's first entry names 'u-1'"):
        ledger.deliver(failed(user="u-2"))
    assert [("debit", "-0.8000")] == ledger.lines("j-1")


def test_amounts_of_38_digits_are_exact() -> None:
    """Python's own decimal context would round them to 28."""
    huge = (('"0.10"', "1"), (', maximum: "500"', ""))
    ledger = books(*huge, balance="9999999999999999999999999999999999")

    ledger.deliver(rendered(seconds="1234567890123456789012345678901234.5678"))

    assert [("debit", "-1234567890123456789012345678901234.5678")] == ledger.lines("j-1")
