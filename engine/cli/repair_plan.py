"""``reconciler audit --repair --plan`` and ``reconciler apply`` of such a plan: repairs against the archive of entries."""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any

import typer
from attrs import asdict, frozen

from engine.audit.repairer import Wrong
from engine.audit.repairs.applied import KIND, AppliedPlans, keep
from engine.audit.repairs.applying import Done, RepairRun, State
from engine.audit.repairs.plan import RepairPlan, Wish, plan_repair
from engine.cli.archive_option import open_archive
from engine.cli.files import writing
from engine.cli.identity import identity
from engine.cli.options import Target, forever
from engine.cli.output import complain, print_counts, print_json, progress, say
from engine.cli.place import Place
from engine.cli.status import FAILED, MISUSED
from engine.domain.errors import LedgerError
from engine.domain.texts import text_problem
from engine.ledger.archive.acknowledged import Acknowledged
from engine.ledger.archive.records import Records
from engine.ledger.store import Store
from engine.ledger.stored import EntryKey
from engine.reconcile.plan_file import PlanFile, PlanFileError
from engine.reconcile.wiring import record_reader
from engine.runtime.clock import Clock

FORGED = re.compile(r"(.+)/(-?[0-9]{1,12}(?:\.[0-9]{1,12})?)")
"""What somebody has put there may have any number."""


@frozen
class Asked:
    """What a person asks of a repair by plan."""

    user: str
    out: Path
    archive: str
    reason: str
    by: str | None
    wrong: Wrong | None
    forged: tuple[EntryKey, ...]
    posted: tuple[EntryKey, ...]


def entry_key(text: str) -> EntryKey:
    """Return where an entry stands, from ``REFERENCE/SEQUENCE``. Raises BadParameter."""
    if (match := FORGED.fullmatch(text)) is None:
        raise typer.BadParameter(f"is {text!r}; write the entry's log and its number, like job#j-1/2")
    return match[1], Decimal(match[2]) if "." in match[2] else int(match[2])


def check_usage(user: str | None, plan: Path | None, *, yes: bool, has_words: bool) -> None:
    """Exit where the options of a repair by plan do not go together. ``user`` is whom a repair is of; None: there is none."""
    problems = {
        "--plan goes with --repair --user": plan is not None and user is None,
        "--yes does not go with --plan: `reconciler apply` applies it": yes and plan is not None,
        "--forged, --posted and --by go with --plan": plan is None and has_words,
    }
    for problem in (problem for problem, is_wrong in problems.items() if is_wrong):
        complain(problem)
        raise typer.Exit(MISUSED)


def problems_of(asked: Asked) -> list[str]:
    """Return what is wrong with what was typed."""
    problems = {
        "--plan needs --reason, which stands in each correction": not asked.reason.strip(),
        f"--reason {text_problem(asked.reason)}": text_problem(asked.reason) is not None,
        f"{asked.out}: is there already; a plan that may have been applied is not written over": asked.out.exists(),
        "--forged and --posted name the same entry": not set(asked.forged).isdisjoint(asked.posted),
        "--plan needs --archive: without an archive nobody can say what was posted": not asked.archive,
    }
    return [problem for problem, is_wrong in problems.items() if is_wrong]


def plan(asked: Asked, target: Target, ledger: Store, place: Place, *, as_json: bool) -> None:
    """Write a plan, show it, and exit with the status of a check: 1 where something is to be done or said."""
    for problem in problems_of(asked):
        complain(problem)
        raise typer.Exit(MISUSED)
    bucket = open_archive(asked.archive, place)
    wish = Wish(
        asked.user,
        asked.reason,
        identity(place, asked.by).name,
        Clock().now().replace(microsecond=0),
        target.addresses(),
        frozenset(asked.forged),
        asked.wrong,
        frozenset(asked.posted),
    )
    records = Records(bucket, ledger.restores().heads().head(forever()), record_reader(), forever())
    with progress() as bar, writing(asked.out):
        bar.add_task("repair: the archive is read", total=None)
        planned = plan_repair(wish, ledger.audits(), records, AppliedPlans(bucket, forever()).believes, forever())
        digest = planned.write(asked.out) if planned.steps else None
    _tell_plan(planned, asked, digest, records.passed_over.values(), as_json=as_json)
    if planned.steps or planned.left:
        raise typer.Exit(FAILED)


