"""Numbers of the ledger: exact decimals of at most 38 digits, how they are read, written and rounded."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from typing import Any

from attrs import frozen

from engine.domain.errors import quoted

ZERO = Decimal(0)

EXACT = Context(prec=200)
"""Sums and products of the ledger's 38-digit numbers without loss; Python's own context would round them to 28 digits."""

DIGITS_MAX = 38
"""What a stored number has at most when it is written out. DynamoDB stores 1E+40 too, and boto3 cannot read it back."""

PLAIN_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")

JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")

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
        raise ValueError(f"is {quoted(value)}; a finite number >= 0 is needed")
    if not fits(number):
        raise ValueError(f"is {quoted(value)}; at most {DIGITS_MAX} digits, written out, fit into the ledger")
    return number or ZERO  # -0 and 0E+300 are 0


def fits(number: Decimal) -> bool:
    """Say whether a finite number has at most 38 digits written out: those before its point and those behind it."""
    text = str(number)
    if not number or (len(text) <= DIGITS_MAX and "E" not in text):  # as nearly all: it is written out so
        return True
    digits, first = digits_of(number), number.adjusted()
    return max(first + 1, 0) + max(digits - 1 - first, 0) <= DIGITS_MAX


def json_number(text: str) -> Decimal:
    """Return a JSON number with a fraction or an exponent as every door reads it: the shortest decimal of its binary double.

    Lambda hands over an event that it has parsed so already. A queue, a file and a row of a table must not say otherwise.
    """
    return Decimal(repr(float(text)))


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
