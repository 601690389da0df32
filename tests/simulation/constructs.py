"""Which constructs of the policy a history has really used, by its entries: one that never occurs proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tests.simulation.holds import EXPIRY, is_refused
from tests.simulation.world.terms import CHANGED_AT, SALE_AT

Entry = Mapping[str, Any]


def parts(entry: Entry) -> Iterator[Mapping[str, Any]]:
    """Yield the prices of an entry: of its components, or its own."""
    price = entry.get("price", {})
    yield from price.get("components", (price,))


def _is_bounded(entry: Entry, bound: str) -> bool:
    return entry.get("price", {}).get(bound) == -entry["amount"]


def _attempt(entry: Entry, name: str, place: int = 0) -> int:
    """Return which attempt a fact of an entry is of; -1 where the entry has none."""
    told = entry.get("facts", {}).get(name, [])
    facts = [told] if isinstance(told, Mapping) else told
    return int(facts[place].get("attempt", 0)) if facts else -1


CONSTRUCTS: Mapping[str, Callable[[Entry], bool]] = {
    "charge of a row without a time": lambda entry: "occurredAtFrom" in entry and "price" in entry,
    "refund of a row without a time": lambda entry: "occurredAtFrom" in entry and "price" not in entry,
    "price by the job's row": lambda entry: any(part.get("unit") == "gold" for part in parts(entry)),
    "several prices in one event": lambda entry: "components" in entry.get("price", {}) and entry["type"] == "debit",
    "graduated tiers": lambda entry: any(part.get("tierModel") == "graduated" for part in parts(entry)),
    "tiers by volume": lambda entry: any(part.get("tierModel") == "volume" for part in parts(entry)),
    "rates by two words": lambda entry: any("/" in part.get("unit", "") for part in parts(entry)),
    "a row that says what changes": lambda entry: any(part.get("effective") == CHANGED_AT for part in parts(entry)),
    "a row that ends": lambda entry: any(
        part.get("book") == "unit" and part.get("effective") == SALE_AT for part in parts(entry)
    ),
    "the price of another time": lambda entry: any(
        part.get("book") == "output" and part["effective"] < SALE_AT <= entry["occurredAt"] for part in parts(entry)
    ),
    "a minimum that counts": lambda entry: _is_bounded(entry, "minimum"),
    "a maximum that counts": lambda entry: _is_bounded(entry, "maximum"),
    "a refund of so many credits as the event says": lambda entry: entry["rule"] == "credit" and entry["type"] == "refund",
    "a refund of so many percent as the event says": lambda entry: entry["rule"] == "share" and entry["type"] == "refund",
    "a revoke of so many percent": lambda entry: entry["rule"] == "dispute" and entry["type"] == "revoke",
    "a charge of the second attempt or a higher one": lambda entry: entry["type"] == "debit" and _attempt(entry, "charge") > 1,
    "what the attempts below were charged comes back": lambda entry: (
        entry["type"] == "refund" and _attempt(entry, "refunds", -1) > _attempt(entry, "charge")
    ),
    "a charge that takes the place of its hold": lambda entry: entry["type"] == "settle" and entry["amount"] != 0,
    "a charge that is refused beyond its hold": lambda entry: (
        entry["type"] == "settle" and entry["amount"] == 0 and -entry["cost"] < entry.get("held", 0)
    ),
    "a hold that ends with a failure": lambda entry: entry["type"] == "release" and entry["rule"] != EXPIRY,
    "a hold that has expired": lambda entry: entry["rule"] == EXPIRY,
    "a hold that costs nothing more": lambda entry: entry["type"] == "hold" and entry["amount"] == 0,
    "a hold that gives way to an earlier one": lambda entry: entry["type"] == "hold" and entry["amount"] > 0,
    "a hold of the second attempt or a higher one": lambda entry: entry["type"] == "hold" and _attempt(entry, "hold") > 1,
    "what is held moves by a person's word": lambda entry: "correction" in entry and entry.get("held", 0) != 0,
    "a request that was refused": is_refused,
    "a rule with another name": lambda entry: entry["rule"].endswith("-renamed"),
}
"""By what is counted."""


def constructs(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the name of each construct that an entry uses, for each entry."""
    for entry in entries:
        yield from (name for name, is_used in CONSTRUCTS.items() if is_used(entry))
