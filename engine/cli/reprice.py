"""``reconciler reprice``: what charges would cost under another policy, written into a plan. Nothing is posted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.files import writing
from engine.cli.identity import identity
from engine.cli.options import AsJson, CreditsTable, LedgerTable, Since, Target, Until, forever, on_aws
from engine.cli.output import complain, print_counts, print_json, print_table, progress, say
from engine.cli.place import Place
from engine.cli.status import FAILED, MISUSED
from engine.domain.errors import PolicyError, shown
from engine.domain.money import canonical
from engine.domain.texts import text_problem
from engine.ledger.store import Tables
from engine.policy import load_policy
from engine.policy.patterns.parse import parse_pattern
from engine.reconcile.repricing.plan import SPARED, Wish, make_plan
from engine.reconcile.repricing.which_jobs import Filters
from engine.runtime.clock import Clock

Reason = Annotated[str, typer.Option("--reason", help="Why; each entry of the plan will keep it.")]
By = Annotated[str | None, typer.Option(help="Who says so, where AWS does not know it: a local endpoint.")]


@on_aws
def reprice(
    *,
    policy: Annotated[
        Path,
        typer.Option("--policy", help="The policy whose prices are right.", exists=True, dir_okay=False, show_default=False),
    ],
    reason: Reason,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the plan goes.", dir_okay=False)],
    since: Since = None,
    until: Until = None,
    match: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help='Only jobs whose charge an event pattern takes, as JSON: {"detail": {...}}.'),
    ] = None,
    charged_by: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Only jobs that the policy of this digest (or its beginning) charged.")
    ] = None,
    spare_users: Annotated[
        bool, typer.Option("--spare-users", help="Take nothing from users whom it would leave below zero.")
    ] = False,
    by: By = None,
    place: Place,
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Plan what charges should have cost under another policy, from the ledger alone. `apply` posts the plan."""
    filters = Filters(since, until, _pattern(match), charged_by or "")
    _check_usage(reason, out, since, until)
    target = Target(Tables(credits=credits_table, ledger=ledger_table), place)
    ledger, new = target.ledger(), load_policy(policy)
    wish = Wish(
        new, reason, identity(place, by).name, Clock().now().replace(microsecond=0), target.addresses(), filters, spare_users
    )
    with progress() as bar, writing(out):
        task = bar.add_task("reprice: entries", total=None)
        plan = make_plan(wish, ledger, out, forever(), lambda count: bar.update(task, completed=count))
    print_json(plan) if as_json else _print(plan, out)
    if any(each["why"] != SPARED for each in plan["leftOut"]):
        raise typer.Exit(FAILED)


def _check_usage(reason: str, out: Path, since: datetime | None, until: datetime | None) -> None:
    problems = {
        "--reason is empty; each entry of the plan will keep it": not reason.strip(),
        f"--reason {text_problem(reason)}": text_problem(reason) is not None,
        f"{out}: is there already; a plan that may have been posted is not written over": out.exists(),
        "--until is not after --since: nothing lies between them": bool(since and until and since >= until),
    }
    for problem in (problem for problem, is_wrong in problems.items() if is_wrong):
        complain(problem)
        raise typer.Exit(MISUSED)


def _pattern(text: str | None) -> Mapping[str, Any] | None:
    """Return an event pattern. Exits where the text is none."""
    if text is None:
        return None
    try:
        pattern: Mapping[str, Any] = json.loads(text, parse_float=Decimal)
        parse_pattern(pattern)
    except PolicyError as error:
        complain(f"--match is no event pattern: {error}")
    except (ValueError, RecursionError):
        complain(f"--match is {shown(text)}; an event pattern as JSON is needed")
    else:
        return pattern
    raise typer.Exit(MISUSED)


# --- as a person reads it ---------------------------------------------------------------------------------------------


def _print(plan: Mapping[str, Any], out: Path) -> None:
    if plan["users"]:
        _print_sums(plan)
    if problems := [*_below_zero(plan), *_left_out(plan)]:
        say("\n".join(problems))
    total = {name: shortly(figure) for name, figure in plan["total"].items()}
    print_counts("Plan", {**total, "users": plan["users"], "digest": plan["sha256"]})
    if plan["total"]["jobs"]:
        say(f"nothing was posted; look at {out}, then: reconciler apply {out}")
    else:
        say(f"of {plan['entriesRead']} entries none tells a charge that would change; there is nothing to apply")


def shortly[T: (int, Decimal)](number: T) -> T:
    """Return a number as a person reads it: without zeros that say nothing."""
    return Decimal(canonical(number)) if isinstance(number, Decimal) else number


def _print_sums(plan: Mapping[str, Any]) -> None:
    columns = ("jobs", "before", "after", "difference")
    for title, name in (("By model", "byModel"), ("By day", "byDay")):
        rows = ([group["key"], *(shortly(group[column]) for column in columns)] for group in plan[name])
        print_table(title, (name.removeprefix("by").lower(), *columns), rows)
    concerned = ([each["user"], each["jobs"], shortly(each["difference"])] for each in plan["mostConcerned"])
    print_table(f"{len(plan['mostConcerned'])} of {plan['users']} users", ("user", "jobs", "difference"), concerned)


def _below_zero(plan: Mapping[str, Any]) -> Iterator[str]:
    below = plan["belowZero"]
    what = "spared" if plan["spareUsers"] else "would go below zero"
    for each in below["first"]:
        has = "no balance" if each["remaining"] is None else f"{canonical(each['remaining'])} left"
        yield f"{what}: {each['user']}, {has}, {canonical(each['difference'])} to post"
    if below["users"] > len(below["first"]):
        yield f"... and {below['users'] - len(below['first'])} users more"


def _left_out(plan: Mapping[str, Any]) -> Iterator[str]:
    for each in plan["leftOut"]:
        yield f"left out: {each['jobs']} jobs ({each['first']}{', ...' if each['jobs'] > 1 else ''}): {each['why']}"
