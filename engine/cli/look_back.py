"""``reconciler look-back``: what only many entries show, like work charged twice, before the schedule finds it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from engine.anomalies.look_back import OVERLAP, longest
from engine.anomalies.on_demand import OnDemand, Sighting
from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    LedgerTable,
    PolicyFile,
    Since,
    StateTable,
    Target,
    forever,
    key_of_a_table,
    on_aws,
    open_reconciler,
    reporter,
)
from engine.cli.output import complain, print_json, print_table
from engine.cli.place import Place
from engine.cli.status import FAILED
from engine.domain.instants import instant_text
from engine.ledger.store import Tables
from engine.reconcile.reconciler import Reconciler

COLUMNS = ("anomaly", "reference", "user", "at", "cost", "state", "what it is")
PROSE = ("state", "what it is")


@on_aws
def look_back(
    *,
    user: Annotated[
        str | None,
        typer.Option(help="Only this user's entries; all of them, if no --since is given.", callback=key_of_a_table),
    ] = None,
    since: Since = None,
    post: Annotated[bool, typer.Option("--flag", help="Flag what is new, as the schedule does. It moves nothing.")] = False,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
) -> None:
    """Find what only many entries show, like work charged twice. Looks as far back as the schedule, and writes nothing."""
    target = Target(Tables(ledger=ledger_table, state=state_table), place)
    reconciler = open_reconciler(target, policy, 10, reporter(verbose=False))
    look = OnDemand(reconciler, user, _since(reconciler, user, since), forever())
    look.look()
    found = look.found()
    if post:
        found = look.post(found)
    if as_json:
        print_json(_answer(look, found))
    else:
        _print(look, found)
    if user is not None and not look.entries:
        complain(f"{ledger_table} has no entry of {user}" + (" since then" if since is not None else "; is the name right?"))
    if look.unjudged is not None:
        complain(f"no `drift` could be judged: the baselines are {look.unjudged}; reconciler scan renews them")
    if look.is_unread:
        complain("there is more than could be looked at: name a later --since")
        raise typer.Exit(FAILED)


def _since(reconciler: Reconciler, user: str | None, since: datetime | None) -> datetime | None:
    """Return from when on entries are looked at. Exits where the policy has no rule that looks back."""
    span = longest(reconciler.policy)
    if span is None:
        problem = "no anomaly of it has a `frequency` or a `drift`, so there is nothing to look back for"
        complain(f"{reconciler.policy.identity}: {problem}")
        raise typer.Exit(FAILED)
    return since if since is not None or user is not None else reconciler.clock.now() - span - OVERLAP


def _answer(look: OnDemand, found: list[Sighting]) -> dict[str, Any]:
    return {
        "user": look.user,
        "since": instant_text(look.since) if look.since else None,
        "entries": look.entries,
        "unread": look.is_unread,
        "unjudged": look.unjudged,
        "found": [each.answer() for each in found],
    }


def _print(look: OnDemand, found: list[Sighting]) -> None:
    told = [each.answer() for each in found]
    rows = [
        (
            *(each[name] for name in ("anomaly", "reference", "user", "at", "cost")),
            f"{each['state']}, resolved: {each['resolved']}" if each["resolved"] else each["state"],
            each["explanation"]["summary"],
        )
        for each in told
    ]
    print_table(f"{len(found)} found, {look.entries} entries looked at", COLUMNS, rows, prose=PROSE)
