"""What one process does for a plan: it reads its share of the lines, folds its share of the logs, looks back, counts users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from engine.domain.errors import EventError
from engine.domain.references import JOB
from engine.policy.expressions.paths import Path as Expression
from engine.policy.model import Policy
from engine.preview.planning.effects import MEMO_MAX, Effects, Met
from engine.preview.planning.fold import Folded, Folding
from engine.preview.planning.kept.balances import Balances, Moves
from engine.preview.planning.kept.sides import effects_of_kept
from engine.preview.planning.lines import QUICK, Block, UnreadableEvents, blocks
from engine.preview.planning.look_back import LookingBack, Signing, count_flags, in_order, limits_of
from engine.preview.planning.orders import Differences, by_line, by_user
from engine.preview.planning.reads import reads_of
from engine.preview.planning.reduction import Uncarried
from engine.preview.planning.seen import Seen, SeenByAll
from engine.preview.planning.side import REFUSED, Rows, Side
from engine.preview.planning.spill import MORE, REFERENCE, SEQ, USER, InOrder, Record, Run, Sorting, Spill, Spilled, merged
from engine.preview.planning.tally import Tally
from engine.preview.planning.users import Cells, UserTally, count_users, own_key

LOOKED_AT_ONCE = 8 << 20
"""So many bytes of what jobs are counted by are looked at in memory; one user may stand behind half of all events."""

NEVER = -(1 << 63)
"""The time of no event, in microseconds since 1970."""

HALVES = 16
"""Into so many partitions the halves of events go whose log has another name under the other policy."""


@frozen
class Wish:
    """What is to be planned, and how: a person's question."""

    paths: tuple[Path, ...]
    now: Policy
    then: Policy
    rows: Rows | None = None
    groups: tuple[tuple[str, Expression], ...] = ()
    workers: int = 1
    partitions: int = 16
    memo_max: int = MEMO_MAX
    looked_at_once: int = LOOKED_AT_ONCE
    balances: Balances | None = None
    """What users had, where somebody knows it."""
    is_kept: bool = False
    """Whether the lines are facts that a ledger has kept, and no events."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of a person's own groups."""
        return tuple(name for name, _ in self.groups)


@frozen
class Read:
    """What one process has read."""

    tally: Tally
    logs: Spilled
    refused: tuple[Run, ...]
    latest: int | None
    """The time of the latest event, in microseconds since 1970."""
    often: Mapping[str, set[str]]
    """The texts that may have come too often, by the anomalies that are counted by time."""


@frozen
class Done:
    """What one process has folded."""

    tally: Tally
    signs: Spilled
    users: Spilled
    halves: Spilled
    moves: Spilled | None
    differences: tuple[Run, ...]
    refused: tuple[Run, ...]


@frozen
class Counted:
    """What one process has counted of users."""

    tally: UserTally
    rows: tuple[Run, ...]


# --- the work ---


