"""A door is asked in a process of its own for some seconds, and what came of it is looked at in another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from tests.fuzz.guided import FIGURES, FINDINGS, KEPT
from tools import environments

ROOT = Path(__file__).parents[2]
COLUMNS = ("door", "executions", "inputs", "kept", "branches reached", "CPU s", "MB", "found")
WIDTHS = (-12, 10, 9, 6, 17, 6, 5, 6)


@frozen
class Campaign:
    """What came of a door: how much was asked, what it reached, what it found."""

    door: str
    executions: int
    inputs: int
    kept: int
    branches: tuple[int, int]
    cpu_seconds: float
    megabytes: int
    findings: tuple[str, ...]

    @property
    def share(self) -> float:
        """Return the share of the branches that is reached."""
        return self.branches[0] / max(1, self.branches[1])

    def row(self) -> str:
        """Return the figures as a row of the table."""
        some, all_ = self.branches
        branches = f"{some:,} of {all_:,} {self.share:4.0%}"
        cells = (
            f"{self.executions:,}",
            f"{self.inputs:,}",
            f"{self.kept:,}",
            branches,
            f"{self.cpu_seconds:.0f}",
            str(self.megabytes),
        )
        return row(self.door, *cells, str(len(self.findings)))


def row(*cells: str) -> str:
    """Return a row of at most 80 columns."""
    return " ".join(
        f"{cell:<{-width}}" if width < 0 else f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True)
    )


def ask(door: str, seconds: int, folder: Path) -> Campaign:
    """Ask a door for some seconds of the processor, once it is open; what it keeps and finds lies in the folder afterwards."""
    environments.fill(environments.FUZZ)
    folder.mkdir(parents=True, exist_ok=True)
    done = _run("guided", door, str(seconds), str(folder))
    figures_file = folder / FIGURES
    if not figures_file.exists():
        raise RuntimeError(f"{door} could not be asked: {done.stderr[-2000:]}")
    figures = json.loads(figures_file.read_text())
    branches = json.loads(_run("reached", door, str(folder)).stdout or "[0, 0]")
    return Campaign(
        door,
        figures["executions"],
        figures["inputs"],
        len(list((folder / KEPT).iterdir())),
        (branches[0], branches[1]),
        figures["cpuSeconds"],
        figures["megabytes"],
        tuple(_findings(folder, done)),
    )


def _findings(folder: Path, done: subprocess.CompletedProcess[str]) -> Iterator[str]:
    """Yield each finding as it was kept; where libFuzzer ended the process, its words."""
    for file in sorted((folder / FINDINGS).glob("*.txt")):
        yield file.read_text()
    if done.returncode:
        yield f"the process ended with {done.returncode}: {done.stderr[-2000:]}"


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", f"tests.fuzz.{module}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
