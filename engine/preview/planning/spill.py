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
from itertools import batched
from pathlib import Path
from typing import Any

from attrs import frozen

type Record = tuple[Any, ...]

BUFFERED_MAX = 8_192
"""So many records wait in memory, in all partitions together."""

SORTED_AT_ONCE = 20_000
"""So many records are sorted in memory; runs of them are merged when they are read."""

READ_AT_ONCE = 200
"""So many records of a run are in memory while runs are merged."""


def partition_of(name: str, partitions: int) -> int:
    """Return the partition of a name: the same in every process, as ``hash`` is not."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) % partitions


@frozen
class Spilled:
    """A file of framed blocks, and where the blocks of each partition stand in it."""

    path: Path
    blocks: tuple[tuple[tuple[int, int], ...], ...]

    def records(self, partition: int) -> Iterator[Record]:
        """Yield the records of a partition in the order in which they were added."""
        if not self.blocks[partition]:
            return
        with self.path.open("rb") as file:
            for offset, size in self.blocks[partition]:
                yield from marshal.loads(os.pread(file.fileno(), size, offset))  # noqa: S302  the plan itself has written it


class Spill:
    """Writes records into partitions."""

    def __init__(self, path: Path, partitions: int) -> None:
        self.path, self.partitions = path, partitions
        self.waiting: list[list[Record]] = [[] for _ in range(partitions)]
        self.together = max(16, BUFFERED_MAX // partitions)
        self.blocks: list[list[tuple[int, int]]] = [[] for _ in range(partitions)]
        self.size = 0
        path.touch()

    def add(self, partition: int, record: Record) -> None:
        """Add a record to a partition."""
        waiting = self.waiting[partition]
        waiting.append(record)
        if len(waiting) >= self.together:
            self._write(partition)

    def add_by(self, name: str, record: Record) -> None:
        """Add a record to the partition of a name."""
        self.add(partition_of(name, self.partitions), record)

    def _write(self, partition: int) -> None:
        block = marshal.dumps(self.waiting[partition])
        self.blocks[partition].append((self.size, len(block)))
        self.size += len(block)
        with self.path.open("ab") as file:
            file.write(block)
        self.waiting[partition].clear()

    def done(self) -> Spilled:
        """Write what waits, and return what was written."""
        for partition, waiting in enumerate(self.waiting):
            if waiting:
                self._write(partition)
        return Spilled(self.path, tuple(map(tuple, self.blocks)))


@frozen
class Run:
    """Records that are sorted by their first member, in a file."""

    path: Path
    blocks: tuple[tuple[int, int], ...]
    count: int

    def __iter__(self) -> Iterator[Record]:
        yield from Spilled(self.path, (self.blocks,)).records(0)


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

    def _write(self) -> None:
        spill = Spill(self.path.with_name(f"{self.path.name}-{len(self.runs)}"), 1)
        self.waiting.sort(key=self.key)
        spill.together = READ_AT_ONCE
        for record in self.waiting:
            spill.add(0, record)
        spilled = spill.done()
        self.runs.append(Run(spilled.path, spilled.blocks[0], len(self.waiting)))
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
        left = [_one_run(InOrder(group, key), path.with_name(f"{path.name}-{rounds}-{n}"))
                for n, group in enumerate(batched(left, RUNS_AT_ONCE))]  # fmt: skip
        rounds += 1
    return InOrder(left, key)


def _one_run(records: InOrder, path: Path) -> Run:
    spill = Spill(path, 1)
    spill.together = READ_AT_ONCE
    for record in records:
        spill.add(0, record)
    spilled = spill.done()
    return Run(spilled.path, spilled.blocks[0], len(records))
