"""``make soak``: eight processes at work on a local AWS, killed every few seconds. Exit status 1 where anything is wrong."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.soak.bugs import BUGS
from tests.soak.engines import LOCAL, NAMES
from tests.soak.options import Fallen, Options, Result
from tests.soak.soak import soak

WRONG, FALLEN = 1, 2
SHOWN_MAX = 20
SHORT_SECONDS = 180.0


def main(arguments: list[str] | None = None, play: Callable[..., Result] = soak) -> int:
    """Run the command; ``play`` is what it plays, of which a test may want another."""
    options = _options(arguments)
    folder = Path(options.keep or tempfile.mkdtemp(prefix="soak-"))
    try:
        result = play(wanted(options), folder, tell)
    except (Fallen, BotoCoreError, ClientError) as fallen:
        tell(f"\nno verdict: {fallen}\nlogs: {folder}")
        return FALLEN
    for problem in result.wrong[:SHOWN_MAX]:
        tell(f"WRONG  {problem}")
    if result.wrong:
        (folder / "wrong.txt").write_text("".join(f"{problem}\n" for problem in result.wrong))
        again = f"--seed {options.seed} --engine {options.engine}"
        tell(f"{len(result.wrong)} things are wrong: wrong.txt; logs: {folder}; again: {again}")
        return WRONG
    tell("every balance is right, no entry is missing, changed or twice; memory is flat")
    return 0


def tell(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def wanted(options: argparse.Namespace) -> Options:
    """Return what the command line asks for. A short soak tells more often."""
    seconds = options.minutes * 60
    often: dict[str, Any] = {"tell_seconds": 10.0, "deploy_seconds": 5.0} if seconds < SHORT_SECONDS else {}
    return Options(
        seconds=seconds,
        seed=options.seed,
        engine=options.engine,
        rate=options.rate,
        kill=options.kill,
        bug=options.bug,
        **often,
    )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument("--seed", type=int, default=5, help="what happens; not in which order (default 5)")
    parser.add_argument("--engine", choices=NAMES, default=LOCAL, help="the local AWS, or the strict database")
    parser.add_argument("--rate", type=float, default=25.0, help="events a second (default 25)")
    parser.add_argument("--kill", type=float, default=4.0, help="mean seconds between two kills (default 4)")
    parser.add_argument("--bug", choices=BUGS, default="", help="a deliberate bug that the soak has to find")
    parser.add_argument("--keep", metavar="FOLDER", help="where logs are written (default: a new folder)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
