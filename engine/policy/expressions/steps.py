"""How an expression's calculations come to their results, step by step, in words. For ``reconciler explain``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

from jmespath.visitor import Options

from engine.domain.errors import RowNeeded, shown
from engine.domain.money import canonical
from engine.policy.expressions.exact import ExactFunctions, ExactInterpreter
from engine.policy.expressions.functions import NUMBER, QUOTIENT_DIGITS, WIDE, Function
from engine.policy.expressions.syntax import Tree, parse
from engine.policy.expressions.values import exact

STEPS_MAX = 20
"""A list of a thousand clips has as many steps; a person reads the first."""

SIGNS: Mapping[str, str] = {"add": " + ", "subtract": " - ", "multiply": " x ", "divide": " / "}

DIRECTIONS: Mapping[str, str] = {"round_up": "up to", "round_down": "down to"}


def steps(text: str, document: Any) -> tuple[str, ...]:
    """Return each calculation of an expression on a document, the innermost first; none for what calculates nothing.

    ``multiply(detail.width, detail.height) is 1280 x 720 = 921600``. Where it cannot be worked out: those up to there.
    """
    tree = parse(text).parsed
    teller = _Teller(tree)
    with suppress(ValueError, ArithmeticError, TypeError, RecursionError, RowNeeded):  # ``Path.search`` says what is wrong
        teller.visit(tree, exact(document))
    more = len(teller.told) - STEPS_MAX
    return (*teller.told[:STEPS_MAX], *((f"and {more} more calculations",) if more > 0 else ()))


class _Teller(ExactInterpreter):
    """Works out an expression and tells each call of a function of this language."""

    def __init__(self, root: Tree) -> None:
        super().__init__(options=Options(custom_functions=ExactFunctions()))
        self.root, self.told = root, list[str]()

    def call(self, node: Tree, function: Function, given: Sequence[Any]) -> Any:
        result = super().call(node, function, given)
        text = self.root["text"] if node is self.root else _text(node)
        self.told.append(f"{text} is {_how(node['value'], given, result)}")
        return result


def _text(node: Tree) -> str:
    return f"{node['value']}({', '.join(child['text'] for child in node['children'])})"


def _how(name: str, given: Sequence[Any], result: Any) -> str:
    """Return how a call comes to its result: ``1280 x 720 = 921600``."""
    if not isinstance(result, Decimal):
        return result if isinstance(result, str) else shown(result)
    numbers = [NUMBER.read(value) for value in given]
    if name in DIRECTIONS:
        return f"{canonical(numbers[0])} {DIRECTIONS[name]} {canonical(result)}"
    return f"{SIGNS[name].join(map(_operand, numbers))} = {canonical(result)}{_rounded(name, numbers, result)}"


def _operand(number: Decimal) -> str:
    return f"({canonical(number)})" if number < 0 else canonical(number)


def _rounded(name: str, numbers: Sequence[Decimal], result: Decimal) -> str:
    is_rounded = name == "divide" and WIDE.multiply(result, numbers[1]) != numbers[0]
    return f", rounded to {QUOTIENT_DIGITS} digits" if is_rounded else ""
