"""``reconciler statement``: what a user has, and by which entries: on the screen, as CSV, JSON or a page."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from engine.audit.statement import Order, Period, Statement, statement_of
from engine.cli.files import writing
from engine.cli.options import (
    AsJson,
    CreditsTable,
    JobsTable,
    LedgerTable,
    Since,
    Target,
    Until,
    key_of_a_table,
    on_aws,
    patience,
)
from engine.cli.output import complain, print_counts, print_json, print_table
from engine.cli.place import Place
from engine.cli.spreadsheet import csv_text
from engine.cli.status import FAILED, MISUSED
from engine.ledger.store import Store, Tables

LOOKS_MAX = 3
SECONDS_BETWEEN_LOOKS = 1.0
"""The index by which entries are read trails the balance by a moment: then both are read again."""

COLUMNS = ("occurredAt", "reference", "type", "model", "quantity", "amount", "balance", "held", "rule", "anomalies", "reason")
SELDOM = ("held", "reason")
"""Columns that are shown where some line says something there."""

OF_HOLDS = ("held", "owned")
"""What is shown of a user only where something is held, or was."""

SPREADSHEET = (
    *("occurredAt", "postedAt", "reference", "sequence", "job", "type", "model", "quantity"),
    *("amount", "balance", "rule", "anomalies", "reason", "held"),
)


@on_aws
def statement(
    user: Annotated[str, typer.Argument(help="userId.", callback=key_of_a_table)],
    *,
    since: Since = None,
    until: Until = None,
    order: Annotated[Order, typer.Option(help="By when entries were posted, or by when the work was done.")] = Order.POSTING,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page for the customer.", dir_okay=False)
    ] = None,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Show a user's entries with the balance after each, all or those of a period."""
    if as_csv and as_json:
        complain("statement prints either --csv or --json")
        raise typer.Exit(MISUSED)
    if since is not None and until is not None and since >= until:
        complain("--until is not after --since: nothing lies between them")
        raise typer.Exit(MISUSED)
    tables = Tables(jobs_table, credits_table, ledger_table)
    ledger = Target(tables, place).ledger()
    found = read_statement(ledger, user, order, (since, until))
    if found is None:
        complain(f"{user}: no such user in {credits_table} and no entry in {ledger_table}")
        raise typer.Exit(FAILED)
    _warn(found)
    if html is not None:
        _write_page(found, html, ledger)
    if as_json:
        print_json(found.answer())
    elif as_csv:
        sys.stdout.write(csv_text(SPREADSHEET, (line.answer() for line in found.lines)))
    elif html is None:
        _print(found)


def read_statement(ledger: Store, user: str, order: Order, period: Period) -> Statement | None:
    """Return a user's statement, None for a user whom nobody knows. Where row and entries differ both are read again."""
    for look in range(LOOKS_MAX):
        if look:
            ledger.clock.wait(SECONDS_BETWEEN_LOOKS)
        row = ledger.balance(user, patience())
        entries = list(ledger.entries_of_user(user, patience()))
        if row is None and not entries:
            return None
        found = statement_of(user, row, entries, order, period)
        if found.agrees:
            break
    return found


def _warn(found: Statement) -> None:
    if found.balance != found.remaining:
        said = f"{found.user}: the entries lead to {found.balance:f}, and the balance is {found.remaining:f}"
        complain(f"{said}; reconciler audit says more")
    if found.reserved != found.held:
        said = f"{found.user}: the entries hold {found.reserved:f}, and `held` is {found.held:f}"
        complain(f"{said}; reconciler audit says more")


def _write_page(found: Statement, path: Path, ledger: Store) -> None:
    """Write the customer's page. Exits where the books do not agree: no customer is told a wrong balance."""
    from engine.cli.statement_page import statement_page  # noqa: PLC0415  few ask for a page

    if not found.agrees:
        complain(f"{path}: not written")
        raise typer.Exit(FAILED)
    page = statement_page(found, ledger.clock.now())
    with writing(path):
        path.write_text(page, encoding="utf-8")
    complain(f"{path}: the statement of {found.user}, for the customer")


def _print(found: Statement) -> None:
    lines = [line.answer() for line in found.lines]
    if found.since or found.until:
        print_counts("", {"opening balance": found.opening_balance})
    columns = [name for name in COLUMNS if name not in SELDOM or any(line[name] for line in lines)]
    rows = ([line[column] for column in columns] for line in lines)
    print_table(f"Statement of {found.user}", columns, rows, prose={"anomalies", "reason"})
    print_counts("Balance", _sums(found))


def _sums(found: Statement) -> Mapping[str, object]:
    named = {"closing balance": found.closing_balance} if found.since or found.until else {}
    totals = found.totals()
    shown = totals if found.has_holds else {name: total for name, total in totals.items() if name not in OF_HOLDS}
    return {**named, **shown}
