"""What ids of adjustments say against entries: of what was told on two logs the claim names the one on which it was told."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.audit.claims import id_problem
from engine.audit.repairs.history import LogHistory
from engine.audit.repairs.suspects import Believes
from engine.ledger.audits import AuditedEntry, AuditStore
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline


def against_ids(
    histories: Collection[LogHistory], store: AuditStore, believes: Believes, deadline: Deadline
) -> dict[EntryKey, str]:
    """Return by its place what speaks against an entry for the id that it tells or claims.

    This system posts word and claim in one transaction, so that this is certain; but of what is older than the archive.
    Other users' logs count as they stand.
    """
    posted = {each.reference: _as_posted(each) for each in histories}

    def log_of(reference: str) -> Sequence[AuditedEntry]:
        if reference not in posted:
            posted[reference] = store.log(reference, deadline)
        return posted[reference]

    arrivals = [arrival for each in histories for arrival in each.posted.values() if not arrival.is_taken_in]
    found = {arrival.seen.line.key: id_problem(arrival.seen, log_of, believes) for arrival in arrivals}
    return {key: f"is forged: {problem}" for key, problem in found.items() if problem}


def _as_posted(history: LogHistory) -> list[AuditedEntry]:
    """Return what was posted into a log, and what stands there of which the archive knows nothing."""
    posted = (arrival.seen for arrival in history.posted.values())
    return sorted((*posted, *history.strangers), key=lambda each: each.line.sequence)
