"""A plan, from its files to its answer: the steps that processes take together, each with its share."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve, frozen

from engine.domain.errors import NoRow
from engine.preview.planning.kept.balances import Overdrawn, overdrawn
from engine.preview.planning.orders import by_line, by_size, by_user
from engine.preview.planning.side import REFUSED
from engine.preview.planning.spill import InOrder, Run, Sorting, merged
from engine.preview.planning.tally import Tally
from engine.preview.planning.users import UserTally, with_users
from engine.preview.planning.work import HALVES, Done, Wish, Work

PARTITION_BYTES = 8 << 20
"""So much of the files lies in one partition, about: what one process has in memory at once."""

PARTITIONS = 16, 512
"""At least and at most."""

type Seen = Callable[[str, int], None]
"""Is told of a step how many events it has had."""


class WorkerKilled(ValueError):
    """A worker process is gone, and its share of the work with it."""


@frozen
class Planned:
    """The outcome: what was counted, and what is too long for memory, in order. It lasts as long as its folder."""

    tally: Tally
    users: UserTally
    differences: InOrder
    refused: InOrder
    user_rows: InOrder
    latest: int | None
    overdrawn: Overdrawn | None = None


@contextmanager
def planned(wish: Wish, seen: Seen = lambda _step, _done: None) -> Iterator[Planned]:
    """Plan, and hand over the outcome for as long as it is asked; then what was spilled is removed.

    Raises UnreadableEvents for a file that cannot be read, NoRow where a policy reads a job's row and none are given, NoRoom
    where a disk is full, and WorkerKilled where a process is gone.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="reconciler-plan-")))
        wish = evolve(wish, partitions=_partitions(wish))
        stack.enter_context(_never_collected())
        crew: _Crew = stack.enter_context(_alone(wish, folder) if wish.workers == 1 else _together(wish, folder))
        outcome = _planned(wish, crew, folder, seen)
        yield outcome


