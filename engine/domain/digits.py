"""A number in plain digits: every message, entry and answer that shows one shows it so."""

from __future__ import annotations

from decimal import Decimal

PLAIN_DIGITS_MAX = 400
"""A number of more digits is shown with an exponent: written out it could fill all memory. No ledger holds such a number."""


def in_digits(number: Decimal) -> str:
    """Return a number in plain digits, with the places that it has: ``0.00000015``, never ``1.5E-7``."""
    return f"{number:f}" if number.is_finite() and abs(number.adjusted()) < PLAIN_DIGITS_MAX else str(number)


def as_text(value: object) -> str:
    """Return a value as text, a decimal in plain digits: for JSON, which has no form for decimals."""
    return in_digits(value) if isinstance(value, Decimal) else str(value)
