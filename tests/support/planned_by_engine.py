"""The plan of an edit as the engine makes it event by event, all of it in memory: any other plan is compared with it."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from attrs import Factory, define, frozen

from engine.domain.entry import Entry
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError, NoRow
from engine.domain.log import log_of
from engine.domain.money import EXACT, ZERO
from engine.ledger.memory import MemoryStore
from engine.policy.model import Policy
from engine.preview.changes import changes
from engine.preview.dry_run import DryRun, store_of

REFUSED = "error"
"""How an event ends that makes no sense."""


@frozen
class Difference:
    """A job or a grant that would end otherwise: what it moves in all (credits, signed) now and then."""

    reference: str
    user: str
    now: Decimal
    then: Decimal

    @property
    def by(self) -> Decimal:
        """How much more the user would have."""
        return EXACT.subtract(self.then, self.now)


@frozen
class Plan:
    """The outcome of a comparison. ``outcomes`` counts events by how they end now and then; ``sums`` credits by entry type."""

    changes: tuple[str, ...]
    events: int
    outcomes: Mapping[tuple[str, str], int]
    sums: Mapping[str, tuple[Decimal, Decimal]]
    anomalies: Mapping[str, tuple[int, int]]
    differences: tuple[Difference, ...]
    refused: tuple[str, ...]
    """What is wrong with events that make sense now and would not then."""

    def answer(self) -> dict[str, Any]:
        """Return the plan as JSON-like values; credits are exact strings."""
        return {
            "changes": list(self.changes),
            "events": self.events,
            "outcomes": [{"now": now, "then": then, "events": n} for (now, then), n in sorted(self.outcomes.items())],
            "credits": {name: _pair(*sums) for name, sums in self.sums.items()},
            "anomalies": {name: {"now": now, "then": then} for name, (now, then) in self.anomalies.items()},
            "differences": [
                {"reference": d.reference, "user": d.user, **_pair(d.now, d.then), "by": format(d.by, "f")}
                for d in self.differences
            ],
            "refused": list(self.refused),
        }


def _pair(now: Decimal, then: Decimal) -> dict[str, str]:
    return {"now": format(now, "f"), "then": format(then, "f")}


type Rows = Mapping[str, Document]
"""Rows of Jobs by their jobs."""


def plan(
    documents: Iterable[Document],
    now: Policy,
    then: Policy,
    seen: Callable[[int], None] = lambda _: None,
    rows: Rows | None = None,
) -> Plan:
    """Return what the events would come to under the policy ``then`` instead of ``now``, as if neither had seen them before.

    Every user exists and has enough. ``seen`` is told how many events were read so far. ``rows`` are what a policy reads by
    ``row``. Raises NoRow where it reads one and none were handed over (None).
    """
    with _seldom_collected():
        return _plan(documents, (_Side(now, rows), _Side(then, rows)), seen)


def _plan(documents: Iterable[Document], sides: tuple[_Side, _Side], seen: Callable[[int], None]) -> Plan:
    outcomes: dict[tuple[str, str], int] = {}
    refused = []
    count = 0
    for count, document in enumerate(documents, start=1):
        ends = tuple(side.deliver(document) for side in sides)
        pair = (ends[0][0], ends[1][0])
        outcomes[pair] = outcomes.get(pair, 0) + 1
        if pair[1] == REFUSED != pair[0]:
            refused.append(ends[1][1])
        seen(count)
    for side in sides:
        side.run.look_back()
    return Plan(
        changes=tuple(changes(sides[0].policy, sides[1].policy)),
        events=count,
        outcomes=outcomes,
        sums=_both(_sums, sides, ZERO),
        anomalies=_both(_anomalies, sides, 0),
        differences=tuple(sorted(_differences(*sides), key=lambda difference: EXACT.minus(EXACT.abs(difference.by)))),
        refused=tuple(refused),
    )


ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let Python look seldom for cycles among what is kept: entries have none, and there may be a million of them."""
    before = gc.get_threshold()
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@define
class _Side:
    """One policy at work."""

    policy: Policy
    rows: Rows | None = None
    run: DryRun = Factory(lambda side: DryRun(side.policy, side.store()), takes_self=True)

    def store(self) -> MemoryStore:
        """Return a store with the rows of jobs."""
        store = store_of()
        store.jobs.update({job: dict(row) for job, row in (self.rows or {}).items()})
        return store

    def deliver(self, document: Document) -> tuple[str, str]:
        """Return how an event ends, and what is wrong with it."""
        try:
            return self.run.reconcile(Envelope(document, Source.REPLAY)).outcome.value, ""
        except EventError as error:
            if isinstance(error, NoRow) and self.rows is None:
                raise
            return REFUSED, str(error)

    def entries(self) -> Iterator[Entry]:
        return self.run.entries()

    def nets(self) -> dict[str, tuple[str, Decimal]]:
        """Return user and sum of each reference, without what is only held."""
        logs = [(log[0], log_of(log)) for log in self.run.store.all_logs()]
        return {first.reference: (first.user, EXACT.add(log.posted, log.held)) for first, log in logs}


def _both[T](count: Callable[[_Side], dict[str, T]], sides: tuple[_Side, _Side], none: T) -> dict[str, tuple[T, T]]:
    now, then = count(sides[0]), count(sides[1])
    return {name: (now.get(name, none), then.get(name, none)) for name in sorted({*now, *then})}


def _sums(side: _Side) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for entry in side.entries():
        if amount := EXACT.add(entry.amount, entry.held):
            sums[entry.type.value] = EXACT.add(sums.get(entry.type.value, ZERO), amount)
    return {**sums, "net": functools.reduce(EXACT.add, sums.values(), ZERO)}


def _anomalies(side: _Side) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in side.entries():
        for anomaly in entry.anomalies:
            counts[anomaly.name] = counts.get(anomaly.name, 0) + 1
    return counts


def _differences(now: _Side, then: _Side) -> Iterator[Difference]:
    before, after = now.nets(), then.nets()
    for reference in {**before, **after}:
        user = (before.get(reference) or after[reference])[0]
        amounts = [nets.get(reference, (user, ZERO))[1] for nets in (before, after)]
        if amounts[0] != amounts[1]:
            yield Difference(reference, user, amounts[0], amounts[1])
