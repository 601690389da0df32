"""What ``reconciler adjust`` shows: what became of a request, what it would do, what waits and what was adjusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import typer

from engine.cli.options import patience
from engine.cli.output import complain, print_counts, print_json, print_table, say
from engine.cli.status import FAILED
from engine.domain.adjustment import AdjustmentProposal, AdjustmentRequest
from engine.domain.instants import instant_text
from engine.domain.money import EXACT, ZERO
from engine.ledger.conditions import is_number
from engine.ledger.store import Store
from engine.reconcile.corrections import Adjusted, Preview

PROPOSED = "proposed"
"""What is told of a request that waits for a second person."""

PROSE = ("reason", "by", "approved by", "proposed by")


def show_adjusted(adjusted: Adjusted, store: Store, *, as_json: bool) -> None:
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
    print_counts(title, {name: text for name, value in answer.items() if (text := _as_said(value)) != ""})


def _as_said(value: object) -> object:
    """Return a value as a person says it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else value


def _say_more(adjusted: Adjusted) -> None:
    if adjusted.proposal is not None:
        whose = "" if adjusted.is_news else f"It was proposed by {adjusted.proposal.by.name}. "
        say(f"{whose}Another person posts it: reconciler adjust approve {adjusted.request.id}")


def _answer(adjusted: Adjusted, store: Store) -> dict[str, Any]:
    """Return what became of a request; what the ledger keeps of it counts, where it does."""
    return {
        "outcome": str(adjusted.outcome or PROPOSED),
        **_of_request(adjusted.request),
        "moved": _moved(adjusted),
        "remaining": _remaining(store.balance(adjusted.request.user, patience())),
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


def _remaining(row: Mapping[str, Any] | None) -> Decimal:
    """Return a balance; 0 where the user has no row, or the application keeps no number there."""
    found = (row or {}).get("remaining", ZERO)
    return Decimal(found) if is_number(found) else ZERO


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


def of_proposal(proposal: AdjustmentProposal) -> dict[str, Any]:
    """Return what waits, for machines."""
    said = {"reason": proposal.request.reason, "by": proposal.by.name, "proposedAt": instant_text(proposal.at)}
    return {**_of_request(proposal.request), **said}


def show_preview(preview: Preview, *, as_json: bool) -> None:
    """Show what a request would do. Exits with status 1 where it would be refused."""
    before = _remaining(preview.row)
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
        _print_named("Would do (a dry run; nothing was posted)", answer)
    if preview.outcome == "refused":
        raise typer.Exit(FAILED)


# --- tables ------------------------------------------------------------------------------------------------------------

SAID = {name: name for name in ("id", "user", "amount")}
WAITING: Mapping[str, str] = {
    "proposedAt": "since",
    **SAID,
    "job": "job",
    "reverses": "reverses",
    "by": "proposed by",
    "reason": "reason",
}
MADE: Mapping[str, str] = {
    "postedAt": "posted",
    **SAID,
    "moved": "moved",
    "job": "job",
    "reverses": "reverses",
    "takenBackBy": "taken back by",
    "by": "by",
    "approvedBy": "approved by",
    "reason": "reason",
}
"""The columns of a table: the name of each value, and what stands above it."""

SECOND_CHARACTERS = len("2026-01-05T10:00:00")


def print_rows(title: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what waits, or what was adjusted."""
    cells = ([_to_the_second(row[name]) if name.endswith("At") else row[name] for name in columns] for row in rows)
    print_table(title, columns.values(), cells, prose=PROSE)


def _to_the_second(instant: str) -> str:
    return f"{instant[:SECOND_CHARACTERS]}Z"
