"""A log that a repair adds to: what its amounts rest on must still be so when they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from attrs import define, field

from engine.audit.books import look_again
from engine.audit.holding import held_by_facts
from engine.audit.logs import settled
from engine.audit.seals import Deviation, corrections_in
from engine.domain.entry import Entry, EntryType
from engine.domain.errors import LedgerError
from engine.domain.money import EXACT
from engine.ledger.audits import AuditedEntry, AuditStore, Line
from engine.ledger.moved import NOTHING, Moved, sum_of
from engine.runtime.clock import Deadline

BY_LOG = "log"
"""What the damage is called that the rest of a log proves: what was sealed of it was damaged already."""


MADE_UP_FOR = "an entry that came later has made up for it, and the balance moved with that one"
COUNTED_BACK = "entry {}, a correction that cannot be read any more, has counted it back"
NOBODY_KNOWS = "entry {}, a correction, cannot be read, and nothing else tells whether it has counted that back"


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
    def moved(self) -> Moved:
        """What they come to."""
        return sum_of(line.moves for line in self.lines)

    @property
    def missing(self) -> Moved:
        """What they lack, by what they say of the cost and know of holds."""
        return Moved(settled(self.lines), held_by_facts(self.entries)) - self.moved

    @property
    def has_no_first(self) -> bool:
        """Whether the first place is free although others are taken."""
        return bool(self.entries) and self.entries[0].line.sequence > 1

    @property
    def next(self) -> int:
        """The place behind the last entry."""
        return int(self.entries[-1].line.sequence) + 1 if self.entries else 1

    @property
    def lost_correction(self) -> int | Decimal | None:
        """The place of the last correction that is no entry of this system: nobody can tell what it corrects."""
        lost = (each.line.sequence for each in self.entries if each.line.is_correction and isinstance(each.entry, str))
        return max(lost, default=None)

    @property
    def agrees(self) -> bool:
        """Whether it comes to what it says of its cost and knows of holds, and its users' rows to all that is theirs."""
        users = {line.user for line in self.lines if line.user is not None}
        return not self.missing and all(look_again(self.store, user, self.deadline) is None for user in users)

    def append(self, entry: Entry) -> None:
        """Add an entry to what was read. Raises RepairRefused where somebody else has written to the log."""
        known = {line.key for line in self.lines} | {(entry.reference, entry.sequence)}
        is_posted = self.store.append(entry, self.deadline)
        self.entries = self._entries()
        if not is_posted or known != {line.key for line in self.lines}:
            raise RepairRefused(f"{self.reference}: somebody else has written to it; repair again")


def has_gone_on(log: Sequence[AuditedEntry], deviations: Sequence[Deviation]) -> bool:
    """Say whether an entry that came later was posted on what is damaged, and brought the sum to what its cost says.

    What is held it has brought to what it knows. It has moved the user's row by what was changed. Counted back as well, that
    would count twice, and nobody would see it.
    """
    last = log[-1].line if log else None
    changed = max(deviation.sequence or 0 for deviation in deviations)
    if last is None or last.is_correction or last.cost is None or last.type == EntryType.FLAG or last.sequence <= changed:
        return False
    back = sum_of(map(_changed_by, deviations))
    return bool(back) and sum_of(entry.line.moves for entry in log) == Moved(EXACT.minus(last.cost), held_by_facts(log))


def _changed_by(deviation: Deviation) -> Moved:
    """Return what counts a deviation back."""
    sealed, found = deviation.sealed, deviation.found
    return (sealed.moves if sealed else NOTHING) - (found.moves if found else NOTHING)


def earlier(log: Sequence[AuditedEntry], sequence: int | Decimal | None) -> Iterator[tuple[str, Moved]]:
    """Yield what takes back the corrections of an entry that was damaged once more."""
    for entry in log:
        figures = next(corrections_in(entry), {})
        line = entry.line
        if line.sequence != sequence and figures.get("entry") == str(sequence) and figures.get("damage") != BY_LOG:
            yield str(line.user), -line.moves


def merged_by_user(steps: list[tuple[str, Moved]]) -> Iterator[tuple[str, Moved]]:
    """Yield the sum for each user; the last one named, to whom the entry belongs, comes last."""
    sums: dict[str, Moved] = {}
    for user, moves in steps:
        sums[user] = sums.pop(user, NOTHING) + moves
    yield from sums.items()
