"""What a repair of one user rests on: the histories of the logs that are the user's, and the books of all whom they name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from decimal import Decimal

from attrs import define, field

from engine.audit.repairs.history import LogHistory, history
from engine.audit.repairs.suspects import Believes, Books
from engine.domain.money import EXACT, ZERO
from engine.ledger.audits import ArchivedRecord, AuditedEntry, AuditStore
from engine.ledger.stored import EntryKey, Place
from engine.runtime.clock import Deadline

type Archive = Callable[[], Iterable[ArchivedRecord]]
"""Reads all of the archive, in its order, as often as it is called."""


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
        self.histories = list(self._histories(self._references()))
        self.books = self._books({self.user, *(user for each in self.histories for user in each.users)})

    def _references(self) -> set[str]:
        """Return every log that names the user, or did."""
        references = {reference for reference, _ in self.named}
        references |= {entry.line.reference for entry in self.store.entries_of_user(self.user, self.deadline)}
        return references | {entry.line.reference for _, entry in self._whole() if entry.line.user == self.user}

    def _whole(self) -> Iterator[tuple[ArchivedRecord, AuditedEntry]]:
        for record in self.archive():
            if (entry := record.entry) is not None:
                yield record, entry

    def _histories(self, references: set[str]) -> Iterator[LogHistory]:
        """Yield the logs' histories. A correction of a plan counts, even where the archive has not seen it yet."""
        came: dict[str, list[AuditedEntry]] = defaultdict(list)
        touched: dict[str, set[tuple[Place, str]]] = defaultdict(set)
        taken_in = set[EntryKey]()
        for record in self.archive():
            reference, place = record.key
            if reference not in references:
                continue
            if (entry := record.entry) is None:
                touched[reference].add((place, record.digest))
                continue
            came[reference].append(entry)
            if record.is_taken_in:
                taken_in.add(record.key)
        for reference in sorted(references):
            found = self.store.log(reference, self.deadline)
            corrections = (entry for entry in found if entry.line.is_correction and self.believes(entry))
            late = [entry for entry in corrections if all(entry.line.key != each.line.key for each in came[reference])]
            yield history(reference, [*came[reference], *late], found, frozenset(taken_in), touched[reference])

    def _books(self, users: AbstractSet[str]) -> dict[str, Books]:
        """Return the books of users. Of what came into one place the first counts, whosever it is."""
        taken = {(each.reference, place) for each in self.histories for place in each.posted}
        first = {arrival.seen.line.key: arrival.seen for each in self.histories for arrival in each.posted.values()}
        for _, entry in self._whole():
            if entry.line.user in users and entry.line.key not in taken:
                first.setdefault(entry.line.key, entry)
        entries: dict[str, list[tuple[EntryKey, Decimal]]] = defaultdict(list)
        for key, entry in first.items():
            entries[entry.line.user or ""].append((key, entry.line.moved))
        return {user: self._books_of(user, entries[user]) for user in users}

    def _books_of(self, user: str, entries: list[tuple[EntryKey, Decimal]]) -> Books:
        total = ZERO
        for _, amount in entries:
            total = EXACT.add(total, amount)
        return Books(total, self.store.credit(user, self.deadline).posted, tuple(entries))
