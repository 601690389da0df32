"""What a charge or a grant comes to: a price times a quantity, within bounds, rounded last. All in exact decimals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, assert_never

from attrs import field, frozen

from engine.domain.errors import quoted
from engine.domain.instants import read_instant
from engine.domain.money import DIGITS_MAX, EXACT, ZERO, Money, canonical, fits, read_number
from engine.domain.price import Component, Price, Tier, TierModel
from engine.domain.texts import text_problem
from engine.policy.expressions.paths import Path, PathProblem
from engine.policy.price_books import EVENT_TIME, NoPriceThen, PriceBook, PriceProblem, tiers_selected

if TYPE_CHECKING:
    from engine.domain.envelope import Document
    from engine.domain.fact import Content


@frozen
class ChargeTerms:
    """What a debit costs or a grant is worth, within bounds (credits).

    A flat ``amount``; or a quantity at the rate of a price book; or, without a book, the quantity itself; or the sum of
    ``components``. A component is one of the former, has no bounds, and may have a name of its own.
    """

    amount: Decimal | None = None
    book: PriceBook | None = None
    quantity: Path | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    priced_at: Path | None = None
    """The instant that selects the rows of the books; None: the event's own time."""
    components: tuple[ChargeTerms, ...] = ()
    name: str | None = None

    def paths(self) -> Iterator[Path]:
        """Yield the expressions that an event is asked."""
        if self.quantity is not None:
            yield self.quantity
        if self.priced_at is not None:
            yield self.priced_at
        for row in self.book.rows if self.book else ():
            yield from row.by
        for component in self.components:
            yield from component.paths()


@frozen
class HoldTerms:
    """How much is reserved, for how long at most, and whether more than the balance covers."""

    charge: ChargeTerms
    expires: timedelta
    may_overdraw: bool = False

    def paths(self) -> Iterator[Path]:
        """Yield the expressions that an event is asked."""
        yield from self.charge.paths()


@frozen
class Priced:
    """An amount, and how it came about. ``content`` is what the event itself said, in canonical text."""

    amount: Decimal
    price: Price = field(factory=Price)
    quantity: Decimal | None = None
    content: Content = ()


def price_charge(terms: ChargeTerms, document: Document, at: datetime, money: Money) -> Priced:
    """Return what the event costs: the price in force at ``at`` times the quantity, within bounds, rounded last.

    Where the terms have another instant than the event's own, that is the one. Raises PriceProblem for a quantity, an instant
    or a selected rate that makes no sense, and for an instant at which there is no price.
    """
    moment = _moment(terms.priced_at, document) if terms.priced_at is not None else Moment(at)
    price, quantity, said = _asked(terms, document, moment)
    return Priced(
        amount=_fitting(amount_of(price, quantity, money), _field(terms)),
        price=price,
        quantity=quantity,
        content=tuple(sorted({**said, **dict(moment.said)}.items())),
    )


def amount_of(price: Price, quantity: Decimal | None, money: Money) -> Decimal:
    """Return what ``quantity`` comes to at a price: not less than its minimum, not more than its maximum, rounded last.

    It needs nothing but what an entry of the ledger keeps, so that an amount can be worked out again for ever.
    """
    amount = within(unbounded(price, quantity or ZERO), price)
    return money.round(amount) if amount.adjusted() < DIGITS_MAX else amount


def unbounded(price: Price, quantity: Decimal) -> Decimal:
    """Return quantity x rate: of graduated tiers the sum of what lies in each, of volume tiers all at the tier's rate.

    Without a rate it is the flat amount, the sum of the components, or the quantity itself.
    """
    if price.rate is None:
        return _without_rate(price, quantity)
    if not price.tiers:
        return EXACT.multiply(quantity, price.rate)
    match price.tier_model:
        case TierModel.VOLUME:
            return EXACT.multiply(quantity, price.rate)
        case TierModel.GRADUATED:
            return _graduated(price.tiers, quantity)
        case _:
            assert_never(price.tier_model)