@frozen(eq=False)
class Work:
    """One process at work: number ``worker`` of ``wish.workers``. Its steps follow each other."""

    wish: Wish
    folder: Path
    worker: int
    effects: Effects = field(init=False)
    folding: Folding = field(init=False)

    @effects.default
    def _effects(self) -> Effects:
        wish = self.wish
        if wish.is_kept:
            return effects_of_kept(wish.now, wish.then, self.folder, self.worker, wish.memo_max)
        sides = Side(wish.now, wish.rows), Side(wish.then, wish.rows)
        return Effects(sides, reads_of(wish.now, wish.then), self.folder, self.worker, wish.memo_max)

    @folding.default
    def _folding(self) -> Folding:
        return Folding(self.effects.sides, self.effects)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}-{self.worker}"

    def read(self, seen: Callable[[int], None]) -> Read:
        """Read this process's share of the lines; ``seen`` is told of each block how many events it has had."""
        every = enumerate(blocks(self.wish.paths))
        return self.read_blocks((block for index, block in every if index % self.wish.workers == self.worker), seen)

    def read_blocks(self, mine: Iterable[Block], seen: Callable[[int], None]) -> Read:
        """Read some lines, wherever they come from."""
        reading = _Reading(self)
        for block in mine:
            seen(reading.block(block))
        self.effects.flush()
        return reading.done(self._file("seen"))

    def fold(self, read: Sequence[Read], partitions: Sequence[int], seen: Callable[[int], None]) -> Done:
        """Fold the logs in some partitions; ``seen`` is told of each how many events it has had."""
        paths, limits = (
            [self.folder / f"seen-{n}" for n in range(self.wish.workers)],
            limits_of((self.wish.now, self.wish.then)),
        )
        logging = _Logging(self, SeenByAll(paths, [each.often for each in read], limits))
        for partition in partitions:
            seen(logging.partition([records for each in read for records in each.logs.records(partition)]))
        return logging.done()

    def look_back(self, done: Sequence[Done], partitions: Sequence[int]) -> Spilled:
        """Find what comes too often in some partitions."""
        looking = LookingBack((self.wish.now, self.wish.then))
        found = Spill(self._file("flags"), self.wish.partitions)
        for partition in partitions:
            records = (record for each in done for record in each.signs.records(partition))
            if sum(each.signs.size(partition) for each in done) <= self.wish.looked_at_once:
                looking.find(records, found)
            else:
                looking.find_in_order(self._sorted(records, f"signs-{partition}"), found)
        return found.done()

    def _sorted(self, records: Iterable[Record], name: str) -> InOrder:
        sorting = Sorting(self._file(name), in_order)
        for record in records:
            sorting.add(record)
        return merged(sorting.done(), in_order, self._file(f"{name}-merged"))

    def flags(self, found: Sequence[Spilled], partitions: Sequence[int]) -> Tally:
        """Count the flags of what comes too often."""
        tally = Tally()
        for partition in partitions:
            count_flags((record for each in found for record in each.records(partition)), tally)
        return tally

    def users(self, done: Sequence[Done], partitions: Sequence[int]) -> Counted:
        """Count the users in some partitions."""
        tally, rows = UserTally(), Sorting(self._file("user-rows"), by_user)
        for partition in partitions:
            count_users((record for each in done for record in each.users.records(partition)), tally, rows)
        return Counted(tally, rows.done())


class _Reading:
    """Reads events, and spills a record of each by its log."""

    def __init__(self, work: Work) -> None:
        self.effects, self.groups = work.effects, work.wish.groups
        self.tally = Tally()
        self.spill = Spill(work._file("logs"), work.wish.partitions)  # noqa: SLF001  it is a part of the same work
        self.refused = Sorting(work._file("refused"), by_line)  # noqa: SLF001
        self.latest = NEVER
        self.seen = Seen(work.wish.partitions, work.wish.workers, limits_of((work.wish.now, work.wish.then)))

    def block(self, block: Block) -> int:
        """Take in some lines, and return how many events they had. Raises UnreadableEvents."""
        before = self.tally.events
        for number, line in self._others(block):
            if line and not line.isspace():
                try:
                    self._event(number, line)
                except UnreadableEvents as error:
                    raise UnreadableEvents(f"{block.place(number)}: {error}") from error
        for counted, waiting in self.effects.waiting_for.items():
            self.seen.add(counted, waiting)
            waiting.clear()
        return self.tally.events - before

    def _others(self, block: Block) -> Iterator[tuple[int, bytes]]:
        """Take in the events of which the effect is known, and the one log; yield all other lines. The innermost loop."""
        reduce, direct, add = self.effects.reduce, self.effects.direct, self.spill.add_by
        latest, taken = self.latest, 0
        for number, line in enumerate(block.lines, block.first):
            try:
                document = QUICK.decode(line)
                key, job, reference, user, at, event_id, texts = reduce(document)
                effect = direct[key]
            except (KeyError, Uncarried, ValueError, RecursionError):
                yield number, line
                continue
            log = f"{effect.stem}{job if effect.stem == JOB else reference}"
            effect.waiting.append((texts, at))
            more = (None, None, self._own(document)) if self.groups else None
            add(log, (number, log, user or "", at, effect.number, event_id, texts, more))
            taken += 1
            if at > latest:  # noqa: PLR1730  no call for each event
                latest = at
        self.latest, self.tally.events = max(self.latest, latest), self.tally.events + taken

    def _own(self, document: Any) -> tuple[str, ...]:
        """Return the keys of an event in a person's own groups."""
        return tuple([own_key(path, document) for _, path in self.groups])

    def _event(self, number: int, line: bytes) -> None:
        """Take in the event of a line."""
        self.tally.events += 1
        met = self.effects.met(line)
        effect, (now, then) = met.effect, met.named
        if now is None and then is None:
            self._settled(number, met)
            return
        for _, _, at in filter(None, met.named):
            self.latest = max(self.latest, at)
            effect.waiting.append((met.texts, at))
        problem = self._problem(met) if effect.fixed[1] == REFUSED else None
        own = self._own(met.document) if self.groups else None
        if now is None or then is None or now == then:
            self._add(now or then, number, met, (None, problem, own) if own or problem else None)
            return
        self._add(now, number, met, (0, None, own))
        self._add(then, number, met, (1, None, own))

    def _add(self, named: Any, number: int, met: Met, more: Any) -> None:
        self.spill.add_by(named[0], (number, *named, met.effect.number, met.event_id, met.texts, more))

    def _settled(self, number: int, met: Met) -> None:
        """Count an event that no log will have."""
        now, then = met.effect.fixed
        self.tally.outcomes[now, then] += 1
        if then == REFUSED != now:
            self.refused.add((number, self._problem(met)))

    def _problem(self, met: Met) -> str:
        """Return why this very event makes no sense under the edited policy."""
        told = self.effects.sides[1].assessment(met.document) if met.effect.shared else met.effect.assessments[1]
        assert isinstance(told, EventError)  # noqa: S101  the effect says so of all its events
        return str(told)

    def done(self, seen: Path) -> Read:
        latest = None if self.latest == NEVER else self.latest
        return Read(self.tally, self.spill.done(), self.refused.done(), latest, self.seen.done(seen))


