"""The engine on a ledger in memory: what a policy would do, without a database. Serves policy tests and tests of the core.

It decides by the same ``assess`` and ``decide``, and checks the same guards as the database does.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import Factory, define

from engine.domain.decision import Decision, Guard, Outcome, Standing
from engine.domain.entry import Entry
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.log import JobLog, log_of
from engine.domain.money import EXACT, ZERO
from engine.policy.model import Policy
from engine.rating.assess import assess
from engine.rating.baselines import NO_BASELINES, Baselines
from engine.rating.decide import decide, mark_only
from engine.rating.trends import LookBack, flagged


def contradiction(balance: Decimal | None, entry: Entry, guard: Guard) -> Standing | None:
    """Return what the user's row (its balance, or None for no row) teaches where the guard does not hold, else None."""
    if guard is Guard.NONE or (guard is Guard.MISSING and balance is None):
        return None
    if balance is None:
        return Standing.UNKNOWN_USER
    is_covered = EXACT.add(balance, entry.amount) >= ZERO
    is_wrong = {Guard.MISSING: True, Guard.COVERED: not is_covered, Guard.NOT_COVERED: is_covered, Guard.EXISTS: False}
    learned = Standing.NOT_COVERED if guard is Guard.COVERED else Standing.ASSUMED_COVERED
    return learned if is_wrong[guard] else None


PLENTY = Decimal(10) ** 30


class Plenty(dict[str, Decimal]):
    """Balances of users who all exist and have enough."""

    def get(self, user: str, default: Any = None) -> Any:
        """Return a balance; who was never heard of has plenty."""
        del default
        return super().get(user, PLENTY)


@define
class Rehearsal:
    """A policy at work on entries by reference and balances by user, both in memory."""

    policy: Policy
    balances: dict[str, Decimal]
    entries: dict[str, list[Entry]] = Factory(dict)
    baselines: Baselines = NO_BASELINES

    def deliver(self, *documents: Document, source: Source = Source.EVENT) -> list[Outcome]:
        """Deliver events in the given order, and return how each ended. Raises EventError for one that makes no sense."""
        return [self.reconcile(Envelope(document, source)) for document in documents]

    def reconcile(self, envelope: Envelope) -> Outcome:
        """Assess, decide and post one envelope."""
        assessment = assess(envelope, self.policy, self.baselines)
        if assessment is None:
            return Outcome.IGNORED
        standing = Standing.ASSUMED_COVERED
        while True:
            decision = decide(assessment, self.log(assessment.reference), standing, self.policy)
            learned = self._learn(decision)
            if learned is None:
                return decision.outcome
            standing = learned

    def look_back(self) -> None:
        """Flag what only many of the entries show, as the next scheduled run would."""
        looking = LookBack(self.policy, self.baselines)
        looking.add(entry.seen for entries in self.entries.values() for entry in entries)
        for trend in list(looking.trends()):
            assessment = flagged(trend)
            self._learn(mark_only(assessment, self.log(assessment.reference), self.policy))

    def log(self, reference: str) -> JobLog:
        """Return the log of a reference."""
        return log_of(self.entries.get(reference, []))

    def _learn(self, decision: Decision) -> Standing | None:
        """Post the entry if its guard holds, else return what the user's row teaches."""
        entry = decision.entry
        if entry is None:
            return None
        if (learned := contradiction(self.balances.get(entry.user), entry, decision.guard)) is not None:
            return learned
        self.entries.setdefault(entry.reference, []).append(entry)
        if decision.guard is not Guard.NONE:
            self.balances[entry.user] = EXACT.add(self.balances.get(entry.user, ZERO), entry.amount)
        return None
