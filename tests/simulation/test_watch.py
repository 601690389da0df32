"""What is judged of each step, worked out by hand: a watch that sleeps would let a wrong posting pass."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulation.watch import Moved, problems, said_too_much

NONE: frozenset[str] = frozenset()
OVERDRAFT, UNKNOWN = frozenset({"overdraft"}), frozenset({"unknown-user"})


def moved(amount: str, left: str, flags: frozenset[str] = NONE, *, had_row: bool = True, log: str = "job#j-1") -> Moved:
    """Return an entry that was posted, and what was left of the balance right after it."""
    return Moved(log, 2, "u-1", Decimal(amount), flags, had_row, Decimal(left))


@pytest.mark.parametrize(
    ("said", "overdraft", "unknown_user", "count"),
    [
        (moved("-1", "0"), "flag", "refuse", 0),
        (moved("-1", "-0.5"), "allow", "refuse", 0),
        (moved("-1", "-0.5", OVERDRAFT), "flag", "refuse", 0),
        (moved("-1", "-0.5"), "flag", "refuse", 1),  # no flag tells of it
        (moved("-1", "0", OVERDRAFT), "flag", "refuse", 1),  # it was covered
        (moved("-1", "-0.5"), "refuse", "refuse", 2),  # it should wait, and no flag tells of it
        (moved("-1", "-0.5", OVERDRAFT), "refuse", "refuse", 1),  # it should wait
        (moved("-1", "-0.5", OVERDRAFT, log="grant#p-1"), "refuse", "refuse", 0),  # what was granted is taken back at once
        (moved("1", "-3"), "refuse", "refuse", 0),  # a refund asks for nothing
        (moved("-1", "-1", OVERDRAFT | UNKNOWN, had_row=False), "flag", "flag", 0),
        (moved("-1", "-1", OVERDRAFT | UNKNOWN, had_row=False), "flag", "refuse", 1),
        (moved("-1", "-1", OVERDRAFT, had_row=False), "flag", "flag", 1),  # no flag tells that the user is new
        (moved("5", "5", UNKNOWN), "flag", "flag", 1),  # there was a row
    ],
)
def test_a_movement_is_judged_by_what_was_left(said: Moved, overdraft: str, unknown_user: str, count: int) -> None:
    """By the policy's words for a balance that does not cover a debit, and for a user without one."""
    assert count == len(list(problems(said, overdraft, unknown_user)))


ENTRY: dict[str, Any] = {
    "reference": "job#j-1",
    "sequence": 1,
    "amount": Decimal(-1),
    "facts": {"charge": {"amount": Decimal(1)}},
    "price": {"rate": Decimal(1)},
    "anomalies": [],
}
ROW: dict[str, Any] = {"userId": "u-1", "remaining": Decimal(9), "posted": Decimal(-1)}


@pytest.mark.parametrize(
    ("log", "row", "unknown_user", "count"),
    [
        ([ENTRY], ROW, "refuse", 0),
        ([ENTRY, ENTRY | {"sequence": 2, "amount": Decimal(1)}], ROW, "refuse", 0),  # it moves something
        ([ENTRY, ENTRY | {"sequence": 2, "amount": Decimal(0)}], ROW, "refuse", 1),  # it says nothing new
        ([ENTRY, ENTRY | {"sequence": 2, "amount": Decimal(0), "facts": {}}], ROW, "refuse", 0),
        ([ENTRY, ENTRY | {"reference": "job#j-2", "amount": Decimal(0)}], ROW, "refuse", 0),  # a log of its own
        ([ENTRY | {"note": "by hand"}], ROW, "refuse", 1),
        ([ENTRY | {"price": {"currency": "EUR"}}], ROW, "refuse", 1),
        ([ENTRY | {"facts": {"charge": {"amount": None}}}], ROW, "refuse", 1),
        ([ENTRY | {"anomalies": [{"name": "dear", "figures": None}]}], ROW, "refuse", 1),
        ([ENTRY | {"anomalies": [{"name": "unknown-user"}]}], ROW, "flag", 0),
        ([ENTRY | {"anomalies": [{"name": "unknown-user"}]}], ROW, "refuse", 1),  # it should have come back
        ([ENTRY], ROW | {"lastAmount": Decimal(-1)}, "refuse", 1),
        ([ENTRY], ROW | {"posted": None}, "refuse", 1),
    ],
)
def test_an_item_says_what_it_has_a_place_for(
    log: list[dict[str, Any]], row: dict[str, Any], unknown_user: str, count: int
) -> None:
    """No attribute too many, no NULL, no entry without news, and nobody stands there whom the policy refuses."""
    assert count == len(list(said_too_much(log, {"u-1": row}, unknown_user)))
