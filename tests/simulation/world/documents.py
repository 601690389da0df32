"""What applications write: events, rows of Jobs, and how either is spoilt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from tests.support.canaries import DETAIL, ROW

if TYPE_CHECKING:
    from tests.simulation.world.plan import Told

Document = dict[str, Any]

SAYS: Mapping[str, tuple[str, ...]] = {
    "rendered": ("seconds", "frames", "model", "resolution"),
    "hooked": ("count",),
    "answered": ("input", "output", "model", "submitted"),
    "failed": (),
    "cancelled": (),
    "credited": ("back",),
    "broken": ("missing",),
    "purchased": ("credits",),
    "revoked": ("amount",),
    "disputed": ("percent",),
}
"""What the event of each kind says beside whose it is."""

REQUESTS: Mapping[str, tuple[str, ...]] = {"submitted": ("seconds", "model", "resolution")}
"""What requests to hold credits say: they come in histories of their own (``reserving.py``)."""

STATUSES: Mapping[str, str] = {
    "rendered": "completed",
    "hooked": "delivered",
    "answered": "answered",
    "failed": "failed",
    "cancelled": "cancelled",
    "broken": "broken",
}
"""The status of a row that tells the same."""

TEXTS = frozenset({"model", "resolution", "submitted", "plan", "prompt"})
ON_GRANT = frozenset({"purchased", "revoked", "disputed"})
BY_ROW = frozenset({"hooked", "answered"})
"""What some edit of the policy can price only with the job's row."""


def instant(second: int) -> str:
    """Return a second of the day as an instant."""
    return f"{datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=second):%FT%TZ}"


def event_of(fact: Told, *, with_user: bool = True, as_text: bool = False) -> Document:
    """Return the event that tells a fact; ``as_text`` with its figures as texts."""
    name = fact.reference.partition("#")[2]
    said = {
        each: fact.said[each] if as_text or each in TEXTS else number(fact.said[each]) for each in (SAYS | REQUESTS)[fact.kind]
    }
    detail: Document = {"purchaseId" if fact.kind in ON_GRANT else "jobId": name, **said, **DETAIL}
    if with_user:
        detail["userId"] = fact.user
    return {"id": fact.event, "source": "app", "detail-type": fact.kind, "time": fact.at, "detail": detail}


def notations(at: str) -> tuple[str, ...]:
    """Return an instant as several writers write it."""
    in_zone = datetime.fromisoformat(at).astimezone(timezone(timedelta(hours=2)))
    return at, at.replace("Z", "+00:00"), at.replace("Z", ".000Z"), in_zone.isoformat()


def number(text: str) -> float | int:
    """Return a figure as JSON has it."""
    return float(text) if "." in text else int(text)


def row_of(fact: Told, said: Mapping[str, str], chance: Random) -> Document:
    """Return the row that tells a fact: figures as numbers or texts, its time in one of several notations, or none."""
    row: Document = {"jobId": fact.reference.partition("#")[2], "userId": fact.user, "status": STATUSES.get(fact.kind), **ROW}
    as_text = chance.random() < 0.5
    for name, figure in {**said, **fact.said}.items():
        row[name] = figure if name in TEXTS or as_text else Decimal(figure)
    if not fact.is_timeless:
        row["updatedAt"] = chance.choice(notations(fact.at)[:3])  # a mark compares texts of one form
    return row


def unsound(row: Document, chance: Random) -> Document:
    """Return a row that tells nothing: whose it is, or what became of it, is nothing that anybody can read."""
    changes: tuple[tuple[str, Any], ...] = (
        ("userId", ""),
        ("userId", ["u"]),
        ("userId", None),
        ("status", ["completed"]),
        ("status", True),
        ("updatedAt", Decimal(1767600000)),
        ("updatedAt", "yesterday"),
    )
    name, value = chance.choice(changes)
    return {**row, name: value}


ALWAYS_ASKED: Mapping[str, tuple[str, ...]] = {
    "rendered": ("seconds", "frames"),
    "hooked": ("count",),
    "answered": ("input",),
    "submitted": ("seconds",),
    "credited": ("back",),
    "purchased": ("credits",),
    "disputed": ("percent",),
}
"""The figures of which every edit of the policy asks one."""


def spoilt(document: Document, chance: Random) -> Document:
    """Return an event that makes no sense."""
    detail = document["detail"]
    names = ALWAYS_ASKED.get(document["detail-type"], ("userId",))
    figure = chance.choice(("eight", -1, True, "1" * 39, [], {}, "0x10", " 8", "NaN", "1e3", None))
    ways: tuple[Document, ...] = (
        {**document, "detail": {**detail, **dict.fromkeys(names, figure if names != ("userId",) else None)}},
        {**document, "detail": {name: value for name, value in detail.items() if name not in names}},
        {**document, "detail": {**detail, _named(detail): chance.choice(("", "j" * 1025, "j\n", 5, "\ud800", None))}},
        {**document, "detail": {**detail, "userId": chance.choice((["u-1"], "", 8, "u\x00"))}},
        {**document, "time": chance.choice(("2026-01-05 10:00", "2026-01-05T10:00:00", "", 5, "2026-02-30T10:00:00Z"))},
        {**document, "time": "2099-01-05T10:00:00Z"},
        {**document, "detail": chance.choice(({}, [], "x"))},
    )
    return chance.choice(ways)


def _named(detail: Document) -> str:
    return "purchaseId" if "purchaseId" in detail else "jobId"
