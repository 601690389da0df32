"""A number is shown in plain digits, wherever one is shown: 0.00000015, never 1.5E-7."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.digits import as_text, in_digits
from engine.domain.errors import PolicyError, shown
from engine.policy.patterns import compile_pattern

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "engine"

EXPONENT = re.compile(r"\d[eE][+-]?\d")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1.5E-7", "0.00000015"),
        ("0E-10", "0.0000000000"),
        ("1E+5", "100000"),
        ("-0.10", "-0.10"),
        ("8", "8"),
        ("1E-38", f"0.{37 * '0'}1"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("1E+999999999", "1E+999999999"),
    ],
)
def test_a_number_keeps_its_places_and_has_no_exponent(number: str, text: str) -> None:
    """But where it would fill all memory."""
    assert text == in_digits(Decimal(number)) == as_text(Decimal(number))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.5E-7"), "0.00000015"),
        (1.5e-7, "0.00000015"),
        (8.5, "8.5"),
        (Decimal("8.50"), "8.50"),
        ([Decimal("1E+3"), "1E+3", True, None], "[1000, '1E+3', True, None]"),
        ({"a": {"b": (1,), "c": [1e-7]}}, "{'a': {'b': (1,), 'c': [0.0000001]}}"),
        (1e300, "1e+300"),
        (Decimal("1E+999999999"), "1E+999999999"),
        (float("nan"), "nan"),
        (Decimal("Infinity"), "Infinity"),
    ],
)
def test_a_message_shows_the_numbers_of_an_event_in_plain_digits(value: Any, text: str) -> None:
    """Also those within lists and objects; a number longer than a message has its exponent."""
    assert text == shown(value)


def test_a_message_shows_what_is_nested_deeper_than_it_can_show() -> None:
    """It is cut off long before."""
    value: Any = Decimal("0.5")
    for _ in range(1000):
        value = [value]

    assert f"{77 * '['}..." == shown(value)


@given(
    st.decimals(min_value=Decimal("-1e38"), max_value=Decimal("1e38"), places=38)
    | st.floats(-1e38, 1e38, allow_subnormal=False)
)
def test_no_number_of_the_ledger_is_shown_with_an_exponent(number: Decimal | float) -> None:
    """Whatever its size."""
    exact = Decimal(repr(number)) if isinstance(number, float) else number
    if abs(exact.adjusted()) < 80:
        assert not EXPONENT.search(shown(number))
    assert exact == Decimal(in_digits(exact))


# --- no place shows a decimal as Python would -------------------------------------------------------------------------

AT_THE_ROOT = {"digits.py", "attributes.py", "money.py"}
"""``in_digits`` itself, and what DynamoDB is sent, whose form of a number it is."""


@cache
def trees() -> dict[Path, ast.Module]:
    """Return each module of the engine, read once, and not by those who only collect the tests."""
    return {path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ENGINE.rglob("*.py"))}


def is_decimal(annotation: ast.expr | None) -> bool:
    """Say whether a value of this annotation is a decimal, if it is anything."""
    return annotation is not None and re.fullmatch(r"(float \| )?Decimal( \| None)?", ast.unparse(annotation)) is not None


TEXTS = {"str", "str | None"}


@cache
def decimal_fields() -> set[str]:
    """Return the names that are those of decimals, and in no class those of texts."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for tree in trees().values():
        for part in ast.walk(tree):
            if isinstance(part, ast.ClassDef):
                for name, annotation in members(part):
                    kinds[name].add("decimal" if is_decimal(annotation) else ast.unparse(annotation or part))
    return {name for name, are in kinds.items() if "decimal" in are and not are & TEXTS} - {"value"}  # an enum has a value


def members(of: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield a class's fields and properties with what they hold."""
    for member in of.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            yield member.target.id, member.annotation
        elif isinstance(member, ast.FunctionDef) and "property" in map(ast.unparse, member.decorator_list):
            yield member.name, member.returns


def shown_bare(function: ast.AST) -> Iterator[ast.expr]:
    """Yield each expression that is made a text without saying how."""
    for part in ast.walk(function):
        match part:
            case ast.FormattedValue(value=value, format_spec=None):
                yield value
            case ast.Call(func=ast.Name(id="str"), args=[value, *_]):
                yield value


def is_shown_as_python_would(value: ast.expr, names: set[str]) -> bool:
    """Say whether it is a decimal: one of these names, a field of decimals, or one of them with its sign changed."""
    match value:
        case ast.UnaryOp(operand=operand):
            return is_shown_as_python_would(operand, names)
        case ast.Attribute(attr=name):
            return name in decimal_fields()
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            return name in names
        case ast.Call(func=ast.Name(id="abs"), args=[operand]):
            return is_shown_as_python_would(operand, names)
    return False


def functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, set[str]]]:
    """Yield each function with the names that are decimals in it: what it takes, and the functions that return one."""
    every = [part for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)]
    returning = {function.name for function in every if is_decimal(function.returns)}
    for function in every:
        taken = {one.arg for one in (*function.args.args, *function.args.kwonlyargs) if is_decimal(one.annotation)}
        yield function, taken | returning


def test_no_decimal_is_made_a_text_as_python_would() -> None:
    """`f"{rate}"` shows 1.5E-7: write `f"{rate:f}"`, or `in_digits`."""
    found = {
        f"{path}:{value.lineno}: {ast.unparse(value)}"
        for path, tree in trees().items()
        for function, names in functions(tree)
        for value in shown_bare(function)
        if is_shown_as_python_would(value, names) and path.name not in AT_THE_ROOT
    }

    assert {"amount", "rate", "quantity", "percent", "up_to"} <= decimal_fields()
    assert set() == found


@pytest.mark.parametrize("operand", [Decimal("1.5E-7"), [Decimal("1.5E-7")]], ids=str)
def test_a_message_about_a_pattern_shows_plain_digits(operand: object) -> None:
    """Patterns have a way of their own to show what is wrong with them."""
    with pytest.raises(PolicyError, match=r"`prefix` needs a string, not \[?0\.00000015\b"):
        compile_pattern({"detail": {"seconds": [{"prefix": operand}]}})
