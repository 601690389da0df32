"""Amazon EventBridge event patterns: read once, refused where AWS refuses them, compiled to predicates over events.

``compile_pattern(pattern)`` is all that most callers need. ``parse_pattern`` gives the same pattern as an immutable
value (``Pattern`` -> ``Branch`` -> ``Field`` -> tests), ``compile_parsed`` makes the predicate of such a value, and
``required_values`` tells an index which exact values a field must hold.

The behaviour follows the EventBridge user guide ("Event pattern syntax", "Comparison operators for use in event
patterns") and, where the guide is silent, AWS Event Ruler, the library that EventBridge matches with:

- a pattern is flattened to dotted names, so ``detail.state`` and ``detail: {state: ...}`` are one field, in patterns and
  in events; of two tests of one field the last one counts;
- ``$or`` is expanded into branches, and an event matches when all fields of one branch match;
- arrays of an event offer each of their elements, but two fields of a branch never match in different elements of the
  same array ("array consistency");
- a ``$or`` that cannot be the operator is an ordinary field name.

Numbers compare by value, whatever their notation or Python type; a boolean is not a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.policy.patterns.compile import Predicate, compile_parsed, compile_pattern
from engine.policy.patterns.model import (
    AnythingBut,
    Branch,
    Cidr,
    EqualsIgnoreCase,
    Exact,
    Exists,
    Field,
    Numeric,
    Pattern,
    Prefix,
    Suffix,
    Test,
    Wildcard,
    required_values,
)


def parse_pattern(pattern: Mapping[str, Any]) -> Pattern:
    """Return an event pattern as a value. Raises ``PolicyError`` for a pattern that AWS would refuse."""
    from engine.policy.patterns.parse import parse_pattern as parse  # noqa: PLC0415  a compiled policy needs no parser

    return parse(pattern)


__all__ = [
    "AnythingBut",
    "Branch",
    "Cidr",
    "EqualsIgnoreCase",
    "Exact",
    "Exists",
    "Field",
    "Numeric",
    "Pattern",
    "Predicate",
    "Prefix",
    "Suffix",
    "Test",
    "Wildcard",
    "compile_parsed",
    "compile_pattern",
    "parse_pattern",
    "required_values",
]
