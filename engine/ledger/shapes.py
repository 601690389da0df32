"""Whether what is stored is an entry of this system. Whoever can write the table can put anything into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.domain.anomaly import Anomaly
from engine.domain.entry import Entry
from engine.domain.instants import read_instant
from engine.domain.money import ROUNDINGS
from engine.ledger.stored import NO_ENTRY, entry_of

PLACES_MAX = 38


def read_entry(stored: Mapping[str, Any]) -> Entry | str:
    """Return the entry that is stored so, or what is wrong with it. Never raises."""
    try:
        entry = entry_of(stored)
        problem = next(_problems(entry, stored), "")
    except NO_ENTRY as error:
        problem = f"{type(error).__name__}: {error}"
    return f"is no entry of this system ({problem})" if problem else entry


def _problems(entry: Entry, stored: Mapping[str, Any]) -> Iterator[str]:
    for name in ("reference", "userId", "rule", "policy"):
        if not isinstance(stored[name], str):
            yield f"its {name} is no text"
    for name in ("jobId", "eventId"):
        if not isinstance(stored.get(name, ""), str):
            yield f"its {name} is no text"
    for name in ("amount", "cost"):
        if isinstance(stored[name], str | bool):
            yield f"its {name} is no number"
    if not isinstance(entry.sequence, int) or entry.sequence < 1:
        yield f"its sequence is {entry.sequence}; a whole number from 1 on is needed"
    if read_instant(stored["occurredAt"]) is None:
        yield "its occurredAt is no instant"
    yield from _part_problems(entry, stored)


def _part_problems(entry: Entry, stored: Mapping[str, Any]) -> Iterator[str]:
    places, rounding = entry.money.places, entry.money.rounding
    if not isinstance(places, int) or not 0 <= places <= PLACES_MAX or rounding not in ROUNDINGS:
        yield "its money has no places and rounding"
    if not all(isinstance(text, str) for anomaly in entry.anomalies for text in _texts_of(anomaly)):
        yield "its anomalies are none"
    if entry.resolution is not None and not all(isinstance(each, int) for each in entry.resolution.entries):
        yield "its resolution is none"
    if not _is_texts(stored.get("explanation", {})):
        yield "its explanation is none"
    if entry.correction is not None and not all(isinstance(text, str) for text in _said(entry)):
        yield "its correction is none"


def _texts_of(anomaly: Anomaly) -> Iterator[object]:
    yield from (anomaly.name, anomaly.reason or "")
    yield from (figure for _, figure in anomaly.figures)


def _said(entry: Entry) -> Iterator[object]:
    said = entry.correction
    if said is not None:
        yield from (said.reason, said.by, said.id, said.approved_by, said.plan, said.about)


def _is_texts(stored: object) -> bool:
    return isinstance(stored, Mapping) and all(isinstance(text, str) for text in stored.values())
