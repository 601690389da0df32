"""Compaction: the days of the chain that are over, as Parquet files beside it.

A file has what was archived between two heads on one day, each entry once, and says which head it rests on: whoever doubts it
compacts again. A file is never written over. A day is over once the chain has an object of a later one; so the last object of
a day has one that follows it, and was the head, whatever writers left behind when they died.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import asdict, define, field, frozen

from engine.domain.errors import LedgerRefused
from engine.ledger.archive.bucket import UNFINISHED, Bucket
from engine.ledger.archive.chain import DIGITS, EMPTY, FIRST_LINE, ArchiveObject, Break, Head, follow
from engine.ledger.archive.parquet import Lines, Row, connected, odd_places, rests_on, write
from engine.runtime.clock import Deadline

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PREFIX = "parquet/"

PART = re.compile(r"parquet/day=(\d{4}-\d\d-\d\d)/part-(\d{12})-([0-9a-f]{32})\.parquet")


@frozen
class Part:
    """A file that was written: its key, how many entries it has, and of how many records."""

    key: str
    entries: int
    records: int


@define(eq=False)
class Compaction:
    """Compacts what is not compacted yet. ``row_of`` gives the row of a line; ``work`` is a folder for files on their way."""

    bucket: Bucket
    work: Path
    row_of: Callable[[str], Row | None]
    deadline: Deadline
    problems: list[str] = field(factory=list)
    left: str = ""
    """The day that is still being written; empty where there is none."""

    def run(self) -> Iterator[Part]:
        """Yield each file that was written. Ends where the chain is broken: ``problems`` says where."""
        with connected(self.work) as database:
            former = self._former()
            for last, lines in self._days(self._rests_on(database, former)):
                yield self._write(database, last, lines, former)

    def _days(self, start: Head) -> Iterator[tuple[Head, Lines]]:
        """Yield the last head of each day that is over, and the rows of that day."""
        lines, last = None, start
        for found in self._objects(start):
            if lines is not None and found.day > last.day:
                yield last, lines
                lines = None
            lines = lines or Lines(self.work / "lines.jsonl")
            lines.add(self._rows(found))
            last = found.head
        self.left = last.day if lines is not None else ""

    def _rows(self, found: ArchiveObject) -> Iterator[Row]:
        for number, line in enumerate(found.lines, start=FIRST_LINE):
            try:
                row = self.row_of(line)
            except ValueError as error:
                self.problems.append(f"{found.key}, line {number}: {error}")
                continue
            if row is not None:
                yield row

    def _write(self, database: DuckDBPyConnection, last: Head, lines: Lines, former: list[Path]) -> Part:
        key = f"{PREFIX}day={last.day}/part-{last.number:012d}-{last.digest[:DIGITS]}.parquet"
        path = self.work / key
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{UNFINISHED}{path.name}")
        written = write(database, lines.path, beside, json.dumps(asdict(last)), former)
        self.bucket.put(key, beside.read_bytes(), self.deadline)
        beside.replace(path)
        former.append(path)
        self.problems += [
            f"{key}: {place}: `amount`, `cost` or `held` is no number of a credit" for place in odd_places(database, path)
        ]
        return Part(key, written, lines.count)

    def _former(self) -> list[Path]:
        """Return the files that are there, on disk."""
        return [self._on_disk(key) for key in self.bucket.keys(PREFIX, "", self.deadline) if PART.fullmatch(key)]

    def _on_disk(self, key: str) -> Path:
        path = self.work / key
        if not path.exists():
            body = self.bucket.get(key, self.deadline)
            if body is None:
                raise LedgerRefused(f"{key}: is listed and cannot be read")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return path

    def _rests_on(self, database: DuckDBPyConnection, former: list[Path]) -> Head:
        """Return the head that the newest file rests on."""
        if not former:
            return EMPTY
        newest = max(former, key=lambda path: path.name)
        try:
            return Head(**json.loads(rests_on(database, newest)))
        except (TypeError, ValueError) as error:
            raise LedgerRefused(f"{newest.name}: does not say which head it rests on") from error

    def _objects(self, start: Head) -> Iterator[ArchiveObject]:
        for found in follow(self.bucket, start, None, self.deadline):
            if isinstance(found, Break):
                self.problems.append(found.problem)
                return
            yield found
