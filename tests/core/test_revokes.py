"""Purchases that are taken back: refunded by the payment provider, or under dispute; each balance is worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from engine.audit.logs import faults
from engine.audit.recount import recount
from engine.domain.decision import Outcome
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, PolicyError
from engine.ledger.audits import Line
from engine.policy import Policy, parse_policy
from engine.preview.reasons import reasons_for
from tests.support.books import Books
from tests.support.events import event, instant
from tests.support.examples import tries

POLICY = """\
version: 1
name: stripe
event: {job: detail.jobId, user: detail.metadata.user, time: time, reference: detail.payment}
money: {places: 2}
rules:
  - {name: purchase, match: {detail-type: [checkout.completed]}, action: grant, grant: {quantity: detail.credits}}
  - name: refunded
    match: {detail-type: [charge.refunded]}
    action: revoke
    revoke: {amount: detail.amount_refunded}
  - name: dispute-opened
    match: {detail-type: [charge.dispute.created]}
    action: revoke
    revoke: {amount: detail.amount, series: disputes}
  - name: dispute-won
    match: {detail-type: [charge.dispute.closed], detail: {status: [won]}}
    action: revoke
    revoke: {percent: 0, series: disputes}
  - {name: chargeback, match: {detail-type: [chargeback]}, action: revoke, revoke: {percent: detail.percent, series: banks}}
overdraft: flag
"""


def stripe(*changes: tuple[str, str]) -> Policy:
    """Return the policy with each ``(old, new)`` text replaced."""
    text = POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_policy(text, "stripe.yaml")


def books(*changes: tuple[str, str], balance: int = 0) -> Books:
    """Return empty books with one user."""
    return Books(stripe(*changes), {"u-1": Decimal(balance)})


def told(detail_type: str, at: str, **said: Any) -> dict[str, Any]:
    """Return an event about one payment."""
    return event(detail_type, {"payment": "pi-1", "metadata": {"user": "u-1"}, **said}, at)


BOUGHT = told("checkout.completed", "10:00", credits=100)


def refunded(amount: Any, at: str) -> dict[str, Any]:
    """Return the provider's word that so much of the payment has been refunded by now."""
    return told("charge.refunded", at, amount_refunded=amount)


def disputed(amount: Any, at: str) -> dict[str, Any]:
    """Return the provider's word that so much of the payment is under dispute."""
    return told("charge.dispute.created", at, amount=amount)


def won(at: str) -> dict[str, Any]:
    """Return the provider's word that the dispute was won."""
    return told("charge.dispute.closed", at, status="won", amount=40)


def test_a_revoke_takes_back_what_was_bought_and_a_dispute_that_was_won_gives_it_back():
    """100 bought; 30, then 50 refunded in all; 40 under dispute, and won; and a second time nothing moves."""
    story = [BOUGHT, refunded(30, "11:00"), refunded(50, "12:00"), disputed(40, "13:00"), won("14:00")]
    ledger = books()

    outcomes = ledger.deliver(*story)

    assert [Outcome.GRANTED, *[Outcome.REVOKED] * 4] == outcomes
    assert [
        ("grant", "100.00"),
        ("revoke", "-30.00"),
        ("revoke", "-20.00"),
        ("revoke", "-40.00"),
        ("revoke", "40.00"),
    ] == ledger.lines("grant#pi-1")
    assert [Outcome.DUPLICATE] * 5 == ledger.deliver(*story)
    assert Decimal(50) == ledger.balances["u-1"]


