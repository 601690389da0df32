"""The audit of a scheduled run where there is an archive: what came since the last checkpoint, and a checkpoint of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.audit.archived.audit import audit_archive
from engine.audit.archived.seen import Archive, ArchiveAudit
from engine.audit.balances import BalanceKeeper
from engine.audit.differences import Difference
from engine.audit.repairs.applied import AppliedPlans
from engine.ledger.archive.opened import OpenArchive
from engine.policy.model import Grants
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

TOLD_MAX = 20
"""More findings than this are counted, and found by ``reconciler audit``."""

type Answer = dict[str, Any]


def check_archive(
    reconciler: Reconciler, archive: OpenArchive, deadline: Deadline, keeper: BalanceKeeper | str | None
) -> Answer:
    """Audit, keep a checkpoint, report, and return what was seen (``audit``). Raises what tables and bucket raise.

    ``keeper`` holds balances to the ledger; a text says why they cannot be held.
    """
    seen = audit_archive(
        Archive(archive.bucket, archive.reads, archive.heads.head(deadline)),
        reconciler.ledger.audits(),
        deadline,
        (plans := AppliedPlans(archive.bucket, deadline)).believes,
        undoes=plans.undoes,
        writes=True,
        keeper=keeper if isinstance(keeper, BalanceKeeper) else None,
    )
    fields = answer_of(seen, TOLD_MAX)
    if reconciler.policy.grants is Grants.EVENTS:
        fields["balances"] = {"problem": keeper} if isinstance(keeper, str) else _balances_told(seen)
    is_whole = seen.is_finished and not isinstance(keeper, str)
    counts = {kind.value: count for kind, count in seen.counts.items()}
    reconciler.telemetry.compared(fields, counts, unexplained=seen.unexplained, is_whole=is_whole)
    return {"audit": fields}


def answer_of(seen: ArchiveAudit, told_max: int | None = None) -> Answer:
    """Return what an audit saw as JSON-like values."""
    return {
        "users": seen.users,
        "entries": seen.entries,
        "read": {"objects": seen.objects, "records": seen.records},
        "since": seen.since.number,
        "until": seen.until.number,
        "isFinished": seen.is_finished,
        "counts": {kind.value: count for kind, count in seen.counts.items() if count},
        "differences": [difference_of(each) for each in seen.differences[:told_max]],
        "busy": list(seen.busy[:told_max]),
        "unexplained": seen.unexplained,
    }


def difference_of(each: Difference) -> Answer:
    """Return a finding as JSON-like values."""
    reference, sequence = each.key or (None, None)
    place = {"reference": reference, "sequence": sequence}
    return {"kind": each.kind.value, **place, "users": sorted(each.users), "problem": each.problem}


def lines_of(differences: Sequence[Difference]) -> list[str]:
    """Return findings as a person reads them: kind, entry or user, and what is wrong."""
    return [f"{each.kind}: {_place(each)}{each.problem}" for each in differences]


def _place(each: Difference) -> str:
    if each.key is not None:
        return f"{each.key[0]}, entry {each.key[1]}: "
    users = ", ".join(sorted(each.users))
    return f"{users}: " if users else ""


def _balances_told(seen: ArchiveAudit) -> Answer | None:
    """Since which audit balances are held, and which are off; None where the audit did not come so far."""
    if seen.held is None:
        return None
    return {"heldSince": seen.held.since, "drifts": [drift.problem for drift in seen.held.drifts[:TOLD_MAX]]}
