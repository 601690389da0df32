"""Replay of a file of events: many at a time, resumable at any instant, and nothing lost on the way."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import batched
from pathlib import Path
from typing import IO, Any

from attrs import define, field, frozen

from engine.cli.event_lines import Told, array_lines, reject_line, told
from engine.cli.files import append_line, writing
from engine.domain.envelope import Document
from engine.domain.errors import EventError, LedgerRefused
from engine.domain.money import ZERO
from engine.runtime.telemetry import Report

GZIP_MAGIC = b"\x1f\x8b"
SECONDS_BETWEEN_CHECKPOINTS = 0.5

TOGETHER = 33
"""How many events a worker posts together: with entry, balance and mark they just fill a transaction."""

BEGINNING = 64
"""How many bytes tell an array from lines."""

type Share = list[tuple[int, Document | EventError]]
"""What one worker has of a part: each event, or what is wrong with it, and its place in the part."""

Result = Report | Exception
DeliverMany = Callable[[Sequence[Document]], Sequence[Result]]
"""Delivers some events in their order, and returns for each its report or its error."""

GroupOf = Callable[[Document], str]
"""Says which events belong together and keep their order: those of one job."""


class CheckpointMismatchError(ValueError):
    """The checkpoint belongs to another file, another policy or other tables, or the file that is named is none."""


class UnreadableFileError(ValueError):
    """The file cannot be opened or unpacked: it is not there, or it is packed and damaged. Nothing was sent."""


@frozen
class ReplayFile:
    """A file of JSON lines (or one array, whose members count as lines), plain or gzip.

    ``sha256`` is of its text, so that packing it again changes nothing.
    """

    path: Path
    lines: int
    sha256: str
    members: list[bytes] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, path: Path) -> ReplayFile:
        """Read the file once: how long it is, and which one it is. Raises UnreadableFileError."""
        try:
            lines, sha256 = _read_through(path)
            members = _members(path)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableFileError(f"{path}: cannot be read: {error}; if it is packed, pack it again") from error
        return cls(path, lines if members is None else len(members), sha256, members)

    def lines_after(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Yield the lines behind line ``number`` with their numbers, counted from 1; blank ones are left out."""
        with _opened(self.path) as file:
            for index, line in enumerate(file if self.members is None else self.members, start=1):
                if index > number and line.strip():
                    yield index, line


def _read_through(path: Path) -> tuple[int, str]:
    """Return how many lines a file has, and the digest of its text."""
    digest, lines = hashlib.sha256(), 0
    with _opened(path) as file:
        for line in file:
            digest.update(line)
            lines += 1
    return lines, digest.hexdigest()


def _members(path: Path) -> list[bytes] | None:
    """Return the members of a file that is one JSON array. Any other is not read as a whole."""
    with _opened(path) as file:
        beginning = file.read(BEGINNING)
        return array_lines(beginning + file.read()) if beginning.lstrip().startswith(b"[") else None


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_gzip = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return gzip.open(path) if is_gzip else path.open("rb")  # type: ignore[return-value]


