"""The client by which an invocation reaches the strict DynamoDB: faults are of requests here.

It sends nothing again: that is for the product's own store, which reads the reasons too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attrs import define

from engine.domain.entry_types import EntryType
from engine.domain.envelope import Source
from engine.ledger.dynamodb.wire import NoAnswerError, ServiceError
from engine.ledger.store import Tables
from tests.simulation.database import Refused
from tests.simulation.faults import (
    BUSY_MANY,
    BUSY_ONE,
    CALL_SECONDS_MAX,
    CONFLICT,
    DONE,
    ERRORS,
    KILLED_WITHIN,
    KILLS,
    LASTING,
    LEFT_OVER,
    MIXED,
    OUTAGES,
    RESETS,
    SLOW,
    TIMEOUTS,
    TWICE,
    Caller,
)

if TYPE_CHECKING:
    from tests.simulation.world.strict import StrictPlace

TABLES = Tables()
PAGE_ITEMS = 3
"""DynamoDB ends a page at 1 MB; a page may be as short as one item."""

OUTAGE_SECONDS = 20.0
WRITES = frozenset({"put_item", "update_item"})


@define(eq=False)
class FaultyClient:
    """A client of DynamoDB whose requests meet faults."""

    place: StrictPlace
    caller: Caller
    outage: tuple[float, str] = (0.0, "")
    """Until when (steady seconds) every request meets the same fault."""

    def __getattr__(self, operation: str) -> Any:
        return lambda **request: self._send(operation, request)

    def close(self) -> None:
        """There is no connection to close."""

    def _send(self, operation: str, request: dict[str, Any]) -> Any:
        caller = self.caller
        caller.give_way()
        caller.timeline.pass_by(caller.dice.chance.random() * CALL_SECONDS_MAX)
        until, lasting = self.outage
        fault = lasting if caller.timeline.steady < until else caller.dice.fault()
        if fault is None:
            return self._act(operation, request)
        return self._with(fault, operation, request)

    def _with(self, fault: str, operation: str, request: dict[str, Any]) -> Any:
        caller = self.caller
        answer = self._act(operation, request) if fault in DONE else None
        if fault == KILLED_WITHIN:
            self._half(operation, request)
        if fault == TWICE:
            answer = self._act(operation, request)
        if fault in KILLS:
            caller.die(fault)
        caller.dice.count[fault] += 1
        caller.wait_for(fault)
        if fault in {SLOW, TWICE}:
            return answer
        if not self.outage[1] and caller.dice.chance.random() < OUTAGES:
            self.outage = caller.timeline.steady + OUTAGE_SECONDS, fault
            caller.dice.count[LASTING] += 1
        raise self._error(fault, operation, request)

    def _error(self, fault: str, operation: str, request: dict[str, Any]) -> Exception:
        if fault in TIMEOUTS or fault in RESETS:
            return NoAnswerError(fault)
        if fault in ERRORS:
            return ServiceError("InternalServerError", fault, 500, [])
        if fault == CONFLICT and operation == "transact_write_items":
            return self._conflict(request)
        if fault == CONFLICT and operation in WRITES:
            return ServiceError("TransactionConflictException", fault, 400, [])
        return ServiceError("ProvisionedThroughputExceededException", fault, 400, [])

    def _conflict(self, request: dict[str, Any]) -> ServiceError:
        """Cancel a transaction: others are at work on some of its items, and what stands at the rest may refuse it as well."""
        chance, count = self.caller.dice.chance, self.caller.dice.count
        own = self._own_reasons(request)
        items = range(len(own))
        busy = {int(chance.random() * len(own)), *(number for number in items if chance.random() < 0.3)}
        count[BUSY_ONE if len(busy) == 1 else BUSY_MANY] += 1
        count[MIXED] += any(own[number]["Code"] != "None" for number in items if number not in busy)
        code = chance.choice(("TransactionConflict", "TransactionConflict", "ThrottlingError"))
        reasons = [{"Code": code} if number in busy else own[number] for number in items]
        return ServiceError("TransactionCanceledException", "conflict", 400, reasons)

    def _own_reasons(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what the items themselves say to a transaction that is not made."""
        untold = {name: value for name, value in request.items() if name != "ClientRequestToken"}
        try:
            self.place.database.begin(untold).abandon()
        except Refused as refused:
            if reasons := refused.more.get("CancellationReasons"):
                return list(reasons)
        return [{"Code": "None"} for _ in request["TransactItems"]]

    def _half(self, operation: str, request: dict[str, Any]) -> None:
        """Carry a request out or not, whatever becomes of who has sent it; one that is prepared may be abandoned."""
        chance = self.caller.dice.chance
        with suppress(Refused, ServiceError):
            if chance.random() < 0.5:
                self._act(operation, request)
            elif operation == "transact_write_items":
                transaction = self.place.database.begin(request)
                self.caller.crew.switch()
                transaction.abandon()

    def _some_keys(self, request: dict[str, Any]) -> Any:
        """Answer BatchGetItem for some of its keys, and leave the others over."""
        ((table, wanted),) = request["RequestItems"].items()
        count = 1 + int(self.caller.dice.chance.random() * (len(wanted["Keys"]) - 1))
        answer = self.client.batch_get_item(RequestItems={table: {**wanted, "Keys": wanted["Keys"][:count]}})
        return {**answer, "UnprocessedKeys": {table: {**wanted, "Keys": wanted["Keys"][count:]}}}

    @property
    def client(self) -> Any:
        """What requests go by. What only looks on goes by the place's own, which nothing damages."""
        return self.place.client

    def _act(self, operation: str, request: dict[str, Any]) -> Any:
        if operation in {"scan", "query"}:
            request = {"Limit": PAGE_ITEMS, **request}
        self.place.database.between = self._between()
        if operation == "transact_write_items":
            return self._transact(request)
        if operation == "batch_get_item" and _has_many_keys(request) and self.caller.dice.happens(LEFT_OVER):
            return self._some_keys(request)
        answer = getattr(self.client, operation)(**request)
        if operation == "describe_table":
            answer = {"Table": {**answer["Table"], "TableSizeBytes": self.place.jobs_bytes}}
        return answer

    def _between(self) -> Callable[[], None] | None:
        """Return what happens between the two halves of a transaction: others may be at work."""
        return self.caller.crew.switch

    def _transact(self, request: dict[str, Any]) -> Any:
        """Write a transaction, and take down what of it is new: of one that is sent again nothing is."""
        entries = [action["Put"]["Item"] for action in request["TransactItems"] if _puts_entry(action)]
        new = [item for item in entries if self.place.entry(item) is None]
        known = {item["userId"]["S"] for item in new if self.place.left_of(item["userId"]["S"]) is not None}
        answer = self.client.transact_write_items(**request)
        transaction = len(self.place.moved) + 1
        for item in new:
            self.place.note_refusal(item, self.caller.begun_at)
            if (moved := self.place.movement(item, known, transaction)) is not None:
                self.place.moved.append(moved)
        self.caller.posted_by_scan += sum(map(_is_a_scans, new))
        return answer


def _has_many_keys(request: Mapping[str, Any]) -> bool:
    return len(request["RequestItems"]) == 1 and all(len(wanted["Keys"]) > 1 for wanted in request["RequestItems"].values())


def _puts_entry(action: Mapping[str, Any]) -> bool:
    return action.get("Put", {}).get("TableName") == TABLES.ledger


def _is_a_scans(item: Mapping[str, Any]) -> bool:
    """Say whether an entry is of a row that a scan read, and no flag."""
    return item.get("source") == {"S": Source.SCAN.value} and item.get("type") != {"S": EntryType.FLAG.value}
