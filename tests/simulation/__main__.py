"""Plays histories: ``python -m tests.simulation --seeds 0:1000``. Exit status 1 where one of them ends wrong."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import Factory, define

from tests.simulation.fleet import Failure, Tally, cores, played
from tests.simulation.shrinking import shrunk
from tests.simulation.story import story_of
from tests.simulation.tables import missing, tables
from tests.simulation.world.plan import plan_of
from tests.simulation.world.small import SMALL_FROM

CORPUS = Path(__file__).parent / "corpus.txt"
PROGRESS_SECONDS = 30.0
"""How often a log is told how far it is; a terminal is told twice a second."""

FRESH_MAX = SMALL_FROM


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    options = _options(arguments)
    if options.story is not None:
        print(story_of(plan_of(options.story), is_strict=options.strict))
        return 0
    seeds = _seeds(options)
    progress = Progress(len(seeds))
    tally = _played(options, seeds, progress)
    for failure in sorted(tally.failed, key=lambda failure: failure.seed)[: options.failures]:
        _tell(failure, is_shrunk=not options.whole, is_strict=options.strict)
    print("\n".join((*tables(tally.count, is_strict=options.strict), progress.line(tally), tally.line())))
    never = missing(tally.count, is_strict=options.strict) if options.complete else []
    return _status(tally, never, is_whole=tally.histories == len(seeds))


def _played(options: argparse.Namespace, seeds: Sequence[int], progress: Progress) -> Tally:
    """Play the seeds; no more where enough have ended wrong, or somebody has pressed Ctrl-C."""
    tally = Tally()
    playing = contextlib.closing(played(seeds, options.workers, strict=options.strict))
    with contextlib.suppress(KeyboardInterrupt), playing as parts:
        for part in parts:
            tally.add(part)
            progress.tell(tally)
            progress.tell_of(part.failed)
            if len(tally.failed) >= options.failures:
                break
    progress.close()
    if tally.histories < len(seeds):
        print(f"stopped after {tally.histories:,} of {len(seeds):,} histories")
    return tally


def corpus() -> list[int]:
    """Return the seeds of the corpus: each line is a seed, a space and why it is there."""
    lines = CORPUS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:200", help="FIRST:END (default 0:200)")
    parser.add_argument("--fresh", type=int, metavar="N", help="play N seeds in a row that nobody has chosen, and say which")
    parser.add_argument(
        "--small", action="store_true", help="play small histories, with holds in each: seed N is that of 10^12 + N"
    )
    parser.add_argument("--corpus", action="store_true", help="play the seeds of corpus.txt instead")
    parser.add_argument("--workers", type=int, default=cores(), help="so many processes play (default: one for each core)")
    parser.add_argument(
        "--strict", action="store_true", help="on the strict database, with the product's own store: several times slower"
    )
    parser.add_argument("--complete", action="store_true", help="fail as well where a fault or a branch has never occurred")
    parser.add_argument("--failures", type=int, default=3, help="stop after so many histories that end wrong (default 3)")
    parser.add_argument(
        "--whole", action="store_true", help="tell the whole story of a failure, without making it small first"
    )
    parser.add_argument("--story", type=int, metavar="SEED", help="tell the story of a seed, whether or not it ends wrong")
    return parser.parse_args(arguments)


def _seeds(options: argparse.Namespace) -> Sequence[int]:
    if options.corpus:
        return sorted(set(corpus()))
    least = SMALL_FROM if options.small else 0
    if options.fresh is None:
        first, end = map(int, options.seeds.split(":"))
        return range(least + first, least + end)
    first = secrets.randbelow(FRESH_MAX)
    span, small = f"{first}:{first + options.fresh}", "--small " * options.small
    print(f"seeds {span}, drawn just now; to play them again: {small}--seeds {span}")
    return range(least + first, least + first + options.fresh)


@define
class Progress:
    """Tells how far it is: in one line of a terminal, which is written again and again; in a log now and then."""

    histories: int
    began: float = Factory(time.monotonic)
    told_at: float = Factory(time.monotonic)

    def tell(self, tally: Tally) -> None:
        """Tell it if it is time."""
        is_terminal = sys.stderr.isatty()
        if time.monotonic() - self.told_at > (0.5 if is_terminal else PROGRESS_SECONDS):
            self.told_at = time.monotonic()
            left = (self.told_at - self.began) * (self.histories / tally.histories - 1)
            line = f"{self.line(tally)}, {left / 60:.1f} minutes left"
            print(f"\r\033[K{line}" if is_terminal else line, end="" if is_terminal else "\n", file=sys.stderr, flush=True)

    def tell_of(self, failed: Sequence[Failure]) -> None:
        """Tell at once which histories end wrong; their stories come when all are played."""
        for failure in failed:
            self.close()
            print(f"seed {failure.seed} ends wrong: {failure.wrong[0]}", file=sys.stderr, flush=True)

    def line(self, tally: Tally) -> str:
        """Return how far it is."""
        seconds = time.monotonic() - self.began
        return (
            f"{tally.histories:,} histories ({tally.histories / seconds:.1f} a second), {tally.events:,} events sent, "
            f"{tally.entries:,} entries, {len(tally.failed)} wrong"
        )

    def close(self) -> None:
        """Leave the line of a terminal."""
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _status(tally: Tally, never: Sequence[str], *, is_whole: bool) -> int:
    if never:
        print(f"never occurred: {', '.join(never)}")
    if tally.failed:
        print(f"wrong: seeds {', '.join(map(str, sorted(failure.seed for failure in tally.failed)))}")
    return 0 if is_whole and not tally.failed and not never else 1


def _tell(failure: Failure, *, is_shrunk: bool, is_strict: bool) -> None:
    print(f"\nseed {failure.seed} ends wrong: {failure.wrong[0]}")
    if is_shrunk:
        print(story_of(shrunk(plan_of(failure.seed), is_strict=is_strict), is_strict=is_strict))
    else:
        print("\n".join((*failure.lines, *failure.wrong)))


if __name__ == "__main__":
    sys.exit(main())
