"""What was told of users whose balances are low. It stands in State: nothing that moves credits depends on it."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from attrs import frozen

from engine.runtime.clock import Deadline


@frozen
class LowBalance:
    """What is to be told of a user's balance, or was: that it is low, or is so no more (as of nobody told).

    ``place`` is where the entry stands that led there. It is written before anything is told, so that whoever comes later
    tells the same once more, and not another thing.
    """

    is_low: bool = False
    place: str = ""
    is_told: bool = True


NEVER_LOW = LowBalance()
"""What stands of a user of whom nothing was ever told."""


class LowBalanceStore(Protocol):
    """Balances, and what was told of those that are low. All is read strongly consistent."""

    def remaining(self, user: str, deadline: Deadline) -> Decimal | None:
        """Return a user's balance; None where there is none, or no number."""

    def low_balance(self, user: str, deadline: Deadline) -> LowBalance:
        """Return what stands of a user."""

    def note(self, user: str, before: LowBalance, after: LowBalance, deadline: Deadline) -> bool:
        """Let ``after`` stand in the place of ``before``; False where that stands no more."""
