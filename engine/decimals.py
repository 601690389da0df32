"""Numbers of the ledger: exact decimals of at most 38 digits, how they are read, written and rounded."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from typing import Any

from attrs import frozen

from engine.errors import shown

ZERO = Decimal(0)

EXACT = Context(prec=200)
"""Sums and products of the ledger's 38-digit numbers without loss; Python's own context would round them to 28 digits."""

DIGITS_MAX = 38
EXPONENT_MIN, EXPONENT_MAX = -130, 125
"""What a number of DynamoDB holds: 38 significant digits, from 1E-130 up to 9.99...E+125."""

PLAIN_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")

ROUNDINGS: Mapping[str, str] = {
    "half-even": ROUND_HALF_EVEN,
    "half-up": ROUND_HALF_UP,
    "up": ROUND_UP,
    "down": ROUND_DOWN,
}
"""The policy's words for rounding, and Python's. ``up`` is away from zero, ``down`` towards it."""


@frozen
class Money:
    """How many decimal places a credit has, and how an amount gets there."""

    places: int = 4
    rounding: str = "half-even"

    def round(self, amount: Decimal) -> Decimal:
        """Return ``amount`` with just these places, without loss for any number of the ledger's 38 digits."""
        return amount.quantize(_place(self.places), rounding=ROUNDINGS[self.rounding], context=EXACT)


@functools.cache
def _place(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)


def read_number(value: Any) -> Decimal:
    """Return a JSON number or a plain decimal string as an exact, finite number >= 0 that the ledger can hold.

    A binary float counts as the decimal that it was written as. Raises ValueError with what is wrong and what would be right.
    """
    number = _number(value)
    if number is None or not number.is_finite() or number < 0:
        raise ValueError(f"is {shown(value)}; a finite number >= 0 is needed")
    if not fits(number):
        raise ValueError(f"is {shown(value)}; at most {DIGITS_MAX} digits fit into the ledger")
    return number or ZERO  # -0 and 0E+300 are 0


def fits(number: Decimal) -> bool:
    """Say whether the ledger can hold a finite number without loss."""
    return not number or (EXPONENT_MIN <= number.adjusted() <= EXPONENT_MAX and digits_of(number) <= DIGITS_MAX)


def canonical(number: Decimal) -> str:
    """Return the one text of a number, however it was written: 8, 8.0 and 8.00 are ``8``."""
    return format(number.normalize(EXACT), "f") if number else "0"


def digits_of(number: Decimal) -> int:
    """Return how many significant digits a number has, trailing zeros left out."""
    return len(bytes(number.as_tuple().digits).rstrip(b"\0"))


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, str):
        return Decimal(value) if PLAIN_DECIMAL.fullmatch(value) else None
    return Decimal(value) if isinstance(value, int | Decimal) else None