@pytest.mark.parametrize(
    ("story", "left"),
    [
        ((refunded(30, "11:00"), refunded(50, "12:00")), 50),  # cumulative: not 80
        ((refunded(50, "11:00"), refunded(30, "12:00")), 70),  # the latest says how much it is in all
        ((refunded(30, "11:00"), refunded(50, "11:00")), 50),  # of one instant the larger
        ((refunded(30, "11:00"), disputed(50, "11:00")), 20),  # series add up, of one instant too
        ((refunded(70, "11:00"), disputed(70, "12:00")), 0),  # never below 0
        ((refunded(70, "11:00"), disputed(70, "12:00"), won("13:00")), 30),
        ((disputed(70, "13:00"), won("13:00")), 30),  # of one instant the larger
        ((told("chargeback", "11:00", percent=25), refunded(30, "12:00")), 45),
        ((told("chargeback", "11:00", percent="33.335"),), 66.66),  # 66.665 is left, half-even
        ((refunded(500, "11:00"),), 0),
        ((refunded(0, "11:00"),), 100),
        ((refunded("0.005", "11:00"),), 100),  # rounded to the places of a credit: 0.00
    ],
)
def test_any_order_ends_in_the_same_balance(story: tuple[dict[str, Any], ...], left: float):
    """Also where a revoke comes before its purchase; and each entry follows from those before it."""
    for order in permutations((BOUGHT, *story)):
        ledger = books()
        ledger.deliver(*order, *order)

        assert Decimal(str(left)) == ledger.balances["u-1"] == ledger.net("grant#pi-1")
        assert [] == [problem for counted in recount(ledger.entries_of("grant#pi-1")) for problem in counted.problems]
        assert [] == faults([line_of(entry) for entry in ledger.entries_of("grant#pi-1")])


def line_of(entry: Entry) -> Line:
    """Return an entry as an audit reads it."""
    return Line(entry.reference, entry.sequence, entry.user, entry.type.value, entry.amount, entry.cost)


def test_a_revoke_before_its_purchase_is_remembered():
    """It moves nothing; the purchase then gives what is left, as a grant; what was taken back wholly gives nothing."""
    ledger = books()

    assert [Outcome.VOIDED, Outcome.GRANTED] == ledger.deliver(refunded(30, "09:00"), BOUGHT)
    assert [("void", "0"), ("grant", "70.00")] == ledger.lines("grant#pi-1")

    ledger = books()
    assert [Outcome.VOIDED, Outcome.VOIDED] == ledger.deliver(refunded(100, "09:00"), BOUGHT)
    assert Decimal(0) == ledger.balances["u-1"]


@pytest.mark.parametrize("overdraft", ["allow", "flag", "refuse"])
def test_a_revoke_waits_for_no_balance(overdraft: str):
    """100 were bought and 90 spent: the user is 40 below zero, and where the policy flags that, it is flagged."""
    ledger = books(("overdraft: flag", f"overdraft: {overdraft}"))
    ledger.deliver(BOUGHT)
    ledger.balances["u-1"] = Decimal(10)

    assert [Outcome.REVOKED] == ledger.deliver(refunded(50, "11:00"))
    assert Decimal(-40) == ledger.balances["u-1"]
    assert ([] if overdraft == "allow" else ["overdraft"]) == ledger.anomalies("grant#pi-1")


def test_a_purchase_that_is_told_again_changes_nothing():
    """With the same amount. A smaller one is corrected as a grant: 50 % of 80 are left then."""
    ledger = books()
    ledger.deliver(BOUGHT, told("chargeback", "11:00", percent=50))

    assert [Outcome.DUPLICATE] == ledger.deliver(BOUGHT)
    assert [Outcome.GRANTED] == ledger.deliver(told("checkout.completed", "10:00", credits=80))
    assert ("grant", "-10.00") == ledger.lines("grant#pi-1")[-1]
    assert Decimal(40) == ledger.balances["u-1"]


def test_a_revoke_keeps_its_amount_and_its_series_when_the_policy_changes():
    """Half of 100 was taken back. Under another name and another share it is the same event still."""
    ledger = books()
    half = told("chargeback", "11:00", percent=50)
    ledger.deliver(BOUGHT, half)

    ledger.policy = stripe(("percent: detail.percent, series: banks", "amount: 10, series: chargebacks"))

    assert [Outcome.DUPLICATE] == ledger.deliver(half)
    assert Decimal(50) == ledger.balances["u-1"]
    assert [Outcome.REVOKED] == ledger.deliver(told("chargeback", "12:00", percent=50))
    assert Decimal(40) == ledger.balances["u-1"]


def test_of_a_series_that_was_renamed_the_eight_steps_before_the_latest_are_known():
    """Ten steps took 10 in all. Told again under the new name the last nine are known; the first one adds its 1 to them."""
    ledger = books()
    steps = [refunded(amount, f"11:{amount:02}") for amount in range(1, 11)]
    ledger.deliver(BOUGHT, *steps)

    ledger.policy = stripe(("amount: detail.amount_refunded", "amount: detail.amount_refunded, series: returned"))

    assert 9 * [Outcome.DUPLICATE] == ledger.deliver(*steps[1:])
    assert [Outcome.REVOKED] == ledger.deliver(steps[0])
    assert Decimal(89) == ledger.balances["u-1"]


