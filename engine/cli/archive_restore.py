"""``reconciler archive restore``: Ledger, ``posted`` and marks as the archive has them; first what would be written."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict

from engine.audit.restore import Done, Found, Restore
from engine.cli.archive_option import ArchivePlace, open_archive
from engine.cli.files import writing
from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    CreditsTable,
    JobsTable,
    LedgerTable,
    PolicyFileIfThere,
    SealsTable,
    StateTable,
    Target,
    forever,
    on_aws,
)
from engine.cli.output import complain, print_counts, print_json, progress, say
from engine.cli.place import Place
from engine.cli.status import FAILED
from engine.domain.digits import as_text
from engine.ledger.archive.acknowledged import Acknowledged
from engine.ledger.archive.originals import State
from engine.ledger.store import Store, Tables
from engine.policy import load_policy
from engine.reconcile.catch_up import whole_table
from engine.reconcile.marking import DUE, ERRORS, MARKED, Marker

NAMED_MAX = 10
"""So many places and users of each kind are named to a person; ``--json`` names more."""


@on_aws
def restore(
    *,
    archive: ArchivePlace = "",
    yes: Annotated[bool, typer.Option("--yes", help="Write what differs. Without it nothing is written.")] = False,
    balances: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write users without a balance into a CSV file, with what was posted.", dir_okay=False
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Entries under way at once.")] = 8,
    policy: PolicyFileIfThere = DEFAULT_POLICY,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    seals_table: SealsTable = "Seals",
    as_json: AsJson = False,
) -> None:
    """Show how Ledger, `posted` and marks differ from the archive; with --yes let them be as the archive has them."""
    bucket = open_archive(archive, place)
    target = Target(Tables(jobs_table, credits_table, ledger_table, state_table, seals_table), place)
    ledger = target.ledger(workers + 1, needed=frozenset({"seals"}))
    with progress() as bar:
        task = bar.add_task("restore", total=None)
        work = Restore(
            ledger.restores(),
            ledger.audits(),
            bucket,
            forever(),
            lambda step, count: bar.update(task, description=f"restore: {step}", completed=count),
            workers,
        )
        found = work.look()
        loose = sum(1 for _ in work.loose_marks(ledger.marks()))
        done = work.write(found, ledger.marks()) if yes and not found.problems else None
        marks = _marks(ledger, policy) if done is not None else {}
    if balances is not None:
        _write_balances(balances, work)
    answer = _answer(found, loose) | (_written(done, marks) if done is not None else {})
    print_json(answer) if as_json else _print(answer, done)
    if not _is_good(found, loose, done):
        raise typer.Exit(FAILED)


def _marks(ledger: Store, policy: Path | None) -> dict[str, int]:
    """Mark the rows of Jobs whose facts the ledger has; nothing where no policy says which row stands for which fact."""
    if policy is None:
        complain("no policy is named, so that no mark is given: the next scan gives them, as it posts what is due")
        return {}
    counts = [Marker(ledger, load_policy(policy)).run(part, forever()) for part in whole_table(1)]
    return {name: sum(count.get(name, 0) for count in counts) for name in (MARKED, DUE, ERRORS)}


def _answer(found: Found, loose: int) -> dict[str, Any]:
    states = found.states
    return {
        "head": found.head.number,
        "archived": found.originals,
        "repeated": found.again,
        "missing": states[State.MISSING],
        "changed": states[State.CHANGED],
        "unexplained": states[State.UNEXPLAINED],
        "replaced": states[State.REPLACED],
        "unarchived": found.unarchived_count,
        "posted": len(found.drifts),
        "looseMarks": loose,
        "withoutBalance": found.without_balance,
        "problems": list(found.problems),
        **({"acknowledged": [asdict(each) for each in found.acknowledged]} if found.acknowledged else {}),
        "named": found.named,
    }


def _written(done: Done, marks: dict[str, int]) -> dict[str, Any]:
    written = {"entries": done.entries, "posted": done.posted, "unmarked": done.marks, "marked": marks.get(MARKED, 0)}
    due = {"due": marks.get(DUE, 0), "errors": marks.get(ERRORS, 0)}
    return {"written": {**written, **due, "head": done.head}, "left": list(done.left)}


def _is_good(found: Found, loose: int, done: Done | None) -> bool:
    """Say whether the tables are now as the archive has them."""
    stands = found.unarchived_count + found.states[State.REPLACED] + len(found.problems)
    if done is not None:
        return not (stands or done.left or done.entries < found.differing)  # others have written there meanwhile
    return not (stands or loose or found.drifts or found.differing)


def _print(answer: dict[str, Any], done: Done | None) -> None:
    counts = {name: value for name, value in answer.items() if isinstance(value, int)}
    print_counts("Restore", counts)
    for kind, places in answer["named"].items():
        for place in places[:NAMED_MAX]:
            say(f"{kind}: {place}")
    for each in answer.get("acknowledged", ()):
        say(Acknowledged(**each).line())
    for problem in answer["problems"][:NAMED_MAX]:
        complain(f"archive: {problem}")
    if done is None:
        say(
            "nothing was written" + ("; --yes writes what differs" if not answer["problems"] else ": the archive is not whole")
        )
        return
    print_counts("Written", answer["written"])
    for user in answer["left"][:NAMED_MAX]:
        complain(f"left: {user}: archive and ledger do not add up to the same, or something was just posted; begin again")
    if answer["withoutBalance"]:
        complain(
            f"{answer['withoutBalance']} users have no balance: the archive knows what was posted, and not what the "
            "application gave. Add to each row, by ADD, what it gave and what was posted (--balances FILE lists them)"
        )


def _write_balances(file: Path, work: Restore) -> None:
    with writing(file), file.open("w", encoding="utf-8", newline="") as opened:
        lines = csv.writer(opened)
        lines.writerow(("user", "posted"))
        lines.writerows(_without_balance(work))


def _without_balance(work: Restore) -> Iterator[tuple[str, str]]:
    for user, posted in work.without_balance():
        yield user, as_text(posted or Decimal(0))
