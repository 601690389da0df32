"""The grammar as a JSON Schema (draft 2020-12), for editors: made of the same shapes that the loader reads with.

It is a little wider than the loader: what distant parts say of each other (a price book that is named, a minimum below its
maximum) only the loader checks. Three words are yaml-language-server's, and none of the draft's: ``errorMessage`` is shown
instead of its own message, ``markdownDescription`` beside a key; a key that is ``doNotSuggest`` is allowed, and not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
from engine.policy.pricing import BESIDE_AMOUNT, BESIDE_COMPONENTS
from engine.policy.rules import REPEATS
from engine.policy.schema_patterns import ENVELOPE, PATTERNS, PRICED_ENVELOPE, ROW
from engine.policy.sharing import NumberOrExpression
from engine.policy.words import ABOUT, section_of

Schema = dict[str, Any]

COMPONENTS = "components"
RULES = "rules."
"""The keys that lead to the keys of a rule."""

OF_ACTION = (*((kind.key, action) for action, kind in BY_ACTION.items()), (REPEATS, Action.DEBIT))
"""Keys of a rule that have a meaning with one action."""

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> Schema:
    """Return the JSON Schema of a policy file."""
    about = {"$schema": DRAFT, "description": "A policy of the Credit Reconciler."}
    return {**about, **schema_of(POLICY, ""), "$defs": {**PATTERNS, **dict(_definitions(POLICY, ""))}}


def schema_of(shape: Shape, path: str) -> Schema:
    """Return the JSON Schema of what may stand where ``shape`` stands; ``path`` are the keys to it, each with a dot."""
    return SCHEMAS[type(shape)](shape, path)


def key_paths(shape: Shape = POLICY, path: str = "") -> Iterator[str]:
    """Yield every key of the grammar with the keys that lead to it."""
    for keys, above in _mappings(shape, path):
        yield from (f"{above}{name}" for name in keys.keys)


def _mappings(shape: Shape, path: str) -> Iterator[tuple[Keys, str]]:
    """Yield every mapping with known keys, with the keys that lead to it."""
    if isinstance(shape, Keys):
        yield shape, path
        for name, key in shape.keys.items():
            yield from _mappings(key.shape, f"{path}{name}.")
    for part in PARTS.get(type(shape), lambda _: ())(shape):
        yield from _mappings(part, path)


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
    message = {"errorMessage": f"Is not known; allowed: {', '.join(shape.words)}."}
    if not bare:
        return {"enum": list(shape.words), **message}
    return {"anyOf": [{"enum": bare, **message}, {"type": "string", "pattern": _whole("|".join(shape.words)), **message}]}


def _number(shape: Number, _path: str) -> Schema:
    kind = "integer" if shape.whole else "number"
    bounds = {"minimum": float(shape.low), "maximum": float(shape.high)}
    message = {"errorMessage": f"Write {shape.wanted}."}
    return {"anyOf": [{"type": kind, **bounds, **message}, {"type": "string", "pattern": _whole(NUMBER.pattern), **message}]}


def _number_or_expression(shape: NumberOrExpression, _path: str) -> Schema:
    bounds = {"minimum": float(shape.number.low), "maximum": float(shape.number.high)}
    message = {"errorMessage": f"Write {shape.number.wanted}, or a JMESPath expression."}
    return {"type": ["number", "string"], "minLength": 1, **bounds, **message}


def _list(shape: ListOf, path: str) -> Schema:
    items = schema_of(shape.item, path)
    return {"type": "array", "items": items, "minItems": shape.least, "errorMessage": "Write a list."}


def _map(shape: MapOf, path: str) -> Schema:
    value = schema_of(shape.value, path)
    return {"type": "object", "additionalProperties": value, "minProperties": shape.least, "errorMessage": "Write a mapping."}


def _keys(shape: Keys, path: str) -> Schema:
    elsewhere = _offered_elsewhere(shape, path)
    listed = ", ".join(shape.keys)
    mapping = {"type": "object", "errorMessage": f"Write a mapping with {listed}."}
    names = {"propertyNames": {"enum": list(shape.keys), "errorMessage": f"Is not known here; allowed: {listed}."}}
    flat = _flat_or(shape) if shape.or_amount else {}
    return {
        "properties": {
            name: {"doNotSuggest": True, "allOf": [{"$ref": _definition(path, name)}]}
            if name in elsewhere
            else _key(key, f"{path}{name}")
            for name, key in shape.keys.items()
        },
        "required": [name for name, key in shape.keys.items() if key.is_required],
        "allOf": [part for part in (mapping, names, BETWEEN_KEYS.get(path), flat, *_offers(shape, path)) if part],
    }


def _key(key: Key, path: str) -> Schema:
    """A default is what an editor writes behind a key that it completes."""
    default = {"default": key.default} if isinstance(key.default, str | int) else {}
    about = {"description": ABOUT[path], "markdownDescription": f"{ABOUT[path]}\n\ndocs/policy.md#{section_of(path)}"}
    return {**about, **default, **schema_of(key.shape, f"{path}.")}


def _by_kind(shape: ByKind, path: str) -> Schema:
    return {"anyOf": [schema_of(one, path) for one in shape.shapes()]}


def _whole(pattern: str) -> str:
    return f"^({pattern})$"


PATTERN_AT: Mapping[str, str] = {"anomalies.match.": PRICED_ENVELOPE, "catch_up.when.": ROW}
"""Which of the patterns stands there; elsewhere it is one over the envelope."""

SCHEMAS: Mapping[type, Callable[[Any, str], Schema]] = {
    Text: lambda shape, _path: {"type": ["string", "number"], "errorMessage": f"Write {shape.wanted}."},
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
    EventPattern: lambda _shape, path: {"$ref": f"#/$defs/{PATTERN_AT.get(path, ENVELOPE)}"},
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
    others = [name for name, of in OF_ACTION if of is not action]
    meaningless = _without(others, f"Has no meaning in a {action} rule.")
    return {"if": _action_is(action), "then": {"allOf": [_needed(needed, f"A {action} rule needs `{needed}`."), meaningless]}}


def _action_is(action: Action) -> Schema:
    return {"properties": {"action": {"const": action.value}}, "required": ["action"]}


def _flat_or(terms: Keys) -> Schema:
    """Return what the keys of a charge or a grant must be: ``amount`` alone, ``components``, or what a quantity needs."""
    others = [name for name in terms.keys if name not in {"amount", "name"}]
    forms = ["`amount`", " with ".join(f"`{name}`" for name in terms.or_amount)]
    forms += [f"`{COMPONENTS}`"] if COMPONENTS in terms.keys else []
    priced: Schema = {"required": list(terms.or_amount), "errorMessage": f"Write {', or '.join(forms)}."}
    if COMPONENTS in terms.keys:
        beside = _without(BESIDE_COMPONENTS, f"Has no meaning beside `{COMPONENTS}`.")
        priced = {"if": {"required": [COMPONENTS]}, "then": beside, "else": priced}
    return {"if": {"required": ["amount"]}, "then": _without(others, "Has no meaning beside `amount`."), "else": priced}


def _needed(name: str, message: str) -> Schema:
    return {"required": [name], "errorMessage": message}


def _without(names: Iterable[str], message: str) -> Schema:
    return {"properties": dict.fromkeys(names, False), "errorMessage": message}


def _one_detector(name: str) -> Schema:
    """Of two detectors in one anomaly the one that is later in the table has the red line."""
    later = list(DETECTORS)[list(DETECTORS).index(name) + 1 :]
    return {"if": {"required": [name]}, "then": _without(later, f"Stands beside `{name}`; write an anomaly for each.")}


ONE_SHARE: Schema = {
    "if": {"required": ["percent"]},
    "then": _without(["amount"], "Has no meaning beside `percent`; write one of the two."),
    "else": _needed("amount", "`percent` or `amount` is missing: how much goes back."),
}
ROW_NEEDS_RATES = "`rates` is missing: all rates, or `changes`, only what differs from the row above."
ANOMALY_NEEDS = f"An anomaly needs `match`, or one of {', '.join(DETECTORS)}."

BETWEEN_KEYS: Mapping[str, Schema] = {
    "prices.": {
        "if": {"required": ["changes"]},
        "then": _without(("rates", "by", "tiers"), "Has no meaning beside `changes`: that of the row above counts."),
        "else": _needed("rates", ROW_NEEDS_RATES),
    },
    RULES: {"allOf": [_rule_of(action, kind.key) for action, kind in BY_ACTION.items()]},
    "rules.refund.": ONE_SHARE,
    "rules.revoke.": ONE_SHARE,
    "anomalies.": {
        "anyOf": [_needed(name, ANOMALY_NEEDS) for name in ("match", *DETECTORS)],
        "allOf": [_one_detector(name) for name in DETECTORS],
    },
}
"""What the keys of one mapping say of each other, by the keys that lead to it."""


# --- what an editor offers --------------------------------------------------------------------------------------------

EITHER_SHARE = {"percent": ("amount",), "amount": ("percent",)}

APART: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "prices.": {
        "changes": ("rates", "by", "tiers"),
        **dict.fromkeys(("rates", "by", "tiers"), ("changes",)),
    },
    "rules.refund.": EITHER_SHARE,
    "rules.revoke.": EITHER_SHARE,
    "anomalies.": {name: tuple(other for other in DETECTORS if other != name) for name in DETECTORS},
}
"""Keys that are offered only where none of certain others stands, by the keys that lead to them."""


def _apart(shape: Keys, path: str) -> Mapping[str, tuple[str, ...]]:
    if not shape.or_amount:
        return APART.get(path, {})
    others = tuple(name for name in shape.keys if name in {*BESIDE_AMOUNT, COMPONENTS})
    beside_components = (COMPONENTS,) if COMPONENTS in shape.keys else ()
    apart = {name: ("amount", *(beside_components if name in BESIDE_COMPONENTS else ())) for name in others}
    return {"amount": others, **apart, **dict.fromkeys(beside_components, BESIDE_COMPONENTS)}


def _offers(shape: Keys, path: str) -> Iterator[Schema]:
    """Yield under which conditions an editor offers a key: an action's own, and what does not stand beside what is there."""
    for name, action in OF_ACTION if path == RULES else ():
        yield {"if": _action_is(action), "then": _offer(path, name)}
    for name, others in _apart(shape, path).items():
        yield {"if": {"anyOf": [{"required": [other]} for other in others]}, "else": _offer(path, name)}


def _offer(path: str, name: str) -> Schema:
    return {"properties": {name: {"$ref": _definition(path, name)}}}


def _offered_elsewhere(shape: Keys, path: str) -> frozenset[str]:
    return frozenset(_apart(shape, path)) | frozenset(name for name, _ in OF_ACTION if path == RULES)


def _definition(path: str, name: str) -> str:
    return f"#/$defs/{path}{name}"


def _definitions(shape: Shape, path: str) -> Iterator[tuple[str, Schema]]:
    """Yield what is referred to from two places: each key that is allowed always, and offered only under a condition."""
    for keys, above in _mappings(shape, path):
        for name in sorted(_offered_elsewhere(keys, above)):
            yield f"{above}{name}", _key(keys.keys[name], f"{above}{name}")
