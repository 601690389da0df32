"""Exports on disk, told apart by what is in them: tables of DynamoDB's, entries of an archive, events of a bus."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import frozen

from engine.domain.documents import is_event
from engine.ledger.audits import AuditedEntry, Credit
from engine.ledger.exports import ExportProblem, TableExport
from engine.preview.planning.lines import GZIP_MAGIC
from engine.reconcile.wiring import attributes_of, exported_table, record_reader

HEAD_BYTES = 1 << 20
"""So much of a file is looked at to see what it is."""

PARQUET_MAGIC = b"PAR1"
CHECKSUM = re.compile(rb"[0-9A-Za-z+/]{22}==\s*")
"""An MD5, as DynamoDB writes one beside each manifest."""


class Kind(StrEnum):
    """What a file of an export is."""

    SUMMARY = "summary of a table's export"
    MANIFEST = "manifest of a table's export"
    ITEMS = "items of a table's export"
    CHANGES = "changes of a table"
    RECORDS = "entries of an archive"
    CHAIN = "a chain of entries"
    PARQUET = "entries of an archive as Parquet"
    EVENTS = "events"
    BESIDE = "nothing that is read"
    UNKNOWN = "unknown"


MEMBERS: Mapping[str, Kind] = {
    "manifestFilesS3Key": Kind.SUMMARY,
    "dataFileS3Key": Kind.MANIFEST,
    "Item": Kind.ITEMS,
    "NewImage": Kind.CHANGES,
    "OldImage": Kind.CHANGES,
    "told": Kind.RECORDS,
    "archive": Kind.CHAIN,
    "segments": Kind.BESIDE,
}
"""By what the first object of a file has. ``segments``: what ``reconciler export`` notes of itself."""


@frozen
class Exports:
    """What several exports hold together: files of events, exported tables of entries and of balances, an archive's files."""

    events: tuple[Path, ...] = ()
    ledgers: tuple[TableExport, ...] = ()
    balances: tuple[TableExport, ...] = ()
    records: tuple[Path, ...] = ()
    parquet: tuple[Path, ...] = ()

    @classmethod
    def found_in(cls, paths: Iterable[Path]) -> Exports:
        """Return what files and folders hold. Raises ExportProblem for a file that is none of an export, or not whole."""
        files: dict[Kind, list[Path]] = {kind: [] for kind in Kind}
        for path in paths:
            found = _files_in(path)
            if not any(found[kind] for kind in Kind if kind is not Kind.BESIDE):
                raise ExportProblem(f"{path}: holds no export")
            for kind, some in found.items():
                files[kind] += some
        tables = [exported_table(summary) for summary in files[Kind.SUMMARY]]
        _check_owned(files[Kind.ITEMS], tables)
        ledgers = tuple(table for table in tables if _keeps(table) == LEDGER)
        balances = tuple(table for table in tables if _keeps(table) == BALANCES)
        return cls(tuple(files[Kind.EVENTS]), ledgers, balances, tuple(files[Kind.RECORDS]), tuple(files[Kind.PARQUET]))

    @property
    def has_entries(self) -> bool:
        """Whether a ledger's entries are there."""
        return bool(self.ledgers or self.records or self.parquet)

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """Yield the entries as they are stored. Raises ExportProblem where a file is not whole."""
        for table in self.ledgers:
            yield from table.items()
        for path in self.records:
            yield from _entries_of_records(path)
        for path in self.parquet:
            yield from _entries_of_parquet(path)

    def credits(self) -> Iterator[Credit]:
        """Yield the balances. Raises ExportProblem where a file is not whole."""
        for table in self.balances:
            yield from map(_credit, table.items())


# --- what is what -----------------------------------------------------------------------------------------------------


