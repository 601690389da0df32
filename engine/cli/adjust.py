"""``reconciler adjust``: credits that a person gives or takes, once by an id, within the policy's bounds."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.default_command import MINUS, NAMELESS, Nameless, WithDefault
from engine.cli.identity import identity
from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    CreditsTable,
    LedgerTable,
    PolicyFile,
    Since,
    StateTable,
    Target,
    forever,
    on_aws,
    patience,
)
from engine.cli.output import complain, print_counts, print_json, print_table, say
from engine.cli.place import Place
from engine.cli.status import FAILED, MISUSED
from engine.domain.adjustment import AdjustmentProposal, AdjustmentRequest
from engine.domain.instants import instant_text
from engine.domain.money import EXACT, ZERO
from engine.ledger.store import Store, Tables
from engine.policy import load_policy
from engine.reconcile.adjustments import adjustments, proposals, withdraw
from engine.reconcile.corrections import Adjusted, Adjuster, Preview

PLAIN = re.compile(rf"[-{MINUS}]?[0-9]+(\.[0-9]+)?")

PROPOSED = "proposed"
"""What is told of a request that waits for a second person."""

NEEDS_STATE = frozenset({"state"})

PROSE = ("reason", "by", "approved by", "proposed by")


def _decimal(text: str) -> Decimal:
    """Return an amount digit by digit, whichever minus stands before it."""
    if not PLAIN.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is no plain decimal, like 5, 0.25 or -5")
    return Decimal(text.replace(MINUS, "-"))


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
    job: Annotated[str | None, typer.Option(help="Of this job: it costs so much less, whatever happens to it later.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="The log that it is about, job#... or grant#...; the entry keeps it.")
    ] = None,
    reverse: Annotated[str | None, typer.Option(metavar="ID", help="Take the adjustment of this id back.")] = None,
    name: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Its id: told again, it counts once.  [default: a new one]")
    ] = None,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
    by: By = None,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
) -> None:
    """Give a user credits, or take some. Above a bound of the policy another person has to approve it.

    Behind -- no word is a command: a user called list is reached by `adjust --reason WHY -- list 5`.
    """
    _check_words(user, amount, reverse, job, reference)
    adjuster = _adjuster(policy, Tables(credits=credits_table, ledger=ledger_table, state=state_table), place)
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
        _show_preview(adjuster.preview(request, who, patience()), as_json=as_json)
        return
    if name is None:
        complain(f"id {request.id}: if no answer comes, say it again with --id {request.id}")
    _show(adjuster.adjust(request, who, patience()), adjuster.store, as_json=as_json)


@app.command()
@on_aws
def approve(
    name: Id,
    *,
    by: By = None,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
) -> None:
    """Approve what another person has proposed: it is posted as it stands."""
    adjuster = _adjuster(policy, Tables(credits=credits_table, ledger=ledger_table, state=state_table), place)
    _show(adjuster.approve(name, identity(place, by), patience()), adjuster.store, as_json=as_json)


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
    answer = {"outcome": "withdrawn", **_of_proposal(proposal)}
    print_json(answer) if as_json else print_counts("Withdrawn", answer)


@app.command("list")
@on_aws
def show_list(
    *,
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    since: Since = None,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
) -> None:
    """List what waits for a second person, and what was adjusted."""
    ledger = _ledger(Tables(ledger=ledger_table, state=state_table), place)
    waiting = [_of_proposal(each) for each in proposals(ledger.corrections(), user, forever())]
    made = adjustments(ledger, user, since, forever())
    if as_json:
        print_json({"proposals": waiting, "adjustments": made})
        return
    _print_rows(f"{len(waiting)} wait for a second person", WAITING, waiting)
    _print_rows(f"{len(made)} adjustments", MADE, made)


WAITING: Mapping[str, str] = {
    **{name: name for name in ("id", "user", "amount", "job", "reverses")},
    "proposedAt": "since",
    "by": "proposed by",
    "reason": "reason",
}
MADE: Mapping[str, str] = {
    **{name: name for name in ("id", "user", "amount", "moved", "job", "reverses")},
    "takenBackBy": "taken back by",
    "postedAt": "posted",
    "by": "by",
    "approvedBy": "approved by",
    "reason": "reason",
}
"""The columns of a table: the name of each value, and what stands above it."""


def _print_rows(title: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    print_table(title, columns.values(), ([row[name] for name in columns] for row in rows), prose=PROSE)


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


# --- what is shown ----------------------------------------------------------------------------------------------------


def _show(adjusted: Adjusted, store: Store, *, as_json: bool) -> None:
    """Show what became of a request. Exits with status 1 where the balance does not cover it."""
    answer = _answer(adjusted, store)
    if as_json:
        print_json(answer)
    else:
        _print_named(TITLES.get(answer["outcome"], "Adjusted"), answer)
        _say_more(adjusted)
    if answer["outcome"] == "refused":
        complain(f"the balance of {adjusted.request.user} does not cover it, and the policy says `overdraft: refuse`")
        raise typer.Exit(FAILED)


TITLES: Mapping[str, str] = {
    PROPOSED: "Waits for a second person",
    "duplicate": "Posted before",
    "refused": "Refused",
    "voided": "Kept; nothing moves now",
    "flagged": "Kept; less is due",
}


def _print_named(title: str, answer: Mapping[str, Any]) -> None:
    """Print what an answer says, and not what it leaves open."""
    texts = {name: ", ".join(value) if isinstance(value, list) else value for name, value in answer.items()}
    print_counts(title, {name: text for name, text in texts.items() if text != ""})


def _say_more(adjusted: Adjusted) -> None:
    if adjusted.proposal is not None:
        whose = "" if adjusted.is_news else f"It was proposed by {adjusted.proposal.by.name}. "
        say(f"{whose}Another person posts it: reconciler adjust approve {adjusted.request.id}")


def _answer(adjusted: Adjusted, store: Store) -> dict[str, Any]:
    """Return what became of a request; what the ledger keeps of it counts, where it does."""
    row = store.balance(adjusted.request.user, patience()) or {}
    return {
        "outcome": str(adjusted.outcome or PROPOSED),
        **_of_request(adjusted.request),
        "moved": _moved(adjusted),
        "remaining": row.get("remaining", ZERO),
        **_said(adjusted),
        "entries": [f"{entry['reference']} {entry['sequence']}" for entry in adjusted.entries],
        "anomalies": [each["name"] for entry in adjusted.entries for each in entry.get("anomalies", ())],
    }


def _said(adjusted: Adjusted) -> dict[str, Any]:
    """Return who has said it, and why: in the ledger, or in the proposal that waits."""
    if adjusted.entries:
        said = adjusted.entries[0]["correction"]
        names = ("about", "reason", "by", "approvedBy")
        return {**{name: said.get(name, "") for name in names}, "postedAt": adjusted.entries[0]["postedAt"]}
    by = adjusted.proposal.by.name if adjusted.proposal is not None else ""
    return {"reason": adjusted.request.reason, "by": by, "approvedBy": "", "postedAt": ""}


def _moved(adjusted: Adjusted) -> Decimal:
    moved = ZERO
    for entry in adjusted.entries:
        moved = EXACT.add(moved, Decimal(entry["amount"]))
    return moved


def _of_request(request: AdjustmentRequest) -> dict[str, Any]:
    return {
        "id": request.id,
        "user": request.user,
        "amount": request.amount,
        "job": request.job,
        "reverses": request.reverses,
        "about": request.about,
    }


def _of_proposal(proposal: AdjustmentProposal) -> dict[str, Any]:
    said = {"reason": proposal.request.reason, "by": proposal.by.name, "proposedAt": instant_text(proposal.at)}
    return {**_of_request(proposal.request), **said}


def _show_preview(preview: Preview, *, as_json: bool) -> None:
    """Show what a request would do. Exits with status 1 where it would be refused."""
    before = Decimal((preview.row or {}).get("remaining", ZERO))
    moved = preview.entry.amount if preview.entry is not None else ZERO
    answer = {
        "outcome": preview.outcome,
        **_of_request(preview.request),
        "moved": moved,
        "before": before,
        "after": EXACT.add(before, moved),
        "needsSecondPerson": preview.needs_second_person and preview.outcome != "duplicate",
        "anomalies": [anomaly.name for anomaly in preview.entry.anomalies] if preview.entry is not None else [],
    }
    if as_json:
        print_json({"dryRun": True, **answer})
    else:
        print_counts(
            "Would do (a dry run; nothing was posted)", {name: value for name, value in answer.items() if value != ""}
        )
    if preview.outcome == "refused":
        raise typer.Exit(FAILED)
