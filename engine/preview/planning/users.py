"""What a plan says of users: who would have more, who less, and how many stand behind each key of a group."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

from attrs import Factory, define

from engine.domain.money import EXACT, ZERO
from engine.preview.planning.fold import AT, MORE, USER, Folded
from engine.preview.planning.reduction import EPOCH
from engine.preview.planning.spill import Record, Sorting, Spill
from engine.preview.planning.tally import DAY, Group, Pair, Tally, add_to, group_sums, touched

DAY_MICROSECONDS = 86_400_000_000

NOTHING = "(none)"
"""The key of what an event does not say."""

type Cell = tuple[str, str, Folded, tuple[int, ...], tuple[tuple[str, ...], ...]]
"""Logs that are counted together: their users now and then, how they end, the days and the own groups of their entries."""


class Cells:
    """Counts the logs of one partition."""

    def __init__(self, groups: Sequence[str]) -> None:
        self.groups = groups
        self.counted: Counter[Cell] = Counter()

    def log(self, folded: Folded, records: Sequence[Record]) -> None:
        """Count a log."""
        if len(records) == 1:
            (record,) = records
            of_groups = (record[MORE][2],) if self.groups else ()
            user = record[USER]
            self.counted[user, user, folded, (record[AT] // DAY_MICROSECONDS,), of_groups] += 1
            return
        days = tuple([record[AT] // DAY_MICROSECONDS for record in records])
        now, then = (records[lines[0].record][USER] if lines else None for lines in folded.lines)
        self.counted[now or then, then or now, folded, days, _own_groups(records) if self.groups else ()] += 1  # type: ignore[index]

    def tell(self, tally: Tally, spill: Spill) -> None:
        """Count what was counted into the tally, and spill it by its users."""
        whole: Counter[Folded] = Counter()
        by_day: Counter[tuple[Folded, tuple[int, ...]]] = Counter()
        by_group: Counter[tuple[Folded, tuple[tuple[str, ...], ...]]] = Counter()
        for cell, count in self.counted.items():
            _, _, folded, days, of_groups = cell
            whole[folded] += count
            if folded.records:
                by_day[folded, days] += count
                by_group[folded, of_groups] += count
                _spill(cell, count, spill)
        for folded, count in whole.items():
            tally.log(folded, count)
        for (folded, days), count in by_day.items():
            tally.group(DAY, _by_day(folded, days), count)
        for place, name in enumerate(self.groups):
            for (folded, of_groups), count in by_group.items():
                keys = lambda line, own=of_groups, place=place: (own[line.record][place],)  # noqa: E731
                tally.group(name, group_sums(folded, keys), count)
        self.counted.clear()


def _by_day(folded: Folded, days: tuple[int, ...]) -> dict[str, Pair]:
    if len(days) == 1:
        return {day_text(days[0]): [*folded.posted]}
    return group_sums(folded, lambda line: (day_text(days[line.record]),))


def _own_groups(records: Sequence[Record]) -> tuple[tuple[str, ...], ...]:
    """Return the own groups of a log's events; one that does not say its key is of the first that does."""
    said = [record[MORE][2] for record in records]
    firsts = [next((key for key in keys if key != NOTHING), NOTHING) for keys in zip(*said, strict=True)]
    return tuple([tuple([key if key != NOTHING else first for key, first in zip(own, firsts, strict=True)]) for own in said])


@functools.cache
def day_text(day: int) -> str:
    """Return a day, counted from 1970, as text."""
    return f"{EPOCH + timedelta(days=day):%Y-%m-%d}"


def _spill(cell: Cell, count: int, spill: Spill) -> None:
    """Spill what logs move, by the user; the rare log whose entries are of another user then is told of both."""
    now, then, folded, days, of_groups = cell
    said = tuple(touched(folded))
    touched_days = tuple({days[place] for place in folded.records})
    touched_groups = tuple({of_groups[place] for place in folded.records}) if of_groups else ()
    if now == then:
        spill.add_by(now, (now, count, *folded.said, said, touched_days, touched_groups))
        return
    spill.add_by(now, (now, count, folded.said[0], "0", said, touched_days, touched_groups))
    spill.add_by(then, (then, count, "0", folded.said[1], said, touched_days, touched_groups))


@define
class UserTally:
    """What was counted of users: how many there are, and how many would have more or less."""

    users: int = 0
    winners: int = 0
    losers: int = 0
    won: Decimal = ZERO
    lost: Decimal = ZERO
    keys: dict[str, Counter[str]] = Factory(dict)
    """How many users stand behind each key of a group."""

    def add(self, other: UserTally) -> None:
        """Add what another process has counted."""
        self.users += other.users
        self.winners += other.winners
        self.losers += other.losers
        self.won, self.lost = EXACT.add(self.won, other.won), EXACT.add(self.lost, other.lost)
        for name, counts in other.keys.items():
            self.keys.setdefault(name, Counter()).update(counts)


@define
class _User:
    jobs: int = 0
    sums: Pair = Factory(lambda: [ZERO, ZERO])
    touched: set[tuple[str, str]] = Factory(set)
    days: set[int] = Factory(set)
    own: set[tuple[str, ...]] = Factory(set)


def count_users(records: Iterable[Record], groups: Sequence[str], tally: UserTally, rows: Sorting) -> None:
    """Count the users of a partition, and write a row of each, to be sorted."""
    users: dict[str, _User] = {}
    for name, count, now, then, said, days, own in records:
        user = users.get(name)
        if user is None:
            user = users[name] = _User()
        user.jobs += count
        add_to(user.sums, (_decimal(now), _decimal(then)), count)
        user.touched.update(said)
        user.days.update(days)
        user.own.update(own)
    for name, user in users.items():
        _count(user, groups, tally)
        rows.add((name, user.jobs, *(format(amount, "f") for amount in user.sums)))


def _count(user: _User, groups: Sequence[str], tally: UserTally) -> None:
    by = EXACT.subtract(user.sums[1], user.sums[0])
    tally.users += 1
    tally.winners += by > 0
    tally.losers += by < 0
    tally.won = EXACT.add(tally.won, max(by, ZERO))
    tally.lost = EXACT.add(tally.lost, min(by, ZERO))
    for name, key in user.touched:
        tally.keys.setdefault(name, Counter())[key] += 1
    for day in user.days:
        tally.keys.setdefault(DAY, Counter())[day_text(day)] += 1
    for place, name in enumerate(groups):
        for key in {own[place] for own in user.own}:
            tally.keys.setdefault(name, Counter())[key] += 1


DECIMALS_MAX = 10_000
_DECIMALS: dict[str, Decimal] = {}


def _decimal(text: str) -> Decimal:
    """Return the number of a text; most of them come again and again."""
    if (found := _DECIMALS.get(text)) is None:
        if len(_DECIMALS) >= DECIMALS_MAX:
            _DECIMALS.clear()
        found = _DECIMALS[text] = Decimal(text)
    return found


def with_users(groups: Mapping[str, dict[str, Group]], users: UserTally) -> None:
    """Set how many users stand behind each key."""
    for name, keys in groups.items():
        for key, count in users.keys.get(name, {}).items():
            Tally.key(keys, key).users += count
