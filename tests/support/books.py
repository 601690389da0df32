"""The core at work in memory, with shorthands for what tests ask."""

from __future__ import annotations

from decimal import Decimal

from attrs import define

from engine.domain.entry import Entry
from engine.domain.log import log_of
from engine.domain.references import JOB
from engine.preview.rehearsal import Rehearsal


@define
class Books(Rehearsal):
    """A rehearsal whose entries are read as a person writes them down."""

    def entries_of(self, reference: str) -> list[Entry]:
        """Return the entries of a reference; without a ``#`` it is a job's."""
        return self.entries.get(reference if "#" in reference else f"{JOB}{reference}", [])

    def lines(self, job: str) -> list[tuple[str, str]]:
        """Return a job's entries as (type, amount)."""
        return [(entry.type.value, format(entry.amount, "f") if entry.amount else "0") for entry in self.entries_of(job)]

    def net(self, job: str) -> Decimal:
        """Return the sum of a job's entries."""
        return log_of(self.entries_of(job)).posted

    def anomalies(self, job: str) -> list[str]:
        """Return the names of all anomalies of a job's entries."""
        return [anomaly.name for entry in self.entries_of(job) for anomaly in entry.anomalies]
