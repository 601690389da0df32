"""Python values and DynamoDB's, there and back, with every digit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.ledger.dynamodb.attributes import decode, encode, encode_item

THERE_AND_BACK: list[tuple[Any, dict[str, Any]]] = [
    ("text", {"S": "text"}),
    ("", {"S": ""}),
    (True, {"BOOL": True}),
    (False, {"BOOL": False}),
    (None, {"NULL": True}),
    (8, {"N": "8"}),
    (-8, {"N": "-8"}),
    (0, {"N": "0"}),
    (Decimal("0.1"), {"N": "0.1"}),
    (Decimal("-0.0001"), {"N": "-0.0001"}),
    (Decimal("1234567890123456789012345678901234.5678"), {"N": "1234567890123456789012345678901234.5678"}),
    (10**37, {"N": "1" + "0" * 37}),
    (["a", 1, [True]], {"L": [{"S": "a"}, {"N": "1"}, {"L": [{"BOOL": True}]}]}),
    ({"a": {"b": Decimal("1.5")}}, {"M": {"a": {"M": {"b": {"N": "1.5"}}}}}),
]


@pytest.mark.parametrize(("value", "attribute"), THERE_AND_BACK)
def test_a_value_goes_there_and_back(value: Any, attribute: dict[str, Any]) -> None:
    """Nothing is rounded, and a boolean is no number."""
    assert attribute == encode(value)
    assert value == decode(attribute)
    assert type(value) is type(decode(attribute))


@pytest.mark.parametrize(
    ("number", "text"),
    [("0.8000", "0.8"), ("-0", "0"), ("0.0000", "0"), ("1E+3", "1000"), ("1E+100", "1E+100"), ("1.50E-60", "1.5E-60")],
)
def test_a_number_is_sent_as_dynamodb_gives_it_back(number: str, text: str) -> None:
    """So that an entry which is read again equals the one that was sent."""
    assert {"N": text} == encode(Decimal(number))


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ({"N": "8.0"}, 8),
        ({"N": "1E+100"}, Decimal("1E+100")),
        ({"SS": ["b", "a"]}, ["a", "b"]),
        ({"NS": ["10", "9"]}, [9, 10]),
        ({"B": b"\x00\x01"}, "AAE="),
        ({"BS": [b"b", b"a"]}, ["YQ==", "Yg=="]),
    ],
)
def test_what_an_application_may_have_stored_becomes_json(attribute: dict[str, Any], value: Any) -> None:
    """A row of Jobs is read as the detail of an event, whatever else is in it."""
    assert value == decode(attribute)


def test_what_has_no_form_in_dynamodb_is_refused() -> None:
    """A binary float, above all: it would not be the number that was meant."""
    with pytest.raises(TypeError, match="float has no form in DynamoDB"):
        encode(0.1)


def test_an_attribute_that_is_none_is_left_out_of_an_item() -> None:
    """An entry without a price has no attribute for one."""
    assert {"a": {"N": "1"}} == encode_item({"a": 1, "b": None})
