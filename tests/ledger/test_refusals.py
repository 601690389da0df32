"""What the database refuses for good is told with its subject: event, job, user, rule, attribute, and what is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.domain.envelope import Envelope, Source
from engine.domain.errors import LedgerError, LedgerRefused, LedgerUnavailable
from engine.ledger.dynamodb.wire import ServiceError
from engine.ledger.store import Tables
from engine.runtime.telemetry import Report
from tests.support.busy import Refusing
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

OVERDRAFTS = ("allow", "flag", "refuse")
NO_NUMBERS = [
    ({"remaining": {"S": "100"}}, "remaining", "the balance of user 'u-1' is no number: {'S': '100'}"),
    ({"remaining": {"NULL": True}}, "remaining", "the balance of user 'u-1' is no number: {'NULL': True}"),
    ({"remaining": {"M": {}}}, "remaining", "the balance of user 'u-1' is no number: {'M': {}}"),
    ({"remaining": {"N": "9"}, "posted": {"BOOL": True}}, "posted", "`posted` of user 'u-1' is no number: {'BOOL': True}"),
    ({"remaining": {"N": "9"}, "posted": {"S": "9"}}, "posted", "`posted` of user 'u-1' is no number: {'S': '9'}"),
    ({"posted": {"S": "9"}}, "posted", "`posted` of user 'u-1' is no number: {'S': '9'}"),
]


def under(dynamodb: Any, tables: Tables, overdraft: str, row: dict[str, Any]) -> World:
    """Return tables with a policy for overdrafts, and a row of Credits as somebody else wrote it."""
    dynamodb.put_item(TableName=tables.credits, Item={"userId": {"S": "u-1"}, **row})
    return World(dynamodb, tables, example(("overdraft: flag", f"overdraft: {overdraft}")))


@pytest.mark.parametrize("overdraft", OVERDRAFTS)
@pytest.mark.parametrize("case", NO_NUMBERS, ids=str)
def test_a_balance_that_is_no_number_is_named(
    dynamodb: Any, tables: Tables, overdraft: str, case: tuple[dict[str, Any], str, str]
) -> None:
    """Whatever the policy says of overdrafts, and without a read: the condition that fails shows the row."""
    row, field, problem = case
    world = under(dynamodb, tables, overdraft, row)
    client = DisturbedClient(dynamodb, lambda _operation, request, send: send(**request))

    with pytest.raises(LedgerRefused) as raised:
        world.deliver(rendered("j-1", seconds=8), client=client)

    error, line = raised.value, world.lines[-1]
    assert str(error).endswith(f", rule debit-rendered, job j-1, user u-1: {problem}")
    assert ("j-1", "u-1", "debit-rendered", field) == (line["job"], line["user"], line["rule"], line["field"])
    assert {"transact_write_items"} == set(client.calls)
    assert ([], {"userId": {"S": "u-1"}, **row}) == (world.entries(), stored(dynamodb, tables))


def stored(dynamodb: Any, tables: Tables) -> Any:
    """Return the user's row as it is stored."""
    return dynamodb.get_item(TableName=tables.credits, Key={"userId": {"S": "u-1"}})["Item"]


@pytest.mark.parametrize("overdraft", ["allow", "flag"])
@pytest.mark.parametrize("row", [{}, {"posted": {"N": "0"}}, {"plan": {"S": "pro"}}])
def test_a_row_without_a_balance_begins_at_nothing(dynamodb: Any, tables: Tables, overdraft: str, row: dict[str, Any]) -> None:
    """What is not there yet is no mistake: eight seconds at 0.10 are taken from 0."""
    world = under(dynamodb, tables, overdraft, row)

    world.deliver(rendered("j-1", seconds=8))

    assert {"remaining": {"N": "-0.8"}, "posted": {"N": "-0.8"}}.items() <= stored(dynamodb, tables).items()


@pytest.mark.parametrize("overdraft", OVERDRAFTS)
def test_neighbours_of_a_balance_that_is_no_number_are_posted(dynamodb: Any, tables: Tables, overdraft: str) -> None:
    """Of a batch the events of that user come back, each with its own subject."""
    world = under(dynamodb, tables, overdraft, {"remaining": {"S": "100"}}).user("u-2").user("u-3")
    documents = [rendered("j-1"), rendered("j-2", user="u-2"), rendered("j-3"), rendered("j-4", user="u-3")]

    results = world.reconciler().many([Envelope(one, Source.QUEUE) for one in documents], world.deadline())

    assert [False, True, False, True] == [isinstance(result, Report) for result in results]
    for result, job in ((results[0], "j-1"), (results[2], "j-3")):
        assert f"job {job}, user u-1: the balance of user 'u-1' is no number: {{'S': '100'}}" in str(result)
    assert [("j-1", "u-1"), ("j-3", "u-1")] == [(x["job"], x["user"]) for x in world.lines if x["outcome"] == "error"]


