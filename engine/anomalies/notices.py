"""What the event bus is told of entries: that credits are held, settled or released, or were refused. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.built_in_anomalies import OVERDRAFT
from engine.domain.entry import Entry, EntryType
from engine.domain.instants import instant_text
from engine.domain.texts import cut

HELD, SETTLED, RELEASED, REFUSED = "credits.held", "credits.settled", "credits.released", "credits.refused"
LOW, RECOVERED = "credits.low", "credits.recovered"
NOTICES = (HELD, SETTLED, RELEASED, REFUSED, LOW, RECOVERED)
"""The detail-types of all notices."""

BY_TYPE: Mapping[EntryType, str] = {EntryType.HOLD: HELD, EntryType.SETTLE: SETTLED, EntryType.RELEASE: RELEASED}
"""What an entry of a type tells."""

ID_DIGITS = 32


@frozen
class Notice:
    """One event for the bus: its detail-type, and its detail. The ``id`` in that is the same however often it is told."""

    name: str
    detail: Mapping[str, Any]


def notices_of(entry: Entry) -> Iterator[Notice]:
    """Yield what is told of an entry; of most entries nothing."""
    if (name := BY_TYPE.get(entry.type)) is not None:
        yield _notice(name, entry, {"held": format(entry.held, "f"), "cost": format(entry.cost, "f")})
    if (asked := refused_of(entry)) is not None:
        yield _notice(REFUSED, entry, {"asked": asked, "of": "charge" if entry.names_its_user else "hold"})


def refused_of(entry: Entry) -> str | None:
    """Return how many credits an entry says that the balance did not cover; None where it refuses nothing.

    A refusal moves no balance: an entry of the same anomaly that does was posted all the same.
    """
    if entry.amount or entry.type not in {EntryType.FLAG, EntryType.SETTLE}:
        return None
    overdrafts = (anomaly for anomaly in entry.anomalies if anomaly.name == OVERDRAFT)
    return next((cut(dict(overdraft.figures).get("debit", "")) for overdraft in overdrafts), None)


def balance_notice(name: str, user: str, remaining: Decimal, place: str) -> Notice:
    """Return what is told of a user whose balance is low, or has recovered, since the entry at ``place``."""
    reference, _, sequence = place.rpartition("/")
    detail = {"reference": reference, "sequence": int(sequence), "userId": user, "remaining": format(remaining, "f")}
    return Notice(name, {"id": id_of(name, place), **detail})


def place_of(entry: Entry) -> str:
    """Return where an entry stands in the ledger, as text."""
    return f"{entry.reference}/{entry.sequence}"


def id_of(name: str, place: str) -> str:
    """Return the id of a notice: a digest of what is told, and of the reference and sequence of the entry it is about."""
    return hashlib.sha256(f"{name} {place}".encode()).hexdigest()[:ID_DIGITS]


def _notice(name: str, entry: Entry, figures: Mapping[str, str]) -> Notice:
    """Return a notice of an entry. Whoever forges an entry with a text that is too long must not stop the stream with it."""
    about = {
        "id": id_of(name, place_of(entry)),
        "reference": entry.reference,
        "sequence": entry.sequence,
        "jobId": entry.job and cut(entry.job),
        "userId": entry.user,
        "type": entry.type.value,
        "amount": format(entry.amount, "f"),
        **figures,
        "rule": cut(entry.rule),
        "occurredAt": instant_text(entry.occurred_at),
        "eventId": entry.event_id and cut(entry.event_id),
    }
    return Notice(name, about)
