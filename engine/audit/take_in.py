"""An existing ledger is taken into its archive: each entry that the archive lacks, as it stands.

1. The archive is followed to its head, so that it is known what it has.
2. The ledger is read, log by log, each in order. What the archive lacks is appended, some thousand entries an object.

Others post and archive meanwhile: an entry that was posted a moment ago is left to the stream, which tells what was posted
before anybody could change it. A run that broke off is begun again: what it has taken in is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from attrs import define, field, frozen

from engine.domain.instants import posting_text
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import EMPTY, FIRST_LINE, ArchiveObject, Break, Head, append, follow
from engine.ledger.archive.originals import Originals, Told
from engine.ledger.restores import RestoreStore
from engine.runtime.clock import Clock, Deadline

FRESH = timedelta(minutes=15)
"""So long an entry may be under way to the archive."""

LINES_MAX = 5_000
CHARACTERS_MAX = 4_000_000
"""An object has so many lines at most, or is not much longer."""


@frozen
class Taken:
    """What a run has done: the entries that it took in, and those that it did not."""

    head: Head
    taken: int
    known: int
    """Entries that the archive had."""
    fresh: int
    """Entries that were posted a moment ago: the stream brings them."""
    problems: tuple[str, ...]
    """What of the archive cannot be read."""

    @property
    def is_whole(self) -> bool:
        """Whether the archive has all of the ledger now, but for what is under way."""
        return not self.problems


@define(eq=False)
class TakeIn:
    """A run. ``seen`` is told how many entries were read; a ``dry`` one appends nothing."""

    store: RestoreStore
    bucket: Bucket
    clock: Clock
    deadline: Deadline
    seen: Callable[[int], None] = lambda _count: None
    dry: bool = field(default=False, kw_only=True)
    head: Head = EMPTY
    taken: int = 0
    known: int = 0
    fresh: int = 0
    problems: list[str] = field(factory=list)

    def run(self) -> Taken:
        """Take in what the archive lacks, and say what was done."""
        with Originals() as originals:
            self._read_archive(originals)
            for lines in self._batches(originals):
                if not self.dry:
                    self.head = append(self.bucket, self.store.heads(), lines, self.clock.now(), self.deadline)
                self.taken += len(lines)
        return Taken(self.head, self.taken, self.known, self.fresh, tuple(self.problems))

    def _read_archive(self, originals: Originals) -> None:
        self.head = self.store.heads().head(self.deadline)
        for found in follow(self.bucket, EMPTY, self.head, self.deadline):
            if isinstance(found, Break):
                self.problems.append(found.problem)
                continue
            originals.take(found.digest, self._told(found))

    def _told(self, found: ArchiveObject) -> Iterator[tuple[int, Told]]:
        for number, line in enumerate(found.lines):
            try:
                yield number, self.store.told_by(line)
            except ValueError as error:
                self.problems.append(f"{found.key}, line {FIRST_LINE + number}: {error}")

    def _batches(self, originals: Originals) -> Iterator[list[str]]:
        lines: list[str] = []
        length = 0
        for line in self._lacking(originals):
            lines.append(line)
            length += len(line)
            if len(lines) >= LINES_MAX or length >= CHARACTERS_MAX:
                yield lines
                lines, length = [], 0
        if lines:
            yield lines

    def _lacking(self, originals: Originals) -> Iterator[str]:
        now = self.clock.now()
        since, until = posting_text(now - FRESH), posting_text(now + FRESH)
        for count, standing in enumerate(self.store.standing(now, self.deadline), start=1):
            self.seen(count)
            if originals.digest_of(standing.key) is not None:
                self.known += 1
            elif since < standing.posted_at < until:
                self.fresh += 1
            else:
                yield standing.line
