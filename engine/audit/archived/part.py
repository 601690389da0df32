"""A part of the chain: what its records tell of each place in the ledger. Pure.

Of a place the first whole record is its *original*: what was posted there. The same again is the same. What an entry was
changed into, or that it was removed, tells that somebody was at work, unless nothing but its explanation is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from attrs import Factory, define

from engine.domain.instants import read_instant
from engine.ledger.archive.chain import ArchiveObject
from engine.ledger.audits import ArchivedRecord, AuditedEntry
from engine.ledger.stored import EntryKey

DATED_WITHIN = timedelta(minutes=15)
"""So far from the time of its record is what an honest entry says of its posting at most: clocks differ by less."""

RECORDS_MAX = 20_000
"""So many records are one part at most."""

CHARACTERS_MAX = 16_000_000
"""Lines of so many characters are one part: some 200 MB, since an entry that was read takes thirteen times its text.

Smaller ones would cost time: before each part the records near it are read again, for what has come late.
"""


@define
class Spot:
    """What a part tells of one place in the ledger."""

    key: EntryKey
    original: AuditedEntry | None = None
    digest: str = ""
    """Of the original."""
    archived: str = ""
    """The key of the object that has the original."""
    number: int = 0
    at: str = ""
    is_taken_in: bool = False
    is_new: bool = False
    """Whether the original came with this part."""
    is_older: bool = False
    """Whether its original may stand before this part."""
    is_open: bool = False
    """Whether something was found here before."""
    was_removed: bool = False
    was_taken: bool = False
    """Whether something was removed here before the original came: what was posted here stands before this part."""
    is_undecided: bool = False
    """Whether the time was over before its original was looked for where it should be: nothing can be said of it yet."""
    digests: set[str] = Factory(set)
    """Of all that came here, or that it was changed into."""
    words: list[object] = Factory(list)
    """The explanations that were told, the first one first."""

    def take(self, record: ArchivedRecord, of: ArchiveObject, *, may_be_again: bool) -> None:
        """Take a record in the order of the chain. ``may_be_again``: it may have come before this part as well."""
        if record.words is not None and record.words not in self.words:
            self.words.append(record.words)
        if record.digest:
            self.digests.add(record.digest)
        self.was_removed = self.was_removed or not record.digest
        if self.original is None and (entry := record.entry) is not None:
            self.original, self.digest = entry, record.digest
            self.archived, self.number, self.at = of.key, of.number, record.at
            self.is_new, self.is_taken_in = True, record.is_taken_in
            self.was_taken = self.was_removed
            self.is_older = self.is_older or may_be_again or not is_dated(entry.posted_at, record.at)
        self.is_older = self.is_older or self.original is None

    def found_before(self, record: ArchivedRecord, of: ArchiveObject, words: object) -> None:
        """Take in the original that stands before this part, and the explanation that was told of it there."""
        self.original, self.digest = record.entry, record.digest
        self.archived, self.number, self.at = of.key, of.number, record.at
        self.is_new, self.is_taken_in = False, record.is_taken_in
        if words is not None and words not in self.words[:1]:
            self.words.insert(0, words)

    @property
    def is_touched(self) -> bool:
        """Whether somebody was at work here: the ledger has to be asked what stands there now."""
        is_other = self.original is None or bool(self.digests - {self.digest})
        return self.is_open or self.was_removed or is_other or len(self.words) > 1

    @property
    def is_entry(self) -> bool:
        """Whether what was archived is an entry of this system: only those were ever posted."""
        return self.original is not None and not isinstance(self.original.entry, str)

    @property
    def is_dated_right(self) -> bool:
        """Whether the original says of its posting what its record does."""
        return self.is_taken_in or self.original is None or is_dated(self.original.posted_at, self.at)

    @property
    def may_be_again(self) -> bool:
        """Whether the original may have come before at about the time of its record: it says that time itself."""
        return self.is_new and self.is_dated_right and not self.was_taken


def is_dated(posted_at: str, at: str) -> bool:
    """Say whether an entry was posted about when its record says that it came."""
    posted, came = read_instant(posted_at), read_instant(at)
    return posted is not None and came is not None and abs(came - posted) <= DATED_WITHIN


@define
class Part:
    """Objects of the chain, one after the other. ``since`` is the latest instant of a record before them."""

    since: str
    spots: dict[EntryKey, Spot] = Factory(dict)
    records: int = 0
    characters: int = 0
    until: str = ""

    def take(self, of: ArchiveObject, records: Sequence[ArchivedRecord]) -> None:
        """Take the next object."""
        for record in records:
            spot = self.spots.setdefault(record.key, Spot(record.key))
            spot.take(record, of, may_be_again=record.at <= self.since)
            self.until = max(self.until, record.at)
        self.records += len(records)
        self.characters += sum(map(len, of.lines))

    @property
    def is_full(self) -> bool:
        """Whether what comes next is another part."""
        return self.records >= RECORDS_MAX or self.characters >= CHARACTERS_MAX

    def older(self) -> Iterator[Spot]:
        """Yield the places whose original may stand before this part."""
        yield from (spot for spot in self.spots.values() if spot.is_older)
