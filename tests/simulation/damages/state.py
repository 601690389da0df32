"""What the tables of a stage come to: two of them are compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from tests.simulation.damages.stage import Stage

ZERO = Decimal(0)
NONE = ZERO, ZERO


@frozen
class State:
    """What the tables come to: by user what was posted, what is left, and what the entries add up to; by log what it moves."""

    rows: Mapping[str, tuple[Decimal, Decimal]]
    sums: Mapping[str, Decimal]
    nets: Mapping[str, Decimal]

    def of(self, names: Collection[str]) -> Mapping[str, object]:
        """Return what concerns some users and logs."""
        return {name: self.nets.get(name, ZERO) if "#" in name else self._of_user(name) for name in names}

    def _of_user(self, user: str) -> tuple[Decimal, Decimal, Decimal]:
        return *self.rows.get(user, NONE), self.sums.get(user, ZERO)

    def left(self, user: str) -> Decimal:
        """Return what is left of a user's credits."""
        return self.rows.get(user, NONE)[1]

    def differing(self, other: State) -> set[str]:
        """Return the users and logs that are otherwise."""
        names = {*self.rows, *other.rows, *self.sums, *other.sums, *self.nets, *other.nets}
        mine, others = self.of(names), other.of(names)
        return {name for name in names if mine[name] != others[name]}


NOTHING = State({}, {}, {})


def state_of(stage: Stage) -> State:
    """Return what the tables come to. What is no number moves nothing."""
    rows = {item["userId"]["S"]: (_number(item, "posted"), _number(item, "remaining")) for item in stage.items("credits")}
    sums: dict[str, Decimal] = {}
    nets: dict[str, Decimal] = {}
    for item in stage.items("ledger"):
        reference, user, amount = item["reference"]["S"], item.get("userId", {}).get("S", ""), _number(item, "amount")
        sums[user] = sums.get(user, ZERO) + amount
        if not reference.startswith("repair#"):
            nets[reference] = nets.get(reference, ZERO) + amount
    return State(rows, sums, nets)


def _number(item: Mapping[str, Any], name: str) -> Decimal:
    return Decimal(item.get(name, {}).get("N", "0"))
