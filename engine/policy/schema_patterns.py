"""Event patterns as parts of a JSON Schema: what an editor offers inside them, and where it draws a red line.

Made of the tables that the loader reads patterns with. What AWS takes and does not document (``exactly``) is allowed only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from engine.policy.patterns.operands import COMPARISONS, NEGATABLE, OPERATORS
from engine.policy.words import COMPONENT_FIGURES, ENVELOPE_FIELDS, FIGURES, OPERATORS_ABOUT, PRICED_ABOUT

Schema = dict[str, Any]

ENVELOPE, PRICED_ENVELOPE, ROW = "envelope", "priced-envelope", "row"
"""What a pattern is about: an event, an event with what it costs, a row of Jobs."""

FIELD, TEST, IN_WORDS = "field", "test", "field-of-fields"

A_FIELD = "Write a list of values, like [video.rendered], or a mapping of fields."
A_PATTERN = "Write an event pattern, like {source: [video.generation]}."
A_TEXT = "Write a text in quotes."
MEMBERS = "Write a list of at least two patterns, of which one must match."

EXAMPLES_OF_NUMBERS = ([">", 0], [">=", 0, "<", 10], ["=", 0])

TEXT: Schema = {"type": "string", "errorMessage": A_TEXT}
WITHOUT_CASE = "equals-ignore-case"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _pattern(name: str, fields: Mapping[str, Schema], message: str) -> Schema:
    """Return a mapping of fields. Each member of ``$or`` is one again; with a test in its list it is a field, as in AWS."""
    members = {"type": "array", "minItems": 2, "items": _ref(name), "errorMessage": MEMBERS}
    has_a_test = {"contains": {"anyOf": [{"type": ["string", "number", "boolean"]}, _has_operator()]}}
    either = {"description": OPERATORS_ABOUT["$or"], "if": has_a_test, "then": _ref(FIELD), "else": members}
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {**fields, "$or": either},
        "additionalProperties": _ref(FIELD),
        "errorMessage": message,
    }


def _has_operator() -> Schema:
    return {"type": "object", "anyOf": [{"required": [name]} for name in OPERATORS]}


def _named_fields(about: Mapping[str, str]) -> dict[str, Schema]:
    return {name: {"description": text, **_ref(FIELD)} for name, text in about.items()}


def _priced() -> dict[str, Schema]:
    """Return what an anomaly sees beside the envelope: the figures of a charge, or of a grant, and of its components."""
    components = {"components": _figures("What each component comes to.", COMPONENT_FIGURES, {})}
    return {name: _figures(about, FIGURES, components) for name, about in PRICED_ABOUT.items()}


def _figures(about: str, figures: Mapping[str, str], below: Mapping[str, Schema]) -> Schema:
    properties = {**_named_fields(figures), **below}
    figures_only = {"type": "object", "minProperties": 1, "properties": properties, "additionalProperties": False}
    return {"description": about, **figures_only, "errorMessage": f"Write a mapping of figures: {', '.join(properties)}."}


# --- the tests of a field ---------------------------------------------------------------------------------------------


def _one_of(readers: Iterable[str], operands: Mapping[str, Schema], message: str) -> Schema:
    """Return a mapping with just one operator."""
    properties = {
        name: {"description": OPERATORS_ABOUT[name], **operands[name]} for name in readers if name in OPERATORS_ABOUT
    }
    hidden = {name: {**operands[name], "doNotSuggest": True} for name in readers if name not in OPERATORS_ABOUT}
    return {
        "type": "object",
        "properties": {**properties, **hidden},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "errorMessage": message,
    }


def _affix() -> Schema:
    """A text, or one without regard to its case."""
    wanted = {"errorMessage": "Write a text in quotes, or {equals-ignore-case: ...} and nothing else."}
    without_case = {
        "properties": {WITHOUT_CASE: {"description": OPERATORS_ABOUT[WITHOUT_CASE], **TEXT}},
        "minProperties": 1,
        "additionalProperties": False,
    }
    return {"type": ["string", "object"], **wanted, "if": {"type": "object"}, "then": {**without_case, **wanted}}


def _numeric() -> Schema:
    comparison = {"enum": list(COMPARISONS), "errorMessage": f"Is no comparison; write one of {', '.join(COMPARISONS)}."}
    number = {"type": "number", "errorMessage": "Write a number without quotes."}
    return {
        "type": "array",
        "defaultSnippets": [{"label": json.dumps(example), "body": example} for example in EXAMPLES_OF_NUMBERS],
        "prefixItems": [comparison, number, comparison, number],
        "items": False,
        "minItems": 2,
        "errorMessage": 'Write a list of one or two comparisons, like [">", 0, "<=", 5].',
    }


def _anything_but() -> Schema:
    """A text or a number, a list of either kind, or one operator with a text or a list of them."""
    scalar = {"type": ["string", "number"], "errorMessage": "Name texts or numbers."}
    several = {"anyOf": [TEXT, {"type": "array", "minItems": 1, "items": TEXT, "errorMessage": A_TEXT}]}
    lists = [{"type": "array", "minItems": 1, "items": {"type": kind}} for kind in ("string", "number")]
    negated = f"Is not known; write one of {', '.join(NEGATABLE)}."
    return {"anyOf": [scalar, *lists, _one_of(NEGATABLE, dict.fromkeys(NEGATABLE, several), negated)]}


def _operands() -> Mapping[str, Schema]:
    network = "Write a network, like 10.0.0.0/8 or 2001:db8::/32."
    return {
        "prefix": _affix(),
        "suffix": _affix(),
        WITHOUT_CASE: TEXT,
        "wildcard": TEXT,
        "anything-but": _anything_but(),
        "numeric": _numeric(),
        "exists": {"type": "boolean", "errorMessage": "Write true or false."},
        "cidr": {"type": "string", "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$", "errorMessage": network},
        "exactly": TEXT,
    }


def _field() -> Schema:
    tests = {"minItems": 1, "items": _ref(TEST)}
    either = {"if": {"type": "array"}, "then": tests, "else": {"if": {"type": "object"}, "then": _ref(IN_WORDS)}}
    return {"type": ["array", "object"], "errorMessage": A_FIELD, "allOf": [either]}


def _test() -> Schema:
    """A value or an operator. What is no mapping yet may become one, so that an editor offers the operators there too."""
    listed = ", ".join(name for name in OPERATORS if name in OPERATORS_ABOUT)
    wanted = "Write a value, or one operator, like {prefix: video.}; a list inside a list is not allowed."
    scalar = {"type": ["string", "number", "boolean", "null"], "errorMessage": wanted}
    operator = _one_of(OPERATORS, _operands(), f"Is no operator; write one of {listed}.")
    return {"if": {"type": "object"}, "then": operator, "else": {"anyOf": [scalar, operator]}}


PATTERNS: Mapping[str, Schema] = {
    ENVELOPE: _pattern(ENVELOPE, _named_fields(ENVELOPE_FIELDS), A_PATTERN),
    PRICED_ENVELOPE: _pattern(PRICED_ENVELOPE, {**_named_fields(ENVELOPE_FIELDS), **_priced()}, A_PATTERN),
    ROW: _pattern(ROW, {}, A_PATTERN),
    IN_WORDS: _pattern(IN_WORDS, {}, A_FIELD),
    FIELD: _field(),
    TEST: _test(),
}
"""What a schema refers to."""
