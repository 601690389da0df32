"""What the next scan would make of one row of Jobs: the reconciler at work on a copy of what the ledger holds about it."""

from __future__ import annotations

from engine.domain.decision import Outcome
from engine.domain.documents import as_told
from engine.domain.entry_types import POSTED
from engine.domain.envelope import Document
from engine.domain.errors import EventError, LedgerRefused
from engine.domain.instants import instant_text
from engine.domain.job_row import status_name
from engine.ledger.store import Store
from engine.policy.model import Policy
from engine.preview.next_try import NOT_READY, Trial
from engine.reconcile.job_rows import is_settled, row_event
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Report

SETTLED = "nothing: the row is marked as settled at its status"
KNOWN = "nothing but the mark: the ledger holds all of it"


def next_scan(row: Document, policy: Policy, ledger: Store, deadline: Deadline) -> str:
    """Return what a scan would do about a job's row, in words. Nothing is written.

    Raises LedgerUnavailable where the ledger does not answer.
    """
    if is_settled(policy, as_told(dict(row))):
        return SETTLED
    status = row.get("status")
    if status in policy.catch_up_ignore:
        return f"nothing: `catch_up_ignore` names the status {status_name(status)}"
    try:
        envelope = row_event(policy, as_told(dict(row)), instant_text(ledger.clock.now()))
        if envelope is None:
            return f"nothing: no `catch_up` maps the status {status_name(status)}"
        return _told(Trial.of(policy, ledger).report(envelope, deadline))
    except (EventError, LedgerRefused) as error:
        return f"an error: {error}"


def _told(report: Report) -> str:
    if report.entry is not None and report.outcome in POSTED:
        entry = report.entry
        return f"posts a {entry.type.value} of {entry.amount:f} by {entry.rule}"
    return KNOWN if report.outcome is Outcome.DUPLICATE else NOT_READY[report.outcome]
