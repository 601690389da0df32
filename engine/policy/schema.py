"""The grammar as a JSON Schema (draft 2020-12), for editors: made of the same shapes that the loader reads with.

It is a little wider than the loader: what distant parts say of each other (a price book that is named, a minimum below its
maximum) only the loader checks. ``errorMessage`` is no word of the draft: yaml-language-server shows it instead of a pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from engine.domain.fact_kinds import BY_ACTION, Action
from engine.policy.detectors import DETECTORS
from engine.policy.event_patterns import EventPattern
from engine.policy.grammar import (
    DURATION,
    NAME,
    NUMBER,
    ByKind,
    Duration,
    Expression,
    Instant,
    Key,
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
from engine.policy.price_rows import Change, Rate, Selectors
from engine.policy.pricing import BESIDE_COMPONENTS
from engine.policy.rules import REPEATS, TERMS_KEYS
from engine.policy.sharing import NumberOrExpression
from engine.policy.words import ABOUT

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> Schema:
    """Return the JSON Schema of a policy file."""
    return {"$schema": DRAFT, "description": "A policy of the Credit Reconciler.", **schema_of(POLICY, "")}


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


TRUTHS = {"true": True, "false": False}


def _word(shape: Word, _path: str) -> Schema:
    """A word of digits, `true` and `false` may be written without quotes, and is none then: so an editor offers it."""
    bare = [TRUTHS[word] if word in TRUTHS else int(word) for word in shape.words if word in TRUTHS or word.isdigit()]
    if not bare:
        return {"enum": list(shape.words)}
    return {"anyOf": [{"enum": bare}, {"type": "string", "pattern": _whole("|".join(shape.words))}]}


def _number(shape: Number, _path: str) -> Schema:
    kind = "integer" if shape.whole else "number"
    bounds = {"minimum": float(shape.low), "maximum": float(shape.high)}
    return {"anyOf": [{"type": kind, **bounds}, {"type": "string", "pattern": _whole(NUMBER.pattern)}]}


def _number_or_expression(shape: NumberOrExpression, _path: str) -> Schema:
    bounds = {"minimum": float(shape.number.low), "maximum": float(shape.number.high)}
    return {"anyOf": [{"type": "number", **bounds}, {"type": "string", "minLength": 1}]}


def _list(shape: ListOf, path: str) -> Schema:
    return {"type": "array", "items": schema_of(shape.item, path), "minItems": shape.least}


def _map(shape: MapOf, path: str) -> Schema:
    return {"type": "object", "additionalProperties": schema_of(shape.value, path), "minProperties": shape.least}


def _keys(shape: Keys, path: str) -> Schema:
    return {
        "type": "object",
        "properties": {name: _key(key, f"{path}{name}") for name, key in shape.keys.items()},
        "required": [name for name, key in shape.keys.items() if key.is_required],
        "additionalProperties": False,
        **BETWEEN_KEYS.get(path, {}),
        **(_flat_or(shape) if shape.or_amount else {}),
    }


def _key(key: Key, path: str) -> Schema:
    """A default is what an editor writes behind a key that it completes."""
    default = {"default": key.default} if isinstance(key.default, str | int) else {}
    return {"description": ABOUT[path], **default, **schema_of(key.shape, f"{path}.")}


def _by_kind(shape: ByKind, path: str) -> Schema:
    return {"anyOf": [schema_of(one, path) for one in shape.shapes()]}


def _whole(pattern: str) -> str:
    return f"^({pattern})$"


SCHEMAS: Mapping[type, Callable[[Any, str], Schema]] = {
    Text: lambda _shape, _path: {"type": ["string", "number"]},
    Name: lambda _shape, _path: {
        "type": ["string", "integer"],
        "pattern": _whole(NAME.pattern),
        "errorMessage": "A name has lower case letters, digits and dashes.",
    },
    Word: _word,
    Number: _number,
    Instant: lambda _shape, _path: {
        "type": "string",
        "format": "date-time",
        "errorMessage": "Write an instant with its zone, like 2026-07-01T00:00:00Z.",
    },
    Duration: lambda _shape, _path: {
        "type": "string",
        "pattern": _whole(DURATION.pattern),
        "errorMessage": "Write a length of time, like 30m, 36h or 7d.",
    },
    Expression: lambda _shape, _path: {
        "type": "string",
        "minLength": 1,
        "errorMessage": "Write a JMESPath expression, like detail.jobId.",
    },
    EventPattern: lambda _shape, _path: {"type": "object", "minProperties": 1},
    NumberOrExpression: _number_or_expression,
    ListOf: _list,
    MapOf: _map,
    Keys: _keys,
    ByKind: _by_kind,
    Rate: lambda shape, path: schema_of(shape.shape, path),
    Change: lambda shape, path: {"anyOf": [*schema_of(shape.shape, path)["anyOf"], {"type": "null"}]},
    Selectors: lambda shape, path: schema_of(shape.shape, path),
}
"""What each shape is in a schema: a new shape is a line here."""


def _rule_of(action: Action, needed: str) -> Schema:
    """Return what the keys of a rule must be when it has this action."""
    others = [name for name in TERMS_KEYS if name != needed]
    return {
        "if": {"properties": {"action": {"const": action.value}}, "required": ["action"]},
        "then": {"required": [needed], **_without([*others, *([] if action is Action.DEBIT else [REPEATS])])},
    }


def _flat_or(terms: Keys) -> Schema:
    """Return what the keys of a charge or a grant must be: ``amount`` alone, ``components``, or what a quantity needs."""
    flat = {"if": {"required": ["amount"]}, "then": _without(name for name in terms.keys if name not in {"amount", "name"})}
    priced: Schema = {"required": list(terms.or_amount)}
    if "components" in terms.keys:
        priced = {"if": {"required": ["components"]}, "then": _without(BESIDE_COMPONENTS), "else": priced}
    return {**flat, "else": priced}


def _without(names: Iterable[str]) -> Schema:
    return {"properties": dict.fromkeys(names, False)}


ONE_SHARE: Schema = {"oneOf": [{"required": ["percent"]}, {"required": ["amount"]}]}

BETWEEN_KEYS: Mapping[str, Schema] = {
    "prices.": {"if": {"required": ["changes"]}, "then": _without(("rates", "by", "tiers")), "else": {"required": ["rates"]}},
    "rules.": {"allOf": [_rule_of(action, kind.key) for action, kind in BY_ACTION.items()]},
    "rules.refund.": ONE_SHARE,
    "rules.revoke.": ONE_SHARE,
    "anomalies.": {
        "anyOf": [{"required": [name]} for name in ("match", *DETECTORS)],
        "not": {"anyOf": [{"required": list(pair)} for pair in combinations(DETECTORS, 2)]},
    },
}
"""What the keys of one mapping say of each other, by the keys that lead to it."""
