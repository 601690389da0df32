"""A plan as Markdown: for the comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from engine.cli.plan_ledger_told import OVERDRAWN, left_out, overdrafts, overdrawn_rows, subject
from engine.cli.plan_told import COLUMNS, in_all, signed


def print_markdown(answer: Mapping[str, Any], top: int) -> None:
    """Print the answer as Markdown, of long tables ``top`` rows."""
    for line in markdown(answer, top):
        print(line)


def markdown(answer: Mapping[str, Any], top: int) -> Iterator[str]:
    """Yield the lines of an answer: in all, what was edited, then tables that a reader opens."""
    yield f"### What this edit does to {subject(answer)}"
    yield ""
    yield from (f"> **Warning** {_plain(warning)}" for warning in answer["warnings"])
    yield ""
    yield from (f"- {_plain(line)}" for line in (*in_all(answer), *overdrafts(answer), *_newly(answer["newly"])))
    yield ""
    yield from _folded("What was edited", [f"- {_plain(change)}" for change in answer["changes"]])
    for name, rows in answer["groups"].items():
        shown = [_cells(row) for row in islice(rows, top) if Decimal(row["by"])]
        yield from _folded(f"By {_plain(name)}: what users pay", [*_table((name, *COLUMNS), shown)] if shown else [])
    jobs = [(d["reference"], d["user"], d["now"], d["then"], signed(d["by"])) for d in islice(answer["differences"], top)]
    named = ("job or grant", "user", "now", "then", "by")
    yield from _folded(f"{len(answer['differences'])} jobs and grants differ", [*_table(named, jobs)] if jobs else [])
    overdrawn = overdrawn_rows(answer, top)
    yield from _folded(
        f"{len(answer['overdrafts'])} users newly overdrawn", [*_table(OVERDRAWN, overdrawn)] if overdrawn else []
    )
    yield from _folded(f"{len(answer['leftOut'])} jobs and grants are left out", _left_out(answer, top))
    refused = [f"- {_plain(problem)}" for problem in islice(answer["refused"], top)]
    yield from _folded(f"{len(answer['refused'])} events would be refused", refused)


def _left_out(answer: Mapping[str, Any], top: int) -> list[str]:
    """Return why jobs and grants are left out, and the first of them by name."""
    if not answer["leftOut"]:
        return []
    named = ((each["reference"], each["user"], each["why"]) for each in islice(answer["leftOut"], top))
    return [*(f"- {_plain(line)}" for line in left_out(answer)), "", *_table(("job or grant", "user", "why"), named)]


def _newly(newly: Mapping[str, int]) -> Iterator[str]:
    yield from (
        f"{count} {'entries' if name == 'flagged' else 'events'} newly {name}" for name, count in newly.items() if count
    )


def _folded(summary: str, lines: list[str]) -> Iterator[str]:
    """Yield a part that a reader opens; nothing where it is empty."""
    if lines:
        yield from (f"<details><summary>{summary}</summary>", "", *lines, "", "</details>", "")


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = [*map(_plain, names)]
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join(['---', *['---:'] * (len(head) - 1)])} |"
    yield from (f"| {' | '.join(map(_plain, row))} |" for row in rows)


def _cells(row: Mapping[str, Any]) -> list[str]:
    return ["" if value is None else str(value) for value in row.values()]


SPECIAL = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<>|#~@"})
"""What Markdown would take for something else: names come from events."""


def _plain(text: str) -> str:
    """Return a text that shows itself: on one line, nothing in it marked up."""
    return " ".join(text.translate(SPECIAL).split())
