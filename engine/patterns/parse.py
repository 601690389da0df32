"""From the pattern of a policy to a ``Pattern``: fields by dotted name, ``$or`` expanded into branches.

The order of reading is that of Event Ruler's ``JsonRuleCompiler``, because it decides which of two tests of one field
counts. All mistakes of a pattern are collected and raised as one ``PolicyError``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import Factory, define

from engine.errors import Mistake, PolicyError
from engine.patterns.model import Branch, Field, Pattern, Test
from engine.patterns.operands import Path, is_list, read_test, shown

OR = "$or"
OR_MEMBERS_MIN = 2
BRANCHES_MAX = 1000
"""AWS's limit of "rule combinations": the product of the lengths of all ``$or`` lists."""
CHARACTERS_MAX = 4096
"""The length that the EventBridge API takes for an event pattern."""
DEPTH_MAX = 100
VALUES_MAX = 10_000
"""Guards against references of YAML that repeat or contain themselves; patterns AWS takes stay far below."""

RESERVED_IN_OR = frozenset(
    {
        *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr"),
        *("=", "<", "<=", ">", ">=", "html", "regex", "not-wildcard", "not-equals-ignore-case"),
        *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
        *("ip-address-in-range", "ip-address-not-in-range"),
    }
)
"""Names that keep a ``$or`` from being the operator (Event Ruler, ``Constants.java``)."""

type Draft = dict[str, Field]


def parse_pattern(pattern: Mapping[str, Any]) -> Pattern:
    """Return the event pattern as a value. Raises ``PolicyError`` with every mistake for what AWS would refuse.

    As in AWS, a pattern that is wrong with ``$or`` as the operator is read once more with ``$or`` as an ordinary field.
    """
    if not isinstance(pattern, Mapping):
        raise PolicyError.of(f"a pattern is an object of fields, not {shown(pattern)}")
    _check_size(pattern)
    reading = _Reading()
    drafts = reading.read(pattern)
    if reading.mistakes and reading.met_or:
        drafts = _read_without_or(pattern) or drafts
    elif reading.mistakes:
        drafts = []
    if not drafts or (reading.mistakes and drafts is None):
        raise PolicyError(reading.mistakes)
    return Pattern(tuple(Branch(tuple(draft.values())) for draft in drafts))