def test_a_refund_to_a_balance_that_is_no_number_is_named_too(dynamodb: Any, tables: Tables) -> None:
    """A refund asks for no cover, so that its condition is another one."""
    world = World(dynamodb, tables).user()
    world.deliver(rendered("j-1"))
    dynamodb.put_item(TableName=tables.credits, Item={"userId": {"S": "u-1"}, "remaining": {"S": "99.2"}})

    with pytest.raises(LedgerRefused, match=r"rule refund-failed, job j-1, user u-1: the balance .* \{'S': '99.2'\}"):
        world.deliver(failed("j-1"))


SUBJECTS = [
    ("job#j-1/1", "Item size has exceeded the maximum allowed size", "entry 1 of 'job#j-1'"),
    ("u-1", "Number overflow", "-0.8000 on `remaining` and `posted` of user 'u-1'"),
    ("j-1", "The document path provided in the update expression is invalid for update", "the mark of job 'j-1'"),
]


@pytest.mark.parametrize(("key", "message", "subject"), SUBJECTS)
def test_an_item_that_is_refused_is_named(dynamodb: Any, tables: Tables, key: str, message: str, subject: str) -> None:
    """An entry too large, a balance out of range, a job's row of an odd shape: DynamoDB's reason names none of them."""
    world = World(dynamodb, tables).user().job()
    refusing = Refusing({key: {"Code": "ValidationError", "Message": message}}, None, lambda: 0.0)

    with pytest.raises(LedgerRefused) as raised:
        world.deliver(rendered("j-1", seconds=8), client=DisturbedClient(dynamodb, refusing))

    assert str(raised.value).endswith(f"job j-1, user u-1: DynamoDB refuses {subject}: ValidationError: {message}")


BYTES_MAX = 8_000
"""What a transaction may hold here: a five-hundredth of DynamoDB's 4 MB, for entries that are as much smaller."""


def test_a_transaction_that_is_too_large_is_taken_apart(dynamodb: Any, tables: Tables) -> None:
    """Twelve entries are each within their own limit; together they are refused, one by one posted."""
    world = World(dynamodb, tables).user()
    sizes: list[int] = []

    def refuse_large(_operation: str, request: dict[str, Any], send: Any) -> Any:
        sizes.append(len(json.dumps(request)))
        if sizes[-1] > BYTES_MAX:
            raise ServiceError("ValidationException", "Transaction size limit exceeded", 400, [])
        return send(**request)

    envelopes = [Envelope(rendered(f"j-{number}", model="m" * 200), Source.QUEUE) for number in range(12)]
    results = world.reconciler(DisturbedClient(dynamodb, refuse_large)).many(envelopes, world.deadline())

    assert ["debited"] * 12 == [result.outcome.value for result in results if isinstance(result, Report)]
    assert 1 == sum(size > BYTES_MAX for size in sizes)
    assert 12 == len(world.everything()["ledger"])


@pytest.mark.parametrize("together", [False, True])
def test_a_database_that_does_not_answer_is_told_with_its_subject(
    dynamodb: Any,
    tables: Tables,
    together: bool,  # noqa: FBT001
) -> None:
    """One request failed for several events: each has an error of its own, which names its own job."""
    clock = ManualClock()
    world = World(dynamodb, tables, clock=clock.clock()).user().user("u-2")

    def silent(_operation: str, _request: dict[str, Any], _send: Any) -> Any:
        raise ServiceError("InternalServerError", "internal", 500, [])

    client = DisturbedClient(dynamodb, silent)
    documents = [rendered("j-1"), rendered("j-2", user="u-2")]
    if together:
        errors = world.reconciler(client).many([Envelope(one, Source.QUEUE) for one in documents], world.deadline(2))
    else:
        errors = [raised_by(world, client, document) for document in documents]

    assert all(isinstance(error, LedgerUnavailable) for error in errors)
    assert [("j-1", "u-1"), ("j-2", "u-2")] == [(error.job, error.user) for error in errors if isinstance(error, LedgerError)]
    assert ["j-1", "j-2"] == [line["job"] for line in world.lines]


def raised_by(world: World, client: Any, document: dict[str, Any]) -> Exception:
    """Deliver an event and return its error."""
    with pytest.raises(LedgerError) as raised:
        world.deliver(document, client=client)
    return raised.value
