"""Commands that bring the tables up to date: catch up, replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    CreditsTable,
    JobsTable,
    LedgerTable,
    PolicyFile,
    StateTable,
    Target,
    Verbose,
    forever,
    on_aws,
    open_reconciler,
    patience,
    reporter,
)
from engine.cli.output import complain, print_counts, print_json, progress
from engine.cli.place import Place
from engine.cli.replay import Checkpoint, CheckpointMismatchError, replay_file
from engine.cli.replay_source import open_file
from engine.cli.status import FAILED, MISUSED
from engine.domain.envelope import Document, Envelope, Source
from engine.ledger.store import Tables
from engine.policy import Policy
from engine.policy.expressions.paths import PathProblem
from engine.reconcile.catch_up import ScanReport, whole_table
from engine.reconcile.catch_up import scan as run_scan


@on_aws
def replay(
    file: Annotated[
        Path,
        typer.Argument(
            help="Events, one JSON object a line; gzip too. Also a file of rejects, or dead letters as JSON.",
            exists=True,
            dir_okay=False,
        ),
    ],
    *,
    policy: PolicyFile = DEFAULT_POLICY,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Events under way at once.")] = 8,
    checkpoint: Annotated[Path | None, typer.Option(help="Where the progress is kept.  [default: FILE.checkpoint]")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where events that make no sense go.  [default: FILE.rejects.jsonl]")
    ] = None,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Send a file of events through the engine. Goes on where an earlier run stopped; a second run changes nothing."""
    rejects = _rejects_of(file, rejects)
    target = Target(Tables(jobs_table, credits_table, ledger_table, state_table), place)
    reconciler = open_reconciler(target, policy, workers, reporter(verbose=verbose))
    source = open_file(file)
    kept = Checkpoint(
        checkpoint or file.with_name(f"{file.name}.checkpoint"),
        {"sha256": source.sha256, "policy": reconciler.policy.identity, **target.description()},
    )
    try:
        with progress() as bar:
            task = bar.add_task(f"replay {file.name}", total=source.lines)
            summary = replay_file(
                source,
                lambda documents: reconciler.many([Envelope(d, Source.REPLAY) for d in documents], patience()),
                lambda document: group_of(document, reconciler.policy),
                kept,
                rejects,
                workers=workers,
                done=lambda lines: bar.update(task, completed=lines),
            )
    except CheckpointMismatchError as error:
        complain(str(error))
        raise typer.Exit(MISUSED) from error
    print_json(summary.answer()) if as_json else print_counts("Replay", summary.answer())
    if summary.rejected:
        complain(f"{summary.rejected} rejected: {summary.rejects} says why; mend what it names, and replay that file")
        raise typer.Exit(FAILED)


def _rejects_of(file: Path, rejects: Path | None) -> Path:
    """Return where the rejects of a file go. Exits where that is the file itself: it would grow while it is read."""
    path = rejects or file.with_name(f"{file.name}.rejects.jsonl")
    if path.resolve() == file.resolve():
        complain(f"{file}: the rejects need a file of their own; name another with --rejects")
        raise typer.Exit(MISUSED)
    return path


def group_of(document: Document, policy: Policy) -> str:
    """Return what names the job of an event, or else its purchase: events of one job keep their order."""
    for path in (policy.fields.job, policy.fields.reference):
        try:
            value = path.search(document) if path else None
        except PathProblem:
            continue
        if isinstance(value, str):
            return value
    return ""


@on_aws
def scan(
    *,
    policy: PolicyFile = DEFAULT_POLICY,
    segments: Annotated[int, typer.Option(min=1, max=1_000_000, help="Parts the table is read in.")] = 8,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Segments under way at once.")] = 4,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Charge and refund the jobs whose event was lost, by the table of jobs. Renews the baselines first."""
    target = Target(Tables(jobs_table, credits_table, ledger_table, state_table), place)
    with progress() as bar:
        task = bar.add_task("scan: rows that were due", total=None)
        write = reporter(verbose=verbose, then=lambda: bar.advance(task))
        reconciler = open_reconciler(target, policy, workers, write if verbose else with_problems(write))
        baselines = reconciler.baselines.renew(patience())
        with ThreadPoolExecutor(workers) as pool:
            reports = list(pool.map(lambda part: run_scan(reconciler, [part], forever()), whole_table(segments)))
    total = sum(reports, start=ScanReport())
    answer = {name: value for name, value in total.answer().items() if name != "slices"}
    answer |= {"baselines": baselines} if baselines is not None else {}
    print_json(answer) if as_json else print_counts("Scan", answer | answer.pop("outcomes"))
    if total.errors:
        raise typer.Exit(FAILED)


def with_problems(write: Callable[[str], None]) -> Callable[[str], None]:
    """Return what takes the log lines and shows why a row was refused: of very many rows nobody would find it again."""

    def write_and_show(line: str) -> None:
        said = json.loads(line)
        if said.get("outcome") == "error":
            complain(said["problem"])
        write(line)

    return write_and_show