def _partitions(wish: Wish) -> int:
    size = sum(path.stat().st_size for path in wish.paths)
    return min(max(size // PARTITION_BYTES, PARTITIONS[0]), PARTITIONS[1])


def _planned(wish: Wish, crew: _Crew, folder: Path, seen: Seen) -> Planned:
    shares = [tuple(_share_of(worker, wish.workers, wish.partitions)) for worker in range(wish.workers)]
    read = crew.each("read", [()] * wish.workers, "read", seen)
    tally = Tally()
    for each in read:
        tally.add(each.tally)
    done = crew.each("fold", [(read, share) for share in shares], "decide", seen)
    for each in done:
        tally.add(each.tally)
    found = crew.each("look_back", [(done, share) for share in shares], "", seen)
    for flags in crew.each("flags", [(found, share) for share in shares], "", seen):
        tally.add(flags)
    counted = crew.each("users", [(done, share) for share in shares], "", seen)
    users = UserTally()
    for each in counted:
        users.add(each.tally)
    with_users(tally.groups, users)
    refused = [*count_halves(done, tally, folder), *_runs(read, "refused"), *_runs(done, "refused")]
    return Planned(
        tally=tally,
        users=users,
        differences=merged(_runs(done, "differences"), by_size, folder / "differences-merged"),
        refused=merged(refused, by_line, folder / "refused-merged"),
        user_rows=merged(_runs(counted, "rows"), by_user, folder / "users-merged"),
        latest=max((each.latest for each in read if each.latest is not None), default=None),
        overdrawn=_overdrawn(wish, done, folder),
    )


def _overdrawn(wish: Wish, done: Sequence[Done], folder: Path) -> Overdrawn | None:
    if wish.balances is None:
        return None
    moves = [each.moves for each in done if each.moves is not None]
    return overdrawn(wish.balances, moves, (wish.now, wish.then), folder)


def _share_of(worker: int, workers: int, partitions: int) -> range:
    return range(worker, partitions, workers)


def _runs(parts: Sequence[Any], name: str) -> list[Run]:
    return [run for part in parts for run in getattr(part, name)]


def count_halves(done: Sequence[Done], tally: Tally, folder: Path) -> tuple[Run, ...]:
    """Count the events that have a log of another name under the other policy, and return those that are refused."""
    refused = Sorting(folder / "refused-by-halves", by_line)
    for partition in range(HALVES):
        ends: dict[int, list[str]] = {}
        for each in done:
            for number, which, end, problem in each.halves.records(partition):
                ends.setdefault(number, ["", "", ""])[which] = end
                ends[number][2] = problem or ends[number][2]
        for number, (now, then, problem) in ends.items():
            tally.outcomes[now, then] += 1
            if then == REFUSED != now:
                refused.add((number, problem))
    return refused.done()


# --- one process, or several ---


class _Crew:
    """Processes at work, or this one alone."""

    def __init__(self, wish: Wish, pools: Sequence[ProcessPoolExecutor], counter: Any, work: Work | None) -> None:
        self.wish, self.pools, self.counter, self.work = wish, pools, counter, work

    def each(self, step: str, arguments: Sequence[tuple[Any, ...]], name: str, seen: Seen) -> list[Any]:
        """Let each process take a step with its arguments, and return what they return, in their order."""
        if self.work is not None:
            return [_step(self.work, step, arguments[0], _telling(name, seen) if name else _unseen)]
        try:
            results = self._together(step, arguments, name, seen)
        except BrokenProcessPool as error:
            self.counter.value = STOPPED
            raise WorkerKilled("a worker process was killed, perhaps for want of memory; --workers 1 takes less") from error
        if (missing := next((each for each in results if isinstance(each, _Missing)), None)) is not None:
            raise NoRow(*missing.said)
        return results

    def _together(self, step: str, arguments: Sequence[tuple[Any, ...]], name: str, seen: Seen) -> list[Any]:
        self.counter.value = 0
        futures = [pool.submit(_take_step, step, given) for pool, given in zip(self.pools, arguments, strict=True)]
        while not all(future.done() for future in futures):
            _wait(futures)
            if name:
                seen(name, self.counter.value)
        return [future.result() for future in futures]


STOPPED = 1 << 63
"""What the counter says where nobody asks for the rest of the work any more."""


@frozen
class _Missing:
    """A row that a worker lacks: an error of four parts, which Python cannot send from process to process."""

    said: tuple[str, str, str, str]


def _wait(futures: Sequence[Any]) -> None:
    """Wait a little, and raise what one of the processes has raised."""
    from concurrent.futures import FIRST_EXCEPTION, wait  # noqa: PLC0415  only where there are several

    for future in wait(futures, timeout=0.2, return_when=FIRST_EXCEPTION).done:
        future.result()


def _telling(name: str, seen: Seen) -> Callable[[int], None]:
    total = 0

    def told(events: int) -> None:
        nonlocal total
        total += events
        seen(name, total)

    return told


def _unseen(_events: int) -> None:
    """Tell nobody."""


SEEN = frozenset({"read", "fold"})
"""Steps that tell how far they are."""


def _step(work: Work, step: str, arguments: tuple[Any, ...], told: Callable[[int], None]) -> Any:
    method = getattr(work, step)
    return method(*arguments, told) if step in SEEN else method(*arguments)


@contextmanager
def _alone(wish: Wish, folder: Path) -> Iterator[_Crew]:
    yield _Crew(wish, (), None, Work(wish, folder, 0))


@contextmanager
def _together(wish: Wish, folder: Path) -> Iterator[_Crew]:
    """One pool of one process for each worker: a worker keeps what it knows from step to step."""
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of this process's threads
    counter = context.Value("Q", 0)
    with ExitStack() as stack:
        pools = [
            stack.enter_context(ProcessPoolExecutor(1, context, _begin, (wish, folder, worker, counter)))
            for worker in range(wish.workers)
        ]
        yield _Crew(wish, pools, counter, None)


_WORKER: dict[str, Any] = {}
"""What a worker process keeps from one step to the next."""


def _begin(wish: Wish, folder: Path, worker: int, counter: Any) -> None:
    gc.disable()  # as _never_collected has it
    _WORKER.update(work=Work(wish, folder, worker), counter=counter)


def _take_step(step: str, arguments: tuple[Any, ...]) -> Any:
    try:
        return _step(_WORKER["work"], step, arguments, _count)
    except NoRow as error:
        return _Missing((error.event, error.rule, error.field, error.problem))


def _count(events: int) -> None:
    counter = _WORKER["counter"]
    with counter.get_lock():
        if counter.value >= STOPPED:
            raise WorkerKilled("another worker process was killed")
        counter.value += events


@contextmanager
def _never_collected() -> Iterator[None]:
    """Let Python look for no cycles among what is kept: there are none, and it takes a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
