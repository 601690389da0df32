"""The database: its tables, its operations, and a count of what AWS would refuse as senseless.

One lock stands around each call. A transaction is prepared under it, and committed under it again: ``between`` runs in the
meantime, so that others can meet a transaction on its way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, define

from tests.simulation.database.capacity import told
from tests.simulation.database.errors import SENSELESS, Invalid, Refused, busy, no_such_table
from tests.simulation.database.reads import Reads
from tests.simulation.database.schema import TableSchema
from tests.simulation.database.shapes import check_shape
from tests.simulation.database.staleness import Fresh, Staleness
from tests.simulation.database.tables import Table
from tests.simulation.database.transactions import Transaction, Transactions
from tests.simulation.database.writes import Write, write_of
from tests.support.canaries import listen

WRITES = frozenset({"PutItem", "UpdateItem", "TransactWriteItems"})
BATCH_WRITES_MAX = 25
OLD_OR_NONE = frozenset({"NONE", "ALL_OLD"})

type Answer = dict[str, Any]


@define(eq=False)
class Database:
    """An in-process DynamoDB that is as strict as the service.

    ``now`` is its clock in seconds. ``staleness`` chooses what eventually consistent reads show, of versions that were
    replaced within ``memory_seconds``. ``validation_errors`` tells each request that the service would refuse whatever the
    tables hold, and each action that an item could not take.
    """

    now: Callable[[], float] = time.time
    staleness: Staleness = Factory(Fresh)
    memory_seconds: float = 1.0
    between: Callable[[], None] | None = None
    validation_errors: list[str] = Factory(list)
    tables: dict[str, Table] = Factory(dict)
    lock: Any = Factory(threading.RLock)
    transactions: Transactions = Factory(lambda self: Transactions(self.table, self._now), takes_self=True)
    reads: Reads = Factory(lambda self: Reads(self.table, self._now, lambda: self.staleness), takes_self=True)

    def _now(self) -> float:
        return self.now()

    def call(self, operation: str, request: Mapping[str, Any]) -> Answer:
        """Answer a request. Raises Refused."""
        if operation in WRITES and "jobs" not in str(request.get("TableName")).lower():
            listen("table", request)
        try:
            return self._answer(operation, request)
        except Refused as refused:
            self._count(operation, refused)
            raise

    def begin(self, request: Mapping[str, Any]) -> Transaction:
        """Prepare a TransactWriteItems, to be committed or abandoned. Raises Refused."""
        try:
            with self.lock:
                check_shape("TransactWriteItems", request)
                return self.transactions.begin(request)
        except Refused as refused:
            self._count("TransactWriteItems", refused)
            raise

    def table(self, name: str) -> Table:
        """Return a table by its name or ARN. Raises Refused where there is none."""
        found = self.tables.get(name) or self.tables.get(name.rsplit("table/", 1)[-1])
        if found is None:
            raise no_such_table(name)
        return found

    def _answer(self, operation: str, request: Mapping[str, Any]) -> Answer:
        if (method := OPERATIONS.get(operation)) is None:
            raise Refused("UnknownOperationException", f"{operation} is not served")
        check_shape(operation, request)
        if operation == "TransactWriteItems":
            return self._transact(request)
        with self.lock:
            return method(self, request)

    def _transact(self, request: Mapping[str, Any]) -> Answer:
        with self.lock:
            transaction = self.transactions.begin(request)
        if self.between is not None:
            self.between()
        with self.lock:
            return transaction.commit()

    def _count(self, operation: str, refused: Refused) -> None:
        if refused.code in SENSELESS:
            self.validation_errors.append(f"{operation}: {refused}")
        for reason in refused.more.get("CancellationReasons", ()):
            if reason["Code"] == "ValidationError":
                self.validation_errors.append(f"{operation}: {reason['Code']}: {reason['Message']}")

    # --- single writes ---

    def put_item(self, request: Mapping[str, Any]) -> Answer:
        """Answer PutItem."""
        return self._single("Put", request, OLD_OR_NONE)

    def update_item(self, request: Mapping[str, Any]) -> Answer:
        """Answer UpdateItem."""
        return self._single("Update", request, None)

    def delete_item(self, request: Mapping[str, Any]) -> Answer:
        """Answer DeleteItem."""
        return self._single("Delete", request, OLD_OR_NONE)

    def _single(self, kind: str, request: Mapping[str, Any], allowed: frozenset[str] | None) -> Answer:
        wanted = request.get("ReturnValues", "NONE")
        if allowed is not None and wanted not in allowed:
            raise Invalid("ReturnValues can only be ALL_OLD or NONE")
        write = write_of(kind, self.table(request["TableName"]), request)
        before = write.table.slot(write.key).item
        after = self._written(write)
        return {**write.returned(wanted, before, after), **told(request, [write.consumed(before, after)])}

    def _written(self, write: Write) -> Any:
        slot = write.table.slot(write.key)
        if slot.holder is not None:
            raise busy()
        after = write.after(slot.item)
        if after is not None or slot.item is not None:
            write.table.write(write.key, after, self.now())
        return after

    def batch_write_item(self, request: Mapping[str, Any]) -> Answer:
        """Answer BatchWriteItem: each write by itself; what meets a transaction stays unprocessed."""
        wanted = [(name, each) for name, some in request["RequestItems"].items() for each in some]
        if len(wanted) > BATCH_WRITES_MAX:
            raise Invalid("Too many items requested for the BatchWriteItem call")
        writes = [(name, each, self._batched(name, each)) for name, each in wanted]
        if len({write.target for _, _, write in writes}) < len(writes):
            raise Invalid("Provided list of item keys contains duplicates")
        left: dict[str, list[Any]] = {}
        used = []
        for name, each, write in writes:
            slot = write.table.slot(write.key)
            if slot.holder is not None:
                left.setdefault(name, []).append(each)
                continue
            before = slot.item
            used.append(write.consumed(before, self._written(write)))
        return {"UnprocessedItems": left, **told(request, used, many=True)}

    def _batched(self, name: str, each: Mapping[str, Any]) -> Write:
        if len(each) != 1:
            raise Invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported")
        ((kind, said),) = each.items()
        return write_of("Put" if kind == "PutRequest" else "Delete", self.table(name), said)

    # --- tables ---

    def create_table(self, request: Mapping[str, Any]) -> Answer:
        """Answer CreateTable: the table can be used at once."""
        if request["TableName"] in self.tables:
            raise Refused("ResourceInUseException", f"Table already exists: {request['TableName']}")
        table = Table(TableSchema.of(request), self.memory_seconds)
        self.tables[request["TableName"]] = table
        return {"TableDescription": table.description()}

    def delete_table(self, request: Mapping[str, Any]) -> Answer:
        """Answer DeleteTable."""
        table = self.table(request["TableName"])
        del self.tables[table.schema.name]
        return {"TableDescription": {**table.description(), "TableStatus": "DELETING"}}

    def describe_table(self, request: Mapping[str, Any]) -> Answer:
        """Answer DescribeTable."""
        return {"Table": self.table(request["TableName"]).description()}

    def list_tables(self, request: Mapping[str, Any]) -> Answer:
        """Answer ListTables, all names in one page."""
        names = sorted(self.tables)
        start = request.get("ExclusiveStartTableName")
        return {"TableNames": [name for name in names if start is None or name > start]}


OPERATIONS: Mapping[str, Callable[[Database, Mapping[str, Any]], Answer]] = {
    "GetItem": lambda database, request: database.reads.get_item(request),
    "BatchGetItem": lambda database, request: database.reads.batch_get_item(request),
    "TransactGetItems": lambda database, request: database.reads.transact_get_items(request),
    "Query": lambda database, request: database.reads.query(request),
    "Scan": lambda database, request: database.reads.scan(request),
    "PutItem": Database.put_item,
    "UpdateItem": Database.update_item,
    "DeleteItem": Database.delete_item,
    "BatchWriteItem": Database.batch_write_item,
    "TransactWriteItems": Database._transact,  # noqa: SLF001  it takes the lock itself, twice
    "CreateTable": Database.create_table,
    "DeleteTable": Database.delete_table,
    "DescribeTable": Database.describe_table,
    "ListTables": Database.list_tables,
}
"""What is served: the data plane, and as much of the control plane as tests need."""
