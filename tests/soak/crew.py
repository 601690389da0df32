"""The processes: begun, given one task at a time, weighed, and killed in the middle of it."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Self

from attrs import Factory, define, frozen

from tools.environments import ROOT

LOOK_SECONDS = 0.02
"""So long at once whoever wants to kill in the middle of a transaction looks for one."""

WITHIN_SECONDS_MAX = 0.0015
STOPPED_SECONDS_MAX = 1.0
MEGABYTE = 2**20
PAGE_BYTES = resource.getpagesize()


@frozen
class Weight:
    """How large a process was, in megabytes, so many seconds after the soak's beginning; how many modules it had loaded."""

    at: float
    megabytes: float
    modules: int


@define(eq=False)
class Worker:
    """A place in the crew: the process that has it now, and what it is at."""

    place: int
    is_spared: bool
    process: Any = None
    begun: float = 0.0
    task: Any = None
    """What it is at, as whoever gave it wants to have it back."""
    since: float = 0.0
    buffer: bytes = b""
    modules: int = 0
    weights: list[Weight] = Factory(list)
    processes: int = 0

    @property
    def name(self) -> str:
        return f"worker {self.place}"


@define(eq=False)
class Crew:
    """Eight workers. ``environment`` is asked at each start: another policy may be deployed by then."""

    size: int
    spared: int
    environment: Callable[[], Mapping[str, str]]
    folder: Path
    rest_seconds: float
    chance: Random
    workers: list[Worker] = Factory(list)
    selector: DefaultSelector = Factory(DefaultSelector)
    count: Counter[str] = Factory(Counter)
    bytes: Any = None

    def __enter__(self) -> Self:
        shared = self.folder / "under-way"
        shared.write_bytes(bytes(self.size))
        with shared.open("r+b") as file:
            self.bytes = mmap.mmap(file.fileno(), 0)
        self.workers = [Worker(place, is_spared=place < self.spared) for place in range(self.size)]
        for worker in self.workers:
            self.begin(worker)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.process.kill()
            self._bury(worker)
        self.selector.close()

    def begin(self, worker: Worker) -> None:
        """Start the process of a place."""
        command = [sys.executable, "-m", "tests.soak.worker", str(self.folder / "under-way"), str(worker.place)]
        with (self.folder / f"worker-{worker.place}.log").open("ab") as log:
            worker.process = subprocess.Popen(
                [*command, str(self.rest_seconds), *(["all"] if worker.is_spared else [])],
                env=dict(self.environment()),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        os.set_blocking(worker.process.stdout.fileno(), False)
        self.selector.register(worker.process.stdout, EVENT_READ, worker)
        self.bytes[worker.place] = 0
        worker.begun, worker.buffer, worker.modules, worker.weights = time.monotonic(), b"", 0, []
        worker.processes += 1

    def idle(self) -> list[Worker]:
        """Return who has nothing to do."""
        return [worker for worker in self.workers if worker.task is None]

    def give(self, worker: Worker, task: Any, line: Mapping[str, Any]) -> None:
        """Give a task: ``line`` goes to the process."""
        worker.task, worker.since = task, time.monotonic()
        try:
            worker.process.stdin.write(json.dumps(line).encode() + b"\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: whoever reads from it learns of that

    def replies(self, seconds: float) -> list[tuple[Worker, Any, dict[str, Any] | None]]:
        """Wait for answers, and return each with its task; None where the process died of itself."""
        told = []
        for key, _ in self.selector.select(seconds):
            worker: Worker = key.data
            if some := worker.process.stdout.read():
                worker.buffer += some
                if worker.buffer.endswith(b"\n"):
                    told.append(self._told(worker))
            elif some == b"":
                told.append((worker, self._gone(worker), None))
        return told

    def _told(self, worker: Worker) -> tuple[Worker, Any, dict[str, Any]]:
        said = json.loads(worker.buffer)
        task, worker.task, worker.buffer = worker.task, None, b""
        worker.modules = said["modules"]
        return worker, task, said

    def victim(self, *, in_transaction: bool) -> Worker | None:
        """Return a worker to kill; None where one in the middle of a transaction is wanted, and for a moment there is none."""
        mortal = [worker for worker in self.workers if not worker.is_spared]
        if not in_transaction:
            return self.chance.choice(mortal)
        ends = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < ends:
            if found := [worker for worker in mortal if self.bytes[worker.place]]:
                time.sleep(self.chance.random() * WITHIN_SECONDS_MAX)
                return self.chance.choice(found)
        return None

    def kill(self, worker: Worker) -> Any:
        """Kill a process, and return what it was at.

        It is stopped first, so that the byte says what it is at and not what it was at.
        """
        if _stop(worker.process.pid):
            self.count["kills"] += 1
            self.count["in a task"] += worker.task is not None
            self.count["in a transaction"] += self.bytes[worker.place]
        worker.process.kill()
        return self._gone(worker)

    def _gone(self, worker: Worker) -> Any:
        self._bury(worker)
        task, worker.task = worker.task, None
        self.begin(worker)
        return task

    def _bury(self, worker: Worker) -> None:
        worker.process.wait()
        self.selector.unregister(worker.process.stdout)
        worker.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # what was still to be written to it
            worker.process.stdin.close()

    def weigh(self, at: float) -> None:
        """Take down how large each process is."""
        for worker in self.workers:
            if worker.modules:  # it has answered, and so has begun
                worker.weights.append(Weight(at, megabytes_of(worker.process.pid), worker.modules))


def _stop(process: int) -> bool:
    """Stop a process, and wait until it is; False where it has died."""
    os.kill(process, signal.SIGSTOP)
    ends = time.monotonic() + STOPPED_SECONDS_MAX
    while time.monotonic() < ends:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        if state in "TZ":
            return state == "T"
        time.sleep(0.0002)
    return True


def megabytes_of(process: int) -> float:
    """Return how much memory of a process is resident."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES / MEGABYTE
    except OSError:
        return 0.0


def slope(weights: Sequence[Weight]) -> tuple[float, float]:
    """Return by how many megabytes a process grew, by the line that fits best, and over how many minutes.

    It is looked at from the moment on at which it has loaded its last module: what a process imports late is no growth. The
    first fifth of the rest goes as well, in which buffers come to their size.
    """
    import statistics  # noqa: PLC0415  at the end alone

    loaded = [each for each in weights if each.modules == weights[-1].modules]
    seen = loaded[len(loaded) // 5 :]
    if len(seen) < 3:
        return 0.0, 0.0
    minutes = (seen[-1].at - seen[0].at) / 60
    line = statistics.linear_regression([each.at / 60 for each in seen], [each.megabytes for each in seen])
    return line.slope * minutes, minutes
