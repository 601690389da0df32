"""Many histories, on all cores: what they came to is added up, and of each nothing but its counts is kept."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import batched, islice
from multiprocessing import get_context, parent_process

from attrs import Factory, define, frozen

from tests.simulation.history import Verdict, play
from tests.simulation.world.plan import plan_of
from tests.simulation.world.strict import strict_world

AT_ONCE = 20
"""So many histories are handed to a worker together: half a second of work."""


@frozen
class Failure:
    """A history that ended wrong."""

    seed: int
    wrong: tuple[str, ...]
    lines: tuple[str, ...]


@define
class Tally:
    """What was played so far."""

    histories: int = 0
    events: int = 0
    entries: int = 0
    count: Counter[str] = Factory(Counter)
    failed: list[Failure] = Factory(list)
    core_seconds: float = 0.0
    megabytes_max: float = 0.0
    """What the largest process has had in memory at most."""

    def take(self, verdict: Verdict) -> None:
        """Add a history."""
        self.histories += 1
        self.events += verdict.events
        self.entries += verdict.entries
        self.count.update(verdict.count)
        if verdict.wrong:
            self.failed.append(Failure(verdict.plan.seed, verdict.wrong, verdict.lines))

    def add(self, other: Tally) -> None:
        """Add what others have played."""
        self.histories += other.histories
        self.events += other.events
        self.entries += other.entries
        self.count.update(other.count)
        self.failed += other.failed
        self.core_seconds += other.core_seconds
        self.megabytes_max = max(self.megabytes_max, other.megabytes_max)

    def line(self) -> str:
        """Return what a history is and costs."""
        each = max(self.histories, 1)
        return (
            f"{self.events / each:.1f} events and {self.core_seconds * 1000 / each:.1f} ms of a core for each history, "
            f"at most {self.megabytes_max:.0f} MB for each process"
        )


def played(seeds: Sequence[int], workers: int = 1, *, strict: bool = False) -> Iterator[Tally]:
    """Play the histories of some seeds and yield, whenever a few are at their end, what these came to.

    One worker, and whoever has so little to do, plays in this process, in order. Several are processes: which ends first is
    for the machine to say, what the histories come to is not.
    """
    chunks = batched(seeds, AT_ONCE)
    if workers == 1 or len(seeds) <= AT_ONCE:
        yield from (play_some(chunk, strict=strict) for chunk in chunks)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_the_command) as pool:
        under_way = {pool.submit(play_some, chunk, strict=strict) for chunk in islice(chunks, 2 * workers)}
        try:
            while under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                under_way |= {pool.submit(play_some, chunk, strict=strict) for chunk in islice(chunks, len(done))}
                yield from (each.result() for each in done)
        finally:
            pool.shutdown(cancel_futures=True)


def play_some(seeds: Sequence[int], *, strict: bool = False) -> Tally:
    """Play a few histories. What the simulation itself raises names its seed."""
    tally, began = Tally(), time.process_time()
    for seed in seeds:
        plan = plan_of(seed)
        try:
            tally.take(play(plan, strict_world(plan) if strict else None))
        except Exception as error:
            error.add_note(f"in the history of seed {seed}")
            raise
    tally.core_seconds = time.process_time() - began
    tally.megabytes_max = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return tally


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _end_with_the_command() -> None:
    """Ctrl-C is for the process that has begun this one; this one ends when that is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_the_end_of_the_command, daemon=True).start()


def _wait_for_the_end_of_the_command() -> None:
    if (command := parent_process()) is not None:
        command.join()
    os._exit(1)
