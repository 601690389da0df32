"""Deliberate bugs in the engine, each one line of somebody's bad day: the simulation has to catch every one of them.

A mutant is a place, the name of what stands there, and what takes its place (it gets what stood there before).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from attrs import evolve, frozen

from engine.domain import facts
from engine.domain.decision import Outcome
from engine.domain.errors import LedgerUnavailable
from engine.domain.money import EXACT, Money
from engine.ledger import conditions
from engine.ledger.memory import MemoryStore
from engine.ledger.store import Receipt, Verdict
from engine.policy.price_books import PriceBook
from engine.rating import decide
from engine.reconcile import catch_up, give_up, settle
from engine.reconcile.batch import EventBatch
from engine.reconcile.conductor import Conductor
from engine.reconcile.reconciler import Reconciler
from engine.runtime.telemetry import Report
from tests.simulation.history import play
from tests.simulation.world.plan import plan_of

type Broken = Callable[[Any], Any]


@frozen
class Mutant:
    """A deliberate bug: ``broken`` makes of what stands at ``name`` of ``place`` what takes its place."""

    place: Any
    name: str
    broken: Broken

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let it be at work for a while."""
        with patch.object(self.place, self.name, self.broken(vars(self.place)[self.name])):
            yield


def caught(mutant: Mutant, seeds: range) -> int | None:
    """Return how many seeds it took until a history ended wrong; None where none did."""
    with mutant.at_work():
        for tried, seed in enumerate(seeds, start=1):
            if play(plan_of(seed)).wrong:
                return tried
    return None


def always(value: Any) -> Broken:
    """Return what answers everything with ``value``."""
    return lambda _old: lambda *_values, **_named: value


# --- conditions -------------------------------------------------------------------------------------------------------


def _forgets_settled(old: Any) -> Any:
    def refuse(*values: Any, **named: Any) -> Any:
        decision = old(*values, **named)
        return evolve(decision, mark=evolve(decision.mark, settled=True)) if decision.mark else decision

    return refuse


def _knows_no_owner(old: Any) -> Any:
    def deciding(assessment: Any, log: Any, standing: Any, policy: Any) -> Any:
        return old(assessment, evolve(log, user=assessment.user) if log.user else log, standing, policy)

    return deciding


# --- balances and amounts ---------------------------------------------------------------------------------------------


def _moves_only_with_a_mark(old: Any) -> Any:
    def keep(self: Any, entry: Any, guard: Any, mark: Any, now: Any) -> None:
        row = dict(self.credits.get(entry.user, {"userId": entry.user}))
        old(self, entry, guard, mark, now)
        if mark is None and entry.user in self.credits:
            self.credits[entry.user] = row

    return keep


def _adds_twice(old: Any) -> Any:
    def move(self: Any, user: str, amount: Decimal) -> None:
        if user not in self.credits:
            old(self, user, amount)
        old(self, user, amount)

    return move


def _rounds_floats(_old: Any) -> Any:
    def rounding(self: Money, amount: Decimal) -> Decimal:
        return Decimal(str(round(float(amount), self.places))).quantize(Decimal(1).scaleb(-self.places), context=EXACT)

    return rounding


def _cheapest_last(old: Any) -> Any:
    return lambda claims: tuple(reversed(old(claims)))


def _adds_up_steps(_old: Any) -> Any:
    return lambda revokes: tuple(sorted(set(revokes), key=facts._by_series))  # noqa: SLF001  the order that it has


# --- refunds ----------------------------------------------------------------------------------------------------------


def _first_in_time(_old: Any) -> Any:
    def generous(refunds: Any, charge: Any) -> Any:
        return next((refund for refund in refunds if refund.is_in_time_for(charge)), None)

    return generous


def _latest_only(old: Any) -> Any:
    def may_count(refunds: Any) -> Any:
        kept = old(refunds)
        return tuple(refund for refund in kept if refund.at == kept[-1].at)

    return may_count


def _refunds_any_charge(_old: Any) -> Any:
    return lambda self, charge: self.within is None or self.at - charge.at <= self.within


# --- events that are lost ---------------------------------------------------------------------------------------------


def _forgets_the_last(old: Any) -> Any:
    return lambda *values, **named: old(*values, **named)[:-1]


