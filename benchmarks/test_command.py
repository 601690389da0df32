"""How fast the ``reconciler`` command starts: processor time of the whole process, beside a Python that does nothing."""

from __future__ import annotations

import compileall
import os
import shutil
import statistics
import subprocess
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks.budgets import COMMAND_ROUNDS, HELP_TO_PYTHON_MAX, PLANTED_ROUNDS, VALIDATE_TO_PYTHON_MAX
from benchmarks.gates import at_most
from tools.environments import DEV, ROOT

EAGER = "import typer, rich.console, botocore.session\n"
NOTHING = (str(DEV.python), "-c", "pass")
HELP = ("--help",)
VALIDATE = ("validate", "policies/video.yaml")


@pytest.fixture(scope="session")
def command() -> str:
    """Return the installed command; what it imports is compiled, as after its first run."""
    packages = [Path(str(spec.origin)).parent for name in ("attr", "attrs", "yaml") if (spec := find_spec(name))]
    for folder in (ROOT / "engine", ROOT / "tools" / "installed", *packages):
        assert compileall.compile_dir(folder, quiet=2)
    return str(DEV.python.with_name("reconciler"))


def test_help(benchmark: Any, command: str) -> None:
    """Text that is stored."""
    at_most(to_python(benchmark, (command, *HELP)), HELP_TO_PYTHON_MAX)


def test_validate(benchmark: Any, command: str) -> None:
    """The shipped policy, read and checked as a whole."""
    at_most(to_python(benchmark, (command, *VALIDATE)), VALIDATE_TO_PYTHON_MAX)


@pytest.mark.planted
@pytest.mark.usefixtures("command")
def test_an_eager_import_of_the_command_is_caught(tmp_path: Path) -> None:
    """One line at the top of the module that the command begins with: help and validations would pay for it."""
    for part in ("engine", "policies"):
        shutil.copytree(ROOT / part, tmp_path / part)
    start = tmp_path / "engine" / "cli" / "start.py"
    start.write_text(start.read_text().replace("import gc\n", f"import gc\n{EAGER}", 1))
    assert compileall.compile_dir(tmp_path / "engine", quiet=2)
    worse = (NOTHING[0], "-m", "engine.cli")
    floors, helps, validations = (
        statistics.median(milliseconds_of(arguments, tmp_path) for _ in range(PLANTED_ROUNDS))
        for arguments in (NOTHING, (*worse, *HELP), (*worse, *VALIDATE))
    )

    assert helps / floors > HELP_TO_PYTHON_MAX
    assert validations / floors > VALIDATE_TO_PYTHON_MAX


def to_python(benchmark: Any, command: Sequence[str]) -> float:
    """Return how many times as long as a Python that does nothing a command takes, by turns, and note it."""
    ours: list[float] = []
    floors: list[float] = []
    milliseconds_of(command)  # fills the page cache
    run: Callable[[], None] = lambda: ours.append(milliseconds_of(command))  # noqa: E731  a benchmark wants a function
    benchmark.pedantic(run, setup=lambda: floors.append(milliseconds_of(NOTHING)), rounds=COMMAND_ROUNDS, iterations=1)
    ratio = statistics.median(ours) / statistics.median(floors)
    benchmark.extra_info.update(
        to_python=round(ratio, 2),
        milliseconds=round(statistics.median(ours), 1),
        python_milliseconds=round(statistics.median(floors), 1),
    )
    print(f"\n{' '.join(command)}: {benchmark.extra_info}")
    return ratio


def milliseconds_of(command: Sequence[str], folder: Path = ROOT) -> float:
    """Return the processor time of a process of its own, in milliseconds. It has to end well."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return (used.ru_utime + used.ru_stime) * 1000