def _tell_plan(
    planned: RepairPlan, asked: Asked, digest: str | None, passed_over: Collection[Acknowledged], *, as_json: bool
) -> None:
    if as_json:
        steps = [step.answer() for step in planned.steps]
        answer = {"user": asked.user, "plan": digest, "total": planned.total(), "steps": steps, "left": list(planned.left)}
        print_json({**answer, **({"acknowledged": [asdict(each) for each in passed_over]} if passed_over else {})})
        return
    for each in passed_over:
        say(each.line())
    for step in planned.steps:
        for line in step.lines():
            say(line)
    for problem in planned.left:
        say(f"left: {problem}")
    if digest is not None:
        say(f"nothing was written to the ledger; look at {asked.out}, then: reconciler apply {asked.out}")
    else:
        say(f"{asked.user}: nothing to put right" + ("" if not planned.left else " before that is said"))


# --- apply ------------------------------------------------------------------------------------------------------------


def apply(file: Path, archive: str, by: str | None, target: Target, place: Place, *, dry_run: bool, as_json: bool) -> None:
    """Apply a plan of repairs: just what it says, each log once. A log that has changed since is left alone."""
    plan_of = _opened(file, target)
    if not archive:
        complain("--archive is needed: a plan of repairs is kept there before it is applied")
        raise typer.Exit(MISUSED)
    bucket, run = open_archive(archive, place), _run(plan_of, target, place, by)
    if not dry_run:
        keep(bucket, file.read_bytes(), plan_of.digest, forever())
    done = run.check() if dry_run else _applied(run, plan_of)
    _tell(plan_of, done, is_check=dry_run, as_json=as_json)
    if not done.is_whole:
        raise typer.Exit(FAILED)


def _run(plan_of: PlanFile, target: Target, place: Place, by: str | None) -> RepairRun:
    ledger = target.ledger()
    return RepairRun(plan_of, ledger.audits(), identity(place, by).name, forever())


def _applied(run: RepairRun, plan_of: PlanFile) -> Done:
    """Apply a plan under a progress bar. Where it breaks off, what was done is told."""
    try:
        with progress() as bar:
            task = bar.add_task("apply: logs put right", total=plan_of.header["total"]["logs"])
            return run.apply(lambda count: bar.update(task, completed=count))
    except (LedgerError, KeyboardInterrupt):
        complain(f"{run.done.count(State.DONE)} logs or one more were put right; the same command goes on behind them")
        raise
    except PlanFileError as error:
        complain(str(error))
        raise typer.Exit(FAILED) from error


def _opened(file: Path, target: Target) -> PlanFile:
    """Return the plan in a file. Exits where it is none, or of other tables."""
    try:
        plan_of = PlanFile.open(file, KIND)
    except PlanFileError as error:
        complain(str(error))
        raise typer.Exit(FAILED) from error
    for kind, address in target.addresses().items():
        if (planned := plan_of.header["tables"].get(kind)) != address:
            complain(f"{file}: was made for {planned}, and this is {address}")
            raise typer.Exit(FAILED)
    return plan_of


WORDS = {
    State.DUE: "due",
    State.DONE: "put right",
    State.DONE_BEFORE: "put right before",
    State.CHANGED: "left alone: something is no longer as it was found; plan again",
}


def _tell(plan_of: PlanFile, done: Done, *, is_check: bool, as_json: bool) -> None:
    counts: dict[str, Any] = {"plan": plan_of.digest, "logs": len(done.states)}
    counts |= {"due" if is_check else "done": done.count(State.DUE if is_check else State.DONE)}
    counts |= {"doneBefore": done.count(State.DONE_BEFORE), "changed": done.count(State.CHANGED)}
    if as_json:
        print_json({**counts, "states": {name: state.value for name, state in done.states.items()}})
        return
    for name, state in done.states.items():
        say(f"{name}: {WORDS[state]}")
    print_counts("Apply", counts)
