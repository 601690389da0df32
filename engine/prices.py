"""Price books: effective dates, rates, bounds, rounding. All in exact decimals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Any

from attrs import frozen

from engine.errors import shown
from engine.paths import Path, PathProblem
from engine.values import EXACT, ZERO, Document, Price

DIGITS_MAX = 38
EXPONENT_MIN, EXPONENT_MAX = -130, 125
"""What a number of DynamoDB holds: 38 significant digits, from 1E-130 up to 9.99...E+125."""

PLAIN_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")

DEFAULT_RATE = "default"

EVENT_TIME = "time"
"""What a PriceProblem calls the event's time; where the time stands in the envelope is for the policy to say."""

ROUNDINGS: Mapping[str, str] = {
    "half-even": ROUND_HALF_EVEN,
    "half-up": ROUND_HALF_UP,
    "up": ROUND_UP,
    "down": ROUND_DOWN,
}
"""The policy's words for rounding, and Python's. ``up`` is away from zero, ``down`` towards it."""


class PriceProblem(ValueError):
    """What makes a charge impossible: ``field`` is where in the event, ``problem`` what is wrong and what would be right."""

    def __init__(self, field: str, problem: str) -> None:
        self.field, self.problem = field, problem
        super().__init__(f"{field} {problem}")


@frozen
class Money:
    """How many decimal places a credit has, and how an amount gets there."""

    places: int = 4
    rounding: str = "half-even"

    def round(self, amount: Decimal) -> Decimal:
        """Return ``amount`` with just these places, without loss for any number of the ledger's 38 digits."""
        return amount.quantize(Decimal(1).scaleb(-self.places), rounding=ROUNDINGS[self.rounding], context=EXACT)


@frozen
class PriceRow:
    """The rates from ``effective`` on. ``by`` finds the value that selects the rate; None where there is only the default."""

    effective: datetime
    rates: Mapping[str, Decimal]
    by: Path | None = None


@frozen
class PriceBook:
    """A named price over time: rows in ascending order of their effective dates."""

    name: str
    rows: tuple[PriceRow, ...]

    def row_at(self, instant: datetime) -> PriceRow | None:
        """Return the row in force at ``instant``, or None before the first."""
        return next((row for row in reversed(self.rows) if row.effective <= instant), None)


@frozen
class ChargeTerms:
    """What a debit costs: a flat ``amount``, or a quantity at the rate of a price book, within bounds (credits)."""

    amount: Decimal | None = None
    book: PriceBook | None = None
    quantity: Path | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None


@frozen
class Priced:
    """A charge, and how it came about. ``content`` is what the event itself said, in canonical text."""

    amount: Decimal
    quantity: Decimal | None = None
    price: Price | None = None
    content: tuple[str, ...] = ()


def price_charge(terms: ChargeTerms, document: Document, at: datetime, money: Money) -> Priced:
    """Return what the event costs: quantity x rate, not less than the minimum, not more than the maximum, rounded last.

    Raises PriceProblem for a quantity or a selected rate that makes no sense, and for an instant before all prices.
    """
    if terms.book is None or terms.quantity is None:
        return Priced(_amount(terms.amount or ZERO, money, "charge.amount"))
    quantity = _quantity(terms.quantity, document)
    row = terms.book.row_at(at)
    if row is None:
        raise PriceProblem(
            EVENT_TIME, f"is before the first price of {terms.book.name} ({terms.book.rows[0].effective:%Y-%m-%d})"
        )
    selected = _selected(row, document)
    unit, rate = _rate(row, selected, terms.book.name)
    amount = _within(EXACT.multiply(quantity, rate), terms)
    return Priced(
        amount=_amount(amount, money, terms.quantity.text),
        quantity=quantity,
        price=Price(terms.book.name, row.effective, rate, unit),
        content=(canonical(quantity), *((selected,) if selected is not None else ())),
    )


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


def _quantity(path: Path, document: Document) -> Decimal:
    try:
        return read_number(path.search(document))
    except PathProblem as problem:
        raise PriceProblem(path.text, f"cannot be worked out: {problem}") from problem
    except ValueError as problem:
        raise PriceProblem(path.text, str(problem)) from problem


def _selected(row: PriceRow, document: Document) -> str | None:
    if row.by is None:
        return None
    try:
        value = row.by.search(document)
    except PathProblem as problem:
        raise PriceProblem(row.by.text, f"cannot be worked out: {problem}") from problem
    if not isinstance(value, str):
        raise PriceProblem(row.by.text, f"is {shown(value)}; a string that selects a rate is needed")
    return value


def _rate(row: PriceRow, selected: str | None, book: str) -> tuple[str, Decimal]:
    unit = selected if selected in row.rates else DEFAULT_RATE
    if unit is None or unit not in row.rates:
        field = row.by.text if row.by else "charge"
        known = ", ".join(sorted(row.rates))
        raise PriceProblem(field, f"is {shown(selected)}; {book} has neither that rate nor a default, only: {known}")
    return unit, row.rates[unit]


def _within(amount: Decimal, terms: ChargeTerms) -> Decimal:
    if terms.minimum is not None and amount < terms.minimum:
        return terms.minimum
    return terms.maximum if terms.maximum is not None and amount > terms.maximum else amount


def _amount(amount: Decimal, money: Money, field: str) -> Decimal:
    rounded = money.round(amount) if amount.adjusted() < DIGITS_MAX else None
    if rounded is None or len(rounded.as_tuple().digits) > DIGITS_MAX:
        raise PriceProblem(field, f"makes a charge of more than the {DIGITS_MAX} digits that fit into the ledger")
    return rounded
