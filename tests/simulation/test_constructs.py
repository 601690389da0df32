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
