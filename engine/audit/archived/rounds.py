"""All of the ledger against all of the archive, once a week, a piece of it in each scheduled run.

A *round* has a fixed end: entries that were posted until then, and the head of the chain at its beginning. What was posted by
then never changes by right, so a round may take as many runs as it needs: it goes through the chain object by object, then
through the ledger segment by segment, and tallies both. Where the tallies differ it compares entry by entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from attrs import asdict, define, evolve, field, frozen

from engine.audit.archived.older import Read, records_of
from engine.audit.archived.seen import Archive
from engine.audit.archived.tally import Tally
from engine.audit.archived.whole import Whole, tally_until
from engine.audit.differences import Difference, Kind
from engine.domain.errors import TimeIsUp
from engine.domain.instants import posting_text, read_instant
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import DIGITS, EMPTY, Break, Head, follow
from engine.ledger.audits import AuditStore
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

PREFIX = "checkpoints/rounds/"
KEY = re.compile(r"checkpoints/rounds/(\d{12})-([0-9a-f]{32})\.json")

OBJECTS_OF_A_SEGMENT = 500
"""For so many objects of the archive there is a segment of the ledger: some 250,000 entries, which take half a minute."""

SEGMENT_SECONDS = 120.0
"""So long one may take, whatever was left of the time when it began."""

EVERY = timedelta(days=7)
"""So long after a round has begun the next one does."""

type Pieces = Mapping[str, list[str]]


@frozen
class Round:
    """How far a round has come."""

    number: int = 0
    """How often a round was kept: of all rounds."""
    begun: str = ""
    until: str = ""
    head: Head = EMPTY
    at: Head = EMPTY
    """The object that was read last."""
    archived: Pieces = field(factory=dict)
    segment: int = 0
    """The segment of the ledger that comes next, of so many ``segments``."""
    segments: int = 1
    ledger: Pieces = field(factory=dict)
    is_over: bool = False
    breaks: tuple[str, ...] = ()
    ended: str = ""
    """When a round was over last: this one, or one before it."""

    def text(self) -> str:
        """Return what is kept of it."""
        said = asdict(self)
        if not self.ended:
            del said["ended"]  # of those that were kept before it was noted
        return json.dumps(said, sort_keys=True)

    @property
    def key(self) -> str:
        """Return where it is kept."""
        return f"{PREFIX}{self.number:012d}-{sha256(self.text().encode('ascii')).hexdigest()[:DIGITS]}.json"

    @classmethod
    def read(cls, key: str, body: bytes) -> Round:
        """Return the round that is kept under a key. Raises ValueError for what is none."""
        try:
            said = json.loads(body)
            heads = {name: Head(**said.pop(name)) for name in ("head", "at")}
            found = cls(**{**said, **heads, "breaks": tuple(said["breaks"])})
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{key}: is no round: {error}") from error
        if found.key != key:
            raise ValueError(f"{key}: is not what its key says")
        return found

    def answer(self) -> dict[str, Any]:
        """Return how far it has come as JSON-like values: objects of the archive, then segments of the ledger."""
        come = {"object": self.at.number, "objects": self.head.number, "segment": self.segment, "segments": self.segments}
        return {"begun": self.begun, "isOver": self.is_over, "ended": self.ended or None, **come}

    def seconds_since(self, now: datetime) -> float | None:
        """Return how long ago a round was over; where none ever was, how long ago this one began. None: there is none."""
        last = read_instant(self.ended or self.begun)
        return (now - last).total_seconds() if last is not None else None

    def tally(self, pieces: Pieces) -> Tally:
        """Return one of the two tallies."""
        found = Tally(self.until)
        found.merge(pieces)
        return found


def last_round(bucket: Bucket, deadline: Deadline) -> Round:
    """Return the round that was kept last; one that is over and long ago where there is none. What is none is passed over."""
    for key in sorted((key for key in bucket.keys(PREFIX, "", deadline) if KEY.fullmatch(key)), reverse=True):
        try:
            return Round.read(key, bucket.get(key, deadline) or b"")
        except ValueError:
            continue
    return Round(is_over=True)


@define
class Rounds:
    """Goes on with the round that is under way, or begins one where it is time for it."""

    archive: Archive
    store: AuditStore
    deadline: Deadline
    now: Round = field(factory=lambda: Round(is_over=True))
    """The round as it was kept last."""

    def go_on(self, known: Collection[EntryKey] = ()) -> list[Difference]:
        """Work until the deadline, keep how far that came, and return what the end of a round has found."""
        bucket, head = self.archive.bucket, self.archive.head
        self.now = now = last_round(bucket, self.deadline)
        if now.is_over and head is not None and self._is_time(now):
            segments = 1 + head.number // OBJECTS_OF_A_SEGMENT
            now = Round(now.number, self._text(), tally_until(self.store.clock), head, segments=segments, ended=now.ended)
        if now.is_over:
            return []
        now = self._read_archive(now)
        if now.at.number >= now.head.number:
            now = self._read_ledger(now)
        found: list[Difference] = []
        if now.segment >= now.segments:
            found = list(self._found(now, known))
            now = evolve(now, is_over=True, archived={}, ledger={}, ended=self._text())
        self.now = now = evolve(now, number=now.number + 1)
        bucket.put(now.key, now.text().encode("ascii"), self.deadline)
        return found

    def _text(self) -> str:
        return posting_text(self.store.clock.now())

    def _is_time(self, before: Round) -> bool:
        begun = read_instant(before.begun)
        return begun is None or self.store.clock.now() - begun >= EVERY

    def _read_archive(self, now: Round) -> Round:
        """Tally what the archive has. What it has twice counts twice: where the tallies differ it is looked at."""
        tally, at, breaks = now.tally(now.archived), now.at, list(now.breaks)
        with suppress(TimeIsUp):
            for each in follow(self.archive.bucket, now.at, now.head, self.deadline) if at.number < now.head.number else ():
                if isinstance(each, Break):
                    breaks.append(each.problem)
                    continue
                for record in records_of(self.archive.reads, each):
                    if record.entry is not None:
                        tally.add(record.entry, record.digest)
                at = each.head
            at = now.head  # whatever of it is missing
        return evolve(now, at=at, archived=tally.answer(), breaks=tuple(dict.fromkeys(breaks)))

    def _read_ledger(self, now: Round) -> Round:
        """Tally segments of the ledger, each as a whole."""
        tally, segment = now.tally(now.ledger), now.segment
        while segment < now.segments and not self._is_late:
            own = self.store.clock.deadline(SEGMENT_SECONDS)
            for entry in self.store.entries(own, (segment, now.segments)):
                tally.add(entry, entry.digest)
            segment += 1
        return evolve(now, segment=segment, ledger=tally.answer())

    @property
    def _is_late(self) -> bool:
        return self.deadline.left() <= 0

    def _found(self, now: Round, known: Collection[EntryKey]) -> Iterator[Difference]:
        """Yield what differs. What was late when the round began may have come since, so the archive is read to its end."""
        yield from (Difference(Kind.ARCHIVE, problem) for problem in now.breaks)
        reads: Read = self.archive.reads
        later = self.store.clock.deadline(COMPARED_SECONDS)
        head = max(now.head, self.archive.head or EMPTY, key=lambda each: each.number)
        whole = Whole(self.archive.bucket, reads, self.store, now.tally(now.archived), head, later)
        yield from whole.compare(now.tally(now.ledger), known)


COMPARED_SECONDS = 300.0
"""So long the end of a round may take to compare what differs."""
