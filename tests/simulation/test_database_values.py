"""The strict database keeps what DynamoDB keeps, in its form, and refuses what it refuses.

Source of every limit: "Quotas" and "Naming rules and data types", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.ledger.dynamodb.attributes import encode
from tests.simulation.database.digits import canonical, summed
from tests.simulation.database.errors import Invalid
from tests.simulation.database.values import item_bytes, kept
from tests.simulation.things import PLAIN, SORTED, av, case_id, get, item, made, put, refusal

NINES = "9" * 38


@pytest.mark.parametrize(
    ("sent", "kept_as"),
    [
        ("0", "0"), ("-0", "0"), ("0.000", "0"), ("0e500", "0"), ("007", "7"), ("+7", "7"), ("7.", "7"), (".5", "0.5"),
        ("1.500", "1.5"), ("-1.50", "-1.5"), ("1e3", "1000"), ("1E-3", "0.001"), ("12e-1", "1.2"), (NINES, NINES),
        ("1e125", "1" + "0" * 125), ("1e-130", "0." + "0" * 129 + "1"),
        (NINES + "e88", NINES + "0" * 88),
    ],
)  # fmt: skip
def test_a_number_loses_the_zeroes_at_its_ends(sent: str, kept_as: str) -> None:
    """Leading and trailing zeroes are trimmed."""
    assert kept_as == canonical(sent)
    assert kept_as == canonical(kept_as)


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ("1e126", "Number overflow"),
        ("-1e126", "Number overflow"),
        ("1" + "0" * 126, "Number overflow"),
        ("1e-131", "Number underflow"),
        ("1e999999999999999999", "Number overflow"),
        ("1" * 39, "more than 38 significant digits"),
        ("1." + "1" * 38, "more than 38 significant digits"),
        ("", "cannot be converted to a numeric value"),
        (" 1", "cannot be converted"),
        ("1_000", "cannot be converted"),
        ("0x1", "cannot be converted"),
        ("NaN", "cannot be converted"),
        ("Infinity", "cannot be converted"),
        ("\u0661", "cannot be converted"),
        ("1e9999999999999999999", "cannot be converted"),
    ],
)
def test_a_number_out_of_range_or_of_another_form_is_refused(sent: str, problem: str) -> None:
    """38 digits; 1E-130 to 9.9999999999999999999999999999999999999E+125, and the same below zero."""
    with pytest.raises(Invalid, match=problem):
        canonical(sent)


def test_a_sum_is_exact_or_refused() -> None:
    """A number is decimal, and more than 38 digits "results in an exception"."""
    assert "0.3" == summed("0.1", "0.2")
    assert "0" == summed("5", "5", -1)
    with pytest.raises(Invalid, match="38 significant digits"):
        summed("1e38", "0.1")
    with pytest.raises(Invalid, match="Number overflow"):
        summed("9e125", "9e125")


@pytest.mark.parametrize("number", [0, 8, -25, 10**37, 12345678901234567890])
def test_the_product_sends_numbers_as_they_are_kept(number: int) -> None:
    """What is read back equals what was sent, so that an entry can be compared with itself."""
    assert encode(number) == kept(encode(number))


def nested(levels: int) -> Any:
    """Return a list within lists, whose innermost value lies at this level."""
    return [] if levels == 1 else [nested(levels - 1)]


REFUSED_VALUES: list[tuple[Any, str]] = [
    ({}, "ValidationException: Supplied AttributeValue is empty"),
    ({"X": "a"}, "ValidationException: Supplied AttributeValue is empty"),
    ({"S": "a", "N": "1"}, "ValidationException: Supplied AttributeValue has more than one datatypes set"),
    ({"S": 5}, "SerializationException"),
    ({"N": 5}, "SerializationException"),
    ({"BOOL": "true"}, "SerializationException"),
    ({"L": {}}, "SerializationException"),
    ({"M": []}, "SerializationException"),
    ("a", "SerializationException"),
    ({"B": "not base64!"}, "SerializationException"),
    ({"NULL": False}, "ValidationException: One or more parameter values were invalid: Null attribute value types"),
    ({"SS": []}, "ValidationException: One or more parameter values were invalid: An string set may not be empty"),
    ({"SS": ["a", "a"]}, "contains duplicates"),
    ({"NS": ["1", "1.0"]}, "contains duplicates"),
    ({"S": "\ud800"}, "has no form in UTF-8"),
    ({"M": {"\udfff": {"S": "a"}}}, "has no form in UTF-8"),
    ({"M": {"": {"S": "a"}}}, "Empty attribute name"),
    (av(nested(33)), "Nesting Levels have exceeded supported limits"),
]


@pytest.mark.parametrize(("value", "problem"), REFUSED_VALUES, ids=case_id)
def test_what_is_no_value_is_refused_and_counted(value: Any, problem: str) -> None:
    """One kind of data for each value, 32 levels, sets of different members, and texts in UTF-8."""
    client = made()

    assert problem in refusal(client.put_item, TableName=PLAIN, Item={"id": av("a"), "value": value})

    assert 1 == len(client.database.validation_errors)
    assert get(client) is None


@pytest.mark.parametrize(
    "value", ["", b"", [], {}, {"a": [None, True, 1.5, {"b": "c"}]}, {"x", "y"}, "a\0b", "\U0001f600", nested(32)], ids=case_id
)
def test_every_other_value_comes_back(value: Any) -> None:
    """Empty texts are allowed where no key needs them; empty lists and maps too."""
    client = made()

    put(client, id="a", value=value)

    assert item(id="a", value=value) == get(client)


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ({"shirt-color": "R", "shirt-size": "M"}, 23),  # the documentation's own example
        ({"a": "é"}, 3),
        ({"a": True, "b": None}, 4),
        ({"a": 12.5}, 4),
        ({"a": -1000}, 4),
        ({"a": []}, 4),
        ({"a": ["b"]}, 6),
        ({"a": {"b": "c"}}, 7),
        ({"a": {"bc", "d"}}, 4),
        ({"a": b"xyz"}, 4),
    ],
)
def test_an_item_is_measured_as_documented(attributes: dict[str, Any], size: int) -> None:
    """Names and values in UTF-8; half a byte a digit and one more; three bytes for a list or map, one for each element."""
    assert size == item_bytes(item(**attributes))


def test_an_item_has_at_most_400_kb() -> None:
    """Names count too: "id", "a" and "text" are seven bytes beside the text."""
    client = made()
    most = 400 * 1024 - 7

    put(client, id="a", text="x" * most)
    said = refusal(client.put_item, TableName=PLAIN, Item=item(id="a", text="x" * (most + 1)))

    assert "ValidationException: Item size has exceeded the maximum allowed size" == said
    assert item(id="a", text="x" * most) == get(client)


KEYS: list[tuple[str, dict[str, Any], str]] = [
    (PLAIN, {}, "Missing the key id in the item"),
    (PLAIN, {"id": 5}, "Type mismatch for key id expected: S actual: N"),
    (PLAIN, {"id": ""}, "cannot contain an empty string value. Key: id"),
    (PLAIN, {"id": "x" * 2049}, "Size of hashkey has exceeded the maximum size limit of 2048 bytes"),
    (PLAIN, {"id": "é" * 1025}, "Size of hashkey has exceeded the maximum size limit of 2048 bytes"),
    (SORTED, {"log": "a"}, "Missing the key entry in the item"),
    (SORTED, {"log": "a", "entry": "1"}, "Type mismatch for key entry expected: N actual: S"),
    (SORTED, {"log": "a", "entry": 1, "owner1": 5}, "Type mismatch for Index Key owner1 Expected: S Actual: N"),
    (SORTED, {"log": "a", "entry": 1, "owner1": ""}, "cannot contain an empty string value. IndexName: ByOwner"),
    (SORTED, {"log": "a", "entry": 1, "at1": "x" * 1025}, "has exceeded the maximum size limit of 1024 bytes"),
]


@pytest.mark.parametrize(("table", "attributes", "problem"), KEYS, ids=case_id)
def test_what_can_be_no_key_is_refused(table: str, attributes: dict[str, Any], problem: str) -> None:
    """A partition key has 1 to 2,048 bytes and a sort key 1 to 1,024, of the kind that the table says; an index's too."""
    client = made()

    assert problem in refusal(client.put_item, TableName=table, Item=item(**attributes))
    assert 1 == len(client.database.validation_errors)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ({}, "The provided key element does not match the schema"),
        ({"id": 5}, "The provided key element does not match the schema"),
        ({"id": "a", "more": "b"}, "The provided key element does not match the schema"),
        ({"id": ""}, "cannot contain an empty string value. Key: id"),
        ({"id": "x" * 2049}, "Size of hashkey"),
    ],
    ids=case_id,
)
@pytest.mark.parametrize("operation", ["get_item", "update_item", "delete_item"])
def test_a_key_has_the_table_s_attributes_and_no_other(operation: str, key: dict[str, Any], problem: str) -> None:
    """In every operation that names an item."""
    client = made()

    assert problem in refusal(getattr(client, operation), TableName=PLAIN, Key=item(**key))


