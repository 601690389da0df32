"""Dates of price rows that lie so far ahead that the year is most likely wrong. Who calls it has the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from engine.domain.errors import Mistake
from engine.domain.instants import instant_text, read_instant
from engine.policy.model import Policy
from engine.policy.source import Items, Members, Scalar, read_yaml

FAR = timedelta(days=400)
"""Nobody plans a price so long before it counts."""


def far_dates(policy: Policy, data: bytes, file: str, now: datetime) -> Sequence[Mistake]:
    """Return a warning for each date of a price row that lies far ahead of ``now``. ``data`` is the policy's text."""
    rows = [row for book in policy.prices.values() for row in book.rows]
    if all(at is None or at - now <= FAR for row in rows for at in (row.effective, row.until)):
        return ()
    node, notes = read_yaml(data, file)
    for date in _dates(node) if isinstance(node, Members) else ():
        at = read_instant(date.text)
        if at is not None and at - now > FAR:
            notes.warning(date.place, f"{instant_text(at)} is {(at - now).days} days ahead; is the year right?")
    return notes.warnings


def _dates(policy: Members) -> Iterator[Scalar]:
    """Yield the dates of all rows, as they are written."""
    prices = policy.get("prices")
    for _, rows in prices.pairs if isinstance(prices, Members) else ():
        for row in rows.nodes if isinstance(rows, Items) else ():
            dates = (row.get(key) for key in ("effective", "until")) if isinstance(row, Members) else ()
            yield from (date for date in dates if isinstance(date, Scalar))