def test_a_flat_figure_is_known_by_what_kind_of_event_it_was():
    """The dispute was won in the second in which it was opened, and the series has another name in between."""
    ledger = books()
    ledger.deliver(BOUGHT, won("11:00"))

    ledger.policy = stripe(("percent: 0, series: disputes", "percent: 0, series: banks"))

    assert [Outcome.REVOKED, Outcome.DUPLICATE] == ledger.deliver(disputed(40, "11:00"), won("11:00"))
    assert Decimal(60) == ledger.balances["u-1"]


def test_a_known_amount_is_not_rounded_anew_when_the_policy_has_fewer_places():
    """A dispute over 33.33 that was won leaves all of the 99.99 that were bought."""
    ledger = books()
    ledger.deliver(told("checkout.completed", "10:00", credits="99.99"), disputed("33.33", "11:00"))

    ledger.policy = stripe(("places: 2", "places: 0"))

    assert [Outcome.REVOKED] == ledger.deliver(won("12:00"))
    assert Decimal("99.99") == ledger.balances["u-1"]


def test_a_row_without_a_time_of_its_own_takes_back_once():
    """However often it is scanned; once it says more, that is taken back; and less and more again, as it says."""
    ledger = books()
    ledger.deliver(BOUGHT)
    for amount, started in ((30, "12:00"), (30, "13:00"), (60, "14:00"), (60, "15:00"), (30, "16:00"), (60, "17:00")):
        document = {**refunded(amount, "00:00"), "time": instant(started)}
        ledger.reconcile(Envelope(document, Source.SCAN, status="refunded", time_is_assumed=True))

    steps = [("revoke", "-30.00"), ("revoke", "-30.00"), ("revoke", "30.00"), ("revoke", "-30.00")]
    assert [("grant", "100.00"), *steps] == ledger.lines("grant#pi-1")


def test_of_one_series_and_one_instant_a_ninth_that_says_something_else_makes_no_sense():
    """Eight are kept; those of other series and instants do not count for it."""
    ledger = books()
    ledger.deliver(BOUGHT, *(refunded(amount, "11:00") for amount in range(1, 9)), disputed(1, "11:00"))

    with pytest.raises(EventError, match="is of the same instant as 8 others"):
        ledger.deliver(refunded(9, "11:00"))
    assert [Outcome.REVOKED] == ledger.deliver(refunded(9, "11:01"))
    assert Decimal(90) == ledger.balances["u-1"]


def test_a_revoke_of_somebody_else_makes_no_sense():
    """The purchase names its user."""
    ledger = books()
    ledger.deliver(BOUGHT)

    with pytest.raises(EventError, match="the grant's first entry names 'u-1'"):
        ledger.deliver(event("charge.refunded", {"payment": "pi-1", "metadata": {"user": "u-2"}, "amount_refunded": 5}))


def test_a_figure_that_makes_no_sense_comes_back():
    """With its field."""
    with pytest.raises(EventError, match=r"detail\.percent: is 101; a number from 0 to 100 is needed"):
        books().deliver(told("chargeback", "11:00", percent=101))


def test_the_recount_and_the_reasons_say_what_is_taken_back():
    """In the words of a person."""
    ledger = books()
    ledger.deliver(refunded(30, "09:00"), BOUGHT, told("chargeback", "11:00", percent=10))
    counted = recount(ledger.entries_of("grant#pi-1"))

    assert "30 credits taken back by series `refunded` at 2026-01-05T09:00:00Z" in counted[0].steps
    assert "no grant is known, so nothing is taken back" in counted[0].steps
    assert "10 % taken back by series `banks` at 2026-01-05T11:00:00Z" in counted[2].steps
    assert "gives 60.00 (half-even, 2 places)" in counted[2].steps
    lines = [*reasons_for(told("chargeback", "11:00", percent=10), stripe()).lines()]
    assert "  detail.percent is 10" in lines
    assert "  series `banks` takes back 10 % of the grant: nothing, since the event is taken as the grant's first" in lines


