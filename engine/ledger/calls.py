"""One call to DynamoDB, sent again until it is answered: the only place where a request is repeated.

botocore's own retries are switched off, since it neither retries a cancelled transaction nor knows the invocation's
deadline. A repeated transaction carries its ClientRequestToken, so that a lost answer is not posted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004  botocore's name

from engine.clock import Deadline
from engine.errors import LedgerError

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

SERVER_ERROR = 500


class DynamoDB(Protocol):
    """The calls of botocore's DynamoDB client that the ledger makes, and no other."""

    def transact_write_items(self, **request: Any) -> Response: ...
    def put_item(self, **request: Any) -> Response: ...
    def update_item(self, **request: Any) -> Response: ...
    def get_item(self, **request: Any) -> Response: ...
    def query(self, **request: Any) -> Response: ...
    def scan(self, **request: Any) -> Response: ...


class LedgerUnavailable(LedgerError):
    """The database did not take the request before the deadline. Sending the event again will help."""


class LedgerRefused(LedgerError):
    """The database refuses this very request, whenever it is sent: a person has to look."""


class Cancelled(Exception):
    """A transaction was cancelled by its conditions. ``reasons`` has one mapping for each item of the transaction."""

    def __init__(self, reasons: list[Mapping[str, Any]]) -> None:
        super().__init__([reason.get("Code") for reason in reasons])
        self.reasons = reasons


class ConditionFailed(Exception):
    """The condition of a single write does not hold."""


def call(operation: Callable[..., Response], request: Mapping[str, Any], deadline: Deadline) -> Response:
    """Send ``request`` until it is answered, and return the answer.

    Raises Cancelled or ConditionFailed when a condition does not hold, LedgerRefused when the request can never succeed,
    LedgerUnavailable when the deadline passes first.
    """
    last: Exception | None = None
    for _ in deadline.attempts():
        try:
            return operation(**request)
        except ClientError as error:
            _raise_unless_transient(error)
            last = error
        except (ConnectionError, HTTPClientError) as error:
            last = error
        except BotoCoreError as error:
            raise LedgerRefused(str(error)) from error
    raise LedgerUnavailable(f"DynamoDB gave no answer in time; the last one was: {last}") from last


def _raise_unless_transient(error: ClientError) -> None:
    code = error.response.get("Error", {}).get("Code", "")
    if code == "TransactionCanceledException":
        _raise_unless_conflict(error)
    elif code == "ConditionalCheckFailedException":
        raise ConditionFailed from error
    elif code not in TRANSIENT and _status(error) < SERVER_ERROR:
        raise LedgerRefused(str(error)) from error


def _raise_unless_conflict(error: ClientError) -> None:
    """A mix of a failed condition and a conflict is a conflict: what the condition saw may be what the other undid."""
    reasons = error.response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons}
    if codes & TRANSIENT:
        return
    if codes <= {"None", "ConditionalCheckFailed"}:
        raise Cancelled(reasons) from error
    raise LedgerRefused(str(error) + "".join(f"; {r['Message']}" for r in reasons if r.get("Message"))) from error


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
