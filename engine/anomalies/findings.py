"""Flagged entries as a person works through them: what is open, what was said of each, and how it was resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field, frozen

from engine.domain.decision import Decision, Outcome
from engine.domain.entry import Entry, EntryType, Resolution
from engine.domain.envelope import Source
from engine.domain.errors import NoOpenAnomaly
from engine.domain.log import JobLog
from engine.domain.models import model_named
from engine.domain.money import ZERO
from engine.ledger.shapes import read_entry
from engine.ledger.store import Receipt, Store
from engine.reconcile.settle import settle
from engine.runtime.clock import Deadline

RESOLVE = "resolve"
"""The rule of an entry that resolves others: a person's."""

NO_MODEL = "(none)"


@frozen
class Finding:
    """A flagged entry with its explanation (as stored; None without one) and the note that resolved it (None: open)."""

    entry: Entry
    posted_at: str
    explanation: Mapping[str, str] | None = None
    resolved: str | None = None

    @property
    def model(self) -> str:
        """The model that the event named, else the group that the entry was measured in, else what its price was chosen by."""
        if named := model_named(self.entry.facts):
            return named
        if self.entry.samples:
            return self.entry.samples[0].group
        parts = self.entry.price.parts if self.entry.price else ()
        return next((part.unit for part in parts if part.unit), NO_MODEL)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(anomaly.name for anomaly in self.entry.anomalies)

    def answer(self) -> dict[str, Any]:
        """Return it as JSON-like values; credits are exact strings."""
        entry = self.entry
        return {
            "reference": entry.reference,
            "sequence": entry.sequence,
            "user": entry.user,
            "type": entry.type.value,
            "amount": format(entry.amount, "f"),
            "cost": format(entry.cost, "f"),
            "rule": entry.rule,
            "model": self.model,
            "postedAt": self.posted_at,
            "anomalies": [
                {"name": anomaly.name, "reason": anomaly.reason, "figures": dict(anomaly.figures)}
                for anomaly in entry.anomalies
            ],
            "explanation": dict(self.explanation) if self.explanation else None,
            "resolved": self.resolved,
        }


def findings(stored: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return the flagged ones of decoded entries, the latest posting first. What is no entry of this system is left out."""
    rows = [(row, entry) for row in stored if isinstance(entry := read_entry(row), Entry)]
    notes = {
        (entry.reference, sequence): entry.resolution.note
        for _, entry in rows
        if entry.resolution is not None
        for sequence in entry.resolution.entries
    }
    found = [
        Finding(entry, str(row.get("postedAt", "")), row.get("explanation"), notes.get((entry.reference, entry.sequence)))
        for row, entry in rows
        if entry.anomalies
    ]
    return sorted(found, key=lambda finding: (finding.posted_at, finding.entry.reference), reverse=True)


def findings_of(ledger: Store, reference: str, deadline: Deadline) -> list[Finding]:
    """Return the flagged entries of one reference."""
    return findings(ledger.stored_entries_of(reference, deadline))


def resolve(ledger: Store, reference: str, sequence: int | None, note: str, deadline: Deadline) -> Entry:
    """Append an entry that resolves the open anomalies of ``reference`` (or of its entry ``sequence``); it moves nothing.

    Raises NoOpenAnomaly where there is nothing to resolve, and LedgerError where the ledger does not take it.
    """
    proposal = ResolutionProposal(ledger, reference, sequence, note)
    settle(proposal, ledger, deadline)
    return proposal.entry


@define
class ResolutionProposal:
    """A person's resolution of the open anomalies of a log, or of one entry of it."""

    store: Store
    reference: str
    sequence: int | None
    note: str
    entry: Entry = field(init=False)
    """The one that was proposed last."""

    def decide(self, _attempt: int, deadline: Deadline) -> Decision:
        """Return the resolving entry, by the log as it stands now. Raises NoOpenAnomaly or LedgerError."""
        entries, log = self.store.entries_of(self.reference, deadline), self.store.read(self.reference, deadline)
        sequences = tuple(_to_resolve(findings_of(self.store, self.reference, deadline), self.sequence))
        if not sequences or not entries:
            which = self.reference if self.sequence is None else f"{self.reference}, entry {self.sequence}"
            raise NoOpenAnomaly(f"{which}: there is no open anomaly")
        self.entry = self._entry(entries[-1], log, sequences)
        return Decision(Outcome.FLAGGED, self.entry)

    def learn(self, receipt: Receipt, deadline: Deadline) -> None:
        """Nothing: each decision looks at the log."""

    def _entry(self, last: Entry, log: JobLog, sequences: tuple[int, ...]) -> Entry:
        return Entry(
            reference=self.reference,
            job=last.job,
            sequence=log.sequence + 1,
            user=log.user or last.user,
            type=EntryType.FLAG,
            amount=ZERO,
            occurred_at=self.store.clock.now(),
            rule=RESOLVE,
            policy=last.policy,
            facts=log.facts,
            cost=log.cost,
            money=last.money,
            source=Source.COMMAND,
            resolution=Resolution(sequences, self.note),
        )


def _to_resolve(found: Iterable[Finding], sequence: int | None) -> Iterator[int]:
    for finding in sorted(found, key=lambda finding: finding.entry.sequence):
        if finding.resolved is None and sequence in {None, finding.entry.sequence}:
            yield finding.entry.sequence
