"""Entries <-> what is stored of them: JSON-like values, by the names of the Ledger's attributes.

These names are for good: whatever keeps entries, and whoever reads them, an entry of years ago is read by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.domain.anomaly import Anomaly, Excerpt, Sample, Sign
from engine.domain.entry import Correction, Entry, EntryType, PricedAnew, Resolution
from engine.domain.envelope import Source
from engine.domain.fact_kinds import read_facts, written
from engine.domain.facts import Facts
from engine.domain.instants import instant_text, posting_text
from engine.domain.log import JobLog, with_rule
from engine.domain.money import EXACT, ZERO, Money
from engine.domain.price import Component, Price, Tier, TierModel
from engine.domain.references import spread

type Place = int | Decimal
"""An entry's sequence. What somebody has put there by hand may have any number."""

type EntryKey = tuple[str, Place]
"""An entry's reference and sequence. A mark that somebody has made by hand may name any number."""


def stored_of(entry: Entry, posted_at: datetime) -> dict[str, object]:
    """Return what is stored of ``entry``. None, at any depth, stands for what is left out."""
    return {
        "reference": entry.reference,
        "sequence": entry.sequence,
        "userId": entry.user,
        "jobId": entry.job,
        "type": entry.type.value,
        "amount": entry.amount,
        "cost": entry.cost,
        "money": {"places": entry.money.places, "rounding": entry.money.rounding},
        "occurredAt": instant_text(entry.occurred_at),
        "occurredAtFrom": ASSUMED if entry.time_is_assumed else None,
        "postedAt": posting_text(posted_at),
        "rule": entry.rule,
        "policy": entry.policy,
        "price": stored_price(entry.price) if entry.price else None,
        "quantity": entry.quantity,
        "facts": written(entry.facts),
        "anomalies": [_anomaly(anomaly) for anomaly in entry.anomalies],
        "flagged": True if entry.anomalies else None,  # for the filter of the stream: a list cannot be asked for
        "samples": [_sample(sample) for sample in entry.samples] or None,
        "signs": {sign.name: sign.key for sign in entry.signs} or None,
        "source": entry.source.value,
        "eventId": entry.event_id,
        "resolution": _resolution(entry.resolution) if entry.resolution else None,
        "correction": _correction(entry.correction) if entry.correction else None,
        "held": entry.held or None,
        **(_due(entry, posted_at) if entry.type is EntryType.HOLD else {}),
    }


HOLD_SHARDS = tuple("0123456789abcdef")
"""Holds are found by when they are due in so many shards. They are for good: old entries stand in these."""


def _due(entry: Entry, posted_at: datetime) -> dict[str, object]:
    """Return by what a hold is found once it is due. One whose event came late is due when it is posted.

    So nothing comes into what lies well behind the clock, where the scheduled run has looked.
    """
    hold = entry.facts.hold
    if hold is None:  # by a repair's hand
        return {}
    shard = HOLD_SHARDS[spread(entry.reference) % len(HOLD_SHARDS)]
    return {"holdShard": shard, "holdDue": posting_text(max(hold.expires_at, posted_at))}


ASSUMED = "scan-start"
"""Where the time of an entry is from, when the row of Jobs had none."""


