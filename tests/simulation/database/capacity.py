"""What requests consume, in capacity units.

Source: "DynamoDB read and write operations", "Managing complex workflows with DynamoDB transactions" (two units instead of
one) and "Using Global Secondary Indexes" (what a write costs in an index), Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import Factory, define

from tests.simulation.database.schema import Index
from tests.simulation.database.values import Item, item_bytes

READ_BYTES, WRITE_BYTES = 4096, 1024
TRANSACTIONAL = 2


def read_units(size: int, *, consistent: bool) -> float:
    """Return what a read of so many bytes takes; a read of nothing takes as much as one of little."""
    units = max(1, -(-size // READ_BYTES))
    return float(units) if consistent else units / 2


def write_units(before: int, after: int) -> float:
    """Return what a write takes: the larger of what was and what is there counts."""
    return float(max(1, -(-max(before, after) // WRITE_BYTES)))


def index_units(index: Index, before: Item | None, after: Item | None) -> float:
    """Return what a write takes in an index: nothing where the index shows no change, two writes where its key changes."""
    old, new = (_shown(index, item) for item in (before, after))
    if old == new:
        return 0.0
    sizes = [item_bytes(item) if item else 0 for item in (old, new)]
    if old and new and index.key.of_item(old) != index.key.of_item(new):
        return write_units(sizes[0], 0) + write_units(0, sizes[1])
    return write_units(*sizes)


def _shown(index: Index, item: Item | None) -> Item | None:
    return index.shown(item) if item is not None and index.key.of_item(item) is not None else None


@define
class Consumption:
    """What a request took of one table and its indexes."""

    table: str
    units: float = 0.0
    indexes: dict[str, float] = Factory(dict)

    def add(self, units: float, index: str | None = None) -> None:
        """Count what was read or written."""
        if index is None:
            self.units += units
        elif units:
            self.indexes[index] = self.indexes.get(index, 0.0) + units

    def told(self, wanted: str) -> dict[str, Any]:
        """Return this as the answer has it: TOTAL, or by table and INDEXES."""
        total = {"TableName": self.table, "CapacityUnits": self.units + sum(self.indexes.values())}
        if wanted == "TOTAL":
            return total
        parts = {"GlobalSecondaryIndexes": {name: {"CapacityUnits": units} for name, units in self.indexes.items()}}
        return {**total, "Table": {"CapacityUnits": self.units}, **(parts if self.indexes else {})}


def told(request: Mapping[str, Any], consumed: Iterable[Consumption], *, many: bool = False) -> dict[str, Any]:
    """Return the part of an answer that tells what was consumed: nothing unless the request asks for it."""
    wanted = request.get("ReturnConsumedCapacity", "NONE")
    if wanted == "NONE":
        return {}
    parts = [one.told(wanted) for one in consumed]
    return {"ConsumedCapacity": parts if many else parts[0]}
