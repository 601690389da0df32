"""A recipe of docs/recipes/: its page, its policy, its policy tests, its payloads, and the arithmetic that its page shows."""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from attrs import frozen

from engine.preview.policy_tests import TestFile, load_tests
from tests.support.documentation import Page, Table, code, read_page

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "docs" / "recipes"
INDEX = RECIPES / "README.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
ROW_FILE = "row"
"""A file of this name holds the job's row in Jobs; every other file of JSON is an event."""

SIGNS: Mapping[type[ast.AST], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@frozen
class Recipe:
    """A folder below docs/recipes/. A recipe of a shipped policy has no policy of its own there."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def policy(self) -> Path:
        own = self.folder / "policy.yaml"
        return own if own.exists() else ROOT / "policies" / f"{self.name}.yaml"

    @property
    def tests(self) -> Path:
        own = self.folder / "tests.yaml"
        return own if own.exists() else ROOT / "policies" / "tests" / f"{self.name}.yaml"

    @property
    def page(self) -> Page:
        return read_page(self.folder / "README.md")

    @property
    def payloads(self) -> dict[str, dict[str, Any]]:
        """Return the published events by the names of their files."""
        files = sorted(self.folder.glob("*.json"))
        return {path.name: json.loads(path.read_text()) for path in files if path.stem != ROW_FILE}

    @property
    def row(self) -> Path | None:
        """Return the file with the job's row, where the policy reads one."""
        path = self.folder / f"{ROW_FILE}.json"
        return path if path.exists() else None

    def table(self, first: str) -> Table:
        """Return the page's table whose first column has this head."""
        (found,) = (table for table in self.page.tables if table.header[0] == first)
        return found

    def loaded(self) -> TestFile:
        """Return the policy tests, as ``reconciler test`` reads them."""
        return load_tests(self.tests)


def recipes() -> list[Recipe]:
    """Return every recipe."""
    return [Recipe(path) for path in sorted(RECIPES.iterdir()) if path.is_dir()]


def linked(cell: str) -> list[str]:
    """Return where the links of a cell lead."""
    return LINK.findall(cell)


def amounts(cell: str) -> list[str]:
    """Return the amounts in backticks of a cell, which commas may separate."""
    return [amount.strip() for part in code(cell) for amount in part.split(",")]


# --- arithmetic -------------------------------------------------------------------------------------------------------


def equations(cell: str) -> list[tuple[Fraction, Fraction]]:
    """Return both sides of each equation of a cell: ``8 x 0.10 = 0.80; up to 5; 5 x 2 = 10``. What has no ``=`` is prose."""
    parts = [part.split("=") for part in cell.split(";") if "=" in part]
    return [(worked_out(left), worked_out(right)) for left, right in parts]


def told(cell: str) -> list[Fraction]:
    """Return the numbers that the prose of a cell names, like ``at least 0.01``."""
    parts = [part for part in cell.split(";") if "=" not in part]
    return [Fraction(number) for part in parts for number in re.findall(r"[0-9]+(?:\.[0-9]+)?", part)]


def worked_out(written: str) -> Fraction:
    """Return what a sum comes to, exactly; ``x`` is a multiplication."""
    quoted = re.sub(r"[0-9.]+", lambda number: f"'{number[0]}'", written.replace("x", "*").strip())
    return _value(ast.parse(quoted, mode="eval").body)


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=str(number)):
            return Fraction(number)
        case ast.BinOp(left=left, op=sign, right=right):
            return SIGNS[type(sign)](_value(left), _value(right))
        case _:
            raise ValueError(f"not a sum: {ast.unparse(node)}")


# --- shapes -----------------------------------------------------------------------------------------------------------

type Shape = set[tuple[str, str]]
"""Each path of a document with the kind of value that is there."""


def shape(value: Any, path: str = "") -> Shape:
    """Return what a document has where; the items of a list are one."""
    match value:
        case dict():
            below = [shape(item, f"{path}.{key}" if path else key) for key, item in value.items()]
        case list():
            below = [shape(item, f"{path}[]") for item in value]
        case _:
            return {(path, _kind(value))}
    return {(path, "list" if isinstance(value, list) else "object")}.union(*below) if path else set().union(*below)


def _kind(value: Any) -> str:
    kinds = {type(None): "null", bool: "boolean", str: "text"}
    return kinds.get(type(value), "number")
