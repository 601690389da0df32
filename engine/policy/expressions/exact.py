"""jmespath with decimals among its numbers. Imported only for expressions that are more than a plain dotted path."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from engine.domain.digits import PLAIN_DIGITS_MAX, in_digits
from engine.domain.errors import shown
from engine.domain.money import EXACT, JSON_NUMBER, ZERO, canonical
from engine.policy.expressions.event_and_row import EventAndRow
from engine.policy.expressions.functions import FUNCTIONS, CannotBe, Function, call
from engine.policy.expressions.syntax import arity_problem, type_of, type_problem, wanted_of

ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "gt": operator.gt,
    "lte": operator.le,
    "gte": operator.ge,
}

MEAN = Context(prec=38)
"""A mean is the one result that may have no end: it keeps what a number of DynamoDB holds."""


class ExactFunctions(Functions):
    """The functions of the specification; sums and means of decimals lose nothing, and true is never 1."""

    def _validate_arguments(self, args: Any, declared: Any, name: str) -> None:
        if problem := arity_problem(name, len(args), declared):
            raise CannotBe(problem)
        for index, value in enumerate(args):
            if problem := type_problem(name, value, wanted_of(declared, index)):
                raise CannotBe(problem)

    def _create_key_func(self, expref: Any, _allowed: Any, name: str) -> Any:
        """Return what sorts elements: all by numbers, or all by strings."""
        seen: set[str] = set()

        def key(element: Any) -> Any:
            found = expref.visit(expref.expression, element)
            seen.add(type_of(found))
            if seen not in ({"number"}, {"string"}):
                raise CannotBe(f"{name}() needs a number of each element, or a string of each; {shown(found)} is neither")
            return found

        return key

    @signature({"types": ["array"]}, {"types": ["expref"]})
    def _func_sort_by(self, array: Any, expref: Any) -> Any:
        return sorted(array, key=self._create_key_func(expref, None, "sort_by"))

    @signature({"types": ["array", "string"]}, {"types": []})
    def _func_contains(self, subject: Any, search: Any) -> Any:
        if isinstance(subject, str):
            return isinstance(search, str) and search in subject
        return any(is_equal(element, search) for element in subject)

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
        return value if isinstance(value, str) else _json(value)

    @signature({"types": []})
    def _func_type(self, value: Any) -> Any:
        return type_of(value)


class ExactInterpreter(TreeInterpreter):
    """The specification's interpreter; decimals have their place in the order of numbers, and there are more functions."""

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        if (function := FUNCTIONS.get(node["value"])) is None:
            return super().visit_function_expression(node, value)
        return self.call(node, function, [self.visit(child, value) for child in node["children"]])

    def call(self, node: Any, function: Function, given: Sequence[Any]) -> Any:
        """Return what a function of this language makes of its arguments."""
        return call(node["value"], function, given, lambda index: str(node["children"][index]["text"]))

    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        if node["value"] not in ORDER:
            return is_equal(left, right) is (node["value"] == "eq")
        if not ((_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))):
            return None
        return ORDER[node["value"]](left, right)


def interpreter() -> ExactInterpreter:
    """Return an interpreter; it keeps nothing from one search to the next but belongs to one thread at a time."""
    return ExactInterpreter(options=Options(custom_functions=ExactFunctions()))


def is_equal(left: Any, right: Any) -> bool:
    """Say whether two values are the same JSON: of one type all the way down, numbers by their value."""
    if type_of(left) != type_of(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(is_equal, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(is_equal(member, right[name]) for name, member in left.items())
    return bool(left == right)


def exact(value: Any) -> Any:
    """Return a document with every binary float as the decimal that it was written as."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        if isinstance(value, EventAndRow):
            return value.mapped(exact)
        return {key: exact(member) for key, member in value.items()}
    return [exact(element) for element in value] if isinstance(value, list | tuple) else value


def _json(value: Any) -> str:
    """Return a value as JSON without white space, every digit of its numbers written out."""
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(name)}:{_json(member)}' for name, member in value.items())}}}"
    return _digits(value) if isinstance(value, Decimal) else json.dumps(value)


def _digits(number: Decimal) -> str:
    if not number:
        return "0"
    if not number.is_finite():
        raise CannotBe("to_string() takes finite numbers")
    return canonical(number) if abs(number.adjusted()) < PLAIN_DIGITS_MAX else in_digits(number)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
