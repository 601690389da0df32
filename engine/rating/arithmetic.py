"""How an amount comes about, step by step, in words. It says what ``policy.price_books`` works out, from the same values."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from engine.domain.facts import Charge, Facts, Refund
from engine.domain.instants import instant_text
from engine.domain.money import EXACT, ZERO, Money, canonical
from engine.domain.price import Price, TierModel
from engine.policy.price_books import amount_of, in_tiers, unbounded


def price_steps(price: Price, quantity: Decimal | None, money: Money) -> Iterator[str]:
    """Yield how ``quantity`` at a price comes to its amount."""
    if price.amount is not None:
        yield f"a flat amount of {price.amount}"
    else:
        yield from _quantity_steps(price, quantity or ZERO)
        amount = unbounded(price, quantity or ZERO)
        if price.minimum is not None and amount < price.minimum:
            yield f"minimum {price.minimum} counts instead"
        elif price.maximum is not None and amount > price.maximum:
            yield f"maximum {price.maximum} counts instead"
    yield f"rounded {money.rounding} to {money.places} places: {amount_of(price, quantity, money)}"


def _quantity_steps(price: Price, quantity: Decimal) -> Iterator[str]:
    if price.rate is None:
        yield f"the quantity itself: {canonical(quantity)}"
        return
    if price.book is not None and price.effective is not None:
        yield f"price book `{price.book}`, the row from {instant_text(price.effective)}, rate `{price.unit}`"
    if price.tiers and price.tier_model is TierModel.GRADUATED:
        yield from _graduated_steps(price, quantity)
    else:
        yield f"{_tier_words(price, quantity)}{canonical(quantity)} x {price.rate} = {unbounded(price, quantity):f}"


def _tier_words(price: Price, quantity: Decimal) -> str:
    if not price.tiers:
        return ""
    reached = in_tiers(price.tiers, quantity)[-1][1]
    return f"the tier {'up to ' + str(reached.up_to) if reached.up_to is not None else 'above the others'} counts for all: "


def _graduated_steps(price: Price, quantity: Decimal) -> Iterator[str]:
    for part, tier in in_tiers(price.tiers, quantity):
        where = f"up to {tier.up_to}" if tier.up_to is not None else "above"
        yield f"{where}: {canonical(part)} x {tier.rate} = {EXACT.multiply(part, tier.rate):f}"
    yield f"together {unbounded(price, quantity):f}"


def cost_steps(facts: Facts, cost: Decimal, money: Money) -> Iterator[str]:
    """Yield how known facts come to what a job should cost, or a grant gives."""
    if facts.grant is not None:
        yield f"granted {facts.grant.amount}"
        return
    if facts.charge is not None:
        yield f"charged {facts.charge.amount} at {instant_text(facts.charge.at)}"
    for twin in facts.charges[1:]:
        yield f"another charge of that instant says {twin.amount}: the smallest counts"
    for refund in (*facts.refunds, *facts.weak_refunds):
        yield from _refund_steps(refund, facts.charge, facts.refund)
    yield f"should cost {cost:f} ({money.rounding}, {money.places} places)"


def _refund_steps(refund: Refund, charge: Charge | None, counting: Refund | None) -> Iterator[str]:
    yield f"{canonical(refund.percent)} % back at {instant_text(refund.at)}"
    if charge is None:
        yield "no charge is known, so nothing goes back"
    elif refund.at < charge.at:
        yield "the charge is later, so nothing goes back"
    elif not refund.is_in_time_for(charge):
        yield f"that is {refund.at - charge.at} after the charge, later than {refund.within}: nothing goes back"
    elif refund is not counting:
        yield "another refund counts instead"
