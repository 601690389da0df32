"""Rows of Jobs from a file, for what is tried without the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from engine.cli.output import complain
from engine.cli.replay import ReplayFile
from engine.cli.status import MISUSED
from engine.domain.documents import read_document
from engine.domain.envelope import Document
from engine.domain.errors import EventError

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
            from engine.reconcile.wiring import row_of_item  # noqa: PLC0415  most rows come without types

            yield from map(row_of_item, items)


def _documents(path: Path) -> Iterator[Document]:
    source = ReplayFile.open(path)
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
    except ValueError:
        return False
    return isinstance(first, dict)
