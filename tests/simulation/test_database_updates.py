"""The strict database updates items as DynamoDB does.

Source: "Update expressions" and UpdateItem, Amazon DynamoDB Developer Guide and API Reference.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.things import PLAIN, SORTED, av, case_id, get, item, made, put, refusal, values

STORED = {"id": "a", "n": 8, "s": "x", "c": {"red", "green"}, "l": ["x", "y", "z"], "m": {"deep": {"n": 5}}}


def rest(**changed: Any) -> dict[str, Any]:
    """Return the stored item with some changes; None takes an attribute away."""
    return item(**{name: value for name, value in (STORED | changed).items() if value is not None})


UPDATES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("SET n = :v", {"v": 9}, rest(n=9)),
    ("SET fresh = :v", {"v": [1]}, rest(fresh=[1])),
    ("SET n = n + :v", {"v": 0.5}, rest(n=8.5)),
    ("SET n = n - :v", {"v": 9}, rest(n=-1)),
    ("SET n = :v - n", {"v": 9}, rest(n=1)),
    ("SET n = s, s = n", {}, rest(n="x", s=8)),  # both are read before the update
    ("SET n = if_not_exists(n, :v)", {"v": 1}, rest()),
    ("SET fresh = if_not_exists(fresh, :v) + :v", {"v": 1}, rest(fresh=2)),
    ("SET l = list_append(l, :v)", {"v": ["w"]}, rest(l=["x", "y", "z", "w"])),
    ("SET l = list_append(:v, l)", {"v": ["w"]}, rest(l=["w", "x", "y", "z"])),
    ("SET l[1] = :v", {"v": "w"}, rest(l=["x", "w", "z"])),
    ("SET l[9] = :v, l[7] = :w", {"v": 9, "w": 7}, rest(l=["x", "y", "z", 7, 9])),
    ("SET m.deep.n = :v, m.more = :v", {"v": 6}, rest(m={"deep": {"n": 6}, "more": 6})),
    ("REMOVE n, absent", {}, rest(n=None)),
    ("REMOVE l[0], l[1]", {}, rest(l=["z"])),
    ("REMOVE l[1], l[9]", {}, rest(l=["x", "z"])),
    ("REMOVE m.deep.n", {}, rest(m={"deep": {}})),
    ("ADD n :v", {"v": -8}, rest(n=0)),
    ("ADD fresh :v", {"v": 0.1}, rest(fresh=0.1)),
    ("ADD c :v", {"v": {"red", "blue"}}, rest(c={"red", "green", "blue"})),
    ("ADD m.deep.n :v", {"v": 1}, rest(m={"deep": {"n": 6}})),
    ("DELETE c :v", {"v": {"red", "blue"}}, rest(c={"green"})),
    ("DELETE c :v", {"v": {"red", "green"}}, rest(c=None)),  # no set is empty
    ("DELETE absent :v", {"v": {"red"}}, rest()),
    ("remove s set n = :v add k :v", {"v": 1}, rest(s=None, n=1, k=1)),
]


@pytest.mark.parametrize(("update", "places", "left"), UPDATES, ids=case_id)
def test_an_update_changes_what_it_names(update: str, places: dict[str, Any], left: dict[str, Any]) -> None:
    """SET, REMOVE, ADD and DELETE, each once and in any order."""
    client = made()
    put(client, **STORED)
    request = {"TableName": PLAIN, "Key": item(id="a"), "UpdateExpression": update}

    client.update_item(**request, **({"ExpressionAttributeValues": values(**places)} if places else {}))

    assert left == get(client)
    assert [] == client.database.validation_errors


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("", {}, "The expression can not be empty"),
    ("PUT n = :v", {"v": 1}, 'Syntax error; token: "PUT"'),
    ("SET n = :v SET s = :v", {"v": 1}, 'The "SET" section can only be used once'),
    ("SET n = :v, n = :v", {"v": 1}, "Two document paths overlap with each other"),
    ("SET m.deep = :v REMOVE m", {"v": 1}, "Two document paths overlap with each other"),
    ("SET m.deep = :v, m[0] = :v", {"v": 1}, "Two document paths conflict with each other"),
    ("SET n = :v + :v + :v", {"v": 1}, 'Syntax error; token: "+"'),
    ("SET n = size(s)", {}, "Invalid function name; function: size"),
    ("SET n = list_append(l)", {}, "Incorrect number of operands"),
    ("SET n = if_not_exists(:v, :v)", {"v": 1}, "requires a document path"),
    ("SET n = n + :v", {"v": "1"}, "operator or function: +, operand type: S"),
    ("SET l = list_append(l, :v)", {"v": "w"}, "operator or function: list_append, operand type: S"),
    ("ADD n :v", {"v": "1"}, "operator: ADD, operand type: S"),
    ("DELETE c :v", {"v": 1}, "operator: DELETE, operand type: N"),
    ("SET id = :v", {"v": "b"}, "Cannot update attribute id. This attribute is part of the key"),
    ("REMOVE id", {}, "Cannot update attribute id. This attribute is part of the key"),
    ("SET status = :v", {"v": 1}, "reserved keyword: status"),
    ("SET n = absent", {}, "refers to an attribute that does not exist in the item"),
    ("SET n = s + :v", {"v": 1}, "An operand in the update expression has an incorrect data type"),
    ("SET n = list_append(s, :v)", {"v": []}, "An operand in the update expression has an incorrect data type"),
    ("ADD s :v", {"v": 1}, "An operand in the update expression has an incorrect data type"),
    ("ADD c :v", {"v": 1}, "An operand in the update expression has an incorrect data type"),
    ("DELETE n :v", {"v": {"a"}}, "An operand in the update expression has an incorrect data type"),
    ("SET absent.deep = :v", {"v": 1}, "The document path provided in the update expression is invalid for update"),
    ("SET s.deep = :v", {"v": 1}, "The document path provided in the update expression is invalid for update"),
    ("SET m[0] = :v", {"v": 1}, "The document path provided in the update expression is invalid for update"),
    ("REMOVE absent.deep", {}, "The document path provided in the update expression is invalid for update"),
    ("ADD n :v", {"v": 1e126}, "Number overflow"),
    ("SET s = :v", {"v": "x" * 409_600}, "Item size to update has exceeded the maximum allowed size"),
]


@pytest.mark.parametrize(("update", "places", "problem"), REFUSED, ids=case_id)
def test_an_update_that_aws_refuses_changes_nothing(update: str, places: dict[str, Any], problem: str) -> None:
    """By its words, or by what the item is; both are ValidationExceptions."""
    client = made()
    put(client, **STORED)
    request = {"TableName": PLAIN, "Key": item(id="a"), "UpdateExpression": update}
    request |= {"ExpressionAttributeValues": values(**places)} if places else {}

    said = refusal(client.update_item, **request)

    assert said.startswith("ValidationException: ")
    assert problem in said
    assert item(**STORED) == get(client)
    assert 1 == len(client.database.validation_errors)


RETURNS = {
    "NONE": None,
    "ALL_OLD": item(id="a", n=1, s="x"),
    "ALL_NEW": item(id="a", n=3, s="x"),
    "UPDATED_OLD": item(n=1),
    "UPDATED_NEW": item(n=3),
}


@pytest.mark.parametrize("wanted", RETURNS)
def test_an_update_shows_what_it_is_asked_to(wanted: str) -> None:
    """ReturnValues of UpdateItem."""
    client = made()
    put(client, id="a", n=1, s="x")

    answer = client.update_item(
        TableName=PLAIN,
        Key=item(id="a"),
        UpdateExpression="ADD n :v",
        ExpressionAttributeValues=values(v=2),
        ReturnValues=wanted,
    )

    assert RETURNS[wanted] == answer.get("Attributes")


def test_an_update_makes_the_item_that_is_not_there() -> None:
    """Also without an expression: then it is the key alone."""
    client = made()

    client.update_item(TableName=PLAIN, Key=item(id="a"))
    assert item(id="a") == get(client)

    client.update_item(TableName=PLAIN, Key=item(id="b"), UpdateExpression="ADD n :v", ExpressionAttributeValues=values(v=1))
    assert item(id="b", n=1) == get(client, "b")


def test_an_update_cannot_give_an_index_a_key_of_another_kind() -> None:
    """The item would be in no index, and the update is refused."""
    client = made()
    put(client, SORTED, log="x", entry=1)

    said = refusal(
        client.update_item,
        TableName=SORTED,
        Key=item(log="x", entry=1),
        UpdateExpression="SET owner1 = :v",
        ExpressionAttributeValues=values(v=5),
    )

    assert "Type mismatch for Index Key owner1 Expected: S Actual: N IndexName: ByOwner" in said


def test_a_condition_that_fails_shows_the_item_if_asked() -> None:
    """ReturnValuesOnConditionCheckFailure of the single writes; without it nothing is shown."""
    client = made()
    put(client, id="a", n=1)
    request = {"TableName": PLAIN, "Item": item(id="a"), "ConditionExpression": "attribute_not_exists(id)"}

    for asked, shown in (({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}, item(id="a", n=1)), ({}, None)):
        with pytest.raises(Exception, match="ConditionalCheckFailedException: The conditional request failed") as raised:
            client.put_item(**request, **asked)
        refused: Any = raised.value.__cause__
        assert shown == refused.more.get("Item")
    assert av(1) == (get(client) or {})["n"]


def test_the_size_of_an_item_is_kept_as_long_as_a_read_may_see_it() -> None:
    """No longer: another item may come to lie where it lay, and must not be taken for as large."""
    seconds = [0.0]
    client = made(now=lambda: seconds[0], memory_seconds=1.0)
    table = client.database.tables[PLAIN]
    for text in ("x", "xx" * 50, "y"):
        seconds[0] += 0.4
        put(client, id="a", text=text)
    put(client, id="b")

    assert [8, 107, 8, 3] == list(table.sizes.values())  # names and texts: 2 + 1 and 4 + 1; 2 + 1 and 4 + 100; 2 + 1
    seconds[0] += 5
    put(client, id="a", text="z")
    put(client, id="b", text="zz")
    seconds[0] += 5
    client.delete_item(TableName=PLAIN, Key=item(id="b"))
    put(client, id="a")
    assert [8, 9, 3] == list(table.sizes.values())  # what was replaced just now may still be seen
    standing = [version.item for slot in table.slots.values() for version in slot.versions if version.item]
    assert [8, 3, 9] == [table.size_of(each) for each in standing]