SHAPES: list[tuple[str, dict[str, Any], str]] = [
    ("get_item", {"TableName": PLAIN}, "Value null at 'key' failed to satisfy constraint: Member must not be null"),
    ("get_item", {"TableName": PLAIN, "Key": item(id="a"), "Consistent": True}, "members that the service does not know"),
    ("get_item", {"TableName": PLAIN, "Key": item(id="a"), "ConsistentRead": "yes"}, "SerializationException"),
    ("scan", {"TableName": PLAIN, "Limit": 0}, "'limit' failed to satisfy constraint: Member must have value greater"),
    ("scan", {"TableName": PLAIN, "Select": "ALL"}, "Member must satisfy enum value set"),
    ("scan", {"TableName": PLAIN, "TotalSegments": 1_000_001, "Segment": 0}, "less than or equal to 1000000"),
    ("scan", {"TableName": ""}, "'tableName' failed to satisfy constraint"),
    ("batch_get_item", {"RequestItems": {}}, "Member must have length greater than or equal to 1"),
    ("transact_write_items", {"TransactItems": []}, "Member must have length greater than or equal to 1"),
    ("put_item", {"TableName": PLAIN, "Item": item(id="a"), "ReturnValues": "ALL_NEW"}, "ReturnValues can only be ALL_OLD"),
    ("put_item", {"TableName": PLAIN, "Item": item(id="a"), "Expected": {}}, "are not served; write an expression"),
]


@pytest.mark.parametrize(("operation", "request_", "problem"), SHAPES, ids=case_id)
def test_a_request_has_the_shape_of_its_operation(operation: str, request_: dict[str, Any], problem: str) -> None:
    """By the service's own model: members, kinds, bounds, words."""
    client = made()

    assert problem in refusal(getattr(client, operation), **request_)
    assert 1 == len(client.database.validation_errors)


def test_a_table_that_is_not_there_is_no_senseless_request() -> None:
    """ResourceNotFoundException: a table may be made later."""
    client = made()

    assert "ResourceNotFoundException" in refusal(client.get_item, TableName="Nowhere", Key=item(id="a"))
    assert [] == client.database.validation_errors
