"""``reconciler audit`` where there is an archive: the ledger against it, from the last checkpoint on, or all of both."""

from __future__ import annotations

from typing import Any

from engine.audit.archived.audit import audit_archive
from engine.audit.archived.seen import Archive, ArchiveAudit
from engine.audit.balances import BalanceKeeper
from engine.audit.check_archive import answer_of, lines_of
from engine.audit.repairs.applied import AppliedPlans
from engine.cli.archive_option import open_archive
from engine.cli.options import forever
from engine.cli.output import print_counts, print_json, progress, say
from engine.cli.place import Place
from engine.ledger.archive.opened import OpenArchive
from engine.ledger.store import Store

FINE_WHOLE = "the ledger is what was posted, and every user's entries add up"

FINE_SINCE = (
    "nothing of what the archive tells since then is wrong, and every user's entries add up; --whole compares every entry"
)
"""What the stream has told of no change is not compared then."""


def audit_against(
    name: str, ledger: Store, place: Place, keeper: BalanceKeeper | None, *, whole: bool, as_json: bool
) -> ArchiveAudit:
    """Audit the ledger against the archive of a name, and show what was seen. Nothing is written."""
    from engine.reconcile.wiring import record_reader  # noqa: PLC0415  heavy, and not needed for help

    archive = OpenArchive(open_archive(name, place), ledger.restores().heads(), record_reader())
    with progress() as bar:
        task = bar.add_task("audit: records", total=None)
        seen = audit_archive(
            Archive(archive.bucket, archive.reads, archive.heads.head(forever())),
            ledger.audits(),
            forever(),
            (plans := AppliedPlans(archive.bucket, forever())).believes,
            undoes=plans.undoes,
            writes=False,
            whole=whole,
            keeper=keeper,
            seen=lambda count: bar.update(task, completed=count),
        )
    answer = answer_of(seen) | _balances(seen)
    print_json(answer) if as_json else _print(seen, FINE_WHOLE if whole else FINE_SINCE)
    return seen


def _balances(seen: ArchiveAudit) -> dict[str, Any]:
    if seen.held is None:
        return {}
    return {"balances": {"heldSince": seen.held.since, "drifts": [drift.problem for drift in seen.held.drifts]}}


def _print(seen: ArchiveAudit, fine: str) -> None:
    since = f"object {seen.since.number}" if seen.since.number else "the first object"
    print_counts(
        "Audit against the archive",
        {
            "entries": seen.entries,
            "users": seen.users,
            "since": since,
            "until": f"object {seen.until.number}",
            "records read": seen.records,
        },
    )
    for line in lines_of(seen.differences):
        say(line)
    for said in seen.acknowledged:
        say(said.line())
    for user in seen.busy:
        say(f"busy: {user}: was being written to at each look; look again")
    counted = ", ".join(f"{count} {kind}" for kind, count in seen.counts.items() if count)
    say(f"found: {counted}" if counted else fine)
