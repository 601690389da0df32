"""The house: its map says what is there, a room imports only from floors below its own, and no file is too long to read."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import engine
from engine.errors import PolicyError
from engine.policy import load_policy, parse_policy
from engine.policy.patterns import compile_pattern
from tools.environments import ROOT
from tools.house import circles_of, floors_of, function_lines, imports_of, modules, rooms_of

LINES_MAX = 350
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
ON_THE_MAP = re.compile(r"^ {4,6}([a-z]+)(?:/|\.py) +\[(\d)\] ", re.MULTILINE)


Trees = dict[str, ast.Module]


@pytest.fixture(scope="module")
def trees() -> Trees:
    """Return the syntax trees of all modules of the engine, read once and gone with this file's tests."""
    return modules(ROOT)


def drawn() -> dict[str, int]:
    """Return the rooms of the map, each with its floor."""
    assert engine.__doc__ is not None
    return {room: int(floor) for room, floor in ON_THE_MAP.findall(engine.__doc__)}


def test_the_map_shows_every_room_and_no_other():
    """A newcomer reads it first. ``errors.py`` is no room but the public address of the errors."""
    there = {path.stem for path in (ROOT / "engine").iterdir() if not path.name.startswith("_")}

    assert there - {"errors"} == drawn().keys() - {"handler"}


def test_lint_holds_the_rooms_to_the_floors_of_the_map():
    """The layers that lint enforces, the lowest last, stand on the map from the ground floor up."""
    (layers,) = [contract["layers"] for contract in SETTINGS["contracts"] if contract["type"] == "layers"]
    by_layer = [{drawn()[room] for room in layer.split(" | ")} for layer in layers]

    assert [{floor} for floor in range(7, -1, -1)] == by_layer


def test_a_room_imports_only_from_floors_below_its_own(trees: Trees):
    """Measured by the project's own script, from within functions as well."""
    rooms = rooms_of(imports_of(trees))
    floors = drawn() | {"errors": 1}

    assert [] == [(room, other) for room, others in rooms.items() for other in others if floors[other] >= floors[room]]


def test_no_file_imports_what_imports_it(trees: Trees):
    """By whatever way, and from within functions as well: a circle that is imported late is a circle."""
    assert [] == circles_of(imports_of(trees))


def test_functions_are_short(trees: Trees):
    """Half of them have at most six lines, nine of ten at most fourteen."""
    lines = function_lines(trees.values())

    assert (lines[len(lines) // 2], lines[len(lines) * 9 // 10]) <= (6, 14)
    assert lines[len(lines) * 9 // 10] <= 14


def test_what_others_import_has_kept_its_address():
    """Rooms may be rebuilt; these names are what users and checks write down."""
    compiled = compile_pattern({"source": ["video.generation"]})
    policy = parse_policy((ROOT / "policies" / "video.yaml").read_text(), "video.yaml")

    assert (True, False) == (compiled({"source": "video.generation"}), compiled({"source": "another"}))
    assert policy.identity == load_policy(ROOT / "policies" / "video.yaml").identity
    with pytest.raises(PolicyError, match="needs a list of values"):
        compile_pattern({"source": "video.generation"})
    assert issubclass(PolicyError, ValueError)


def test_no_file_is_too_long_to_read():
    """A longer one asks for a folder."""
    lines = {path: len(path.read_text().splitlines()) for path in (ROOT / "engine").rglob("*.py")}

    assert {} == {path: count for path, count in lines.items() if count > LINES_MAX}


DYNAMODB = "engine.ledger.dynamodb"
BUILDS_THE_STORE = {"engine.reconcile.wiring"}
IN_A_REQUEST = re.compile(
    r"S|N|M|L|BOOL|NULL|TableName|Responses|UnprocessedKeys|\w+(Evaluated|Start)Key|[A-Z]\w+Expression|Expression[A-Z]\w+"
)
"""What only requests and answers of DynamoDB are written with."""


@pytest.fixture
def elsewhere(trees: Trees) -> Trees:
    """Return the modules, and the entry points, that are to know nothing of DynamoDB."""
    both = trees | {"handler": ast.parse((ROOT / "handler.py").read_text())}
    return {name: tree for name, tree in both.items() if not name.startswith(DYNAMODB)}


def test_nothing_but_what_builds_the_store_imports_from_dynamodb(elsewhere: Trees):
    """Whoever asks the store gets values. What is imported for the type checker alone is known as well; tools count."""
    tools = {f"tools.{path.stem}": ast.parse(path.read_text()) for path in (ROOT / "tools").rglob("*.py")}
    knowing = {
        name for name, tree in (elsewhere | tools).items() if any(used.startswith(DYNAMODB) for used in names_imported(tree))
    }

    assert knowing == BUILDS_THE_STORE


def test_nothing_else_writes_requests_or_reads_answers_of_dynamodb(elsewhere: Trees):
    """Which would need no import."""
    written = {name: sorted(filter(IN_A_REQUEST.fullmatch, texts_in(tree))) for name, tree in elsewhere.items()}

    assert {} == {name: texts for name, texts in written.items() if texts}


def names_imported(tree: ast.Module) -> set[str]:
    """Return the modules that a module imports, wherever in it, and as ``module.name`` what it imports from them."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def texts_in(tree: ast.Module) -> set[str]:
    """Return all texts of a module's code."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.fixture
def a_house(tmp_path: Path) -> Path:
    """A package of three rooms: one imports from below, two from each other, the second from within a function."""
    sources = {
        "engine/__init__.py": "",
        "engine/top.py": "from engine.left import thing\nif TYPE_CHECKING:\n    from engine.far import name\n",
        "engine/left.py": "from engine import right\n",
        "engine/right.py": "def f():\n    from engine.left import thing\n    return thing\n",
        "engine/far/__init__.py": "import engine.top\n",
    }
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def test_a_circle_is_found_also_where_an_import_waits_in_a_function(a_house: Path):
    """What only a type checker sees ties nothing."""
    imports = imports_of(modules(a_house))

    assert [frozenset({"engine.left", "engine.right"})] == circles_of(imports)
    assert {"left": 0, "right": 0, "top": 1, "far": 2} == floors_of(rooms_of(imports))
    assert [3] == function_lines(modules(a_house).values())
