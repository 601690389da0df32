"""``reconciler archive take-in``: entries that the archive lacks, as they stand in the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.audit.take_in import TakeIn
from engine.cli.archive_option import ArchivePlace, open_archive
from engine.cli.options import AsJson, LedgerTable, SealsTable, Target, forever, on_aws
from engine.cli.output import complain, print_counts, print_json, progress
from engine.cli.place import Place
from engine.cli.status import FAILED
from engine.ledger.store import Tables

NAMED_MAX = 10
"""So many problems are named to a person; ``--json`` names all."""


@on_aws
def take_in(
    *,
    archive: ArchivePlace = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be taken in, and append nothing.")] = False,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    seals_table: SealsTable = "Seals",
    as_json: AsJson = False,
) -> None:
    """Take an existing ledger in: entries that the archive lacks, as they stand. Each once, however often it is begun."""
    bucket = open_archive(archive, place)
    target = Target(Tables(ledger=ledger_table, seals=seals_table), place)
    ledger = target.ledger(needed=frozenset({"seals"}))
    with progress() as bar:
        task = bar.add_task("take-in: entries", total=None)
        work = TakeIn(
            ledger.restores(),
            bucket,
            ledger.clock,
            forever(),
            lambda count: bar.update(task, completed=count),
            dry=dry_run,
        )
        done = work.run()
    counts = {"takenIn": done.taken, "archived": done.known, "underWay": done.fresh, "head": done.head.number}
    if as_json:
        print_json({**counts, "problems": done.problems})
    else:
        print_counts("Take-in", counts)
    if dry_run:
        complain("nothing was appended")
    for problem in done.problems[:NAMED_MAX]:
        complain(problem)
    if not done.is_whole:
        raise typer.Exit(FAILED)
