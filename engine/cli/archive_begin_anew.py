"""``reconciler archive begin-anew``: a checkpoint from the whole, where the sums of the last one are gone or wrong."""

from __future__ import annotations

import typer

from engine.audit.archived.seen import ArchiveAudit
from engine.audit.check_archive import answer_of, lines_of
from engine.cli.archive_option import ArchivePlace, open_archive
from engine.cli.audit_archive import audit_shown
from engine.cli.options import AsJson, CreditsTable, LedgerTable, SealsTable, Target, on_aws
from engine.cli.output import print_counts, print_json, say
from engine.cli.place import Place
from engine.cli.status import FAILED
from engine.ledger.store import Tables


@on_aws
def begin_anew(
    *,
    archive: ArchivePlace = "",
    place: Place,
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    seals_table: SealsTable = "Seals",
    as_json: AsJson = False,
) -> None:
    """Audit all of ledger and archive, add every user's sum up anew, and keep that for the next audits to go on from."""
    bucket = open_archive(archive, place)
    ledger = Target(Tables(credits=credits_table, ledger=ledger_table, seals=seals_table), place).ledger(
        needed=frozenset({"seals"})
    )
    seen = audit_shown(bucket, ledger, whole=True, writes=True)
    print_json({**answer_of(seen), "isKept": seen.is_kept}) if as_json else _print(seen)
    if seen.damages or not (seen.is_finished and seen.is_kept):
        raise typer.Exit(FAILED)


def _print(seen: ArchiveAudit) -> None:
    counts = {"entries": seen.entries, "users": seen.users, "records read": seen.records}
    print_counts("Begun anew", {**counts, "until": f"object {seen.until.number}"})
    for line in lines_of(seen.differences):
        say(line)
    for said in seen.acknowledged:
        say(said.line())
    say(f"the next audits go on from object {seen.until.number}" if seen.is_kept else "too much was found: nothing was kept")
