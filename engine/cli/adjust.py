"""``reconciler adjust``: credits that a person gives or takes, once by an id, within the policy's bounds."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.adjusted import MADE, WAITING, of_proposal, print_rows, print_said, show_adjusted, show_preview
from engine.cli.default_command import MINUS, NAMELESS, Nameless, WithDefault
from engine.cli.identity import identity
from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    CreditsTable,
    JobsTable,
    LedgerTable,
    PolicyFile,
    Since,
    StateTable,
    Target,
    forever,
    key_of_a_table,
    name_of_a_log,
    on_aws,
    patience,
)
from engine.cli.output import complain, print_json
from engine.cli.place import Place
from engine.cli.status import MISUSED
from engine.domain.adjustment import AdjustmentRequest
from engine.domain.money import ZERO
from engine.ledger.store import Store, Tables
from engine.policy import load_policy
from engine.reconcile.adjustments import adjustments, proposals, withdraw
from engine.reconcile.corrections import Adjuster

PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")

NEEDS_STATE = frozenset({"state"})


def _decimal(text: str) -> Decimal:
    """Return an amount digit by digit, whichever minus stands before it."""
    typed = text.replace(MINUS, "-")
    if not PLAIN.fullmatch(typed):
        raise typer.BadParameter(f"{typed!r} is no plain decimal, like 5, 0.25 or -5")
    return Decimal(typed)


User = Annotated[str | None, typer.Argument(metavar="USER", help="userId.")]
Amount = Annotated[
    Decimal | None, typer.Argument(parser=_decimal, metavar="AMOUNT", help="Credits that are given; below 0: taken.")
]
Reason = Annotated[str, typer.Option(help="Why. The entry keeps it.")]
By = Annotated[str | None, typer.Option(help="Who says so, where AWS does not know it: a local endpoint.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The adjustment's id, as `adjust list` shows it.")]

app = typer.Typer(name="adjust", cls=WithDefault, no_args_is_help=True, rich_markup_mode=None)


@app.command(NAMELESS, cls=Nameless)
@on_aws
def adjust(
    user: User = None,
    amount: Amount = None,
    *,
    reason: Reason,
    job: Annotated[
        str | None,
        typer.Option(help="Of this job: it costs so much less, whatever happens to it later.", callback=key_of_a_table),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="The log that it is about, job#... or grant#...; the entry keeps it.", callback=name_of_a_log),
    ] = None,
    reverse: Annotated[
        str | None, typer.Option(metavar="ID", help="Take the adjustment of this id back.", callback=key_of_a_table)
    ] = None,
    name: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Its id: told again, it counts once.  [default: a new one]")
    ] = None,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
    by: By = None,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
) -> None:
    """Give a user credits, or take some. Above a bound of the policy another person has to approve it.

    Behind -- no word is a command: a user called list is reached by `adjust --reason WHY -- list 5`.
    """
    _check_words(user, amount, reverse, job, reference)
    adjuster = _adjuster(policy, Tables(jobs_table, credits_table, ledger_table, state_table), place)
    who = identity(place, by)
    request = AdjustmentRequest(
        id=name if name is not None else _new_id(adjuster.store.clock.now()),
        user=user or "",
        amount=amount if amount is not None else ZERO,
        reason=reason,
        job=job or "",
        reverses=reverse or "",
        about=reference or "",
    )
    if is_dry:
        show_preview(adjuster.preview(request, who, patience()), as_json=as_json)
        return
    if name is None:
        complain(f"id {request.id}: if no answer comes, say it again with --id {request.id}")
    show_adjusted(adjuster.adjust(request, who, patience()), adjuster.store, as_json=as_json)


@app.command()
@on_aws
def approve(
    name: Id,
    *,
    by: By = None,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
) -> None:
    """Approve what another person has proposed: it is posted as it stands."""
    adjuster = _adjuster(policy, Tables(jobs_table, credits_table, ledger_table, state_table), place)
    show_adjusted(adjuster.approve(name, identity(place, by), patience()), adjuster.store, as_json=as_json)


@app.command("withdraw")
@on_aws
def withdraw_proposal(
    name: Id,
    *,
    by: By = None,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
) -> None:
    """Withdraw what you have proposed: nobody can approve it any more."""
    ledger = _ledger(Tables(ledger=ledger_table, state=state_table), place)
    proposal = withdraw(ledger.corrections(), name, identity(place, by), patience())
    answer = {"outcome": "withdrawn", **of_proposal(proposal)}
    print_json(answer) if as_json else print_said("Withdrawn", answer)


@app.command("list")
@on_aws
def show_list(
    *,
    user: Annotated[str | None, typer.Option(help="Only this user's.", callback=key_of_a_table)] = None,
    since: Since = None,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
) -> None:
    """List what waits for a second person, and what was adjusted."""
    ledger = _ledger(Tables(ledger=ledger_table, state=state_table), place)
    waiting = [of_proposal(each) for each in proposals(ledger.corrections(), user, forever())]
    made = adjustments(ledger, user, since, forever())
    if as_json:
        print_json({"proposals": waiting, "adjustments": made})
        return
    print_rows(f"{len(waiting)} wait for a second person", WAITING, waiting)
    print_rows(f"{len(made)} adjustments", MADE, made)


# --- on the way -------------------------------------------------------------------------------------------------------


def _check_words(
    user: str | None, amount: Decimal | None, reverse: str | None, job: str | None, reference: str | None
) -> None:
    """Exit where the words of a command do not go together."""
    problem = ""
    if reverse is not None:
        problem = "--reverse takes back what was adjusted: leave out AMOUNT and --job" if amount is not None or job else ""
    elif user is None or amount is None:
        problem = "name a USER and an AMOUNT, or an adjustment with --reverse"
    elif job and reference:
        problem = "--job is what it is about: leave out --reference"
    if problem:
        complain(f"{problem}; reconciler adjust --help says more")
        raise typer.Exit(MISUSED)


def _new_id(now: datetime) -> str:
    """Return an id of which nobody has heard."""
    return f"{now:%Y%m%d}-{secrets.token_hex(5)}"


def _adjuster(policy: Path, tables: Tables, place: Place) -> Adjuster:
    return Adjuster.on(load_policy(policy), _ledger(tables, place))


def _ledger(tables: Tables, place: Place) -> Store:
    return Target(tables, place).ledger(needed=NEEDS_STATE)
