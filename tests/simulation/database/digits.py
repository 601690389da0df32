"""Numbers as DynamoDB keeps them: 38 significant digits, from 1E-130 to 9.99...E+125, without zeroes at either end.

Source: "Number" under "Naming rules and data types" and under "Quotas", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact
from functools import lru_cache

from tests.simulation.database.errors import Invalid, InvalidForItem

DIGITS_MAX = 38
EXPONENT_MAX, EXPONENT_MIN = 125, -130
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?0*[0-9]{1,18})?")
"""An exponent of more digits is no number to the service; it would be out of range anyway."""
EXACT = Context(prec=600, traps=[Inexact])
"""Wide enough for the sum of the largest and the smallest number."""

OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
TOO_PRECISE = "Attempting to store more than 38 significant digits in a Number"


@lru_cache(maxsize=1 << 16)
def number_of(text: str) -> Decimal:
    """Return the number that a text says, in its canonical form. Raises Invalid."""
    if not NUMBER.fullmatch(text):
        raise Invalid(f"The parameter cannot be converted to a numeric value: {text}")
    number = trimmed(Decimal(text))
    if problem := problem_of(number):
        raise Invalid(problem)
    return number


def problem_of(number: Decimal) -> str | None:
    """Return why a number cannot be kept, or None."""
    if not number:
        return None
    if number.adjusted() > EXPONENT_MAX:
        return OVERFLOW
    if number.adjusted() < EXPONENT_MIN:
        return UNDERFLOW
    return TOO_PRECISE if len(number.as_tuple().digits) > DIGITS_MAX else None


def trimmed(number: Decimal) -> Decimal:
    """Return a number without zeroes at its end; there is one zero, without a sign."""
    sign, digits, exponent = number.as_tuple()
    if not any(digits) or not isinstance(exponent, int):
        return Decimal(0)
    kept = len(digits)
    while not digits[kept - 1]:
        kept -= 1
    return Decimal((sign, digits[:kept], exponent + len(digits) - kept))


@lru_cache(maxsize=1 << 16)
def canonical(text: str) -> str:
    """Return the text that DynamoDB gives back for a number."""
    return format(number_of(text), "f")


def summed(one: str, other: str, sign: int = 1) -> str:
    """Return the sum (or with -1 the difference) of two numbers. Raises InvalidForItem where it cannot be kept."""
    number = trimmed(EXACT.add(number_of(one), number_of(other) if sign > 0 else number_of(other).copy_negate()))
    if problem := problem_of(number):
        raise InvalidForItem(problem)
    return format(number, "f")


def bytes_of(text: str) -> int:
    """Return what a number takes: half a byte for each significant digit, one more, and one for a sign."""
    number = number_of(text)
    digits = len(number.as_tuple().digits) if number else 0
    return (digits + 1) // 2 + 1 + number.is_signed()
