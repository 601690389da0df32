"""Finds for each mutant the first seed that catches it, and writes the corpus and the table of docs/proof.md.

``python -m tests.simulation.choose`` looks for those whose seed no longer catches them, or that have none; ``--all`` for all.
A seed is a history only as long as the planner stays: so what is kept of a failure is the bug, as a mutant, and its seed is
found again. Exit status 1 where a mutant is not caught within its number of seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.simulation.mutants import MUTANTS, Mutant, caught
from tests.simulation.world.small import SMALL_FROM, is_small

CORPUS = Path(__file__).parent / "corpus.txt"
PROOF = Path(__file__).parents[2] / "docs" / "proof.md"
CATCHES = "catches: "
SECONDS_MAX = 3.0
BEGIN, END = "<!-- mutants -->\n", "<!-- end of mutants -->\n"
HEAD = """\
# Seeds that `make test` plays. Each ends right; a line that says `catches` names the mutant (mutants/) that its history
# catches. Its seed is the first one that does, and does not take long: of the first small histories, else from seed 0 on.
# `python -m tests.simulation.choose` finds them anew where the plans of all seeds have changed (world/plan.py).
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.choose", description=__doc__)
    parser.add_argument("--all", action="store_true", help="look for the first seed of every mutant, whatever the corpus says")
    options = parser.parse_args(arguments)
    known = {} if options.all else {name: seed for name, seed in seeds().items() if name in MUTANTS}
    found: dict[str, int] = {}
    for name, seed in _found(known):
        found[name] = seed
        _write({each: found.get(each, known.get(each)) for each in MUTANTS})
    _write({each: found.get(each) for each in MUTANTS})
    return 0 if len(found) == len(MUTANTS) else 1


def seeds() -> dict[str, int]:
    """Return the seeds of the corpus by the mutant that each one catches."""
    lines = (line.partition(CATCHES) for line in CORPUS.read_text().splitlines())
    return {name: int(seed) for seed, found, name in lines if found}


def _found(known: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    for name, mutant in MUTANTS.items():
        seed = _first(mutant, [known[name]]) if name in known else None
        if seed is None:
            seed = _first(mutant, mutant.seeds_from(0))
            sys.stderr.write(f"{name}: {'not caught' if seed is None else f'seed {seed}'}\n")
        if seed is not None:
            yield name, seed


def _first(mutant: Mutant, some: Iterable[int]) -> int | None:
    """Return the first seed that catches a mutant, and ends right without it: it is the mutant that is wrong there.

    One whose history takes long, as where a bug lets somebody try again and again, is passed by if the next has a quick one.
    """
    slow: int | None = None
    for seed in some:
        begun = time.process_time()
        if caught(mutant, [seed]) is None:
            continue
        taken = time.process_time() - begun
        if mutant.is_caught_by(seed):
            sys.stderr.write(f"seed {seed} ends wrong by itself\n")
        elif taken <= SECONDS_MAX:
            return seed
        elif slow is not None:
            return slow
        else:
            slow = seed
    return slow


def _write(seeds_or_none: Mapping[str, int | None]) -> None:
    """Write what is known so far: whoever stops the command loses nothing."""
    found = {name: seed for name, seed in seeds_or_none.items() if seed is not None}
    others = [line for line in CORPUS.read_text().splitlines() if line and CATCHES not in line and not line.startswith("#")]
    lines = [f"{seed:<6} {CATCHES}{name}" for name, seed in found.items()]
    CORPUS.write_text(HEAD + "".join(f"{line}\n" for line in [*lines, *others]))
    before, _, rest = PROOF.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    PROOF.write_text(f"{before}{BEGIN}\n{table(found)}\n{end}{after}")


def table(found: Mapping[str, int]) -> str:
    """Return the table of the mutants: what each does wrong, in which world it is seen, and how many histories it takes."""
    rows: Iterable[str] = (
        f"| {name} | {'strict' if MUTANTS[name].is_strict else 'memory'} | {_place(seed)} | {MUTANTS[name].seeds_max} |\n"
        for name, seed in found.items()
    )
    return "| mutant | world | history | at most |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _place(seed: int) -> str:
    """Return which history it is, counted from 1."""
    return f"small {seed - SMALL_FROM + 1}" if is_small(seed) else str(seed + 1)


if __name__ == "__main__":
    sys.exit(main())