def _files_in(path: Path) -> dict[Kind, list[Path]]:
    """Return the files of an export by their kinds. Raises ExportProblem for one that is unknown."""
    found: dict[Kind, list[Path]] = {kind: [] for kind in Kind}
    for file in [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file()):
        found[kind_of(file)].append(file)
    for file in found[Kind.UNKNOWN]:
        raise ExportProblem(
            f"{file}: is neither a table that DynamoDB has exported nor a file of entries or events, as an archive has them"
        )
    for file in found[Kind.CHAIN]:
        raise ExportProblem(
            f"{file}: is of an archive of entries, which is a chain; name the folder that has all of it by --archive"
        )
    for file in found[Kind.CHANGES]:
        raise ExportProblem(f"{file}: has the changes of a table; a full export of it is needed")
    return found


def kind_of(path: Path) -> Kind:
    """Return what a file is, by what it begins with. Raises ExportProblem where it cannot be read."""
    head = _head(path)
    if head.startswith(PARQUET_MAGIC):
        return Kind.PARQUET
    if not head.strip() or CHECKSUM.fullmatch(head):
        return Kind.BESIDE
    if (first := _first_object(head)) is None:
        return Kind.UNKNOWN
    if is_event(first):
        return Kind.EVENTS
    return next((kind for member, kind in MEMBERS.items() if member in first), Kind.UNKNOWN)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if not head.startswith(GZIP_MAGIC):
            return head
        with gzip.open(path) as packed:
            return packed.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise ExportProblem(f"{path}: cannot be read: {error}") from error


def _first_object(head: bytes) -> Mapping[str, Any] | None:
    """Return the first JSON object of a file: of its lines, of an array, or the one that all of it is."""
    text = head.decode(errors="replace").lstrip().removeprefix("[").lstrip()
    try:
        first, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return first if isinstance(first, dict) else None


LEDGER, BALANCES = "ledger", "balances"


def _keeps(table: TableExport) -> str:
    """Return what an exported table keeps, by its first item. Raises ExportProblem for another table."""
    first = next(iter(table.items()), None)
    if first is None or {"reference", "sequence"} <= first.keys():
        return LEDGER
    if "userId" in first and "jobId" not in first:
        return BALANCES
    raise ExportProblem(f"{table.folder}: is an export of {table.table}; the tables of entries and of balances are read")


def _check_owned(files: Iterable[Path], tables: Iterable[TableExport]) -> None:
    folders = {table.folder / "data" for table in tables}
    for file in files:
        if file.parent not in folders:
            raise ExportProblem(
                f"{file}: is a part of a table's export, and its manifest is not there: copy the whole folder of the export"
            )


# --- what is in them --------------------------------------------------------------------------------------------------


def _credit(row: Mapping[str, Any]) -> Credit:
    return Credit(str(row.get("userId")), _number(row.get("posted", 0)), _number(row.get("remaining", 0)), is_there=True)


def _number(value: Any) -> Decimal | None:
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _entries_of_records(path: Path) -> Iterator[Mapping[str, Any]]:
    reads = record_reader()
    for number, line in enumerate(_lines(path), 1):
        try:
            entry = reads(line.decode()).entry
        except ValueError as error:
            raise ExportProblem(f"{path}: line {number}: {error}") from error
        if entry is not None:
            yield stored_of(entry)


def stored_of(entry: AuditedEntry) -> Mapping[str, Any]:
    """Return an entry as it is stored; of one that somebody has put there, with attributes of no form, its place alone."""
    try:
        return entry.stored
    except ValueError:
        return {"reference": entry.line.reference, "sequence": entry.line.sequence}


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            is_packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        with gzip.open(path) if is_packed else path.open("rb") as lines:
            yield from lines
    except (OSError, EOFError, zlib.error) as error:
        raise ExportProblem(f"{path}: cannot be read: {error}") from error


def _entries_of_parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    from engine.ledger.archive.parquet import entries_in  # noqa: PLC0415  an extra

    for text in entries_in(path):
        yield attributes_of(json.loads(text))
