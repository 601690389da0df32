"""The walk through the house names what is there: each row a file, and what stands in it."""

from __future__ import annotations

import ast
import re

import pytest

from tools.environments import ROOT

ROW = re.compile(r"^\| [^|]+ \| [^|]+ \| `((?:engine/[\w/]+|handler)\.py)`: ((?:`\w+`(?:, )?)+) \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "architecture.md").read_text().partition("## A walk through the house")[2])


@pytest.mark.parametrize(("file", "names"), ROWS, ids=[f"{file} {names}" for file, names in ROWS])
def test_each_stop_of_the_walk_is_there(file: str, names: str) -> None:
    """Whoever opens the file finds the word."""
    tree = ast.parse((ROOT / file).read_text())
    named = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    named |= {target.id for node in tree.body for target in _targets(node) if isinstance(target, ast.Name)}

    assert set() == set(re.findall(r"\w+", names)) - named


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []


def test_the_walks_have_all_their_stops() -> None:
    """An event, a batch and a policy file: no row is skipped for the way it is written."""
    text = (ROOT / "docs" / "architecture.md").read_text().partition("## A walk through the house")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| room |", "| --- |"))]

    assert len(rows) == len(ROWS)
    assert 20 < len(rows)
