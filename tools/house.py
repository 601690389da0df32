"""Measure the house: rooms, floors, arrows, circles, and how long files and functions are.

    python -m tools.house [FOLDER]

``FOLDER`` holds ``engine/`` (default: this project), so that two commits can be compared. A room is a folder or a file at the
top of ``engine/``; its floor is one above the highest room that it imports from; an arrow leads from one room to another that
it imports from. A circle is a set of files that import each other, by whatever way, also from within functions.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tools.environments import ROOT

PACKAGE = "engine"
PERCENTILE_TOLD = 90

Imports = Mapping[str, frozenset[str]]
"""Of each module (or room) those that it imports."""


def modules(folder: Path) -> dict[str, ast.Module]:
    """Return the syntax trees of all modules of the engine in ``folder``, by their dotted names."""
    found = {}
    for path in sorted((folder / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text())
    return found


def imports_of(trees: Mapping[str, ast.Module]) -> Imports:
    """Return which modules of the engine each one imports; what only a type checker sees is no import."""
    return {name: frozenset(_imported(tree, trees.keys())) - {name} for name, tree in trees.items()}


def _imported(tree: ast.Module, names: Iterable[str]) -> Iterator[str]:
    known = set(names)
    for node in _seen_when_it_runs(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            longer = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            yield from (name if name in known else node.module for name in longer.values() if node.module in known)


def _seen_when_it_runs(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        is_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if not is_for_types:
            yield child
            yield from _seen_when_it_runs(child)


def rooms_of(imports: Imports) -> Imports:
    """Return which rooms each room imports from. The package's own ``__init__`` is none."""
    rooms: dict[str, set[str]] = {}
    for module, imported in imports.items():
        if module != PACKAGE:
            rooms.setdefault(room_of(module), set()).update(map(room_of, imported - {PACKAGE}))
    return {room: frozenset(others - {room}) for room, others in rooms.items()}


def room_of(module: str) -> str:
    """Return the room that a module is in."""
    return module.split(".")[1]


def floors_of(rooms: Imports) -> dict[str, int]:
    """Return the floor of each room. Rooms of a circle share one."""
    floors: dict[str, int] = {}
    for circle in circles_of(rooms, least=1):
        below = {other for room in circle for other in rooms[room]} - circle
        floors |= dict.fromkeys(circle, max((floors[other] + 1 for other in below), default=0))
    return floors


def circles_of(imports: Imports, least: int = 2) -> list[frozenset[str]]:
    """Return the sets that import each other, of at least so many; what is imported comes before what imports it.

    Source: R. Tarjan, "Depth-first search and linear graph algorithms", SIAM Journal on Computing 1 (1972).
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(imports[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            found.append(frozenset(stack[at:]))
            del stack[at:]

    for node in sorted(imports):
        if node not in index:
            visit(node)
    return [circle for circle in found if len(circle) >= least]


def function_lines(trees: Iterable[ast.Module]) -> list[int]:
    """Return how many lines each function has, its decorators not counted, the shortest first."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = (node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds))
    return sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)


def main(folder: Path) -> None:
    """Print the measures of the engine in ``folder``."""
    trees = modules(folder)
    imports = imports_of(trees)
    rooms = rooms_of(imports)
    floors = floors_of(rooms)
    for room in sorted(rooms, key=lambda room: (-floors[room], room)):
        print(f"floor {floors[room]:2}  {room:14} <- {', '.join(sorted(rooms[room])) or '(nothing)'}")
    arrows = sum(map(len, rooms.values()))
    print(f"\n{len(rooms)} rooms on {max(floors.values()) + 1} floors, {arrows} arrows between them")
    circles = circles_of(imports)
    print(f"{len(circles)} circles of files" + "".join(f"\n    {', '.join(sorted(circle))}" for circle in circles))
    lines = function_lines(trees.values())
    ninetieth = statistics.quantiles(lines, n=100)[PERCENTILE_TOLD - 1]
    longest = max(_lines(folder, name) for name in trees)
    print(f"{len(lines)} functions: median {statistics.median(lines):.0f} lines, 90th percentile {ninetieth:.0f}")
    print(f"{len(trees)} files, the longest of {longest} lines")


def _lines(folder: Path, module: str) -> int:
    path = folder.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return len(file.read_text().splitlines())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
