"""Bugs in what is held for a job: which request counts, what ends a hold, what is asked of the balance, what a refusal is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve

from engine.domain import facts
from engine.domain.decision import Guard, Outcome
from engine.domain.entry import Entry
from engine.domain.entry_types import EntryType
from engine.domain.fact import Hold
from engine.domain.fact_kinds import type_of_hold
from engine.domain.money import EXACT, ZERO
from engine.ledger.dynamodb import postings
from engine.ledger.memory import MemoryStore
from engine.rating import cost, decide
from tests.simulation.history import holds_credits
from tests.simulation.mutants import mutant
from tests.simulation.mutants.mutant import Broken, staged
from tests.simulation.world.plan import Plan

# --- which request counts ---------------------------------------------------------------------------------------------


def _added_up(_old: Any) -> Any:
    def earliest(holds: set[Hold]) -> tuple[Hold, ...]:
        by_age = sorted(holds, key=lambda hold: (hold.at, hold.amount))
        return (evolve(by_age[0], amount=sum((hold.amount for hold in by_age), ZERO)),)

    return earliest


def _latest(_old: Any) -> Any:
    return lambda holds: (max(holds, key=lambda hold: (hold.at, hold.amount)),)


def _of_any_attempt(_old: Any) -> Any:
    def hold(self: facts.Facts) -> Hold | None:
        return next((hold for hold in self.holds if not self.is_decided(hold.attempt)), None)

    return property(hold)


# --- what ends a hold -------------------------------------------------------------------------------------------------


def _but_for_charges(old: Any) -> Any:
    return lambda self, attempt: old(evolve(self, charges=(), weak_charges=()), attempt)


def _until_a_later_request(old: Any) -> Any:
    """A request reserves again that is dated after what its attempt was charged."""

    def is_decided(self: facts.Facts, attempt: int) -> bool:
        asked_at = max((hold.at for hold in self.holds if hold.attempt == attempt), default=None)
        later = tuple(charge for charge in self.charges if asked_at is not None and charge.at >= asked_at)
        return bool(old(evolve(self, charges=later), attempt))

    return is_decided


def _nothing_once_expired(old: Any) -> Any:
    def charged(known: facts.Facts, money: Any) -> Decimal:
        has_expired = known.charge is not None and any(each.attempt == known.charge.attempt for each in known.expiries)
        return ZERO if has_expired else Decimal(old(known, money))

    return charged


# --- what a hold comes to ---------------------------------------------------------------------------------------------


def _beside_what_is_below(_old: Any) -> Any:
    def desired(known: facts.Facts, money: Any) -> Decimal:
        if known.grant is not None or known.adjustments or known.hold is None:
            return Decimal(_old(known, money))
        charged = cost._charged(known, money)  # noqa: SLF001  what the mutant's neighbour says
        return cost._less_conceded(known, EXACT.add(charged, known.hold.amount))  # noqa: SLF001  the same

    return desired


def _all_that_is_due(old: Any) -> Any:
    def moving(reference: str, log: Any, now: facts.Facts, amount: Decimal, held: Decimal) -> Any:
        of_hold = type_of_hold(log.facts, now)
        return (of_hold, amount) if of_hold is not None else old(reference, log, now, amount, held)

    return moving


def _all_that_was_held(old: Any) -> Any:
    def moving(reference: str, log: Any, now: facts.Facts, amount: Decimal, held: Decimal) -> Any:
        of_hold, posted = old(reference, log, now, amount, held)
        return of_hold, max(amount, EXACT.minus(held)) if of_hold is EntryType.RELEASE else posted

    return moving


def _gives_the_hold_back(old: Any) -> Any:
    def refuse(entry: Any, *values: Any, **named: Any) -> Any:
        decision = old(entry, *values, **named)
        if decision.entry is None or not decision.entry.held:
            return decision
        return evolve(decision, entry=evolve(decision.entry, amount=EXACT.minus(decision.entry.held)))

    return refuse


# --- balances and refusals --------------------------------------------------------------------------------------------


def _of_a_row_alone(old: Any) -> Any:
    def guard(entry: Any, *values: Any) -> Guard:
        asked: Guard = old(entry, *values)
        return Guard.EXISTS if entry.type is EntryType.HOLD and asked is Guard.COVERED else asked

    return guard


def _tries_again(old: Any) -> Any:
    def of_hold(assessment: Any, log: Any, *values: Any) -> Any:
        decision = old(assessment, log, *values)
        is_again = decision.outcome is Outcome.REFUSED and decision.entry is None
        return decide._told(assessment, log, *values) if is_again else decision  # noqa: SLF001  where it was refused before

    return of_hold


def _named(_old: Any) -> Any:
    return property(lambda _self: True)


def _known_all_the_same(old: Any) -> Any:
    def refuse(entry: Any, *values: Any) -> Any:
        decision = old(entry, *values)
        return evolve(decision, entry=evolve(decision.entry, facts=entry.facts.join(decision.entry.facts)))

    return refuse


def _unless_settled(old: Any) -> Any:
    def keep(self: Any, entry: Any, *values: Any) -> None:
        old(self, entry, *values)
        if entry.type is EntryType.SETTLE and entry.held:
            row = self.credits[entry.user]
            row["held"] = EXACT.subtract(row["held"], entry.held)

    return keep


def _without_what_is_held(old: Any) -> Any:
    def add(tables: Any, user: str, some: list[Any]) -> Any:
        return old(tables, user, [evolve(each, entry=evolve(each.entry, held=ZERO)) for each in some])

    return add


def _reserving(also: Callable[[Plan], bool] = lambda _plan: True) -> Callable[[Plan], bool]:
    return lambda plan: holds_credits(plan) and also(plan)


def Mutant(place: Any, name: str, broken: Broken, **more: Any) -> mutant.Mutant:  # noqa: N802  as its neighbours say it
    """Return a mutant that only histories with holds can show."""
    return mutant.Mutant(place, name, broken, **{"one_in": 60, "shows_in": _reserving(), **more})


MUTANTS: Mapping[str, mutant.Mutant] = {
    "a second request of an attempt adds up": Mutant(facts, "earliest_holds", _added_up),
    "the latest request of an attempt counts": Mutant(facts, "earliest_holds", _latest),
    "a hold of a lower attempt is open": Mutant(facts.Facts, "hold", _of_any_attempt),
    "a charge does not end its hold": Mutant(facts.Facts, "is_decided", _but_for_charges),
    "a request that is dated later than the charge reserves again": Mutant(facts.Facts, "is_decided", _until_a_later_request),
    "an expiry releases what was charged": Mutant(cost, "_charged", _nothing_once_expired),
    "a hold is added to what the attempts below were charged": Mutant(cost, "desired_cost", _beside_what_is_below),
    "what a refusal left due is taken with a hold": Mutant(
        decide, "moving", _all_that_is_due, shows_in=_reserving(staged("j-due"))
    ),
    "a release gives back what nobody has paid": Mutant(
        decide, "moving", _all_that_was_held, shows_in=_reserving(staged("j-below"))
    ),
    "a charge that is refused gives its hold back": Mutant(decide, "_refuse", _gives_the_hold_back),
    "a hold is not asked of the balance": Mutant(decide, "_guard", _of_a_row_alone),
    "a request that was refused is tried again": Mutant(decide, "_of_hold", _tries_again),
    "a request that was refused names the user": Mutant(
        Entry, "names_its_user", _named, shows_in=_reserving(staged("j-whose"))
    ),
    "a request that was refused is known as a hold": Mutant(decide, "_refuse_hold", _known_all_the_same),
    "what is held does not move with a settle": Mutant(MemoryStore, "_keep", _unless_settled),
    "a batch forgets what is held": Mutant(postings, "_add_sum", _without_what_is_held, is_strict=True),
}
"""By what they do wrong."""
