"""Small histories: one user, a job or two, holds in each. Five of them take the time of one with everybody in it.

Seeds from ``SMALL_FROM`` on are theirs. Faults, kills, batches, scheduled runs, edits of the policy and the look for holds
that are due are as everywhere; there is no archive, nobody buys, explains, adjusts or repairs.
"""

from __future__ import annotations

SMALL_FROM = 10**12

SMALL = {"users": (2,), "jobs": (2, 3), "purchases": (1,)}
"""What a plan's numbers are drawn below."""

NUMBERED = 1 / 2
"""In so many of them policies number attempts."""

SCENE = 1 / 12
"""In so many of them each scene of holds is played."""


def is_small(seed: int) -> bool:
    """Say whether a seed's history is small."""
    return seed >= SMALL_FROM
