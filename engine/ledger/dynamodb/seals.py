"""Seals <-> items of the Seals table, and the digests of entries as DynamoDB writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import asdict

from engine.ledger.dynamodb.attributes import Item, decode_item, encode, encode_item
from engine.ledger.dynamodb.postings import EXPLANATION
from engine.ledger.seals import Seal, SealedEntry, canonical, digest

HEADER, PART = "seal", "part#"
"""What ``id`` is: all headers stand under one, in order of their ``number``; each part under its own hash."""


def digest_of(item: Item) -> str:
    """Return the SHA-256 of an entry's attributes in DynamoDB's own JSON, with sorted names. A number has one form there."""
    return digest(canonical({name: value for name, value in item.items() if name != EXPLANATION}))


FACTS_DIGITS = 32
"""128 bits: so many tell what was sealed from what somebody made up, at a sixth more of a line."""


def facts_digest_of(item: Item) -> str:
    """Return the digest of what an entry knows of its job: its first ``FACTS_DIGITS`` hexadecimal digits."""
    return digest(canonical(item.get("facts", {})))[:FACTS_DIGITS]


def text_of(item: Item, name: str) -> str:
    """Return a text attribute; empty where it is missing or no text."""
    return str(item.get(name, {}).get("S", ""))


def part_of(lines: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """Return the hash of a part, and its item."""
    text = "\n".join(lines)
    name = digest(text)
    return name, encode_item({"id": f"{PART}{name}", "number": 0, "lines": text})


def part_key(name: str) -> dict[str, Any]:
    """Return the key of a part."""
    return encode_item({"id": f"{PART}{name}", "number": 0})


def lines_of(item: Item | None, name: str) -> list[SealedEntry] | None:
    """Return the entries of a part, None where it is gone or no longer what its name says."""
    text = text_of(item or {}, "lines")
    return [SealedEntry.read(line) for line in text.split("\n")] if item and digest(text) == name else None


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
