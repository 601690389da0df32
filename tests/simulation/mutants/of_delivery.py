"""Bugs by which an event is lost, told twice or taken for another: the loop, batches, the queue, giving up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from attrs import evolve

from engine.domain.decision import Outcome
from engine.domain.errors import EventError, LedgerUnavailable
from engine.domain.log import JobLog
from engine.domain.money import EXACT
from engine.ledger.store import Receipt, Verdict
from engine.reconcile import give_up
from engine.reconcile.batch import EventBatch
from engine.reconcile.conductor import Conductor
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.settle import EventProposal
from engine.runtime.telemetry import Report
from tests.simulation.mutants.mutant import Broken, Mutant, staged

# --- one event --------------------------------------------------------------------------------------------------------


def _swallows(old: Any) -> Any:
    def event(self: Any, document: Any, source: Any, deadline: Any) -> Any:
        try:
            return old(self, document, source, deadline)
        except LedgerUnavailable:
            return Report(None, Outcome.IGNORED)

    return event


def _knows_events_by_their_ids(old: Any) -> Any:
    """An id is kept before its event is posted, by whatever machine."""
    ids: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()

    def event(self: Any, document: Any, source: Any, deadline: Any) -> Any:
        known = ids.setdefault(self.ledger.place, set())
        if document["id"] in known:
            return Report(None, Outcome.IGNORED)
        known.add(document["id"])
        return old(self, document, source, deadline)

    return event


def _steps_over(_old: Any) -> Any:
    def log_after(self: Any, _receipt: Any, _deadline: Any) -> JobLog:
        log = self.log if self.log is not None else JobLog()
        return evolve(log, sequence=log.sequence + 1)

    return log_after


# --- batches ----------------------------------------------------------------------------------------------------------


def _takes_for_posted(verdict: Verdict) -> Broken:
    def broken(old: Any) -> Any:
        def goes_again(self: Any, item: Any, receipt: Receipt, single: Any) -> bool:
            taken = Receipt(Verdict.POSTED) if receipt.verdict is verdict else receipt
            return bool(old(self, item, taken, single))

        return goes_again

    return broken


def _believes_a_refusal(old: Any) -> Any:
    def keep(self: Any, item: Any, report: Any) -> None:
        old(self, item, report)
        if (entry := report.entry) is not None and report.outcome is Outcome.REFUSED:
            posted = EXACT.minus(entry.cost)
            self.logs[entry.reference] = JobLog(entry.sequence, entry.user, entry.facts, entry.cost, posted)

    return keep


def _forgets_what_is_aside(_old: Any) -> Any:
    def wait(self: Any) -> None:
        for item in (item for items in self.aside.values() for item in items):
            self.results[item.position] = Report(item.envelope, Outcome.IGNORED)

    return wait


def _swaps_results(old: Any) -> Any:
    return lambda self, envelopes, deadline: old(self, envelopes, deadline)[::-1]


# --- what comes back --------------------------------------------------------------------------------------------------


def _forgets_the_last(old: Any) -> Any:
    return lambda *values, **named: old(*values, **named)[:-1]


def _drops_what_makes_no_sense(old: Any) -> Any:
    def coming_back(self: Any, failed: Any, *values: Any) -> Any:
        return old(self, [each for each in failed if not isinstance(each[1], EventError)], *values)

    return coming_back


def _gives_up_without_a_letter(old: Any) -> Any:
    def gives_up(self: Any, record: Any, error: Any) -> bool:
        receives = give_up.number_of(record, "ApproximateReceiveCount")
        return bool(old(self, record, error)) or (receives >= give_up.RECEIVES_MAX and give_up.is_helpless(error))

    return gives_up


MUTANTS: Mapping[str, Mutant] = {
    "an event that the database did not take is ignored": Mutant(Conductor, "event", _swallows),
    "an event is known by its id": Mutant(Conductor, "event", _knows_events_by_their_ids),
    "a sequence that is taken is stepped over": Mutant(EventProposal, "_log_after", _steps_over),
    "a busy posting is taken for posted": Mutant(EventBatch, "_goes_again", _takes_for_posted(Verdict.BUSY)),
    "a posting that was held up is taken for posted": Mutant(EventBatch, "_goes_again", _takes_for_posted(Verdict.HELD_UP)),
    "a batch takes a refused charge for posted": Mutant(EventBatch, "_keep", _believes_a_refusal, shows_in=staged("j-short-")),
    "what a batch has set aside is forgotten": Mutant(EventBatch, "_wait_for_the_busy", _forgets_what_is_aside),
    "the results of a batch are told in another order": Mutant(Reconciler, "many", _swaps_results),
    "the last failure of a batch is not told": Mutant(Reconciler, "_coming_back", _forgets_the_last),
    "an event that makes no sense is taken for done": Mutant(Reconciler, "_coming_back", _drops_what_makes_no_sense),
    "an event is given up without a letter": Mutant(give_up.GivingUp, "_gives_up", _gives_up_without_a_letter),
}
"""By what they do wrong."""
