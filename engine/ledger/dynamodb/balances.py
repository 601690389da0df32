"""Pages of the book of balances <-> items of the Seals table."""

from __future__ import annotations

from decimal import InvalidOperation
from typing import Any

from engine.domain.errors import LedgerRefused
from engine.ledger.balances import BalancePage, PageKind, line_text, read_line
from engine.ledger.dynamodb.attributes import Item, decode_item, encode, encode_item

PAGES = "balances"
"""What ``id`` is: all pages stand under it, in order of their ``number``."""


def page_item(page: BalancePage) -> dict[str, Any]:
    """Return the item of a page."""
    lines = "\n".join(map(line_text, page.lines))
    own = {"id": PAGES, "number": page.number, "kind": page.kind.value, "at": page.at, "lines": lines}
    return encode_item({**own, "part": page.part, "parts": page.parts})


def page_of(item: Item) -> BalancePage:
    """Return the page that an item stores. Raises LedgerRefused for what is none."""
    stored = decode_item(item)
    try:
        lines = tuple(map(read_line, stored["lines"].splitlines()))
        part, parts = int(stored["part"]), int(stored["parts"])
        return BalancePage(int(stored["number"]), PageKind(stored["kind"]), stored["at"], lines, part, parts)
    except (AttributeError, InvalidOperation, KeyError, TypeError, ValueError) as error:
        number = stored.get("number")
        raise LedgerRefused(f"page {number} of the book of balances is none ({type(error).__name__}: {error})") from error


def pages_request(table: str) -> dict[str, Any]:
    """Return the request for all pages in order of their number."""
    return {
        "TableName": table,
        "KeyConditionExpression": "id = :pages",
        "ExpressionAttributeValues": {":pages": encode(PAGES)},
        "ConsistentRead": True,
    }
