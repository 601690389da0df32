"""``reconciler audit`` where there is an archive: the ledger against it, from the last checkpoint on, or all of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from engine.audit.archived.audit import audit_archive
from engine.audit.archived.back import is_in_chain
from engine.audit.archived.seen import Archive, ArchiveAudit
from engine.audit.balances import BalanceKeeper
from engine.audit.check_archive import answer_of, lines_of
from engine.audit.repairs.applied import AppliedPlans
from engine.cli.archive_option import open_archive
from engine.cli.options import forever
from engine.cli.output import complain, print_counts, print_json, progress, say
from engine.cli.place import Place
from engine.cli.status import MISUSED
from engine.ledger.archive.bucket import Bucket
from engine.ledger.store import Store

FINE_WHOLE = "the ledger is what was posted, and every user's entries add up"

FINE_SINCE = (
    "nothing of what the archive tells since then is wrong, and every user's entries add up; --whole compares every entry"
)
"""What the stream has told of no change is not compared then."""


NO_SEALS = "where there is an archive nothing is sealed; "


def check_usage(
    archive: str, *, verify: bool, seal: bool, repair: bool, user: str | None, plan: Path | None, whole: bool, since: bool
) -> None:
    """Exit where options are given that do not go together, or not with an archive."""
    problems = {
        "--whole and --since-checkpoint go with --archive": (whole or since) and not archive,
        "--whole and --since-checkpoint exclude each other": whole and since,
        f"{NO_SEALS}leave out --seal: scheduled runs audit by the archive": archive and seal,
        f"{NO_SEALS}--whole compares every entry with it, --head DIGEST its chain with a run's log."
        " What was sealed before there was one is compared by: --verify --archive ''": archive and verify,
        "where there is an archive a repair is a plan: add --plan FILE, and apply it."
        " An entry that corrects without a plan is found as an unknown correction": archive and user and repair and not plan,
        "--repair looks for itself: leave out --whole and --since-checkpoint": repair and (whole or since),
    }
    for problem in (problem for problem, is_wrong in problems.items() if is_wrong):
        complain(problem)
        raise typer.Exit(MISUSED)


def audit_against(
    name: str, ledger: Store, place: Place, keeper: BalanceKeeper | None, head: str | None, *, whole: bool, as_json: bool
) -> bool:
    """Audit the ledger against the archive of a name, show what was seen, and say whether all is fine. Nothing is written.

    ``head`` is the digest of an object that the archive has to have.
    """
    bucket = open_archive(name, place)
    seen = audit_shown(bucket, ledger, keeper, whole=whole)
    is_known = head is None or is_in_chain(bucket, seen.until, head, forever())
    answer = answer_of(seen) | _balances(seen) | ({} if head is None else {"headIsKnown": is_known})
    print_json(answer) if as_json else _print(seen, FINE_WHOLE if whole else FINE_SINCE, is_known=is_known)
    return seen.is_finished and is_known and not seen.damages


def users_against(name: str, ledger: Store, place: Place, keeper: BalanceKeeper | None) -> list[str]:
    """Return of whom the audit against an archive finds something."""
    found = audit_shown(open_archive(name, place), ledger, keeper, whole=False).differences
    return sorted({user for each in found for user in each.users})


def audit_shown(
    bucket: Bucket, ledger: Store, keeper: BalanceKeeper | None = None, *, whole: bool, writes: bool = False
) -> ArchiveAudit:
    """Audit the ledger against an archive while a bar shows how far that is.

    Only where it ``writes`` the next audits go on from it.
    """
    from engine.reconcile.wiring import record_reader  # noqa: PLC0415  heavy, and not needed for help

    plans = AppliedPlans(bucket, forever())
    with progress() as bar:
        task = bar.add_task("audit: records", total=None)
        return audit_archive(
            Archive(bucket, record_reader(), ledger.restores().heads().head(forever())),
            ledger.audits(),
            forever(),
            plans.believes,
            undoes=plans.undoes,
            writes=writes,
            whole=whole,
            keeper=keeper,
            seen=lambda count: bar.update(task, completed=count),
        )


def _balances(seen: ArchiveAudit) -> dict[str, Any]:
    if seen.checked is None:
        return {}
    return {"balances": {"checkedSince": seen.checked.since, "drifts": [drift.problem for drift in seen.checked.drifts]}}


def _print(seen: ArchiveAudit, fine: str, *, is_known: bool) -> None:
    since = f"object {seen.since.number}" if seen.since.number else "the first object"
    print_counts(
        "Audit against the archive",
        {
            "entries": seen.entries,
            "users": seen.users,
            "since": since,
            "until": f"object {seen.until.number}",
            "head": seen.until.digest or "none",
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
    if not is_known:
        say("head: no object of the archive has this digest: objects were removed or made anew")
