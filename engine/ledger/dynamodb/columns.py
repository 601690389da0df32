"""A record of the archive -> the columns of a row. What somebody has damaged leaves columns empty, and stops nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from engine.domain.digits import as_text, in_digits
from engine.domain.fact_kinds import read_facts
from engine.domain.instants import read_instant
from engine.domain.models import model_named
from engine.domain.money import EXACT, ZERO
from engine.ledger.archive.parquet import DIGITS, PLACES, Row
from engine.ledger.dynamodb.attributes import decode
from engine.ledger.dynamodb.stream import WHOLE, Record
from engine.ledger.seals import canonical

NUMBER_END = Decimal(10) ** (DIGITS - PLACES)
LAST_PLACE = Decimal(1).scaleb(-PLACES)
INT64_END = 2**63

TEXTS: Mapping[str, str] = {
    "user_id": "userId",
    "job_id": "jobId",
    "type": "type",
    "rule": "rule",
    "policy": "policy",
    "source": "source",
    "event_id": "eventId",
}


def row_of_line(line: str) -> Row | None:
    """Return the row of a line of the archive, None for a removal. Raises ValueError for what is no record.

    ``told`` is ``whole`` for an entry; any other row has only an explanation for one.
    """
    record = Record.read(line)
    reference, sequence = record.key
    place = {"reference": reference, "sequence": sequence if _is_whole_number(sequence) else None, "digest": record.digest}
    words = {"explanation": _json(record.explanation)} if record.explanation is not None else {}
    if record.told not in WHOLE or record.item is None:
        return {"told": "change", **place, **words} if words else None
    stored = _decoded(record.item)
    columns = {**_columns(stored), **_figures(stored), **_known(stored), **_whole(record, stored)}
    return {"told": "whole", **place, **words, **columns}


def _decoded(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item's attributes, without those that have no form that is known."""
    found: dict[str, Any] = {}
    for name, attribute in item.items():
        value = _tried(partial(decode, attribute))
        if value is not None:
            found[name] = value
    return found


def _columns(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {column: _text(stored.get(name)) for column, name in TEXTS.items()} | {
        "occurred_at": _instant(stored.get("occurredAt")),
        "posted_at": _instant(stored.get("postedAt")),
        "anomalies": [name for each in _list(stored.get("anomalies")) if (name := _text(_member(each, "name"))) is not None],
        "resolution": _text(_member(stored.get("resolution"), "note")),
        "correction": _correction(stored.get("correction")),
    }


def _known(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what only all of an entry's facts tell: the model that was charged, and the highest attempt that is known."""
    facts = _tried(lambda: read_facts(stored["facts"]))
    if facts is None:
        return {"model": None, "attempt": None}
    attempt = max(facts.attempts, default=None)
    return {"model": model_named(facts) or None, "attempt": attempt if _is_whole_number(attempt) else None}


def _figures(stored: Mapping[str, Any]) -> dict[str, Any]:
    facts = stored.get("facts")
    return {
        "amount": _number(stored.get("amount")),
        "cost": _number(stored.get("cost")),
        "held": _number(stored.get("held", ZERO)),
        "quantity": _rounded(stored.get("quantity")),
        "price": _price(stored.get("price")),
        "charge": _charge(_member(facts, "charge")),
        "refunds": [_refund(each) for each in _list(_member(facts, "refunds"))],
    }


def _whole(record: Record, stored: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "facts": json.dumps(stored["facts"], default=_exact, sort_keys=True) if "facts" in stored else None,
        "archived_at": _instant(record.at),
        "entry": canonical(dict(record.item or {})),
    }


def _price(price: Any) -> dict[str, Any] | None:
    if not isinstance(price, Mapping):
        return None
    numbers = {name: _number(price.get(name)) for name in ("rate", "amount", "minimum", "maximum")}
    return {
        **numbers,
        "book": _text(price.get("book")),
        "unit": _text(price.get("unit")),
        "effective": _instant(price.get("effective")),
    }


def _charge(charge: Any) -> dict[str, Any] | None:
    if not isinstance(charge, Mapping):
        return None
    said = charge.get("content")
    revision = charge.get("revision", 0)
    return {
        "amount": _number(charge.get("amount")),
        "at": _instant(charge.get("at")),
        "policy": _text(charge.get("policy")),
        "revision": revision if _is_whole_number(revision) and abs(revision) < 2**31 else None,
        "said": {name: _exact(value) for name, value in said.items()} if isinstance(said, Mapping) else None,
    }


def _refund(refund: Any) -> dict[str, Any]:
    return {
        "percent": _number(_member(refund, "percent")),
        "amount": _number(_member(refund, "amount")),
        "at": _instant(_member(refund, "at")),
        "rule": _text(_member(refund, "rule")),
        "policy": _text(_member(refund, "policy")),
    }


def _correction(correction: Any) -> dict[str, Any] | None:
    if not isinstance(correction, Mapping):
        return None
    names = {"told_by": "by", "reason": "reason", "id": "id", "approved_by": "approvedBy", "plan": "plan", "about": "about"}
    return {column: _text(correction.get(name)) for column, name in names.items()}


# --- single values ----------------------------------------------------------------------------------------------------


def _number(value: Any) -> str | None:
    """Return a number as digits, None where it is none, or where a column would round it."""
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        return None
    number = Decimal(value)
    is_exact = abs(number) < NUMBER_END and number == EXACT.quantize(number, LAST_PLACE)
    return in_digits(number) if is_exact else None


def _rounded(value: Any) -> str | None:
    """Return a quantity, which is no credit and may have more places: those are rounded, and ``entry`` has all of them."""
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        return None
    number = Decimal(value)
    return in_digits(EXACT.quantize(number, LAST_PLACE)) if abs(number) < NUMBER_END else None


def _instant(value: Any) -> str | None:
    """Return an instant to the millisecond, as far as Athena knows one; what is below is cut off, so that no day changes."""
    found = read_instant(value)
    return found.replace(tzinfo=None).isoformat(" ", timespec="milliseconds") if found is not None else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < INT64_END


def _exact(value: Any) -> str:
    """Return a value as a text, as ``said`` and ``facts`` have it: numbers in plain digits."""
    return as_text(value) if isinstance(value, str | Decimal) else json.dumps(value, default=as_text, sort_keys=True)


def _json(attribute: Any) -> str:
    found = _tried(partial(decode, attribute))
    return json.dumps(found, default=_exact, sort_keys=True)


def _tried(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ArithmeticError, AttributeError, InvalidOperation, KeyError, TypeError, ValueError):
        return None
