"""A plan as one page, for people who would rather look than read: charts with the tables they are drawn from.

Every figure stands in a table; the page's own script draws a chart from it, and lets its rows be searched and sorted. So the
page says the same where no script runs, on paper, and to who does not see it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from attrs import frozen

from engine.cli.layout import plain
from engine.cli.pages import VENDOR, allowed, render, source
from engine.cli.plan_edits import Edit, Edits, Written
from engine.cli.plan_ledger_told import left_out, overdrafts, subject
from engine.cli.plan_page_tables import (
    DAY,
    FIRST,
    MINUS,
    MODEL,
    USER,
    Kept,
    as_now,
    bars,
    credits_of,
    days,
    ends_table,
    flags_table,
    jobs_table,
    overdrawn_table,
    rates_table,
    signed,
    spread_figure,
    users_table,
)
from engine.cli.plan_spread import spread
from engine.domain.instants import instant_text
from engine.domain.money import EXACT, ZERO

ROWS_MAX = 500
"""So many rows of a table are on the page, where nobody says otherwise."""

REFUSED_MAX = 50
"""So many events that would be refused are named."""

EDIT_LINES_MAX = 60
"""So many lines of one edit are shown."""

STYLES = ("look.css", "plan.css")
LIBRARIES = (f"{VENDOR}/d3.min.js", f"{VENDOR}/plot.umd.min.js")
SCRIPT = "plan.js"

PLOT_STYLE = """\
:where(.plot) {
  --plot-background: white;
  display: block;
  height: auto;
  height: intrinsic;
  max-width: 100%;
}
:where(.plot text),
:where(.plot tspan) {
  white-space: pre;
}"""
"""What the library adds to the page for a chart of the class ``plot``: the page's security policy names it by its hash."""


@frozen
class Shown:
    """An edit as the page has it."""

    lines: tuple[Any, ...]
    left_out: int
    words: tuple[str, ...]
    moves: str
    said: str


@frozen
class Question:
    """What was asked: the two policies, and when the answer was worked out."""

    now: Written
    then: Written
    written: datetime


def plan_page(answer: Mapping[str, Any], question: Question, edits: Edits, rows_max: int) -> str:
    """Return the page of an answer. Of each table it has ``rows_max`` rows at most."""
    groups = answer["groups"]
    differences, users = Kept(groups[USER], rows_max), answer["users"]
    bins = spread(Decimal(row["by"]) for row in differences)
    return render(
        "plan",
        **_sources(),
        now=_policy(question.now),
        then=_policy(question.then),
        written=instant_text(question.written.replace(microsecond=0)),
        as_of=answer["asOf"],
        subject=subject(answer, "{:,}".format),
        company=_company(answer["net"]),
        all_users=_all_users(answer["users"]),
        warnings=[*map(plain, (*answer["warnings"], *left_out(answer), *_overdrawn(answer))), *_refusals(answer["newly"])],
        totals=[*_totals(answer)],
        figures=[days(groups[DAY]), bars(MODEL, 0, groups[MODEL], rows_max), spread_figure(bins, users)],
        more_figures=[bars(name, place, groups[name], rows_max) for place, name in enumerate(groups, 1) if name not in FIRST],
        edits=[_shown(edit) for edit in edits.shown],
        more_edits=edits.more,
        together=_together(edits, Decimal(answer["net"]["by"])),
        changes=[plain(change) for change in answer["changes"]],
        rates=rates_table(answer["prices"], rows_max),
        users=users_table(differences.rows, users["concerned"]),
        overdrawn=overdrawn_table(answer, rows_max),
        jobs=jobs_table(answer["differences"], rows_max),
        ends=ends_table(answer["outcomes"]),
        flags=flags_table(answer["anomalies"]),
        refused=(refused := [plain(problem) for problem in islice(answer["refused"], min(rows_max, REFUSED_MAX))]),
        refused_told=f"{len(refused):,} of {len(answer['refused']):,} events that would be refused, and why",
    )


def _sources() -> dict[str, Any]:
    style, libraries, script = source(*STYLES), [source(name) for name in LIBRARIES], source(SCRIPT)
    return {
        "style": style,
        "libraries": libraries,
        "script": script,
        "licences": [source(f"{VENDOR}/{name}.LICENSE") for name in ("d3", "plot")],
        "allowed_styles": allowed([style, PLOT_STYLE]),
        "allowed_scripts": allowed([*libraries, script]),
    }


