"""How the command speaks: tables and progress for people, JSON for machines, problems on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print a value as JSON; credits come as exact strings."""
    print(json.dumps(value, default=_plain, indent=2))


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print rows under their columns; numbers stand to the right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    cells = [list(row) for row in rows]
    for index, column in enumerate(columns):
        is_number = any(isinstance(row[index], int | Decimal) for row in cells)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(_plain(cell)) for cell in row))  # text: what looks like markup came from somebody else
    out.print(table)


def print_counts(title: str, counts: Mapping[str, object]) -> None:
    """Print names and their values."""
    print_table(title, ("", ""), counts.items())


def progress() -> Progress:
    """Return a progress bar on standard error, which vanishes when it is done."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
