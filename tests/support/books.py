"""A ledger in memory that posts whatever ``decide`` decides: enough to run the pure core without a database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import Factory, define

from engine.assess import assess
from engine.decide import decide
from engine.policy import Policy
from engine.values import Decision, Entry, Envelope, Guard, JobLog, Outcome, Source, Standing
from tests.support.ledgers import contradiction, log_of


@define
class Books:
    """Entries by job and balances by user. Guards are checked just as the database checks them."""

    policy: Policy
    balances: dict[str, Decimal]
    entries: dict[str, list[Entry]] = Factory(dict)

    def deliver(self, *documents: dict[str, Any], source: Source = Source.EVENT) -> list[Outcome]:
        """Deliver events in the given order, and return how each ended."""
        return [self.reconcile(Envelope(document, source)) for document in documents]

    def reconcile(self, envelope: Envelope) -> Outcome:
        """Assess, decide and post one envelope."""
        assessment = assess(envelope, self.policy)
        if assessment is None:
            return Outcome.IGNORED
        standing = Standing.ASSUMED_COVERED
        while True:
            decision = decide(assessment, self.log(assessment.job), standing, self.policy)
            learned = self._learn(decision)
            if learned is None:
                return decision.outcome
            standing = learned

    def log(self, job: str) -> JobLog:
        """Return a job's log as the database would sum it up."""
        return log_of(self.entries.get(job, []))

    def lines(self, job: str) -> list[tuple[str, str]]:
        """Return a job's entries as (type, amount)."""
        return [(entry.type.value, format(entry.amount, "f") if entry.amount else "0") for entry in self.entries.get(job, [])]

    def net(self, job: str) -> Decimal:
        """Return the sum of a job's entries."""
        return self.log(job).posted

    def anomalies(self, job: str) -> list[str]:
        """Return the names of all anomalies of a job's entries."""
        return [anomaly.name for entry in self.entries.get(job, []) for anomaly in entry.anomalies]

    def _learn(self, decision: Decision) -> Standing | None:
        """Post the entry if its guard holds, else return what the user's row teaches."""
        entry = decision.entry
        if entry is None:
            return None
        if (learned := contradiction(self.balances.get(entry.user), entry, decision.guard)) is not None:
            return learned
        self.entries.setdefault(entry.job, []).append(entry)
        if decision.guard is not Guard.NONE:
            self.balances[entry.user] = self.balances.get(entry.user, Decimal(0)) + entry.amount
        return None
