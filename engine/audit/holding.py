"""What is held for a job, by what its entries know of it: it must be what they say of it together. Pure.

An entry's facts tell which hold is open, so each entry must bring what is held to what that hold adds to the cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from engine.audit.logs import Fault
from engine.domain.entry import Entry
from engine.domain.entry_types import EntryType
from engine.domain.log import NO_ENTRIES
from engine.domain.money import EXACT, ZERO
from engine.ledger.audits import AuditedEntry
from engine.rating.cost import desired_held, held_of

OF_HOLDS = frozenset({EntryType.HOLD.value, EntryType.SETTLE.value, EntryType.RELEASE.value})


def is_about_holds(entry: AuditedEntry) -> bool:
    """Say whether an entry moves what is held, or should."""
    return entry.line.held != ZERO or entry.line.type in OF_HOLDS


def holding_faults(log: Sequence[AuditedEntry]) -> Iterator[Fault]:
    """Yield the first entry of a log, since the last correction, after which something else is held than it knows of.

    Of what stands behind an entry that cannot be read nothing is said.
    """
    known = NO_ENTRIES
    wrong: Fault | None = None
    for seen in log:
        entry = seen.entry
        if not isinstance(entry, Entry):
            break
        expected = EXACT.subtract(held_of(entry.facts, known, entry.money), known.held)
        if seen.line.is_correction:
            wrong = None
        elif wrong is None and entry.held != expected:
            problem = f"it holds {entry.held:f} more; {expected:f} follows from what it knows"
            wrong = Fault(seen.line.reference, seen.line.sequence, problem)
        known = known.then(entry)
    if wrong is not None:
        yield wrong


def held_by_facts(log: Sequence[AuditedEntry]) -> Decimal:
    """Return how many credits should be held for a log by what its newest entry that can be read knows."""
    readable = (entry for seen in reversed(log) if isinstance(entry := seen.entry, Entry))
    newest = next(readable, None)
    return desired_held(newest.facts, newest.money) if newest is not None else ZERO
