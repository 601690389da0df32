"""Anomalies: list the flagged entries, show each, explain it now, and resolve it with a note."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from engine.anomalies.digest import digest_of
from engine.anomalies.digest import worth as worth_of
from engine.anomalies.findings import Finding, findings, findings_of
from engine.anomalies.findings import resolve as resolve_anomalies
from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    LedgerTable,
    PolicyFile,
    StateTable,
    Target,
    forever,
    key_of_a_table,
    name_of_a_log,
    on_aws,
    patience,
    reporter,
)
from engine.cli.output import complain, print_counts, print_json, print_table, say
from engine.cli.place import Place
from engine.cli.status import FAILED, MISUSED
from engine.ledger.store import Store, Tables
from engine.runtime.clock import Clock, Deadline

REFERENCE = typer.Argument(help="job#<jobId> or grant#<reference>.", callback=name_of_a_log)
Reference = Annotated[str, REFERENCE]
Hours = Annotated[float | None, typer.Option(min=0.0, help="Only entries of the last so many hours.")]

PROSE = ("anomalies", "likely cause", "resolved")
"""What may be folded over several lines; all else are identifiers and figures."""

NOTE_CHARACTERS_MAX = 1000
EXPLAIN_SECONDS = 60.0
"""As long as the function has for a batch."""

app = typer.Typer(
    name="anomalies",
    help="List, show, explain or resolve the entries that the policy has flagged.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
@on_aws
def show_list(
    *,
    user: Annotated[str | None, typer.Option(help="Only this user's.", callback=key_of_a_table)] = None,
    hours: Hours = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are resolved.")] = False,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """List the flagged entries that nobody has resolved, the latest first."""
    ledger = _ledger(ledger_table, place)
    rows = ledger.flagged(_since(ledger, hours), forever()) if user is None else ledger.entries_of_user(user, forever())
    found = [finding for finding in findings(rows) if everything or finding.resolved is None]
    if user is not None and (since := _since(ledger, hours)) is not None:
        found = list(digest_of(found, since, ledger.clock.now()).found)
    if as_json:
        print_json([finding.answer() for finding in found])
        return
    columns = ("reference", "entry", "user", "amount", "anomalies", "likely cause", "severity", "by", "resolved")
    print_table(f"{len(found)} flagged entries", columns, map(_cells, found), prose=PROSE)


@app.command()
@on_aws
def show(reference: Reference, *, place: Place, ledger_table: LedgerTable = "Ledger", as_json: AsJson = False) -> None:
    """Show the flagged entries of a reference: the figures, the explanation, and how each was resolved."""
    found = findings_of(_ledger(ledger_table, place), reference, patience())
    if not found:
        _nothing_flagged(reference)
    if as_json:
        print_json([finding.answer() for finding in found])
        return
    for finding in found:
        print_counts(f"{reference}, entry {finding.entry.sequence}", _told(finding))


@app.command()
@on_aws
def resolve(
    reference: Reference,
    *,
    note: Annotated[str, typer.Option(help="What was found out.")],
    sequence: Annotated[int | None, typer.Option("--entry", help="Only this entry of it.  [default: all open ones]")] = None,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Resolve the anomalies of a reference: adds a flag entry with the note, which moves nothing."""
    if not note.strip() or len(note) > NOTE_CHARACTERS_MAX:
        complain(f"a note has 1 to {NOTE_CHARACTERS_MAX} characters")
        raise typer.Exit(MISUSED)
    entry = resolve_anomalies(_ledger(ledger_table, place), reference, sequence, note.strip(), patience())
    resolved = list(entry.resolution.entries) if entry.resolution else []
    answer = {"reference": reference, "sequence": entry.sequence, "resolved": resolved, "note": note.strip()}
    print_json(answer) if as_json else print_counts("Resolved", answer)


