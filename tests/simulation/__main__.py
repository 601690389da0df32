"""Plays histories: ``python -m tests.simulation --seeds 0:1000``. Exit status 1 where one of them ends wrong."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from attrs import Factory, define

from tests.simulation.history import Verdict, play
from tests.simulation.shrinking import shrunk
from tests.simulation.story import story_of
from tests.simulation.tables import tables
from tests.simulation.world.plan import plan_of
from tests.simulation.world.strict import strict_world

CORPUS = Path(__file__).parent / "corpus.txt"
PROGRESS_SECONDS = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    options = _options(arguments)
    if options.story is not None:
        print(story_of(plan_of(options.story), is_strict=options.strict))
        return 0
    tally = Tally()
    seeds = corpus() if options.corpus else range(*map(int, options.seeds.split(":")))
    for seed in seeds:
        plan = plan_of(seed)
        verdict = play(plan, strict_world(plan) if options.strict else None)
        tally.take(verdict)
        if verdict.wrong:
            _tell(verdict, is_shrunk=not options.whole, is_strict=options.strict)
            if len(tally.failed) >= options.failures:
                break
    tally.close()
    return 1 if tally.failed else 0


def corpus() -> list[int]:
    """Return the seeds of the corpus: each line is a seed, a space and why it is there."""
    lines = CORPUS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:200", help="FIRST:END (default 0:200)")
    parser.add_argument(
        "--strict", action="store_true", help="on the strict database, with the product's own store: 10 x slower"
    )
    parser.add_argument("--corpus", action="store_true", help="play the seeds of corpus.txt instead")
    parser.add_argument("--failures", type=int, default=3, help="stop after so many histories that end wrong (default 3)")
    parser.add_argument(
        "--whole", action="store_true", help="tell the whole story of a failure, without making it small first"
    )
    parser.add_argument("--story", type=int, metavar="SEED", help="tell the story of a seed, whether or not it ends wrong")
    return parser.parse_args(arguments)


@define
class Tally:
    """What was played so far; of each history only its counts are kept."""

    began: float = Factory(time.monotonic)
    told_at: float = Factory(time.monotonic)
    histories: int = 0
    events: int = 0
    entries: int = 0
    count: Counter[str] = Factory(Counter)
    failed: list[int] = Factory(list)

    def take(self, verdict: Verdict) -> None:
        """Add a history."""
        self.histories += 1
        self.events += verdict.events
        self.entries += verdict.entries
        self.count.update(verdict.count)
        if verdict.wrong:
            self.failed.append(verdict.plan.seed)
        if time.monotonic() - self.told_at > PROGRESS_SECONDS:
            self.told_at = time.monotonic()
            print(self.line(), file=sys.stderr)

    def line(self) -> str:
        """Return how far it is."""
        seconds = time.monotonic() - self.began
        return (
            f"{self.histories:,} histories ({self.histories / seconds:.1f} a second), {self.events:,} events sent "
            f"({self.events / seconds:.0f} a second), {self.entries:,} entries, {len(self.failed)} wrong"
        )

    def close(self) -> None:
        """Tell all of it."""
        print("\n".join(tables(self.count)))
        print(self.line())
        if self.failed:
            print(f"wrong: seeds {', '.join(map(str, self.failed))}")


def _tell(verdict: Verdict, *, is_shrunk: bool, is_strict: bool) -> None:
    print(f"\nseed {verdict.plan.seed} ends wrong: {verdict.wrong[0]}")
    if is_shrunk:
        print(story_of(shrunk(verdict.plan, is_strict=is_strict), is_strict=is_strict))
    else:
        print("\n".join((*verdict.lines, *verdict.wrong)))


if __name__ == "__main__":
    sys.exit(main())