NO_ENTRY = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading raises of something else in the place of an entry, or of a part of it."""


class UnreadableLogError(ValueError):
    """An entry of a log is none of this system: nothing can be decided on it. ``sequence`` is its place."""

    def __init__(self, sequence: object, error: Exception) -> None:
        super().__init__(f"entry {sequence}: is no entry of this system ({type(error).__name__}: {error})")
        self.sequence = sequence


def log_of_stored(entries: Iterable[Mapping[str, Any]]) -> JobLog:
    """Return the stored entries of one reference (in order of their sequence), summed up. Some attributes are enough.

    Raises UnreadableLogError.
    """
    log = JobLog()
    for entry in entries:
        try:
            log = _then(log, entry)
        except NO_ENTRY as error:
            raise UnreadableLogError(entry.get("sequence"), error) from error
    return log


def _then(log: JobLog, entry: Mapping[str, Any]) -> JobLog:
    facts = read_facts(entry["facts"]) if "facts" in entry else log.facts
    return JobLog(
        sequence=entry["sequence"],
        user=entry["userId"] if entry.get("source") == Source.REPAIR else log.user or _named(entry, facts),
        facts=facts,
        cost=_number(entry.get("cost"), log.cost),
        posted=EXACT.add(log.posted, _number(entry.get("amount"), ZERO)),
        held=EXACT.add(log.held, _number(entry["held"], ZERO)) if "held" in entry else log.held,
        rules=with_rule(log.rules, str(entry.get("rule", ""))),
    )


def _named(entry: Mapping[str, Any], facts: Facts) -> str | None:
    """Return whose job it is by an entry. A hold that was refused does not say."""
    return None if entry.get("type") == EntryType.FLAG and entry.get("eventId") in facts.refused else entry["userId"]


def _number(stored: Any, otherwise: Decimal) -> Decimal:
    """Return a stored number. Somebody may have put something else there: that counts for nothing, as audits have it."""
    kind = stored.__class__
    return stored if kind is Decimal else Decimal(stored) if kind is int else otherwise


def entry_of(stored: Mapping[str, Any]) -> Entry:
    """Return the entry that is stored so. Raises KeyError or ValueError for what is no entry of this system."""
    return Entry(
        reference=stored["reference"],
        job=stored.get("jobId"),
        sequence=stored["sequence"],
        user=stored["userId"],
        type=EntryType(stored["type"]),
        amount=Decimal(stored["amount"]),
        occurred_at=_instant(stored["occurredAt"]),
        rule=stored["rule"],
        policy=stored["policy"],
        facts=read_facts(stored["facts"]),
        cost=Decimal(stored["cost"]),
        money=Money(stored["money"]["places"], stored["money"]["rounding"]),
        source=Source(stored["source"]),
        price=price_of(stored["price"]) if "price" in stored else None,
        quantity=_decimal(stored.get("quantity")),
        anomalies=tuple(_anomaly_of(anomaly) for anomaly in stored.get("anomalies", ())),
        samples=tuple(sample_of(sample) for sample in stored.get("samples", ())),
        signs=_signs_of(stored),
        event_id=stored.get("eventId"),
        time_is_assumed=stored.get("occurredAtFrom") == ASSUMED,
        resolution=_resolution_of(stored["resolution"]) if "resolution" in stored else None,
        correction=_correction_of(stored["correction"]) if "correction" in stored else None,
        held=Decimal(stored.get("held", ZERO)),
    )


def correction_in(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a stored entry says of who has told it; nothing where nobody has, or where something else stands there."""
    correction = stored.get("correction")
    return correction if isinstance(correction, Mapping) else {}


def sample_of(stored: Mapping[str, Any]) -> Sample:
    """Return a stored sample."""
    return Sample(stored["of"], stored["group"], Decimal(stored["value"]))


def excerpt_of(stored: Mapping[str, Any]) -> Excerpt:
    """Return what a look back sees of a stored entry. ``EXCERPT_ATTRIBUTES`` of it are enough."""
    return Excerpt(
        reference=stored["reference"],
        job=stored.get("jobId"),
        user=stored["userId"],
        at=_instant(stored["occurredAt"]),
        signs=_signs_of(stored),
        samples=tuple(sample_of(sample) for sample in stored.get("samples", ())),
        flagged=stored["rule"] if stored["type"] == EntryType.FLAG else None,
    )


EXCERPT_ATTRIBUTES = ("reference", "jobId", "userId", "occurredAt", "type", "rule", "signs", "samples")


def _signs_of(stored: Mapping[str, Any]) -> tuple[Sign, ...]:
    return tuple(Sign(name, key) for name, key in stored.get("signs", {}).items())