def _policy(written: Written) -> str:
    return plain(f"{written.file} ({written.policy.identity})")


# --- in words ---------------------------------------------------------------------------------------------------------


def _company(net: Mapping[str, Any]) -> str:
    """Return the first half of the one sentence: what the edit comes to from the company's side."""
    by = Decimal(net["by"])
    if not by:
        return f"The company would take what it takes now, {credits_of(net['now'])} credits;"
    how = f"{credits_of(net['by']).lstrip(MINUS)} credits {'more' if by > 0 else 'less'}"
    percent = "" if net["percent"] is None else f"{credits_of(net['percent'], plus='+')} %, "
    return f"The company would take {how} ({percent}{credits_of(net['then'])} in place of {credits_of(net['now'])});"


def _all_users(users: Mapping[str, Any]) -> str:
    """Return its second half: what the edit comes to from the users' side."""
    lost, won = (credits_of(users[name]).lstrip(MINUS) for name in ("lost", "won"))
    return (
        f"of {users['all']:,} users {users['losers']:,} would pay {lost} more, {users['winners']:,} would pay {won} less,"
        f" and {as_now(users):,} what they pay now."
    )


def _refusals(newly: Mapping[str, int]) -> Iterator[str]:
    """Warn of what would not be charged at all: it makes the difference look smaller than it is."""
    if count := newly.get("refused", 0):
        yield f"{count:,} events would be refused that are charged or refunded now: what they came to is missing in all below"


def _overdrawn(answer: Mapping[str, Any]) -> Iterator[str]:
    """Warn of users who would be overdrawn, with the one who would be the furthest."""
    for row in islice(answer["overdrafts"], 1):
        yield from overdrafts(answer)
        yield f"the furthest below zero would be {row['user']}, with {row['then']} at {row['at']}"


def _totals(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    net, causes, jobs = answer["net"], answer["causes"], answer["jobs"]
    yield "Users pay now", credits_of(net["now"])
    yield "Users would pay", credits_of(net["then"])
    yield "Difference", credits_of(net["by"], plus="+")
    yield "of that by prices", credits_of(causes["prices"], plus="+")
    yield "by all else", credits_of(causes["rest"], plus="+")
    if any(map(Decimal, answer["held"].values())):  # no revenue: it may go back
        yield "Beside that, held in the end", credits_of(answer["held"]["now"])
        yield "would be held", credits_of(answer["held"]["then"])
    yield "Jobs and grants that differ", f"{jobs['concerned']:,} of {jobs['all']:,}"
    for name, count in answer["newly"].items():
        yield f"{'Entries' if name == 'flagged' else 'Events'} newly {name}", f"{count:,}"
    if (overdrawn := answer["new_overdrafts"]) is not None:
        yield "New overdrafts", f"{overdrawn:,}"


# --- what was edited --------------------------------------------------------------------------------------------------


def _shown(edit: Edit) -> Shown:
    return Shown(
        lines=tuple(edit.lines[:EDIT_LINES_MAX]),
        left_out=len(edit.lines[EDIT_LINES_MAX:]),
        words=tuple(map(plain, edit.words)),
        moves="" if edit.moves is None else signed(edit.moves).text,
        said=_said(edit),
    )


def _said(edit: Edit) -> str:
    if edit.changes_nothing:
        return "moves nothing: the policy says the same"
    if edit.alone is None and edit.moves is None:
        return "cannot be told alone: without the other edits the file is no policy"
    return "not planned alone: there are too many edits" if edit.moves is None else "users pay, by this edit alone"


def _together(edits: Edits, whole: Decimal) -> str:
    """Return what edits move that none of them moves alone; nothing where the amounts beside them add up to all."""
    alone = functools.reduce(EXACT.add, (edit.moves for edit in edits.counting if edit.moves is not None), ZERO)
    rest = EXACT.subtract(whole, alone)
    if not rest or not edits.counting:
        return ""
    untold = edits.more or any(edit.moves is None for edit in edits.counting)
    whose = "of several at once, or of edits without an amount" if untold else "of several at once"
    return f"Alone they come to {signed(alone).text}, together to {signed(whole).text}: {signed(rest).text} is {whose}."
