"""The engine at work in memory, with shorthands for what tests ask."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import evolve

from engine.domain.decision import Outcome
from engine.domain.entry import Entry
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.log import log_of
from engine.policy import Policy
from engine.preview.dry_run import DryRun, store_of
from engine.rating.baselines import NO_BASELINES, Baselines
from tests.support.ledgers import Balances, reference_of


class Books:
    """A dry run whose entries are read as a person writes them down. None for ``balances``: everybody has plenty."""

    def __init__(
        self, policy: Policy, balances: Mapping[str, Decimal] | None = None, baselines: Baselines = NO_BASELINES
    ) -> None:
        self.store = store_of(balances)
        self.store.baselines[policy.name] = evolve(baselines, computed_at=self.store.clock.now())
        self.balances = Balances(self.store)
        self.policy = policy

    @property
    def policy(self) -> Policy:
        """The policy in force; another one goes on with the same entries."""
        return self.run.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self.run = DryRun(policy, self.store)

    @property
    def entries(self) -> dict[str, list[Entry]]:
        """All entries by their reference."""
        return {entries[0].reference: entries for entries in self.store.all_logs()}

    def deliver(self, *documents: Document, source: Source = Source.EVENT) -> list[Outcome]:
        """Deliver events in the given order, and return how each ended. Raises EventError for one that makes no sense."""
        return [self.reconcile(Envelope(document, source)) for document in documents]

    def reconcile(self, envelope: Envelope) -> Outcome:
        """Reconcile one envelope, and return how it ended."""
        return self.run.reconcile(envelope).outcome

    def look_back(self) -> None:
        """Flag what only many of the entries show."""
        self.run.look_back()

    def entries_of(self, reference: str) -> list[Entry]:
        """Return the entries of a reference; without a ``#`` it is a job's."""
        return self.store.entries_of(reference_of(reference), self.run.deadline)

    def lines(self, job: str) -> list[tuple[str, str]]:
        """Return a job's entries as (type, amount)."""
        return [(entry.type.value, format(entry.amount, "f") if entry.amount else "0") for entry in self.entries_of(job)]

    def net(self, reference: str) -> Decimal:
        """Return the sum of the entries of a reference; without a ``#`` it is a job's."""
        return log_of(self.entries_of(reference)).posted

    def anomalies(self, job: str) -> list[str]:
        """Return the names of all anomalies of a job's entries."""
        return [anomaly.name for entry in self.entries_of(job) for anomaly in entry.anomalies]
