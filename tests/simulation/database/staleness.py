"""How old what an eventually consistent read shows may be.

Source: "DynamoDB read consistency", Amazon DynamoDB Developer Guide: such a read "might not reflect the results of a recently
completed write operation"; an index "is updated asynchronously".
"""

from __future__ import annotations

import random
from typing import Protocol

from attrs import field, frozen


class Staleness(Protocol):
    """Chooses what an eventually consistent read shows of one item."""

    def back(self, table: str, index: str | None, versions: int) -> int:
        """Return how many versions back to look, from 0 (the newest) to ``versions`` - 1."""
        ...


@frozen
class Fresh:
    """Every read shows the newest version, as an idle database mostly does."""

    def back(self, _table: str, _index: str | None, _versions: int) -> int:
        return 0


@frozen
class Seeded:
    """Reads of items that changed a moment ago are stale with a probability; of indexes with a larger one."""

    random: random.Random = field(factory=lambda: random.Random(0))  # noqa: S311  it is to be repeatable
    share: float = 0.3
    index_share: float = 0.6

    @classmethod
    def of(cls, seed: int, share: float = 0.3, index_share: float = 0.6) -> Seeded:
        """Return what the same seed always decides alike."""
        return cls(random.Random(seed), share, index_share)  # noqa: S311  the same

    def back(self, _table: str, index: str | None, versions: int) -> int:
        if versions < 2 or self.random.random() >= (self.share if index is None else self.index_share):
            return 0
        return self.random.randrange(1, versions)
