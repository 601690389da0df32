"""The strict database reads expressions as DynamoDB does, and refuses those that it refuses.

Source: "Condition and filter expressions, operators, and functions", "Expression attribute names", "Expression attribute
values", "Reserved words" and the quotas on expression parameters, Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.database.words import RESERVED
from tests.simulation.things import PLAIN, case_id, get, item, made, put, refusal, values

STORED = {
    "id": "a",
    "n": 8,
    "s": "héllo",
    "b": b"\x00\xff",
    "t": True,
    "nothing": None,
    "colours": {"red", "green"},
    "things": ["x", 2, {"deep": "y"}],
    "box": {"part": {"n": 5}, "a.b": 1},
}

CONDITIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("n = :v", {"v": 8}, True),
    ("n = :v", {"v": 8.0}, True),
    ("n = :v", {"v": "8"}, False),
    ("n <> :v", {"v": "8"}, True),
    ("absent = :v", {"v": 8}, False),
    ("absent <> :v", {"v": 8}, True),
    ("absent < :v", {"v": 8}, False),
    ("NOT absent < :v", {"v": 8}, True),
    ("n < :v", {"v": 9}, True),
    ("n < :v", {"v": 10.5}, True),
    ("n >= :v", {"v": 8}, True),
    ("s > :v", {"v": "hz"}, True),  # é is 0xC3 in UTF-8, and z 0x7A
    ("s < :v", {"v": 9}, False),
    ("b < :v", {"v": b"\x01"}, True),
    ("n BETWEEN :low AND :high", {"low": 8, "high": 9}, True),
    ("n BETWEEN :low AND :high", {"low": 8.5, "high": 9}, False),
    ("n IN (:a, :b)", {"a": 7, "b": 8}, True),
    ("absent IN (:a)", {"a": 7}, False),
    ("things[0] = :v", {"v": "x"}, True),
    ("things[2].deep = :v", {"v": "y"}, True),
    ("things[9] = :v", {"v": "y"}, False),
    ("box.part.n = :v", {"v": 5}, True),
    ("n.part = :v", {"v": 5}, False),
    ("box = :v", {"v": {"a.b": 1, "part": {"n": 5}}}, True),
    ("colours = :v", {"v": {"green", "red"}}, True),
    ("attribute_exists(box.part)", {}, True),
    ("attribute_not_exists(box.more)", {}, True),
    ("attribute_exists(nothing)", {}, True),
    ("attribute_type(n, :v)", {"v": "N"}, True),
    ("attribute_type(nothing, :v)", {"v": "NULL"}, True),
    ("attribute_type(absent, :v)", {"v": "N"}, False),
    ("begins_with(s, :v)", {"v": "hé"}, True),
    ("begins_with(n, :v)", {"v": "8"}, False),
    ("contains(s, :v)", {"v": "llo"}, True),
    ("contains(colours, :v)", {"v": "red"}, True),
    ("contains(things, :v)", {"v": 2}, True),
    ("contains(things, :v)", {"v": "2"}, False),
    ("size(s) = :v", {"v": 5}, True),
    ("size(b) = :v", {"v": 2}, True),
    ("size(colours) = :v", {"v": 2}, True),
    ("size(things) = :v", {"v": 3}, True),
    ("size(box) = :v", {"v": 2}, True),
    ("size(n) = :v", {"v": 1}, False),
    ("size(absent) < :v", {"v": 1}, False),
    ("n = :no AND s = :no OR t = :yes", {"no": 0, "yes": True}, True),  # AND binds first
    ("t = :yes OR n = :no AND s = :no", {"no": 0, "yes": True}, True),
    ("(t = :yes OR n = :no) AND s = :no", {"no": 0, "yes": True}, False),
    ("NOT n = :no AND n = :no", {"no": 0}, False),  # NOT binds before AND
    ("NOT (n = :no AND n = :no2)", {"no": 0, "no2": 1}, True),
    ("not n = :no and t = :yes", {"no": 0, "yes": True}, True),  # words in any case
]


@pytest.mark.parametrize(("condition", "places", "holds"), CONDITIONS, ids=case_id)
def test_a_condition_is_true_or_false_of_an_item(condition: str, places: dict[str, Any], *, holds: bool) -> None:
    """Comparisons only within one kind; what is not there equals nothing; NOT before AND before OR."""
    client = made()
    put(client, **STORED)
    request = {"TableName": PLAIN, "Key": item(id="a"), "ConditionExpression": condition}
    request |= {"ExpressionAttributeValues": values(**places)} if places else {}

    if holds:
        client.delete_item(**request)
        assert get(client) is None
    else:
        assert refusal(client.delete_item, **request).startswith("ConditionalCheckFailedException")
        assert item(**STORED) == get(client)
    assert [] == client.database.validation_errors


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("", {}, "The expression can not be empty"),
    ("   ", {}, "The expression can not be empty"),
    ("n = ", {"v": 1}, 'Syntax error; token: "<EOF>"'),
    ("n == :v", {"v": 1}, 'Syntax error; token: "="'),
    ("n = 5", {}, 'Syntax error; token: "5"'),
    ("n = 'a'", {}, 'Syntax error; token: "\'"'),
    ("n = :v extra", {"v": 1}, 'Syntax error; token: "extra"'),
    ("n = :v AND", {"v": 1}, 'Syntax error; token: "<EOF>"'),
    ("(n = :v", {"v": 1}, 'Syntax error; token: "<EOF>"'),
    ("n", {}, 'Syntax error; token: "<EOF>"'),
    (":v", {"v": 1}, 'Syntax error; token: "<EOF>"'),
    ("a-b = :v", {"v": 1}, 'Syntax error; token: "-"'),
    ("things[x] = :v", {"v": 1}, 'Syntax error; token: "x"'),
    ("n IN ()", {}, 'Syntax error; token: ")"'),
    ("((n = :v))", {"v": 1}, "The expression has redundant parentheses"),
    ("status = :v", {"v": 1}, "Attribute name is a reserved keyword; reserved keyword: status"),
    ("box.Name = :v", {"v": 1}, "Attribute name is a reserved keyword; reserved keyword: Name"),
    ("n = n", {}, "The first operand must be distinct from the remaining operands"),
    ("n = :v", {}, "An expression attribute value used in expression is not defined; attribute value: :v"),
    ("#n = :v", {"v": 1}, "An expression attribute name used in the document path is not defined; attribute name: #n"),
    ("n = :v", {"v": 1, "w": 2}, "ExpressionAttributeValues unused in expressions: keys: {:w}"),
    ("Attribute_exists(n)", {}, "Invalid function name; function: Attribute_exists"),
    ("attribute_exists(:v)", {"v": "n"}, "requires a document path; operator or function: attribute_exists"),
    ("attribute_exists(n, s)", {}, "Incorrect number of operands for operator or function"),
    ("size(n)", {}, "The function is not allowed to be used this way"),
    ("n < :v", {"v": True}, "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
    ("n >= :v", {"v": ["a"]}, "operator or function: >=, operand type: L"),
    ("n BETWEEN :a AND :b", {"a": 1, "b": "2"}, "requires same data type for lower and upper bounds"),
    ("n BETWEEN :a AND :b", {"a": 2, "b": 1}, "requires upper bound to be greater than or equal to lower bound"),
    ("begins_with(s, :v)", {"v": 1}, "operator or function: begins_with, operand type: N"),
    ("attribute_type(n, :v)", {"v": "NUMBER"}, "Invalid attribute type name found; type: NUMBER"),
    ("attribute_type(n, :v)", {"v": 1}, "operator or function: attribute_type"),
    ("size(:v) = :v", {"v": 1}, "operator or function: size, operand type: N"),
    (".".join(["n"] * 33) + " = :v", {"v": 1}, "too many nesting elements"),
    (f"n = :v OR {'x' * 4090} = :v", {"v": 1}, "Expression size has exceeded the maximum allowed size"),
    (" OR ".join(["n=:v"] * 151), {"v": 1}, "too many operators"),
    (f"n IN ({','.join(f':v{i}' for i in range(101))})", {f"v{i}": i for i in range(101)}, "number of operands: 101"),
    ("(" * 2000 + "n = :v", {"v": 1}, "ConditionExpression"),
]


@pytest.mark.parametrize(("condition", "places", "problem"), REFUSED, ids=case_id)
def test_an_expression_that_aws_refuses_is_refused_and_counted(condition: str, places: dict[str, Any], problem: str) -> None:
    """Grammar, reserved words, places that are unused or undefined, kinds of operands, sizes: whatever the item is."""
    client = made()
    request = {"TableName": PLAIN, "Key": item(id="a"), "ConditionExpression": condition}
    request |= {"ExpressionAttributeValues": values(**places)} if places else {}

    said = refusal(client.delete_item, **request)

    assert said.startswith("ValidationException: ")
    assert problem in said
    assert 1 == len(client.database.validation_errors)


def test_100_operands_of_in_and_4_kb_are_taken() -> None:
    """The largest that the quotas allow."""
    client = made()
    put(client, id="a", n=99)
    places = {f"v{number}": number for number in range(100)}
    condition = f"n IN ({', '.join(f':{place}' for place in places)})"

    client.delete_item(
        TableName=PLAIN,
        Key=item(id="a"),
        ConditionExpression=condition + " " * (4096 - len(condition)),
        ExpressionAttributeValues=values(**places),
    )

    assert get(client) is None


NAMES: list[tuple[dict[str, Any], str]] = [
    ({"ExpressionAttributeNames": {"#n": "n"}}, "ExpressionAttributeNames can only be specified when using expressions"),
    ({"ProjectionExpression": "n", "ExpressionAttributeNames": {}}, "ExpressionAttributeNames must not be empty"),
    ({"ProjectionExpression": "n", "ExpressionAttributeNames": {"#n": "n"}}, "unused in expressions: keys: {#n}"),
    ({"ProjectionExpression": "n", "ExpressionAttributeNames": {"n": "n"}}, 'invalid key: Syntax error; key: "n"'),
    ({"ProjectionExpression": "n, box.part, n"}, "Two document paths overlap with each other"),
    ({"ProjectionExpression": "box, box.part"}, "Two document paths overlap with each other"),
    ({"ProjectionExpression": "box[0], box.part"}, "Two document paths conflict with each other"),
    ({"ProjectionExpression": "#" + "n" * 255, "ExpressionAttributeNames": {"#" + "n" * 255: "n"}}, "its size exceeds 255"),
    ({"ProjectionExpression": "date"}, "reserved keyword: date"),
]


@pytest.mark.parametrize(("parameters", "problem"), NAMES, ids=case_id)
def test_names_are_defined_and_used_and_projections_do_not_overlap(parameters: dict[str, Any], problem: str) -> None:
    """By the pages on names and on projections."""
    client = made()

    assert problem in refusal(client.get_item, TableName=PLAIN, Key=item(id="a"), **parameters)


def test_a_projection_shows_what_stands_at_its_paths() -> None:
    """Nested paths keep their place within maps; elements of a list move together."""
    client = made()
    put(client, **STORED)
    names = {"#s": "s", "#odd": "a.b"}

    found = client.get_item(
        TableName=PLAIN,
        Key=item(id="a"),
        ProjectionExpression="#s, box.#odd, things[2], things[0], absent, box.absent",
        ExpressionAttributeNames=names,
    )["Item"]

    assert item(s="héllo", box={"a.b": 1}, things=["x", {"deep": "y"}]) == found


def test_the_reserved_words_are_those_of_the_page() -> None:
    """573 of them, from the first to the last; the product's own places are among them."""
    assert 573 == len(RESERVED)
    assert {"ABORT", "ZONE", "REFERENCE", "SEQUENCE", "STATUS", "TYPE", "USER", "SOURCE", "RULE"} <= RESERVED
    assert not {"REMAINING", "POSTED", "JOBID", "USERID", "AMOUNT", "VERSION", "EXPLANATION"} & RESERVED
