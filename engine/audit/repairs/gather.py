"""What a repair of one user rests on: the histories of the logs that are the user's, and the books of all whom they name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Protocol

from attrs import Factory, define, field

from engine.audit.repairs.history import LogHistory, history
from engine.audit.repairs.index import Index
from engine.audit.repairs.suspects import Believes, Books
from engine.ledger.audits import ArchivedRecord, AuditedEntry, AuditStore
from engine.ledger.moved import Moved, sum_of
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline


class Archive(Protocol):
    """The archive, object by object."""

    def objects(self) -> Iterator[tuple[str, Iterable[ArchivedRecord]]]:
        """Yield the key and the records of every object, in the order of the chain."""

    def of(self, key: str) -> Iterable[ArchivedRecord]:
        """Return the records of one object once more."""


type MovedFor = tuple[str, Moved]
"""Whose an entry is, and what it moved."""


@define(eq=False)
class _Reader:
    """Reads what is about the logs and the users that an index has chosen."""

    archive: Archive
    index: Index
    of_logs: dict[str, list[ArchivedRecord]] = Factory(lambda: defaultdict(list))
    """By log what the archive tells of it, in its order."""
    _first: dict[EntryKey, tuple[tuple[int, int], MovedFor]] = Factory(dict)
    """Of the users' entries that which came first into its place, and where it was read."""

    def read(self) -> None:
        """Read the objects that are about what is chosen."""
        for number, key in self.index.places():
            for line, record in enumerate(self.archive.of(key)):
                self._take((number, line), record)

    def _take(self, at: tuple[int, int], record: ArchivedRecord) -> None:
        if self.index.has_log(record.key[0]):
            self.of_logs[record.key[0]].append(record)
        if (entry := record.entry) is not None and self.index.has_user(entry.line.user):
            found = at, (entry.line.user or "", entry.line.moves)
            self._first[record.key] = min(found, self._first.get(record.key, found))

    def moved(self) -> Iterator[tuple[EntryKey, MovedFor]]:
        """Yield what the users' entries moved, in the order of the archive."""
        for key, (_, moved) in sorted(self._first.items(), key=lambda each: each[1][0]):
            yield key, moved


@define(eq=False)
class Gathered:
    """What was read of the archive and the tables, for a repair of ``user`` and of the ``named`` entries."""

    store: AuditStore
    archive: Archive
    user: str
    named: AbstractSet[EntryKey]
    believes: Believes
    deadline: Deadline
    histories: list[LogHistory] = field(init=False)
    books: dict[str, Books] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Read the archive once, and then the objects that are about the user once more."""
        with Index() as index:
            for key, records in self.archive.objects():
                index.take(key, records)
            references = self._references()
            index.choose(self.user, references)
            reader = _Reader(self.archive, index)
            reader.read()
            self.histories = list(self._histories(references | reader.of_logs.keys(), reader.of_logs))
            users = {self.user, *self._users()}
            if index.choose_others(users):  # whom only the ledger names
                reader.read()
            self.books = self._books(users, reader.moved())

    def _references(self) -> set[str]:
        """Return the logs that are named, and those that name the user as they stand now."""
        references = {reference for reference, _ in self.named}
        return references | {entry.line.reference for entry in self.store.entries_of_user(self.user, self.deadline)}

    def _histories(self, references: Iterable[str], of_logs: dict[str, list[ArchivedRecord]]) -> Iterator[LogHistory]:
        """Yield the logs' histories. A correction of a plan counts, even where the archive has not seen it yet."""
        for reference in sorted(references):
            records = of_logs.get(reference, [])
            came = [entry for record in records if (entry := record.entry) is not None]
            touched = {(record.key[1], record.digest) for record in records if record.entry is None}
            taken_in = frozenset(record.key for record in records if record.entry is not None and record.is_taken_in)
            found = self.store.log(reference, self.deadline)
            corrections = (entry for entry in found if entry.line.is_correction and self.believes(entry))
            late = [entry for entry in corrections if all(entry.line.key != each.line.key for each in came)]
            yield history(reference, [*came, *late], found, taken_in, touched)

    def _users(self) -> Iterator[str]:
        """Yield whom the logs name."""
        for each in self.histories:
            there = (*(arrival.seen for arrival in each.arrivals), *each.found.values())
            yield from (seen.line.user for seen in there if seen.line.user is not None)

    def _books(self, users: AbstractSet[str], moved: Iterable[tuple[EntryKey, MovedFor]]) -> dict[str, Books]:
        """Return the books of users. Of what came into one place the first counts, whosever it is."""
        first = {arrival.seen.line.key: _moved_by(arrival.seen) for each in self.histories for arrival in each.posted.values()}
        for key, each in moved:
            first.setdefault(key, each)
        entries: dict[str, list[tuple[EntryKey, Moved]]] = defaultdict(list)
        for key, (user, moves) in first.items():
            entries[user].append((key, moves))
        return {user: self._books_of(user, entries[user]) for user in users}

    def _books_of(self, user: str, entries: list[tuple[EntryKey, Moved]]) -> Books:
        total = sum_of(moves for _, moves in entries)
        return Books(total, self.store.credit(user, self.deadline).says, tuple(entries))


def _moved_by(entry: AuditedEntry) -> MovedFor:
    return entry.line.user or "", entry.line.moves
