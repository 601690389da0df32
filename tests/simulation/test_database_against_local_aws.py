"""The strict database beside the local AWS: the same random requests, the same answers but for what is forgiven.

AWS counts: each kind of difference has the reason for which AWS refuses the request, and the page that says so. The strict
database takes nothing that the local AWS refuses, but for one kind of which AWS documents no refusal.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import frozen

from engine.ledger.dynamodb.signing import Credentials, Signer
from engine.ledger.dynamodb.wire import Endpoint, ServiceError, WireClient
from engine.runtime.clock import Clock
from tests.simulation.database import Client, Refused
from tests.simulation.sequences import Request, Sequence
from tests.simulation.things import DESCRIPTIONS, made
from tools.local_aws import REGION, LocalAws

FORGIVEN = {
    "Incorrect operand type": '"Comparison operator and function reference": the kinds that each operator takes',
    "Two document paths overlap": '"Update expressions": an update may name a place once',
    "invalid for update": "TransactWriteItems, reasons: a path within what is not there is invalid for update",
    "incorrect data type": "TransactWriteItems, reasons: an operand in the update expression has an incorrect data type",
    "does not exist in the item": "TransactWriteItems, reasons: the expression refers to an attribute that does not exist",
    "contains invalid value": '"Quotas" and "Data types": a value is checked before any item is seen',
    "Missing the key": "PutItem: all attributes of the key, in each action of a transaction",
    "multiple operations on one item": "TransactWriteItems: no two actions on one item, whatever the token's request was",
    "Type mismatch": "PutItem: key attributes must be of the kinds that the table says, in each action of a transaction",
    "does not match the schema": "UpdateItem: the whole key and nothing else, in each action of a transaction",
    "cannot contain an empty": "PutItem: an empty value cannot be a key, in each action of a transaction",
    "reserved keyword": '"Reserved words": not in any expression, whether or not an item is there to be asked',
    "more than one datatypes set": '"Data types": a value has one kind, in each action of a transaction',
    "Supplied AttributeValue is empty": '"Data types": the same',
    "may not be empty": '"Data types": no set is empty',
    "contains duplicates": '"Data types": the members of a set differ',
    "Null attribute value types": '"Data types": NULL is true',
    "Number ": '"Quotas": the range of numbers',
    "significant digits": '"Quotas": 38 digits',
    "numeric value": '"Data types": a number',
    "unused in expressions": '"Expression attribute values": each is used',
}
"""What of the strict database's refusals the local AWS lets through, or answers in another way; and what AWS documents."""

SIZE_OF_A_NUMBER = "size of what has none"
"""AWS documents the size of texts, binary values, sets, lists and maps; what else has a size here is smaller than nothing."""
ELEMENT = "UPDATED_OLD or UPDATED_NEW of an element of a list"
"""AWS does not document what is shown where nothing stands at that index (before, or because it was appended)."""
BEGINS_WITH = "begins_with, operand type: S"
"""The local AWS refuses begins_with where the item has another kind there; AWS documents only that it is not true then."""


@frozen
class Outcome:
    """What a database answered: an answer as text, or the code, the reasons and the messages of a refusal."""

    code: str
    said: str
    messages: tuple[str, ...] = ()


def asked(call: Callable[[str, dict[str, Any]], Any], request: Request) -> Outcome:
    """Send a request, and return what came back in a form that can be compared."""
    operation, said = request
    try:
        answer = call(operation, json.loads(json.dumps(said)))
    except ServiceError as error:
        reasons = [(reason.get("Code"), in_order(reason.get("Item"))) for reason in error.reasons]
        messages = tuple(str(reason.get("Message")) for reason in error.reasons)
        return Outcome(error.code, json.dumps(reasons, sort_keys=True), (str(error), *messages))
    whole = told(operation, in_order(answer))
    return Outcome("answered", json.dumps(whole, sort_keys=True))


