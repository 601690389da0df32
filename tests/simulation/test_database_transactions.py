"""The strict database's transactions: all or nothing, reasons in order, conflicts, tokens.

Source: TransactWriteItems and TransactGetItems, Amazon DynamoDB API Reference; "Managing complex workflows with DynamoDB
transactions" and "Quotas", Developer Guide.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.ledger.dynamodb.wire import ServiceError
from tests.simulation.database import Client, Refused
from tests.simulation.things import PLAIN, SORTED, case_id, get, item, made, put, refusal, values
from tests.support.clock import ManualClock


def put_new(identity: str, **attributes: Any) -> dict[str, Any]:
    """Return the action that puts an item where there is none."""
    return {
        "Put": {
            "TableName": PLAIN,
            "Item": item(id=identity, **attributes),
            "ConditionExpression": "attribute_not_exists(id)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def add(identity: str, amount: float = 1, **more: Any) -> dict[str, Any]:
    """Return the action that adds to an item's number."""
    update = {"UpdateExpression": "ADD n :v", "ExpressionAttributeValues": values(v=amount), **more}
    return {"Update": {"TableName": PLAIN, "Key": item(id=identity), **update}}


def check(identity: str) -> dict[str, Any]:
    """Return the action that asks whether an item is there."""
    return {"ConditionCheck": {"TableName": PLAIN, "Key": item(id=identity), "ConditionExpression": "attribute_exists(id)"}}


def delete(identity: str) -> dict[str, Any]:
    """Return the action that deletes an item."""
    return {"Delete": {"TableName": PLAIN, "Key": item(id=identity)}}


