"""Commands about policies: check them, print their schema, explain what they do."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.audit.recount import Recount, recount
from engine.cli import validate as checking
from engine.cli.job_rows import rows_in
from engine.cli.options import DEFAULT_POLICY, AsJson, LedgerTable, PolicyFile, Target, name_of_a_log, on_aws, patience
from engine.cli.output import complain, print_json, say
from engine.cli.place import Place
from engine.cli.status import FAILED, MISUSED
from engine.domain.documents import read_document
from engine.domain.errors import NoRow
from engine.ledger.store import Tables
from engine.policy import load_policy
from engine.policy.schema import policy_schema
from engine.policy.schema_for import schema_for
from engine.preview.reasons import Reasons, reasons_for


class Format(StrEnum):
    """How ``validate`` speaks."""

    TEXT = checking.TEXT
    GITHUB = checking.GITHUB


def validate(
    policies: Annotated[list[Path], typer.Argument(help="Policy files.", exists=True, dir_okay=False)],
    *,
    output: Annotated[Format, typer.Option("--format", help="For people, or as annotations of a pull request.")] = Format.TEXT,
    delivers: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE/DETAIL-TYPE,...",
            help="Events that the stack delivers: warn of rules that wait for others, and of events that no rule takes.",
        ),
    ] = None,
    all_rows: Annotated[
        bool, typer.Option("--all-rows", help="Show also what those rows of price books changed that began before today.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check policy files, and show every mistake with its line and what would be right."""
    files = [str(path) for path in policies]
    raise typer.Exit(checking.validate(files, output=output, delivers=delivers, all_rows=all_rows, as_json=as_json))


def schema(
    *,
    of_file: Annotated[
        Path | None,
        typer.Option(
            "--for",
            help="A policy file: the schema offers the price books and the rates that it names.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: AsJson = True,
) -> None:
    """Print the JSON Schema of a policy file, for editors."""
    del as_json  # there is no other way to print it
    print_json(schema_for(of_file.read_bytes(), str(of_file)) if of_file else policy_schema())


@on_aws
def explain(
    event: Annotated[Path | None, typer.Argument(help="An event as JSON.", exists=True, dir_okay=False)] = None,
    *,
    entry: Annotated[
        str | None,
        typer.Option(
            help="Instead of an event: a reference of the ledger (job#j-1) whose entries to count again.",
            callback=name_of_a_log,
        ),
    ] = None,
    row: Annotated[
        Path | None,
        typer.Option(
            help="The row of the event's job in Jobs, as JSON: for a policy that reads `row`.", exists=True, dir_okay=False
        ),
    ] = None,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Say what an event costs, and why; or count the entries of a reference again, and say whether they agree."""
    if (event is None) == (entry is None):
        complain("explain takes either an event's file or --entry")
        raise typer.Exit(MISUSED)
    if event is not None:
        answers: Sequence[Reasons | Recount] = [_reasons(event, policy, row)]
    else:
        answers = _recounts(entry or "", Target(Tables(ledger=ledger_table), place))
    if as_json:
        print_json([answer.answer() for answer in answers] if entry else answers[0].answer())
    else:
        say("\n".join(line for answer in answers for line in answer.lines()))
    if any(answer.failed for answer in answers):
        raise typer.Exit(FAILED)


def _reasons(event: Path, policy: Path, row: Path | None) -> Reasons:
    rows = None if row is None else rows_in(row)
    try:
        return reasons_for(read_document(event.read_bytes()), load_policy(policy), rows=rows)
    except NoRow as error:
        complain(f"{error}; name a file with it by --row")
        raise typer.Exit(MISUSED) from error


def _recounts(reference: str, target: Target) -> list[Recount]:
    recounts = recount(target.ledger().entries_of(reference, patience()))
    if not recounts:
        known = f"no such reference in {target.tables.ledger}; a job's is job#<jobId>, a grant's grant#<id>"
        complain(f"{reference}: {known}")
        raise typer.Exit(FAILED)
    return recounts
