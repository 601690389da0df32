"""A log that a repair adds to: what its amounts rest on must still be so when they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from attrs import define, field

from engine.audit.logs import posted
from engine.audit.seals import Deviation, corrections_in
from engine.domain.entry import Entry, EntryType
from engine.domain.errors import LedgerError
from engine.domain.money import EXACT, ZERO
from engine.ledger.audits import AuditedEntry, AuditStore, Line
from engine.runtime.clock import Deadline

BY_LOG = "log"
"""What the damage is called that the rest of a log proves: what was sealed of it was damaged already."""


class RepairRefused(LedgerError):
    """A correction that cannot be made, or that somebody else's writing came in the way of. All before it stand."""


@define(eq=False)
class GrowingLog:
    """The entries of a reference as a repair has read them. Nobody else adds one meanwhile, or the repair ends."""

    store: AuditStore
    reference: str
    deadline: Deadline
    entries: list[AuditedEntry] = field(init=False)

    @entries.default
    def _entries(self) -> list[AuditedEntry]:
        return self.store.log(self.reference, self.deadline)

    @property
    def lines(self) -> list[Line]:
        """What counts of its entries."""
        return [entry.line for entry in self.entries]

    @property
    def has_no_first(self) -> bool:
        """Whether the first place is free although others are taken."""
        return bool(self.entries) and self.entries[0].line.sequence > 1

    @property
    def next(self) -> int:
        """The place behind the last entry."""
        return int(self.entries[-1].line.sequence) + 1 if self.entries else 1

    def append(self, entry: Entry) -> None:
        """Add an entry to what was read. Raises RepairRefused where somebody else has written to the log."""
        known = {line.key for line in self.lines} | {(entry.reference, entry.sequence)}
        is_posted = self.store.append(entry, self.deadline)
        self.entries = self._entries()
        if not is_posted or known != {line.key for line in self.lines}:
            raise RepairRefused(f"{self.reference}: somebody else has written to it; repair again")


def has_gone_on(log: Sequence[AuditedEntry], deviations: Sequence[Deviation]) -> bool:
    """Say whether an entry that came later was posted on what is damaged, and brought the sum to what its cost says.

    It has moved the balance by what was changed. Counted back as well, that would count twice, and nobody would see it.
    """
    last = log[-1].line if log else None
    changed = max(deviation.sequence or 0 for deviation in deviations)
    if last is None or last.is_correction or last.cost is None or last.type == EntryType.FLAG or last.sequence <= changed:
        return False
    back = sum((_changed_by(deviation) for deviation in deviations), start=ZERO)
    return back != ZERO and posted([entry.line for entry in log]) == EXACT.minus(last.cost)


def _changed_by(deviation: Deviation) -> Decimal:
    """Return what counts a deviation back."""
    sealed, found = deviation.sealed, deviation.found
    return EXACT.subtract(sealed.amount if sealed else ZERO, found.moved if found else ZERO)


def earlier(log: Sequence[AuditedEntry], sequence: int | Decimal | None) -> Iterator[tuple[str, Decimal]]:
    """Yield what takes back the corrections of an entry that was damaged once more."""
    for entry in log:
        figures = next(corrections_in(entry), {})
        line = entry.line
        if line.sequence != sequence and figures.get("entry") == str(sequence) and figures.get("damage") != BY_LOG:
            yield str(line.user), EXACT.minus(line.moved)
