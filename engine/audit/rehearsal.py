"""The tables of a ledger in which a repair is only tried: what it appends is seen by whoever reads on, and written nowhere."""
# ruff: noqa: ARG002  the protocol keeps seals, and a repair does not

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from attrs import Factory, define, evolve

from engine.domain.entry import Entry
from engine.domain.errors import LedgerRefused
from engine.domain.money import EXACT
from engine.ledger.audits import AuditedEntry, AuditStore, Credit, PutBack
from engine.ledger.balances import BalancePage
from engine.ledger.moved import Moved
from engine.ledger.seals import Seal, SealedEntry
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Clock, Deadline


@define
class Rehearsal:
    """An ``AuditStore`` over another one: reads go through, and what is appended stays here."""

    store: AuditStore
    appended: dict[str, list[AuditedEntry]] = Factory(lambda: defaultdict(list))
    """Entries by reference."""
    rows: dict[str, Credit] = Factory(dict)
    """Rows of Credits as they would be."""

    @property
    def clock(self) -> Clock:
        """The clock of the tables."""
        return self.store.clock

    # --- what is read ---

    def entries(self, deadline: Deadline, segment: tuple[int, int] | None = None) -> Iterator[AuditedEntry]:
        """Yield every entry; logs that were appended to come last, each as a whole. A repair reads no segments."""
        new = set(self.appended)
        yield from (entry for entry in self.store.entries(deadline) if entry.line.reference not in new)
        for reference in new:
            yield from self.log(reference, deadline)

    def log(self, reference: str, deadline: Deadline) -> list[AuditedEntry]:
        """Return the entries of a reference in order of their sequence."""
        entries = [*self.store.log(reference, deadline), *self.appended.get(reference, ())]
        return sorted(entries, key=lambda entry: entry.line.sequence)

    def entries_of_user(self, user: str, deadline: Deadline, since: str = "") -> Iterator[AuditedEntry]:
        """Yield the entries of a user."""
        yield from self.store.entries_of_user(user, deadline, since)
        yield from (entry for log in self.appended.values() for entry in log if entry.line.user == user)

    def entries_at(self, keys: Iterable[EntryKey], deadline: Deadline) -> dict[EntryKey, AuditedEntry]:
        """Return those of the entries that are there."""
        wanted = set(keys)
        new = {entry.line.key: entry for log in self.appended.values() for entry in log if entry.line.key in wanted}
        return {**self.store.entries_at(wanted, deadline), **new}

    def credit(self, user: str, deadline: Deadline) -> Credit:
        """Return what a user's row says was posted."""
        return self.rows[user] if user in self.rows else self.store.credit(user, deadline)

    def credits(self, deadline: Deadline, *, with_remaining: bool = False) -> Iterator[Credit]:
        """Yield what every user's row says was posted."""
        rows = self.store.credits(deadline, with_remaining=with_remaining)
        yield from (row for row in rows if row.user not in self.rows)
        yield from self.rows.values()

    # --- what would be written ---

    def append(self, entry: Entry, deadline: Deadline) -> bool:
        """Append an entry that moves no balance. False where its sequence is taken."""
        if any(other.line.sequence == entry.sequence for other in self.log(entry.reference, deadline)):
            return False
        self.appended[entry.reference].append(self.store.audited(entry))
        return True

    def append_with_row(self, entry: Entry, seen: Credit, says: Moved, moved: Decimal, deadline: Deadline) -> bool:
        """Append an entry, and let the user's row say what was posted and is held, its balance moved by ``moved``."""
        if self.credit(seen.user, deadline) != seen or not self.append(entry, deadline):
            return False
        remaining = None if seen.remaining is None else EXACT.add(seen.remaining, moved)
        self.rows[seen.user] = evolve(seen, posted=says.amount, held=says.held, remaining=remaining, is_there=True)
        return True

    def put_back(self, put_backs: Sequence[PutBack], corrections: Sequence[tuple[Entry, Moved]], deadline: Deadline) -> bool:
        """Put nothing back: what is put back is shown by its plan. Raises LedgerRefused."""
        raise LedgerRefused(NOTHING_IS_KEPT)

    def entry(self, text: str) -> AuditedEntry:
        """Return the entry of a text."""
        return self.store.entry(text)

    def audited(self, entry: Entry) -> AuditedEntry:
        """Return an entry as audits would see it."""
        return self.store.audited(entry)

    # --- seals, which a repair only reads ---

    def last_seal(self, deadline: Deadline) -> Seal:
        """Return the newest header."""
        return self.store.last_seal(deadline)

    def seals(self, deadline: Deadline) -> Iterator[tuple[Seal, str]]:
        """Yield all headers in order."""
        return self.store.seals(deadline)

    def part(self, name: str, deadline: Deadline) -> list[SealedEntry] | None:
        """Return the entries of a part."""
        return self.store.part(name, deadline)

    def balance_pages(self, deadline: Deadline) -> Iterator[BalancePage]:
        """Yield the pages of the book of balances."""
        return self.store.balance_pages(deadline)

    def keep_part(self, lines: Iterable[str], deadline: Deadline) -> str:
        """Seal nothing. Raises LedgerRefused."""
        raise LedgerRefused(NOTHING_IS_KEPT)

    def keep(self, seal: Seal, deadline: Deadline) -> bool:
        """Seal nothing. Raises LedgerRefused."""
        raise LedgerRefused(NOTHING_IS_KEPT)

    def keep_balances(self, page: BalancePage, deadline: Deadline) -> bool:
        """Note nothing. Raises LedgerRefused."""
        raise LedgerRefused(NOTHING_IS_KEPT)


NOTHING_IS_KEPT = "a repair that is only tried keeps nothing"
