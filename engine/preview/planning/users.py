"""What a plan says of users: who would have more, who less, and how many stand behind each key of a group."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from attrs import Factory, define

from engine.domain.money import EXACT, ZERO
from engine.policy.expressions.paths import Path as Expression
from engine.policy.expressions.paths import PathProblem
from engine.preview.planning.fold import Folded
from engine.preview.planning.reduction import EPOCH
from engine.preview.planning.spill import AT, MORE, USER, Record, Sorting, Spill
from engine.preview.planning.tally import DAY, KEYS_MAX, OTHERS, Group, Tally, group_sums
from engine.rating.detectors import sign_text

DAY_MICROSECONDS = 86_400_000_000

NOTHING = "(none)"
"""The key of what an event does not say."""


def own_key(path: Expression, document: Any) -> str:
    """Return the key of an event in a person's own group."""
    try:
        value = path.search(document)
    except PathProblem:
        return NOTHING
    if value is None or isinstance(value, str):
        return value or NOTHING
    return sign_text(value).removeprefix("\1") or (str(value).lower() if isinstance(value, bool) else NOTHING)


type Cell = tuple[str, str, Folded, tuple[int, ...], tuple[tuple[str, ...], ...]]
"""Logs that are counted together: their users now and then, how they end, the days and the own groups of their entries."""

WHOLE_MAX = 20_000
"""So many ways of ending are counted before they are told."""

USERS_MAX = 50_000
"""So many users are counted before they are spilled: some 30 MB."""


class Keys:
    """Numbers the keys of groups, so that those of a user are the bits of one number."""

    def __init__(self) -> None:
        self.keys: list[tuple[str, str]] = []
        self.bits: dict[tuple[str, str], int] = {}
        self.of_group: Counter[str] = Counter()

    def bit(self, name: str, key: str) -> int:
        """Return the bit of a key; of very many keys of a group the rest have one."""
        if (found := self.bits.get((name, key))) is not None:
            return found
        if self.of_group[name] >= KEYS_MAX and key != OTHERS:
            return self.bit(name, OTHERS)
        found = self.bits[name, key] = 1 << len(self.keys)
        self.keys.append((name, key))
        self.of_group[name] += 1
        return found

    def mask(self, keys: Iterable[tuple[str, str]]) -> int:
        """Return the bits of keys."""
        return functools.reduce(int.__or__, (self.bit(*key) for key in keys), 0)


class User:
    """What is counted of a user. A plain class: it is asked of nearly each event. ``keys`` are the bits of ``Keys``."""

    __slots__ = ("jobs", "keys", "now", "then")

    def __init__(self) -> None:
        self.jobs, self.now, self.then, self.keys = 0, ZERO, ZERO, 0

    def add(self, count: int, now: Decimal, then: Decimal, keys: int) -> None:
        """Add logs, and what they move in all."""
        self.jobs += count
        self.now, self.then = EXACT.add(self.now, now), EXACT.add(self.then, then)
        self.keys |= keys


