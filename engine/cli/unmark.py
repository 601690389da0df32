"""``reconciler unmark``: after a restore, lets the next scan look again at jobs whose entries are gone."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Annotated, Any

import typer
from attrs import asdict

from engine.cli.options import AsJson, JobsTable, LedgerTable, Target, Verbose, forever, on_aws
from engine.cli.output import complain, print_counts, print_json, progress
from engine.cli.place import Place
from engine.cli.status import MISUSED
from engine.domain.digits import as_text
from engine.domain.instants import instant_text, read_instant
from engine.ledger.marks import MarkedRow
from engine.ledger.store import Tables
from engine.reconcile.catch_up import whole_table
from engine.reconcile.unmark import Unmarker, UnmarkReport
from engine.runtime.clock import Clock


@on_aws
def unmark(
    *,
    since: Annotated[str, typer.Option(help="The instant that Ledger and Credits were restored to (ISO 8601 with a zone).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count these marks, and take none away.")] = False,
    segments: Annotated[int, typer.Option(min=1, max=1_000_000, help="Parts the table is read in.")] = 8,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Segments under way at once.")] = 4,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """After a restore: take the mark off jobs whose entry is gone, so that the next scan looks at them. Posts nothing."""
    instant = _past_instant(since)
    marks = Target(Tables(jobs_table, ledger=ledger_table), place).ledger(workers).marks()
    with progress() as bar, ThreadPoolExecutor(workers) as pool:
        task = bar.add_task("unmark: marks looked at", total=None)
        told = _tell if verbose else lambda _: None
        unmarker = Unmarker(marks, instant, dry_run, lambda count: bar.advance(task, count), told)
        reports = pool.map(lambda part: unmarker.run(part, forever()), whole_table(segments))
        total = sum(reports, start=UnmarkReport())
    answer: dict[str, Any] = {"since": instant_text(instant), "dryRun": dry_run, **asdict(total)}
    print_json(answer) if as_json else print_counts("Unmark", answer)
    if total.unnumbered:
        said = f"{total.unnumbered} marks name no entry (made by hand, or by an earlier version) and stay"
        complain(said)


def _past_instant(text: str) -> datetime:
    instant = read_instant(text)
    if instant is not None and instant <= Clock().now():
        return instant
    problem = "no instant with its zone, like 2026-01-06T00:00:00Z" if instant is None else "still to come"
    said = f"--since is {text!r}, {problem}; write the instant that the tables were restored to"
    complain(said)
    raise typer.Exit(MISUSED)


def _tell(row: MarkedRow) -> None:
    print(json.dumps({"outcome": "unmarked", "job": row.job, **row.said}, default=as_text), file=sys.stderr)