def reasons(client: Client, *actions: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Send a transaction that has to be cancelled, and return its reasons."""
    with pytest.raises(ServiceError) as raised:
        client.transact_write_items(TransactItems=list(actions), **more)
    assert "TransactionCanceledException" == raised.value.code
    return raised.value.reasons


def test_all_of_a_transaction_is_done() -> None:
    """A put, an update, a deletion and a check of four items."""
    client = made()
    put(client, id="b", n=1)
    put(client, id="c")
    put(client, id="d")

    client.transact_write_items(TransactItems=[put_new("a", n=1), add("b"), delete("c"), check("d")])

    assert [item(id="a", n=1), item(id="b", n=2), None, item(id="d")] == [get(client, each) for each in "abcd"]


def test_the_reasons_stand_in_the_order_of_the_actions_and_nothing_is_done() -> None:
    """The item is shown where the action asks for it; "None" is the code of an action with which nothing is wrong."""
    client = made()
    put(client, id="a", n=7)
    put(client, id="t", n="text")

    found = reasons(client, add("b"), put_new("a"), check("absent"), add("t"))

    failed = "The conditional request failed"
    assert [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": failed, "Item": item(id="a", n=7)},
        {"Code": "ConditionalCheckFailed", "Message": failed},
        {"Code": "ValidationError", "Message": "An operand in the update expression has an incorrect data type"},
    ] == found
    assert get(client, "b") is None
    assert 1 == len(client.database.validation_errors)  # the action that the item could not take


WRONG_ITEMS: list[tuple[dict[str, Any], str]] = [
    (put_new(""), "cannot contain an empty string value. Key: id"),
    (put_new("x" * 2049), "Size of hashkey has exceeded the maximum size limit of 2048 bytes"),
    (put_new("a", text="x" * 409_600), "Item size has exceeded the maximum allowed size"),
    ({"Put": {"TableName": PLAIN, "Item": item(id=5)}}, "Type mismatch for key id expected: S actual: N"),
    ({"Delete": {"TableName": PLAIN, "Key": item(log="a")}}, "The provided key element does not match the schema"),
]


@pytest.mark.parametrize(("action", "problem"), WRONG_ITEMS, ids=case_id)
def test_an_item_or_key_that_is_wrong_is_the_reason_of_its_action(action: dict[str, Any], problem: str) -> None:
    """Reason ValidationError, "One or more parameter values were invalid" and its like; it is counted as senseless."""
    client = made()

    found = reasons(client, check("absent"), action)

    assert ["ConditionalCheckFailed", "ValidationError"] == [reason["Code"] for reason in found]
    assert problem in found[1]["Message"]
    assert 1 == len(client.database.validation_errors)


def test_a_condition_that_fails_is_no_senseless_request() -> None:
    """It is how optimistic writers talk to each other."""
    client = made()

    assert ["ConditionalCheckFailed"] == [reason["Code"] for reason in reasons(client, check("absent"))]
    assert [] == client.database.validation_errors


SENSELESS: list[tuple[list[dict[str, Any]], str]] = [
    ([add("a"), check("a")], "Transaction request cannot include multiple operations on one item"),
    ([{"Put": put_new("a")["Put"], **add("b")}], "can only contain one of"),
    ([{}], "can only contain one of"),
    ([add("a", ConditionExpression="size = :v")], "reserved keyword: size"),
    ([add(f"a{number}") for number in range(101)], "Member must have length less than or equal to 100"),
    ([put_new(f"a{number}", text="x" * 400_000) for number in range(11)], "exceeds the 4 MB"),
]


@pytest.mark.parametrize(("actions", "problem"), SENSELESS, ids=case_id)
def test_a_transaction_that_makes_no_sense_is_refused_whole(actions: list[dict[str, Any]], problem: str) -> None:
    """One item once, 100 actions, 4 MB, and each action as strict as alone: a ValidationException without reasons."""
    client = made()

    said = refusal(client.transact_write_items, TransactItems=actions)

    assert said.startswith("ValidationException: ")
    assert problem in said
    assert 0 == client.database.tables[PLAIN].items


def test_a_hundred_actions_and_almost_4_mb_are_taken() -> None:
    """The bounds themselves are allowed."""
    client = made()

    client.transact_write_items(TransactItems=[put_new(f"a{number}", text="x" * 41_000) for number in range(100)])

    assert 100 == client.database.tables[PLAIN].items


def test_the_same_key_in_two_tables_is_two_items() -> None:
    """An item is known by its table and its key."""
    client = made()
    row = {"Put": {"TableName": SORTED, "Item": item(log="a", entry=1)}}
    other = {"Put": {"TableName": SORTED, "Item": item(log="a", entry=2)}}

    client.transact_write_items(TransactItems=[put_new("a"), row, other])

    assert (1, 2) == tuple(client.database.tables[name].items for name in (PLAIN, SORTED))


# --- conflicts ---


def test_a_transaction_on_its_way_keeps_its_items() -> None:
    """Another transaction is cancelled with a conflict for the item they share; a single write is refused; reads go on."""
    client = made()
    put(client, id="a", n=1)
    first = client.database.begin({"TransactItems": [add("a")]})

    assert [
        {"Code": "None"},
        {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"},
    ] == reasons(client, add("b"), add("a"))
    for send, request in (
        (client.put_item, {"Item": item(id="a")}),
        (client.update_item, {"Key": item(id="a")}),
        (client.delete_item, {"Key": item(id="a")}),
    ):
        assert refusal(send, TableName=PLAIN, **request).startswith("TransactionConflictException")
    gets = [{"Get": {"TableName": PLAIN, "Key": item(id=each)}} for each in "ba"]
    assert "TransactionConflict" in refusal(client.transact_get_items, TransactItems=gets)
    assert item(id="a", n=1) == get(client)

    first.commit()

    assert item(id="a", n=2) == get(client)
    client.transact_write_items(TransactItems=[add("a")])
    assert item(id="a", n=3) == get(client)
    assert [] == client.database.validation_errors


def test_an_item_that_is_not_there_yet_is_kept_too() -> None:
    """Two first entries of one log: the second meets the first on its way, and after that its condition fails."""
    client = made()
    first = client.database.begin({"TransactItems": [put_new("a", n=1)]})

    assert ["TransactionConflict"] == [reason["Code"] for reason in reasons(client, put_new("a", n=2))]
    first.commit()

    assert ["ConditionalCheckFailed"] == [reason["Code"] for reason in reasons(client, put_new("a", n=2))]
    assert item(id="a", n=1) == get(client)


def test_a_transaction_that_is_abandoned_leaves_nothing() -> None:
    """Neither items nor a token."""
    client = made()
    request = {"TransactItems": [put_new("a")], "ClientRequestToken": "t-1"}

    client.database.begin(request).abandon()

    assert get(client) is None
    client.transact_write_items(**request)
    assert item(id="a") == get(client)


def test_others_can_work_between_preparation_and_commit() -> None:
    """``between`` runs while the transaction is on its way."""
    client = made()
    met: list[str] = []

    def meet() -> None:
        client.database.between = None
        met.append(refusal(client.delete_item, TableName=PLAIN, Key=item(id="a")))

    client.database.between = meet
    client.transact_write_items(TransactItems=[put_new("a")])

    assert ["TransactionConflictException: Transaction is ongoing for the item"] == met
    assert item(id="a") == get(client)


# --- tokens ---


def test_a_token_makes_a_transaction_count_once_for_ten_minutes() -> None:
    """A client request token is valid for 10 minutes after the first request that uses it is completed."""
    clock = ManualClock()
    client = made(now=lambda: clock.elapsed)
    request = {"TransactItems": [add("a")], "ClientRequestToken": "t-1"}

    client.transact_write_items(**request)
    clock.elapsed += 599
    client.transact_write_items(**request)
    assert item(id="a", n=1) == get(client)

    clock.elapsed += 2
    client.transact_write_items(**request)
    assert item(id="a", n=2) == get(client)


def test_a_token_belongs_to_one_request() -> None:
    """The same client token with a change in other parameters is a mismatch."""
    client = made()
    client.transact_write_items(TransactItems=[add("a")], ClientRequestToken="t-1")

    said = refusal(client.transact_write_items, TransactItems=[add("a", 2)], ClientRequestToken="t-1")

    assert said.startswith("IdempotentParameterMismatchException")
    assert item(id="a", n=1) == get(client)


def test_a_token_of_a_transaction_on_its_way_is_in_progress() -> None:
    """TransactionInProgressException: the transaction with the given request token is already in progress."""
    client = made()
    request = {"TransactItems": [add("a")], "ClientRequestToken": "t-1"}
    first = client.database.begin(request)

    with pytest.raises(Refused, match="TransactionInProgressException"):
        client.database.begin(request)
    first.commit()
    client.transact_write_items(**request)

    assert item(id="a", n=1) == get(client)


def test_a_token_of_a_cancelled_transaction_is_free() -> None:
    """Only what was done is remembered: the same request may succeed later."""
    client = made()
    request = {"TransactItems": [check("b"), add("a")], "ClientRequestToken": "t-1"}
    with pytest.raises(ServiceError, match="TransactionCanceledException"):
        client.transact_write_items(**request)
    put(client, id="b")

    client.transact_write_items(**request)

    assert item(id="a", n=1) == get(client)


def test_a_token_has_36_characters_at_most() -> None:
    """By the service's model."""
    client = made()

    said = refusal(client.transact_write_items, TransactItems=[add("a")], ClientRequestToken="t" * 37)

    assert "'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to 36" in said


# --- what they take ---


def test_a_transaction_takes_two_units_for_each_kilobyte_and_one_in_an_index() -> None:
    """Its repetition takes what reading the items takes."""
    client = made()
    row = item(log="a", entry=1, owner1="u", at1="t", text="x" * 1500)
    request = {
        "TransactItems": [put_new("a"), {"Put": {"TableName": SORTED, "Item": row}}],
        "ReturnConsumedCapacity": "INDEXES",
        "ClientRequestToken": "t-1",
    }

    plain, indexed = client.transact_write_items(**request)["ConsumedCapacity"]

    assert {"TableName": PLAIN, "CapacityUnits": 2.0, "Table": {"CapacityUnits": 2.0}} == plain
    assert (6.0, 4.0, 2.0) == (
        indexed["CapacityUnits"],
        indexed["Table"]["CapacityUnits"],
        indexed["GlobalSecondaryIndexes"]["ByOwner"]["CapacityUnits"],
    )
    assert [2.0, 2.0] == [one["CapacityUnits"] for one in client.transact_write_items(**request)["ConsumedCapacity"]]


def test_items_are_read_together() -> None:
    """In the order asked for; an item that is not there is an empty answer."""
    client = made()
    put(client, id="a", n=1)
    gets = [{"Get": {"TableName": PLAIN, "Key": item(id=each), "ProjectionExpression": "n"}} for each in "ba"]

    answer = client.transact_get_items(TransactItems=gets, ReturnConsumedCapacity="TOTAL")

    assert [{}, {"Item": item(n=1)}] == answer["Responses"]
    assert [{"TableName": PLAIN, "CapacityUnits": 4.0}] == answer["ConsumedCapacity"]
