"""jmespath with decimals among its numbers. Imported only where an expression is read, or has to be interpreted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from engine.domain.errors import quoted
from engine.policy.expressions import standard
from engine.policy.expressions.functions import FUNCTIONS, Function, call
from engine.policy.expressions.values import CannotBe, arity_problem, compared, type_of, type_problem, wanted_of


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
                raise CannotBe(f"{name}() needs a number of each element, or a string of each; {quoted(found)} is neither")
            return found

        return key

    @signature({"types": ["array"]}, {"types": ["expref"]})
    def _func_sort_by(self, array: Any, expref: Any) -> Any:
        return sorted(array, key=self._create_key_func(expref, None, "sort_by"))

    @signature({"types": ["array", "string"]}, {"types": []})
    def _func_contains(self, subject: Any, search: Any) -> Any:
        return standard.contains(subject, search)

    @signature({"types": ["number"]})
    def _func_abs(self, number: Any) -> Any:
        return standard.absolute(number)

    @signature({"types": ["number"]})
    def _func_ceil(self, number: Any) -> Any:
        return standard.ceiling(number)

    @signature({"types": ["number"]})
    def _func_floor(self, number: Any) -> Any:
        return standard.floor(number)

    @signature({"types": ["array-number"]})
    def _func_sum(self, numbers: Any) -> Any:
        return standard.total(numbers)

    @signature({"types": ["array-number"]})
    def _func_avg(self, numbers: Any) -> Any:
        return standard.mean(numbers)

    @signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: Any, texts: Any) -> Any:
        return standard.join(separator, texts)

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> Any:
        return standard.to_number(value)

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> Any:
        return standard.to_string(value)

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
        return compared(node["value"], left, right)


def interpreter() -> ExactInterpreter:
    """Return an interpreter; it keeps nothing from one search to the next but belongs to one thread at a time."""
    return ExactInterpreter(options=Options(custom_functions=ExactFunctions()))
