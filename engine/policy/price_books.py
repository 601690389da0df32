"""Price books: effective dates, rates, tiers, bounds, rounding. All in exact decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, assert_never

from attrs import field, frozen

from engine.domain.errors import shown
from engine.domain.money import DIGITS_MAX, EXACT, ZERO, Money, canonical, read_number
from engine.domain.price import Price, Tier, TierModel
from engine.domain.texts import text_problem
from engine.policy.expressions.paths import Path, PathProblem

if TYPE_CHECKING:
    from engine.domain.envelope import Document
    from engine.domain.facts import Content

DEFAULT_RATE = "default"

EVENT_TIME = "time"
"""What a PriceProblem calls the event's time; where the time stands in the envelope is for the policy to say."""

Rates = Mapping[str, "tuple[Tier, ...] | Rates"]
"""By each value of a selector: the tiers of a rate (a plain rate is a single one), or the rates by the next selector."""


def rates_by_unit(rates: Rates) -> Iterator[tuple[str, tuple[Tier, ...]]]:
    """Yield each rate with the keys that lead to it, joined as an entry's price has them."""
    for key, rate in rates.items():
        if isinstance(rate, tuple):
            yield key, rate
        else:
            yield from ((f"{key}/{unit}", tiers) for unit, tiers in rates_by_unit(rate))


class PriceProblem(ValueError):
    """What makes a charge impossible: ``field`` is where in the event, ``problem`` what is wrong and what would be right."""

    def __init__(self, field: str, problem: str) -> None:
        self.field, self.problem = field, problem
        super().__init__(f"{field} {problem}")


@frozen
class PriceRow:
    """The rates from ``effective`` on. ``by`` finds the values that select the rate; none where there is only the default."""

    effective: datetime
    rates: Rates
    by: tuple[Path, ...] = ()
    tier_model: TierModel = TierModel.GRADUATED


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
    """What a debit costs or a grant is worth, within bounds (credits).

    A flat ``amount``; or a quantity at the rate of a price book; or, without a book, the quantity itself.
    """

    amount: Decimal | None = None
    book: PriceBook | None = None
    quantity: Path | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def paths(self) -> Iterator[Path]:
        """Yield the expressions that an event is asked."""
        if self.quantity is not None:
            yield self.quantity
        for row in self.book.rows if self.book else ():
            yield from row.by


@frozen
class Priced:
    """An amount, and how it came about. ``content`` is what the event itself said, in canonical text."""

    amount: Decimal
    price: Price = field(factory=Price)
    quantity: Decimal | None = None
    content: Content = ()


def price_charge(terms: ChargeTerms, document: Document, at: datetime, money: Money) -> Priced:
    """Return what the event costs: the price in force at ``at`` times the quantity, within bounds, rounded last.

    Raises PriceProblem for a quantity or a selected rate that makes no sense, and for an instant before all prices.
    """
    if terms.quantity is None:
        flat = Price(amount=terms.amount)
        return Priced(_fitting(amount_of(flat, None, money), "charge.amount"), flat)
    quantity = _quantity(terms.quantity, document)
    price, selected = _selected(terms, terms.book, document, at, quantity) if terms.book else (_unpriced(terms), ())
    return Priced(
        amount=_fitting(amount_of(price, quantity, money), terms.quantity.text),
        price=price,
        quantity=quantity,
        content=tuple(sorted({terms.quantity.text: canonical(quantity), **dict(selected)}.items())),
    )


def amount_of(price: Price, quantity: Decimal | None, money: Money) -> Decimal:
    """Return what ``quantity`` comes to at a price: not less than its minimum, not more than its maximum, rounded last.

    It needs nothing but what an entry of the ledger keeps, so that an amount can be worked out again for ever.
    """
    amount = price.amount if price.amount is not None else within(unbounded(price, quantity or ZERO), price)
    return money.round(amount) if amount.adjusted() < DIGITS_MAX else amount


def unbounded(price: Price, quantity: Decimal) -> Decimal:
    """Return quantity x rate: of graduated tiers the sum of what lies in each, of volume tiers all at the tier's rate."""
    if price.rate is None:
        return quantity
    if not price.tiers:
        return EXACT.multiply(quantity, price.rate)
    match price.tier_model:
        case TierModel.VOLUME:
            return EXACT.multiply(quantity, price.rate)
        case TierModel.GRADUATED:
            return _graduated(price.tiers, quantity)
        case _:
            assert_never(price.tier_model)


