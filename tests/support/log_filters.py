"""A metric filter, applied to log lines: the part of CloudWatch's JSON filter patterns that the template uses.

Source: "Filter pattern syntax for metric filters", Amazon CloudWatch Logs User Guide. The local AWS keeps metric filters and
does not apply them.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import jmespath

SELECTION = re.compile(r"\{ (?P<terms>.+) \}")
TERM = re.compile(r'\$\.(?P<path>[\w.]+) (?P<sign>=|!=|>|>=|<|<=) (?P<operand>"[^"]*"|-?[\d.]+)')

SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def value_of(line: str, pattern: str, selector: str) -> float | None:
    """Return what a metric filter takes out of a line, or None for a line that its pattern does not match.

    Raises ValueError for a pattern of another kind: comparisons joined by ``&&`` are all that is read here.
    """
    if not (selection := SELECTION.fullmatch(pattern)):
        raise ValueError(f"no pattern of a JSON log: {pattern}")
    try:
        document = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict) or not all(_holds(term, document) for term in selection["terms"].split(" && ")):
        return None
    value = jmespath.search(selector.removeprefix("$."), document)
    return float(value) if isinstance(value, int | float) else None


def _holds(term: str, document: dict[str, Any]) -> bool:
    """A comparison with what is not there, or of a text with a number, does not hold."""
    if not (read := TERM.fullmatch(term)):
        raise ValueError(f"no comparison of a JSON log: {term}")
    value, operand = jmespath.search(read["path"], document), json.loads(read["operand"])
    is_comparable = isinstance(value, str) if isinstance(operand, str) else isinstance(value, int | float)
    return is_comparable and SIGNS[read["sign"]](value, operand)
