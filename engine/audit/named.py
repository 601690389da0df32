"""Whom logs, and what was done to them, name: a repair is of one user, and what belongs to nobody waits for a person."""

from __future__ import annotations

from collections.abc import Iterable

from engine.audit.seals import Deviation, Verification
from engine.ledger.audits import AuditStore, Line
from engine.runtime.clock import Deadline

NOBODY: str | None = None
"""Whose an entry without a user is, and whom damage of the seals themselves names."""


def users_in(deviation: Deviation) -> set[str | None]:
    """Return whom a deviation names: whose the entry was, and whose it is now."""
    named: set[str | None] = {each.user for each in (deviation.sealed, deviation.found) if each is not None}
    return (named - {NOBODY}) or {NOBODY}


def named_in(lines: Iterable[Line]) -> set[str | None]:
    """Return whose a log is by its entries. Who was refused a hold is not named by that."""
    return {line.user for line in lines if line.names_its_user}


def users_of(store: AuditStore, reference: str, verified: Verification, deadline: Deadline) -> set[str | None]:
    """Return whom a log names, or did when it was sealed."""
    sealed = (users_in(deviation) for deviation in verified.open if deviation.reference == reference)
    return {entry.line.user for entry in store.log(reference, deadline)}.union(*sealed)


def can_be_counted_back(deviation: Deviation) -> bool:
    """Not what was done to seals; and of an entry without a user nothing can be taken back from anybody."""
    return deviation.reference is not None and (deviation.found is None or deviation.found.user is not None)
