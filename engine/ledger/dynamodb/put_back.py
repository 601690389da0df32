"""What a repair writes in one transaction: entries that go back into their places, and what moves with corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.money import EXACT, ZERO
from engine.ledger.dynamodb.attributes import Item
from engine.ledger.dynamodb.postings import EXPLANATION, add_credits, put_entry
from engine.ledger.store import Tables

ACTIONS_MAX = 100
"""So many items a transaction holds."""


def moves(tables: Tables, corrections: Sequence[tuple[Entry, Decimal]]) -> list[dict[str, Any]]:
    """Return what moves balances by the number beside each correction: the row of each user is written once."""
    moved: dict[str, Decimal] = {}
    for entry, amount in corrections:
        moved[entry.user] = EXACT.add(moved.get(entry.user, ZERO), amount)
    return [add_credits(tables, user, amount, ZERO, Guard.EXISTS) for user, amount in sorted(moved.items()) if amount]


def put_back(tables: Tables, posted: Mapping[str, Any], found: Item | None) -> dict[str, Any]:
    """Return what puts an entry back over what was found (None: nothing). An explanation that stands there stays."""
    if found is None:
        return put_entry(tables, posted)
    item = {**posted, **{name: value for name, value in found.items() if name == EXPLANATION}}
    return {"Put": {"TableName": tables.ledger, "Item": item, **_as_found(found, posted)}}


def _as_found(found: Item, posted: Item) -> dict[str, Any]:
    """Return the condition that an item is still as it was found, attribute by attribute."""
    gone = sorted((posted.keys() | {EXPLANATION}) - found.keys())
    names = {f"#{number}": name for number, name in enumerate([*sorted(found), *gone])}
    values = {f":{number}": found[name] for number, name in enumerate(sorted(found))}
    each_is_as_found = [f"{name} = :{name[1:]}" for name in names if f":{name[1:]}" in values]
    nothing_was_added = [f"attribute_not_exists({name})" for name in names if f":{name[1:]}" not in values]
    return {
        "ConditionExpression": " AND ".join([*each_is_as_found, *nothing_was_added]),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
