"""What is sent again and what is not: every kind of answer the database can give."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from engine.domain.errors import LedgerRefused, LedgerUnavailable
from engine.ledger.dynamodb.calls import Cancelled, ConditionFailed, call
from engine.ledger.dynamodb.wire import NoAnswerError, ServiceError
from tests.support.clock import ManualClock


def client_error(code: str, status: int = 400, **more: Any) -> ClientError:
    """Return an error as botocore raises it."""
    response = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(response, "TransactWriteItems")  # type: ignore[arg-type]


def cancelled(*codes: str) -> ClientError:
    """Return a cancelled transaction with one reason for each item."""
    reasons = [{"Code": code, "Message": f"{code} it is"} for code in codes]
    return client_error("TransactionCanceledException", CancellationReasons=reasons)


def as_the_wire_raises_it(error: ClientError) -> ServiceError:
    """Return the same error as the other client has it."""
    answer: dict[str, Any] = dict(error.response)
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return ServiceError(answer["Error"]["Code"], "why", status, answer.get("CancellationReasons", []))


def by_both_clients(*errors: ClientError) -> list[Exception]:
    """Return each error as botocore and as the wire raise it."""
    return [same for error in errors for same in (error, as_the_wire_raises_it(error))]


class Database:
    """Answers with each of the given errors in turn, then well."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.requests = list(errors), []  # type: ignore[var-annotated]

    def __call__(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self.errors:
            raise self.errors.pop(0)
        return {"fine": True}


PASSING = by_both_clients(
    client_error("ThrottlingException"),
    client_error("ProvisionedThroughputExceededException"),
    client_error("RequestLimitExceeded"),
    client_error("TransactionInProgressException"),
    client_error("TransactionConflictException"),
    client_error("InternalServerError", 500),
    client_error("SomethingNew", 503),
    cancelled("None", "TransactionConflict", "None"),
    cancelled("ThrottlingError"),
    cancelled("None", "ProvisionedThroughputExceeded"),
    cancelled("ConditionalCheckFailed", "TransactionConflict", "None"),
    cancelled("TransactionConflict", "ConditionalCheckFailed"),
)

TRANSIENT = [
    *PASSING,
    NoAnswerError("TimeoutError: timed out"),
    ReadTimeoutError(endpoint_url="http://x"),
    ConnectTimeoutError(endpoint_url="http://x"),
    ConnectionClosedError(endpoint_url="http://x"),
    EndpointConnectionError(endpoint_url="http://x"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=str)
def test_a_passing_trouble_is_met_by_the_same_request_again(error: Exception) -> None:
    """The token goes along unchanged, so that an answer that was lost is not posted twice."""
    database = Database(error)

    answer = call(database, {"ClientRequestToken": "t-1"}, ManualClock().clock().deadline(10))

    assert {"fine": True} == answer
    assert [{"ClientRequestToken": "t-1"}] * 2 == database.requests


FINAL = [
    (cancelled("ConditionalCheckFailed", "None"), Cancelled),
    (cancelled("None", "ConditionalCheckFailed"), Cancelled),
    (client_error("ConditionalCheckFailedException"), ConditionFailed),
    (cancelled("None", "ValidationError"), LedgerRefused),
    (cancelled("ConditionalCheckFailed", "ValidationError"), LedgerRefused),
    (cancelled("ItemCollectionSizeLimitExceeded"), LedgerRefused),
    (client_error("AccessDeniedException"), LedgerRefused),
    (client_error("ResourceNotFoundException"), LedgerRefused),
    (client_error("ValidationException"), LedgerRefused),
    (client_error("IdempotentParameterMismatchException"), LedgerRefused),
    (client_error(""), LedgerRefused),
]


@pytest.mark.parametrize(
    ("error", "kind"),
    [*((same, kind) for error, kind in FINAL for same in by_both_clients(error)), (NoCredentialsError(), LedgerRefused)],
    ids=str,
)
def test_an_answer_that_will_not_change_is_not_asked_for_again(error: Exception, kind: type[Exception]) -> None:
    """A failed condition is an answer; what the request itself is to blame for needs a person."""
    database = Database(error, error)

    with pytest.raises(kind):
        call(database, {}, ManualClock().clock().deadline(10))
    assert 1 == len(database.requests)


@pytest.mark.parametrize("error", by_both_clients(cancelled("None", "ValidationError")), ids=repr)
def test_a_refusal_inside_a_cancellation_says_why(error: Exception) -> None:
    """Which attribute cannot be added to, for one, is only told in the reason."""
    with pytest.raises(LedgerRefused, match="ValidationError it is"):
        call(Database(error), {}, ManualClock().clock().deadline(10))


@pytest.mark.parametrize("error", by_both_clients(cancelled("None", "ConditionalCheckFailed")), ids=repr)
def test_a_cancellation_hands_on_its_reasons(error: Exception) -> None:
    """One for each item of the transaction, as the database gave them."""
    with pytest.raises(Cancelled) as raised:
        call(Database(error), {}, ManualClock().clock().deadline(10))

    failed = {"Code": "ConditionalCheckFailed", "Message": "ConditionalCheckFailed it is"}
    assert [{"Code": "None", "Message": "None it is"}, failed] == raised.value.reasons


def test_an_error_of_the_program_is_none_of_the_database() -> None:
    """It comes through as it is, at once."""
    database = Database(TypeError("a bug"), TypeError("a bug"))

    with pytest.raises(TypeError, match="a bug"):
        call(database, {}, ManualClock().clock().deadline(10))
    assert 1 == len(database.requests)


def test_no_call_imports_botocore() -> None:
    """Its import costs a cold start more than all the rest; where it is not loaded, none of its errors can be met."""
    modules = "sorted({n.split('.')[0] for n in sys.modules})"
    program = f"import engine.reconcile.wiring, engine.ledger.dynamodb.calls, sys; print({modules})"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert "'engine'" in loaded
    assert not {name for name in ("botocore", "boto3", "urllib3") if f"'{name}'" in loaded}


def test_the_waits_double_up_to_a_second_and_end_before_the_deadline() -> None:
    """Full jitter draws from [0, ceiling]; here chance always gives the ceiling."""
    manual = ManualClock()

    with pytest.raises(LedgerUnavailable, match="ThrottlingException"):
        call(Database(*[client_error("ThrottlingException")] * 99), {}, manual.clock().deadline(4))

    assert [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0] == manual.waits
    assert manual.elapsed < 4


def test_a_request_is_sent_at_least_once() -> None:
    """Even with no time left: an answer may be quick, and a caller that has no time does not call."""
    database = Database()

    assert {"fine": True} == call(database, {}, ManualClock().clock().deadline(-1))


def test_an_outage_of_half_an_hour_is_waited_out() -> None:
    """A command that waits for ever goes on however often it has asked: each further wait is as long as the longest."""
    time = ManualClock()
    database = Database(*[ServiceError("InternalServerError", "why", 500, []) for _ in range(1800)])

    assert {"fine": True} == call(database, {}, time.clock().deadline(10_000.0))

    assert 1801 == len(database.requests)
    assert {1.0} == set(time.waits[6:])
