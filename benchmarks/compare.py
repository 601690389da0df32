"""Compares a run with the saved one: ``python -m benchmarks.compare FIGURES.json [--save]``.

pytest-benchmark compares seconds, which say more about the machine of the day than about a commit. Here ratios are compared,
each taken within one run; it fails where one has become worse by more than it may differ for no reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import FIGURES, Figure, Notes, read, seen
from tools.environments import ROOT

SAVED = Path(__file__).with_name("baseline.json")


def name(figure: Figure) -> str:
    """Return the name that a figure is saved under."""
    return f"{figure.benchmark}: {figure.key}"


def saved_form(notes: Notes, commit: str) -> str:
    """Return the text of the saved run: its commit and its figures."""
    return json.dumps({"commit": commit, "figures": {name(figure): value for figure, value in seen(notes)}}, indent=2) + "\n"


def compare(before: dict[str, float], notes: Notes) -> tuple[list[str], bool]:
    """Return a line for each figure, and whether all are as good as they were."""
    lines, is_good = [], True
    for figure in FIGURES:
        was, now = before.get(name(figure)), figure.seen(notes)
        if was is None or now is None:
            lines.append(f"{figure.what:<58} {'not in both runs':>24}")
            continue
        worse = figure.worse_by(was, now)
        is_too_much = worse > figure.drift_max
        is_good = is_good and not is_too_much
        lines.append(f"{figure.what:<58} {was:>8g} {now:>8g} {worse:>+8.0%}{'  WORSE' if is_too_much else ''}")
    return lines, is_good


def current_commit() -> str:
    """Return the short name of the commit that is checked out; ``unknown`` outside of a repository."""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main(arguments: list[str]) -> int:
    """Compare, or with ``--save`` save what was seen."""
    notes = read(Path(arguments[0]))
    if "--save" in arguments:
        SAVED.write_text(saved_form(notes, current_commit()))
        return 0
    saved = json.loads(SAVED.read_text())
    lines, is_good = compare(saved["figures"], notes)
    print(f"{'beside commit ' + saved['commit']:<58} {'saved':>8} {'now':>8} {'worse':>8}", *lines, sep="\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