def told(operation: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return of an answer what is the same whoever gives it: a batch has no order, and no attributes are none."""
    if operation == "BatchGetItem":
        return {name: sorted(items, key=as_text) for name, items in answer["Responses"].items()}
    whole = {name: value for name, value in answer.items() if value != {}}
    return {**whole, "Items": with_ties_in_order(whole["Items"])} if "Items" in whole else whole


def with_ties_in_order(items: list[Any]) -> list[Any]:
    """Return the items of an index with those of one sort key in an order of our own: AWS documents none among them."""
    first: dict[str, int] = {}
    for number, each in enumerate(items):
        first.setdefault(tie(each), number)
    return sorted(items, key=lambda each: (first[tie(each)], as_text(each)))


def tie(item: dict[str, Any]) -> str:
    """Return what orders an item in the index; one that is in none has its place by its key."""
    return as_text(item.get("at1") or item)


def as_text(value: Any) -> str:
    """Return a value as one text, whatever order its parts came in."""
    return json.dumps(value, sort_keys=True)


def in_order(value: Any) -> Any:
    """Return a value whose sets are in order."""
    if isinstance(value, dict):
        return {name: sorted(inner) if name in {"SS", "NS", "BS"} else in_order(inner) for name, inner in value.items()}
    return [in_order(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def both(aws: LocalAws) -> Iterator[tuple[Client, WireClient]]:
    """Return the strict database and a client of the local AWS, with the same tables."""
    url = urlsplit(aws.endpoint)
    signer = Signer(Credentials("test", "test"), REGION)
    wire = WireClient(Endpoint(url.hostname or "", url.port or 80, is_tls=False), signer, Clock().now, 5, 30)
    for description in DESCRIPTIONS:
        wire._call("CreateTable", description)  # noqa: SLF001  what the ledger never calls
    yield made(), wire
    for description in DESCRIPTIONS:
        wire._call("DeleteTable", {"TableName": description["TableName"]})  # noqa: SLF001  the same
    wire.close()


def compare(both: tuple[Client, WireClient], seeds: range) -> tuple[Counter[str], list[str]]:
    """Return how often each kind of difference, and each answer, came; and the differences that nothing explains.

    A sequence ends with its first difference: what comes after it would rest on other items.
    """
    strict, wire = both
    seen: Counter[str] = Counter()
    unexplained = []
    for seed in seeds:
        for request in Sequence(Random(seed), f"s{seed}-").requests():  # noqa: S311  it is to be repeatable
            one, other = asked(call_of(strict), request), asked(wire._call, request)  # noqa: SLF001  as it is sent
            if (one.code, one.said) == (other.code, other.said):
                seen[f"both: {one.code}"] += 1
                continue
            kind = explanation(request, one, other)
            seen[kind or "unexplained"] += 1
            if kind is None:
                unexplained.append(f"seed {seed}: {request}\n  strict {one}\n  local  {other}")
            break
    return seen, unexplained


def call_of(strict: Client) -> Callable[[str, dict[str, Any]], Any]:
    """Return what sends a request of any operation to the strict database."""

    def call(operation: str, request: dict[str, Any]) -> Any:
        try:
            return strict.database.call(operation, request)
        except Refused as refused:
            raise refused.as_service_error() from refused

    return call


def explanation(request: Request, strict: Outcome, local: Outcome) -> str | None:
    """Return the kind of a difference: the strict one refuses for a reason that AWS documents, or AWS documents nothing."""
    text = " ".join(strict.messages)
    if kind := next((kind for kind in FORGIVEN if kind in text), None):
        return kind
    if BEGINS_WITH in " ".join(local.messages):
        return BEGINS_WITH
    said = request[1]
    if (
        said.get("ReturnValues") in {"UPDATED_OLD", "UPDATED_NEW"}
        and "[" in said.get("UpdateExpression", "")
        and strict.code == local.code
    ):
        return ELEMENT
    return SIZE_OF_A_NUMBER if "size(" in json.dumps(request) else None


def assert_alike(both: tuple[Client, WireClient], seeds: range) -> None:
    """Compare, print what was seen, and fail at what nothing explains."""
    seen, unexplained = compare(both, seeds)
    print(*(f"{count:7} {kind}" for kind, count in seen.most_common()), sep="\n")  # noqa: T201  the table of what was seen

    assert [] == unexplained
    assert seen["both: answered"] > 3 * len(seeds)
    assert {"both: ConditionalCheckFailedException", "both: TransactionCanceledException"} <= seen.keys()


def test_the_strict_database_answers_as_the_local_aws_does(both: tuple[Client, WireClient]) -> None:
    """A hundred sequences of twelve requests."""
    assert_alike(both, range(100))


@pytest.mark.proof
@pytest.mark.slow(115)
@pytest.mark.drawn
@pytest.mark.parametrize("part", range(5))
def test_ten_thousand_sequences_are_answered_alike(both: tuple[Client, WireClient], part: int) -> None:
    """In five parts of 2,000, each within a test's time."""
    assert_alike(both, range(1000 + part * 2000, 3000 + part * 2000))
