"""How a plan's differences are spread over users: how many would pay how much more or less."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import count, islice, pairwise, takewhile

from attrs import Factory, define, frozen

from engine.domain.money import EXACT, ZERO, canonical

BINS = 12
"""Steps of 1, 2 and 5 for those who pay more, and as many for those who pay less; the last takes all that is smaller."""

STEPS = (Decimal(5), Decimal(2), Decimal(1))


@frozen
class Bin:
    """Users whose difference lies above ``low`` and up to ``high``; ``credits`` is what all of them pay more, or less."""

    low: Decimal
    high: Decimal
    is_more: bool
    users: int
    credits: Decimal

    @property
    def label(self) -> str:
        """What these users would do."""
        how = "more" if self.is_more else "less"
        return (
            f"up to {canonical(self.high)} {how}" if not self.low else f"{canonical(self.low)} to {canonical(self.high)} {how}"
        )


@define
class _Side:
    users: list[int] = Factory(lambda: [0] * BINS)
    credits: list[Decimal] = Factory(lambda: [ZERO] * BINS)

    def add(self, place: int, by: Decimal) -> None:
        self.users[place] += 1
        self.credits[place] = EXACT.add(self.credits[place], by)

    def bins(self, bounds: list[Decimal], *, is_more: bool) -> Iterator[Bin]:
        """Yield the bins from the smallest difference to the largest that anybody has, without the empty ones at both ends."""
        taken = [place for place, users in enumerate(self.users) if users]
        for place in range(taken[0], taken[-1] + 1) if taken else ():
            yield Bin(bounds[place], bounds[place + 1], is_more, self.users[place], self.credits[place])


def spread(differences: Iterable[Decimal]) -> list[Bin]:
    """Return the bins of differences that come with the largest first, from who pays most more to who pays most less.

    Nothing is kept of a single difference, so that there may be any number of them; those of 0 are in no bin.
    """
    moving = takewhile(bool, differences)
    first = next(moving, None)
    if first is None:
        return []
    bounds = _bounds(EXACT.abs(first))
    more, less = _Side(), _Side()
    for by in (first, *moving):
        place = bisect_left(bounds, EXACT.abs(by)) - 1
        (more if by > 0 else less).add(place, by)
    return [*reversed([*more.bins(bounds, is_more=True)]), *less.bins(bounds, is_more=False)]


def _bounds(largest: Decimal) -> list[Decimal]:
    """Return the bounds of the bins: 0, then steps of 1, 2 and 5, the last of which is not below the largest difference."""
    ladder = (step.scaleb(exponent) for exponent in count(largest.adjusted() + 1, -1) for step in STEPS)
    highest = next(high for high, below in pairwise(ladder) if below < largest)
    down = (step.scaleb(exponent) for exponent in count(highest.adjusted(), -1) for step in STEPS)
    return [ZERO, *sorted(islice((step for step in down if step <= highest), BINS))]
