"""What a repair writes in one transaction: entries that go back into their places, and users' rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.money import ZERO
from engine.ledger.audits import Credit
from engine.ledger.dynamodb.attributes import Item, encode, encode_item
from engine.ledger.dynamodb.postings import EXPLANATION, add_credits, put_entry
from engine.ledger.moved import NOTHING, Moved
from engine.ledger.store import Tables

ACTIONS_MAX = 100
"""So many items a transaction holds."""


def moves(tables: Tables, corrections: Sequence[tuple[Entry, Moved]]) -> list[dict[str, Any]]:
    """Return what moves rows by what stands beside each correction: the row of each user is written once."""
    moved: dict[str, Moved] = {}
    for entry, by in corrections:
        moved[entry.user] = moved.get(entry.user, NOTHING) + by
    return [add_credits(tables, user, by.amount, ZERO, Guard.EXISTS, held=by.held) for user, by in sorted(moved.items()) if by]


def set_row(tables: Tables, seen: Credit, says: Moved, moved: Decimal) -> dict[str, Any]:
    """Return what lets a user's row say what was posted and is held, where it is as it was ``seen``; its balance is moved.

    What is held is written only where the row says otherwise: most rows have never held anything.
    """
    sets = {"posted": (seen.stored, says.amount)}
    if says.held != seen.held:
        sets["held"] = (seen.stored_held, says.held)
    conditions = ["attribute_exists(userId)" if seen.is_there else "attribute_not_exists(userId)"]
    conditions += [_is_as_seen(name, stored) for name, (stored, _) in sets.items()] if seen.is_there else []
    values = {f":{name}": encode(number) for name, (_, number) in sets.items()}
    values |= {f":seen_{name}": dict(stored) for name, (stored, _) in sets.items() if isinstance(stored, Mapping)}
    if moved:
        values[":moved"] = encode(moved)
    if moved and says.amount == seen.posted:
        conditions.append(_balance_is_as_seen(seen))
        values[":remaining"] = encode(seen.remaining)
    set_them = f"SET {', '.join(f'{name} = :{name}' for name in sets)}"
    return {
        "TableName": tables.credits,
        "Key": encode_item({"userId": seen.user}),
        "UpdateExpression": f"{set_them} ADD remaining :moved" if moved else set_them,
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeValues": values,
    }


def _is_as_seen(name: str, stored: object) -> str:
    return f"{name} = :seen_{name}" if isinstance(stored, Mapping) else f"attribute_not_exists({name})"


def _balance_is_as_seen(seen: Credit) -> str:
    the_balance_is_as_seen = "remaining = :remaining"
    return the_balance_is_as_seen if seen.remaining else f"({the_balance_is_as_seen} OR attribute_not_exists(remaining))"


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
