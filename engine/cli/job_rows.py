"""Rows of Jobs from a file, for what is tried without the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from engine.cli.output import complain
from engine.cli.replay_source import open_file
from engine.cli.status import MISUSED
from engine.domain.documents import read_document
from engine.domain.envelope import Document
from engine.domain.errors import EventError, shown

JOB = "jobId"


def rows_in(path: Path) -> dict[str, Document]:
    """Return the rows in a file by their jobs: one JSON object a line, an array of them, or a single one.

    A row may have its types beside its values, as the AWS CLI and an export of the table write it (``Item``, ``Items``).
    """
    rows: dict[str, Document] = {}
    for number, row in enumerate(_rows(path), start=1):
        if not isinstance(job := row.get(JOB), str):
            complain(f"{path}: row {number} has no `{JOB}`; each row of Jobs has one")
            raise typer.Exit(MISUSED)
        rows[job] = row
    return rows


def _rows(path: Path) -> Iterator[Document]:
    for document in _documents(path):
        items = document.get("Items", [document["Item"]] if "Item" in document else None)
        if JOB in document or not isinstance(items, list):
            yield document
        else:
            yield from (_row_of_item(path, item) for item in items)


def _row_of_item(path: Path, item: Any) -> Document:
    from engine.reconcile.wiring import row_of_item  # noqa: PLC0415  most rows come without types

    try:
        return row_of_item(item)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        complain(f'{path}: {shown(item)} is no item; each value has its type beside it, like {{"jobId": {{"S": "j-1"}}}}')
        raise typer.Exit(MISUSED) from error


def _documents(path: Path) -> Iterator[Document]:
    source = open_file(path)
    lines = [line for _, line in source.lines_after(0)]
    if source.members is None and not _is_whole(lines):
        lines = [b"".join(lines)]  # one object over many lines, as a tool writes it for people
    for line in lines:
        try:
            yield read_document(line, str(path))
        except EventError as error:
            complain(f"{path}: {error.problem}")
            raise typer.Exit(MISUSED) from error


def _is_whole(lines: list[bytes]) -> bool:
    """Say whether the first line is a whole JSON object."""
    try:
        first: Any = json.loads(lines[0]) if lines else {}
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict)
