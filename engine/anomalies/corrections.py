"""What people have corrected, counted from the entries themselves: whoever has posted them, and by whatever tool.

The commands run on a person's machine. What they would count themselves, nobody else could believe.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from engine.domain.entry import Entry, EntryType
from engine.domain.entry_types import ENTRY_TYPES, METRICS
from engine.domain.envelope import Source
from engine.domain.money import DIGITS_MAX, EXACT, ZERO
from engine.domain.texts import cut
from engine.runtime.telemetry import Telemetry

CREDITS: Mapping[EntryType, str] = {EntryType.ADJUST: "CreditsAdjusted", EntryType.REPRICE: "CreditsRepriced"}
"""The metric that adds up the credits of each type of correction, given and taken alike."""

Person = tuple[EntryType, str, str, str]
"""What was done, by whom, approved by whom, by which plan."""


def tell_corrections(entries: Iterable[Entry], telemetry: Telemetry) -> None:
    """Write a line for each person who has corrected something with these entries, and count it."""
    told: dict[Person, list[Entry]] = {}
    for entry in entries:
        if (person := _person(entry)) is not None:
            told.setdefault(person, []).append(entry)
    for person, corrected in told.items():
        telemetry.noted("corrected", _fields(person, corrected), _metrics(person[0], corrected))


def _person(entry: Entry) -> Person | None:
    """Return who has corrected something by an entry; None where it is none of a command's, or moves nothing."""
    said = entry.correction
    if said is None or entry.source is not Source.COMMAND or entry.type not in CREDITS:
        return None
    names = said.by, said.approved_by, said.plan
    is_sound = entry.amount.is_finite() and abs(entry.amount.adjusted()) <= DIGITS_MAX
    if not (is_sound and all(isinstance(name, str) for name in names)):  # forged: the audit tells of it
        return None
    by, approved_by, plan = map(cut, names)
    return entry.type, by, approved_by, plan


def _fields(person: Person, entries: list[Entry]) -> dict[str, Any]:
    """Return what a line says. Not the reason: that is free text, and stands in the entry."""
    entry_type, by, approved_by, plan = person
    return {
        "type": entry_type.value,
        "by": by,
        "approvedBy": approved_by or None,
        "plan": plan or None,
        "entries": len(entries),
        "credits": format(_together(entry.amount for entry in entries), "f"),
        "references": [cut(entry.reference) for entry in entries],
    }


def _metrics(entry_type: EntryType, entries: list[Entry]) -> dict[str, float]:
    moved = _together(entry.amount.copy_abs() for entry in entries)
    return {METRICS[ENTRY_TYPES[entry_type].outcome]: len(entries), CREDITS[entry_type]: float(moved)}


def _together(amounts: Iterable[Decimal]) -> Decimal:
    return functools.reduce(EXACT.add, amounts, ZERO)
