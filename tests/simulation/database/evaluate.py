"""What conditions are of an item, and what stands at a path of it.

Source: "Condition and filter expressions, operators, and functions", Amazon DynamoDB Developer Guide. What is not there equals
nothing, so that every comparison with it is false, and ``<>`` alone is true.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from tests.simulation.database.conditions import Between, Call, Comparison, Condition, In, Junction, Not, Operand, Size
from tests.simulation.database.syntax import Path, Value
from tests.simulation.database.values import SETS, Item, ordered

Found = Mapping[str, Any] | None
"""An attribute value, or None where nothing stands."""


@frozen
class Scope:
    """What the places of a request's expressions stand for."""

    names: Mapping[str, str]
    values: Mapping[str, dict[str, Any]]

    def parts(self, path: Path) -> tuple[str | int, ...]:
        """Return a path with the names that its places stand for."""
        return tuple(self.names[part] if part.__class__ is str and part[0] == "#" else part for part in path.parts)

    def holds(self, condition: Condition, item: Item) -> bool:
        """Say whether a condition holds of an item (empty where there is none)."""
        return HOLDS[condition.__class__](self, condition, item)

    def found(self, operand: Operand, item: Item) -> Found:
        """Return what an operand is of an item."""
        if operand.__class__ is Value:
            return self.values[operand.place]
        if operand.__class__ is Size:
            return _size(self.found(operand.of, item))
        return at(item, self.parts(operand))


def at(item: Item, parts: tuple[str | int, ...]) -> Found:
    """Return what stands at a path of an item."""
    found: Any = item.get(parts[0])
    for part in parts[1:]:
        if found is None:
            return None
        found = inner(found, part)
    return found


def inner(value: Mapping[str, Any], part: str | int) -> Found:
    """Return what stands within a map under a name, or within a list at an index."""
    if isinstance(part, str):
        return value["M"].get(part) if "M" in value else None
    return value["L"][part] if "L" in value and part < len(value["L"]) else None


def _size(value: Found) -> Found:
    if value is None:
        return None
    ((kind, content),) = value.items()
    if kind == "B":
        return {"N": str(len(base64.b64decode(content)))}
    if kind == "S":
        return {"N": str(len(content.encode("utf-16-le")) // 2)}  # as the service's own language counts
    return None if kind in {"N", "BOOL", "NULL"} else {"N": str(len(content))}


# --- conditions ---


def _comparison(scope: Scope, condition: Comparison, item: Item) -> bool:
    left, right = scope.found(condition.left, item), scope.found(condition.right, item)
    if condition.operator == "=":
        return left is not None and left == right
    if condition.operator == "<>":
        return left is None or left != right
    return is_in_order(left, condition.operator, right)


def is_in_order(left: Found, operator: str, right: Found) -> bool:
    """Say whether two values of one kind stand in an order. Values of two kinds have none."""
    if left is None or right is None:
        return False
    one, other = ordered(left), ordered(right)
    if one is None or other is None or one[0] != other[0]:
        return False
    return ORDERS[operator](one[1], other[1])


ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


def _between(scope: Scope, condition: Between, item: Item) -> bool:
    operand = scope.found(condition.operand, item)
    low, high = scope.found(condition.low, item), scope.found(condition.high, item)
    return is_in_order(operand, ">=", low) and is_in_order(operand, "<=", high)


def _in(scope: Scope, condition: In, item: Item) -> bool:
    operand = scope.found(condition.operand, item)
    return operand is not None and any(operand == scope.found(option, item) for option in condition.options)


def _call(scope: Scope, condition: Call, item: Item) -> bool:
    found = [scope.found(operand, item) for operand in condition.operands]
    return CALLS[condition.name](*found)


def _is_of_kind(value: Found, kind: Found) -> bool:
    return value is not None and kind is not None and kind.get("S") in value


def _begins_with(value: Found, beginning: Found) -> bool:
    if value is None or beginning is None or value.keys() != beginning.keys():
        return False
    if "S" in value:
        return str(value["S"]).startswith(beginning["S"])
    return "B" in value and base64.b64decode(value["B"]).startswith(base64.b64decode(beginning["B"]))


def _contains(value: Found, part: Found) -> bool:
    if value is None or part is None:
        return False
    ((kind, content),), ((part_kind, part_content),) = value.items(), part.items()
    if kind == "L":
        return part in content
    if kind in SETS:
        return part_kind == SETS[kind] and part_content in content
    if kind != part_kind or kind not in {"S", "B"}:
        return False
    return part_content in content if kind == "S" else base64.b64decode(part_content) in base64.b64decode(content)


CALLS: Mapping[str, Callable[..., bool]] = {
    "attribute_exists": lambda value: value is not None,
    "attribute_not_exists": lambda value: value is None,
    "attribute_type": _is_of_kind,
    "begins_with": _begins_with,
    "contains": _contains,
}


def _junction(scope: Scope, condition: Junction, item: Item) -> bool:
    held = (scope.holds(one, item) for one in condition.conditions)
    return all(held) if condition.word == "AND" else any(held)


HOLDS: Mapping[type, Callable[[Scope, Any, Item], bool]] = {
    Comparison: _comparison,
    Between: _between,
    In: _in,
    Call: _call,
    Not: lambda scope, condition, item: not scope.holds(condition.condition, item),
    Junction: _junction,
}
