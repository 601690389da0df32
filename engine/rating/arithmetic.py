"""How an amount comes about, step by step, in words. It says what ``policy.charges`` works out, from the same values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import assert_never

from engine.domain.instants import instant_text
from engine.domain.money import EXACT, ZERO, Money, canonical
from engine.domain.price import Component, Price, TierModel
from engine.policy.charges import amount_of, in_tiers, unbounded


def price_steps(price: Price, quantity: Decimal | None, money: Money, asked: Sequence[Iterable[str]] = ()) -> Iterator[str]:
    """Yield how ``quantity`` at a price comes to its amount. ``asked`` are steps that go before those of each component."""
    yield from _component_steps(price, asked) if price.components else _quantity_steps(price, quantity or ZERO)
    amount = unbounded(price, quantity or ZERO)
    if price.minimum is not None and amount < price.minimum:
        yield f"minimum {price.minimum:f} counts instead"
    elif price.maximum is not None and amount > price.maximum:
        yield f"maximum {price.maximum:f} counts instead"
    yield f"rounded {money.rounding} to {money.places} places: {amount_of(price, quantity, money):f}"


def component_name(number: int, component: Component) -> str:
    """Return what steps call a component: its number, and its name or its price book's where it has one."""
    name = component.name or component.price.book
    return f"component {number}" if name is None else f"component {number}, {name}"


def _component_steps(price: Price, asked: Sequence[Iterable[str]]) -> Iterator[str]:
    for number, component in enumerate(price.components, start=1):
        before = asked[number - 1] if asked else ()
        for step in (*before, *_quantity_steps(component.price, component.quantity or ZERO)):
            yield f"{component_name(number, component)}: {step}"
    yield f"together {unbounded(price, ZERO):f}"


def _quantity_steps(price: Price, quantity: Decimal) -> Iterator[str]:
    if price.amount is not None:
        yield f"a flat amount of {price.amount:f}"
        return
    if price.rate is None:
        yield f"the quantity itself: {canonical(quantity)}"
        return
    if price.book is not None and price.effective is not None:
        yield f"price book `{price.book}`, the row from {instant_text(price.effective)}, rate `{price.unit}`"
    if not price.tiers:
        yield _times_rate(price, quantity)
        return
    match price.tier_model:
        case TierModel.GRADUATED:
            yield from _graduated_steps(price, quantity)
        case TierModel.VOLUME:
            yield _reached(price, quantity) + _times_rate(price, quantity)
        case _:
            assert_never(price.tier_model)


def _times_rate(price: Price, quantity: Decimal) -> str:
    return f"{canonical(quantity)} x {price.rate:f} = {unbounded(price, quantity):f}"


def _reached(price: Price, quantity: Decimal) -> str:
    reached = in_tiers(price.tiers, quantity)[-1][1]
    return f"the tier {f'up to {reached.up_to:f}' if reached.up_to is not None else 'above the others'} counts for all: "


def _graduated_steps(price: Price, quantity: Decimal) -> Iterator[str]:
    for part, tier in in_tiers(price.tiers, quantity):
        where = f"up to {tier.up_to:f}" if tier.up_to is not None else "above"
        yield f"{where}: {canonical(part)} x {tier.rate:f} = {EXACT.multiply(part, tier.rate):f}"
    yield f"together {unbounded(price, quantity):f}"
