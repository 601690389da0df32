"""A plan whose steps run on machines that have no disk in common: each step is a function of what one partition has.

An engine for many machines (Spark, say) carries *items* from step to step, each to the partition that it names. A step is the
very work of a process of ``reconciler plan``: it is given its items, works on a disk of its own, and hands on what it spilled.

    lines -> route -> by log -> fold -> by what is counted -> count -> by flagged log -> flag
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple, Protocol

from attrs import evolve, frozen

from engine.domain.errors import NoRow
from engine.preview.planning.lines import Block, UnreadableEvents
from engine.preview.planning.orders import Differences, by_line, by_user
from engine.preview.planning.run import Planned, count_halves
from engine.preview.planning.spill import Run, Sorting, Spill, Spilled, merged
from engine.preview.planning.tally import Tally
from engine.preview.planning.users import UserTally, with_users
from engine.preview.planning.work import HALVES, Done, Wish, Work

type Item = tuple[str, int, Any]
"""What kind it is, the partition that it goes to, and what it carries."""

type Step = Callable[[int, Iterable[Item]], Iterator[Item]]
"""What is done with the items of one partition, whose number comes first."""

LINE, EVENTS, PROBLEM = "line", "events", "problem"
"""Go to ``fold``: a line with its number; how many events a part of the files had; why a line of it cannot be planned."""

SIGN, USER, HALF = "sign", "user", "half"
"""Go to ``count``."""

FLAG = "flag"
"""Goes to ``flag``."""

TALLY, USERS, LATEST, DIFFERENCE, REFUSED, ROW = "tally", "users", "latest", "difference", "refused", "row"
TOLD = (PROBLEM, TALLY, USERS, LATEST, DIFFERENCE, REFUSED, ROW)
"""Go to whoever gathers the answer."""

PARTITIONS_MIN = HALVES
"""So many partitions at least: halves of events go to the first of them."""

ANY_MAY_COME_OFTEN = b"\xff"
"""What ``Seen`` keeps of a text that came often, for all texts: nobody has counted what came to all partitions together."""

NOWHERE = Path()
"""A step has no file to name: whoever hands over lines has named each."""


class Numbered(NamedTuple):
    """A line of a file: its number over all files (larger than those of the lines before it), and where it stands."""

    number: int
    place: str
    line: bytes


class Items(Protocol):
    """The items that a step has yielded, on all machines together."""

    def then(self, step: Step, *kinds: str) -> Items:
        """Carry the items of some kinds to their partitions, and let the next step run there."""
        ...

    def gathered(self, *kinds: str) -> Iterator[Item]:
        """Yield the items of some kinds, here."""
        ...


def _unseen(_events: int) -> None:
    """Tell nobody how far it is: the engine tells how many partitions are done."""


@contextmanager
def working(wish: Wish) -> Iterator[Work]:
    """Hand over a process's work, on a disk that is there as long as the work."""
    with TemporaryDirectory(prefix="reconciler-plan-") as folder:
        yield Work(wish, Path(folder), 0)


@frozen
class Steps:
    """The steps of one question. ``wish.partitions`` says among how many partitions the work is divided."""

    wish: Wish

    takes: ClassVar[tuple[str, ...]] = (LINE, EVENTS, PROBLEM)
    """What kinds of items ``fold`` takes."""

    def route(self, lines: Iterable[Numbered]) -> Iterator[Item]:
        """Send each event to the partitions of its logs: to two of them where its log has another name under the edit.

        A line that is no event ends it, and is told like an event: an engine would try an error again and again.
        """
        events = number = 0
        with working(self.wish) as work:
            for number, place, line in lines:
                if line and not line.isspace():
                    events += 1
                    try:
                        partitions = self._partitions(work, number, line)
                    except (UnreadableEvents, NoRow) as error:
                        yield PROBLEM, number % self.wish.partitions, (number, f"{place}: {error}")
                        break
                    for partition in partitions:
                        yield LINE, partition, (number, line)
        yield EVENTS, number % self.wish.partitions, events

    def _partitions(self, work: Work, number: int, line: bytes) -> set[int]:
        references = [each[0] for each in work.effects.met(line).named if each is not None]
        return {self.partition_of(name) for name in references} or {number % self.wish.partitions}

    def partition_of(self, name: str) -> int:
        """Return the partition of a log: where ``Spill`` puts it as well."""
        return zlib.crc32(name.encode("utf-8", "surrogatepass")) % self.wish.partitions

    def fold(self, partition: int, items: Iterable[Item]) -> Iterator[Item]:
        """Fold the logs of a partition. Of an event that came to two partitions each folds the half that is its own."""
        tally, problems = Tally(), list[Item]()
        with working(self.wish) as work:
            read = work.read_blocks(_blocks(items, tally, problems), _unseen)
            read.tally.events = 0  # an event may be here and elsewhere
            (work.folder / "seen-0").write_bytes(ANY_MAY_COME_OFTEN)
            done = work.fold([evolve(read, often={})], [partition], _unseen)
            tally.add(read.tally)
            tally.add(done.tally)
            yield TALLY, 0, tally
            yield LATEST, 0, read.latest
            for kind, spilled in ((SIGN, done.signs), (USER, done.users), (HALF, done.halves)):
                yield from _spilled(kind, spilled)
            yield from _runs(DIFFERENCE, done.differences)
            yield from _runs(REFUSED, (*read.refused, *done.refused))
        yield from problems

    def count(self, partition: int, items: Iterable[Item]) -> Iterator[Item]:
        """Look back in a partition, count its users, and the events whose halves meet there."""
        tally = Tally()
        with working(self.wish) as work:
            done = self._done(work, items)
            yield from _spilled(FLAG, work.look_back([done], [partition]))
            users = work.users([done], [partition])
            yield USERS, 0, users.tally
            yield from _runs(ROW, users.rows)
            yield from _runs(REFUSED, count_halves([done], tally, work.folder))
        yield TALLY, 0, tally

    def _done(self, work: Work, items: Iterable[Item]) -> Done:
        """Return what came from all partitions as if one process had folded it."""
        spills = {
            kind: Spill(work.folder / f"{kind}-from-all", HALVES if kind == HALF else self.wish.partitions)
            for kind in (SIGN, USER, HALF)
        }
        for kind, partition, record in items:
            spills[kind].add(partition, record)
        signs, users, halves = (spill.done() for spill in spills.values())
        return Done(tally=Tally(), signs=signs, users=users, halves=halves, moves=None, differences=(), refused=())

    def flag(self, partition: int, items: Iterable[Item]) -> Iterator[Item]:
        """Count the flags of what comes too often."""
        with working(self.wish) as work:
            found = Spill(work.folder / "flags-from-all", self.wish.partitions)
            for _, _, record in items:
                found.add(partition, record)
            yield TALLY, 0, work.flags([found.done()], [partition])


