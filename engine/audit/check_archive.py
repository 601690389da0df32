"""The audit of a scheduled run where there is an archive: what came since the last checkpoint, and a checkpoint of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import asdict

from engine.audit.archived.audit import audit_archive
from engine.audit.archived.rounds import Round, Rounds
from engine.audit.archived.seen import Archive, ArchiveAudit
from engine.audit.balances import BalanceKeeper
from engine.audit.check_balances import balances_told, keeper_of
from engine.audit.differences import Difference, Kind
from engine.audit.repairs.applied import AppliedPlans
from engine.domain.errors import LedgerUnavailable
from engine.ledger.archive.opened import OpenArchive
from engine.policy.model import Grants
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

TOLD_MAX = 20
"""More findings than this are counted, and found by ``reconciler audit``."""

ROUND_SHARE = 0.3
"""So much of the time goes into the round through all of ledger and archive, where one is under way."""

type Answer = dict[str, Any]


def check_archive(reconciler: Reconciler, opens: Callable[[], OpenArchive], deadline: Deadline) -> Answer:
    """Audit against the archive, keep a checkpoint, report, and return what was seen (``archive``). Never fails."""
    try:
        round_now, keeper, seen = _seen(reconciler, opens(), deadline)
    except Exception as error:  # noqa: BLE001  whatever it is, what the run has done stays told
        fields: Answer = {"problem": f"{type(error).__name__}: {error}"}
        reconciler.telemetry.compared(fields, None, is_out_of_time=isinstance(error, LedgerUnavailable))
        return {"archive": fields}
    fields = {**answer_of(seen, TOLD_MAX), "whole": round_now.answer()}
    counts = {kind.value: count for kind, count in seen.counts.items()}
    unchecked = ""
    if reconciler.policy.grants is Grants.EVENTS:
        unchecked = keeper if isinstance(keeper, str) else seen.unchecked
        fields["balances"] = {"problem": unchecked} if unchecked else balances_told(seen.checked)
    if unchecked:
        del counts[Kind.BALANCE.value]  # nobody knows
    reconciler.telemetry.compared(
        fields,
        counts,
        new=seen.new,
        unexplained=seen.unexplained,
        is_out_of_time=not seen.is_finished,
        is_whole=not unchecked,
        since_whole=round_now.seconds_since(reconciler.clock.now()),
    )
    return {"archive": fields}


def _seen(reconciler: Reconciler, opened: OpenArchive, deadline: Deadline) -> tuple[Round, BalanceKeeper | str, ArchiveAudit]:
    """Go on with the round through all of both, if one is under way, and audit what is new."""
    store = reconciler.ledger.audits()
    archive = Archive(opened.bucket, opened.reads, opened.heads.head(deadline))
    plans = AppliedPlans(opened.bucket, deadline)
    rounds = Rounds(archive, store, deadline.sooner(deadline.left() * ROUND_SHARE))
    also, keeper = rounds.go_on(), keeper_of(reconciler, deadline)
    seen = audit_archive(
        archive,
        store,
        deadline,
        plans.believes,
        undoes=plans.undoes,
        writes=True,
        keeper=keeper if isinstance(keeper, BalanceKeeper) else None,
        also=also,
    )
    return rounds.now, keeper, seen


def answer_of(seen: ArchiveAudit, told_max: int | None = None) -> Answer:
    """Return what an audit saw as JSON-like values."""
    return {
        "users": seen.users,
        "entries": seen.entries,
        "read": {"objects": seen.objects, "records": seen.records},
        "since": seen.since.number,
        "until": seen.until.number,
        "head": seen.until.digest or None,
        "isFinished": seen.is_finished,
        "new": seen.new,
        "counts": {kind.value: count for kind, count in seen.counts.items() if count},
        "differences": [difference_of(each) for each in seen.differences[:told_max]],
        "busy": list(seen.busy[:told_max]),
        "unexplained": seen.unexplained,
        **({"acknowledged": [asdict(each) for each in seen.acknowledged]} if seen.acknowledged else {}),
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