def _takes_for_posted(verdict: Verdict) -> Broken:
    def broken(old: Any) -> Any:
        def goes_again(self: Any, item: Any, receipt: Receipt, single: Any) -> bool:
            taken = Receipt(Verdict.POSTED) if receipt.verdict is verdict else receipt
            return bool(old(self, item, taken, single))

        return goes_again

    return broken


def _swallows(old: Any) -> Any:
    def event(self: Any, document: Any, source: Any, deadline: Any) -> Any:
        try:
            return old(self, document, source, deadline)
        except LedgerUnavailable:
            return Report(None, Outcome.IGNORED)

    return event


def _ends_at_an_empty_page(old: Any) -> Any:
    def page(self: Any, part: Any, statuses: Any) -> Any:
        found = old(self, part, statuses)
        return found if found.rows else evolve(found, next_after=None)

    return page


def _forgets_the_last_page(old: Any) -> Any:
    def page(self: Any, *asked: Any) -> Any:
        found = old(self, *asked)
        is_last = found.next_after is None and asked[0].after is not None
        return evolve(found, rows=()) if is_last else found

    return page


def _gives_up_without_a_letter(old: Any) -> Any:
    def gives_up(self: Any, record: Any, error: Any) -> bool:
        receives = give_up.number_of(record, "ApproximateReceiveCount")
        return bool(old(self, record, error)) or (receives >= give_up.RECEIVES_MAX and give_up.is_helpless(error))

    return gives_up


def _takes_nothing(_old: Any) -> Any:
    return lambda _self, wanted: wanted


def _latest_row(_old: Any) -> Any:
    return lambda self, _at: self.rows[-1]


MUTANTS: Mapping[str, Mutant] = {
    "the condition on the sequence is dropped": Mutant(MemoryStore, "_taken", always(None)),
    "the condition on the row's user is dropped": Mutant(conditions, "_user_allows", always(value=True)),
    "the log's first user is not asked": Mutant(settle, "decide", _knows_no_owner),
    "a mark goes over a later time": Mutant(conditions, "_time_allows", always(value=True)),
    "a charge that was refused is marked as settled": Mutant(decide, "_refuse", _forgets_settled),
    "the balance moves only with a mark": Mutant(MemoryStore, "_keep", _moves_only_with_a_mark),
    "the first ADD of a user is made twice": Mutant(MemoryStore, "_move", _adds_twice),
    "amounts are rounded as floats": Mutant(Money, "round", _rounds_floats),
    "what is known is priced again": Mutant(decide, "recognised", lambda _old: lambda telling, _known: telling.facts),
    "of two charges of one instant the dearest counts": Mutant(facts, "_smallest_first", _cheapest_last),
    "the newest row of prices counts": Mutant(PriceBook, "row_at", _latest_row),
    "steps of a revoke add up": Mutant(facts, "_latest_of_series", _adds_up_steps),
    "the earliest refund counts": Mutant(facts, "_most_generous", _first_in_time),
    "a late refund hides one that was in time": Mutant(facts, "_may_count", _latest_only),
    "a refund gives back a later charge": Mutant(facts.Refund, "is_in_time_for", _refunds_any_charge),
    "the last failure of a batch is not told": Mutant(Reconciler, "_coming_back", _forgets_the_last),
    "a busy posting is taken for posted": Mutant(EventBatch, "_goes_again", _takes_for_posted(Verdict.BUSY)),
    "a posting that was held up is taken for posted": Mutant(EventBatch, "_goes_again", _takes_for_posted(Verdict.HELD_UP)),
    "an event that the database did not take is ignored": Mutant(Conductor, "event", _swallows),
    "a page without rows is taken for the end": Mutant(catch_up.Scanner, "_page", _ends_at_an_empty_page),
    "the last page of a scan is forgotten": Mutant(MemoryStore, "due_jobs", _forgets_the_last_page),
    "an event is given up without a letter": Mutant(give_up.GivingUp, "_gives_up", _gives_up_without_a_letter),
    "the cap of a run is not shared": Mutant(catch_up.SharedAllowance, "take", _takes_nothing),
}
"""By what they do wrong."""
