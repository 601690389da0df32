"""Do the tests notice a mistake? One small change at a time is made to the engine, and the tests are to fail.

    python -m tools.mutants [--count 44] [--seed 14] [--only NUMBER ...] [--rest]

The mutants are drawn by a seed, as many from each room as it has places to change, and are put into a copy of the project one
after the other. Each meets some quick tests (``QUICK``), what survives all tests of its room (``TESTS``), and with ``--rest``
what survives these all tests there are.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.environments import DEV, ROOT

QUICK: Mapping[str, Sequence[str]] = {
    "domain": (
        "core/test_decide.py",
        "core/test_stories.py",
        "core/test_doors.py",
        "core/test_revokes.py",
        "ledger/test_entries.py",
    ),
    "policy": (
        "policy/test_loader.py",
        "policy/test_schema.py",
        "policy/test_close_words.py",
        "policy/test_not_yaml.py",
        "prices",
        "patterns/test_conformance.py",
    ),
    "rating": (
        "core/test_decide.py",
        "core/test_stories.py",
        "core/test_grants.py",
        "core/test_trends.py",
        "core/test_adjusting.py",
    ),
    "ledger": (
        "ledger/test_entries.py",
        "ledger/test_postings.py",
        "ledger/test_marks.py",
        "ledger/test_wire.py",
        "archive",
    ),
    "reconcile": (
        "core/test_reconcile.py",
        "core/test_wiring.py",
        "core/test_reprice.py",
        "core/test_corrections.py",
        "handler",
    ),
    "anomalies": ("explain", "core/test_digest.py", "core/test_trends.py", "cli/test_anomalies.py"),
    "audit": (
        "audit/test_logs.py",
        "audit/test_archived.py",
        "audit/test_archived_rounds.py",
        "audit/test_balances.py",
        "audit/test_seals.py",
        "repairs",
    ),
    "preview": (
        "core/test_plan.py",
        "core/test_next_try.py",
        "core/test_refunds.py",
        "cli/test_cli.py",
        "policy/test_adjusting_in_tests.py",
    ),
    "runtime": (
        "core/test_telemetry.py",
        "core/test_tracing.py",
        "core/test_precompiled.py",
        "audit/test_archived_runs.py",
        "handler",
    ),
    "cli": ("cli",),
}
"""The tests that are likeliest to notice a mistake in a room, and take seconds."""

TESTS: Mapping[str, Sequence[str]] = {
    "domain": ("core", "prices", "ledger", "simulation/test_simulation.py"),
    "policy": ("policy", "patterns", "prices", "slips", "recipes", "wallet", "core"),
    "rating": ("core", "prices", "policy", "recipes", "simulation/test_simulation.py"),
    "ledger": ("ledger", "archive", "handler", "audit", "simulation/test_simulation.py"),
    "reconcile": ("core", "handler", "ledger", "repairs", "cli", "simulation/test_simulation.py"),
    "anomalies": ("explain", "core", "cli", "handler", "ledger"),
    "audit": ("audit", "repairs", "archive", "core", "handler", "simulation/test_damages.py"),
    "preview": ("core", "prices", "cli", "policy", "docs"),
    "runtime": ("core", "handler", "explain", "cli", "aws/test_artifact.py"),
    "cli": ("cli", "audit", "repairs", "archive", "docs", "core"),
}
"""All tests of a room; what survives ``QUICK`` meets them. Those of ``make test`` are meant: none is marked ``proof``."""

PYTEST = ("-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "--database=strict")

ROOM_LEAST = 3
SECONDS_MAX = 1800
"""A mutant that never ends was noticed too; the machine may be busy with other things."""

COMPARED: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """A changed piece of a file, from ``start`` to ``end`` (offsets in bytes), and what stands there then."""

    file: Path
    line: int
    start: int
    end: int
    new: str
    shown: str
    """The line as it was."""

    @property
    def room(self) -> str:
        """The folder of the engine that it is in."""
        return self.file.relative_to("engine").parts[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.shown}  ->  {' '.join(self.new.split())[:60]}"

    @contextlib.contextmanager
    def put_into(self, project: Path) -> Iterator[None]:
        """Change the file in a project for a while."""
        data = (project / self.file).read_bytes()
        (project / self.file).write_bytes(data[: self.start] + self.new.encode() + data[self.end :])
        yield
        (project / self.file).write_bytes(data)


# --- what can be wrong ------------------------------------------------------------------------------------------------


def mutants_of(file: Path, source: str) -> Iterator[Mutant]:
    """Yield each change of a file, one at a time."""
    lines = source.encode().splitlines(keepends=True)
    offsets = list(itertools.accumulate(map(len, lines), initial=0))
    for node in ast.walk(ast.parse(source)):
        for start, end, new in changes(node, source):
            at, until = offsets[start[0] - 1] + start[1], offsets[end[0] - 1] + end[1]
            yield Mutant(file, start[0], at, until, new, lines[start[0] - 1].decode().strip())


type Place = tuple[int, int]
type Edit = tuple[Place, Place, str]


def changes(node: ast.AST, source: str) -> Iterator[Edit]:
    """Yield what can be put in the place of a node, or of a part of it."""
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            yield end_of(left), start_of(right), f" {COMPARED[type(operator)]} "
        case ast.BoolOp(op=operator, values=[first, second, *_]):
            yield end_of(first), start_of(second), " or " if isinstance(operator, ast.And) else " and "
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operator, right=right) if is_of_numbers(left, right):
            yield end_of(left), start_of(right), " - " if isinstance(operator, ast.Add) else " + "
        case ast.If(test=test) | ast.IfExp(test=test):
            yield start_of(test), end_of(test), f"not ({ast.get_source_segment(source, test)})"
        case ast.Constant(value=bool() as value):
            yield start_of(node), end_of(node), str(not value)
        case ast.Constant(value=int() as value):
            yield start_of(node), end_of(node), str(value + 1)
        case ast.Call(func=ast.Name(id=name)) if name in CALLED:
            yield start_of(node.func), end_of(node.func), CALLED[name]
        case ast.Expr(value=ast.Call()):
            yield start_of(node), end_of(node), "None"


def is_of_numbers(left: ast.expr, right: ast.expr) -> bool:
    """Say whether a sum may be one: texts and lists are no numbers, and a difference of them fails at once."""
    return not any(
        isinstance(part, ast.JoinedStr | ast.List | ast.Tuple | ast.Dict) or is_text(part) for part in (left, right)
    )


def is_text(part: ast.expr) -> bool:
    """Say whether an expression is written as a text."""
    return isinstance(part, ast.Constant) and isinstance(part.value, str | bytes)


def start_of(node: ast.expr | ast.Expr) -> Place:
    """Return where a node begins."""
    return node.lineno, node.col_offset


def end_of(node: ast.expr | ast.Expr) -> Place:
    """Return where a node ends."""
    assert node.end_lineno is not None  # noqa: S101  parsed nodes have a place
    assert node.end_col_offset is not None  # noqa: S101  the same
    return node.end_lineno, node.end_col_offset


def drawn(count: int, seed: int) -> list[Mutant]:
    """Return so many mutants, each room with its share of them, always the same for a seed."""
    chance = random.Random(seed)  # noqa: S311  a repeatable draw, not a secret
    files = sorted(path.relative_to(ROOT) for path in (ROOT / "engine").glob("*/**/*.py"))
    by_room: dict[str, list[Mutant]] = {}
    for mutant in (each for file in files for each in mutants_of(file, (ROOT / file).read_text())):
        by_room.setdefault(mutant.room, []).append(mutant)
    every = sum(map(len, by_room.values())) / count
    shares = {room: max(ROOM_LEAST, round(len(found) / every)) for room, found in by_room.items()}
    shuffled = {room: chance.sample(found, len(found)) for room, found in by_room.items()}
    return [each for room, share in shares.items() for each in itertools.islice(filter(differs, shuffled[room]), share)]


def differs(mutant: Mutant) -> bool:
    """Say whether what comes out is Python still, and is something else."""
    data = (ROOT / mutant.file).read_bytes()
    try:
        changed = ast.parse(data[: mutant.start] + mutant.new.encode() + data[mutant.end :])
    except SyntaxError:
        return False
    return ast.dump(changed) != ast.dump(ast.parse(data))


# --- who notices ------------------------------------------------------------------------------------------------------


def copied(folder: Path) -> Path:
    """Copy the project's own files to a folder, lead it to the same environments, and return it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for environment in ROOT.glob(".venv*"):
        (folder / environment.name).symlink_to(environment)
    return folder


