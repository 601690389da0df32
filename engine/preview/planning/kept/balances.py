"""What users had, and what they would have: who would fall below zero under an edit and did not before.

The balance at an instant is what the application has granted in all (``remaining - posted``, as Credits has it) and what the
ledger has moved until then; under the edit it is that with the differences of the plan until then. When the application
granted is known to nobody, so that its grants count from the first instant on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen

from engine.domain.instants import instant_text, read_instant
from engine.domain.money import EXACT, ZERO, canonical
from engine.ledger.audits import Credit
from engine.policy.model import Overdraft, Policy
from engine.preview.planning.fold import Folded
from engine.preview.planning.reduction import EPOCH, microseconds
from engine.preview.planning.spill import AT, USER, InOrder, Record, Sorting, Spill, Spilled, merged

PARTITIONS = 64
"""Users are looked at in so many parts, one in memory at a time."""


class History:
    """Keeps on disk what each entry has moved, and what each user had beside, by users."""

    def __init__(self, folder: Path) -> None:
        self.moved, self.granted = Spill(folder / "history", PARTITIONS), Spill(folder / "granted", PARTITIONS)

    def noting(self, logs: Iterable[list[Mapping[str, Any]]]) -> Iterator[list[Mapping[str, Any]]]:
        """Yield logs of entries as they are stored, and add each entry on the way."""
        for log in logs:
            for entry in log:
                self.add(entry)
            yield log

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add an entry; one that does not say whose it is, when or how much moves nothing."""
        user, at, amount = entry.get("userId"), read_instant(entry.get("occurredAt")), entry.get("amount")
        if isinstance(user, str) and at is not None and isinstance(amount, int | Decimal) and amount:
            self.moved.add_by(user, (user, microseconds(at), format(Decimal(amount), "f")))

    def add_balance(self, credit: Credit) -> None:
        """Add a user's row of Credits; one that says no numbers says nothing."""
        if credit.remaining is not None and credit.posted is not None:
            granted = EXACT.subtract(credit.remaining, credit.posted)
            self.granted.add_by(credit.user, (credit.user, format(granted, "f")))

    def done(self) -> Balances:
        """Return what was kept."""
        return Balances(self.moved.done(), self.granted.done())


@frozen
class Balances:
    """What users had: what each entry has moved, and what each user had beside all entries."""

    moved: Spilled
    granted: Spilled


class Moves:
    """Keeps on disk what logs move under the edit beside what they move now, where somebody knows what users had."""

    def __init__(self, path: Path, balances: Balances | None) -> None:
        self.spill = Spill(path, PARTITIONS) if balances is not None else None

    def add(self, folded: Folded, logs: Iterable[Sequence[Record]]) -> None:
        """Add logs that end alike, by their records."""
        if self.spill is not None and folded.lines[0] != folded.lines[1]:
            for records in logs:
                _spill_moves(folded, records, self.spill)

    def done(self) -> Spilled | None:
        """Return what was kept."""
        return self.spill.done() if self.spill is not None else None


def _spill_moves(folded: Folded, records: Sequence[Record], spill: Spill) -> None:
    """Spill what a log moves, at the instants of its events."""
    moves: dict[tuple[str, int], Decimal] = {}
    for lines, add in zip(folded.lines, (EXACT.subtract, EXACT.add), strict=True):
        for line in lines:
            place = records[line.record][USER], records[line.record][AT]
            moves[place] = add(moves.get(place, ZERO), EXACT.subtract(line.amount, line.held))  # what is held cannot be spent
    for (user, at), by in moves.items():
        if by:
            spill.add_by(user, (user, at, format(by, "f")))


@frozen
class Overdrawn:
    """Who would be overdrawn and was not, the furthest first: user, the lowest balance now and then, and when that is.

    ``unknown`` is how many users have no row in Credits that says what they have.
    """

    rows: InOrder
    unknown: int


@define
class _Account:
    granted: Decimal | None = None
    moves: dict[int, tuple[Decimal, Decimal]] = Factory(dict)
    """By the instant: what is moved now and then."""

    def move(self, at: int, now: Decimal, then: Decimal) -> None:
        before = self.moves.get(at, (ZERO, ZERO))
        self.moves[at] = EXACT.add(before[0], now), EXACT.add(before[1], then)

    def lowest(self, granted: Decimal) -> tuple[Decimal, Decimal, int]:
        """Return the lowest balances now and then, and the instant of the latter."""
        balances, lowest, at_lowest = (granted, granted), (granted, granted), 0
        for at in sorted(self.moves):
            now, then = map(EXACT.add, balances, self.moves[at])
            at_lowest = at if then < lowest[1] else at_lowest
            balances, lowest = (now, then), (min(now, lowest[0]), min(then, lowest[1]))
        return *lowest, at_lowest


def overdrawn(balances: Balances, moves: Sequence[Spilled], policies: tuple[Policy, Policy], folder: Path) -> Overdrawn:
    """Return who would be overdrawn and was not."""
    now, then = policies
    newly_refuses = then.overdraft is Overdraft.REFUSE is not now.overdraft
    rows, unknown = Sorting(folder / "overdrawn", _by_depth), 0
    for partition in range(PARTITIONS):
        for user, account in _accounts(balances, moves, partition).items():
            if account.granted is None:
                unknown += 1
                continue
            lowest_now, lowest_then, at = account.lowest(account.granted)
            if lowest_then < ZERO and (lowest_now >= ZERO or newly_refuses):
                rows.add((user, canonical(lowest_now), canonical(lowest_then), at))
    return Overdrawn(merged(rows.done(), _by_depth, folder / "overdrawn-merged"), unknown)


def _accounts(balances: Balances, moves: Sequence[Spilled], partition: int) -> dict[str, _Account]:
    """Return the users of a partition of whom something is moved."""
    accounts: dict[str, _Account] = {}
    for user, at, amount in balances.moved.records(partition):
        accounts.setdefault(user, _Account()).move(at, Decimal(amount), Decimal(amount))
    for each in moves:
        for user, at, by in each.records(partition):
            accounts.setdefault(user, _Account()).move(at, ZERO, Decimal(by))
    for user, granted in balances.granted.records(partition):
        if user in accounts:
            accounts[user].granted = Decimal(granted)
    return accounts


def _by_depth(record: Record) -> tuple[Decimal, str]:
    return Decimal(record[2]), record[0]


def row_of(record: Record) -> dict[str, str]:
    """Return a user who would be overdrawn, as JSON has it."""
    user, now, then, at = record
    return {"user": user, "now": now, "then": then, "at": instant_text(EPOCH + timedelta(microseconds=at))}
