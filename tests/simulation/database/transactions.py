"""Transactions: prepared, then committed, so that whoever simulates can let others work between the two.

Source: TransactWriteItems, TransactGetItems and "Managing complex workflows with DynamoDB transactions" (idempotency,
conflicts), Amazon DynamoDB API Reference and Developer Guide.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from attrs import Factory, define, frozen

from tests.simulation.database.capacity import TRANSACTIONAL, Consumption, read_units, told
from tests.simulation.database.errors import ConditionFailed, Invalid, InvalidForItem, Refused, cancelled
from tests.simulation.database.tables import Table
from tests.simulation.database.values import Item, item_bytes
from tests.simulation.database.writes import Write, write_of

BYTES_MAX = 4 * 1024 * 1024
TOKEN_SECONDS = 600.0

NO_REASON: Mapping[str, Any] = {"Code": "None"}
TWICE = "Transaction request cannot include multiple operations on one item"
TOO_LARGE = "Transaction request exceeds the 4 MB that the items of a transaction may have together"
MISMATCH = "The request has other parameters than the one that used its ClientRequestToken before"
UNDER_WAY = "Another transaction with the given ClientRequestToken is in progress"


@frozen(eq=False)
class Change:
    """A write with what stood there when it was prepared and what will."""

    write: Write
    before: Item | None
    after: Item | None


@define(eq=False)
class Transaction:
    """A transaction that is prepared: its conditions hold, and nobody else can write its items until it ends."""

    database: Transactions
    request: Mapping[str, Any]
    changes: list[Change]
    is_repeated: bool = False
    has_ended: bool = False

    def commit(self) -> dict[str, Any]:
        """Let all of it be done, and return the answer."""
        now = self.database.now()
        if not self.has_ended and not self.is_repeated:
            for change in self.changes:
                if change.write.kind != "ConditionCheck":
                    change.write.table.write(change.write.key, change.after, now)
        self._end()
        self.database.finish(self.request, now)
        return told(self.request, self._consumed(), many=True)

    def abandon(self) -> None:
        """Let nothing of it be done, as if it had never come."""
        self._end()
        self.database.forget(self.request)

    def _end(self) -> None:
        if not self.has_ended and not self.is_repeated:
            for change in self.changes:
                change.write.table.release(change.write.key)
        self.has_ended = True

    def _consumed(self) -> list[Consumption]:
        """Return what it took by table: of one that is repeated, what reading its items takes."""
        used: dict[str, Consumption] = {}
        for change in self.changes:
            write = change.write
            name = write.table.schema.name
            whole = used.setdefault(name, Consumption(name))
            if self.is_repeated:
                size = item_bytes(change.before) if change.before else 0
                whole.add(TRANSACTIONAL * read_units(size, consistent=True))
                continue
            one = write.consumed(change.before, change.after, TRANSACTIONAL)
            whole.add(one.units)
            for index, units in one.indexes.items():
                whole.add(units, index)
        return [used[name] for name in sorted(used)]


@define(eq=False)
class Transactions:
    """The transactions of a database, and the tokens that they came with."""

    table: Callable[[str], Table]
    now: Callable[[], float]
    tokens: dict[str, tuple[str, float | None]] = Factory(dict)
    """The digest of each token's request, and when it was done (None: it is under way)."""

    def begin(self, request: Mapping[str, Any]) -> Transaction:
        """Prepare a transaction, or find it done.

        Raises Refused: for what is wrong, for a token that is taken, or with a reason for each action.
        """
        writes = self._writes(request)
        if self._is_done(request):
            stand = [_as_it_stands(write) for write in writes if isinstance(write, Write)]
            return Transaction(self, request, stand, is_repeated=True)
        changes = self._prepared(writes)
        transaction = Transaction(self, request, changes)
        for change in changes:
            change.write.table.hold(change.write.key, transaction)
        if (token := request.get("ClientRequestToken")) is not None:
            self.tokens[token] = (_digest(request), None)
        return transaction

    def finish(self, request: Mapping[str, Any], now: float) -> None:
        """Remember for ten minutes that a token's request was done."""
        token = request.get("ClientRequestToken")
        if token is not None and self.tokens[token][1] is None:
            self.tokens[token] = (_digest(request), now)

    def forget(self, request: Mapping[str, Any]) -> None:
        """Forget a token whose request was not done."""
        self.tokens.pop(request.get("ClientRequestToken", ""), None)

    def _writes(self, request: Mapping[str, Any]) -> list[Write | InvalidForItem]:
        """Return the writes, and in the place of one whose item or key is wrong what is wrong. Raises Invalid."""
        writes: list[Write | InvalidForItem] = []
        for action in request["TransactItems"]:
            if len(action) != 1:
                raise Invalid("TransactItems can only contain one of Check, Put, Update or Delete")
            ((kind, said),) = action.items()
            try:
                writes.append(write_of(kind, self.table(said["TableName"]), said))
            except InvalidForItem as invalid:
                writes.append(invalid)
        targets = [write.target for write in writes if isinstance(write, Write)]
        if len(set(targets)) < len(targets):
            raise Invalid(TWICE)
        return writes

    def _is_done(self, request: Mapping[str, Any]) -> bool:
        """Say whether a token's request was done within ten minutes. Raises Refused for another one with the same token."""
        end = self.now() - TOKEN_SECONDS
        self._forget_old(end)
        token = request.get("ClientRequestToken")
        digest, done = self.tokens.get(token, ("", end))
        if done is not None and done <= end:
            return False
        if digest != _digest(request):
            raise Refused("IdempotentParameterMismatchException", MISMATCH)
        if done is None:
            raise Refused("TransactionInProgressException", UNDER_WAY)
        return True

    def _forget_old(self, end: float) -> None:
        """Forget a token or two: they lie in the order of their beginning, and each request brings one."""
        for token, (_, done) in tuple(islice(self.tokens.items(), 2)):
            if done is not None and done <= end:
                del self.tokens[token]

    def _prepared(self, writes: list[Write | InvalidForItem]) -> list[Change]:
        changes, reasons = [], []
        for write in writes:
            if isinstance(write, InvalidForItem):
                reasons.append({"Code": "ValidationError", "Message": write.message})
                continue
            change, reason = _prepare(write)
            changes.append(change)
            reasons.append(reason)
        if sum(map(_bytes, changes)) > BYTES_MAX:
            raise Invalid(TOO_LARGE)
        if any(reason["Code"] != "None" for reason in reasons):
            raise cancelled(reasons)
        return changes


def _prepare(write: Write) -> tuple[Change, dict[str, Any]]:
    """Return what a write would do, and the reason why it cannot."""
    slot = write.table.slot(write.key)
    before = slot.item
    if slot.holder is not None:
        return Change(write, before, None), {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    try:
        return Change(write, before, write.after(before)), dict(NO_REASON)
    except ConditionFailed as failed:
        reason = {"Code": "ConditionalCheckFailed", "Message": failed.message, **failed.more}
        return Change(write, before, None), reason
    except InvalidForItem as invalid:
        return Change(write, before, None), {"Code": "ValidationError", "Message": invalid.message}


def _bytes(change: Change) -> int:
    """Return what an item takes at most: before, after, or as it was to be put."""
    return max(item_bytes(item or {}) for item in (change.before, change.after, change.write.put))


def _as_it_stands(write: Write) -> Change:
    item = write.table.slot(write.key).item
    return Change(write, item, item)


def _digest(request: Mapping[str, Any]) -> str:
    text = json.dumps({name: request[name] for name in sorted(request)}, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
