"""What ``plan`` is made of: files of events, a ledger in its tables or its archive, or exports on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import frozen

from engine.cli.archive_option import open_archive
from engine.cli.options import Target, forever
from engine.cli.output import complain
from engine.cli.place import Place, TableName
from engine.cli.status import MISUSED
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import EMPTY
from engine.ledger.archive.records import Records
from engine.ledger.audits import Credit
from engine.ledger.store import Store, Tables
from engine.preview.planning.exports import Exports, stored_of
from engine.preview.planning.kept.spool import Span
from engine.preview.planning.material import Material
from engine.reconcile.wiring import record_reader

Events = Annotated[
    list[Path] | None,
    typer.Option(
        help="Events to try both policies on, one JSON object a line; gzip too. Several files by several --events.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
Ledger = Annotated[
    bool,
    typer.Option("--ledger", help="Price anew what the ledger keeps: no events are needed. Beside --events: what users had."),
]
Archive = Annotated[
    str | None,
    typer.Option(metavar="s3://BUCKET|FOLDER", help="Read the ledger out of its archive, or a copy of that."),
]
Export = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="PATH",
        help="Read an export on disk: tables that DynamoDB has exported, or events of a bus. Several by several --export.",
        exists=True,
        show_default=False,
    ),
]


@frozen
class Source:
    """What a person has named, and where the tables are."""

    events: tuple[Path, ...]
    ledger: bool
    archive: str | None
    exports: tuple[Path, ...]
    span: tuple[datetime | None, datetime | None]
    place: Place
    tables: Tables

    def material(self) -> Material:
        """Return what a plan is made of. Exits where nothing is named, or too much; raises ExportProblem, LedgerError."""
        exports = Exports.found_in(self.exports)
        self._check(exports)
        events = (*self.events, *exports.events)
        since, until = self.span
        if exports.has_entries:
            return Material(events, exports.entries, exports.credits if exports.balances else None, Span(since, until))
        if not self._is_ledger:
            return Material(events)
        return self._of_tables(events, Span(since, until))

    @property
    def _is_ledger(self) -> bool:
        return self.ledger or self.archive is not None

    def _check(self, exports: Exports) -> None:
        has_events, has_ledger = bool(self.events or exports.events), self._is_ledger or exports.has_entries
        since, until = self.span
        problems = {
            "an export of balances needs one of the entries beside it": bool(exports.balances) and not exports.has_entries,
            "name what to plan: --events FILE, --ledger, or --export PATH": not has_events and not has_ledger,
            "--ledger and an --export of it name two ledgers; name one": self._is_ledger and exports.has_entries,
            "--since and --until bound what is planned of a ledger; events are planned as they are": has_events
            and (since is not None or until is not None),
            "--until is not after --since: nothing lies between them": bool(since and until and since >= until),
        }
        for problem in (problem for problem, is_wrong in problems.items() if is_wrong):
            complain(problem)
            raise typer.Exit(MISUSED)

    def _of_tables(self, events: tuple[Path, ...], span: Span) -> Material:
        """Return what the tables say; beside an archive only the balances, and those where somebody has named them."""
        if self.archive is None:
            store = Target(self.tables, self.place).ledger()
            return Material(events, lambda: store.logs().entries(forever()), partial(_credits_of, store), span)
        bucket, credits_table = open_archive(self.archive, self.place), self.tables.credits
        if isinstance(credits_table, TableName) and credits_table.is_default:
            return Material(events, partial(_entries_of, bucket), None, span)
        store = Target(Tables(credits=credits_table), self.place).ledger()
        return Material(events, partial(_entries_of, bucket), partial(_credits_of, store), span)


def _credits_of(store: Store) -> Iterator[Credit]:
    return store.audits().credits(forever(), with_remaining=True)


def _entries_of(bucket: Bucket) -> Iterator[Mapping[str, Any]]:
    """Yield the entries of an archive as they were posted."""
    for _, records in Records(bucket, EMPTY, record_reader(), forever()).objects():
        yield from (stored_of(record.entry) for record in records if record.entry is not None)
