"""How the command speaks: tables and progress for people, JSON for machines, problems on standard error."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from rich.cells import cell_len
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
from rich.text import Text

from engine.cli.layout import Column, folded, labelled, laid_out, plain
from engine.domain.digits import as_text

out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)
"""What looks like markup or an emoji's name came from somebody else, and is shown as it is."""

NEVER_FOLDED = frozenset({"id", "job", "event", "queue", "reference", "user", "jobs", "users"})
"""Of single values, those that are identifiers: they may have blanks in them."""


def print_json(value: Any) -> None:
    """Print a value as JSON; credits come as exact strings."""
    print(json.dumps(value, default=as_text, indent=2))


def print_streamed(value: Any) -> None:
    """Print a value as JSON, part by part: a list in it may be longer than memory."""
    for part in json.JSONEncoder(default=as_text, indent=2).iterencode(value):
        print(part, end="")
    print()


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]], *, prose: Collection[str] = ()) -> None:
    """Print rows under their columns; numbers stand to the right. Only ``prose`` may be folded, between its words."""
    cells = [list(row) for row in rows]
    laid = [_column(name, [row[index] for row in cells], name in prose) for index, name in enumerate(columns)]
    names, lines = laid_out(laid, room(out))
    _print_title(title)
    out.print(Text(names, "bold"), soft_wrap=True)
    for line in lines:
        out.print(Text(line), soft_wrap=True)


def print_counts(title: str, counts: Mapping[str, object]) -> None:
    """Print names and their values."""
    print_named(title, counts.items())


def print_named(title: str, named: Iterable[tuple[str, object]]) -> None:
    """Print values behind their names. A name may come twice; where it is empty the value goes on with the one above."""
    _print_title(title)
    told = [(plain(str(name)), plain(as_text(value)), _is_number(value), name not in NEVER_FOLDED) for name, value in named]
    label = max((cell_len(name) for name, *_ in told), default=0)
    digits = max((len(text) for _, text, is_number, _ in told if is_number), default=0)
    for name, text, is_number, is_prose in told:
        shown = text.rjust(digits) if is_number else text
        for line in labelled(name, shown, label, room(out), is_prose=is_prose and not is_number):
            out.print(Text(line), soft_wrap=True)


def say(text: str) -> None:
    """Print a text; in a terminal its lines are folded between words."""
    out.print(folded(plain(text, keeps_lines=True), room(out)), soft_wrap=True)


def complain(text: str) -> None:
    """Print what is wrong, on standard error, as ``say`` does."""
    err.print(folded(plain(text, keeps_lines=True), room(err)), soft_wrap=True)


def room(console: Console) -> int | None:
    """Return how many columns there are: COLUMNS where it is set, else the terminal's; None where there is no terminal."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return console.width if console.file.isatty() else None


def progress() -> Progress:
    """Return a progress bar on standard error, which vanishes when it is done. Where there is no terminal, none is shown."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.file.isatty(),
    )


def _print_title(title: str) -> None:
    if title:
        out.print(Text(folded(plain(title), room(out)), "italic"), soft_wrap=True)


def _column(name: str, values: list[object], is_prose: bool) -> Column:  # noqa: FBT001
    return Column(name, [plain(as_text(value)) for value in values], any(map(_is_number, values)), is_prose)


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
