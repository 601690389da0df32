"""Entries <-> items of the Ledger table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.instants import instant_text, posting_text
from engine.ledger.attributes import Item, decode_item, encode_item
from engine.values import EXACT, ZERO, Anomaly, Charge, Entry, Facts, JobLog, Price, Refund


def item_of(entry: Entry, posted_at: datetime) -> dict[str, Any]:
    """Return the item that stores ``entry``."""
    return encode_item(
        {
            "reference": entry.reference,
            "sequence": entry.sequence,
            "userId": entry.user,
            "jobId": entry.job,
            "type": entry.type.value,
            "amount": entry.amount,
            "cost": entry.cost,
            "occurredAt": instant_text(entry.occurred_at),
            "occurredAtFrom": "scan-start" if entry.time_is_assumed else None,
            "postedAt": posting_text(posted_at),
            "rule": entry.rule,
            "policy": entry.policy,
            "price": _price(entry.price) if entry.price else None,
            "quantity": entry.quantity,
            "facts": _facts(entry.facts),
            "anomalies": [_anomaly(anomaly) for anomaly in entry.anomalies],
            "source": entry.source.value,
            "eventId": entry.event_id,
        }
    )


def log_of(items: Iterable[Item]) -> JobLog:
    """Return a job's entries (in order of their sequence), summed up."""
    log = JobLog()
    for item in items:
        entry = decode_item(item)
        log = JobLog(
            sequence=entry["sequence"],
            user=log.user or entry["userId"],
            facts=_facts_of(entry["facts"]) if "facts" in entry else log.facts,
            cost=Decimal(entry.get("cost", log.cost)),
            posted=EXACT.add(log.posted, Decimal(entry.get("amount", ZERO))),
        )
    return log


def _price(price: Price) -> dict[str, object]:
    return {"book": price.book, "effective": instant_text(price.effective), "rate": price.rate, "unit": price.unit}


def _anomaly(anomaly: Anomaly) -> dict[str, object]:
    return {"name": anomaly.name, "reason": anomaly.reason, "figures": dict(anomaly.figures) or None}


def _facts(facts: Facts) -> dict[str, object]:
    return {
        "charge": _charge(facts.charge) if facts.charge else None,
        "refund": _refund(facts.refund) if facts.refund else None,
        "flags": {name: instant_text(at) for name, at in facts.flags} or None,
    }


def _charge(charge: Charge) -> dict[str, object]:
    return {"amount": charge.amount, "at": instant_text(charge.at), "content": list(charge.content)}


def _refund(refund: Refund) -> dict[str, object]:
    return {"percent": refund.percent, "at": instant_text(refund.at)}


def _facts_of(stored: Mapping[str, Any]) -> Facts:
    charge, refund = stored.get("charge"), stored.get("refund")
    return Facts(
        charge=Charge(Decimal(charge["amount"]), _instant(charge["at"]), tuple(charge["content"])) if charge else None,
        refund=Refund(Decimal(refund["percent"]), _instant(refund["at"])) if refund else None,
        flags=tuple(sorted((name, _instant(at)) for name, at in stored.get("flags", {}).items())),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
