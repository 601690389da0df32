"""One call to DynamoDB, sent again until it is answered: the only place where a request is repeated.

botocore's own retries are switched off, since it neither retries a cancelled transaction nor knows the invocation's
deadline. A repeated transaction carries its ClientRequestToken, so that a lost answer is not posted twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from attrs import frozen

from engine.domain.errors import LedgerRefused, LedgerUnavailable
from engine.ledger.dynamodb.attributes import Item
from engine.ledger.dynamodb.wire import NoAnswerError, ServiceError
from engine.runtime.clock import Deadline

Response = dict[str, Any]

TRANSIENT = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Error codes, of requests and of cancellation reasons, that the same request may not meet again."""

KEYS_TOGETHER_MAX = 100
"""For so many items one BatchGetItem asks."""

CONDITION_FAILED = "ConditionalCheckFailed"
"""The cancellation reason of an item whose condition does not hold."""

SERVER_ERROR = 500


class DynamoDB(Protocol):
    """The calls of botocore's DynamoDB client that the ledger makes, and no other."""

    def transact_write_items(self, **request: Any) -> Response: ...
    def put_item(self, **request: Any) -> Response: ...
    def update_item(self, **request: Any) -> Response: ...
    def get_item(self, **request: Any) -> Response: ...
    def query(self, **request: Any) -> Response: ...
    def scan(self, **request: Any) -> Response: ...
    def batch_get_item(self, **request: Any) -> Response: ...
    def describe_table(self, **request: Any) -> Response: ...
    def close(self) -> None: ...


class Cancelled(Exception):
    """A transaction was cancelled. ``reasons`` has one mapping for each item of the transaction."""

    def __init__(self, reasons: list[Mapping[str, Any]]) -> None:
        super().__init__([reason.get("Code") for reason in reasons])
        self.reasons = reasons


class ConditionFailed(Exception):
    """The condition of a single write does not hold."""


def call(
    operation: Callable[..., Response], request: Mapping[str, Any], deadline: Deadline, *, by_item: bool = False
) -> Response:
    """Send ``request`` until it is answered, and return the answer.

    Raises Cancelled or ConditionFailed when a condition does not hold, LedgerRefused when the request can never succeed,
    LedgerUnavailable when the deadline passes first. ``by_item`` raises Cancelled for whatever cancels a transaction, also for
    conflicts and throttling of single items: the caller has a use for each reason.
    """
    last: Exception | None = None
    for _ in deadline.attempts():
        try:
            return operation(**request)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            _raise_unless_transient(failure, error, by_item=by_item)
            last = error
    raise LedgerUnavailable(f"DynamoDB gave no answer in time; the last one was: {last}") from last


def pages(operation: Callable[..., Response], request: Mapping[str, Any], deadline: Deadline) -> Iterator[Response]:
    """Yield the answers of a query or a scan, one in memory at a time, until nothing is left."""
    while True:
        answer = call(operation, request, deadline)
        yield answer
        if not (last := answer.get("LastEvaluatedKey")):
            return
        request = {**request, "ExclusiveStartKey": last}


def items(operation: Callable[..., Response], request: Mapping[str, Any], deadline: Deadline) -> Iterator[Item]:
    """Yield the items of all pages."""
    for page in pages(operation, request, deadline):
        yield from page.get("Items", ())


def items_at(client: DynamoDB, table: str, wanted: Mapping[str, Any], deadline: Deadline) -> Iterator[Item]:
    """Yield those of the ``wanted`` items of a table that are there. Keys that DynamoDB leaves over go into the next request.

    It leaves over what is more than 16 MB, and what a table that is throttled does not answer: so each request but the first
    waits.
    """
    left: Mapping[str, Any] = {table: wanted}
    for _ in deadline.attempts():
        answer = call(client.batch_get_item, {"RequestItems": left}, deadline)
        yield from answer.get("Responses", {}).get(table, ())
        left = answer.get("UnprocessedKeys") or {}
        if not left:
            return
    raise LedgerUnavailable(f"DynamoDB left keys of {table} unread until the time was used up")


@frozen
class CallFailure:
    """What went wrong with a request, whichever client sent it. Where ``code`` is None no answer came."""

    code: str | None = None
    status: int = 0
    reasons: tuple[Mapping[str, Any], ...] = ()


NO_ANSWER = CallFailure()
SENSELESS = "RequestCannotBeSent"
"""The client itself refuses the request: it never left."""


def failure_of(error: Exception) -> CallFailure | None:
    """Return what an error of a client means, or None for an error of another kind."""
    if isinstance(error, ServiceError):
        return CallFailure(error.code, error.status, tuple(error.reasons))
    if isinstance(error, NoAnswerError):
        return NO_ANSWER
    return _botocore_failure(error, sys.modules.get("botocore.exceptions"))


def reasons_of(refused: LedgerRefused) -> tuple[Mapping[str, Any], ...]:
    """Return what a cancelled transaction was refused for, one mapping for each item; nothing for other requests."""
    failure = failure_of(refused.__cause__) if isinstance(refused.__cause__, Exception) else None
    return failure.reasons if failure is not None else ()


def _botocore_failure(error: Exception, botocore: Any) -> CallFailure | None:
    """Botocore's errors are known where botocore is at work; importing it for their sake would cost every cold start."""
    if botocore is None:
        return None
    if isinstance(error, botocore.ClientError):
        answer = error.response
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return CallFailure(answer.get("Error", {}).get("Code", ""), status, tuple(answer.get("CancellationReasons", ())))
    if isinstance(error, botocore.ConnectionError | botocore.HTTPClientError):
        return NO_ANSWER
    return CallFailure(SENSELESS) if isinstance(error, botocore.BotoCoreError) else None


def _raise_unless_transient(failure: CallFailure, error: Exception, *, by_item: bool) -> None:
    if failure.code == "TransactionCanceledException":
        if by_item and failure.reasons:
            raise Cancelled(list(failure.reasons)) from error
        _raise_unless_conflict(failure, error)
    elif failure.code == "ConditionalCheckFailedException":
        raise ConditionFailed from error
    elif failure.code is not None and failure.code not in TRANSIENT and failure.status < SERVER_ERROR:
        raise LedgerRefused(str(error)) from error


def _raise_unless_conflict(failure: CallFailure, error: Exception) -> None:
    """A mix of a failed condition and a conflict is a conflict: what the condition saw may be what the other undid."""
    codes = {reason.get("Code") for reason in failure.reasons}
    if codes & TRANSIENT:
        return
    if codes and codes <= {"None", CONDITION_FAILED}:
        raise Cancelled(list(failure.reasons)) from error
    messages = "".join(f"; {reason['Message']}" for reason in failure.reasons if reason.get("Message"))
    raise LedgerRefused(f"{error}{messages}") from error
