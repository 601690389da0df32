"""A policy whose charge has several prices, and what is done under it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine.domain.entry import Entry
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.stored import entry_of
from engine.policy import Policy, parse_policy
from tests.support.books import Books

POSTED_AT = datetime(2026, 1, 6, tzinfo=UTC)

PRICES = """\
prices:
  tokens-in:
    - {effective: 2026-01-01T00:00:00Z, by: detail.model, rates: {default: "0.000003", small: "0.00000015"}}
  tokens-out:
    - {effective: 2026-01-01T00:00:00Z, by: detail.model, rates: {default: "0.000015", small: "0.0000006"}}
  second:
    - {effective: 2026-01-01T00:00:00Z, rates: {default: [{up_to: 60, rate: "0.10"}, {rate: "0.08"}]}}
  frame:
    - effective: 2026-01-01T00:00:00Z
      tiers: volume
      rates: {default: [{up_to: 100, rate: "0.02"}, {rate: "0.01"}]}
"""

TOKENS = "{price: tokens-in, quantity: detail.in}, {price: tokens-out, quantity: detail.out}"


def policy(
    components: str, *, more: str = "", money: str = "{places: 4, rounding: half-even}", anomalies: str = "[]"
) -> Policy:
    """Return a policy whose debit rule has these components; ``more`` stands beside them."""
    return parse_policy(text(components, more=more, money=money, anomalies=anomalies), "media.yaml")


def text(components: str, *, more: str = "", money: str = "{places: 4}", anomalies: str = "[]") -> str:
    """Return such a policy's text, with just the price books that it uses."""
    _, *books = PRICES.split("\n  ")
    rows = {book.partition(":")[0]: book for book in _joined(books)}
    used = "".join(f"  {rows[name].rstrip()}\n" for name in rows if f"price: {name}," in components)
    return (
        "version: 1\nname: media\nevent: {job: detail.job, user: detail.user, time: time, reference: detail.purchase}\n"
        f"money: {money}\n" + (f"prices:\n{used}" if used else "") + "rules:\n"
        "  - name: debit\n    match: {detail-type: [done]}\n    action: debit\n"
        f"    charge: {{components: [{components}]{more}}}\n"
        "  - {name: failed, match: {detail-type: [failed]}, action: refund, refund: {percent: 50}}\n"
        f"anomalies: {anomalies}\n"
    )


def _joined(lines: list[str]) -> list[str]:
    """Return the texts of the price books: what stands deeper belongs to the line above."""
    books: list[str] = []
    for line in lines:
        if line.startswith(" "):
            books[-1] += f"\n  {line}"
        else:
            books.append(line)
    return books


def done(job: str = "j-1", at: str = "10:00", **detail: Any) -> dict[str, Any]:
    """Return the event of work that was done."""
    what = {"job": job, "user": "u-1", "model": "large", **detail}
    return {"source": "media", "detail-type": "done", "time": f"2026-01-05T{at}:00Z", "detail": what}


def entry(of: Policy, **detail: Any) -> Entry:
    """Return the entry of an event, as it comes back from the table."""
    books = Books(of)
    books.deliver(done(**detail))
    return stored(books.entries_of("j-1")[-1])


def stored(kept: Entry) -> Entry:
    """Return an entry as it comes back from the table."""
    return entry_of(decode_item(item_of(kept, POSTED_AT)))


def cost(components: str, more: str = "", money: str = "{places: 4}", **detail: Any) -> str:
    """Return what an event costs."""
    return format(entry(policy(components, more=more, money=money), **detail).cost, "f")