def test_the_recount_finds_an_entry_of_another_type():
    """Somebody has made a grant of what was a revoke."""
    ledger = books()
    ledger.deliver(BOUGHT, refunded(30, "11:00"))
    entries = ledger.entries_of("grant#pi-1")
    forged = [entries[0], entries[1].__class__(**{**as_fields(entries[1]), "type": EntryType.GRANT})]

    assert ("its type is grant; revoke follows",) == recount(forged)[1].problems


def as_fields(entry: Any) -> dict[str, Any]:
    """Return an entry's fields."""
    return {field.name: getattr(entry, field.name) for field in entry.__attrs_attrs__}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((", reference: detail.payment", ""), "a revoke rule needs `event.reference`"),
        (("{amount: detail.amount_refunded}", "{}"), "`percent` or `amount` is missing: how much goes back"),
        (("{amount: detail.amount_refunded}", "{amount: 1, percent: 2}"), "`amount` has no meaning beside `percent`"),
        (("{amount: detail.amount_refunded}", '{amount: "0.001"}'), "`amount` 0.001 has more than the 2 places of `money`"),
        (("series: disputes}\n  - name: dispute-won", "series: My Disputes}\n  - name: dispute-won"), "a name has lower case"),
        (("{amount: detail.amount_refunded}", "{amount: 1, within: 1h}"), "`within` is not known here"),
        (("revoke: {amount: detail.amount_refunded}", "refund: {amount: 1}"), "a revoke rule needs `revoke`"),
    ],
)
def test_a_revoke_rule_that_is_wrong_is_refused(change: tuple[str, str], message: str):
    """In words that say what would be right."""
    with pytest.raises(PolicyError) as raised:
        stripe(change)

    assert message in str(raised.value)


# --- any history, against the rules alone -----------------------------------------------------------------------------


@frozen
class Word:
    """One telling of the payment provider."""

    kind: str
    at: int
    figure: int

    def envelope(self) -> dict[str, Any]:
        """Return its event."""
        at = f"{10 + self.at}:00"
        tell: dict[str, Callable[[], dict[str, Any]]] = {
            "bought": lambda: told("checkout.completed", at, credits=self.figure),
            "refunded": lambda: refunded(self.figure, at),
            "disputed": lambda: disputed(self.figure, at),
            "won": lambda: told("charge.dispute.closed", at, status="won"),
            "chargeback": lambda: told("chargeback", at, percent=min(self.figure, 100)),
        }
        return tell[self.kind]()


SERIES = {"refunded": "refunded", "disputed": "disputes", "won": "disputes", "chargeback": "banks"}


def balance_by_the_rules(words: list[Word]) -> Fraction:
    """Return what is left of the smallest grant, less of each series its latest, of one instant the larger."""
    bought = min((word.figure for word in words if word.kind == "bought"), default=0)
    left = Fraction(bought)
    for series in {*SERIES.values()}:
        of_series = [word for word in words if SERIES.get(word.kind) == series]
        latest = max((word.at for word in of_series), default=0)
        taken = [
            0 if word.kind == "won" else Fraction(bought * min(word.figure, 100), 100 if word.kind == "chargeback" else 1)
            if word.kind == "chargeback" else Fraction(word.figure)
            for word in of_series if word.at == latest
        ]  # fmt: skip
        left -= max(taken, default=0)
    return max(left, Fraction(0))


WORDS = st.builds(Word, st.sampled_from(["bought", *SERIES]), st.integers(0, 3), st.sampled_from([0, 5, 20, 40, 75, 100, 300]))


@tries(500, database=None)
@given(st.lists(WORDS, min_size=1, max_size=8).flatmap(lambda words: st.tuples(st.just(words), st.permutations(words))))
def test_any_history_in_any_order_ends_in_what_the_rules_say(histories: tuple[list[Word], list[Word]]):
    """Each order told twice, and each entry follows from those before it."""
    words = histories[0]
    for order in histories:
        ledger = books(balance=0)
        ledger.deliver(*(word.envelope() for word in (*order, *order)))

        assert balance_by_the_rules(words) == Fraction(ledger.balances["u-1"])
        assert [] == [problem for counted in recount(ledger.entries_of("grant#pi-1")) for problem in counted.problems]
