"""What the tables of a stage come to: two of them are compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from tests.simulation.damages.stage import Stage

ZERO = Decimal(0)
NONE = ZERO, ZERO, ZERO


@frozen
class State:
    """What the tables come to: by user what was posted, what is left, what is held, and what the entries add up to.

    By log what it moves. ``held`` has of both what their entries hold.
    """

    rows: Mapping[str, tuple[Decimal, Decimal, Decimal]]
    sums: Mapping[str, Decimal]
    nets: Mapping[str, Decimal]
    held: Mapping[str, Decimal]

    def of(self, names: Collection[str]) -> Mapping[str, object]:
        """Return what concerns some users and logs."""
        return {name: self._of_log(name) if "#" in name else self._of_user(name) for name in names}

    def _of_log(self, log: str) -> tuple[Decimal, ...]:
        return self.nets.get(log, ZERO), self.held.get(log, ZERO)

    def _of_user(self, user: str) -> tuple[Decimal, ...]:
        return *self.rows.get(user, NONE), self.sums.get(user, ZERO), self.held.get(user, ZERO)

    def left(self, user: str) -> Decimal:
        """Return what is left of a user's credits."""
        return self.rows.get(user, NONE)[1]

    def differing(self, other: State) -> set[str]:
        """Return the users and logs that are otherwise."""
        names = {*self.rows, *other.rows, *self.sums, *other.sums, *self.nets, *other.nets}
        mine, others = self.of(names), other.of(names)
        return {name for name in names if mine[name] != others[name]}


NOTHING = State({}, {}, {}, {})


def state_of(stage: Stage) -> State:
    """Return what the tables come to. What is no number moves nothing."""
    rows = {item["userId"]["S"]: _row(item) for item in stage.items("credits")}
    sums: dict[str, Decimal] = {}
    nets: dict[str, Decimal] = {}
    held: dict[str, Decimal] = {}
    for item in stage.items("ledger"):
        reference, user, amount = item["reference"]["S"], item.get("userId", {}).get("S", ""), _number(item, "amount")
        sums[user] = sums.get(user, ZERO) + amount
        held[user] = held.get(user, ZERO) + _number(item, "held")
        if not reference.startswith("repair#"):
            nets[reference] = nets.get(reference, ZERO) + amount
            held[reference] = held.get(reference, ZERO) + _number(item, "held")
    return State(rows, sums, nets, held)


def _row(item: Mapping[str, Any]) -> tuple[Decimal, Decimal, Decimal]:
    return _number(item, "posted"), _number(item, "remaining"), _number(item, "held")


def _number(item: Mapping[str, Any], name: str) -> Decimal:
    return Decimal(item.get(name, {}).get("N", "0"))
