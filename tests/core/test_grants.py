"""Purchases and top-ups: credits that come in, once for each reference, in the same ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from engine.domain.decision import Outcome
from engine.domain.errors import EventError
from tests.support.books import Books
from tests.support.events import event, rendered
from tests.support.policies import example

GRANT_RULE = """\
  - name: grant-purchase
    match: {detail-type: [credits.purchased]}
    action: grant
    grant: {quantity: detail.credits, maximum: "1000"}
  - name: grant-welcome
    match: {detail-type: [user.welcomed]}
    action: grant
    grant: {amount: "5"}
  - name: flag-test-renders
"""
GRANTS = (("time: time}", "time: time, reference: detail.purchaseId}"), ("  - name: flag-test-renders\n", GRANT_RULE))


def books(*changes: tuple[str, str], balance: str = "0") -> Books:
    """Return empty books with one user, under the example policy with grants."""
    return Books(example(*GRANTS, *changes), {"u-1": Decimal(balance)})


def purchased(reference: Any = "p-1", *, credits_bought: Any = 20, at: str = "10:00", **detail: Any) -> dict[str, Any]:
    """Return the event of a purchase."""
    return event("credits.purchased", {"purchaseId": reference, "userId": "u-1", "credits": credits_bought, **detail}, at)


def test_a_purchase_adds_its_credits_once() -> None:
    """However often, whenever and with whatever event id it is told."""
    ledger = books()

    outcomes = ledger.deliver(purchased(), purchased(), purchased(at="18:00"))

    assert [Outcome.GRANTED, Outcome.DUPLICATE, Outcome.DUPLICATE] == outcomes
    assert [("grant", "20.0000")] == ledger.lines("grant#p-1")
    assert Decimal(20) == ledger.balances["u-1"]


@pytest.mark.parametrize(
    ("days", "flagged"),
    [(("05", "07", "09"), ["07", "09"]), (("05", "09", "07"), ["09"]), (("09", "07", "05"), ["09"])],
    ids=["in order", "the last one early", "backwards"],
)
def test_only_a_still_later_repetition_of_a_grant_is_flagged_again(days: tuple[str, ...], flagged: list[str]) -> None:
    """The flag stands at the later of the two instants, so that an earlier repetition, or the same one again, is no news."""
    ledger = books()

    for day in days:
        ledger.deliver(purchased(at=f"2026-01-{day}T10:00:00Z"), purchased(at=f"2026-01-{day}T10:00:00Z"))

    flags = [entry.facts.flags for entry in ledger.entries_of("grant#p-1")[1:]]
    assert [(("repeated-grant", datetime(2026, 1, int(day), 10, tzinfo=UTC)),) for day in flagged] == flags
    assert Decimal(20) == ledger.balances["u-1"]


def test_grants_and_jobs_have_logs_of_their_own() -> None:
    """A purchase may have the id of a job."""
    ledger = books()

    ledger.deliver(purchased("j-1"), rendered("j-1", seconds=8))

    assert ([("grant", "20.0000")], [("debit", "-0.8000")]) == (ledger.lines("grant#j-1"), ledger.lines("j-1"))
    assert Decimal("19.2") == ledger.balances["u-1"]


def test_a_flat_grant_needs_no_quantity() -> None:
    """A welcome is worth the same for everybody."""
    ledger = books()

    ledger.deliver(event("user.welcomed", {"purchaseId": "w-1", "userId": "u-1"}))

    assert [("grant", "5.0000")] == ledger.lines("grant#w-1")


@pytest.mark.parametrize("order", list(permutations((20, 15, 30))))
def test_of_different_grants_of_one_reference_the_smaller_counts_and_a_flag_says_so(order: tuple[int, ...]) -> None:
    """In any order, and sent again and again: 15."""
    ledger = books()

    ledger.deliver(*(purchased(credits_bought=amount, at=f"{10 + amount % 7}:00") for amount in (*order, *order, *order)))

    assert Decimal(15) == ledger.net("grant#p-1") == ledger.balances["u-1"]
    assert {"repeated-grant"} == set(ledger.anomalies("grant#p-1"))
    assert [Outcome.DUPLICATE] * 3 == ledger.deliver(*(purchased(credits_bought=amount, at="09:00") for amount in order))


def test_a_grant_that_was_too_large_is_taken_back_even_from_an_empty_balance() -> None:
    """``overdraft: refuse`` is about work that is not paid for; this was never the user's."""
    ledger = books(("overdraft: flag", "overdraft: refuse"))
    ledger.deliver(purchased(credits_bought=20))
    ledger.balances["u-1"] = Decimal(0)

    ledger.deliver(purchased(credits_bought=15))

    assert [("grant", "20.0000"), ("grant", "-5.0000")] == ledger.lines("grant#p-1")
    assert Decimal(-5) == ledger.balances["u-1"]