class _Logging:
    """Folds the logs of partitions."""

    def __init__(self, work: Work, seen: SeenByAll) -> None:
        self.signing = Signing(seen)
        self.folding, self.tally = work.folding, Tally()
        name, partitions = work._file, work.wish.partitions  # noqa: SLF001  it is a part of the same work
        self.signs, self.users = Spill(name("signs"), partitions), Spill(name("users"), partitions)
        self.cells = Cells(work.wish.names, self.tally, self.users)
        self.halves = Spill(name("halves"), HALVES)
        self.moves = Moves(name("moves"), work.wish.balances)
        self.differences = Differences(name("differences"))
        self.refused = Sorting(name("refused-by-log"), by_line)

    def partition(self, records: list[Record]) -> int:
        """Fold the logs of a partition, and return how many records it had."""
        logs: dict[str, Record] = {}
        longer: dict[str, list[Record]] = {}
        for record in records:
            first = logs.setdefault(record[REFERENCE], record)
            if first is not record:
                longer.setdefault(record[REFERENCE], [first]).append(record)
        for reference in longer:
            del logs[reference]
        for folded, alone in self.folding.alone(logs.values()).items():
            if alone[0][MORE] is None:
                self._alone(folded, alone)
            else:
                self._logs(folded, [[record] for record in alone])
        for log in longer.values():
            log.sort(key=by_line)
        for folded, alike in self.folding.together(longer.values()).items():
            self._logs(folded, alike)
        self.cells.partition()
        return len(records)

    def _alone(self, folded: Folded, records: Sequence[Record]) -> None:
        """Take in logs that end alike, of one event each."""
        self.cells.alone(folded, records)
        self.moves.add(folded, [(record,) for record in records])
        if folded.differs:
            now, then = folded.said
            order = 0 if folded.lines[0] else 1
            self.differences.add_all([(each[REFERENCE], each[USER], now, then, order, each[SEQ]) for each in records])
        if folded.signs[0] or folded.signs[1]:
            self.signing.spill(folded, [(record,) for record in records], self.signs)

    def _logs(self, folded: Folded, logs: Sequence[list[Record]]) -> None:
        """Take in logs that end alike."""
        self.signing.spill(folded, logs, self.signs)
        self.moves.add(folded, logs)
        for records in logs:
            self.cells.log(folded, records)
            if folded.differs:
                self._differs(folded, records)
            for place, problem in folded.problems:
                if folded.pairs[place][0]:  # half of an event that another log may take as well: see _halves
                    self.refused.add((records[place][SEQ], problem))
            self._halves(folded, records)

    def _differs(self, folded: Folded, records: list[Record]) -> None:
        now, then = folded.lines
        first = records[(now or then)[0].record]
        self.differences.add((first[REFERENCE], first[USER], *folded.said, 0 if now else 1, first[SEQ]))

    def _halves(self, folded: Folded, records: list[Record]) -> None:
        """Spill how events end whose other half is of another log."""
        for place, record in enumerate(records):
            if record[MORE] is not None and (which := record[MORE][0]) is not None:
                number, problem = record[SEQ], dict(folded.problems).get(place, "")
                self.halves.add(number % HALVES, (number, which, folded.pairs[place][which], problem))

    def done(self) -> Done:
        self.cells.done()
        spilled = self.signs.done(), self.users.done(), self.halves.done(), self.moves.done()
        return Done(self.tally, *spilled, self.differences.done(), self.refused.done())
