"""``low_balance``: when the event bus is told that a user has few credits left, and when that the user has enough again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.policy.grammar import WRONG, Key, Keys
from engine.policy.model import LowBalanceBounds
from engine.policy.price_rows import AMOUNT
from engine.policy.source import Members, Notes


def _check_bounds(values: Mapping[str, Any], node: Members, notes: Notes) -> None:
    """A balance that is low cannot have recovered."""
    below, recovered, place = values.get("below", WRONG), values["recovered"], node.get("recovered")
    is_said = place is not None and not any(bound is None or bound is WRONG for bound in (below, recovered))
    if is_said and place is not None and recovered < below:
        notes.mistake(place.place, f"`recovered` is {recovered:f}; write {below:f}, which is `below`, or more")


def _bounds(values: Mapping[str, Any], _node: Members, _notes: Notes) -> LowBalanceBounds:
    below, recovered = values["below"], values["recovered"]
    return LowBalanceBounds(below, below if recovered is None else recovered)


LOW_BALANCE = Keys({"below": Key(AMOUNT), "recovered": Key(AMOUNT, None)}, _bounds, _check_bounds)
