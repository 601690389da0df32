"""Events that can be told only with the row of their job in Jobs: the row is read, and the event assessed again.

Imported only once an event asks for a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from engine.domain.assessment import Assessment
from engine.domain.envelope import Document, Envelope
from engine.domain.errors import LedgerError, RowNeeded
from engine.ledger.store import Store
from engine.policy.model import Policy
from engine.rating.assess import assess
from engine.rating.baselines import NO_BASELINES, Baselines
from engine.runtime.clock import Deadline

if TYPE_CHECKING:
    from engine.reconcile.batch import Assessed


@frozen(eq=False, repr=False)
class RowReader:
    """Assesses events with the rows that they need. ``baselines`` and ``now`` are those of ``assess``."""

    policy: Policy
    store: Store
    deadline: Deadline
    baselines: Baselines = NO_BASELINES
    now: datetime | None = None

    def one(self, envelope: Envelope, needed: RowNeeded) -> Assessment | None:
        """Return what the policy makes of an event with its job's row.

        Raises EventError where there is no such row, and LedgerError where it cannot be read.
        """
        (assessed,) = self.all([(envelope, needed)])
        if isinstance(assessed, Exception):
            raise assessed
        return assessed

    def all(self, asking: Sequence[tuple[Envelope, RowNeeded]]) -> list[Assessed]:
        """Return what the policy makes of each event with its job's row. All rows are read together."""
        try:
            jobs = tuple({needed.job: None for _, needed in asking})
            rows = self.store.job_rows(jobs, self.policy.own_row, self.deadline)
        except LedgerError as error:
            return [_unread(error, envelope, needed) for envelope, needed in asking]
        return [self._with_row(envelope, needed, rows) for envelope, needed in asking]

    def _with_row(self, envelope: Envelope, needed: RowNeeded, rows: Mapping[str, Document | LedgerError]) -> Assessed:
        row = rows.get(needed.job)
        if row is None:
            return needed.missing
        if isinstance(row, LedgerError):
            return _unread(row, envelope, needed)
        try:
            return assess(evolve(envelope, row=row), self.policy, self.baselines, self.now)
        except Exception as error:  # noqa: BLE001  this event alone comes back
            return error


def _unread(error: LedgerError, envelope: Envelope, needed: RowNeeded) -> LedgerError:
    return error.about(envelope.id, job=needed.job, user=None, rule=needed.rule)
