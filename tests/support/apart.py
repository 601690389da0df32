"""Machines for tests without a common disk, all in one process: items are carried from step to step, and nothing else."""

from __future__ import annotations

import json
import pickle
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from engine.ledger.dynamodb.attributes import encode_item
from engine.policy import Policy
from engine.preview.planning.answer import Asked, answer_of
from engine.preview.planning.kept_apart import LEFT_OUT, SPOOLED, Kept, KeptSteps
from engine.preview.planning.lines import blocks
from engine.preview.planning.material import ENTRIES_DO_NOT_SAY
from engine.preview.planning.of_ledger import OfLedger
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
    steps = Steps(Wish((), now, then, partitions=PARTITIONS, **more))
    numbered = (
        [Numbered(number, block.place(number), line) for number, line in enumerate(block.lines, block.first)]
        for block in blocks(paths)
    )
    routed = Carried.of(item for lines in numbered for item in steps.route(lines))
    with planned_apart(routed, steps) as outcome:
        return text_of(answer_of(steps.wish, outcome))


def plan_apart_of(entries: Iterable[Mapping[str, Any]], now: Policy, then: Policy, folder: Path) -> dict[str, Any]:
    """Return the answer of a plan of what a ledger keeps."""
    steps = KeptSteps(Wish((), now, then, partitions=PARTITIONS, is_kept=True))
    told = [(entry["reference"], json.dumps(encode_item(entry))) for entry in entries]
    kept = Kept(folder)
    routed = Carried.of(steps.route_entries(told))
    with planned_apart(routed, steps, kept.add, SPOOLED, LEFT_OUT) as outcome:
        asked = Asked(now, then, ledger=OfLedger(kept.spooled(), ENTRIES_DO_NOT_SAY))
        answer: dict[str, Any] = json.loads(text_of(answer_of(steps.wish, outcome, asked)))
        return answer
