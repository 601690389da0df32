"""Seals: what the ledger's entries were, kept where nothing that serves events can write.

A seal covers the entries of one span of posting times. Its *parts* hold a line for each of them, and are named by their own
SHA-256; its *header* names the parts and the hash of the header before it. So the headers are a chain: whoever changes an
entry, a part or a header has to change every header after it, and the last hash stands in the log of the run that sealed it.

Source: S. Haber, W. S. Stornetta, "How to Time-Stamp a Digital Document", Journal of Cryptology 3 (1991).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any

from attrs import asdict, frozen

from engine.domain.money import ZERO
from engine.ledger.moved import Moved


@frozen
class SealedEntry:
    """What a seal keeps of an entry. ``digest`` is the SHA-256 of all its attributes but an explanation."""

    posted_at: str
    reference: str
    sequence: int | Decimal
    user: str
    amount: Decimal
    digest: str
    facts: str = ""
    """The digest of what the entry knows of its job; empty in seals of the first form, which kept none."""
    held: Decimal = ZERO
    """How many credits more were held since it. Written only where that is not 0: most lines end before it."""

    def text(self) -> str:
        """Return the line that stands for the entry in a part."""
        sequence = self.sequence if isinstance(self.sequence, int) else format(self.sequence, "f")
        place = [self.posted_at, self.reference, sequence, self.user, format(self.amount, "f")]
        rest = [self.facts, format(self.held, "f")] if self.held else [self.facts] if self.facts else []
        return canonical([*place, self.digest, *rest])

    @property
    def moves(self) -> Moved:
        """What it moved of its user's row."""
        return Moved(self.amount, self.held)

    @classmethod
    def read(cls, text: str) -> SealedEntry:
        """Return the entry that a line stands for. Raises ValueError for what is none."""
        posted_at, reference, sequence, user, amount, digest, *rest = json.loads(text)
        at = sequence if isinstance(sequence, int) else Decimal(sequence)
        facts, held = [*rest, "", "0"][:2] if not rest else [*rest, "0"][:2]
        return cls(posted_at, reference, at, user, Decimal(amount), digest, facts, Decimal(held))


@frozen
class Seal:
    """A header: so many ``entries`` posted after ``since`` until ``until`` (posting times), ``total`` with those before."""

    number: int
    since: str
    until: str
    entries: int
    total: int
    parts: tuple[str, ...]
    previous: str

    @property
    def hash(self) -> str:
        """The link to the next header, and what the log keeps."""
        return digest(canonical(asdict(self)))


NO_SEAL = Seal(0, "", "", 0, 0, (), "")
"""What stands before the first one."""

PART_BYTES_MAX = 300_000
"""So long are the lines of a part at most: an item of a table holds 400 KB."""


def canonical(value: Mapping[str, Any] | list[Any]) -> str:
    """Return JSON-like values as the one text that they are hashed by; bytes, which no entry has, in base64."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_in_base64)


def _in_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def digest(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
