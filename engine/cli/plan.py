"""The command ``plan``: what an edit of the policy would do to given events."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from attrs import evolve, frozen

from engine.cli.committed import NotCommittedError, committed
from engine.cli.files import check_writable, writing
from engine.cli.job_rows import rows_in
from engine.cli.options import DEFAULT_POLICY, AsJson, CreditsTable, LedgerTable, Since, Until, day_or_instant, on_aws
from engine.cli.output import complain, print_streamed, progress
from engine.cli.place import Place
from engine.cli.plan_edits import Edits, Written, edits
from engine.cli.plan_markdown import print_markdown
from engine.cli.plan_source import Archive, Events, Export, Ledger, Source
from engine.cli.plan_told import print_plan
from engine.cli.status import FAILED, MISUSED
from engine.domain.errors import NoRow, PolicyError
from engine.domain.money import EXACT
from engine.ledger.exports import ExportProblem
from engine.ledger.store import Tables
from engine.policy import Policy
from engine.policy.expressions.paths import Path as Expression
from engine.policy.expressions.paths import compile_path
from engine.preview.planning.answer import Asked, answer_of, is_mixed, net_of
from engine.preview.planning.books import as_of, with_prices_of
from engine.preview.planning.condition import Condition, ConditionError
from engine.preview.planning.effects import WORKERS_MAX
from engine.preview.planning.kept.spool import Spooled
from engine.preview.planning.lines import UnreadableEvents
from engine.preview.planning.material import Material, prepared
from engine.preview.planning.of_ledger import OfLedger
from engine.preview.planning.run import Planned, WorkerKilled, planned
from engine.preview.planning.spill import NoRoom
from engine.preview.planning.work import Wish
from engine.runtime.clock import Clock

TOP = 10
"""So many rows of a table are printed, where nobody says otherwise."""

TAKEN = frozenset({"rule", "model", "day", "user"})
"""The groups that are always there."""


@on_aws
def show_plan(
    edited: Annotated[Path, typer.Argument(help="The edited policy file.", exists=True, dir_okay=False)],
    *,
    events: Events = None,
    ledger: Ledger = False,
    archive: Archive = None,
    export: Export = None,
    since: Since = None,
    until: Until = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="Rows of Jobs for a policy that reads `row`, one JSON object a line.", exists=True, dir_okay=False),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            envvar="POLICY_FILE",
            help="The policy as it is now. Without it: the edited file as the last commit has it, or policies/video.yaml.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            parser=day_or_instant,
            metavar="DAY",
            help="Price all events as if they happened on this day, or at this instant.",
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=JMESPATH", help="Also by what this finds in each event: team=detail.team."),
    ] = None,
    fail_if: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help='Exit with 1 where this holds: "net.percent > 5 or newly.refused > 0".'),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=0, help="How many rows of each table to show.  [default: 10; on a page 500]")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=WORKERS_MAX, help="How many processes share the work; 0: one for each core.")
    ] = 1,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page to look at, with charts.", dir_okay=False)
    ] = None,
    place: Place,
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Show what an edit of the policy would do to events, or to what a ledger keeps. Writes nothing; past charges stay."""
    with _complaining():
        condition = None if fail_if is None else Condition.read(fail_if)
        now, then = _base(policy, edited), Written.load(edited)
        groups = tuple(dict(map(own_group, group or ())).items())
        given = None if rows is None else rows_in(rows)
        processes = workers or min(os.cpu_count() or 1, WORKERS_MAX)
        wish = Wish((), now.policy, then.policy, given, groups, workers=processes)
        tables = Tables(credits=credits_table, ledger=ledger_table)
        source = Source(tuple(events or ()), ledger, archive, tuple(export or ()), (since, until), place, tables)
        page = None if html is None else _Page.at(html, now, then, top)
        form = _as_json if as_json else print_markdown if markdown else print_plan if page is None else _not_at_all
        has_failed = _Show(form, TOP if top is None else top, condition, page).show(wish, source.material(), at)
    if has_failed:
        raise typer.Exit(FAILED)


type Form = Callable[[Mapping[str, Any], int], None]
"""Prints an answer, of long tables so many rows."""


def _as_json(answer: Mapping[str, Any], _top: int) -> None:
    print_streamed(answer)


def _not_at_all(_answer: Mapping[str, Any], _top: int) -> None:
    """Print nothing: the page says it."""


