"""What the event bus is told of balances that are low, and of those that have recovered."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from attrs import evolve, field, frozen

from engine.anomalies.notices import LOW, RECOVERED, Notice, balance_notice, place_of
from engine.domain.entry import Entry
from engine.ledger.low_balances import LowBalance, LowBalanceStore
from engine.policy.model import LowBalanceBounds
from engine.runtime.clock import Deadline

STEPS_MAX = 8
"""A balance that fell and rose while nobody told it takes four; others at work on the same user make it more."""


@frozen
class BalanceWatch:
    """The balances, and the bounds that the policy has for them."""

    balances: LowBalanceStore = field(repr=False)
    bounds: LowBalanceBounds

    def notices(self, entry: Entry, deadline: Deadline) -> Iterator[Notice]:
        """Yield what is to be told of the balance of an entry's user, as it is now. Raises LedgerError.

        A notice counts as told once the next is asked for. What is to be told is noted first and told then: so it keeps its
        id, whoever tells it, and however often.
        """
        user, balances = entry.user, self.balances
        noted, remaining = balances.low_balance(user, deadline), balances.remaining(user, deadline)
        for _ in range(STEPS_MAX):
            if remaining is None:
                return
            if not noted.is_told:
                yield balance_notice(LOW if noted.is_low else RECOVERED, user, remaining, noted.place)
            after = self._next(noted, remaining, entry)
            if after == noted:
                return
            noted = after if balances.note(user, noted, after, deadline) else balances.low_balance(user, deadline)

    def _next(self, noted: LowBalance, remaining: Decimal, entry: Entry) -> LowBalance:
        """Return what is to stand of a user: what was just told as told, or what is to be told of the balance now."""
        if not noted.is_told:
            return evolve(noted, is_told=True)
        is_low = self.bounds.is_low(remaining, was_low=noted.is_low)
        return noted if is_low is noted.is_low else LowBalance(is_low, place_of(entry), is_told=False)
