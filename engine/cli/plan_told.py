"""A plan as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from engine.cli.output import print_table, say
from engine.cli.plan_ledger_told import OVERDRAWN, left_out, overdrafts, overdrawn_rows, subject
from engine.domain.money import EXACT

REFUSED_SHOWN_MAX = 10

COLUMNS = ("jobs", "users", "pay now", "then", "by", "%")
"""Beside the key of a group."""


def print_plan(answer: Mapping[str, Any], top: int) -> None:
    """Print what differs, first in all, then by group, then the ``top`` jobs with the largest differences."""
    say("\n".join(head(answer)))
    for name, rows in answer["groups"].items():
        if differing := _differing(rows, top):
            say(f"by {name}, what users pay:")
            print_table("", (name, *COLUMNS), ([_text(value) for value in row.values()] for row in differing))
    if top and (differences := answer["differences"]):
        rows = [[d["reference"], d["user"], d["now"], d["then"], signed(d["by"])] for d in islice(differences, top)]
        say(f"{len(differences)} jobs and grants would differ; the largest {len(rows)}:")
        print_table("", ("reference", "user", "now", "then", "by"), rows)
    if overdrawn := overdrawn_rows(answer, top):
        print_table("", OVERDRAWN, overdrawn)
    say("\n".join((*left_out(answer), *_refusals(answer["refused"]))))


def _differing(rows: Iterable[Mapping[str, Any]], top: int) -> list[Mapping[str, Any]]:
    return [row for row in islice(rows, top) if Decimal(row["by"])]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def signed(credits_: str) -> str:
    """Return a difference with its sign."""
    return f"{Decimal(credits_):+f}"


def head(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was edited, what it comes to, and for how many."""
    yield from (f"warning: {warning}" for warning in answer["warnings"])
    yield from (f"edited: {change}" for change in answer["changes"])
    if not answer["changes"]:
        yield "no difference between the policies"
    yield f"{subject(answer)}{_priced_at(answer['asOf'])}"
    for ends in answer["outcomes"]:
        if ends["now"] != ends["then"]:
            yield f"  {ends['events']} that are {ends['now']} now would be {ends['then']}"
    for name, pair in answer["credits"].items():
        yield f"  {name}: {pair['now']} -> {pair['then']} ({_by(pair):+f})"
    for name, count in answer["anomalies"].items():
        if count["now"] != count["then"]:
            yield f"  {name}: {count['now']} -> {count['then']} entries flagged"
    yield from (f"  {line}" for line in (*in_all(answer), *overdrafts(answer)))


def _priced_at(instant: str | None) -> str:
    return "" if instant is None else f", all priced as of {instant}"


def _by(pair: Mapping[str, str]) -> Decimal:
    return EXACT.subtract(Decimal(pair["then"]), Decimal(pair["now"]))


def in_all(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the edit comes to in all: for the company, and for the users."""
    net, users, jobs, causes = (answer[name] for name in ("net", "users", "jobs", "causes"))
    percent = "" if net["percent"] is None else f", {signed(net['percent'])} %"
    yield f"the company: users pay {net['now']} -> {net['then']} ({signed(net['by'])}{percent})"
    if Decimal(net["by"]):
        yield f"of that {signed(causes['prices'])} by prices, {signed(causes['rest'])} by all else that is edited"
    held = answer["held"]
    if any(map(Decimal, held.values())):
        yield f"beside that, held in the end for work that is not done: {held['now']} -> {held['then']}"
    won, lost = signed(users["won"]), signed(users["lost"])
    yield f"the users: of {users['all']} {users['winners']} have {won}, {users['losers']} have {lost}"
    yield f"{jobs['concerned']} of {jobs['all']} jobs and grants would differ"


def _refusals(refused: list[str]) -> Iterator[str]:
    yield from (f"would be refused: {problem}" for problem in islice(refused, REFUSED_SHOWN_MAX))
    if len(refused) > REFUSED_SHOWN_MAX:
        yield f"... and {len(refused) - REFUSED_SHOWN_MAX} more"
    if not refused:
        yield "past charges keep their price"
