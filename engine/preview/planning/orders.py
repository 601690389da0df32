"""The orders in which long tables of a plan are shown."""

from __future__ import annotations

import functools
from collections import defaultdict
from decimal import Decimal
from operator import itemgetter
from pathlib import Path

from engine.domain.money import EXACT
from engine.preview.planning.spill import Record, Sorting


def by_size(record: Record) -> tuple[Decimal, int, int]:
    """Return the order of differences: the largest first, of equal ones those that are posted now, as they were posted."""
    return _size(record[2], record[3]), record[4], record[5]


class Differences(Sorting):
    """Sorts differences: few sizes are compared, and of one size only numbers."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, by_size)

    def sort(self, records: list[Record]) -> list[Record]:
        """Return records by size."""
        of_size: defaultdict[Decimal, list[Record]] = defaultdict(list)
        for record in records:
            of_size[_size(record[2], record[3])].append(record)
        return [record for size in sorted(of_size) for record in sorted(of_size[size], key=itemgetter(4, 5))]


def by_line(record: Record) -> int:
    """Return the order of events that are refused: their own."""
    return record[0]  # type: ignore[no-any-return]


def by_user(record: Record) -> tuple[Decimal, str]:
    """Return the order of users: those with the largest difference first."""
    return _size(record[2], record[3]), record[0]


@functools.lru_cache(maxsize=10_000)
def _size(now: str, then: str) -> Decimal:
    """Return the size of a difference, below 0: most of them come again and again."""
    return EXACT.minus(EXACT.abs(EXACT.subtract(Decimal(then), Decimal(now))))
