"""What is due at regular times: baselines, the scan of the table of jobs, the books, and once a day what was flagged.

A state machine does it in steps, many slices of the scan at once, each invocation of them short::

    begin -> work, work, work ... (one chain for each segment) -> finish

``everything`` does the same in one invocation, as far as its time goes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import asdict

from engine.audit import audit
from engine.clock import Deadline
from engine.digest import tell_daily
from engine.errors import EventError
from engine.instants import read_instant
from engine.ledger import LedgerUnavailable, ScanSlice
from engine.reconcile import Reconciler
from engine.scan import OwnAllowance, ScanReport, SharedAllowance, scan, whole_table

SCHEDULE_SECONDS = 6 * 60 * 60

SEGMENTS = 8
"""Into how many segments a scan in one invocation divides the table of jobs."""

SEGMENT_BYTES = 256 * 2**20
"""About so much of the table is one segment's: some twenty invocations. A table that is smaller is one segment."""

SEGMENTS_MAX = 400
"""So many answers fit into what a step of a state machine may hand on (256 KB)."""

WORK_SECONDS = 1.0
"""After this long an invocation begins no further rows of its slice, so that it ends within two seconds."""

BASELINES_SHARE = 4
"""At most a quarter of the time goes into baselines."""

AUDIT_RESERVE_SECONDS = 2.0
"""What an audit leaves of the time, so that its run can answer."""

DRIFTS_TOLD_MAX = 20
"""More users than this are counted, and found by ``reconciler audit``."""

type Answer = dict[str, Any]


def everything(reconciler: Reconciler, at: datetime, deadline: Deadline) -> Answer:
    """Do all of it, as far as the time goes, and return what was done; ``slices`` is what is left over of the scan."""
    baselines = _renew_baselines(reconciler, deadline)
    slices = whole_table(SEGMENTS, _first(at, SEGMENTS))
    report = scan(reconciler, slices, deadline, OwnAllowance(_entries_max(reconciler)))
    audited = check_books(reconciler, deadline)
    tell_daily(reconciler, at, deadline)
    return {**report.answer(), **baselines, "audit": audited}


# --- in steps ---


def begin(reconciler: Reconciler, run: str, at: datetime, deadline: Deadline) -> Answer:
    """Begin ``run``, the only one from now on, and return its ``parts``: events for ``work``, one for each segment.

    Each run begins one segment further, so that no part of a large table is always the last.
    """
    baselines = _renew_baselines(reconciler, deadline)
    size = reconciler.ledger.jobs_bytes(deadline)
    segments = max(1, min(SEGMENTS_MAX, -(-size // SEGMENT_BYTES)))
    reconciler.ledger.begin_run(run, _entries_max(reconciler), deadline)
    slices = whole_table(segments, _first(at, segments))
    return {"run": run, "parts": [{"run": run, "slices": [asdict(part)]} for part in slices], **baselines}


def work(reconciler: Reconciler, event: Mapping[str, Any], deadline: Deadline) -> Answer:
    """Scan the slices of an event, and return what to go on with: the same again with what is left over of them.

    An event of a run that ``begin`` began is worked on for a second, and its counts go on from one answer to the next. An
    event of slices alone is worked on while there is time. Raises EventError for what is no such event.
    """
    slices, run, before = _read(event)
    if run is None:
        return scan(reconciler, slices, deadline, OwnAllowance(_entries_max(reconciler))).answer()
    allowance = SharedAllowance(reconciler.ledger, run, deadline)
    report = scan(reconciler, slices, deadline, allowance, pause=deadline.sooner(WORK_SECONDS))
    return {"run": run, **(before + report).answer()}


def finish(reconciler: Reconciler, event: Mapping[str, Any], deadline: Deadline) -> Answer:
    """Check the books, and return them with the sum of all ``parts``; ``unfinished`` counts those with slices left over.

    What is left over because the run has posted as much as it may is not unfinished but ``capped``.
    """
    reports = [(ScanReport.read(part), part.get("slices", [])) for part in event["parts"]]
    answer = sum((report for report, _ in reports), ScanReport()).answer()
    unfinished = sum(bool(left_over) and not report.is_capped for report, left_over in reports)
    audited = check_books(reconciler, deadline)
    tell_daily(reconciler, read_instant(event.get("time")) or reconciler.clock.now(), deadline)
    return {**answer, "slices": [], "unfinished": unfinished, "audit": audited}


def check_books(reconciler: Reconciler, deadline: Deadline) -> Answer:
    """Audit every user's entries, as far as the time allows, and return what was seen. Never fails: the scan is done."""
    try:
        seen = audit(reconciler.ledger, deadline.sooner(deadline.left() - AUDIT_RESERVE_SECONDS))
    except Exception as error:  # noqa: BLE001  whatever it is, what the run has done stays told
        fields: Answer = {"problem": f"{type(error).__name__}: {error}"}
        reconciler.telemetry.audit_unfinished(fields, is_out_of_time=isinstance(error, LedgerUnavailable))
        return fields
    drifts = [drift.user for drift in seen.drifts[:DRIFTS_TOLD_MAX]]
    fields = {"users": seen.users, "entries": seen.entries, "drifts": drifts}
    reconciler.telemetry.audited(fields, len(seen.drifts))
    return fields


def _renew_baselines(reconciler: Reconciler, deadline: Deadline) -> Answer:
    done = reconciler.usual.renew(deadline.sooner(deadline.left() / BASELINES_SHARE))
    return {} if done is None else {"baselines": done}


def _first(at: datetime, segments: int) -> int:
    return int(at.timestamp()) // SCHEDULE_SECONDS % segments


def _entries_max(reconciler: Reconciler) -> int:
    return sys.maxsize if reconciler.adjustments_max is None else reconciler.adjustments_max


def _read(event: Mapping[str, Any]) -> tuple[Iterable[ScanSlice], str | None, ScanReport]:
    slices = [_slice(part) for part in event["slices"]]
    run = event.get("run")
    if run is None:
        return slices, None, ScanReport()
    try:
        return slices, str(run), ScanReport.read(event)
    except (TypeError, ValueError) as error:
        raise EventError("scan", "(none)", "outcomes", f"these counts are none: {error}") from error


def _slice(part: Any) -> ScanSlice:
    try:
        return ScanSlice(**part)
    except (TypeError, ValueError) as error:
        raise EventError("scan", "(none)", "slices", f"{part!r} is no slice: {error}") from error