def _blocks(items: Iterable[Item], tally: Tally, problems: list[Item]) -> Iterator[Block]:
    """Yield lines; count events into the tally, and keep problems."""
    for item in items:
        kind, _, value = item
        if kind == LINE:
            number, line = value
            yield Block(NOWHERE, 0, number, [line])
        elif kind == EVENTS:
            tally.events += value
        else:
            problems.append(item)


def _spilled(kind: str, spilled: Spilled) -> Iterator[Item]:
    for partition in range(len(spilled.blocks)):
        for record in spilled.records(partition):
            yield kind, partition, record


def _runs(kind: str, runs: Iterable[Run]) -> Iterator[Item]:
    return ((kind, 0, record) for run in runs for record in run)


# --- all steps together ---

type Also = Callable[[str, Any], None]
"""Is told of a kind of items, and what one of them carries."""


def _nothing_more(_kind: str, _value: Any) -> None:
    """Ask for nothing beside what every plan asks for."""


@contextmanager
def planned_apart(routed: Items, steps: Steps, also: Also = _nothing_more, *more: str) -> Iterator[Planned]:
    """Let the steps run behind what was routed, and hand over the outcome for as long as it is asked: see ``planned``.

    ``also`` is told of all items, of the kinds ``more`` too. Raises UnreadableEvents for the first line that cannot be
    planned, also where it needs a row of Jobs.
    """
    folded = routed.then(steps.fold, *steps.takes)
    counted = folded.then(steps.count, SIGN, USER, HALF)
    flagged = counted.then(steps.flag, FLAG)
    with TemporaryDirectory(prefix="reconciler-plan-") as folder:
        gathering = _Gathering(Path(folder))
        for items in (flagged, counted, folded):
            for kind, _, value in items.gathered(*TOLD, *more):
                gathering.add(kind, value)
                also(kind, value)
        yield gathering.planned()


class _Gathering:
    """Gathers the outcome from what all partitions tell; what is long stays on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tally, self.users = folder, Tally(), UserTally()
        self.latest: list[int] = []
        self.problems: list[tuple[int, str]] = []
        self.long = {
            DIFFERENCE: Differences(folder / "differences"),
            REFUSED: Sorting(folder / "refused", by_line),
            ROW: Sorting(folder / "user-rows", by_user),
        }

    def add(self, kind: str, value: Any) -> None:
        """Take in what a partition tells, where it goes into the answer."""
        if kind in self.long:
            self.long[kind].add(value)
        elif kind == TALLY:
            self.tally.add(value)
        elif kind == USERS:
            self.users.add(value)
        elif kind == PROBLEM:
            self.problems.append(value)
        elif kind == LATEST and value is not None:
            self.latest = [max([value, *self.latest])]

    def planned(self) -> Planned:
        """Return the outcome. Raises UnreadableEvents."""
        if self.problems:
            raise UnreadableEvents(min(self.problems)[1])
        with_users(self.tally.groups, self.users)
        lists = {
            kind: merged(sorting.done(), sorting.key, self.folder / f"{kind}-merged") for kind, sorting in self.long.items()
        }
        latest = self.latest[0] if self.latest else None
        return Planned(self.tally, self.users, lists[DIFFERENCE], lists[REFUSED], lists[ROW], latest)
