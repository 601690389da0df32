"""What entries move of a user's row: the balance, with what was posted, and how much of the user's credits is held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Self

from attrs import frozen

from engine.domain.money import EXACT, ZERO


@frozen
class Moved:
    """Credits, signed from the user's side. A hold of 5 moves the balance by -5, and ``held`` by 5. Sums are exact."""

    amount: Decimal = ZERO
    held: Decimal = ZERO

    @classmethod
    def read(cls, stored: Mapping[str, Any], name: str) -> Self:
        """Return what ``answer`` has written under a name. Raises KeyError or ArithmeticError for what is none."""
        return cls(Decimal(stored[name]), Decimal(stored.get(f"{name}Held", ZERO)))

    def answer(self, name: str) -> dict[str, Decimal]:
        """Return it as JSON-like values under a name; what is held only where it is not 0."""
        return {name: self.amount, **({f"{name}Held": self.held} if self.held else {})}

    @property
    def in_words(self) -> str:
        """What the balance moves by, and what is held, each where it is not 0, as a person reads it; empty for nothing."""
        balance = f", the balance moves by {self.amount:f}" if self.amount else ""
        return balance + (f", `held` moves by {self.held:f}" if self.held else "")

    def __add__(self, other: Moved) -> Moved:
        return Moved(EXACT.add(self.amount, other.amount), EXACT.add(self.held, other.held))

    def __sub__(self, other: Moved) -> Moved:
        return Moved(EXACT.subtract(self.amount, other.amount), EXACT.subtract(self.held, other.held))

    def __neg__(self) -> Moved:
        return NOTHING - self

    def __bool__(self) -> bool:
        return self.amount != ZERO or self.held != ZERO


NOTHING = Moved()


def sum_of(moves: Iterable[Moved], begun: Moved = NOTHING) -> Moved:
    """Return the exact sum of both."""
    return sum(moves, start=begun)


def more_held(held: Decimal) -> str:
    """Return how much more is held, or less, as a person reads it behind an amount; empty for nothing."""
    return f" and {abs(held):f} {'more' if held > 0 else 'less'} held" if held else ""
