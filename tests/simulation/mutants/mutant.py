"""What a deliberate bug is, and how many histories it takes until one of them ends wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, count, islice
from typing import Any
from unittest.mock import patch

from attrs import frozen

from engine.ledger.dynamodb import marks
from tests.simulation.history import play
from tests.simulation.world.aftermath import chance_of, is_planted
from tests.simulation.world.plan import Plan, plan_of
from tests.simulation.world.small import SMALL_FROM
from tests.simulation.world.strict import strict_world

type Broken = Callable[[Any], Any]

CERTAIN = 30
"""What one history in so many shows on average, this many times as many all miss once in e^30, which is 10^13, times."""

SMALL_FIRST = 30
"""So many small histories are tried before the others: five of them take the time of one."""

OFTEN_MIN = 0.1
"""Faults are frequent where one call in ten meets one."""


@frozen
class Mutant:
    """A deliberate bug: ``broken`` makes of what stands at ``name`` of ``place`` what takes its place.

    ``is_strict``: only the strict database shows it. ``one_in`` says how often at least, one history in so many;
    whether it does, ``python -m tests.simulation.rates`` counts. ``shows_in`` says of a plan, which costs next to nothing,
    whether its history may show it: of a rare one most histories cannot, and need not be played to find one that does.
    """

    place: Any
    name: str
    broken: Broken
    is_strict: bool = False
    one_in: int = 30
    shows_in: Callable[[Plan], bool] = lambda _plan: True

    @property
    def seeds_max(self) -> int:
        """So many histories are enough to catch it, whichever they are: small ones may not show it at all."""
        return CERTAIN * self.one_in

    def seeds_from(self, first: int) -> Iterator[int]:
        """Return the seeds from ``first`` on whose histories may show it, as many as are enough; before them small ones."""
        small = range(SMALL_FROM + first, SMALL_FROM + first + SMALL_FIRST)
        large = islice((seed for seed in count(first) if self.shows_in(plan_of(seed))), self.seeds_max)
        return chain((seed for seed in small if self.shows_in(plan_of(seed))), large)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let it be at work for a while."""
        _forget()
        try:
            with patch.object(self.place, self.name, self.broken(vars(self.place)[self.name])):
                yield
        finally:
            _forget()

    def is_caught_by(self, seed: int) -> bool:
        """Say whether the history of a seed ends wrong, or comes to no end, where the mutant is seen if it is at work."""
        plan = plan_of(seed)
        try:
            return bool(play(plan, strict_world(plan) if self.is_strict else None).wrong)
        except Exception:  # noqa: BLE001  without the mutant the same history has to end right (test_simulation.py)
            return True


def _forget() -> None:
    """The engine keeps the texts of its conditions by what they ask for."""
    marks._condition.cache_clear()  # noqa: SLF001  nothing else forgets them


def caught(mutant: Mutant, seeds: Iterable[int]) -> int | None:
    """Return how many seeds it took until a history ended wrong; None where none did."""
    with mutant.at_work():
        return next((tried for tried, seed in enumerate(seeds, start=1) if mutant.is_caught_by(seed)), None)


def staged(job: str) -> Callable[[Plan], bool]:
    """Return what says whether a plan has a scene (``world/scenes.py``), of whose jobs the names begin with ``job``."""
    return lambda plan: any(fact.reference.startswith(f"job#{job}") for fact in plan.facts)


def is_faulty(plan: Plan) -> bool:
    """Say whether faults are frequent."""
    return plan.often > OFTEN_MIN


def is_damaged(plan: Plan) -> bool:
    """Say whether damage is planted when the history is over."""
    return is_planted(chance_of(plan))


def always(value: Any) -> Broken:
    """Return what answers everything with ``value``."""
    return lambda _old: lambda *_values, **_named: value


def instead(value: Any) -> Broken:
    """Return what takes the place of a constant."""
    return lambda _old: value
