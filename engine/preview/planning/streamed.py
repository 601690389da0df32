"""A list that is longer than memory, as a part of an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.preview.planning.spill import InOrder, Record


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
