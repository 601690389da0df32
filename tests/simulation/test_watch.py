"""What is judged of each step, worked out by hand: a watch that sleeps would let a wrong posting pass."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulation.watch import Moved, problems

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
