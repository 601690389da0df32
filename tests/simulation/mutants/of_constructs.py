"""Bugs in what prices, rows and repeats come to: the histories really use each construct, and the judge sees it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve

from engine.domain import fact, facts, joins
from engine.policy import charges
from engine.policy.price_books import PriceRow
from engine.rating import contributions
from engine.rating.recognise import Telling
from tests.simulation.mutants.mutant import Mutant, always, staged


def _at_its_own_time(old: Any) -> Any:
    return lambda terms, *values: old(evolve(terms, priced_at=None), *values)


def _all_at_the_last(_old: Any) -> Any:
    return lambda tiers, quantity: quantity * tiers[-1].rate


def _rounds_each(old: Any) -> Any:
    def without_rate(price: Any, quantity: Decimal) -> Decimal:
        parts = [charges.unbounded(each.price, each.quantity or Decimal(0)) for each in price.components]
        return sum((round(part, 2) for part in parts), Decimal(0)) if parts else old(price, quantity)

    return without_rate


def _weak_beside_refunds(old: Any) -> Any:
    def join(self: facts.Facts, new: facts.Facts) -> facts.Facts:
        both = old(self, new)
        weak = joins.latest_charges({*self.weak_charges, *new.weak_charges})  # as where nothing has a time of its own
        return both if both.charges else evolve(both, weak_charges=weak)

    return join


def _weak_first(old: Any) -> Any:
    def refunding(self: facts.Facts) -> Any:
        return old.fget(evolve(self, refunds=self.weak_refunds)) or old.fget(self)

    return property(refunding)


def _one_series(old: Any) -> Any:
    return property(lambda self: old.fget(self)[-1:])


def _without_end(_old: Any) -> Any:
    return lambda self, instant: self.effective <= instant


def _more_than_all(_old: Any) -> Any:
    return lambda whole, percent, amount: amount if amount is not None else whole * (percent or 0) / 100


def _repeats_are_news(_old: Any) -> Any:
    return lambda self, known, new: self.first_told(known, new)


MUTANTS: Mapping[str, Mutant] = {
    "a row of prices has no end": Mutant(PriceRow, "counts_at", _without_end, shows_in=staged("j-sale")),
    "the price of the event's own time counts": Mutant(contributions, "price_charge", _at_its_own_time),
    "all of a quantity costs the rate of the last tier": Mutant(charges, "_graduated", _all_at_the_last),
    "components are rounded one by one": Mutant(charges, "_without_rate", _rounds_each),
    "a row without a time charges beside a refund": Mutant(
        facts.Facts, "join", _weak_beside_refunds, shows_in=staged("j-void")
    ),
    "a failed row without a time counts before a refund": Mutant(facts.Facts, "refunding", _weak_first),
    "of several series one counts": Mutant(facts.Facts, "revoking", _one_series),
    "more goes back than was charged": Mutant(fact, "part_of", _more_than_all),
    "repeats are charged": Mutant(Telling, "first_charges", _repeats_are_news),
    "a row that has changed makes another event": Mutant(Telling, "finds_another_row", always(value=False)),
}
"""By what they do wrong."""
