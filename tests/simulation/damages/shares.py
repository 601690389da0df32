"""Trials of some seeds, in one process: with an archive or without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from tests.simulation.damages.keepers import Keeper, WithoutArchive
from tests.simulation.damages.report import Tally
from tests.simulation.damages.trial import Trial, world_of
from tests.simulation.damages.with_archive import WithArchive

KEEPERS: dict[str, Callable[[], Keeper]] = {"on": WithArchive, "off": WithoutArchive}
"""Who looks and puts right, where the archive is on or off."""


def played(seeds: Iterable[int], archive: str) -> Iterator[Tally]:
    """Play trials, those of one history one after the other, and yield what they came to."""
    for _, some in groupby(sorted(seeds, key=lambda seed: (world_of(seed), seed)), key=world_of):
        tally = Tally()
        for seed in some:
            trial = Trial(seed, KEEPERS[archive])
            try:
                became = trial.play()
            except Exception as error:
                error.add_note(f"in the trial of seed {seed}: {[each.name for each in trial.planted]}")
                raise
            tally.take(seed, trial, became)
        yield tally


def share(seeds: Sequence[int], archive: str) -> Tally:
    """Play trials, and return what all of them came to."""
    tally = Tally()
    for part in played(seeds, archive):
        tally.add(part)
    return tally
