"""What the next try of a dead letter would come to: the reconciler at work on a copy of what the ledger holds about it.

Nothing is written. What the letter's events touch is read from the ledger into a store in memory: the log of each job or
purchase, the user's balance, the job's own row. Of several events in one letter each sees what those before would have posted.
"""

from __future__ import annotations

from typing import cast

from attrs import frozen

from engine.domain.assessment import Assessment
from engine.domain.decision import Outcome
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, LedgerRefused, RowNeeded
from engine.ledger.memory import MemoryStore
from engine.ledger.store import Store
from engine.policy.model import Policy
from engine.preview.dry_run import Silence
from engine.rating.assess import assess
from engine.reconcile.dead_letters import NO_RULE, Letter
from engine.reconcile.own_rows import RowReader
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Report

READY = "ready"
"""The next try would post."""

KNOWN = "known already: the ledger holds all of it"
REPEATED = "nothing to post: the next scheduled run does its work"
EMPTY = "there is no event in it"

NOT_READY = {
    Outcome.IGNORED: NO_RULE,
    Outcome.REFUSED: "refused: the user's balance does not cover it (`overdraft: refuse`)",
    Outcome.CLOSED: "closed: the work that it would hold for was charged, has failed or has expired",
}


def next_try(letter: Letter, policy: Policy, ledger: Store | None, deadline: Deadline) -> str:
    """Return ``ready`` where the next try of a letter would post, or else why it would not, or need not.

    A letter without events needs no ledger. Raises LedgerUnavailable where the ledger does not answer.
    """
    if letter.repeats or not letter.events or ledger is None:
        return REPEATED if letter.repeats else EMPTY
    trial = Trial.of(policy, ledger)
    outcomes: list[Outcome] = []
    for event in letter.events:
        try:
            outcomes.append(trial.outcome(Envelope(event, Source.REPLAY), deadline))
        except (EventError, LedgerRefused) as error:
            return str(error)
        if (problem := NOT_READY.get(outcomes[-1])) is not None:
            return problem
    return KNOWN if set(outcomes) == {Outcome.DUPLICATE} else READY


@frozen
class Trial:
    """A ledger, a copy of the part of it that is needed, and the reconciler at work on the copy."""

    ledger: Store
    copy: MemoryStore
    reconciler: Reconciler

    @classmethod
    def of(cls, policy: Policy, ledger: Store) -> Trial:
        clock = ledger.clock
        copy = MemoryStore(clock)
        return cls(ledger, copy, Reconciler(policy, cast("Store", copy), Silence(lambda _line: None, clock), clock))

    def outcome(self, envelope: Envelope, deadline: Deadline) -> Outcome:
        """Return how an event would end. Raises EventError and LedgerError as the reconciler does."""
        return self.report(envelope, deadline).outcome

    def report(self, envelope: Envelope, deadline: Deadline) -> Report:
        """Return what would be reported of an event. Raises EventError and LedgerError as the reconciler does."""
        assessment = self._assessed(envelope, deadline)
        if assessment is None:
            return Report(envelope, Outcome.IGNORED)
        self._read(assessment, deadline)
        return self.reconciler.settled(envelope, deadline)

    def _assessed(self, envelope: Envelope, deadline: Deadline) -> Assessment | None:
        policy, now = self.reconciler.policy, self.ledger.clock.now()
        try:
            return assess(envelope, policy, now=now)
        except RowNeeded as needed:
            asking = needed
        return RowReader(policy, self.ledger, deadline, now=now).one(envelope, asking)

    def _read(self, assessment: Assessment, deadline: Deadline) -> None:
        """Copy what the event touches, unless an event before it has touched it."""
        copy, now = self.copy, self.ledger.clock.now()
        reference = assessment.reference
        if reference not in copy.kept and (entries := self.ledger.entries_of(reference, deadline)):
            copy.kept[reference] = [(entry, now) for entry in entries]
        if assessment.user not in copy.credits and (row := self.ledger.balance(assessment.user, deadline)) is not None:
            copy.credits[assessment.user] = row
        job = assessment.job
        if job is not None and job not in copy.jobs and (found := self.ledger.job_row(job, deadline)) is not None:
            copy.jobs[job] = found
