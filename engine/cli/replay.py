"""Replay of a file of events: many at a time, resumable at any instant, and nothing lost on the way."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from attrs import define, field, frozen

from engine.decimals import ZERO
from engine.errors import EventError
from engine.ledger import LedgerRefused
from engine.reconcile import read_document
from engine.telemetry import Report
from engine.values import Document, Source

GZIP_MAGIC = b"\x1f\x8b"
UNDER_WAY_PER_WORKER = 4
SECONDS_BETWEEN_CHECKPOINTS = 0.5

Deliver = Callable[[Document, Source], Report]


class CheckpointMismatchError(ValueError):
    """The checkpoint belongs to another file, another policy or other tables."""


@frozen
class ReplayFile:
    """A file of JSON lines, plain or gzip. ``sha256`` is of its text, so that packing it again changes nothing."""

    path: Path
    lines: int
    sha256: str

    @classmethod
    def open(cls, path: Path) -> ReplayFile:
        """Read the file once: how long it is, and which one it is."""
        digest, lines = hashlib.sha256(), 0
        with _opened(path) as file:
            for line in file:
                digest.update(line)
                lines += 1
        return cls(path, lines, digest.hexdigest())

    def lines_after(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Yield the lines behind line ``number`` with their numbers, counted from 1; blank ones are left out."""
        with _opened(self.path) as file:
            for index, line in enumerate(file, start=1):
                if index > number and line.strip():
                    yield index, line


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
        kept = json.loads(self.path.read_text())
        differing = [name for name, value in self.target.items() if kept["target"].get(name) != value]
        if differing:
            raise CheckpointMismatchError(
                f"{self.path}: belongs to another {' and '.join(differing)}; remove it to replay from the first line, "
                "or name another with --checkpoint"
            )
        return int(kept["lines_done"])

    def save(self, lines_done: int) -> None:
        """Write the checkpoint, all of it or none."""
        beside = self.path.with_name(f"{self.path.name}.new")
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
    deliver: Deliver,
    checkpoint: Checkpoint,
    rejects: Path,
    *,
    workers: int,
    done: Callable[[int], None],
) -> Summary:
    """Deliver every event of the file, ``workers`` at a time, and return what came of it.

    Killed at any instant, the same call goes on: what lies behind the checkpoint is delivered again, which changes nothing.
    An event that makes no sense is appended to ``rejects``. Raises LedgerUnavailable when the database does not answer; the
    checkpoint then stands at the last line that is settled.
    """
    started = time.monotonic()
    summary = Summary(checkpoint.lines_done(), rejects)
    run = _Run(checkpoint, summary, done)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for number, line in source.lines_after(summary.resumed_after):
                run.add(number, line, pool.submit(_deliver, deliver, line), limit=workers * UNDER_WAY_PER_WORKER)
            run.finish()
        finally:
            run.save()
            pool.shutdown(cancel_futures=True)
    checkpoint.remove()
    summary.seconds = time.monotonic() - started
    return summary


def _deliver(deliver: Deliver, line: bytes) -> Report:
    return deliver(read_document(line), Source.REPLAY)


@define
class _Run:
    """Events under way, settled in the order of the file, so that one number says how far it is done."""

    checkpoint: Checkpoint
    summary: Summary
    done: Callable[[int], None]
    under_way: deque[tuple[int, bytes, Future[Report]]] = field(factory=deque)
    lines_done: int = 0
    saved_at: float = field(factory=time.monotonic)

    def add(self, number: int, line: bytes, future: Future[Report], limit: int) -> None:
        self.under_way.append((number, line, future))
        while len(self.under_way) > limit:
            self._settle_oldest()

    def finish(self) -> None:
        while self.under_way:
            self._settle_oldest()

    def save(self) -> None:
        if self.lines_done:
            self.checkpoint.save(self.lines_done)
        self.saved_at = time.monotonic()

    def _settle_oldest(self) -> None:
        number, line, future = self.under_way.popleft()
        try:
            self._count(future.result())
        except (EventError, LedgerRefused) as error:
            self._reject(number, line, error)
        self.lines_done = number
        self.done(number)
        if time.monotonic() - self.saved_at >= SECONDS_BETWEEN_CHECKPOINTS:
            self.save()

    def _count(self, report: Report) -> None:
        self.summary.outcomes[report.outcome.value] += 1
        if report.entry is not None:
            self.summary.credits_moved += abs(report.entry.amount)

    def _reject(self, number: int, line: bytes, error: Exception) -> None:
        """Keep the event with its reason. Written before the checkpoint moves on, so it is never lost."""
        self.summary.rejected += 1
        reject = {"line": number, "problem": str(error), "event": line.decode(errors="replace").rstrip("\n")}
        with self.summary.rejects.open("a") as file:
            file.write(json.dumps(reject) + "\n")
