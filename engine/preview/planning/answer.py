"""The answer of a plan, as JSON-like values: the one place from which every form of it is made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from engine.domain.money import EXACT, ZERO
from engine.preview.changes import changes
from engine.preview.planning.run import Planned
from engine.preview.planning.spill import InOrder, Record
from engine.preview.planning.tally import Pair, Tally
from engine.preview.planning.work import Wish


class Streamed(list[Any]):
    """A list of JSON-like values that is never in memory: whoever writes it asks for one after the other."""

    def __init__(self, records: InOrder, shown: Callable[[Record], Any]) -> None:
        super().__init__()
        self.records, self.shown = records, shown

    def __len__(self) -> int:
        return len(self.records)

    def __bool__(self) -> bool:
        return len(self.records) > 0

    def __iter__(self) -> Iterator[Any]:
        return map(self.shown, self.records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and [*self] == [*other]

    __hash__ = None


def answer_of(wish: Wish, outcome: Planned) -> dict[str, Any]:
    """Return the answer; credits are exact strings, from the user's side: what costs is below 0."""
    tally = outcome.tally
    return {
        "changes": [*changes(wish.now, wish.then)],
        "events": tally.events,
        "outcomes": [{"now": now, "then": then, "events": n} for (now, then), n in sorted(tally.outcomes.items())],
        "credits": {name: _pair(pair) for name, pair in _credits(tally)},
        "anomalies": {name: {"now": now, "then": then} for name, (now, then) in sorted(tally.flags.items())},
        "differences": Streamed(outcome.differences, _difference),
        "refused": Streamed(outcome.refused, lambda record: record[1]),
    }


def _credits(tally: Tally) -> Iterable[tuple[str, Pair]]:
    """Return what entries of each type move, and all together."""
    return sorted({**tally.sums, "net": net_of(tally.sums)}.items())


def net_of(sums: Mapping[str, Pair]) -> Pair:
    """Return what entries move together."""
    return [functools.reduce(EXACT.add, (pair[which] for pair in sums.values()), ZERO) for which in (0, 1)]


def _pair(pair: Iterable[Decimal]) -> dict[str, str]:
    now, then = pair
    return {"now": format(now, "f"), "then": format(then, "f")}


def _difference(record: Record) -> dict[str, str]:
    reference, user, now, then, *_ = record
    by = EXACT.subtract(Decimal(then), Decimal(now))
    return {"reference": reference, "user": user, "now": now, "then": then, "by": format(by, "f")}
