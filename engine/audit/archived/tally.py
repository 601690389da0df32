"""How many entries there are and what they are, in 4,096 pieces: of the archive, and of the ledger.

Where the pieces of both are the same, so are the entries; where one differs, only its entries have to be looked at one by
one. Tallies of parts add up to that of the whole, in any order.

Source: M. Bellare, D. Micciancio, "A New Paradigm for Collision-Free Hashing" (AdHash), EUROCRYPT 1997.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from attrs import Factory, define

from engine.ledger.audits import AuditedEntry
from engine.ledger.stored import EntryKey

PIECES = 4096
HEX_DIGITS = 3
MODULUS = 2**128


def piece_of(reference: str) -> int:
    """Return the piece that the entries of a log belong to."""
    return int(sha256(reference.encode("utf-8", "surrogatepass")).hexdigest()[:HEX_DIGITS], 16)


@define
class Tally:
    """Entries that were posted ``until`` an instant (sortable text), and those that do not say when."""

    until: str
    pieces: dict[int, tuple[int, int]] = Factory(dict)
    """By piece: how many entries, and the sum of their hashes."""

    def counts(self, entry: AuditedEntry) -> bool:
        """Say whether an entry belongs to it."""
        return entry.posted_at <= self.until

    def add(self, entry: AuditedEntry, digest: str) -> None:
        """Count an entry, by its digest."""
        if self.counts(entry):
            self._add(piece_of(entry.line.reference), 1, _hash(entry.line.key, digest))

    def _add(self, piece: int, count: int, value: int) -> None:
        before, total = self.pieces.get(piece, (0, 0))
        self.pieces[piece] = before + count, (total + value) % MODULUS

    def merge(self, told: Mapping[str, list[str]]) -> None:
        """Add another one, as ``answer`` tells it."""
        for piece, (count, value) in told.items():
            self._add(int(piece), int(count), int(value, 16))

    def answer(self) -> dict[str, list[str]]:
        """Return it as JSON-like values."""
        return {str(piece): [str(count), f"{value:x}"] for piece, (count, value) in sorted(self.pieces.items())}

    def differing(self, other: Tally) -> set[int]:
        """Return the pieces that are not the same in another one."""
        return {
            piece for piece in self.pieces.keys() | other.pieces.keys() if self.pieces.get(piece) != other.pieces.get(piece)
        }


def _hash(key: EntryKey, digest: str) -> int:
    return int(sha256(f"{key[0]}\0{key[1]}\0{digest}".encode("utf-8", "surrogatepass")).hexdigest()[:32], 16)
