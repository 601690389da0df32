"""The grammar as a JSON Schema (draft 2020-12), for editors: made of the same shapes that the loader reads with.

It is a little wider than the loader: what parts say of each other (a price book that is named, a minimum below its maximum)
only the loader checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.policy.event_patterns import EventPattern
from engine.policy.grammar import (
    DURATION,
    NAME,
    NUMBER,
    ByKind,
    Duration,
    Expression,
    Instant,
    Keys,
    ListOf,
    MapOf,
    Name,
    Number,
    Shape,
    Text,
    Word,
)
from engine.policy.loader import POLICY
from engine.policy.pricing import Rate, Selectors

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> Schema:
    """Return the JSON Schema of a policy file."""
    return {"$schema": DRAFT, "title": "Policy of the Credit Reconciler", **schema_of(POLICY)}


def schema_of(shape: Shape) -> Schema:
    """Return the JSON Schema of what may stand where ``shape`` stands."""
    return SCHEMAS[type(shape)](shape)


def _word(shape: Word) -> Schema:
    """A word of digits may be written without quotes, and is a number then."""
    return {"enum": [*shape.words, *(int(word) for word in shape.words if word.isdigit())]}


def _number(shape: Number) -> Schema:
    kind = "integer" if shape.whole else "number"
    bounds = {"minimum": float(shape.low), "maximum": float(shape.high)}
    return {"anyOf": [{"type": kind, **bounds}, {"type": "string", "pattern": _whole(NUMBER.pattern)}]}


def _list(shape: ListOf) -> Schema:
    return {"type": "array", "items": schema_of(shape.item), "minItems": shape.least}


def _map(shape: MapOf) -> Schema:
    return {"type": "object", "additionalProperties": schema_of(shape.value), "minProperties": shape.least}


def _keys(shape: Keys) -> Schema:
    return {
        "type": "object",
        "properties": {name: schema_of(key.shape) for name, key in shape.keys.items()},
        "required": [name for name, key in shape.keys.items() if key.is_required],
        "additionalProperties": False,
    }


def _whole(pattern: str) -> str:
    return f"^({pattern})$"


SCHEMAS: Mapping[type, Callable[[Any], Schema]] = {
    Text: lambda _: {"type": ["string", "number"]},
    Name: lambda _: {"type": "string", "pattern": _whole(NAME.pattern)},
    Word: _word,
    Number: _number,
    Instant: lambda _: {"type": "string", "format": "date-time"},
    Expression: lambda _: {"type": "string", "minLength": 1},
    EventPattern: lambda _: {"type": "object", "minProperties": 1},
    ListOf: _list,
    MapOf: _map,
    Keys: _keys,
    ByKind: lambda shape: {"anyOf": [schema_of(one) for one in shape.shapes()]},
    Duration: lambda _: {
        "type": "string",
        "pattern": _whole(DURATION.pattern.replace("?P<count>", "").replace("?P<unit>", "")),
    },
    Rate: lambda shape: schema_of(shape.shape),
    Selectors: lambda shape: schema_of(shape.shape),
}
"""What each shape is in a schema: a new shape is a line here."""
