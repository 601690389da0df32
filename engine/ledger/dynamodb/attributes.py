"""Python values <-> DynamoDB attribute values. Numbers stay exact: never a binary float.

boto3 has a serializer of its own; this one spares the hot function the import of boto3's resource layer.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from engine.domain.money import EXACT

DIGITS_MAX = 38
"""The significant digits of a number of DynamoDB."""

INT_END = 10**DIGITS_MAX

AttributeValue = Mapping[str, Any]
Item = Mapping[str, AttributeValue]


def encode(value: object) -> dict[str, Any]:
    """Return ``value`` (str, bool, int, Decimal, None, mapping, list or tuple) as an attribute value."""
    encoder = ENCODERS.get(value.__class__) or _encoder_of(value)
    return encoder(value)


def _encoder_of(value: object) -> Callable[[Any], dict[str, Any]]:
    """Return the encoder of a value whose class is a kind of one that is known."""
    for kind, encoder in (*ENCODERS.items(), (Mapping, ENCODERS[dict])):
        if isinstance(value, kind):
            return encoder
    raise TypeError(f"{type(value).__name__} has no form in DynamoDB")


def encode_item(attributes: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Return an item; an attribute that is None is left out."""
    return {
        name: {"S": value} if value.__class__ is str else (ENCODERS.get(value.__class__) or _encoder_of(value))(value)
        for name, value in attributes.items()
        if value is not None
    }


def decode(attribute: AttributeValue) -> Any:
    """Return an attribute value as JSON-like Python: whole numbers as int, others as Decimal; sets as sorted lists."""
    ((kind, value),) = attribute.items()
    return DECODERS[kind](value)


def decode_item(item: Item) -> dict[str, Any]:
    """Return all attributes of an item, decoded."""
    decoded = {}
    for name, attribute in item.items():
        ((kind, value),) = attribute.items()
        decoded[name] = value if kind == "S" else DECODERS[kind](value)  # most are strings
    return decoded


def _canonical(number: Decimal) -> str:
    """Return a number as DynamoDB itself would give it back, so that what was stored equals what was sent."""
    if not number:
        return "0"
    shortest = number.normalize(EXACT)
    text = str(shortest)
    return format(shortest, "f") if "E" in text and abs(shortest.adjusted()) < DIGITS_MAX else text


def _encode_decimal(number: Decimal) -> dict[str, Any]:
    return {"N": _canonical(number)}


def _encode_int(number: int) -> dict[str, Any]:
    return {"N": str(number) if -INT_END < number < INT_END else _canonical(Decimal(number))}


def _encode_list(values: list[object] | tuple[object, ...]) -> dict[str, Any]:
    return {"L": [encode(value) for value in values]}


ENCODERS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    str: lambda value: {"S": value},
    bool: lambda value: {"BOOL": value},
    int: _encode_int,
    Decimal: _encode_decimal,
    type(None): lambda _: {"NULL": True},
    dict: lambda value: {"M": encode_item(value)},
    list: _encode_list,
    tuple: _encode_list,
}
"""By the class of a value: an entry has twenty of them, so that no chain of tests is gone through for each."""


def _number(text: str) -> int | Decimal:
    if len(text) <= DIGITS_MAX and text.isdecimal():
        return int(text)  # as most are: a row of Jobs is decoded in half the time
    number = Decimal(text)
    is_whole = number == number.to_integral_value() and number.adjusted() < DIGITS_MAX
    return int(number) if is_whole else number


def _binary(value: bytes | str) -> str:
    """Botocore decodes binary values, the wire leaves them as they come."""
    return value if isinstance(value, str) else base64.b64encode(value).decode()


DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "S": str,
    "N": _number,
    "BOOL": bool,
    "NULL": lambda _: None,
    "M": decode_item,
    "L": lambda values: [decode(value) for value in values],
    "B": _binary,
    "SS": sorted,
    "NS": lambda values: sorted(_number(value) for value in values),
    "BS": lambda values: sorted(_binary(value) for value in values),
}
