"""The scheduled run: it renews the baselines, charges and refunds the jobs whose events were lost, and closes.

Holds that are due have a run of their own (``due_holds``), which comes more often.

What it does at its end (a look back, the books, once a day a digest) stands on floors above and is handed in.

A state machine does it in steps, many slices of the scan at once, each invocation of them short::

    begin -> work, work, work ... (one chain for each segment) -> finish

What finish finds left over is worked on once more, and ``finish_again`` says then how the whole run ended.

``everything`` does the same in one invocation, as far as its time goes, and expires the holds that are due as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import asdict

from engine.domain.errors import EventError, shown
from engine.domain.instants import read_instant
from engine.domain.texts import text_problem
from engine.ledger.store import ScanSlice
from engine.reconcile.catch_up import OwnAllowance, ScanReport, SharedAllowance, scan, whole_table
from engine.reconcile.due_holds import expire_holds
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

SCHEDULE_SECONDS = 6 * 60 * 60

SEGMENTS = 8
"""Into how many segments a scan in one invocation divides the table of jobs."""

AT_ONCE = 4
"""How many segments are read at once, where nobody says otherwise."""

SEGMENT_BYTES = 256 * 2**20
"""About so much of the table is one segment's: some twenty invocations. A table that is smaller is one segment."""

SEGMENTS_MAX = 400
"""So many answers fit into what a step of a state machine may hand on (256 KB)."""

WORK_SECONDS = 1.0
"""After this long an invocation begins no further rows of its slice, so that it ends within two seconds."""

BASELINES_SHARE = 4
"""At most a quarter of the time goes into baselines."""

HOLDS_SHARE = 4
"""At most a quarter of what is left goes into holds, where one invocation does everything."""

type Answer = dict[str, Any]

type ClosingStep = Callable[[Reconciler, datetime, Deadline], Answer]
"""What a run does at its end, with the instant it is of: its part of the answer. It never fails: the scan is done."""


def everything(reconciler: Reconciler, at: datetime, closing: Iterable[ClosingStep], deadline: Deadline) -> Answer:
    """Do all of it, as far as the time goes, and return what was done; ``slices`` is what is left over of the scan."""
    baselines = _renew_baselines(reconciler, deadline)
    holds = expire_holds(reconciler, deadline.sooner(deadline.left() / HOLDS_SHARE))
    slices = whole_table(SEGMENTS, _first(at, SEGMENTS))
    report = scan(reconciler, slices, deadline, OwnAllowance(_entries_max(reconciler)))
    answer = report.answer()
    return {**answer, **baselines, **holds, "allFailed": _all_failed(answer), **_close(reconciler, at, closing, deadline)}


# --- in steps ---


def begin(reconciler: Reconciler, run: str, at: datetime, deadline: Deadline) -> Answer:
    """Begin ``run``, the only one from now on, and return its ``parts``: events for ``work``, one for each segment.

    ``atOnce`` is how many of them may be worked on at the same time.

    Each run begins one segment further, so that no part of a large table is always the last.
    """
    baselines = _renew_baselines(reconciler, deadline)
    run = _run(run, "begin")
    size = reconciler.ledger.jobs_bytes(deadline)
    segments = max(1, min(SEGMENTS_MAX, -(-size // SEGMENT_BYTES)))
    reconciler.ledger.begin_run(run, _entries_max(reconciler), deadline)
    slices = whole_table(segments, _first(at, segments))
    parts = [{"run": run, "slices": [asdict(part)]} for part in slices]
    return {"run": run, "parts": parts, "atOnce": reconciler.scans_at_once or AT_ONCE, **baselines}


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


def finish(reconciler: Reconciler, event: Mapping[str, Any], closing: Iterable[ClosingStep], deadline: Deadline) -> Answer:
    """Do the ``closing`` steps, and return what they say with the sum of all ``parts``.

    ``leftOver`` are events for ``work``: what is left.

    ``unfinished`` is how many these are. What is left over because the run has posted as much as it may is not unfinished
    but ``capped``. ``allFailed`` says that rows were due and not one of them could be reconciled: such a run is no success.
    """
    answer = _sum_of(event["parts"], "parts").answer()
    left_over = _left_over(event["parts"], answer)
    closed = _close(reconciler, read_instant(event.get("time")) or reconciler.clock.now(), closing, deadline)
    unfinished = {"unfinished": len(left_over), "leftOver": left_over, "allFailed": _all_failed(answer)}
    return {**answer, "slices": [], **unfinished, **closed}


def _close(reconciler: Reconciler, at: datetime, closing: Iterable[ClosingStep], deadline: Deadline) -> Answer:
    said: Answer = {}
    for step in closing:
        said |= step(reconciler, at, deadline)
    return said


def finish_again(event: Mapping[str, Any]) -> Answer:
    """Return the counts of a run, now that its ``leftOver`` was worked on (``again``), and whether all of its rows failed."""
    answer = _sum_of(event["again"], "again").answer()
    return {**answer, "slices": [], "allFailed": _all_failed(answer)}


def _sum_of(parts: Iterable[Mapping[str, Any]], field: str) -> ScanReport:
    return sum((_counts(part, field) for part in parts), ScanReport())


def _left_over(parts: Iterable[Mapping[str, Any]], counts: Answer) -> list[Answer]:
    """Return what to work on once more. The first goes on from the counts of all parts, the others from none.

    So their sum is that of the run, and no counts stand in the state machine twice: what it hands on has a bound.
    """
    unfinished = [part for part in parts if part.get("slices") and not part.get("capped")]
    left = [{"run": part.get("run"), "slices": part["slices"]} for part in unfinished]
    return [{**counts, "capped": False, **left[0]}, *left[1:]] if left else []


def _all_failed(answer: Answer) -> bool:
    return bool(answer["errors"]) and answer["errors"] >= answer["rows"]


def _renew_baselines(reconciler: Reconciler, deadline: Deadline) -> Answer:
    done = reconciler.baselines.renew(deadline.sooner(deadline.left() / BASELINES_SHARE))
    reconciler.telemetry.renewed(done or {})
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
    return slices, _run(run, "run"), _counts(event, "outcomes")


def _run(name: object, field: str) -> str:
    """Return the name of a run. Raises EventError for one that no table can hold."""
    run = str(name)
    if problem := text_problem(run):
        raise EventError("scan", "(none)", field, problem)
    return run


def _counts(answer: Mapping[str, Any], field: str) -> ScanReport:
    """Return the counts that a step has answered with. Raises EventError for what is none."""
    try:
        return ScanReport.read(answer)
    except (TypeError, ValueError, OverflowError) as error:
        raise EventError("scan", "(none)", field, f"these counts are none: {error}") from error


def _slice(part: Any) -> ScanSlice:
    try:
        return ScanSlice(**part)
    except (TypeError, ValueError) as error:
        raise EventError("scan", "(none)", "slices", f"{shown(part)} is no slice: {error}") from error