@frozen
class _Show:
    """How an answer is shown, and when it fails."""

    form: Form
    top: int
    condition: Condition | None
    page: _Page | None

    def show(self, wish: Wish, material: Material, at: datetime | None) -> bool:
        """Plan, show the answer, and say whether the check has failed."""
        asked = Asked(wish.now, wish.then, at)
        if at is not None:
            wish = evolve(wish, now=as_of(wish.now, at), then=as_of(wish.then, at))
        with _read(material, wish) as (wish, spooled):
            asked = evolve(asked, ledger=OfLedger(spooled, material.why_unknown))
            if is_mixed(asked.now, asked.then):
                asked = evolve(asked, by_prices=_by_prices(wish))
            found = None if self.page is None else self.page.edits(wish, at)
            return self._told(wish, asked, found)

    def _told(self, wish: Wish, asked: Asked, found: Edits | None) -> bool:
        with _shown(wish, "") as outcome:
            answer = answer_of(wish, outcome, asked)
            met = None if self.condition is None else self.condition.met(answer)
            self.form(answer, self.top)
            if self.page is not None and found is not None:
                self.page.write(answer, found)
            if met is not None:
                complain(f"the check fails: {met}")
            return met is not None or bool(answer["refused"])


@frozen
class _Page:
    """The page of a plan, and what it is of."""

    path: Path
    now: Written
    then: Written
    top: int | None

    @classmethod
    def at(cls, path: Path, now: Written, then: Written, top: int | None) -> Self:
        """Return the page that will stand at a path. Raises UnwritableFileError where none can."""
        check_writable(path)
        return cls(path, now, then, top)

    def edits(self, wish: Wish, at: datetime | None) -> Edits:
        """Return what was edited; where there are several edits, each is planned alone."""
        return edits(self.now, self.then).tried(lambda alone: _by_edit(wish, alone, at))

    def write(self, answer: Mapping[str, Any], found: Edits) -> None:
        """Write the page. Raises UnwritableFileError."""
        from engine.cli.plan_page import ROWS_MAX, Question, plan_page  # noqa: PLC0415  few ask for a page

        question = Question(self.now, self.then, Clock().now())
        told = found.of_all(Decimal(answer["net"]["by"]))
        page = plan_page(answer, question, told, ROWS_MAX if self.top is None else self.top)
        with writing(self.path):
            self.path.write_text(page, encoding="utf-8")
        complain(f"{self.path}: what {self.then.file} would do, as a page")


def _by_edit(wish: Wish, alone: Policy, at: datetime | None) -> Decimal:
    """Return by how much more users would pay with one of several edits only."""
    then = alone if at is None else as_of(alone, at)
    with _shown(evolve(wish, then=then, groups=(), balances=None), " by one edit") as outcome:
        before, after = net_of(outcome.tally.sums)
        return EXACT.subtract(before, after)


@contextmanager
def _read(material: Material, wish: Wish) -> Iterator[tuple[Wish, Spooled | None]]:
    """Read a ledger where one is given, with a progress bar that is gone when all is read."""
    with progress() as bar:
        task = bar.add_task("plan", total=None)
        seen = lambda step, done: bar.update(task, description=f"plan: {step}", completed=done)  # noqa: E731
        with prepared(material, wish, seen) as made:
            bar.stop()
            yield made


def _by_prices(wish: Wish) -> Any:
    """Return what the new prices alone come to, under the rules as they are now."""
    with _shown(evolve(wish, then=with_prices_of(wish.now, wish.then), groups=(), balances=None), " by prices") as outcome:
        return net_of(outcome.tally.sums)[1]


@contextmanager
def _shown(wish: Wish, what: str) -> Iterator[Planned]:
    """Plan, with a progress bar that is gone when the outcome is there."""
    with progress() as bar:
        task = bar.add_task("plan", total=None)
        with planned(wish, lambda step, done: bar.update(task, description=f"plan{what}: {step}", completed=done)) as outcome:
            bar.stop()
            yield outcome


@contextmanager
def _complaining() -> Iterator[None]:
    """Say what is wrong with a question, and exit."""
    try:
        yield
    except NoRow as error:
        complain(f"{error}; name a file with the rows of Jobs by --rows")
        raise typer.Exit(MISUSED) from error
    except (UnreadableEvents, ExportProblem, NotCommittedError, NoRoom, WorkerKilled) as error:
        complain(str(error))
        raise typer.Exit(MISUSED) from error
    except ConditionError as error:
        complain(f"--fail-if: {error}")
        raise typer.Exit(MISUSED) from error


def _base(policy: Path | None, edited: Path) -> Written:
    """Return the policy as it is now: as named, else as the last commit has the edited file, else the default."""
    if policy is not None:
        return Written.load(policy)
    if (text := committed(edited)) is not None:
        return Written.parse(text, f"{edited} (HEAD)")
    if DEFAULT_POLICY.is_file():
        return Written.load(DEFAULT_POLICY)
    complain(
        f"{edited} is not under version control, and there is no {DEFAULT_POLICY}: name the policy as it is now by --policy"
    )
    raise typer.Exit(MISUSED)


def own_group(text: str) -> tuple[str, Expression]:
    """Return a person's own group: its name, and what finds its keys."""
    name, _, expression = text.partition("=")
    if not name or not expression or name in TAKEN:
        raise typer.BadParameter(f"{text!r}: write NAME=JMESPATH, with another name than {', '.join(sorted(TAKEN))}")
    try:
        return name, compile_path(expression)
    except PolicyError as error:
        raise typer.BadParameter(f"{text!r}: {error}") from error
