"""What a table is: its key, its indexes, and what a key must be to be one.

Source: "Quotas" (partition keys and sort keys) and CreateTable, Amazon DynamoDB Developer Guide and API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from attrs import Factory, frozen

from tests.simulation.database.errors import Invalid, InvalidForItem, Malformed
from tests.simulation.database.values import INVALID, Item, kept, value_bytes

HASH_BYTES_MAX, RANGE_BYTES_MAX = 2048, 1024
KEY_KINDS = frozenset({"S", "N", "B"})
EMPTY_KEY = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty"
NOT_THE_SCHEMA = "The provided key element does not match the schema"

type Key = tuple[str, ...]
"""The contents of a key's values, the hash key's first."""


@frozen
class KeySchema:
    """The attributes of a key with their kinds, the hash key first."""

    kinds: Mapping[str, str]

    @classmethod
    def of(cls, elements: list[Mapping[str, str]], definitions: list[Mapping[str, str]]) -> Self:
        """Return the schema that a request to make a table describes. Raises Invalid."""
        kinds = {each["AttributeName"]: each["AttributeType"] for each in definitions}
        roles = [each["KeyType"] for each in elements]
        if roles not in (["HASH"], ["HASH", "RANGE"]):
            raise Invalid(f"{INVALID}a key has a HASH element and at most one RANGE element behind it, not {roles}")
        try:
            return cls({each["AttributeName"]: kinds[each["AttributeName"]] for each in elements})
        except KeyError as error:
            raise Invalid(f"{INVALID}Some index key attributes are not defined in AttributeDefinitions: {error}") from error

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.kinds)

    def of_item(self, item: Mapping[str, Any]) -> Key | None:
        """Return the key of an item as it is kept, or None where it has none of this kind."""
        key = []
        for name, kind in self.kinds.items():
            if (value := item.get(name)) is None or kind not in value:
                return None
            key.append(value[kind])
        return tuple(key)

    def as_item(self, key: Key) -> Item:
        """Return a key as attribute values."""
        return {name: {kind: part} for (name, kind), part in zip(self.kinds.items(), key, strict=True)}

    def given(self, key: Any) -> Key:
        """Return the key that a request gives. Raises Invalid or Malformed."""
        if not isinstance(key, dict):
            raise Malformed("Unexpected value type in payload")
        whole = {name: kept(value) for name, value in key.items()}
        if whole.keys() != self.kinds.keys() or any(kind not in whole[name] for name, kind in self.kinds.items()):
            raise InvalidForItem(NOT_THE_SCHEMA)
        self.check_sizes(whole)
        return tuple(whole[name][kind] for name, kind in self.kinds.items())

    def check_item(self, item: Mapping[str, Any]) -> None:
        """Refuse an item that is to be put whole and has not this key."""
        for name, kind in self.kinds.items():
            if name not in item:
                raise InvalidForItem(f"{INVALID}Missing the key {name} in the item")
            if kind not in item[name]:
                actual = next(iter(item[name]))
                raise InvalidForItem(f"{INVALID}Type mismatch for key {name} expected: {kind} actual: {actual}")
        self.check_sizes(item)

    def check_sizes(self, item: Mapping[str, Any]) -> None:
        """Refuse values of a key that are empty or too long."""
        for name, role, most in zip(self.kinds, ("hashkey", "rangekey"), (HASH_BYTES_MAX, RANGE_BYTES_MAX), strict=False):
            size = value_bytes(item[name])
            if not size:
                what = "string" if "S" in item[name] else "binary"
                raise InvalidForItem(f"{EMPTY_KEY} {what} value. Key: {name}")
            if size > most:
                raise InvalidForItem(f"{INVALID}Size of {role} has exceeded the maximum size limit of {most} bytes")


@frozen
class Index:
    """A global secondary index: its key, and what of an item it shows (None: all)."""

    name: str
    key: KeySchema
    shows: frozenset[str] | None
    description: Mapping[str, Any]

    def check_item(self, item: Mapping[str, Any]) -> None:
        """Refuse an item whose attribute cannot be this index's key; an item without it is only not in the index."""
        for (name, kind), most in zip(self.key.kinds.items(), (HASH_BYTES_MAX, RANGE_BYTES_MAX), strict=False):
            if (value := item.get(name)) is None:
                continue
            if kind not in value:
                said = f"Type mismatch for Index Key {name} Expected: {kind} Actual: {next(iter(value))}"
                raise InvalidForItem(f"{INVALID}{said} IndexName: {self.name}")
            if not (size := value_bytes(value)):
                raise InvalidForItem(f"{EMPTY_KEY} string value. IndexName: {self.name}, IndexKey: {name}")
            if size > most:
                said = f"Size of key {name} has exceeded the maximum size limit of {most} bytes"
                raise InvalidForItem(f"{INVALID}{said} IndexName: {self.name}")

    def shown(self, item: Item) -> Item:
        """Return what the index holds of an item."""
        return item if self.shows is None else {name: item[name] for name in item if name in self.shows}


@frozen
class TableSchema:
    """A table's key and indexes, and how its maker described it."""

    name: str
    key: KeySchema
    indexes: Mapping[str, Index] = Factory(dict)
    described: Mapping[str, Any] = Factory(dict)

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Self:
        """Return the table that CreateTable describes. Raises Invalid."""
        definitions = request["AttributeDefinitions"]
        key = KeySchema.of(request["KeySchema"], definitions)
        indexes = {each["IndexName"]: _index(each, key, definitions) for each in request.get("GlobalSecondaryIndexes") or ()}
        used = {name for schema in (key, *(index.key for index in indexes.values())) for name in schema.names}
        if used != {each["AttributeName"] for each in definitions}:
            raise Invalid(f"{INVALID}Number of attributes in KeySchema does not exactly match those in AttributeDefinitions")
        return cls(request["TableName"], key, indexes, dict(request))


def _index(description: Mapping[str, Any], table: KeySchema, definitions: list[Mapping[str, str]]) -> Index:
    key = KeySchema.of(description["KeySchema"], definitions)
    projection = description["Projection"]
    shows = {*key.names, *table.names, *projection.get("NonKeyAttributes", ())}
    is_whole = projection["ProjectionType"] == "ALL"
    return Index(description["IndexName"], key, None if is_whole else frozenset(shows), description)