@app.command()
@on_aws
def explain(
    reference: Annotated[str | None, REFERENCE] = None,
    *,
    missing: Annotated[bool, typer.Option("--missing", help="All flagged entries without an explanation.")] = False,
    store: Annotated[bool, typer.Option("--store", help="Store the explanations on entries that have none.")] = False,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
) -> None:
    """Explain flagged entries now, as the deployed function does: by the model with OPENAI_API_KEY, else by the rules."""
    if (reference is None) is not missing:
        complain("name a reference, or give --missing")
        raise typer.Exit(MISUSED)
    ledger = _ledger(ledger_table, place, state_table)
    if reference is not None:
        found = findings_of(ledger, reference, patience())
        if not found:
            _nothing_flagged(reference)
    else:
        found = [finding for finding in findings(ledger.flagged(None, forever())) if finding.explanation is None]
    answers = _explained(found, ledger, policy, store=store)
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        print_counts(f"{answer['reference']}, entry {answer['sequence']}", answer["explanation"])


@app.command()
@on_aws
def digest(
    *,
    hours: Annotated[float, typer.Option(min=0.1, help="How many hours back.")] = 24,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Print the flagged entries of a day on one page: counts by anomaly, model and user, the ten largest, and a paragraph."""
    ledger = _ledger(ledger_table, place)
    until = ledger.clock.now()
    since = until - timedelta(hours=hours)
    found = digest_of(findings(ledger.flagged(since, forever())), since, until)
    answer = found.answer()
    if as_json:
        print_json(answer)
        return
    say(answer["paragraph"])
    for title in ("anomalies", "models", "users", "causes"):
        print_counts(title.capitalize(), answer[title])
    print_table(
        "The dearest", ("reference", "user", "credits", "anomalies", "likely cause"), map(_dear, found.dearest()), prose=PROSE
    )


def _explained(found: Sequence[Finding], ledger: Store, policy: Any, *, store: bool) -> list[dict[str, Any]]:
    """Return what is said of each, in parts as large as the function's, and store it where that is asked for."""
    from engine.anomalies.explain.local import explainer_on  # noqa: PLC0415  no other command needs it
    from engine.anomalies.explain.run import TOGETHER_MAX  # noqa: PLC0415  the same

    explainer = explainer_on(ledger, policy, os.environ, reporter(verbose=False))
    answers: list[dict[str, Any]] = []
    with contextlib.closing(explainer.model):
        for part in _parts(found, TOGETHER_MAX):
            entries = [finding.entry for finding in part]
            for entry, explanation in zip(entries, explainer.explain(entries, _function_time()), strict=True):
                said = explanation.attributes()
                is_stored = store and explainer.explanations.store(entry, said, patience())
                place = {"reference": entry.reference, "sequence": entry.sequence}
                answers.append({**place, "explanation": said, "stored": is_stored})
    return answers


def _function_time() -> Deadline:
    return Clock().deadline(EXPLAIN_SECONDS)


def _parts(found: Sequence[Finding], size: int) -> Iterable[Sequence[Finding]]:
    return (found[start : start + size] for start in range(0, len(found), size))


def _ledger(table: str, place: Place, state: str = "State") -> Store:
    return Target(Tables(ledger=table, state=state), place).ledger()


def _since(ledger: Store, hours: float | None) -> datetime | None:
    return ledger.clock.now() - timedelta(hours=hours) if hours is not None else None


def _nothing_flagged(reference: str) -> None:
    complain(f"{reference}: there is no flagged entry")
    raise typer.Exit(FAILED)


def _cells(finding: Finding) -> tuple[object, ...]:
    entry, said = finding.entry, finding.explanation or {}
    return (
        *(entry.reference, entry.sequence, entry.user, entry.amount, ", ".join(finding.names)),
        *(said.get("likely_cause", ""), said.get("severity", ""), said.get("by", ""), finding.resolved or ""),
    )


def _dear(finding: Finding) -> tuple[object, ...]:
    said = finding.explanation or {}
    entry = finding.entry
    return entry.reference, entry.user, worth_of(finding), ", ".join(finding.names), said.get("likely_cause", "")


def _told(finding: Finding) -> dict[str, object]:
    """Return what is known of a finding, a line each; figures and explanation under names of their own."""
    answer = finding.answer()
    figures = {
        anomaly["name"]: "; ".join(f"{name} {value}" for name, value in anomaly["figures"].items()) or anomaly["reason"]
        for anomaly in answer.pop("anomalies")
    }
    said = answer.pop("explanation") or {"summary": "not explained yet"}
    resolved = {"resolved": answer.pop("resolved") or "open"}
    return {**answer, **figures, **{name.replace("_", " "): value for name, value in said.items()}, **resolved}
