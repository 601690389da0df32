"""What does not fit into memory, on disk: records by the partition that they belong to, and records in order.

A record is a tuple of plain values (texts, whole numbers, None, tuples of them). Blocks of records are framed: for one in
memory ``marshal`` takes a fifteenth of the time that it takes for as many records in a file. No file stays open.
"""

from __future__ import annotations

import heapq
import marshal
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import IO, Any

from attrs import frozen

type Record = tuple[Any, ...]

SEQ, REFERENCE, USER, AT, EFFECT, EVENT_ID, TEXTS, MORE = range(8)
"""The members of an event's record. ``MORE`` is None, or which side it is of, why it is refused, and its own groups."""

BUFFERED_OF_A_PARTITION, BUFFERED_MIN = 100, 2_000
"""So many records of each partition wait in memory on average, and at least in all."""

WRITE_BYTES = 1 << 20
"""So many bytes are written to a file at once."""

SORTED_AT_ONCE = 20_000
"""So many records are sorted in memory; runs of them are merged when they are read."""

READ_AT_ONCE = 200
"""So many records of a run are in memory while runs are merged."""


class NoRoom(ValueError):
    """What does not fit into memory cannot be written to disk."""


@contextmanager
def appending(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write behind what is in it. Raises NoRoom."""
    try:
        with path.open("ab", buffering=WRITE_BYTES) as file:
            yield file
    except OSError as error:
        problem = (
            f"cannot be written: {error.strerror or error}; TMPDIR names another folder for what does not fit into memory"
        )
        raise NoRoom(f"{path.parent}: {problem}") from error


def append(path: Path, text: bytes | bytearray) -> None:
    """Write behind what is in a file. Raises NoRoom."""
    with appending(path) as file:
        file.write(text)


@frozen
class Spilled:
    """A file of framed blocks, and where the blocks of each partition stand in it."""

    path: Path
    blocks: tuple[tuple[tuple[int, int], ...], ...]

    def size(self, partition: int) -> int:
        """Return how many bytes the records of a partition take."""
        return sum(size for _, size in self.blocks[partition])

    def records(self, partition: int) -> Iterator[Record]:
        """Yield the records of a partition in the order in which they were added."""
        if not self.blocks[partition]:
            return
        with self.path.open("rb") as file:
            for offset, size in self.blocks[partition]:
                yield from marshal.loads(os.pread(file.fileno(), size, offset))  # noqa: S302  the plan itself has written it


class Spill:
    """Writes records into partitions. What waits is written at once: a write costs as much as some twenty records."""

    def __init__(self, path: Path, partitions: int) -> None:
        self.path, self.partitions = path, partitions
        self.waiting: list[list[Record]] = [[] for _ in range(partitions)]
        self.count, self.count_max = 0, max(BUFFERED_MIN, BUFFERED_OF_A_PARTITION * partitions)
        self.blocks: list[list[tuple[int, int]]] = [[] for _ in range(partitions)]
        self.size = 0
        path.touch()

    def add(self, partition: int, record: Record) -> None:
        """Add a record to a partition."""
        self.waiting[partition].append(record)
        self.count += 1
        if self.count >= self.count_max:
            self._write()

    def add_by(self, name: str, record: Record) -> None:
        """Add a record to the partition of a name: by ``crc32``, the same in every process, as ``hash`` is not."""
        self.waiting[zlib.crc32(name.encode("utf-8", "surrogatepass")) % self.partitions].append(record)
        self.count += 1
        if self.count >= self.count_max:
            self._write()

    def _write(self) -> None:
        with appending(self.path) as file:
            for waiting, blocks in zip(self.waiting, self.blocks, strict=True):
                if waiting:
                    block = marshal.dumps(waiting)
                    file.write(block)
                    blocks.append((self.size, len(block)))
                    self.size += len(block)
                    waiting.clear()
        self.count = 0

    def done(self) -> Spilled:
        """Write what waits, and return what was written."""
        if self.count:
            self._write()
        return Spilled(self.path, tuple(map(tuple, self.blocks)))


@frozen
class Run:
    """Records that are sorted by their first member, in a file."""

    path: Path
    blocks: tuple[tuple[int, int], ...]
    count: int

    def __iter__(self) -> Iterator[Record]:
        yield from Spilled(self.path, (self.blocks,)).records(0)


def written_run(path: Path, records: Iterable[Record]) -> Run:
    """Write records that are in order."""
    blocks: list[tuple[int, int]] = []
    size = count = 0
    with appending(path) as file:
        for batch in batched(records, READ_AT_ONCE):
            block = marshal.dumps(batch)
            file.write(block)
            blocks.append((size, len(block)))
            size, count = size + len(block), count + len(batch)
    return Run(path, tuple(blocks), count)


class Sorting:
    """Writes records in runs, each sorted by ``key``."""

    def __init__(self, path: Path, key: Callable[[Record], Any]) -> None:
        self.path, self.key = path, key
        self.waiting: list[Record] = []
        self.runs: list[Run] = []

    def add(self, record: Record) -> None:
        """Add a record."""
        self.waiting.append(record)
        if len(self.waiting) >= SORTED_AT_ONCE:
            self._write()

    def add_all(self, records: Iterable[Record]) -> None:
        """Add records."""
        self.waiting.extend(records)
        if len(self.waiting) >= SORTED_AT_ONCE:
            self._write()

    def sort(self, records: list[Record]) -> list[Record]:
        """Return records in order."""
        return sorted(records, key=self.key)

    def _write(self) -> None:
        path = self.path.with_name(f"{self.path.name}-{len(self.runs)}")
        self.runs.append(written_run(path, self.sort(self.waiting)))
        self.waiting = []

    def done(self) -> tuple[Run, ...]:
        """Write what waits, and return the runs."""
        if self.waiting:
            self._write()
        return tuple(self.runs)


@frozen
class InOrder:
    """Runs, read together as one: as often as one likes, and never all in memory."""

    runs: Sequence[Run]
    key: Callable[[Record], Any]

    def __len__(self) -> int:
        return sum(run.count for run in self.runs)

    def __iter__(self) -> Iterator[Record]:
        return heapq.merge(*self.runs, key=self.key)


RUNS_AT_ONCE = 200
"""So many files are open at once."""


def merged(runs: Iterable[Run], key: Callable[[Record], Any], path: Path) -> InOrder:
    """Return runs in order; of very many some are merged into longer ones first."""
    left, rounds = list(runs), 0
    while len(left) > RUNS_AT_ONCE:
        left = [written_run(path.with_name(f"{path.name}-{rounds}-{n}"), InOrder(group, key))
                for n, group in enumerate(batched(left, RUNS_AT_ONCE))]  # fmt: skip
        rounds += 1
    return InOrder(left, key)
