"""Rows of Jobs as a scan sees them: the event that one stands for, and whether it is settled at all that it says."""

from __future__ import annotations

import functools

from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError, Intricate
from engine.domain.job_row import marked_status, status_and_attempt
from engine.ledger.conditions import is_settled as is_settled_at_its_status
from engine.ledger.store import Page, ScanSlice, Store
from engine.ledger.wanted import IsSettled, Wanted
from engine.policy.expressions.paths import PathProblem
from engine.policy.model import CatchUp, Policy
from engine.rating.assess import EventReader, with_own_row
from engine.runtime.clock import Deadline

ASKED_OF_A_MARK = frozenset({"reconciled", "reconciledStatus", "reconciledSequence"})


def due_rows(policy: Policy, store: Store, part: ScanSlice, deadline: Deadline) -> Page:
    """Return the next page of a slice: rows that are not settled, with all that the policy can look at."""
    attributes, settled = policy.row_attributes, settled_by(policy)
    if settled is not None and attributes is not None:
        attributes |= ASKED_OF_A_MARK
    return store.due_jobs(part, Wanted(statuses_of(policy), attributes, policy.catch_up_ignore, settled), deadline)


def settled_by(policy: Policy) -> IsSettled | None:
    """Return how a settled row is told where the policy numbers the tries of a job; None where its status alone tells.

    A mark names the attempt too: a row that has gone on to another attempt of the same status is due, its event may be lost.
    """
    return functools.partial(_is_settled_at_its_attempt, policy) if policy.fields.attempt is not None else None


def is_settled(policy: Policy, row: Document) -> bool:
    """Say whether a scan passes over a row: it is marked at all that it says."""
    return (settled_by(policy) or is_settled_at_its_status)(row)


def _is_settled_at_its_attempt(policy: Policy, row: Document) -> bool:
    status, marked = row.get("status"), row.get("reconciledStatus")
    if row.get("reconciled") is not True or not isinstance(status, str) or not isinstance(marked, str):
        return False
    if status not in {marked, status_and_attempt(marked)[0]}:
        return False
    if marked == status and row.get("reconciledSequence") is None:
        return True  # a person's word that the job was charged elsewhere: the ledger knows nothing of it, and would charge it
    try:
        return marked == _mark_of(policy, row, status, marked)
    except (EventError, Intricate):
        return False  # a scan tells what is wrong with it


def _mark_of(policy: Policy, row: Document, status: str, marked: str) -> str:
    """Return what a row has to be marked at. Raises EventError where it does not say its attempt, and Intricate."""
    envelope = row_event(policy, row, None)
    if envelope is None:
        return marked  # by an older policy
    deciding = next((rule for rule in policy.matching(envelope.document) if rule.decides), None)
    if deciding is None or not deciding.kind.is_of_an_attempt:
        return status
    reader = EventReader(with_own_row(envelope, policy), deciding.name, policy)
    if marked == status and reader.names_no_attempt():
        return marked  # before the policy numbered the tries of a job: an old row is not asked for what it cannot say
    attempt = reader.attempt()
    return status if attempt is None else marked_status(status, attempt)


def is_mapped(policy: Policy, row: Document) -> bool:
    """Say whether the policy knows what a row's status means, even where this row is not due."""
    status = row.get("status")
    known = {status for catch_up in policy.catch_up for status in catch_up.statuses or ()}
    return isinstance(status, str) and (status in known or status in policy.catch_up_ignore)


def statuses_of(policy: Policy) -> frozenset[str] | None:
    """Return the statuses that a row must have to be worth a look, or None where the policy does not tell."""
    lists = [catch_up.statuses for catch_up in policy.catch_up]
    return None if None in lists else frozenset(status for statuses in lists for status in statuses or ())


def row_event(policy: Policy, row: Document, started: str | None) -> Envelope | None:
    """Return the event that a row of Jobs stands for by the policy's ``catch_up``, or None for a row it does not map.

    ``started`` is the start of the scan: it counts for a row that has no time of its own. A status that is no text, as a list
    of one, is none that a policy can name: no scan asks for such a row, and whoever has it in hand reads it as a scan does.
    """
    try:
        catch_up = next((catch_up for catch_up in policy.catch_up if _maps(catch_up, row)), None)
    except Intricate as error:
        raise error.about(f"row {row.get('jobId')}", "catch_up") from error
    return _row_event(catch_up, row, started) if catch_up else None


def _maps(catch_up: CatchUp, row: Document) -> bool:
    return (not catch_up.statuses or isinstance(row.get("status"), str)) and catch_up.matches(row)


def _row_event(catch_up: CatchUp, row: Document, started: str | None) -> Envelope:
    """Raises EventError where the policy's time cannot be worked out from the row."""
    try:
        time = catch_up.time.search(row)
    except PathProblem as problem:
        raise EventError(f"row {row.get('jobId')}", "catch_up", catch_up.time.text, str(problem)) from problem
    document = {
        "source": catch_up.source,
        "detail-type": catch_up.detail_type,
        "time": started if time is None else time,
        "detail": row,
    }
    status = row.get("status")
    return Envelope(
        document,
        Source.SCAN,
        status=status if isinstance(status, str) else None,
        time_is_assumed=time is None,
        row=row,
    )
