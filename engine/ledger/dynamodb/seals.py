"""Seals: what the ledger's entries were, kept where nothing that serves events can write. Items of the Seals table.

A seal covers the entries of one span of posting times. Its *parts* hold a line for each of them, and are named by their own
SHA-256; its *header* names the parts and the hash of the header before it. So the headers are a chain: whoever changes an
entry, a part or a header has to change every header after it, and the last hash stands in the log of the run that sealed it.

Source: S. Haber, W. S. Stornetta, "How to Time-Stamp a Digital Document", Journal of Cryptology 3 (1991).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any

from attrs import asdict, frozen

from engine.domain.money import ZERO
from engine.ledger.dynamodb.attributes import Item, decode_item, encode, encode_item

HEADER, PART = "seal", "part#"
"""What ``id`` is: all headers stand under one, in order of their ``number``; each part under its own hash."""

ADDED_LATER = "explanation"
"""The only attribute that may be added to an entry."""

PART_BYTES_MAX = 300_000
"""An item of DynamoDB holds 400 KB."""


@frozen
class SealedEntry:
    """What a seal keeps of an entry. ``digest`` is the SHA-256 of all its attributes but an explanation."""

    posted_at: str
    reference: str
    sequence: int
    user: str
    amount: Decimal
    digest: str
    facts: str = ""
    """The digest of what the entry knows of its job; empty in seals of the first form, which kept none."""

    def text(self) -> str:
        """Return the line that stands for the entry in a part."""
        place = [self.posted_at, self.reference, self.sequence, self.user, format(self.amount, "f")]
        return _json([*place, self.digest, *([self.facts] if self.facts else [])])

    @classmethod
    def read(cls, text: str) -> SealedEntry:
        """Return the entry that a line stands for. Raises ValueError for what is none."""
        posted_at, reference, sequence, user, amount, digest, *facts = json.loads(text)
        return cls(posted_at, reference, sequence, user, Decimal(amount), digest, *facts)


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
        return _sha256(_json(asdict(self)))


NO_SEAL = Seal(0, "", "", 0, 0, (), "")
"""What stands before the first one."""


def sealed_entry(item: Item) -> SealedEntry:
    """Return what is kept of an entry as DynamoDB gives it. What is damaged by then is sealed as it is."""
    return SealedEntry(
        posted_at=text_of(item, "postedAt"),
        reference=text_of(item, "reference"),
        sequence=int(item["sequence"]["N"]),
        user=text_of(item, "userId"),
        amount=number_of(item, "amount") or ZERO,
        digest=digest_of(item),
        facts=facts_digest_of(item),
    )


def digest_of(item: Item) -> str:
    """Return the SHA-256 of an entry's attributes in DynamoDB's own JSON, with sorted names. A number has one form there."""
    return _sha256(_json({name: value for name, value in item.items() if name != ADDED_LATER}))


FACTS_DIGITS = 32
"""128 bits: so many tell what was sealed from what somebody made up, at a sixth more of a line."""


def facts_digest_of(item: Item) -> str:
    """Return the digest of what an entry knows of its job: its first ``FACTS_DIGITS`` hexadecimal digits."""
    return _sha256(_json(item.get("facts", {})))[:FACTS_DIGITS]


def text_of(item: Item, name: str) -> str:
    """Return a text attribute; empty where it is missing or no text."""
    return str(item.get(name, {}).get("S", ""))


def number_of(item: Item, name: str) -> Decimal | None:
    """Return a number, None where it is missing or none."""
    try:
        return Decimal(item.get(name, {}).get("N", ""))
    except InvalidOperation:
        return None


def part_of(lines: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """Return the hash of a part, and its item."""
    text = "\n".join(lines)
    name = _sha256(text)
    return name, encode_item({"id": f"{PART}{name}", "number": 0, "lines": text})


def part_key(name: str) -> dict[str, Any]:
    """Return the key of a part."""
    return encode_item({"id": f"{PART}{name}", "number": 0})


def lines_of(item: Item | None, name: str) -> list[SealedEntry] | None:
    """Return the entries of a part, None where it is gone or no longer what its name says."""
    text = text_of(item or {}, "lines")
    return [SealedEntry.read(line) for line in text.split("\n")] if item and _sha256(text) == name else None


def header_item(seal: Seal) -> dict[str, Any]:
    """Return the item of a header."""
    return encode_item({"id": HEADER, **asdict(seal), "hash": seal.hash})


def header_of(item: Item) -> tuple[Seal, str]:
    """Return a header and the hash that was stored with it."""
    stored = decode_item(item)
    fields: dict[str, Any] = {name: stored.get(name) for name in ("number", "since", "until", "entries", "total", "previous")}
    return Seal(**fields, parts=tuple(stored.get("parts", ()))), str(stored.get("hash", ""))


def headers_request(table: str, *, newest_first: bool = False) -> dict[str, Any]:
    """Return the request for the headers in order of their number."""
    return {
        "TableName": table,
        "KeyConditionExpression": "id = :header",
        "ExpressionAttributeValues": {":header": encode(HEADER)},
        "ConsistentRead": True,
        "ScanIndexForward": not newest_first,
    }


def _json(value: Mapping[str, Any] | list[Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _sha256(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
