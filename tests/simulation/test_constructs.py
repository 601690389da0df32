"""What is counted of an entry: which constructs of the policy it shows. Bugs in them stand in ``mutants/of_constructs.py``."""

from __future__ import annotations

from decimal import Decimal

from tests.simulation.constructs import CONSTRUCTS, constructs


def test_constructs_are_counted_by_what_entries_show() -> None:
    """An entry may use several; one that charges nothing by a price uses none."""
    gold = {"book": "plan", "unit": "gold", "effective": "2026-01-05T07:00:00Z"}
    charged = {
        "type": "debit",
        "rule": "hook-renamed",
        "amount": Decimal(-1),
        "price": gold,
        "occurredAt": "2026-01-05T07:01:00Z",
    }
    refunded = {"type": "refund", "rule": "whole", "amount": Decimal(1), "occurredAt": "2026-01-05T07:01:00Z"}

    assert ["price by the job's row", "a row that says what changes", "a rule with another name"] == [*constructs([charged])]
    assert [] == [*constructs([refunded])]
    assert set(constructs([charged])) <= CONSTRUCTS.keys()


def test_attempts_are_counted_by_the_facts_of_an_entry() -> None:
    """Of which the last refund is of the highest attempt."""
    entry = {"rule": "whole", "occurredAt": "2026-01-05T07:01:00Z"}
    first, second = {"charge": {"amount": 1}}, {"charge": {"amount": 1, "attempt": 2}}
    charged = [{**entry, "type": "debit", "amount": Decimal(-1), "facts": facts} for facts in (first, second)]
    back = [
        {**entry, "type": "refund", "amount": Decimal(1), "facts": {**second, "refunds": [{}, {"attempt": number}]}}
        for number in (2, 3)
    ]

    assert ["a charge of the second attempt or a higher one"] == [*constructs(charged)]
    assert ["what the attempts below were charged comes back"] == [*constructs(back)]
