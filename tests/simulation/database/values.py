"""Attribute values: what may be one, the form in which it is kept, how large it is and how two of them compare.

Source: "Naming rules and data types", "Quotas" and "DynamoDB item sizes and formats", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tests.simulation.database.digits import bytes_of, canonical, number_of
from tests.simulation.database.errors import Invalid, Malformed

type Value = dict[str, Any]
"""An attribute value in DynamoDB's own JSON: {"S": "a"}."""
type Item = dict[str, Value]

LEVELS_MAX = 32
ITEM_BYTES_MAX = 400 * 1024
NAME_BYTES_MAX = 65535
CONTAINER_BYTES, ELEMENT_BYTES = 3, 1
"""A list or a map takes three bytes, and each of its elements one more."""

INVALID = "One or more parameter values were invalid: "
NESTING = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
SEVERAL = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
ITEM_TOO_LARGE = "Item size has exceeded the maximum allowed size"


# --- the form that is kept ---


def kept_item(item: Any) -> Item:
    """Return an item as the database keeps it, a copy. Raises Invalid or Malformed."""
    if not isinstance(item, dict):
        raise Malformed("Start of structure or map found where not expected")
    return {_name(name): kept(value) for name, value in item.items()}


def kept(value: Any, level: int = 1) -> Value:
    """Return a value as the database keeps it, a copy: numbers trimmed, sets in order. Raises Invalid or Malformed."""
    if not isinstance(value, dict):
        raise Malformed("Unexpected value type in payload")
    if level > LEVELS_MAX:
        raise Invalid(NESTING)
    if len(value) != 1:
        raise Invalid(SEVERAL if value else EMPTY)
    ((kind, content),) = value.items()
    if kind == "S":  # most are
        return {"S": text_of(content)}
    if (keeper := KEEPERS.get(kind)) is None:
        raise Invalid(EMPTY)
    return {kind: keeper(content, level)}


def text_of(text: Any) -> str:
    """Return a text. Raises Malformed for what is none, Invalid for one that has no form in UTF-8."""
    if not isinstance(text, str):
        raise Malformed(f"{type(text).__name__} can not be converted to a String")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Invalid(f"{INVALID}a string has no form in UTF-8: {error.reason}") from error
    return text


def _name(name: Any) -> str:
    if not 0 < len(text_of(name).encode()) <= NAME_BYTES_MAX:
        raise Invalid("Empty attribute name" if not name else "Attribute name is too large, must be less than 65536 bytes")
    return str(name)


def _number(text: Any, _level: int = 0) -> str:
    return canonical(text_of(text))


def _binary(content: Any, _level: int = 0) -> str:
    """Botocore hands over bytes where no wire lies between; in JSON they are base64."""
    if isinstance(content, bytes):
        return base64.b64encode(content).decode()
    try:
        return base64.b64encode(base64.b64decode(text_of(content), validate=True)).decode()
    except binascii.Error as error:
        raise Malformed("Invalid Base64") from error


def _bool(content: Any, _level: int) -> bool:
    if not isinstance(content, bool):
        raise Malformed("Unexpected token received from parser")
    return content


def _null(content: Any, _level: int) -> bool:
    if not _bool(content, 0):
        raise Invalid(f"{INVALID}Null attribute value types must have the value of true")
    return True


def _list(content: Any, level: int) -> list[Value]:
    return [kept(one, level + 1) for one in _sequence(content)]


def _map(content: Any, level: int) -> Item:
    if not isinstance(content, dict):
        raise Malformed("Unexpected value type in payload")
    return {_name(name): kept(value, level + 1) for name, value in content.items()}


def _set(keeper: Callable[[Any], str], order: Callable[[str], Any], told: str) -> Callable[[Any, int], list[str]]:
    def keep(content: Any, _level: int) -> list[str]:
        members = [keeper(one) for one in _sequence(content)]
        if not members:
            raise Invalid(f"{INVALID}An {told} set may not be empty")
        if len(set(members)) < len(members):
            raise Invalid(f"{INVALID}Input collection {members} contains duplicates.")
        return sorted(members, key=order)

    return keep


def _sequence(content: Any) -> list[Any]:
    if not isinstance(content, list | tuple):
        raise Malformed("Unexpected value type in payload")
    return list(content)


KEEPERS: Mapping[str, Callable[[Any, int], Any]] = {
    "S": lambda content, _level: text_of(content),
    "N": _number,
    "B": _binary,
    "BOOL": _bool,
    "NULL": _null,
    "L": _list,
    "M": _map,
    "SS": _set(text_of, str, "string"),
    "NS": _set(_number, number_of, "number"),
    "BS": _set(_binary, base64.b64decode, "binary"),
}
KINDS = frozenset(KEEPERS)
SETS = {"SS": "S", "NS": "N", "BS": "B"}
"""Each kind of set with the kind of its members."""


def copied(item: Item) -> Item:
    """Return a copy of an item that the database keeps, for somebody who may change it. Most values are a text or a number."""
    return {name: value.copy() if "S" in value or "N" in value else copied_value(value) for name, value in item.items()}


def copied_value(value: Value) -> Value:
    """Return a copy of a value."""
    ((kind, content),) = value.items()
    if kind == "M":
        return {kind: copied(content)}
    if kind == "L":
        return {kind: [copied_value(one) for one in content]}
    return {kind: [*content] if kind in SETS else content}


# --- sizes ---


def item_bytes(item: Mapping[str, Value]) -> int:
    """Return the bytes that an item takes: its names and its values."""
    return sum(_text_bytes(name) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Mapping[str, Any]) -> int:
    """Return the bytes that a value takes."""
    ((kind, content),) = value.items()
    return SIZES[kind](content)


def _text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


SIZES: Mapping[str, Callable[[Any], int]] = {
    "S": _text_bytes,
    "N": bytes_of,
    "B": lambda content: len(base64.b64decode(content)),
    "BOOL": lambda _: 1,
    "NULL": lambda _: 1,
    "L": lambda content: CONTAINER_BYTES + sum(value_bytes(one) + ELEMENT_BYTES for one in content),
    "M": lambda content: CONTAINER_BYTES + item_bytes(content) + ELEMENT_BYTES * len(content),
    "SS": lambda content: sum(map(_text_bytes, content)),
    "NS": lambda content: sum(map(bytes_of, content)),
    "BS": lambda content: sum(len(base64.b64decode(one)) for one in content),
}


# --- comparisons ---


def ordered(value: Mapping[str, Any]) -> tuple[str, str | Decimal | bytes] | None:
    """Return the kind of a value and what orders it among its kind: a text by its UTF-8 bytes. None for what has no order."""
    ((kind, content),) = value.items()
    if kind == "S":
        return kind, str(content)  # Python compares code points, whose order is the one of their UTF-8 bytes
    if kind == "N":
        return kind, number_of(content)
    return (kind, base64.b64decode(content)) if kind == "B" else None
