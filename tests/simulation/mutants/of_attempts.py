"""Bugs in what the attempts of a job come to: which of them counts, what comes back of those below, which is known already."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve

from engine.domain import fact, facts, joins
from engine.domain.assessment import Assessment
from engine.domain.errors import EventError
from engine.domain.money import EXACT
from engine.rating import assess, cost, decide
from tests.simulation.mutants.mutant import Mutant, always


def _latest_of_all(_old: Any) -> Any:
    def charge(self: facts.Facts) -> Any:
        told = (*self.charges[:1], *self.weak_charges[:1]) if len(self.attempts) < 2 else (*self.charges, *self.weak_charges)
        return max(told, key=lambda each: (each.at, EXACT.minus(each.amount)), default=None)

    return property(charge)


def _without_numbers(old: Any) -> Any:
    return lambda self, _attempt, said: old(self, 0, said)


def _of_its_own_alone(old: Any) -> Any:
    def refunding(self: facts.Facts) -> Any:
        return tuple(each for each in old.fget(self) if self.charge is not None and each.attempt == self.charge.attempt)

    return property(refunding)


def _later_by_the_clocks(old: Any) -> Any:
    return lambda self, charge: self.at >= charge.at and old(self, charge)


def _of_those_below_too(old: Any) -> Any:
    def refunding(self: facts.Facts) -> Any:
        charge = self.charge
        if charge is None:
            return ()
        return old.fget(
            evolve(self, refunds=tuple(evolve(one, attempt=max(one.attempt, charge.attempt)) for one in self.refunds))
        )

    return property(refunding)


def _of_the_whole(_old: Any) -> Any:
    def back(charge: fact.Charge, refunds: tuple[fact.Refund, ...]) -> Decimal:
        return min(sum((refund.gives(charge) for refund in refunds), Decimal(0)), charge.amount)

    return back


def _joined_as_one(old: Any) -> Any:
    def join(self: facts.Facts, new: facts.Facts) -> facts.Facts:
        both: facts.Facts = old(self, new)
        return evolve(both, charges=joins.latest_charges({*both.charges}), refunds=joins.may_count({*both.refunds}))

    return join


def _overruled_by_any(old: Any) -> Any:
    """What has a time of its own ends what rows without a time have told of another attempt."""

    def join(self: facts.Facts, new: facts.Facts) -> facts.Facts:
        both: facts.Facts = old(self, new)
        return evolve(both, weak_charges=()) if both.charges or both.refunds else both

    return join


def _first_without(old: Any) -> Any:
    def attempt(self: assess.EventReader) -> Any:
        try:
            return old(self)
        except EventError:
            return 0

    return attempt


def _as_it_says(_old: Any) -> Any:
    return lambda assessment, _known, _policy: assessment


MUTANTS: Mapping[str, Mutant] = {
    "a lower attempt's later charge counts": Mutant(facts.Facts, "charge", _latest_of_all),
    "times decide between attempts": Mutant(facts.Facts, "in_attempt", _without_numbers),
    "a refund of an attempt without a charge gives nothing": Mutant(facts.Facts, "refunding", _of_its_own_alone),
    "a refund above is asked to be later than the charge": Mutant(fact.Refund, "is_in_time_for", _later_by_the_clocks),
    "a refund of a lower attempt counts": Mutant(facts.Facts, "refunding", _of_those_below_too),
    "refunds of two attempts are taken of the whole charge": Mutant(cost, "_back", _of_the_whole),
    "an attempt's facts are joined with another's": Mutant(facts.Facts, "join", _joined_as_one),
    "an event of one attempt ends what a row has told of another": Mutant(facts.Facts, "join", _overruled_by_any, one_in=60),
    "a fact of another attempt is taken for the same": Mutant(assess.EventReader, "said_attempt", always(())),
    "an event without its attempt is of the first": Mutant(assess.EventReader, "attempt", _first_without),
    "an edit that numbers attempts makes old events new": Mutant(decide, "beside_unnumbered", _as_it_says, one_in=60),
    "the mark does not name the attempt": Mutant(Assessment, "marks", lambda _old: property(lambda self: self.status)),
}
"""By what they do wrong."""
