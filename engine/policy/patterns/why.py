"""Why a pattern does not match an event, in words: the first field that differs, and what the pattern wants of it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from engine.policy.patterns.compile import compile_parsed
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
)
from engine.policy.patterns.parse import parse_pattern

VALUES_SHOWN_MAX = 5


def first_difference(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> str | None:
    """Return what keeps a pattern from matching an event, or None where it matches. Raises PolicyError for no pattern."""
    return difference_from(parse_pattern(pattern), event)


def difference_from(parsed: Pattern, event: Mapping[str, Any]) -> str | None:
    """Return the same of a parsed pattern. Of several alternatives (``$or``) it speaks of the one that comes nearest."""
    if compile_parsed(parsed)(event):
        return None
    nearest = max(parsed.branches, key=lambda branch: _agreeing(branch, event))
    difference = _difference(nearest, event)
    return difference if len(parsed.branches) == 1 else f"none of {len(parsed.branches)} alternatives; nearest: {difference}"


def _agreeing(branch: Branch, event: Mapping[str, Any]) -> int:
    return sum(_agrees(field, event) for field in branch.fields)


def _agrees(field: Field, event: Mapping[str, Any]) -> bool:
    return compile_parsed(Pattern((Branch((field,)),)))(event)


def _difference(branch: Branch, event: Mapping[str, Any]) -> str:
    differing = next((field for field in branch.fields if not _agrees(field, event)), None)
    if differing is None:
        return "each field matches, but not in the same element of an array"
    return f"`{differing.name}` {_found(differing.name, event)}; wanted: {wanted(differing.tests)}"


def _found(name: str, event: Mapping[str, Any]) -> str:
    values = list(_values(event, name.split(".")))
    if not values:
        return "is missing"
    shown = ", ".join(_json(value) for value in values[:VALUES_SHOWN_MAX])
    return f"is {shown}" + (", ..." if len(values) > VALUES_SHOWN_MAX else "")


def _values(node: Any, steps: list[str]) -> Iterator[Any]:
    """Yield what stands at a dotted path; every element of an array counts."""
    if isinstance(node, list | tuple):
        for element in node:
            yield from _values(element, steps)
    elif not steps:
        yield node
    elif isinstance(node, Mapping):
        for length in range(len(steps), 0, -1):
            key = ".".join(steps[:length])
            if key in node:
                yield from _values(node[key], steps[length:])


def wanted(tests: tuple[Test, ...]) -> str:
    """Return in words what any of the tests would take."""
    return " or ".join(_words(test) for test in tests)


def _words(test: Test) -> str:
    return WORDS[type(test)](test)


def _affix(kind: str) -> Callable[[Any], str]:
    return lambda test: f"{kind} {_json(test.text)}{' in any case' if test.ignore_case else ''}"


def _address_range(test: Cidr) -> str:
    return f"an address from {ipaddress.ip_address(test.first)} to {ipaddress.ip_address(test.last)}"


WORDS: Mapping[type, Callable[[Any], str]] = {
    Exact: lambda test: _json(test.value),
    Prefix: _affix("what begins with"),
    Suffix: _affix("what ends with"),
    EqualsIgnoreCase: lambda test: f"{_json(test.text)} in any case",
    Wildcard: lambda test: f"what looks like {_json('*'.join(test.literals))}",
    Numeric: lambda test: "a number " + " and ".join(f"{sign} {bound:f}" for sign, bound in test.comparisons),
    Cidr: _address_range,
    Exists: lambda test: "anything" if test.present else "no such field",
    AnythingBut: lambda test: f"anything but {wanted(test.excluded)}",
}


def _json(value: Any) -> str:
    text = json.dumps(value, default=lambda number: f"{number:f}" if isinstance(number, Decimal) else str(number))
    return text.strip('"') if isinstance(value, Decimal) else text
