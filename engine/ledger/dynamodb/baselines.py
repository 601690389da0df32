"""Baselines in the State table, and what is read of the Ledger for them and for a look back at it.

References are hashed, so that a scan gives them in no order: its beginning is a fair sample of all entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.domain.entry import EntryType
from engine.domain.instants import instant_text, read_instant
from engine.domain.money import ZERO
from engine.ledger.dynamodb.attributes import Item, decode_item, encode, encode_item
from engine.ledger.stored import EXCERPT_ATTRIBUTES
from engine.rating.baselines import Baseline, Baselines


def baselines_key(policy: str) -> dict[str, Any]:
    """Return the key of a policy's baselines; ``policy`` is its name, so that an edit keeps them."""
    return {"id": encode(f"baselines#{policy}")}


def baselines_item(policy: str, baselines: Baselines) -> dict[str, Any]:
    """Return the item that stores baselines."""
    groups = {of: {name: _stored(group) for name, group in groups.items()} for of, groups in baselines.groups.items()}
    computed_at = instant_text(baselines.computed_at) if baselines.computed_at else None
    return {**baselines_key(policy), **encode_item({"computedAt": computed_at, "groups": groups})}


def baselines_of(item: Item | None) -> Baselines:
    """Return stored baselines. Raises KeyError, TypeError or ValueError for what are none."""
    if not item:
        return Baselines()
    stored = decode_item(item)
    groups = {of: {name: _baseline(group) for name, group in groups.items()} for of, groups in stored["groups"].items()}
    return Baselines(groups, read_instant(stored["computedAt"]))


def samples_request(table: str, since: datetime) -> dict[str, Any]:
    """Return the request for the samples of the entries that were posted ``since``."""
    return {
        "TableName": table,
        "FilterExpression": "attribute_exists(samples) AND postedAt >= :since",
        "ExpressionAttributeValues": {":since": encode(instant_text(since))},
        "ProjectionExpression": "samples",
    }


def _stored(baseline: Baseline) -> dict[str, object]:
    stored = {"median": baseline.median, "mad": baseline.spread, "samples": baseline.samples}
    return stored if baseline.log_spread is None else {**stored, "logMad": baseline.log_spread}


def _baseline(stored: Mapping[str, Any]) -> Baseline:
    median, spread = Decimal(stored["median"]), Decimal(stored["mad"])
    log_spread = Decimal(stored["logMad"]) if "logMad" in stored else None
    if not all(number.is_finite() for number in (median, spread, log_spread or ZERO)):
        raise ValueError(f"{median}, {spread} and {log_spread} measure nothing")
    return Baseline(median, spread, int(stored["samples"]), log_spread)


RECENT_FILTER = "postedAt >= :since AND (attribute_exists(#signs) OR attribute_exists(#samples) OR #type = :flag)"


def recent_request(table: str, since: datetime) -> dict[str, Any]:
    """Return the request for what a look back sees of the entries that were posted ``since``."""
    names = {f"#{name}": name for name in EXCERPT_ATTRIBUTES}
    return {
        "TableName": table,
        "FilterExpression": RECENT_FILTER,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {":since": encode(instant_text(since)), ":flag": encode(EntryType.FLAG.value)},
        "ProjectionExpression": ", ".join(names),
    }
