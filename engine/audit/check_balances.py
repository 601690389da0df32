"""Balances in a scheduled run: what checks them against the ledger, and what its answer and its log say of them."""

from __future__ import annotations

from typing import Any

from engine.audit.balances import BalanceKeeper, CheckedBalances
from engine.domain.errors import LedgerError
from engine.policy.model import Grants
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

TOLD_MAX = 20
"""More balances than this are counted, and found by ``reconciler audit``."""


def keeper_of(reconciler: Reconciler, deadline: Deadline) -> BalanceKeeper | str:
    """Return what checks balances against the ledger, or why it cannot: the entries can be checked all the same."""
    wanted = reconciler.policy.grants is Grants.EVENTS
    try:
        return BalanceKeeper(reconciler.ledger.audits(), reconciler.clock.now(), deadline, wanted, writes=True)
    except LedgerError as error:
        return f"{type(error).__name__}: {error}"


def balances_told(checked: CheckedBalances | None) -> dict[str, Any]:
    """Since which audit balances are checked, and which are off; None where another audit was just taking the openings."""
    drifts = [drift.problem for drift in checked.drifts[:TOLD_MAX]] if checked is not None else []
    return {"checkedSince": checked.since if checked is not None else None, "drifts": drifts}
