"""JMESPath read as its specification says, with exact literals, and asked for what can never work before it runs.

Imported only for expressions that are more than a plain dotted path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from jmespath.exceptions import LexerError, ParseError
from jmespath.lexer import Lexer
from jmespath.parser import ParsedResult, Parser

from engine.domain.errors import shown
from engine.policy.expressions.functions import FUNCTIONS, Function, Unfit, call
from engine.policy.expressions.values import (
    NAMES,
    CannotBe,
    Signature,
    arity_problem,
    kind_of,
    listed,
    said,
    type_of,
    type_problem,
    wanted_of,
)

Tree = Mapping[str, Any]

RESULTS: Mapping[str, frozenset[str]] = {
    name: frozenset(types.split())
    for name, types in {
        "abs": "number", "avg": "number null", "ceil": "number", "contains": "boolean", "ends_with": "boolean",
        "floor": "number", "join": "string", "keys": "array", "length": "number", "map": "array",
        "max": "number string null", "merge": "object", "min": "number string null", "reverse": "array string",
        "sort": "array", "sort_by": "array", "starts_with": "boolean", "sum": "number", "to_array": "array",
        "to_number": "number null", "to_string": "string", "type": "string", "values": "array",
    }.items()
} | {name: frozenset({function.result}) for name, function in FUNCTIONS.items()}  # fmt: skip
"""What a function can return; of one that is not here nothing is known."""

NODES: Mapping[str, frozenset[str]] = {
    "expref": frozenset({"expression"}),
    "not_expression": frozenset({"boolean"}),
    "comparator": frozenset({"boolean", "null"}),
    "multi_select_list": frozenset({"array", "null"}),
    "multi_select_dict": frozenset({"object", "null"}),
}
"""The same of what is written without a function."""


class ExactLexer(Lexer):
    """The library's lexer; a number between backticks keeps every digit."""

    def _consume_literal(self: Any) -> dict[str, Any]:
        start = self._position
        lexeme = self._consume_until("`").replace("\\`", "`")
        try:
            value = json.loads(lexeme, parse_float=Decimal, parse_constant=_no_number)
        except (ValueError, ArithmeticError) as error:
            value = _bare_text(lexeme)
            if value is None:
                problem = f"{shown(lexeme)} is no JSON"
                raise LexerError(lexer_position=start, lexer_value=self._expression[start:], message=problem) from error
        return {"type": "literal", "value": value, "start": start, "end": self._position - start}


def _bare_text(lexeme: str) -> str | None:
    """Return a text that was written without its quotes, as JMESPath took it once (``\u0060sora\u0060``)."""
    try:
        text = json.loads(f'"{lexeme.lstrip()}"')
    except ValueError:
        return None
    return text if isinstance(text, str) else None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


class ExactParser(Parser):
    """The library's parser over that lexer, without the library's cache: its literals are binary floats.

    Each part of the tree that stands by itself (the whole, an argument, what is in brackets) knows its ``text``, on one line.
    """

    def _parse(self: Any, expression: str) -> ParsedResult:
        self._written = expression
        self.tokenizer = ExactLexer().tokenize(expression)
        self._tokens = list(self.tokenizer)
        self._index = 0
        parsed = self._expression(binding_power=0)
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            raise ParseError(token["start"], token["value"], token["type"], f"Unexpected token: {token['value']}")
        return ParsedResult(expression, parsed)

    def _expression(self: Any, binding_power: int = 0) -> Any:
        start = self._lookahead_token(0)["start"]
        tree = super()._expression(binding_power)  # type: ignore[misc]
        tree["text"] = " ".join(self._written[start : self._lookahead_token(0)["start"]].split())
        return tree

    def parse(self: Any, expression: str) -> ParsedResult:
        tree: ParsedResult = self._do_parse(expression)
        return tree


def parse(text: str) -> ParsedResult:
    """Return an expression's syntax tree. Raises a ValueError of the library for what is none."""
    tree: ParsedResult = ExactParser().parse(text)
    return tree


def mistakes_of(nodes: Iterator[Tree], functions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what can never work, whatever the event says: unknown functions, wrong arguments, a slice that does not move.

    ``functions`` are JMESPath's own; those of this language stand beside them.
    """
    for node in nodes:
        if node["type"] == "slice" and node["children"][2] == 0:
            yield "has a slice with a step of 0; a step moves on"
        elif node["type"] == "function_expression":
            yield from _mistakes_of_call(node["value"], node["children"], functions)


def _mistakes_of_call(name: str, arguments: Sequence[Tree], functions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    own = FUNCTIONS.get(name)
    if own is None and name not in functions:
        yield f"calls {name}(), which JMESPath does not have{_nearest(name, [*functions, *FUNCTIONS])}"
        return
    signature = signature_of(own) if own else functions[name]["signature"]
    if problem := arity_problem(name, len(arguments), signature):
        yield f"is wrong: {problem}"
    elif own:
        yield from (f"is wrong: {problem}" for problem in _problems_of_own(name, own, arguments))
    else:
        problems = (_problem_of_argument(name, one, wanted_of(signature, index)) for index, one in enumerate(arguments))
        yield from (f"is wrong: {problem}" for problem in problems if problem)


def _nearest(name: str, known: Sequence[str]) -> str:
    import difflib  # noqa: PLC0415  what is right needs none

    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}()?" if near else f"; there are {', '.join(sorted(known))}"


def signature_of(function: Function) -> Signature:
    """Return a function's signature as the library writes its own."""
    signature = [{"types": sorted(parameter.types)} for parameter in function.parameters]
    return [*signature[:-1], {**signature[-1], "variadic": function.takes_more}]


def _problems_of_own(name: str, function: Function, arguments: Sequence[Tree]) -> Iterator[str]:
    problems = [_problem_of_own(name, function, index, argument) for index, argument in enumerate(arguments)]
    yield from (problem for problem in problems if problem)
    if not any(problems) and all(argument["type"] == "literal" for argument in arguments):
        try:
            call(name, function, [argument["value"] for argument in arguments], str)
        except CannotBe as problem:
            yield str(problem)


def _problem_of_own(name: str, function: Function, index: int, argument: Tree) -> str | None:
    parameter = function.parameter(index)
    if argument["type"] == "literal":
        try:
            parameter.read(argument["value"])
        except Unfit as unfit:
            return f"{name}() takes {str(unfit).rstrip(',')}, not {said(argument['value'])}"
        return None
    possible = _types_of(argument)
    if possible is None or possible & parameter.types:
        return None
    return f"{name}() takes {parameter.needed}, not {' or '.join(NAMES[one] for one in sorted(possible))}"


def _problem_of_argument(name: str, argument: Tree, wanted: Sequence[str]) -> str | None:
    if argument["type"] == "literal":
        return type_problem(name, argument["value"], wanted)
    possible = _types_of(argument)
    if possible is None or any(kind_of(one) in possible for one in wanted):
        return None
    return f"{name}() takes {listed(wanted)}, not {' or '.join(NAMES[one] for one in sorted(possible))}"


def _types_of(node: Tree) -> frozenset[str] | None:
    """Return the types that a part of an expression can have, or None where only the event says it."""
    if node["type"] == "literal":
        return frozenset({type_of(node["value"])})
    if node["type"] == "function_expression":
        return RESULTS.get(node["value"])
    return NODES.get(node["type"])