@frozen
class Checkpoint:
    """A small file that says up to which line all events are settled, for which file, policy and tables (``target``)."""

    path: Path
    target: Mapping[str, str]

    def lines_done(self) -> int:
        """Return where to go on. Raises CheckpointMismatchError for a checkpoint of something else."""
        if not self.path.exists():
            return 0
        target, lines_done = self._kept()
        differing = [name for name, value in self.target.items() if target.get(name, value) != value]
        if differing:
            raise CheckpointMismatchError(
                f"{self.path}: belongs to another {' and '.join(differing)}; remove it to replay from the first line, "
                "or name another with --checkpoint"
            )
        return lines_done

    def _kept(self) -> tuple[Mapping[str, Any], int]:
        """Return what the file says. A person may have named another file by mistake: it is not written over."""
        try:
            kept = json.loads(self.path.read_text())
            return dict(kept["target"]), int(kept["lines_done"])
        except (OSError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise CheckpointMismatchError(f"{self.path}: is no checkpoint; name another with --checkpoint") from error

    def save(self, lines_done: int) -> None:
        """Write the checkpoint, all of it or none. Raises UnwritableFileError."""
        beside = self.path.with_name(f"{self.path.name}.new")
        with writing(self.path):
            with beside.open("w") as file:
                json.dump({"lines_done": lines_done, "target": dict(self.target)}, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)

    def remove(self) -> None:
        """Forget the progress: the replay is complete."""
        self.path.unlink(missing_ok=True)


@define
class Summary:
    """What a replay did."""

    resumed_after: int
    rejects: Path
    outcomes: Counter[str] = field(factory=Counter)
    rejected: int = 0
    credits_moved: Decimal = ZERO
    seconds: float = 0.0

    def answer(self) -> dict[str, Any]:
        """Return the summary as JSON-like values."""
        events = self.outcomes.total() + self.rejected
        return {
            "resumedAfterLine": self.resumed_after,
            "events": events,
            **{outcome: self.outcomes[outcome] for outcome in sorted(self.outcomes)},
            "rejected": self.rejected,
            "creditsMoved": self.credits_moved,
            "seconds": round(self.seconds, 3),
            "eventsPerSecond": round(events / self.seconds, 1) if self.seconds else 0.0,
        }


def replay_file(
    source: ReplayFile,
    deliver: DeliverMany,
    group_of: GroupOf,
    checkpoint: Checkpoint,
    rejects: Path,
    *,
    workers: int,
    done: Callable[[int], None],
) -> Summary:
    """Deliver every event of the file, many at once by each of ``workers``, and return what came of it.

    Events of one job keep their order: within a part of the file one worker has all of them, and the next part waits. Killed
    at any instant, the same call goes on: what lies behind the checkpoint is delivered again, which changes nothing. An event
    that makes no sense is appended to ``rejects``. Raises LedgerError when the database does not answer; the checkpoint then
    stands at the end of the last part that is settled.
    """
    started = time.monotonic()
    run = _Run(checkpoint, Summary(checkpoint.lines_done(), rejects))
    with ThreadPoolExecutor(workers) as pool:
        try:
            for lines in batched(source.lines_after(run.summary.resumed_after), workers * TOGETHER):
                part = [event for number, line in lines for event in told(number, line)]
                shares = _shares(part, group_of, workers)
                results = dict(_together(zip(shares, pool.map(lambda share: _deliver(deliver, share), shares), strict=True)))
                run.settle(part, results)
                done(lines[-1][0])
        finally:
            run.save()
    checkpoint.remove()
    run.summary.seconds = time.monotonic() - started
    return run.summary


def _shares(part: Sequence[Told], group_of: GroupOf, workers: int) -> list[Share]:
    """Return the events of a part by worker, those of one group with the same. Each has its place in the part."""
    shares: dict[int, Share] = defaultdict(list)
    for place, each in enumerate(part):
        group = "" if isinstance(each.event, EventError) else group_of(each.event)
        shares[zlib.crc32(group.encode(errors="surrogatepass")) % workers].append((place, each.event))
    return list(shares.values())


def _deliver(deliver: DeliverMany, share: Share) -> list[Result]:
    results = iter(deliver([document for _, document in share if not isinstance(document, EventError)]))
    return [document if isinstance(document, EventError) else next(results) for _, document in share]


def _together(shares: Iterator[tuple[Share, Sequence[Result]]]) -> Iterator[tuple[int, Result]]:
    """Yield each event's place with its result."""
    for share, results in shares:
        yield from zip((place for place, _ in share), results, strict=True)


@define
class _Run:
    """How far the file is settled: one number says it, since parts are settled in their order."""

    checkpoint: Checkpoint
    summary: Summary
    lines_done: int = 0
    saved_at: float = field(factory=time.monotonic)

    def settle(self, part: Sequence[Told], results: Mapping[int, Result]) -> None:
        """Count what came of a part. Raises the LedgerError of an event that the database did not take."""
        for place, event in enumerate(part):
            self._count(event, results[place])
            if event is part[-1] or part[place + 1].number != event.number:  # a line is done with its last event
                self.lines_done = event.number
        if time.monotonic() - self.saved_at >= SECONDS_BETWEEN_CHECKPOINTS:
            self.save()

    def save(self) -> None:
        if self.lines_done:
            self.checkpoint.save(self.lines_done)
        self.saved_at = time.monotonic()

    def _count(self, event: Told, result: Result) -> None:
        if isinstance(result, EventError | LedgerRefused):
            self._reject(event, result)
            return
        if isinstance(result, Exception):
            raise result
        self.summary.outcomes[result.outcome.value] += 1
        if result.entry is not None:
            self.summary.credits_moved += abs(result.entry.amount)

    def _reject(self, event: Told, error: Exception) -> None:
        """Keep the event with its reason. Written before the checkpoint moves on, so it is never lost."""
        self.summary.rejected += 1
        append_line(self.summary.rejects, reject_line(event, error))
