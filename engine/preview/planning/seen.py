"""How often a text came, at least: of what came no more often than it may, no look back is needed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.preview.planning.spill import TEXTS, append

SLOTS_MAX, SLOTS_OF_A_PARTITION = 1 << 26, 1 << 18
"""One byte each, in all and for the events of one partition: two texts that share one make both look more frequent."""

ADDED_AT_ONCE = 1 << 20

TIMED_FROM = 4
"""Where a process has to see a text so often, it counts by time: few texts come so often so soon, and those are named."""

BYTE_MAX = 255


class Limit(NamedTuple):
    """What may come ``more_than`` times ``within`` so many microseconds; of two policies the smaller, and the longer."""

    more_than: int
    within: int


class Counter(NamedTuple):
    """How a process counts the texts of one anomaly: ``enough`` of them within two adjacent ``width`` make a text ``often``.

    ``width`` is 0 where what all processes have counted has to be added first. ``salt`` tells apart the texts of anomalies.
    """

    salt: int
    width: int
    enough: int
    often: set[str]


def counter_of(name: str, limit: Limit, workers: int) -> Counter:
    """Return how texts are counted. What comes too often came to one process as often as its share in it."""
    enough = min(-(-(limit.more_than + 1) // workers), BYTE_MAX // workers)
    width = max(limit.within, 1) if enough >= TIMED_FROM else 0
    return Counter(zlib.crc32(name.encode("utf-8", "surrogatepass")), width, enough, set())


class Seen:
    """Counts texts for anomalies, those of many events at a time.

    A slot counts up to the share of one process in what a byte holds, so that what all have counted is added byte by byte.
    """

    def __init__(self, partitions: int, workers: int, limits: Mapping[str, Limit]) -> None:
        self.counters = {name: counter_of(name, limit, workers) for name, limit in limits.items()}
        self.most = BYTE_MAX // workers
        self.counts = bytearray(min(SLOTS_MAX, SLOTS_OF_A_PARTITION * partitions))

    def add(self, counted: Iterable[tuple[int, str]], events: Sequence[tuple[Sequence[str], int]]) -> None:
        """Count the texts of events, each with its time: of ``counted`` the place of a text, and what it is counted for."""
        for place, name in counted:
            counter = self.counters[name]
            told = [(texts[place], at) for texts, at in events]
            (self._by_time if counter.width else self._in_all)(counter, told)

    def _in_all(self, counter: Counter, told: Iterable[tuple[str, int]]) -> None:
        counts, slots, most, salt, crc32 = self.counts, len(self.counts), self.most, counter.salt, zlib.crc32
        for text, _ in told:
            slot = crc32(text.encode("utf-8", "surrogatepass"), salt) % slots
            if counts[slot] < most:
                counts[slot] += 1

    def _by_time(self, counter: Counter, told: Iterable[tuple[str, int]]) -> None:
        """Count by adjacent slots for adjacent times."""
        counts, slots, most, crc32 = self.counts, len(self.counts), self.most, zlib.crc32
        salt, width, enough, often = counter
        for text, at in told:
            slot = (crc32(text.encode("utf-8", "surrogatepass"), salt) + at // width) % slots
            count = counts[slot]
            if count < most:
                counts[slot] = count = count + 1
            if count + counts[slot - 1] >= enough or count + counts[slot + 1 - slots] >= enough:
                often.add(text)

    def done(self, path: Path) -> dict[str, set[str]]:
        """Keep what was counted in a file, and return what came often by what is counted by time."""
        append(path, self.counts)
        return {name: counter.often for name, counter in self.counters.items() if counter.width}


class SeenByAll:
    """What all processes have counted."""

    def __init__(self, paths: Sequence[Path], often: Sequence[Mapping[str, set[str]]], limits: Mapping[str, Limit]) -> None:
        self.counts = added(paths)
        self.most = BYTE_MAX // len(paths)
        self.often = {name: frozenset().union(*(each[name] for each in often)) for name in often[0]}
        self.limits = limits

    def more_often(self, name: str, logs: Sequence[Any], of: int, place: int) -> Sequence[Any]:
        """Return those of some logs of whose record ``of`` the text at a place may have come too often for an anomaly."""
        if (often := self.often.get(name)) is not None:
            return [log for log in logs if log[of][TEXTS][place] in often] if often else ()
        counts, slots, least = self.counts, len(self.counts), min(self.limits[name].more_than, self.most - 1)
        salt, crc32 = counter_of(name, self.limits[name], 1).salt, zlib.crc32
        return [
            log for log in logs if counts[crc32(log[of][TEXTS][place].encode("utf-8", "surrogatepass"), salt) % slots] > least
        ]


def added(paths: Sequence[Path]) -> bytearray:
    """Return the bytes of files, added: as numbers of very many digits, since no sum of bytes is above 255."""
    counts = bytearray(paths[0].read_bytes())
    for path in paths[1:]:
        with path.open("rb") as file:
            for at in range(0, len(counts), ADDED_AT_ONCE):
                both = counts[at : at + ADDED_AT_ONCE], file.read(ADDED_AT_ONCE)
                total = sum(int.from_bytes(each, "little") for each in both)
                counts[at : at + ADDED_AT_ONCE] = total.to_bytes(len(both[0]), "little")
    return counts