class Cells:
    """Counts logs: by how they end, by day, by own group, by user. What is counted of users is spilled when they are many."""

    def __init__(self, groups: Sequence[str], tally: Tally, spill: Spill) -> None:
        self.groups, self.tally, self.spill = groups, tally, spill
        self.whole: Counter[Folded] = Counter()
        self.counted: Counter[Cell] = Counter()
        self.days: dict[int, tuple[Group, int]] = {}
        self.users: dict[str, User] = {}
        self.keys = Keys()

    def alone(self, folded: Folded, records: Sequence[Record]) -> None:
        """Count logs of one event each that end alike; none has own groups. This is a loop over nearly all events."""
        self.whole[folded] += len(records)
        if not folded.records:
            return
        (now, then), keys, users, add = folded.posted, self.keys.mask(folded.keys), self.users, EXACT.add
        days, day_of = self.days, self._day
        for record in records:
            of_day = record[AT] // DAY_MICROSECONDS
            group, day = days.get(of_day) or day_of(of_day)
            group.jobs += 1
            sums = group.sums
            sums[0], sums[1] = add(sums[0], now), add(sums[1], then)
            if (user := users.get(record[USER])) is None:
                user = users[record[USER]] = User()
            user.jobs += 1
            user.now, user.then = add(user.now, now), add(user.then, then)
            user.keys |= keys | day

    def _day(self, day: int) -> tuple[Group, int]:
        """Return what is counted of a day, and its bit."""
        if (found := self.days.get(day)) is None:
            found = self.days[day] = Group(), self.keys.bit(DAY, day_text(day))
        return found

    def log(self, folded: Folded, records: Sequence[Record]) -> None:
        """Count a log."""
        days = tuple([record[AT] // DAY_MICROSECONDS for record in records])
        now, then = (records[lines[0].record][USER] if lines else None for lines in folded.lines)
        of_groups = _own_groups(records) if self.groups else ()
        self.counted[now or then or "", then or now or "", folded, days, of_groups] += 1

    def partition(self) -> None:
        """Count what was counted of the logs of a partition: none of them is in another."""
        by_day: Counter[tuple[Folded, tuple[int, ...]]] = Counter()
        by_group: Counter[tuple[Folded, tuple[tuple[str, ...], ...]]] = Counter()
        for cell, count in self.counted.items():
            _, _, folded, days, of_groups = cell
            self.whole[folded] += count
            if folded.records:
                by_day[folded, days] += count
                if of_groups:
                    by_group[folded, of_groups] += count
                self._of_users(cell, count)
        for (folded, days), count in by_day.items():
            self.tally.group(DAY, group_sums(folded, lambda line, days=days: (day_text(days[line.record]),)), count)
        for place, name in enumerate(self.groups):
            for (folded, of_groups), count in by_group.items():
                keys = lambda line, own=of_groups, place=place: (own[line.record][place],)  # noqa: E731
                self.tally.group(name, group_sums(folded, keys), count)
        self.counted.clear()
        self._when_many()

    def _of_users(self, cell: Cell, count: int) -> None:
        """Count what logs move, by the user; the rare log whose entries are of another user then is told of both."""
        now, then, folded, days, of_groups = cell
        keys = self.keys.mask(folded.keys)
        for place in folded.records:
            keys |= self._day(days[place])[1]
            keys |= self.keys.mask(zip(self.groups, of_groups[place], strict=True)) if of_groups else 0
        posted = (amount if count == 1 else EXACT.multiply(amount, Decimal(count)) for amount in folded.posted)
        posted_now, posted_then = posted
        if now == then:
            self._user(now).add(count, posted_now, posted_then, keys)
            return
        self._user(now).add(count, posted_now, ZERO, keys)
        self._user(then).add(count, ZERO, posted_then, keys)

    def _user(self, name: str) -> User:
        return self.users.setdefault(name, User())

    def _when_many(self) -> None:
        if len(self.whole) > WHOLE_MAX:
            self._tell_whole()
        if len(self.users) > USERS_MAX:
            self._spill_users()

    def done(self) -> None:
        """Count what is left."""
        self._tell_whole()
        self._spill_users()
        for day, (group, _) in self.days.items():
            self.tally.add_group(DAY, day_text(day), group)

    def _tell_whole(self) -> None:
        for folded, count in self.whole.items():
            self.tally.log(folded, count)
        self.whole.clear()

    def _spill_users(self) -> None:
        for name, user in self.users.items():
            keys = tuple([self.keys.keys[place] for place in _places(user.keys)])
            self.spill.add_by(name, (name, user.jobs, format(user.now, "f"), format(user.then, "f"), keys))
        self.users.clear()


def _own_groups(records: Sequence[Record]) -> tuple[tuple[str, ...], ...]:
    """Return the own groups of a log's events; one that does not say its key is of the first that does."""
    said = [record[MORE][2] for record in records]
    firsts = [next((key for key in keys if key != NOTHING), NOTHING) for keys in zip(*said, strict=True)]
    return tuple([tuple([key if key != NOTHING else first for key, first in zip(own, firsts, strict=True)]) for own in said])


@functools.cache
def day_text(day: int) -> str:
    """Return a day, counted from 1970, as text."""
    return f"{EPOCH + timedelta(days=day):%Y-%m-%d}"


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

    def stand_behind(self, name: str, key: str, count: int) -> None:
        """Count users behind a key of a group, or behind one for all others."""
        keys = self.keys.setdefault(name, Counter())
        keys[key if key in keys or len(keys) < KEYS_MAX else OTHERS] += count

    def add(self, other: UserTally) -> None:
        """Add what another process has counted."""
        self.users += other.users
        self.winners += other.winners
        self.losers += other.losers
        self.won, self.lost = EXACT.add(self.won, other.won), EXACT.add(self.lost, other.lost)
        for name, counts in other.keys.items():
            self.keys.setdefault(name, Counter()).update(counts)


def count_users(records: Iterable[Record], tally: UserTally, rows: Sorting) -> None:
    """Count the users of a partition; write a row of each, to be sorted."""
    users: defaultdict[str, User] = defaultdict(User)
    common = Keys()
    for name, count, now, then, keys in records:
        users[name].add(count, Decimal(now), Decimal(then), common.mask(keys))
    behind: Counter[int] = Counter()
    for name, user in users.items():
        _count(user, tally)
        behind.update(_places(user.keys))
        rows.add((name, user.jobs, format(user.now, "f"), format(user.then, "f")))
    for place, count in behind.items():
        tally.stand_behind(*common.keys[place], count)


def _places(bits: int) -> Iterator[int]:
    """Yield the places of the bits of a number."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _count(user: User, tally: UserTally) -> None:
    by = EXACT.subtract(user.then, user.now)
    tally.users += 1
    tally.winners += by > 0
    tally.losers += by < 0
    tally.won, tally.lost = EXACT.add(tally.won, max(by, ZERO)), EXACT.add(tally.lost, min(by, ZERO))


def with_users(groups: Mapping[str, dict[str, Group]], users: UserTally) -> None:
    """Set how many users stand behind each key."""
    for name, keys in groups.items():
        for key, count in users.keys.get(name, {}).items():
            Tally.key(keys, key).users += count
