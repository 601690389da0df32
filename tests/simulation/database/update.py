"""What an update makes of an item, and what a projection shows of one.

Source: "Update expressions" and "Projection expressions", Amazon DynamoDB Developer Guide. Every operand is what the item said
before the update.
"""

from __future__ import annotations

from typing import Any

from tests.simulation.database.changes import Arithmetic, Function, Update
from tests.simulation.database.digits import number_of, summed
from tests.simulation.database.errors import InvalidForItem
from tests.simulation.database.evaluate import Scope, at, inner
from tests.simulation.database.syntax import Path, Value
from tests.simulation.database.values import SETS, Item, copied, copied_value

NO_SUCH_ATTRIBUTE = "The provided expression refers to an attribute that does not exist in the item"
WRONG_KIND = "An operand in the update expression has an incorrect data type"
WRONG_PATH = "The document path provided in the update expression is invalid for update"

type Parts = tuple[str | int, ...]


def updated(item: Item, update: Update, scope: Scope) -> Item:
    """Return what an update makes of an item. Raises InvalidForItem."""
    after: Item = copied(item)
    assigned = [(scope.parts(path), _worth(value, item, scope)) for path, value in update.assigned]
    for parts, value in sorted(assigned, key=lambda each: _indexes(each[0])):
        _put(after, parts, value)
    for path, place in update.added:
        _put(after, scope.parts(path), _added(at(item, scope.parts(path)), scope.values[place.place]))
    for path, place in update.deleted:
        _delete(after, scope.parts(path), scope.values[place.place])
    for parts in sorted(map(scope.parts, update.removed), key=_indexes, reverse=True):
        _remove(after, parts)
    return after


def _indexes(parts: Parts) -> list[int]:
    """Elements of a list are set from its beginning, and removed from its end."""
    return [part for part in parts if isinstance(part, int)]


# --- what is assigned ---


def _worth(assigned: Any, item: Item, scope: Scope) -> dict[str, Any]:
    match assigned:
        case Value(place):
            value: dict[str, Any] = copied_value(scope.values[place])
            return value
        case Path():
            return _there(assigned, item, scope)
        case Arithmetic(operator, left, right):
            one, other = (_number(_worth(operand, item, scope)) for operand in (left, right))
            return {"N": summed(one, other, 1 if operator == "+" else -1)}
        case Function("if_not_exists", Path() as path, second):
            found = at(item, scope.parts(path))
            return copied_value(found) if found is not None else _worth(second, item, scope)
        case _:
            return {"L": _list(assigned.first, item, scope) + _list(assigned.second, item, scope)}


def _there(path: Path, item: Item, scope: Scope) -> dict[str, Any]:
    found = at(item, scope.parts(path))
    if found is None:
        raise InvalidForItem(NO_SUCH_ATTRIBUTE)
    return copied_value(found)


def _number(value: dict[str, Any]) -> str:
    if "N" not in value:
        raise InvalidForItem(WRONG_KIND)
    return str(value["N"])


def _list(operand: Any, item: Item, scope: Scope) -> list[Any]:
    value = _worth(operand, item, scope)
    if "L" not in value:
        raise InvalidForItem(WRONG_KIND)
    return list(value["L"])


def _added(found: Any, value: dict[str, Any]) -> dict[str, Any]:
    """Return the sum of two numbers, or the union of two sets; what is not there yet is nothing."""
    if found is None:
        return copied_value(value)
    if found.keys() != value.keys():
        raise InvalidForItem(WRONG_KIND)
    ((kind, content),) = value.items()
    if kind == "N":
        return {"N": summed(found["N"], content)}
    return {kind: _in_order(kind, {*found[kind], *content})}


def _in_order(kind: str, members: set[str]) -> list[str]:
    return sorted(members, key=number_of if kind == "NS" else str)


# --- where it goes ---


def _parent(item: Item, parts: Parts) -> dict[str, Any] | None:
    """Return the map or list that holds the end of a path; None where that is the item itself."""
    if len(parts) == 1:
        return None
    found = at(item, parts[:-1])
    if found is None or ("L" if isinstance(parts[-1], int) else "M") not in found:
        raise InvalidForItem(WRONG_PATH)
    return found


def _put(item: Item, parts: Parts, value: dict[str, Any]) -> None:
    parent, last = _parent(item, parts), parts[-1]
    if isinstance(last, str):
        (item if parent is None else parent["M"])[last] = value
    elif parent is not None:
        elements = parent["L"]
        elements[last : last + 1] = [value]  # behind the end it is appended


def _remove(item: Item, parts: Parts) -> None:
    parent, last = _parent(item, parts), parts[-1]
    if isinstance(last, str):
        (item if parent is None else parent["M"]).pop(last, None)
    elif parent is not None:
        del parent["L"][last : last + 1]


def _delete(item: Item, parts: Parts, value: dict[str, Any]) -> None:
    """Take members out of a set; a set without members is gone."""
    found = at(item, parts)
    if found is None:
        _parent(item, parts)
        return
    ((kind, members),) = value.items()
    if found.keys() != value.keys() or kind not in SETS:
        raise InvalidForItem(WRONG_KIND)
    if left := [member for member in found[kind] if member not in members]:
        _put(item, parts, {kind: left})
    else:
        _remove(item, parts)


# --- projections ---


def projected(item: Item, paths: tuple[Parts, ...]) -> Item:
    """Return what stands at some paths of an item; elements of a list move together."""
    if all(len(path) == 1 for path in paths):
        return {path[0]: copied_value(item[path[0]]) for path in paths if path[0] in item}
    tree: dict[str | int, Any] = {}
    for path in paths:
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
    shown = {name: _shown(item.get(str(name)), inner) for name, inner in tree.items()}
    return {str(name): value for name, value in shown.items() if value is not None}


def _shown(value: Any, tree: dict[str | int, Any]) -> Any:
    """Return what a tree of paths shows of a value, or None for nothing."""
    if value is None or not tree:
        return copied_value(value) if value is not None else None
    parts = sorted(tree, key=lambda part: (isinstance(part, str), part))
    shown = {part: _shown(inner(value, part), tree[part]) for part in parts}
    there = {part: one for part, one in shown.items() if one is not None}
    if not there:
        return None
    return {"L": list(there.values())} if "L" in value else {"M": there}