def _graduated(tiers: tuple[Tier, ...], quantity: Decimal) -> Decimal:
    total = ZERO
    for part, tier in in_tiers(tiers, quantity):
        total = EXACT.add(total, EXACT.multiply(part, tier.rate))
    return total


def in_tiers(tiers: tuple[Tier, ...], quantity: Decimal) -> list[tuple[Decimal, Tier]]:
    """Return how much of ``quantity`` lies in each tier that it reaches; a quantity of 0 lies in the first."""
    parts, below = [], ZERO
    for tier in tiers:
        top = quantity if tier.up_to is None else min(quantity, tier.up_to)
        parts.append((EXACT.subtract(top, below), tier))
        if top == quantity:
            break
        below = top
    return parts


def within(amount: Decimal, price: Price) -> Decimal:
    """Return ``amount`` within the bounds of a price."""
    if price.minimum is not None and amount < price.minimum:
        return price.minimum
    return price.maximum if price.maximum is not None and amount > price.maximum else amount


def _quantity(path: Path, document: Document) -> Decimal:
    try:
        return read_number(path.search(document))
    except PathProblem as problem:
        raise PriceProblem(path.text, f"cannot be worked out: {problem}") from problem
    except ValueError as problem:
        raise PriceProblem(path.text, str(problem)) from problem


def _unpriced(terms: ChargeTerms) -> Price:
    return Price(minimum=terms.minimum, maximum=terms.maximum)


def _selected(
    terms: ChargeTerms, book: PriceBook, document: Document, at: datetime, quantity: Decimal
) -> tuple[Price, Content]:
    """Return the price of ``quantity`` at ``at``, and the values that selected it."""
    row = book.row_at(at)
    if row is None:
        raise PriceProblem(EVENT_TIME, f"is before the first price of {book.name} ({book.rows[0].effective:%Y-%m-%d})")
    tiers, unit, content = _tiers(row, document, book.name)
    reached = in_tiers(tiers, quantity)[-1][1]
    price = Price(
        book=book.name,
        effective=row.effective,
        rate=reached.rate,
        unit="/".join(unit),
        tiers=tiers if len(tiers) > 1 else (),
        tier_model=row.tier_model,
        minimum=terms.minimum,
        maximum=terms.maximum,
    )
    return price, content


def _tiers(row: PriceRow, document: Document, book: str) -> tuple[tuple[Tier, ...], list[str], Content]:
    """Return the tiers that the event selects, the keys that led there, and the values that the event gave.

    A selector is asked only where the rates before it leave a choice.
    """
    rates: Rates = row.rates
    keys: list[str] = []
    content: list[tuple[str, str]] = []
    for by in row.by:
        value = _selector(by, document)
        content.append((by.text, value))
        keys.append(_key(rates, value, by.text, "/".join([book, *keys])))
        found = rates[keys[-1]]
        if isinstance(found, tuple):
            return found, keys, tuple(content)
        rates = found
    default = rates[DEFAULT_RATE]
    assert isinstance(default, tuple)  # noqa: S101  the loader lets rates be nested only as deep as there are selectors
    return default, [DEFAULT_RATE], ()


def _selector(by: Path, document: Document) -> str:
    try:
        value = by.search(document)
    except PathProblem as problem:
        raise PriceProblem(by.text, f"cannot be worked out: {problem}") from problem
    if not isinstance(value, str):
        raise PriceProblem(by.text, f"is {shown(value)}; a string that selects a rate is needed")
    if (unfit := text_problem(value)) is not None:
        raise PriceProblem(by.text, unfit)
    return value


def _key(rates: Rates, value: str, field: str, book: str) -> str:
    key = value if value in rates else DEFAULT_RATE
    if key not in rates:
        known = ", ".join(sorted(rates))
        raise PriceProblem(field, f"is {shown(value)}; {book} has neither that rate nor a default, only: {known}")
    return key


def _fitting(amount: Decimal, field: str) -> Decimal:
    if len(amount.as_tuple().digits) > DIGITS_MAX or amount.adjusted() >= DIGITS_MAX:
        raise PriceProblem(field, f"makes a charge of more than the {DIGITS_MAX} digits that fit into the ledger")
    return amount
