"""Several tasks at once: one chance gives one order of turns, and a task that fails lets the others come to their end."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.simulation.world.crew import Crew


def turns_of(seed: int, names: str = "abc", steps: int = 4) -> tuple[str, int]:
    """Return in which order tasks took their steps, and how often one took the turn of another."""
    crew, order = Crew(Random(seed)), []

    def task(name: str) -> Callable[[], None]:
        def work() -> None:
            for _ in range(steps):
                order.append(name)
                crew.switch()

        return work

    crew.run([task(name) for name in names])
    return "".join(order), crew.turns


def test_one_seed_is_one_order() -> None:
    """Each task takes all its steps; another seed gives another order."""
    orders = {turns_of(seed) for seed in range(20)}

    assert turns_of(4) == turns_of(4)
    assert all(sorted(order) == sorted("abc" * 4) for order, _ in orders)
    assert len(orders) == 20


def test_a_task_alone_is_asked_no_chance() -> None:
    """So that a history is played alike, however many calls a task makes that has nobody beside it."""
    crew = Crew(Random(1))
    crew.run([crew.switch])

    assert Random(1).random() == crew.chance.random()
    assert ("aaaa", 0) == turns_of(1, "a")


@pytest.mark.parametrize("seed", range(10))
def test_a_task_that_fails_is_told_when_the_others_are_at_their_end(seed: int) -> None:
    """Of two that fail the first in their order is told, whoever failed first."""
    crew, ended = Crew(Random(seed)), []

    def fails(error: BaseException) -> Callable[[], None]:
        def work() -> None:
            crew.switch()
            raise error

        return work

    with pytest.raises(KeyError):
        crew.run([lambda: ended.append("a"), fails(KeyError()), lambda: ended.append("b"), fails(SystemExit())])
    assert ["a", "b"] == sorted(ended)
    assert [] == crew.live