def noticed(project: Path, tests: Sequence[str]) -> str | None:
    """Return the first test that fails, None where all pass."""
    data = os.environ.get("REAL_DATA", str(ROOT.parent / "shared" / "data"))
    environment = {**os.environ, "PYTHONPATH": str(project), "REAL_DATA": data, "PYTHONDONTWRITEBYTECODE": ""}
    command = [str(project / DEV.folder / "bin" / "python"), *PYTEST, *tests]
    try:
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return "it never ends"
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return None if done.returncode == 0 else (failed or done.stdout.splitlines()[-1:] or ["it does not start"])[0]


def judge(project: Path, mutant: Mutant, folders: Sequence[str]) -> str | None:
    """Return the first test of some folders that notices a mutant."""
    with mutant.put_into(project):
        return noticed(project, [f"tests/{folder}" for folder in folders])


def main() -> int:
    """Judge the mutants, and tell what became of each. Returns 1 where one survives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=44)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--only", type=int, nargs="*", help="judge those of these numbers alone")
    parser.add_argument("--rest", action="store_true", help="let survivors of their room's tests meet all others")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    options = parser.parse_args()
    found = list(enumerate(drawn(options.count, options.seed)))
    chosen = [(number, mutant) for number, mutant in found if not options.only or number in options.only]
    if options.list:
        print("\n".join(f"{number:3} {mutant}" for number, mutant in chosen))
        return 0
    return judge_all(chosen, rest=options.rest)


def judge_all(mutants: Sequence[tuple[int, Mutant]], *, rest: bool) -> int:
    """Judge all, the quick tests first; return 1 where one survives."""
    every = sorted({path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")})
    rounds = [QUICK, TESTS, *([dict.fromkeys(QUICK, every)] if rest else [])]
    left = list(mutants)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        project = copied(Path(folder) / "project")
        for tests in rounds:
            left = [each for each in left if not told(each, judge(project, each[1], tests[each[1].room]))]
    print(f"{len(mutants) - len(left)} of {len(mutants)} were noticed")
    return 1 if left else 0


def told(numbered: tuple[int, Mutant], found: str | None) -> bool:
    """Print what became of a mutant, and return whether it was noticed."""
    number, mutant = numbered
    print(f"{number:3} {mutant}\n    {'SURVIVED' if found is None else f'noticed by {found}'}", flush=True)
    return found is not None


if __name__ == "__main__":
    sys.exit(main())
