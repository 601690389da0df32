"""The audit at the end of each scheduled run, as far as its time goes: entries against balances, and a seal or the archive.

Where the policy says that only events grant, it holds balances to the ledger as well.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.audit.balances import BalanceKeeper
from engine.audit.books import Audit, audit
from engine.audit.seals import Sealer
from engine.domain.errors import LedgerError, LedgerUnavailable
from engine.policy.model import Grants
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

AUDIT_RESERVE_SECONDS = 2.0
"""What an audit leaves of the time, so that its run can answer."""

ARCHIVE_SHARE = 0.5
"""So much of the time at most goes into the audit against the archive: it goes on in the next run where it was."""

TOLD_MAX = 20
"""More users or entries than this are counted, and found by ``reconciler audit``."""

type Answer = dict[str, Any]


def check_books(reconciler: Reconciler, _at: datetime, deadline: Deadline) -> Answer:
    """Audit every user's entries, as far as the time allows, and return what was seen (``audit``).

    Where there is an archive, what came since the last checkpoint is held to it before (``archive``). Never fails: the scan is
    done.
    """
    deadline = deadline.sooner(deadline.left() - AUDIT_RESERVE_SECONDS)
    compared = _compared(reconciler, deadline)
    return {**_checked(reconciler, deadline), **compared}


def _compared(reconciler: Reconciler, deadline: Deadline) -> Answer:
    if reconciler.archive is None:
        return {}
    from engine.audit.check_archive import check_archive  # noqa: PLC0415  without an archive nothing needs it

    return check_archive(reconciler, reconciler.archive, deadline.sooner(deadline.left() * ARCHIVE_SHARE))


def _checked(reconciler: Reconciler, deadline: Deadline) -> Answer:
    try:
        sealer, keeper = _sealer(reconciler, deadline), _keeper(reconciler, deadline)
        seen = audit(
            reconciler.ledger,
            deadline,
            sealer=sealer if isinstance(sealer, Sealer) else None,
            keeper=keeper if isinstance(keeper, BalanceKeeper) else None,
        )
    except Exception as error:  # noqa: BLE001  whatever it is, what the run has done stays told
        fields: Answer = {"problem": _problem(error)}
        reconciler.telemetry.audit_unfinished(fields, is_out_of_time=isinstance(error, LedgerUnavailable))
        return {"audit": fields}
    fields = {**_told(seen), "seal": _seal_told(seen) if isinstance(sealer, Sealer) else {"problem": sealer}}
    is_whole = isinstance(sealer, Sealer)
    if reconciler.policy.grants is Grants.EVENTS:
        fields["balances"] = {"problem": keeper} if isinstance(keeper, str) else _balances_told(seen)
        is_whole = is_whole and isinstance(keeper, BalanceKeeper)
    reconciler.telemetry.audited(fields, seen.damages, unexplained=seen.unexplained, is_whole=is_whole)
    return {"audit": fields}


def _sealer(reconciler: Reconciler, deadline: Deadline) -> Sealer | str:
    """Return what seals the entries, or why they cannot be: the books can be checked all the same."""
    try:
        return Sealer(reconciler.ledger.audits(), reconciler.clock.now(), deadline)
    except LedgerError as error:
        return _problem(error)


def _keeper(reconciler: Reconciler, deadline: Deadline) -> BalanceKeeper | str:
    """Return what holds balances to the ledger, or why they cannot be held: the entries can be checked all the same."""
    wanted = reconciler.policy.grants is Grants.EVENTS
    try:
        return BalanceKeeper(reconciler.ledger.audits(), reconciler.clock.now(), deadline, wanted, writes=True)
    except LedgerError as error:
        return _problem(error)


def _told(seen: Audit) -> Answer:
    return {
        "users": seen.users,
        "entries": seen.entries,
        "drifts": [drift.user for drift in seen.drifts[:TOLD_MAX]],
        "faults": [f"{fault.reference}, entry {fault.sequence}: {fault.problem}" for fault in seen.faults[:TOLD_MAX]],
        "busy": list(seen.busy[:TOLD_MAX]),
        "unexplained": seen.unexplained,
    }


def _balances_told(seen: Audit) -> Answer:
    """Since which audit balances are held, and which are off; None where another audit was taking the openings just then."""
    drifts = [drift.problem for drift in seen.balances[:TOLD_MAX]]
    return {"heldSince": seen.held.since if seen.held is not None else None, "drifts": drifts}


def _seal_told(seen: Audit) -> Answer:
    """The hash in the log is what nobody can change afterwards: ``audit --verify`` compares it with the seals."""
    seal = seen.sealed
    hash_told = seal.hash if seal.number else None
    return {"number": seal.number, "entries": seal.total, "hash": hash_told, "cameOrWent": seen.came_or_went}


def _problem(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
