"""All of the ledger against all of the archive: what the one has and the other has not, beside what the chain itself tells.

A stream can lose what nobody read for a day, and an archive can be begun late. So both are tallied, and where the tallies
differ they are read again, piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import timedelta

from attrs import define

from engine.audit.archived.changes import changes, late
from engine.audit.archived.older import Read, records_of
from engine.audit.archived.part import Spot
from engine.audit.archived.tally import Tally, piece_of
from engine.audit.books import ENTRIES_BETWEEN_LOOKS_AT_THE_CLOCK, check_time
from engine.audit.differences import Difference, Kind
from engine.domain.instants import posting_text
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import EMPTY, ArchiveObject, Head, follow
from engine.ledger.audits import AuditedEntry, AuditStore
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Clock, Deadline

REST = timedelta(minutes=15)
"""So old are the entries that are compared: the archive has them for long, if nothing is wrong."""

SPOTS_MAX = 100_000
"""So many places are compared one by one in a pass."""


def tally_until(clock: Clock) -> str:
    """Return until when entries are tallied by an audit that begins now."""
    return posting_text(clock.now() - REST)


@define
class Whole:
    """The ledger beside the archive. ``archived`` is the tally of all originals up to ``head``."""

    bucket: Bucket
    reads: Read
    store: AuditStore
    archived: Tally
    head: Head
    deadline: Deadline
    seen: Callable[[int], None] = lambda _: None
    entries: int = 0

    def differences(self, known: Collection[EntryKey]) -> Iterator[Difference]:
        """Yield what is not in both as it should be, but for what is ``known`` already."""
        yield from self.compare(self.tally(), known)

    def tally(self) -> Tally:
        """Read the ledger once."""
        found = Tally(self.archived.until)
        for entry in self._entries():
            found.add(entry, entry.digest)
        return found

    def _entries(self) -> Iterator[AuditedEntry]:
        for count, entry in enumerate(self.store.entries(self.deadline), start=1):
            if count % ENTRIES_BETWEEN_LOOKS_AT_THE_CLOCK == 0:
                check_time(self.deadline)
                self.seen(count)
            self.entries = count
            yield entry

    def compare(self, ledger: Tally, known: Collection[EntryKey]) -> Iterator[Difference]:
        """Yield what differs between the archive and a tally of the ledger, but for what is ``known`` already."""
        pieces = sorted(self.archived.differing(ledger))
        counts = {
            piece: max(self.archived.pieces.get(piece, (0, 0))[0], ledger.pieces.get(piece, (0, 0))[0]) for piece in pieces
        }
        some, size = set[int](), 0
        for piece in pieces:
            if some and size + counts[piece] > SPOTS_MAX:
                yield from self._of_pieces(some, known)
                some, size = set(), 0
            some.add(piece)
            size += counts[piece]
        if some:
            yield from self._of_pieces(some, known)

    def _of_pieces(self, pieces: Collection[int], known: Collection[EntryKey]) -> Iterator[Difference]:
        """Compare the entries of some pieces one by one."""
        spots: dict[EntryKey, Spot] = {}
        for each in follow(self.bucket, EMPTY, self.head, self.deadline):
            if isinstance(each, ArchiveObject):
                self._take(each, pieces, spots)
        now: dict[EntryKey, AuditedEntry] = {}
        for entry in self.store.entries(self.deadline):
            if piece_of(entry.line.reference) in pieces and (entry.line.key in spots or self.archived.counts(entry)):
                now[entry.line.key] = entry
        for spot in spots.values():
            spot.is_open = True
        due = [spot for spot in spots.values() if spot.key not in known and self._is_due(spot)]
        yield from changes(due, now)
        yield from (late(entry) for key, entry in sorted(now.items()) if key not in spots and key not in known)

    def _is_due(self, spot: Spot) -> bool:
        return spot.original is not None and self.archived.counts(spot.original)

    def _take(self, of: ArchiveObject, pieces: Collection[int], spots: dict[EntryKey, Spot]) -> None:
        for record in records_of(self.reads, of):
            if piece_of(record.key[0]) in pieces:
                spots.setdefault(record.key, Spot(record.key)).take(record, of, may_be_again=False)


def of_the_ledger(found: Collection[Difference]) -> set[EntryKey]:
    """Return the places that findings are about."""
    return {each.key for each in found if each.key is not None and each.kind is not Kind.DRIFT}
