"""Which branches of a door's modules its kept inputs reach: ``python -m tests.fuzz.reached DOOR FOLDER``, as JSON.

In a process of its own: coverage has to begin before the first import of what it looks at.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import coverage

from tests.fuzz.guided import FINDINGS, KEPT, Run, target

ROOT = Path(__file__).parents[2]


def reached(name: str, folder: Path) -> tuple[int, int]:
    """Return how many branches are reached, and how many there are."""
    watch = coverage.Coverage(data_file=None, branch=True, config_file=False, source=[str(ROOT / "engine"), str(ROOT)])
    watch.start()
    from tests.fuzz import doors  # noqa: PLC0415  coverage comes first

    door = doors.door(name)
    with tempfile.TemporaryDirectory() as scratch:  # what the run itself has said and found stays as it is
        (Path(scratch) / FINDINGS).mkdir()
        ask = target(door, Run(Path(scratch), seconds=sys.maxsize))
        for file in sorted((folder / KEPT).iterdir()):
            ask(file.read_bytes())
    watch.stop()
    with tempfile.NamedTemporaryFile(suffix=".json") as report, contextlib.redirect_stdout(io.StringIO()):
        watch.json_report(outfile=report.name, include=[str(ROOT / module) for module in door.modules], ignore_errors=True)
        totals = json.loads(Path(report.name).read_text())["totals"]
    return totals["covered_branches"], totals["num_branches"]


def main() -> None:
    """Print both numbers."""
    found = reached(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
