"""A plan as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from engine.cli.output import print_table, say

REFUSED_SHOWN_MAX = 10


def print_plan(answer: Mapping[str, Any], top: int) -> None:
    """Print what differs, first in all, then the ``top`` jobs with the largest differences."""
    say("\n".join(_head(answer)))
    if differences := answer["differences"]:
        rows = [[d["reference"], d["user"], d["now"], d["then"], _signed(d["by"])] for d in islice(differences, top)]
        say(f"{len(differences)} jobs and grants would differ; the largest {len(rows)}:")
        print_table("", ("reference", "user", "now", "then", "by"), rows)
    say("\n".join(_refusals(answer["refused"])))


def _signed(credits_: str) -> str:
    return f"{Decimal(credits_):+f}"


def _head(answer: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"edited: {change}" for change in answer["changes"])
    if not answer["changes"]:
        yield "no difference between the policies"
    yield f"{answer['events']} events"
    for ends in answer["outcomes"]:
        if ends["now"] != ends["then"]:
            yield f"  {ends['events']} that are {ends['now']} now would be {ends['then']}"
    for name, pair in answer["credits"].items():
        by = Decimal(pair["then"]) - Decimal(pair["now"])
        yield f"  {name}: {pair['now']} -> {pair['then']} ({by:+f})"
    for name, count in answer["anomalies"].items():
        if count["now"] != count["then"]:
            yield f"  {name}: {count['now']} -> {count['then']} entries flagged"


def _refusals(refused: list[str]) -> Iterator[str]:
    yield from (f"would be refused: {problem}" for problem in islice(refused, REFUSED_SHOWN_MAX))
    if len(refused) > REFUSED_SHOWN_MAX:
        yield f"... and {len(refused) - REFUSED_SHOWN_MAX} more"
    if not refused:
        yield "past charges keep their price"
