"""What somebody did to entries that were posted: changed, removed, put into their place; and what the archive has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.audit.archived.part import Spot
from engine.audit.differences import Difference, Kind
from engine.ledger.audits import AuditedEntry
from engine.ledger.stored import EntryKey


def changes(spots: Iterable[Spot], now: Mapping[EntryKey, AuditedEntry]) -> Iterator[Difference]:
    """Yield what was touched and is not as it was posted."""
    for spot in spots:
        if spot.is_touched and (found := _change(spot, now.get(spot.key))) is not None:
            kind, problem = found
            standing = now.get(spot.key)
            users = {entry.line.user for entry in (spot.original, standing) if entry is not None}
            yield Difference(kind, problem, spot.key, frozenset(user for user in users if user), spot.original, standing)


def _change(spot: Spot, now: AuditedEntry | None) -> tuple[Kind, str] | None:
    if spot.is_undecided:
        return None  # its original may well stand in the archive: the next audit looks again
    if spot.original is None or (spot.was_taken and spot.is_new):
        return _unarchived(spot, now)
    if now is None and not spot.is_entry:
        return None  # it was none, and somebody has taken it away: nothing that is added could undo it
    if now is None:
        line = spot.original.line
        return Kind.REMOVED, f"is gone: {line.moved:f} of {line.user}, posted {spot.original.posted_at}"
    if now.digest != spot.digest:
        return Kind.CHANGED, change_text(spot.original, now)
    told, stands = spot.words[:1], now.stored.get("explanation")
    return (Kind.CHANGED, "its explanation is not the one that was given") if told and stands != told[0] else None


def _unarchived(spot: Spot, now: AuditedEntry | None) -> tuple[Kind, str] | None:
    if spot.original is not None:
        return Kind.UNARCHIVED, "something was removed here before it came, and the archive has not seen that come"
    if now is None and not spot.was_removed:
        return None
    what = "was removed" if now is None else "was written to"
    return Kind.UNARCHIVED, f"{what}, and the archive has not seen it come"


def change_text(posted: AuditedEntry, now: AuditedEntry) -> str:
    """Say what of an entry is not as it was posted."""
    before, after = posted.stored, now.stored
    names = [name for name in sorted(before.keys() | after.keys()) if name != "explanation"]
    told = [_attribute(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]
    return f"was changed: {'; '.join(told)}"


SHORT = frozenset({"amount", "cost", "userId", "type", "postedAt", "occurredAt"})
"""What is said with what it was: of all else the names say enough."""


def _attribute(name: str, before: object, after: object) -> str:
    if name not in SHORT:
        return f"its {name}"
    return f"its {name} is {'missing' if after is None else after}; {'none' if before is None else before} was posted"


def late(entry: AuditedEntry) -> Difference:
    """Return the finding of an entry that the archive should have for long."""
    line = entry.line
    users = frozenset(user for user in (line.user,) if user)
    problem = f"was posted {entry.posted_at}, and the archive has not seen it come"
    return Difference(Kind.UNARCHIVED, problem, line.key, users, None, entry)
