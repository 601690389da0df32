"""Reads: one item, many by their keys, the items of a partition in order, and all of a table in pages.

Source: GetItem, BatchGetItem, Query and Scan, Amazon DynamoDB API Reference; "Paginating table query results" and "DynamoDB
read consistency", Developer Guide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import Factory, define, frozen

from tests.simulation.database.capacity import TRANSACTIONAL, Consumption, read_units, told
from tests.simulation.database.errors import Invalid, cancelled
from tests.simulation.database.parameters import Expressions, expressions_of
from tests.simulation.database.ranges import Range, range_of, refuse_filter_on_key
from tests.simulation.database.schema import Index, Key, KeySchema
from tests.simulation.database.staleness import Staleness
from tests.simulation.database.tables import Table, hash_of, ordering
from tests.simulation.database.update import projected
from tests.simulation.database.values import Item, copied, copied_value

PAGE_BYTES_MAX = 1024 * 1024
BATCH_BYTES_MAX = 16 * 1024 * 1024
KEYS_MAX = 100

SEGMENT_ALONE = "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"
SEGMENTS_ALONE = "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"
DUPLICATES = "Provided list of item keys contains duplicates"
BAD_START = "The provided starting key is invalid"


@frozen(eq=False)
class Reads:
    """The reads of a database."""

    table: Callable[[str], Table]
    now: Callable[[], float]
    staleness: Callable[[], Staleness]

    # --- by key ---

    def get_item(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer GetItem: without ``Item`` where there is none."""
        table = self.table(request["TableName"])
        expressions = expressions_of(request, "ProjectionExpression")
        item = self._item(table, table.schema.key.given(request["Key"]), request)
        used = Consumption(table.schema.name)
        used.add(_units(table, item, request))
        return {**({"Item": shown(item, expressions)} if item is not None else {}), **told(request, [used])}

    def batch_get_item(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer BatchGetItem: in no particular order; what is more than 16 MB stays unprocessed."""
        if sum(len(wanted["Keys"]) for wanted in request["RequestItems"].values()) > KEYS_MAX:
            raise Invalid("Too many items requested for the BatchGetItem call")
        batch = _Batch(BATCH_BYTES_MAX)
        parts = [self._keys(name, wanted) for name, wanted in request["RequestItems"].items()]
        for (name, wanted), (table, keys, expressions) in zip(request["RequestItems"].items(), parts, strict=True):
            batch.begin(name, table)
            for key in keys:
                item = self._item(table, key, wanted)
                batch.take(table.schema.key.as_item(key), item, wanted, expressions)
        return batch.answer(request)

    def _keys(self, name: str, wanted: Mapping[str, Any]) -> tuple[Table, list[Key], Expressions]:
        table = self.table(name)
        keys = [table.schema.key.given(key) for key in wanted["Keys"]]
        if len(set(keys)) < len(keys):
            raise Invalid(DUPLICATES)
        return table, sorted(keys, key=table.place), expressions_of(wanted, "ProjectionExpression")

    def transact_get_items(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer TransactGetItems: the items in the order asked for, as of one moment."""
        gets = [(self.table(each["Get"]["TableName"]), each["Get"]) for each in request["TransactItems"]]
        keys = [table.schema.key.given(get["Key"]) for table, get in gets]
        wanted = [expressions_of(get, "ProjectionExpression") for _, get in gets]
        slots = [table.slot(key) for (table, _), key in zip(gets, keys, strict=True)]
        if any(slot.holder is not None for slot in slots):
            conflict = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
            raise cancelled([conflict if slot.holder is not None else {"Code": "None"} for slot in slots])
        used: dict[str, Consumption] = {}
        for (table, _), slot in zip(gets, slots, strict=True):
            name = table.schema.name
            used.setdefault(name, Consumption(name)).add(TRANSACTIONAL * read_units(slot.size, consistent=True))
        items = [slot.item for slot in slots]
        responses = [{"Item": shown(item, one)} if item else {} for item, one in zip(items, wanted, strict=True)]
        return {"Responses": responses, **told(request, used.values(), many=True)}

    def _item(self, table: Table, key: Key, request: Mapping[str, Any], index: Index | None = None) -> Item | None:
        """Return the version of an item that a read sees."""
        slot = table.slot(key)
        if request.get("ConsistentRead"):
            return slot.item
        versions = table.seen(slot, self.now())
        back = self.staleness().back(table.schema.name, index.name if index else None, len(versions)) if versions else 0
        return versions[-1 - back].item if versions else None

    # --- by condition ---

    def query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer Query: a page of the items of one partition, of a table or an index."""
        table = self.table(request["TableName"])
        index = _index(table, request)
        schema = index.key if index else table.schema.key
        expressions = expressions_of(request, "KeyConditionExpression", "FilterExpression", "ProjectionExpression")
        wanted = range_of(expressions, schema)
        refuse_filter_on_key(expressions, schema)
        found = self._of_partition(table, index, wanted, request)
        if not request.get("ScanIndexForward", True):
            found.reverse()
        start = _start(table, index, request)
        if start is not None:
            if (schema.of_item(start) or ("",))[0] != wanted.part:
                raise Invalid("The provided starting key is outside query boundaries based on provided conditions")
            begin = _place(table, index, start)
            forward = request.get("ScanIndexForward", True)
            found = [each for each in found if (each[0] > begin if forward else each[0] < begin)]
        return _Page(table, index, request, expressions).answer(item for _, item in found)

    def _of_partition(
        self, table: Table, index: Index | None, wanted: Range, request: Mapping[str, Any]
    ) -> list[tuple[Any, Item]]:
        keys = table.indexed(index, wanted.part) if index else table.partition(wanted.part)
        seen = (self._item(table, key, request, index) for key in keys)
        items = [index.shown(item) if index else item for item in seen if item is not None]
        return sorted(
            ((_place(table, index, item), item) for item in items if _is_in(index, item, wanted) and wanted.takes(item)),
            key=lambda each: each[0],
        )

    def scan(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer Scan: a page of a table, of an index, or of one segment."""
        table = self.table(request["TableName"])
        index = _index(table, request)
        segment, segments = _segment(request)
        expressions = expressions_of(request, "FilterExpression", "ProjectionExpression")
        start = _start(table, index, request)
        if start is not None and not _within(hash_of(_part(table, index, start)), segment, segments):
            said = "Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment."
            raise Invalid(f"{BAD_START}: {said} TotalSegments: {segments} Segment: {segment}")
        page = _Page(table, index, request, expressions)
        if index is not None:
            return page.answer(self._indexed(table, index, request, start))
        after = table.schema.key.of_item(start) if start is not None else None
        seen = (self._item(table, key, request) for key in table.segment(segment, segments, after))
        return page.answer(item for item in seen if item is not None)

    def _indexed(self, table: Table, index: Index, request: Mapping[str, Any], start: Item | None) -> Iterator[Item]:
        """Yield what an index shows, in order, behind a start."""
        keys = dict.fromkeys(key for (name, _), noted in table.by_index.items() if name == index.name for key in noted)
        seen = (self._item(table, key, request, index) for key in keys)
        items = [index.shown(item) for item in seen if item is not None and index.key.of_item(item) is not None]
        begin = None if start is None else (hash_of(_part(table, index, start)), _place(table, index, start))
        placed = [((hash_of(_part(table, index, item)), _place(table, index, item)), item) for item in items]
        for place, item in sorted(placed, key=lambda each: each[0]):
            if _within(place[0], *_segment(request)) and (begin is None or place > begin):
                yield item


def shown(item: Item, expressions: Expressions) -> Item:
    """Return of an item what a request asks for, a copy."""
    return copied(item) if expressions.projection is None else projected(item, expressions.projection)


def _units(table: Table, item: Item | None, request: Mapping[str, Any]) -> float:
    return read_units(table.size_of(item) if item else 0, consistent=bool(request.get("ConsistentRead")))


# --- where items lie ---


def _index(table: Table, request: Mapping[str, Any]) -> Index | None:
    if (name := request.get("IndexName")) is None:
        return None
    if name not in table.schema.indexes:
        raise Invalid(f"The table does not have the specified index: {name}")
    if request.get("ConsistentRead"):
        raise Invalid("Consistent reads are not supported on global secondary indexes")
    index = table.schema.indexes[name]
    if request.get("Select") == "ALL_ATTRIBUTES" and index.shows is not None:
        raise Invalid(f"Select type ALL_ATTRIBUTES is not supported for global secondary index {name}")
    return index


def _part(table: Table, index: Index | None, item: Item) -> str:
    key = (index.key if index else table.schema.key).of_item(item)
    return key[0] if key else ""


def _place(table: Table, index: Index | None, item: Item) -> Any:
    """Return what orders an item within its partition: the sort key, and in an index the table's key behind it."""
    schema = index.key if index else table.schema.key
    sort = _sorted_by(schema, item)
    return (sort, table.place(table.schema.key.of_item(item) or ())) if index else sort


def _sorted_by(schema: KeySchema, item: Item) -> Any:
    key = schema.of_item(item)
    kinds = list(schema.kinds.values())
    return ordering(kinds[1], key[1]) if key is not None and len(kinds) > 1 else ""


def _is_in(index: Index | None, item: Item, wanted: Range) -> bool:
    if index is None:
        return True
    key = index.key.of_item(item)
    return key is not None and key[0] == wanted.part


def _segment(request: Mapping[str, Any]) -> tuple[int, int]:
    segment, segments = request.get("Segment"), request.get("TotalSegments")
    if segments is None:
        if segment is not None:
            raise Invalid(SEGMENT_ALONE)
        return 0, 1
    if segment is None:
        raise Invalid(SEGMENTS_ALONE)
    if segment >= segments:
        said = "The Segment parameter is zero-based and must be less than parameter TotalSegments"
        raise Invalid(f"{said}: Segment: {segment} is not less than TotalSegments: {segments}")
    return segment, segments


def _within(number: int, segment: int, segments: int) -> bool:
    return (number * segments) >> 64 == segment


def _start(table: Table, index: Index | None, request: Mapping[str, Any]) -> Item | None:
    """Return the key behind which a page begins: the table's, and of an index the index's too."""
    if (given := request.get("ExclusiveStartKey")) is None:
        return None
    schema = KeySchema({**table.schema.key.kinds, **(index.key.kinds if index else {})})
    try:
        return schema.as_item(schema.given(given))
    except Invalid as error:
        raise Invalid(f"{BAD_START}: {error.message}") from error


# --- pages ---


@define(eq=False)
class _Page:
    """A page of a query or a scan: at most 1 MB of what is read, before the filter; and at most ``Limit`` items."""

    table: Table
    index: Index | None
    request: Mapping[str, Any]
    expressions: Expressions

    def __attrs_post_init__(self) -> None:
        select, projection = self.request.get("Select"), self.expressions.projection
        if projection is not None and select not in {None, "SPECIFIC_ATTRIBUTES"}:
            raise Invalid(f"Cannot specify the ProjectionExpression when choosing to get {select}")
        if projection is None and select == "SPECIFIC_ATTRIBUTES":
            said = "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
            raise Invalid(said)
        if select == "ALL_PROJECTED_ATTRIBUTES" and self.index is None:
            raise Invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")

    def answer(self, items: Iterable[Item]) -> dict[str, Any]:
        """Return the answer with as many of the items, and of their keys the last where some may be left."""
        page, size, is_whole = self._cut(items)
        condition = self.expressions.filter
        taken = [item for item in page if condition is None or self.expressions.scope.holds(condition, item)]
        is_count = self.request.get("Select") == "COUNT"
        used = Consumption(self.table.schema.name)
        units = read_units(size, consistent=bool(self.request.get("ConsistentRead")))
        used.add(units, self.index.name if self.index else None)
        return {
            **({} if is_count else {"Items": [shown(item, self.expressions) for item in taken]}),
            "Count": len(taken),
            "ScannedCount": len(page),
            **({} if is_whole else {"LastEvaluatedKey": self._key(page[-1])}),
            **told(self.request, [used]),
        }

    def _cut(self, items: Iterable[Item]) -> tuple[list[Item], int, bool]:
        """Return the items of the page, their size, and whether that is all. A page that is full says that more may come."""
        page: list[Item] = []
        size, limit = 0, self.request.get("Limit")
        for item in items:
            bytes_of_item = self.table.size_of(item)
            if page and size + bytes_of_item > PAGE_BYTES_MAX:
                return page, size, False
            page.append(item)
            size += bytes_of_item
            if len(page) == limit:
                return page, size, False
        return page, size, True

    def _key(self, item: Item) -> Item:
        names = {*self.table.schema.key.names, *(self.index.key.names if self.index else ())}
        return {name: copied_value(item[name]) for name in item if name in names}


@define(eq=False)
class _Batch:
    """The answer to a BatchGetItem as it grows."""

    left: int
    responses: dict[str, list[Item]] = Factory(dict)
    unprocessed: dict[str, dict[str, Any]] = Factory(dict)
    used: dict[str, Consumption] = Factory(dict)
    _name: str = ""
    _table: Table | None = None

    def begin(self, name: str, table: Table) -> None:
        """Go on with another table."""
        self._name, self._table = name, table
        self.responses[name] = []
        self.used[name] = Consumption(table.schema.name)

    def take(self, key: Item, item: Item | None, wanted: Mapping[str, Any], expressions: Expressions) -> None:
        """Take an item that was found, or leave its key over."""
        assert self._table is not None  # begin() was called
        size = self._table.size_of(item) if item else 0
        if size > self.left:
            rest = {name: value for name, value in wanted.items() if name != "Keys"}
            self.unprocessed.setdefault(self._name, {**rest, "Keys": []})["Keys"].append(key)
            return
        self.left -= size
        self.used[self._name].add(_units(self._table, item, wanted))
        if item is not None:
            self.responses[self._name].append(shown(item, expressions))

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer."""
        consumed = told(request, self.used.values(), many=True)
        return {"Responses": self.responses, "UnprocessedKeys": self.unprocessed, **consumed}