def test_a_later_change_of_policy_does_not_change_a_known_grant() -> None:
    """The welcome of yesterday stays what it was."""
    ledger = books()
    welcome = event("user.welcomed", {"purchaseId": "w-1", "userId": "u-1"})
    ledger.deliver(welcome)

    ledger.policy = example(*GRANTS, ('amount: "5"', 'amount: "3"'))

    assert [Outcome.DUPLICATE] == ledger.deliver(welcome)
    assert Decimal(5) == ledger.balances["u-1"]


def test_a_grant_is_bounded_as_a_charge_is() -> None:
    """No more than the maximum, rounded to the places of money."""
    ledger = books()

    ledger.deliver(purchased("p-1", credits_bought=5000), purchased("p-2", credits_bought="0.12345"))

    assert [("grant", "1000.0000"), ("grant", "0.1234")] == [*ledger.lines("grant#p-1"), *ledger.lines("grant#p-2")]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (purchased(None), "rule grant-purchase, field detail.purchaseId: is missing; a string is needed"),
        (purchased(""), "field detail.purchaseId: has 0 characters; 1 to 1024 are needed"),
        (purchased(1021 * "é"), None),
        (purchased(1022 * "é"), "takes 2044 bytes as UTF-8; a key of DynamoDB has room for 2042"),
        (purchased(credits_bought=-1), "field detail.credits: is -1; a finite number >= 0 is needed"),
        (purchased(userId=7), "field detail.userId: is 7; a string is needed"),
    ],
)
def test_a_purchase_that_makes_no_sense_is_an_error(document: dict[str, Any], problem: str | None) -> None:
    """It names the rule and the field, and moves nothing."""
    ledger = books()
    if problem is None:
        assert [Outcome.GRANTED] == ledger.deliver(document)
        return

    with pytest.raises(EventError, match=problem):
        ledger.deliver(document)
    assert {} == ledger.entries


def test_a_reference_belongs_to_the_user_it_first_named() -> None:
    """One purchase cannot be claimed by a second user."""
    ledger = books()
    ledger.balances["u-2"] = Decimal(0)
    ledger.deliver(purchased())

    with pytest.raises(EventError, match="is 'u-2'; the grant's first entry names 'u-1'"):
        ledger.deliver(purchased(userId="u-2"))


def test_a_grant_tells_the_job_where_there_is_one() -> None:
    """A bonus for a job's owner, say; it stays a grant."""
    ledger = books()

    ledger.deliver(purchased(jobId="j-9"), purchased("p-2", jobId=9))

    assert ["j-9", None] == [ledger.entries_of(f"grant#p-{n}")[0].job for n in (1, 2)]


def test_anomalies_see_what_a_grant_is_worth() -> None:
    """``grant.amount``; what looks at ``charge`` does not see a purchase."""
    large = "  - {name: large-purchase, match: {grant: {amount: [{numeric: ['>', 50]}]}}}\ncatch_up:\n"
    ledger = books(("catch_up:\n", large))

    ledger.deliver(purchased(credits_bought=51), rendered("j-1", seconds=510))

    assert ["large-purchase"] == ledger.anomalies("grant#p-1")
    assert ["costs-over-50", "longer-than-5-minutes"] == ledger.anomalies("j-1")
