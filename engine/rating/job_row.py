"""What the job's own row has to say to a posting: whose job it is, what it says later, and what it means that there is none.

Pure. The database asks for it by the condition on the mark; what a cancelled posting gives back of the row is judged here.
"""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any

from attrs import evolve

from engine.domain.anomaly import Anomaly
from engine.domain.assessment import Assessment
from engine.domain.built_in_anomalies import UNKNOWN_JOB
from engine.domain.decision import Decision
from engine.domain.digits import as_text
from engine.domain.envelope import Document, Source
from engine.domain.instants import read_instant
from engine.domain.job_row import JobRow, Mark, RowTime
from engine.policy.expressions import OWN_ROW
from engine.policy.expressions.paths import PLAIN, ROW, Path, PathProblem
from engine.policy.model import CatchUp, Policy, UnknownJob
from engine.rating.decide import error_of

USER_ATTRIBUTE = "userId"
"""Where a row names its user, unless the policy's ``event.user`` is another attribute of it."""

NO_EVENT: Document = {}
"""Where only the row is asked."""

ASSUMED_ROW, NO_ROW = JobRow(), JobRow(exists=False)


def with_row(decision: Decision, assessment: Assessment, row: JobRow, policy: Policy) -> Decision:
    """Return the decision with what the job's row makes of it: its mark's conditions, and a flag where there is no row.

    Raises EventError where the row names another user, and where there is none although the policy asks for one.
    """
    if row.owner is not None:
        problem = f"is {assessment.user!r}; the row of job {assessment.job!r} in Jobs names {row.owner!r}"
        raise error_of(assessment, policy.fields.user, problem)
    if row.exists:
        mark = _conditioned(decision.mark, assessment, row, policy) if decision.mark is not None else None
        return Decision(
            decision.outcome, decision.entry, decision.guard, mark, decision.is_unclear
        )  # evolve takes ten times as long
    if policy.unknown_job is UnknownJob.REFUSE:
        problem = f"is {assessment.job!r}; there is no such job in Jobs (`unknown_job: refuse`)"
        raise error_of(assessment, policy.fields.job, problem)
    if decision.entry is not None and policy.unknown_job is UnknownJob.FLAG:
        unknown = Anomaly(UNKNOWN_JOB, "the job had no row in Jobs")
        entry = evolve(decision.entry, anomalies=(*decision.entry.anomalies, unknown))
        return evolve(decision, entry=entry, mark=None)
    return evolve(decision, mark=None)


def learned(document: Document, mark: Mark, assessment: Assessment, policy: Policy) -> JobRow:
    """Return what a row teaches that did not take ``mark``."""
    asks_user = mark.user is not None
    if asks_user and (owner := _owner(document, assessment, policy)) != assessment.user:
        if owner is not None:
            return JobRow(owner=owner)
        asks_user = False
    elif mark.user is not None:
        asks_user = document.get(mark.user[0], assessment.user) == assessment.user
    if _is_overtaken(document, mark):
        return JobRow(takes_mark=False, asks_user=asks_user)
    if mark.time is not None and _says_otherwise(document, mark.time):
        return JobRow(is_later=True, asks_user=asks_user)
    return JobRow(asks_user=asks_user, asks_time=False)


def _conditioned(mark: Mark, assessment: Assessment, row: JobRow, policy: Policy) -> Mark | None:
    if not row.takes_mark or (row.is_later and mark.settled):
        return None
    return Mark(
        mark.status,
        settled=mark.settled,
        sequence=mark.sequence,
        read=assessment.status if assessment.source is Source.SCAN else None,
        user=(_attribute_of(policy.fields.user.text), assessment.user) if row.asks_user else None,
        time=_time(assessment, policy) if row.asks_time and mark.settled else None,
    )


def _time(assessment: Assessment, policy: Policy) -> RowTime | None:
    """Return what the row's time must be: of a scan's event what was read, of any other not much later than the event's."""
    catch_up = _catch_up(assessment, policy)
    if catch_up is None or not _is_plain(catch_up.time.text):
        return None
    if assessment.source is not Source.SCAN:
        try:
            return RowTime(catch_up.time.text, latest=assessment.at + policy.clock.skew)
        except OverflowError:
            return None  # nothing is later than the end of all time
    said = catch_up.time.search(assessment.document.get(ROW))
    return RowTime(catch_up.time.text, read=said) if said is None or isinstance(said, str) else None


def _catch_up(assessment: Assessment, policy: Policy) -> CatchUp | None:
    """Return the part of ``catch_up`` by which the event stands for a status of the row."""
    document = assessment.document
    if assessment.source is Source.SCAN:
        return next((catch_up for catch_up in policy.catch_up if catch_up.matches(document.get(ROW) or {})), None)
    told = (document.get("source"), document.get("detail-type"))
    return next((c for c in policy.catch_up if told == (c.source, c.detail_type) and c.statuses), None)


@functools.cache
def _is_plain(expression: str) -> bool:
    return PLAIN.fullmatch(expression) is not None


@functools.cache
def _attribute_of(expression: str) -> str:
    if own := _own_attribute(expression):
        return own
    names = expression.split(".") if _is_plain(expression) else []
    return names[1] if len(names) == 2 and names[0] == ROW else USER_ATTRIBUTE  # noqa: PLR2004  detail.<attribute>


def _own_attribute(expression: str) -> str | None:
    """Return the attribute that ``event.user`` reads of the row itself: ``row.owner``, alone or behind ``||``."""
    names = expression.rpartition("||")[2].strip().split(".")
    is_own = len(names) == 2 and names[0] == OWN_ROW and _is_plain(".".join(names))  # noqa: PLR2004  row.<attribute>
    return names[1] if is_own else None


def _owner(document: Document, assessment: Assessment, policy: Policy) -> str | None:
    return owner_of(document, policy, assessment.document)


def owner_of(document: Document, policy: Policy, event: Document = NO_EVENT) -> str | None:
    """Return whose job it is by its row: by the policy's own expression, else by its attribute; None where it does not say.

    An attribute that the expression reads of the row itself comes first: what stands beside it need not be the row's.
    """
    user = policy.fields.user
    said = _text(_found(user, {**event, ROW: document, OWN_ROW: document}))
    own = _text(document.get(_attribute_of(user.text)))
    first, second = (own, said) if _own_attribute(user.text) else (said, own)
    return first if first is not None else second


def _found(path: Path, document: Document) -> Any:
    try:
        return path.search(document)
    except PathProblem:
        return None


def _text(value: object) -> str | None:
    """A number names a user by its digits, as an application might store it; nothing else does."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return as_text(value)
    return value if isinstance(value, str) and value else None


def _is_overtaken(document: Document, mark: Mark) -> bool:
    sequence = document.get("reconciledSequence")
    if not isinstance(sequence, int | Decimal) or isinstance(sequence, bool) or sequence < mark.sequence:
        return False
    is_still_as_read = mark.read is not None and document.get("status") == mark.read and mark.settled
    is_marked = document.get("reconciled") is True and document.get("reconciledStatus") == mark.status
    return not (sequence == mark.sequence and is_still_as_read and not is_marked)


def _says_otherwise(document: Document, time: RowTime) -> bool:
    said = _at(document, time.attribute)
    if time.latest is None:
        return bool(said != time.read)
    instant = read_instant(said)
    return instant is not None and instant > time.latest


def _at(document: Document, attribute: str) -> Any:
    found: Any = document
    for name in attribute.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
