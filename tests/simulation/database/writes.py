"""One write: the request read and checked, the condition, and what becomes of the item.

Source: PutItem, UpdateItem, DeleteItem and TransactWriteItems, Amazon DynamoDB API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from tests.simulation.database.capacity import Consumption, index_units, write_units
from tests.simulation.database.errors import ConditionFailed, Invalid, InvalidForItem
from tests.simulation.database.parameters import Expressions, expressions_of
from tests.simulation.database.schema import Key
from tests.simulation.database.tables import Table
from tests.simulation.database.update import Parts, projected, updated
from tests.simulation.database.values import (
    INVALID,
    ITEM_BYTES_MAX,
    ITEM_TOO_LARGE,
    LEVELS_MAX,
    NESTING,
    Item,
    copied,
    item_bytes,
    kept_item,
)

UPDATE_TOO_LARGE = "Item size to update has exceeded the maximum allowed size"

TAKES: Mapping[str, tuple[str, ...]] = {
    "Put": ("ConditionExpression",),
    "Update": ("UpdateExpression", "ConditionExpression"),
    "Delete": ("ConditionExpression",),
    "ConditionCheck": ("ConditionExpression",),
}
"""The expressions that each kind of write takes."""


@frozen(eq=False)
class Write:
    """A write that is well formed. ``kind`` is the transaction's word for it; ``put`` is the item of a Put."""

    kind: str
    table: Table
    key: Key
    expressions: Expressions
    shows_item: bool
    put: Item | None = None

    @property
    def target(self) -> tuple[str, Key]:
        """The item that is written: no two actions of a transaction may have the same."""
        return self.table.schema.name, self.key

    def after(self, before: Item | None) -> Item | None:
        """Return what the write makes of an item, None for nothing. Raises ConditionFailed or InvalidForItem."""
        condition = self.expressions.condition
        if condition is not None and not self.expressions.scope.holds(condition, before or {}):
            raise ConditionFailed(copied(before) if before is not None and self.shows_item else None)
        match self.kind:
            case "Put":
                return self.put
            case "Update":
                return self._updated(before)
            case "Delete":
                return None
            case _:
                return before

    def _updated(self, before: Item | None) -> Item:
        key = self.table.schema.key.as_item(self.key)
        update, scope = self.expressions.update, self.expressions.scope
        after = updated(before or key, update, scope) if update is not None else copied(before or key)
        if item_bytes(after) > ITEM_BYTES_MAX:
            raise InvalidForItem(UPDATE_TOO_LARGE)
        if update is not None and any(len(path.parts) > 1 for path in update.paths()) and _levels(after) > LEVELS_MAX:
            raise InvalidForItem(NESTING)
        for index in self.table.schema.indexes.values():
            index.check_item(after)
        return after

    def consumed(self, before: Item | None, after: Item | None, times: int = 1) -> Consumption:
        """Return what the write takes; within a transaction ``times`` as much of the table."""
        used = Consumption(self.table.schema.name)
        used.add(times * write_units(*(item_bytes(item) if item else 0 for item in (before, after))))
        for index in self.table.schema.indexes.values():
            used.add(index_units(index, before, after), index.name)
        return used

    def returned(self, wanted: str, before: Item | None, after: Item | None) -> dict[str, Any]:
        """Return the part of an answer that shows the item before or after."""
        item = before if wanted.endswith("_OLD") else after
        if wanted == "NONE" or item is None:
            return {}
        shown = projected(item, self._changed()) if wanted.startswith("UPDATED") else copied(item)
        return {"Attributes": shown} if shown else {}

    def _changed(self) -> tuple[Parts, ...]:
        update, scope = self.expressions.update, self.expressions.scope
        return tuple(map(scope.parts, update.paths())) if update is not None else ()


def write_of(kind: str, table: Table, request: Mapping[str, Any]) -> Write:
    """Return the write that a request describes. Raises Invalid or Malformed."""
    expressions = expressions_of(request, *TAKES[kind])
    shows_item = request.get("ReturnValuesOnConditionCheckFailure", "NONE") == "ALL_OLD"
    if kind != "Put":
        key = table.schema.key.given(request["Key"])
        _refuse_changed_key(table, expressions)
        return Write(kind, table, key, expressions, shows_item)
    item = _putable(table, request["Item"])
    key = table.schema.key.of_item(item) or ()
    return Write(kind, table, key, expressions, shows_item, item)


def _putable(table: Table, given: Any) -> Item:
    item = kept_item(given)
    table.schema.key.check_item(item)
    for index in table.schema.indexes.values():
        index.check_item(item)
    if item_bytes(item) > ITEM_BYTES_MAX:
        raise InvalidForItem(ITEM_TOO_LARGE)
    return item


def _refuse_changed_key(table: Table, expressions: Expressions) -> None:
    if expressions.update is None:
        return
    for path in expressions.update.paths():
        if (name := expressions.scope.parts(path)[0]) in table.schema.key.kinds:
            raise Invalid(f"{INVALID}Cannot update attribute {name}. This attribute is part of the key")


def _levels(item: Item) -> int:
    return max((_depth(value) for value in item.values()), default=0)


def _depth(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    inner = content.values() if kind == "M" else content if kind == "L" else ()
    return 1 + max(map(_depth, inner), default=0)
