"""``reconciler apply``: posts a plan, exactly as its file says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.audit.repairs.applied import KIND
from engine.cli import repair_plan
from engine.cli.archive_option import ArchivePlaceIfNamed
from engine.cli.identity import identity
from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    CreditsTable,
    LedgerTable,
    PolicyFileIfThere,
    Target,
    forever,
    on_aws,
)
from engine.cli.output import complain, print_counts, print_json, progress
from engine.cli.place import Place
from engine.cli.reprice import By, shortly
from engine.cli.status import FAILED
from engine.domain.errors import LedgerError
from engine.ledger.store import Tables
from engine.policy import Policy, load_policy
from engine.rating.reprice import RULE
from engine.reconcile.plan_file import PlanFile, PlanFileError, kind_of
from engine.reconcile.repricing.apply import Applying, Done

ENTRIES_MAX = 100_000
NAMED_MAX = 10
"""So many jobs that were left alone are named to a person; ``--json`` names a thousand."""


@on_aws
def apply(
    file: Annotated[
        Path, typer.Argument(help="A plan, as `reprice` or `audit --repair` has written it.", exists=True, dir_okay=False)
    ],
    *,
    policy: PolicyFileIfThere = DEFAULT_POLICY,
    go_on: Annotated[
        bool, typer.Option("--go-on", help="Post the rest where jobs have changed since the plan was made.")
    ] = False,
    max_entries: Annotated[int, typer.Option(min=1, help="Post at most so many entries; the next run goes on.")] = ENTRIES_MAX,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every job of the plan, and post nothing.")] = False,
    by: By = None,
    archive: ArchivePlaceIfNamed = "",
    place: Place,
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Post a plan: each job once, however often it is begun. A job whose charges have changed since is left alone."""
    target = Target(Tables(credits=credits_table, ledger=ledger_table), place)
    if kind_of(file) == KIND:
        repair_plan.apply(file, archive, by, target, place, dry_run=dry_run, as_json=as_json)
        return
    plan = _opened(file)
    if policy is None:  # a plan of repairs needs none
        raise typer.BadParameter("the policy of the plan is not here; name a copy of it", param_hint="'--policy'")
    ledger, of_plan = target.ledger(), load_policy(policy)
    _check(file, (*_of_another_policy(plan, of_plan, policy), *_of_other_tables(plan, target.addresses())))
    run = Applying(plan, of_plan, ledger, identity(place, by).name, forever())
    done = _run(run, "checked", plan, run.check)
    is_check = dry_run or (done.changed > 0 and not go_on)
    started = time.monotonic()
    if not is_check:
        done = _run(run, "posted", plan, lambda told: run.post(max_entries, told))
    _tell(plan, done, None if is_check else time.monotonic() - started, as_json=as_json)
    if is_check:
        complain("nothing was posted" + ("" if dry_run else "; --go-on posts the jobs that have not changed"))
    elif done.left:
        complain(f"{done.left} jobs are left; the same command goes on with them")
    if not done.is_whole:
        raise typer.Exit(FAILED)


def _opened(file: Path) -> PlanFile:
    """Return the plan in a file. Exits where it is none."""
    try:
        return PlanFile.open(file, RULE)
    except PlanFileError as error:
        complain(str(error))
        raise typer.Exit(FAILED) from error


def _check(file: Path, problems: Iterable[str]) -> None:
    """Exit where a plan is of another policy or of other tables."""
    for problem in problems:
        complain(f"{file}: {problem}")
        raise typer.Exit(FAILED)


def _of_another_policy(plan: PlanFile, policy: Policy, file: Path) -> Iterator[str]:
    planned = plan.header["policy"]
    if planned["digest"] != policy.digest:
        wanted = f"{planned['name']}@{planned['digest'][:12]}"
        yield f"is of the policy {wanted}, and {file} is {policy.identity}; name the one of the plan by --policy"


def _of_other_tables(plan: PlanFile, tables: Mapping[str, str]) -> Iterator[str]:
    differing = [kind for kind, address in tables.items() if plan.header["tables"].get(kind) != address]
    if differing:
        kind = differing[0]
        yield f"was made for {plan.header['tables'].get(kind)}, and this is {tables[kind]}"


def _run(run: Applying, verb: str, plan: PlanFile, work: Callable[[Callable[[int], None]], Done]) -> Done:
    """Do a part of the work under a progress bar. Where it breaks off, what was posted is told."""
    try:
        with progress() as bar:
            task = bar.add_task(f"apply: jobs {verb}", total=plan.header["total"]["jobs"])
            return work(lambda count: bar.update(task, completed=count))
    except (LedgerError, KeyboardInterrupt):
        complain(f"{run.done.posted:d} entries or some more were posted; the same command goes on behind them")
        raise
    except PlanFileError as error:
        complain(str(error))
        raise typer.Exit(FAILED) from error


def _tell(plan: PlanFile, done: Done, seconds: float | None, *, as_json: bool) -> None:
    """Say what was done in so many seconds; of a check (None) what would be."""
    answer: dict[str, Any] = {
        "plan": plan.digest,
        "jobs": done.jobs,
        "posted" if seconds is not None else "due": done.posted,
        "postedBefore": done.posted_before,
        "changed": done.changed,
        "refused": done.refused,
        "left": done.left,
        "planned": Decimal(plan.header["total"]["difference"]),
        "credits": done.credits,
        "otherwise": done.otherwise,
    }
    if seconds:
        answer |= {"seconds": round(seconds, 3), "entriesPerSecond": round(done.posted / seconds, 1)}
    if as_json:
        print_json({**answer, "leftAlone": done.alone})
        return
    for each in done.alone[:NAMED_MAX]:
        complain(f"{each['job']} of {each['user']} {each['what']}: {each['why']}")
    if done.changed + done.refused > NAMED_MAX:
        complain(f"... and {done.changed + done.refused - NAMED_MAX} jobs more; --json names them")
    shown = {name: shortly(figure) if isinstance(figure, Decimal) else figure for name, figure in answer.items()}
    print_counts("Apply", shown)
