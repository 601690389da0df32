"""Plays damages: ``python -m tests.simulation.damages --count 1000``. Exit status 1 where one did not end as it should."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.simulation.damages.kinds import KINDS
from tests.simulation.damages.report import Tally
from tests.simulation.damages.shares import KEEPERS, played, share
from tests.simulation.damages.trial import world_of
from tests.simulation.fleet import cores

SHOWN_MAX = 40
EACH = 1.45
"""So many damages a trial has, about."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    options = _options(arguments)
    tally, began = Tally(), time.monotonic()
    first = options.first
    while tally.damages < options.count:
        trials = max(1, int((options.count - tally.damages) / EACH))
        for part in _all(range(first, first + trials), options.archive, options.workers):
            tally.add(part)
            _tell(f"{tally.damages:,} damages in {tally.trials:,} trials, {len(tally.wrong)} not as they should be")
        first += trials
    print("\n".join(tally.lines()))
    kinds = sum(tally.count[name, ""] > 0 for name in KINDS)
    seconds = time.monotonic() - began
    print(f"\n{tally.damages:,} damages of {kinds} kinds in {tally.trials:,} trials, {seconds:.0f} seconds")
    print(f"{len(tally.wrong)} not as they should be", *tally.wrong[:SHOWN_MAX], sep="\n")
    return 1 if tally.wrong else 0


def _all(seeds: Sequence[int], keeper: str, workers: int) -> list[Tally]:
    """Play trials in some processes: each takes those of some histories."""
    if workers == 1:
        return list(played(seeds, keeper))
    shares = [[seed for seed in seeds if world_of(seed) % workers == number] for number in range(workers)]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        under_way = [pool.submit(share, some, keeper) for some in shares]
        return [each.result() for each in as_completed(under_way)]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.damages", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="so many damages at least (default 1000)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the seed of the first trial (default 0)")
    parser.add_argument("--archive", choices=sorted(KEEPERS), default="on", help="whether there is an archive (default on)")
    parser.add_argument("--workers", type=int, default=cores(), help="so many processes play (default: one for each core)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
