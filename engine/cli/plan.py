"""The command ``plan``: what an edit of the policy would do to given events."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import evolve, frozen

from engine.cli.committed import NotCommittedError, committed
from engine.cli.job_rows import rows_in
from engine.cli.options import DEFAULT_POLICY, AsJson, day_or_instant
from engine.cli.output import complain, print_streamed, progress
from engine.cli.plan_markdown import print_markdown
from engine.cli.plan_told import print_plan
from engine.cli.status import FAILED, MISUSED
from engine.domain.errors import NoRow, PolicyError
from engine.policy import Policy, load_policy, parse_policy
from engine.policy.expressions.paths import Path as Expression
from engine.policy.expressions.paths import compile_path
from engine.preview.planning.answer import Asked, answer_of, is_mixed, net_of
from engine.preview.planning.books import as_of, with_prices_of
from engine.preview.planning.condition import Condition, ConditionError
from engine.preview.planning.effects import WORKERS_MAX
from engine.preview.planning.lines import UnreadableEvents
from engine.preview.planning.run import Planned, planned
from engine.preview.planning.work import Wish

TAKEN = frozenset({"rule", "model", "day", "user"})
"""The groups that are always there."""


def show_plan(
    edited: Annotated[Path, typer.Argument(help="The edited policy file.", exists=True, dir_okay=False)],
    *,
    events: Annotated[
        list[Path],
        typer.Option(
            help="Events to try both policies on, one JSON object a line; gzip too. Several files by several --events.",
            exists=True,
            dir_okay=False,
        ),
    ],
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
    top: Annotated[int, typer.Option(min=0, help="How many rows of each table to show.")] = 10,
    workers: Annotated[
        int, typer.Option(min=0, max=WORKERS_MAX, help="How many processes share the work; 0: one for each core.")
    ] = 1,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what an edit of the policy would do to given events. Touches no table; past charges keep their price."""
    with _complaining():
        condition = None if fail_if is None else Condition.read(fail_if)
        now, then = _base(policy, edited), load_policy(edited)
        groups = tuple(dict(map(_group, group or ())).items())
        given = None if rows is None else rows_in(rows)
        wish = Wish(tuple(events), now, then, given, groups, workers=workers or os.cpu_count() or 1)
        form = _as_json if as_json else print_markdown if markdown else print_plan
        has_failed = _Show(form, top, condition).show(wish, at)
    if has_failed:
        raise typer.Exit(FAILED)


type Form = Callable[[Mapping[str, Any], int], None]
"""Prints an answer, of long tables so many rows."""


def _as_json(answer: Mapping[str, Any], _top: int) -> None:
    print_streamed(answer)


@frozen
class _Show:
    """How an answer is shown, and when it fails."""

    form: Form
    top: int
    condition: Condition | None

    def show(self, wish: Wish, at: datetime | None) -> bool:
        """Plan, show the answer, and say whether the check has failed."""
        asked = Asked(wish.now, wish.then, at)
        if at is not None:
            wish = evolve(wish, now=as_of(wish.now, at), then=as_of(wish.then, at))
        if is_mixed(asked.now, asked.then):
            asked = evolve(asked, by_prices=_by_prices(wish))
        with _shown(wish, "") as outcome:
            answer = answer_of(wish, outcome, asked)
            met = None if self.condition is None else self.condition.met(answer)
            self.form(answer, self.top)
            if met is not None:
                complain(f"the check fails: {met}")
            return met is not None or bool(answer["refused"])


def _by_prices(wish: Wish) -> Any:
    """Return what the new prices alone come to, under the rules as they are now."""
    with _shown(evolve(wish, then=with_prices_of(wish.now, wish.then), groups=()), " by prices") as outcome:
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
    except (UnreadableEvents, NotCommittedError) as error:
        complain(str(error))
        raise typer.Exit(MISUSED) from error
    except ConditionError as error:
        complain(f"--fail-if: {error}")
        raise typer.Exit(MISUSED) from error


def _base(policy: Path | None, edited: Path) -> Policy:
    """Return the policy as it is now: as named, else as the last commit has the edited file, else the default."""
    if policy is not None:
        return load_policy(policy)
    if (text := committed(edited)) is not None:
        return parse_policy(text, f"{edited} (HEAD)")
    if DEFAULT_POLICY.is_file():
        return load_policy(DEFAULT_POLICY)
    complain(
        f"{edited} is not under version control, and there is no {DEFAULT_POLICY}: name the policy as it is now by --policy"
    )
    raise typer.Exit(MISUSED)


def _group(text: str) -> tuple[str, Expression]:
    """Return a person's own group: its name, and what finds its keys."""
    name, _, expression = text.partition("=")
    if not name or not expression or name in TAKEN:
        raise typer.BadParameter(f"{text!r}: write NAME=JMESPATH, with another name than {', '.join(sorted(TAKEN))}")
    try:
        return name, compile_path(expression)
    except PolicyError as error:
        raise typer.BadParameter(f"{text!r}: {error}") from error
