"""jmespath with decimals among its numbers. Imported only for expressions that are more than a plain dotted path."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from engine.decimals import EXACT, ZERO
from engine.paths import JSON_NUMBER

ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "gt": operator.gt,
    "lte": operator.le,
    "gte": operator.ge,
}

MEAN = Context(prec=38)
"""A mean is the one result that may have no end: it keeps what a number of DynamoDB holds."""


class ExactFunctions(Functions):
    """The functions of the specification; sums and means of decimals lose nothing."""

    def _get_allowed_pytypes(self, types: Any) -> Any:
        allowed, subtypes = super()._get_allowed_pytypes(types)  # type: ignore[misc]
        return _with_decimal(allowed), [_with_decimal(subtype) for subtype in subtypes]

    def _convert_to_jmespath_type(self, pyobject: str) -> Any:
        return "number" if pyobject == "Decimal" else super()._convert_to_jmespath_type(pyobject)  # type: ignore[misc]

    @signature({"types": ["number"]})
    def _func_abs(self, number: Any) -> Any:
        return number.copy_abs() if isinstance(number, Decimal) else abs(number)

    @signature({"types": ["number"]})
    def _func_ceil(self, number: Any) -> Any:
        return Decimal(number).to_integral_value(ROUND_CEILING)

    @signature({"types": ["number"]})
    def _func_floor(self, number: Any) -> Any:
        return Decimal(number).to_integral_value(ROUND_FLOOR)

    @signature({"types": ["array-number"]})
    def _func_sum(self, numbers: Any) -> Any:
        return functools.reduce(EXACT.add, map(Decimal, numbers), ZERO)

    @signature({"types": ["array-number"]})
    def _func_avg(self, numbers: Any) -> Any:
        return MEAN.divide(self._func_sum(numbers), Decimal(len(numbers))) if numbers else None

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> Any:
        if isinstance(value, str):
            return Decimal(value) if JSON_NUMBER.fullmatch(value) else None
        return value if _is_number(value) else None

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return format(value.normalize(EXACT), "f") if value else "0"
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=float)

    @signature({"types": []})
    def _func_type(self, value: Any) -> Any:
        return "number" if isinstance(value, Decimal) else super()._func_type(value)  # type: ignore[misc]


class ExactInterpreter(TreeInterpreter):
    """The specification's interpreter; decimals have their place in the order of numbers."""

    def visit_comparator(self, node: Any, value: Any) -> Any:
        if node["value"] not in ORDER:
            return super().visit_comparator(node, value)
        left, right = (self.visit(child, value) for child in node["children"])
        if not ((_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))):
            return None
        return ORDER[node["value"]](left, right)

    def visit_literal(self, node: Any, _value: Any) -> Any:
        return exact(node["value"])


def interpreter() -> ExactInterpreter:
    """Return an interpreter; it keeps nothing from one search to the next but belongs to one thread at a time."""
    return ExactInterpreter(options=Options(custom_functions=ExactFunctions()))


def exact(value: Any) -> Any:
    """Return a document with every binary float as the decimal that it was written as."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {key: exact(member) for key, member in value.items()}
    return [exact(element) for element in value] if isinstance(value, list | tuple) else value


def _with_decimal(names: Any) -> Any:
    return [*names, "Decimal"] if "float" in names else names


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
