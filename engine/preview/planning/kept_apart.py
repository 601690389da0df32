"""A plan of what a ledger keeps, on machines that have no disk in common: each partition reads the entries of its own logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from attrs import define, field, frozen

from engine.domain.money import EXACT, ZERO
from engine.preview.planning.kept.spool import Span, Spooled, Spooling, by_reference, logs_of
from engine.preview.planning.spill import Sorting, merged
from engine.preview.planning.steps_apart import EVENTS, LINE, NOWHERE, Item, Steps, working
from engine.reconcile.repricing.spill import Spill as Logs
from engine.reconcile.repricing.sums import Reasons
from engine.reconcile.wiring import attributes_of

ENTRY = "entry"
"""Goes to ``fold``: an entry as the archive has it."""

SPOOLED, LEFT_OUT = "spooled", "left-out"
"""Go to whoever gathers the answer: what of a partition's logs is planned, and each log that is not."""

FACTS = 1 << 40
"""So many facts a partition has at most: the number of a fact names its partition."""


@frozen
class KeptSteps(Steps):
    """The steps of one question about a ledger. ``wish.is_kept`` says so to the work."""

    span: Span = field(factory=Span)
    takes: ClassVar[tuple[str, ...]] = (ENTRY,)

    def route_entries(self, entries: Iterable[tuple[str, str]]) -> Iterator[Item]:
        """Send each entry, told by its reference and as JSON, to the partition of its log."""
        for reference, text in entries:
            yield ENTRY, self.partition_of(reference), text

    def fold(self, partition: int, items: Iterable[Item]) -> Iterator[Item]:
        """Write down the facts of a partition's logs, and fold them as events are folded."""
        told: list[Item] = []
        yield from super().fold(partition, self._facts(partition, items, told))
        yield from told

    def _facts(self, partition: int, items: Iterable[Item], told: list[Item]) -> Iterator[Item]:
        """Yield facts as lines; ``told`` has then what is known of the logs."""
        wish = self.wish
        with working(wish) as work, Logs() as logs:
            spooling = Spooling.of(wish.now, wish.then, self.span, work.folder / "facts.jsonl")
            spooled = spooling.spool(logs_of((attributes_of(json.loads(text)) for _, _, text in items), logs))
            told.append((SPOOLED, 0, (spooled.logs, spooled.posted, spooled.reasons)))
            told.extend((LEFT_OUT, 0, record) for record in spooled.left_out)
            count = 0
            with spooled.path.open("rb") as lines:
                for count, line in enumerate(lines, 1):
                    yield LINE, partition, (partition * FACTS + count, line)
        yield EVENTS, partition, count


@define
class Kept:
    """What is known of a ledger, gathered from what all partitions tell."""

    folder: Path
    logs: int = 0
    posted: Decimal = ZERO
    reasons: Reasons = field(factory=Reasons)
    left_out: Sorting = field(init=False)

    @left_out.default
    def _left_out(self) -> Sorting:
        return Sorting(self.folder / "left-out", by_reference)

    def add(self, kind: str, value: Any) -> None:
        """Take in what a partition tells, where it is about the ledger."""
        if kind == LEFT_OUT:
            self.left_out.add(value)
        elif kind == SPOOLED:
            logs, posted, reasons = value
            self.logs, self.posted = self.logs + logs, EXACT.add(self.posted, posted)
            for reason in reasons:
                self._add_reason(reason)

    def _add_reason(self, reason: Mapping[str, Any]) -> None:
        why, first = reason["why"], reason["first"]
        self.reasons.counts[why] = self.reasons.counts.get(why, 0) + reason["jobs"]
        self.reasons.examples[why] = min(first, self.reasons.examples.get(why, first))

    def spooled(self) -> Spooled:
        """Return what is known. It lasts as long as its folder."""
        left_out = merged(self.left_out.done(), by_reference, self.folder / "left-out-merged")
        return Spooled(NOWHERE, self.logs, self.posted, left_out, tuple(self.reasons.answer()))
