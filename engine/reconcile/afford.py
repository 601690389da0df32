"""What a request to hold credits is answered beside its outcome: "can this user afford it?"."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.domain.entry_types import Outcome
from engine.domain.errors import LedgerError
from engine.domain.log import NO_ENTRIES
from engine.domain.money import EXACT, ZERO
from engine.ledger.conditions import is_number
from engine.ledger.store import Store
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Report


def afforded(report: Report, ledger: Store, deadline: Deadline) -> dict[str, Any]:
    """Return, as exact strings of credits, what is ``held`` for the job now, and what the user has ``remaining``.

    A request that was refused also says how much is ``missing``. What the user's row does not tell, or nobody could read in
    time, is None: the hold stands or falls without it.
    """
    before = report.before or NO_ENTRIES
    after = before if report.entry is None else before.then(report.entry)
    remaining = _remaining(report, ledger, deadline)
    told = {"held": format(after.held, "f"), "remaining": None if remaining is None else format(remaining, "f")}
    if report.outcome is not Outcome.REFUSED or remaining is None or report.assessment is None:
        return told
    asked = max(EXACT.subtract(hold.amount, before.cost) for hold in report.assessment.fact.holds)
    return {**told, "missing": format(max(EXACT.subtract(asked, remaining), ZERO), "f")}


def _remaining(report: Report, ledger: Store, deadline: Deadline) -> Decimal | None:
    if report.assessment is None:
        return None
    try:
        row = ledger.balance(report.assessment.user, deadline) or {}
    except LedgerError:
        return None
    remaining = row.get("remaining", ZERO)
    return Decimal(remaining) if is_number(remaining) else None
