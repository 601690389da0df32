"""The audit at the end of each scheduled run, as far as its time goes: by the archive where there is one, else by seals.

Where there is an archive, what is new is held to it, and nothing is sealed. Where there is none, all entries are read, held to
the balances, and sealed. Where the policy says that only events grant, either holds balances to the ledger as well.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.audit.balances import BalanceKeeper
from engine.audit.books import Audit, audit
from engine.audit.check_balances import balances_told, keeper_of
from engine.audit.seals import Sealer
from engine.domain.errors import LedgerError, LedgerUnavailable
from engine.policy.model import Grants
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

AUDIT_RESERVE_SECONDS = 2.0
"""What an audit leaves of the time, so that its run can answer."""

TOLD_MAX = 20
"""More users or entries than this are counted, and found by ``reconciler audit``."""

type Answer = dict[str, Any]


def check_books(reconciler: Reconciler, _at: datetime, deadline: Deadline) -> Answer:
    """Audit by the archive (``archive``) or, where there is none, all entries (``audit``), and return what was seen.

    Never fails: the scan is done.
    """
    deadline = deadline.sooner(deadline.left() - AUDIT_RESERVE_SECONDS)
    if reconciler.archive is None:
        return _checked(reconciler, deadline)
    from engine.audit.check_archive import check_archive  # noqa: PLC0415  without an archive nothing needs it

    return check_archive(reconciler, reconciler.archive, deadline)


def _checked(reconciler: Reconciler, deadline: Deadline) -> Answer:
    try:
        sealer, keeper = _sealer(reconciler, deadline), keeper_of(reconciler, deadline)
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
        fields["balances"] = {"problem": keeper} if isinstance(keeper, str) else balances_told(seen.checked)
        is_whole = is_whole and isinstance(keeper, BalanceKeeper)
    reconciler.telemetry.audited(fields, seen.damages, unexplained=seen.unexplained, is_whole=is_whole)
    return {"audit": fields}


def _sealer(reconciler: Reconciler, deadline: Deadline) -> Sealer | str:
    """Return what seals the entries, or why they cannot be: the books can be checked all the same."""
    try:
        return Sealer(reconciler.ledger.audits(), reconciler.clock.now(), deadline)
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


def _seal_told(seen: Audit) -> Answer:
    """The hash in the log is what nobody can change afterwards: ``audit --verify`` compares it with the seals."""
    seal = seen.sealed
    hash_told = seal.hash if seal.number else None
    return {"number": seal.number, "entries": seal.total, "hash": hash_told, "cameOrWent": seen.came_or_went}


def _problem(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
