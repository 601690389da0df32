"""``reconciler export``: the ledger's entries as files, for those who have no archive."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import frozen

from engine.cli.archive_compact import needs_duckdb
from engine.cli.files import writing
from engine.cli.options import AsJson, LedgerTable, Since, Target, Until, forever, on_aws
from engine.cli.output import complain, print_counts, print_json, progress
from engine.cli.place import Place
from engine.cli.status import MISUSED
from engine.domain.instants import instant_text, read_instant
from engine.ledger.exports import ExportStore, Span
from engine.ledger.store import ScanSlice, Tables
from engine.reconcile.catch_up import whole_table
from engine.reconcile.wiring import row_of_line
from engine.runtime.clock import Clock

UNDER_WAY = timedelta(minutes=1)
"""An entry is dated before it is written: what is younger may not be there yet, and is left to a later export."""

LINES_TOGETHER = 5_000


@on_aws
def export(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", file_okay=False, help="Where the files go.")],
    since: Since = None,
    until: Until = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write Parquet files for questions beside the lines.")] = False,
    segments: Annotated[int, typer.Option(min=1, max=1_000_000, help="Parts the table is read in; a file for each.")] = 8,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Segments under way at once.")] = 4,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Write the entries as JSON lines, in the form of the archive's records. Goes on where an earlier run stopped."""
    if parquet:
        needs_duckdb()
    target = Target(Tables(ledger=ledger_table), place)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    store, job = target.ledger(workers).exports(), _job(out, since, until, segments, str(ledger_table))
    with progress() as bar, ThreadPoolExecutor(workers) as pool:
        task = bar.add_task("export: segments", total=segments)
        counts: list[int] = []
        for count in pool.map(lambda part: _segment(store, job, part), whole_table(segments)):
            counts.append(count)
            bar.update(task, completed=len(counts))
    if parquet:
        _write_parquet(job)
    span = {"since": instant_text(job.span.since) if job.span.since else None, "until": instant_text(job.span.until)}
    answer: dict[str, Any] = {"entries": sum(counts), "files": segments, **span, "folder": str(out)}
    print_json(answer) if as_json else print_counts("Export", {name: value for name, value in answer.items() if value})


@frozen
class Job:
    """An export: what it was begun with. A run that goes on has the same."""

    out: Path
    span: Span
    at: datetime
    segments: int

    def file(self, part: ScanSlice, kind: str = "jsonl.gz") -> Path:
        """Return the file of a segment."""
        folder = self.out / "parquet" if kind == "parquet" else self.out
        return folder / f"entries-{part.segment + 1:06d}-of-{part.segments:06d}.{kind}"


def _job(out: Path, since: datetime | None, until: datetime | None, segments: int, table: str) -> Job:
    """Return the export in a folder: a new one, or the one that was begun there. Exits where that is another."""
    now = Clock().now()
    asked = {"table": table, "since": instant_text(since) if since else None, "segments": segments}
    file = out / "export.json"
    begun: Mapping[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    if begun and not _is_same(begun, asked, until):
        complain(f"{out}: holds another export ({_told(begun)}); name another folder, or give the same options")
        raise typer.Exit(MISUSED)
    if not begun:
        begun = {**asked, "until": instant_text(_end(until, now)), "at": instant_text(now)}
        with writing(file):
            file.write_text(json.dumps(begun) + "\n")
    began, ends = read_instant(begun["at"]), read_instant(begun["until"])
    return Job(out, Span(since, ends or now), began or now, segments)


def _is_same(begun: Mapping[str, Any], asked: Mapping[str, Any], until: datetime | None) -> bool:
    began = read_instant(begun.get("at"))
    is_until = until is None or (began is not None and begun.get("until") == instant_text(_end(until, began)))
    return is_until and {name: begun.get(name) for name in asked} == asked


def _end(until: datetime | None, now: datetime) -> datetime:
    """Return where the span of an export ends that is begun ``now``."""
    return min(until or now, now - UNDER_WAY)


def _told(begun: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in begun.items() if value is not None)


def _segment(store: ExportStore, job: Job, part: ScanSlice) -> int:
    """Write the file of a segment, whole or not at all, unless it is there. Return how many entries it has."""
    file = job.file(part)
    if file.exists():
        with gzip.open(file, "rt", encoding="ascii") as lines:
            return sum(1 for _ in lines)
    beside, count = file.with_name(f"{file.name}.new"), 0
    with writing(file), gzip.open(beside, "wt", encoding="ascii") as opened:
        for some in batched(store.lines(part, job.span, job.at, forever()), LINES_TOGETHER):
            opened.writelines(f"{line}\n" for line in some)
            count += len(some)
    beside.replace(file)
    return count


def _write_parquet(job: Job) -> None:
    """Write a Parquet file beside each file of lines."""
    from engine.ledger.archive.parquet import Lines, connected, write  # noqa: PLC0415  an extra

    (job.out / "parquet").mkdir(exist_ok=True)
    with connected(job.out) as database:
        for part in whole_table(job.segments):
            if (file := job.file(part, "parquet")).exists():
                continue
            lines, beside = Lines(job.out / "rows.jsonl"), file.with_name(f"{file.name}.new")
            lines.add(_rows(job.file(part)))
            write(database, lines.path, beside, (job.out / "export.json").read_text())
            lines.path.unlink()
            beside.replace(file)


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(file, "rt", encoding="ascii") as lines:
        yield from _known(row_of_line(line.rstrip("\n")) for line in lines)


def _known(rows: Iterable[Mapping[str, Any] | None]) -> Iterator[Mapping[str, Any]]:
    yield from (row for row in rows if row is not None)