def _without_rate(price: Price, quantity: Decimal) -> Decimal:
    if price.amount is not None:
        return price.amount
    if not price.components:
        return quantity
    total = ZERO
    for component in price.components:
        total = EXACT.add(total, unbounded(component.price, component.quantity or ZERO))
    return total


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


@frozen
class Moment:
    """The instant that selects the rows of price books, the field that it is from, and what the event said there."""

    at: datetime
    field: str = EVENT_TIME
    said: Content = ()


def _moment(path: Path, document: Document) -> Moment:
    try:
        value = path.search(document)
    except PathProblem as problem:
        raise PriceProblem(path.text, f"cannot be worked out: {problem}") from problem
    instant = read_instant(value)
    if instant is None:
        raise PriceProblem(path.text, f"is {quoted(value)}; an ISO 8601 instant with a zone is needed")
    if (unfit := text_problem(value)) is not None:
        raise PriceProblem(path.text, unfit)
    return Moment(instant, path.text, ((path.text, value),))


def _asked(terms: ChargeTerms, document: Document, moment: Moment) -> tuple[Price, Decimal | None, dict[str, str]]:
    """Return the price that an event has at a moment, its quantity, and what the event itself said."""
    if terms.components:
        return _of_components(terms, document, moment)
    if terms.quantity is None:
        return Price(amount=terms.amount), None, {}
    quantity = number_at(terms.quantity, document)
    price, selected = _selected(terms, terms.book, document, moment, quantity) if terms.book else (_unpriced(terms), ())
    return price, quantity, {terms.quantity.text: canonical(quantity), **dict(selected)}


def _of_components(terms: ChargeTerms, document: Document, moment: Moment) -> tuple[Price, None, dict[str, str]]:
    """Return the price that is made of components, and all that any of them asked the event."""
    components, said = [], dict[str, str]()
    for part in terms.components:
        price, quantity, answers = _asked(part, document, moment)
        amount = unbounded(price, quantity or ZERO)
        components.append(Component(price, quantity, amount if fits(amount) else None, part.name))
        said |= answers
    defaulted = any(component.price.defaulted for component in components)
    price = Price(minimum=terms.minimum, maximum=terms.maximum, components=tuple(components), defaulted=defaulted)
    return price, None, said


def _field(terms: ChargeTerms) -> str:
    """Name what an amount comes from, for a message."""
    if terms.quantity is not None:
        return terms.quantity.text
    return "charge.components" if terms.components else "charge.amount"


def number_at(path: Path, document: Document) -> Decimal:
    """Return the number that an event has where ``path`` looks. Raises PriceProblem for what is none."""
    try:
        return read_number(path.search(document))
    except PathProblem as problem:
        raise PriceProblem(path.text, f"cannot be worked out: {problem}") from problem
    except ValueError as problem:
        raise PriceProblem(path.text, str(problem)) from problem


def _unpriced(terms: ChargeTerms) -> Price:
    return Price(minimum=terms.minimum, maximum=terms.maximum)


def _selected(
    terms: ChargeTerms, book: PriceBook, document: Document, moment: Moment, quantity: Decimal
) -> tuple[Price, Content]:
    """Return the price of ``quantity`` at a moment, and the values that selected it."""
    row = book.row_at(moment.at)
    if row is None:
        raise NoPriceThen(moment.field, book, moment.at)
    tiers, unit, content = tiers_selected(row, document, book.name)
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
        defaulted=bool(content) and [value for _, value in content] != unit,  # a value's own rate has its name
    )
    return price, content


def _fitting(amount: Decimal, field: str) -> Decimal:
    if len(amount.as_tuple().digits) > DIGITS_MAX or amount.adjusted() >= DIGITS_MAX:
        raise PriceProblem(field, f"makes a charge of more than the {DIGITS_MAX} digits that fit into the ledger")
    return amount
