"""Who else takes part in a history, and when: drawn from a chance of their own, so that the rest of a plan stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.simulation.world.small import is_small

TAKE_PART = 0.4
"""In so many histories anybody of them takes part: what they cost is worth more seeds."""

OFTEN = {"explain": (2, 4, 8), "look": (0, 1, 2), "mend": (0, 0, 1), "resend": (0, 1, 2)}
"""How often each is at work in one history (``actors.ACTS``), alone or two at once."""


def cast(seed: int, rounds: int) -> Iterator[tuple[int, str, int]]:
    """Yield the round, the kind and the seed of each further step. None is in the first round: nothing is there yet."""
    chance = Random(f"actors {seed}")
    if rounds < 2 or is_small(seed) or chance.random() >= TAKE_PART:
        return
    for kind, times in OFTEN.items():
        for _ in range(chance.choice(times)):
            number = chance.randrange(1, rounds)
            for _ in range(chance.choice((1, 1, 2))):
                yield number, kind, chance.getrandbits(48)
