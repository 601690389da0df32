"""The grammar as a JSON Schema (draft 2020-12), for editors: made of the same shapes that the loader reads with.

It is a little wider than the loader: what parts say of each other (a price book that is named, a minimum below its maximum)
only the loader checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from engine.policy.words import ABOUT

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> Schema:
    """Return the JSON Schema of a policy file."""
    return {"$schema": DRAFT, "title": "Policy of the Credit Reconciler", **schema_of(POLICY, "")}


def schema_of(shape: Shape, path: str) -> Schema:
    """Return the JSON Schema of what may stand where ``shape`` stands; ``path`` are the keys to it, each with a dot."""
    return SCHEMAS[type(shape)](shape, path)


def key_paths(shape: Shape = POLICY, path: str = "") -> Iterator[str]:
    """Yield every key of the grammar with the keys that lead to it."""
    if isinstance(shape, Keys):
        for name, key in shape.keys.items():
            yield f"{path}{name}"
            yield from key_paths(key.shape, f"{path}{name}.")
    for part in PARTS.get(type(shape), lambda _: ())(shape):
        yield from key_paths(part, path)


PARTS: Mapping[type, Callable[[Any], tuple[Shape, ...]]] = {
    ListOf: lambda shape: (shape.item,),
    MapOf: lambda shape: (shape.value,),
    ByKind: ByKind.shapes,
}
"""The shapes inside a shape that is no mapping with known keys."""


def _word(shape: Word, _path: str) -> Schema:
    """A word of digits may be written without quotes, and is a number then."""
    return {"enum": [*shape.words, *(int(word) for word in shape.words if word.isdigit())]}


def _number(shape: Number, _path: str) -> Schema:
    kind = "integer" if shape.whole else "number"
    bounds = {"minimum": float(shape.low), "maximum": float(shape.high)}
    return {"anyOf": [{"type": kind, **bounds}, {"type": "string", "pattern": _whole(NUMBER.pattern)}]}


def _list(shape: ListOf, path: str) -> Schema:
    return {"type": "array", "items": schema_of(shape.item, path), "minItems": shape.least}


def _map(shape: MapOf, path: str) -> Schema:
    return {"type": "object", "additionalProperties": schema_of(shape.value, path), "minProperties": shape.least}


def _keys(shape: Keys, path: str) -> Schema:
    return {
        "type": "object",
        "properties": {
            name: {"description": ABOUT[f"{path}{name}"], **schema_of(key.shape, f"{path}{name}.")}
            for name, key in shape.keys.items()
        },
        "required": [name for name, key in shape.keys.items() if key.is_required],
        "additionalProperties": False,
    }


def _by_kind(shape: ByKind, path: str) -> Schema:
    return {"anyOf": [schema_of(one, path) for one in shape.shapes()]}


def _whole(pattern: str) -> str:
    return f"^({pattern})$"


SCHEMAS: Mapping[type, Callable[[Any, str], Schema]] = {
    Text: lambda _shape, _path: {"type": ["string", "number"]},
    Name: lambda _shape, _path: {"type": "string", "pattern": _whole(NAME.pattern)},
    Word: _word,
    Number: _number,
    Instant: lambda _shape, _path: {"type": "string", "format": "date-time"},
    Duration: lambda _shape, _path: {"type": "string", "pattern": _whole(DURATION.pattern)},
    Expression: lambda _shape, _path: {"type": "string", "minLength": 1},
    EventPattern: lambda _shape, _path: {"type": "object", "minProperties": 1},
    ListOf: _list,
    MapOf: _map,
    Keys: _keys,
    ByKind: _by_kind,
    Rate: lambda shape, path: schema_of(shape.shape, path),
    Selectors: lambda shape, path: schema_of(shape.shape, path),
}
"""What each shape is in a schema: a new shape is a line here."""