# --- to what is stored -------------------------------------------------------------------------------------------------------


def stored_price(price: Price) -> dict[str, object]:
    """Return what a price is made of; what says nothing is left out."""
    return {
        "amount": price.amount,
        "book": price.book,
        "effective": instant_text(price.effective) if price.effective else None,
        "rate": price.rate,
        "unit": price.unit,
        "tiers": [{"upTo": tier.up_to, "rate": tier.rate} for tier in price.tiers] or None,
        "tierModel": price.tier_model.value if price.tiers else None,
        "minimum": price.minimum,
        "maximum": price.maximum,
        "components": [_component(component) for component in price.components] or None,
    }


def _component(component: Component) -> dict[str, object]:
    """Return a component: its price, and beside it its name, its quantity, and what it comes to."""
    said = {"name": component.name, "quantity": component.quantity, "amount": component.amount}
    return {**stored_price(component.price), **said}


def _anomaly(anomaly: Anomaly) -> dict[str, object]:
    return {"name": anomaly.name, "reason": anomaly.reason, "figures": dict(anomaly.figures) or None}


def _sample(sample: Sample) -> dict[str, object]:
    return {"of": sample.of, "group": sample.group, "value": sample.value}


def _resolution(resolution: Resolution) -> dict[str, object]:
    return {"entries": list(resolution.entries), "note": resolution.note}


def _correction(correction: Correction) -> dict[str, object]:
    return {
        "reason": correction.reason,
        "by": correction.by,
        "id": correction.id or None,
        "approvedBy": correction.approved_by or None,
        "plan": correction.plan or None,
        "about": correction.about or None,
        "priced": [{"price": stored_price(each.price), "quantity": each.quantity} for each in correction.priced] or None,
    }


# --- and back ---------------------------------------------------------------------------------------------------------


def price_of(stored: Mapping[str, Any]) -> Price:
    """Return the price that is stored so."""
    return Price(
        amount=_decimal(stored.get("amount")),
        book=stored.get("book"),
        effective=_instant(stored["effective"]) if "effective" in stored else None,
        rate=_decimal(stored.get("rate")),
        unit=stored.get("unit"),
        tiers=tuple(Tier(Decimal(tier["rate"]), _decimal(tier.get("upTo"))) for tier in stored.get("tiers", ())),
        tier_model=TierModel(stored.get("tierModel", TierModel.GRADUATED)),
        minimum=_decimal(stored.get("minimum")),
        maximum=_decimal(stored.get("maximum")),
        components=tuple(_component_of(component) for component in stored.get("components", ())),
    )


def _component_of(stored: Mapping[str, Any]) -> Component:
    """The amount of a component without a quantity is its price too: a flat one."""
    price = price_of({**stored, "amount": None} if "quantity" in stored else stored)
    return Component(price, _decimal(stored.get("quantity")), _decimal(stored.get("amount")), stored.get("name"))


def _anomaly_of(stored: Mapping[str, Any]) -> Anomaly:
    return Anomaly(stored["name"], stored.get("reason"), tuple(sorted(stored.get("figures", {}).items())))


def _resolution_of(stored: Mapping[str, Any]) -> Resolution:
    return Resolution(tuple(stored["entries"]), stored["note"])


def _correction_of(stored: Mapping[str, Any]) -> Correction:
    priced = (PricedAnew(price_of(each["price"]), _decimal(each.get("quantity"))) for each in stored.get("priced", ()))
    return Correction(
        reason=stored["reason"],
        by=stored["by"],
        id=stored.get("id", ""),
        approved_by=stored.get("approvedBy", ""),
        plan=stored.get("plan", ""),
        priced=tuple(priced),
        about=stored.get("about", ""),
    )


def _decimal(stored: Any) -> Decimal | None:
    return Decimal(stored) if stored is not None else None


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
