"""``reconciler archive compact``: the days of the archive that are over, as Parquet files for questions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.archive_option import ArchivePlace, open_archive
from engine.cli.options import AsJson, forever, on_aws
from engine.cli.output import complain, print_counts, print_json, print_table, progress
from engine.cli.place import Place
from engine.cli.program import DISTRIBUTION
from engine.cli.status import FAILED, MISUSED
from engine.ledger.archive.compact import Compaction, Part
from engine.reconcile.wiring import row_of_line


@on_aws
def compact(
    *,
    archive: ArchivePlace = "",
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", file_okay=False, help="Keep the files here too, so that the next run need not fetch them."
        ),
    ] = None,
    place: Place,
    as_json: AsJson = False,
) -> None:
    """Write a Parquet file for each day that is over, each entry once. Nothing is written over; run it again at any time."""
    bucket = open_archive(archive, place)
    needs_duckdb()
    with tempfile.TemporaryDirectory(prefix="reconciler-") as fresh, progress() as bar:
        folder = work or Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        task = bar.add_task("compact: days", total=None)
        compaction = Compaction(bucket, folder, row_of_line, forever())
        parts: list[Part] = []
        for part in compaction.run():
            parts.append(part)
            bar.update(task, completed=len(parts))
    _tell(parts, compaction, as_json=as_json)
    if compaction.problems:
        raise typer.Exit(FAILED)


def needs_duckdb() -> None:
    """Exit where DuckDB is not installed."""
    try:
        import duckdb  # noqa: F401, PLC0415  an extra, and heavy
    except ModuleNotFoundError as missing:
        complain(f"Parquet needs the libraries of the extra `archive`: pip install '{DISTRIBUTION}[cli,archive]'")
        raise typer.Exit(MISUSED) from missing


def _tell(parts: list[Part], compaction: Compaction, *, as_json: bool) -> None:
    entries = sum(part.entries for part in parts)
    answer: dict[str, Any] = {"files": len(parts), "entries": entries, "stillWritten": compaction.left}
    written = [{"key": part.key, "entries": part.entries, "records": part.records} for part in parts]
    if as_json:
        print_json({**answer, "written": written, "problems": compaction.problems})
        return
    if parts:
        print_table("", ("key", "entries", "records"), (tuple(part.values()) for part in written))
    print_counts("Compact", answer)
    for problem in compaction.problems:
        complain(problem)
