"""What an entry keeps of its facts comes back as it was, also from the forms of earlier versions."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from engine.domain.entry import Entry
from engine.domain.envelope import Envelope, Source
from engine.domain.fact import Charge, Refund
from engine.domain.facts import Facts
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.postings import item_of, log_of_items
from engine.ledger.stored import entry_of
from tests.support.books import Books
from tests.support.events import event, failed, instant, rendered
from tests.support.policies import example

POSTED_AT = datetime(2026, 1, 6, tzinfo=UTC)
TEN = datetime(2026, 1, 5, 10, tzinfo=UTC)

GRANT = (
    ("time: time}", "time: time, reference: detail.purchaseId}"),
    (
        "  - name: flag-test-renders",
        "  - name: grant-purchase\n    match: {detail-type: [credits.purchased]}\n    action: grant\n"
        "    grant: {quantity: detail.credits}\n  - name: flag-test-renders",
    ),
)


def last_entry(*steps: dict[str, Any] | Envelope, reference: str = "j-1") -> Entry:
    """Return the last entry that these events and rows leave."""
    ledger = Books(example(*GRANT, ("percent: 100", "percent: 100, within: 2h")), {"u-1": Decimal(100)})
    for step in steps:
        ledger.reconcile(step if isinstance(step, Envelope) else Envelope(step, Source.EVENT))
    return ledger.entries_of(reference)[-1]


def row(started: str, document: dict[str, Any], status: str) -> Envelope:
    """Return the envelope of a row without a time of its own."""
    return Envelope({**document, "time": instant(started)}, Source.SCAN, status=status, time_is_assumed=True)


def purchased(amount: int) -> dict[str, Any]:
    """Return the event of a purchase."""
    return event("credits.purchased", {"purchaseId": "p-1", "userId": "u-1", "credits": amount})


def test_all_facts_come_back_as_they_were() -> None:
    """Twins, refunds with their rule and window, rows without a time, repeated grants."""
    kept = [
        last_entry(rendered(seconds=8), rendered(seconds=7), rendered(seconds=9), failed(at="11:00"), failed(at="11:30")),
        last_entry(row("12:00", rendered(), "completed"), row("18:00", failed(), "failed")),
        last_entry(rendered(), row("18:00", failed(), "failed")),
        last_entry(purchased(20), purchased(15), purchased(30), reference="grant#p-1"),
    ]

    for entry in kept:
        item = item_of(entry, POSTED_AT)
        assert entry.facts == entry_of(decode_item(item)).facts == log_of_items("job#j-1", [item]).facts
    assert [3, 1, 1] == [len(kept[0].facts.charges), len(kept[1].facts.weak_charges), len(kept[2].facts.weak_refunds)]
    assert 3 == len(kept[3].facts.grants)


def test_the_charge_that_counts_stands_where_it_always_stood() -> None:
    """Whoever reads the table finds it under `charge`; what else was told of its instant stands beside it."""
    facts = item_of(last_entry(rendered(seconds=8), rendered(seconds=7)), POSTED_AT)["facts"]["M"]

    assert "0.7" == facts["charge"]["M"]["amount"]["N"]
    assert ["0.8"] == [twin["M"]["amount"]["N"] for twin in facts["chargeTwins"]["L"]]


def test_the_facts_of_earlier_versions_are_known_still() -> None:
    """One charge, a refund without its rule, or one refund that is no list."""
    charge = {"amount": Decimal("0.8"), "at": "2026-01-05T10:00:00Z", "content": {"detail.seconds": "8"}, "policy": "video@1"}
    refund = {"percent": 100, "at": "2026-01-05T11:00:00Z", "policy": "video@1"}
    entry = decode_item(item_of(last_entry(rendered()), POSTED_AT))
    wanted = Facts(
        charges=(Charge(Decimal("0.8"), TEN, (("detail.seconds", "8"),), "video@1"),),
        refunds=(Refund(Decimal(100), TEN.replace(hour=11), None, "video@1"),),
    )

    for form in ({"refunds": [refund]}, {"refund": refund}):
        assert wanted == entry_of({**entry, "facts": {"charge": charge, **form}}).facts


def test_a_refund_of_an_earlier_version_is_told_again_by_any_rule() -> None:
    """It was kept without its rule, and one for each instant."""
    known = Refund(Decimal(50), TEN)

    assert known.is_told_by(Refund(Decimal(100), TEN, rule="refund-failed"))
    assert not known.is_told_by(Refund(Decimal(100), TEN.replace(hour=11), rule="refund-failed"))


def test_an_amount_or_a_cost_that_is_no_number_counts_for_nothing() -> None:
    """As audits count it, whose repair would be undone else: charged 0.80, the amount made a text, 0.80 corrected."""
    charged = item_of(last_entry(rendered("j-1")), POSTED_AT)
    damaged = {**charged, "amount": {"S": "-0.8"}, "cost": {"BOOL": True}}
    corrected = {**charged, "sequence": {"N": "2"}, "cost": {"NULL": True}}

    assert (Decimal(0), Decimal(0)) == ((log := log_of_items("job#j-1", [damaged])).posted, log.cost)
    assert (Decimal("-0.8"), Decimal("0.8")) == ((log := log_of_items("job#j-1", [charged])).posted, log.cost)
    assert (Decimal("-0.8"), Decimal(0)) == ((log := log_of_items("job#j-1", [damaged, corrected])).posted, log.cost)
