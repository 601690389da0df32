"""Machines for tests without a common disk, all in one process: items are carried from step to step, and nothing else."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from engine.policy import Policy
from engine.preview.planning.answer import answer_of
from engine.preview.planning.lines import blocks
from engine.preview.planning.steps_apart import Item, Items, Numbered, Step, Steps, planned_apart
from engine.preview.planning.work import Wish
from tests.support.planning import text_of

PARTITIONS = 16


@frozen
class Carried(Items):
    """What a step has yielded, packed as it would go over a network."""

    items: Sequence[bytes]

    @classmethod
    def of(cls, items: Iterable[Item]) -> Carried:
        """Pack items."""
        return cls([pickle.dumps(item) for item in items])

    def gathered(self, *kinds: str) -> Iterator[Item]:
        """Yield items."""
        return (item for item in map(pickle.loads, self.items) if item[0] in kinds)

    def then(self, step: Step, *kinds: str) -> Carried:
        """Carry items to their partitions, the last of them first: a network keeps no order."""
        partitions = defaultdict[int, list[Item]](list)
        for item in self.gathered(*kinds):
            partitions[item[1]].append(item)
        return Carried.of(item for number in range(PARTITIONS) for item in step(number, reversed(partitions[number])))


def plan_apart(paths: Sequence[Path], now: Policy, then: Policy, **more: Any) -> str:
    """Return the answer of a plan whose steps have no disk in common: each block of lines is routed by itself."""
    wish = Wish((), now, then, partitions=PARTITIONS, **more)
    numbered = (
        [Numbered(number, block.place(number), line) for number, line in enumerate(block.lines, block.first)]
        for block in blocks(paths)
    )
    routed = Carried.of(item for lines in numbered for item in Steps(wish).route(lines))
    with planned_apart(routed, wish) as outcome:
        return text_of(answer_of(wish, outcome))
