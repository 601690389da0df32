"""How DynamoDB says no: the code, the message and what comes with it."""

from __future__ import annotations

from typing import Any

from engine.ledger.dynamodb.wire import ServiceError

BAD_REQUEST = 400

SENSELESS = frozenset({"ValidationException", "SerializationException", "UnknownOperationException"})
"""Answers to a request that can never succeed, whatever the tables hold."""


class Refused(Exception):
    """DynamoDB refuses a request. ``more`` goes into the answer beside code and message."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.more = code, message, more

    def as_service_error(self) -> ServiceError:
        """Return the error that the product's own client raises for this answer."""
        return ServiceError(self.code, self.message, BAD_REQUEST, list(self.more.get("CancellationReasons", ())))


class Invalid(Refused):
    """A ValidationException: the request breaks a rule of the service."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class InvalidForItem(Invalid):
    """A rule of an item or of its key: in a transaction it is the reason of one action, alone a ValidationException."""


class Malformed(Refused):
    """A SerializationException: a JSON value of another kind than the service reads there."""

    def __init__(self, message: str) -> None:
        super().__init__("SerializationException", message)


class ConditionFailed(Refused):
    """The condition of a write does not hold. ``item`` is what stands there, where the request asked to see it."""

    def __init__(self, item: dict[str, Any] | None = None) -> None:
        super().__init__(
            "ConditionalCheckFailedException", "The conditional request failed", **({"Item": item} if item else {})
        )


def no_such_table(name: str) -> Refused:
    """Return the answer to a request for a table that is not there."""
    return Refused("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")


def busy(message: str = "Transaction is ongoing for the item") -> Refused:
    """Return the answer to a single write that meets a transaction on its way."""
    return Refused("TransactionConflictException", message)


def cancelled(reasons: list[dict[str, Any]]) -> Refused:
    """Return the answer to a transaction that is cancelled: a reason for each of its actions, in their order."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return Refused("TransactionCanceledException", message, Message=message, CancellationReasons=reasons)
