"""Originals that stand before the part of the chain that an audit reads: found by their keys, from the newest object back.

When an entry was posted says on which days its record can be, the day itself and one on each side. Where nobody can say when,
all days are read, the latest first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta

from attrs import Factory, define, field, frozen

from engine.audit.archived.back import objects_back
from engine.audit.archived.part import Part, Spot
from engine.domain.errors import TimeIsUp
from engine.domain.instants import posting_text, read_instant
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import ArchiveObject, Head
from engine.ledger.audits import ArchivedRecord, AuditStore
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

type Read = Callable[[str], ArchivedRecord]
"""Reads a line of the archive. Raises ValueError for what is no record."""

type Written = tuple[str, int]
"""An instant, and the number of an object: it was written before, as all before it were."""

FIRST_DAY, LAST_DAY = "0000-00-00", "9999-99-99"
DAY = timedelta(days=1)

LATE_BY = timedelta(hours=1)

AGAIN_WITHIN = timedelta(minutes=5)
"""So much older than the newest record of an object another one of it may be, as a rule: of several shards one may be late."""

RESERVE = 0.3
"""This share of the time is kept for the books, and for the checkpoint; each search takes no more of what is left."""

RECORDS_NEAR = 20_000
"""So many records before a part are read for what may have come again, whatever their times are: as many as a part has."""


@frozen
class Where:
    """Between which days a record can be, in the objects ``after`` one (its number).

    ``since``: an object whose newest record is older ends the search, but for the ``near`` records that are read first.
    """

    first: str = FIRST_DAY
    last: str = LAST_DAY
    since: str = ""
    after: int = 0
    near: int = 0

    def ends_at(self, number: int, newest: str, read: int) -> bool:
        """Say whether nothing before an object is read: its newest record came at ``newest``, ``read`` were read so far."""
        return number <= self.after + 1 or (newest < self.since and read >= self.near)


ANYWHERE = Where()
NOWHERE = Where(LAST_DAY, FIRST_DAY)


def around(posted_at: str, *, is_late: bool = False) -> Where | None:
    """Return where the record of an entry is by what it says of its posting; None where it does not say.

    As a rule it follows within the hour; ``is_late``: within a day, by another clock.
    """
    posted = read_instant(posted_at)
    if posted is None:
        return None
    before, after = (DAY, DAY) if is_late else (AGAIN_WITHIN, LATE_BY)
    try:
        since = posting_text(posted - before)
        return Where(since[:10], (posted + after).date().isoformat(), "" if is_late else since)
    except OverflowError:
        return None


def repeated(at: str, written: Collection[Written] = ()) -> Where:
    """Return where a record is that may have come before, by its own time: in no object that was written before.

    Where nothing says which those are, the newest records of objects do, but not of the nearest: an old batch that comes again
    is an object of old records as well, and younger ones stand before it.
    """
    came = read_instant(at)
    since = posting_text(came - AGAIN_WITHIN) if came is not None else ""
    after = max((number for instant, number in written if instant <= since), default=0)
    return Where(since[:10] or FIRST_DAY, since=since, after=after, near=RECORDS_NEAR)


@define
class Search:
    """Looks for the originals of places before a head. ``reads`` reads a line."""

    bucket: Bucket
    reads: Read
    head: Head
    deadline: Deadline
    read: int = 0
    """How many objects were read."""
    _left: dict[EntryKey, Where] = field(factory=dict)
    _spots: Mapping[EntryKey, Spot] = field(factory=dict)
    _words: dict[EntryKey, object] = Factory(dict)
    _records: int = 0

    def find(self, spots: Mapping[EntryKey, Spot], where: Mapping[EntryKey, Where]) -> set[EntryKey]:
        """Tell spots their originals, and return those of which none was found."""
        self._left = {key: each for key, each in where.items() if each.after < self.head.number}
        self._spots, self._words, self._records = spots, {}, 0
        if self._left:
            for each in objects_back(self.bucket, self.head, self.deadline, self._is_wanted):
                self.read += 1
                self._look_at(each)
        return {key for key in where if spots[key].original is None or spots[key].is_new}

    @property
    def left(self) -> set[EntryKey]:
        """The places that the last search has not found, nor read all objects for."""
        return set(self._left)

    def _is_wanted(self, day: str) -> bool | None:
        left = self._left.values()
        if not any(each.first <= day for each in left):
            return None
        return any(each.first <= day <= each.last for each in left)

    def _look_at(self, of: ArchiveObject) -> None:
        newest = ""
        self._records += len(of.lines)
        for record in reversed(list(records_of(self.reads, of))):
            newest = max(newest, record.at)
            if record.key in self._left:
                self._take(record, of)
        for key in [key for key, where in self._left.items() if where.ends_at(of.number, newest, self._records)]:
            del self._left[key]

    def _take(self, record: ArchivedRecord, of: ArchiveObject) -> None:
        if record.words is not None:
            self._words[record.key] = record.words
        if record.entry is not None:
            self._spots[record.key].found_before(record, of, self._words.get(record.key))
            del self._left[record.key]


def records_of(read: Read, of: ArchiveObject) -> Iterator[ArchivedRecord]:
    """Yield the records of an object; what is none is told by who follows the chain."""
    for line in of.lines:
        try:
            yield read(line)
        except ValueError:
            continue


def find_older(part: Part, search: Search, store: AuditStore, written: Collection[Written]) -> None:
    """Tell the places of a part their originals that stand before it. ``search`` ends at the audit's deadline.

    A place is undecided where the time was over before the days were read in which its original should be: that it was not
    found says nothing then. All other days are read as far as the time goes.
    """
    older = {spot.key: spot for spot in part.older()}
    unknown = sorted({key[0] for key, spot in older.items() if spot.original is None})
    now = {entry.line.key: entry for name in unknown for entry in store.log(name, search.deadline)}
    posted = {key: entry.posted_at for key, spot in older.items() if (entry := spot.original or now.get(key))}
    tries: list[dict[EntryKey, Where]] = [{}, {}, dict.fromkeys(older, ANYWHERE)]
    for key, spot in older.items():
        by_time = repeated(spot.at, written) if spot.may_be_again else None
        tries[0][key] = by_time or around(posted.get(key, "")) or NOWHERE
        tries[1][key] = NOWHERE if by_time else around(posted.get(key, ""), is_late=True) or NOWHERE
    whole, cut = search.deadline, set[EntryKey]()
    for where in tries:
        search.deadline = whole.sooner(whole.left() * RESERVE)
        sought = {key: each for key, each in where.items() if _is_sought(older[key], each)}
        try:
            search.find(older, sought)
            cut -= sought.keys()
        except TimeIsUp:
            cut |= {key for key in search.left if sought[key] != ANYWHERE}
    for key in cut:
        older[key].is_undecided = older[key].original is None


def _is_sought(spot: Spot, where: Where) -> bool:
    """Say whether a place still lacks its original; of one that has come just now an older one is looked for nearby."""
    is_found = spot.original is not None and not spot.is_new
    return where != NOWHERE and not is_found and (spot.original is None or spot.was_taken or where != ANYWHERE)
