"""Counts how often each mutant shows: ``python -m tests.simulation.rates``, of which some minutes go into the rarest.

Histories are played until so many have caught it. Exit status 1 where one shows in fewer histories than it says of itself
(``Mutant.one_in``): then it may be missed by chance.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from attrs import frozen

from tests.simulation.mutants import MUTANTS, Mutant

CATCHES = 20
"""Of twenty catches the rate is known to a quarter; what is half as often as measured is so once in a thousand."""

FIRST = 5_000_000
"""Nobody has chosen these seeds, and no other test plays them."""


@frozen
class Rate:
    """How many histories were played, and which of them caught a mutant, by their number."""

    played: int
    caught: tuple[int, ...]

    @property
    def one_in(self) -> float:
        """Of how many histories one shows it, on average."""
        return self.played / len(self.caught) if self.caught else float("inf")


def counted(mutant: Mutant, first: int, catches: int) -> Rate:
    """Play histories until so many have caught a mutant, at most twice as many as that should take."""
    caught: list[int] = []
    played = 0
    with mutant.at_work():
        while len(caught) < catches and played < 2 * catches * mutant.one_in:
            caught += [played] if mutant.is_caught_by(first + played) else []
            played += 1
    return Rate(played, tuple(caught))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.rates", description=__doc__)
    parser.add_argument("mutants", nargs="*", metavar="MUTANT", help="of these alone (default: of all)")
    parser.add_argument("--catches", type=int, default=CATCHES, help=f"until so many are caught (default {CATCHES})")
    parser.add_argument("--first", type=int, default=FIRST, help=f"the first seed (default {FIRST})")
    options = parser.parse_args(arguments)
    rare = list(_rare(options.mutants or MUTANTS, options.first, options.catches))
    if rare:
        print(f"more seldom than they say: {', '.join(rare)}")
    return 1 if rare else 0


def _rare(names: Iterable[str], first: int, catches: int) -> Iterable[str]:
    for name in names:
        rate = counted(MUTANTS[name], first, catches)
        print(f"{name:<78} one in {rate.one_in:6.1f}, as it says one in {MUTANTS[name].one_in}", flush=True)
        if rate.one_in > MUTANTS[name].one_in:
            yield name


if __name__ == "__main__":
    sys.exit(main())
