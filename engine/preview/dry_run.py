"""A dry run: the reconciler at work on a store in memory, at a clock that is handed in, and telling nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, cast

from attrs import field, frozen

from engine.domain.entry import Entry
from engine.domain.envelope import Envelope
from engine.domain.job_row import JobRow
from engine.ledger.memory import MemoryStore
from engine.ledger.store import Store
from engine.policy.model import Policy
from engine.rating.trends import LookBack
from engine.reconcile.flags import flag
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Failure, Report, Telemetry

if TYPE_CHECKING:
    from engine.domain.shadowed import Shadowed

PLENTY = Decimal(10) ** 60
"""What everybody has where nobody says what they have: charges of 38 digits by the trillion do not use it up."""

BEGINNING, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

NOT_MARKED = JobRow(takes_mark=False)
"""A job's row as it is assumed: it is there, and nothing is written on it."""

STOPPED = Clock(lambda: END, lambda: 0.0, lambda _seconds: None, lambda low, _high: low)
"""A clock that stands at the end of time: no event lies ahead of it, and nothing takes time."""


def store_of(balances: Mapping[str, Decimal] | None = None, clock: Clock = STOPPED) -> MemoryStore:
    """Return a store with users who have these balances; None: everybody is there, with plenty."""
    if balances is None:
        return MemoryStore(clock, newcomers=PLENTY)
    return MemoryStore(clock, {user: {"userId": user, "remaining": balance} for user, balance in balances.items()})


class Silence(Telemetry):
    """Telemetry that tells nobody."""

    def settled(self, report: Report, shadowed: Shadowed | None = None) -> None:
        """Write no line."""

    def failed(self, failure: Failure) -> None:
        """Write no line."""


@frozen
class DryRun:
    """A policy at work on a store in memory."""

    policy: Policy
    store: MemoryStore
    reconciler: Reconciler = field(init=False)
    deadline: Deadline = field(init=False)

    @reconciler.default
    def _reconciler(self) -> Reconciler:
        clock = self.store.clock
        return Reconciler(self.policy, cast("Store", self.store), Silence(lambda _line: None, clock), clock)

    @deadline.default
    def _deadline(self) -> Deadline:
        return Deadline(self.store.clock, float("inf"))

    def reconcile(self, envelope: Envelope) -> Report:
        """Bring the store in line with one envelope. Raises EventError for one that makes no sense."""
        return self.reconciler.settled(envelope, self.deadline, NOT_MARKED)

    def entries(self) -> Iterator[Entry]:
        """Yield all entries: reference by reference, in order of their first posting."""
        return chain.from_iterable(self.store.all_logs())

    def look_back(self) -> None:
        """Flag what only many of the entries show, as the next scheduled run would."""
        looking = LookBack(self.policy, self.reconciler.baselines.latest(self.deadline))
        for page in self.store.recent(BEGINNING, self.deadline):
            looking.add(page)
        for trend in list(looking.trends()):
            flag(trend, self.policy, self.reconciler.ledger, self.deadline)
