"""How often a text came, at least: of what came no more often than it may, no look back is needed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from engine.preview.planning.spill import append

SLOTS_MAX, SLOTS_OF_A_PARTITION = 1 << 24, 1 << 16
"""One byte each, of all processes together; two texts that share a slot only make both look more frequent."""

MANY = 255


class Seen:
    """Counts texts. A plain class: it is asked of each event several times."""

    def __init__(self, partitions: int, workers: int) -> None:
        self.slots = min(SLOTS_MAX, SLOTS_OF_A_PARTITION * partitions) // workers
        self.counts = bytearray(self.slots)

    def add(self, texts: Sequence[str]) -> None:
        """Count the texts of an event."""
        counts, slots = self.counts, self.slots
        for text in texts:
            slot = zlib.crc32(text.encode("utf-8", "surrogatepass")) % slots
            if counts[slot] < MANY:
                counts[slot] += 1

    def write(self, path: Path) -> None:
        """Keep what was counted in a file."""
        append(path, bytes(self.counts))


class SeenByAll:
    """What all processes have counted."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.counts = [path.read_bytes() for path in paths]
        self.slots = len(self.counts[0])

    def more_often(self, text: str, than: int) -> bool:
        """Say whether a text may have come more often than so many times."""
        slot = zlib.crc32(text.encode("utf-8", "surrogatepass")) % self.slots
        counts = [each[slot] for each in self.counts]
        return MANY in counts or sum(counts) > than
