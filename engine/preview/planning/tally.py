"""What is counted of logs that are folded: outcomes, credits by type, flags, and the groups that a person asks about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from attrs import Factory, define

from engine.domain.money import EXACT, ZERO
from engine.preview.planning.fold import MODEL, RULE, Folded, Line

type Pair = list[Decimal]
"""Credits now and then, from the user's side: what costs is below 0."""

DAY = "day"
"""The group that is always there, beside rules, models and users."""

KEYS_MAX = 10_000
"""So many keys of one group are counted by themselves; what comes later counts under one."""

OTHERS = "(others)"


@define
class Group:
    """What is counted under one key."""

    jobs: int = 0
    users: int = 0
    sums: Pair = Factory(lambda: [ZERO, ZERO])

    def add(self, other: Group) -> None:
        """Add what was counted elsewhere."""
        self.jobs += other.jobs
        self.users += other.users
        add_to(self.sums, other.sums, 1)


@define
class Tally:
    """What was counted: by one process, or by all together."""

    events: int = 0
    outcomes: Counter[tuple[str, str]] = Factory(Counter)
    sums: dict[str, Pair] = Factory(dict)
    flags: dict[str, list[int]] = Factory(dict)
    groups: dict[str, dict[str, Group]] = Factory(dict)
    jobs: int = 0
    """How many logs have an entry, now or then."""
    jobs_concerned: int = 0
    """How many of them would end otherwise."""
    held: Pair = Factory(lambda: [ZERO, ZERO])
    """What open holds still reserve in the end: it is in no other sum."""
    not_posted: list[int] = Factory(lambda: [0, 0])
    """How many logs would have an entry on one side alone: then but not now, now but not then."""
    empty: bool = True

    def log(self, folded: Folded, count: int) -> None:
        """Count ``count`` logs that end alike."""
        for pair in folded.pairs:
            if "" not in pair:  # half a record: its other half is of another log
                self.outcomes[pair] += count
        if not folded.records:
            return
        self.jobs += count
        self.jobs_concerned += count if folded.differs else 0
        add_to(self.held, folded.held, count)
        for which, lines in enumerate(folded.lines):
            for line in lines:
                self._line(which, line, count)
        for name, of_line in ((RULE, _rule), (MODEL, _model)):
            self.group(name, group_sums(folded, lambda line, of=of_line: (of(line),)), count)

    def _line(self, which: int, line: Line, count: int) -> None:
        if line.amount:
            add_one(self.sums.setdefault(line.type, [ZERO, ZERO]), which, line.amount, count)
        for name in line.anomalies:
            self.flag(name, which, count)

    def flag(self, name: str, which: int, count: int) -> None:
        """Count entries that are flagged."""
        self.flags.setdefault(name, [0, 0])[which] += count

    def group(self, name: str, sums: Mapping[str, Pair], count: int) -> None:
        """Count ``count`` logs under the keys of a group."""
        keys = self.groups.setdefault(name, {})
        for key, pair in sums.items():
            group = self.key(keys, key)
            group.jobs += count
            add_to(group.sums, pair, count)

    def add_group(self, name: str, key: str, group: Group) -> None:
        """Count what was counted elsewhere under a key of a group."""
        self.key(self.groups.setdefault(name, {}), key).add(group)

    @staticmethod
    def key(keys: dict[str, Group], key: str) -> Group:
        """Return what is counted under a key, or under one for all others."""
        found = keys.get(key)
        if found is None:
            found = keys.setdefault(key if len(keys) < KEYS_MAX else OTHERS, Group())
        return found

    def add(self, other: Tally) -> None:
        """Add what another process has counted."""
        self.events += other.events
        self.outcomes.update(other.outcomes)
        for kind, pair in other.sums.items():
            add_to(self.sums.setdefault(kind, [ZERO, ZERO]), pair, 1)
        for name, counts in other.flags.items():
            for which, count in enumerate(counts):
                self.flag(name, which, count)
        for name, groups in other.groups.items():
            mine = self.groups.setdefault(name, {})
            for key, group in groups.items():
                self.key(mine, key).add(group)
        self.jobs += other.jobs
        self.jobs_concerned += other.jobs_concerned
        add_to(self.held, other.held, 1)


def _rule(line: Line) -> str:
    return line.rule


def _model(line: Line) -> str:
    return line.model


def add_one(pair: Pair, which: int, amount: Decimal, count: int) -> None:
    """Add an amount, ``count`` times, to one side."""
    pair[which] = EXACT.add(pair[which], amount if count == 1 else EXACT.multiply(amount, Decimal(count)))


def add_to(pair: Pair, other: Iterable[Decimal], count: int) -> None:
    """Add both sides, ``count`` times."""
    for which, amount in enumerate(other):
        add_one(pair, which, amount, count)


def group_sums(folded: Folded, keys_of: Any) -> dict[str, Pair]:
    """Return what a log moves under each key; ``keys_of`` gives those of an entry."""
    sums: dict[str, Pair] = {}
    for which, lines in enumerate(folded.lines):
        for line in lines:
            for key in keys_of(line):
                add_one(sums.setdefault(key, [ZERO, ZERO]), which, line.amount, 1)
    return sums
