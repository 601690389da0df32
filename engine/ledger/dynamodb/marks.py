"""The mark on a job's row, and what the row must say to take it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from engine.domain.instants import instant_text
from engine.domain.job_row import Mark, RowTime
from engine.ledger.dynamodb.attributes import encode

JOB_MARKED = "SET reconciled = :settled, reconciledSequence = :sequence, reconciledStatus = :marked"
JOB_STILL_DUE = "SET reconciled = :settled, reconciledSequence = :sequence"

THE_JOB_EXISTS = "attribute_exists(jobId)"
NO_LATER_MARK = "NOT attribute_type(reconciledSequence, :number) OR reconciledSequence < :sequence"
THIS_ENTRY_AT_THE_STATUS_READ = (
    "reconciledSequence = :sequence AND #status = :read AND NOT (reconciled = :settled AND reconciledStatus = :marked)"
)
ITS_USER = "attribute_not_exists(#user) OR #user = :user"
ITS_TIME_AS_READ = "{0} = :time"
NO_TIME_AS_READ = "attribute_not_exists({0}) OR attribute_type({0}, :null)"
NO_LATER_TIME = "NOT ({0} > :second AND {0} <> :latest)"
"""Texts of one form (ISO 8601, UTC) compare as their instants do: what begins with a later second comes after it."""


def update_mark(table: str, job: str, mark: Mark) -> dict[str, Any]:
    """Write the mark on a job's row where the row takes it, and never make a row."""
    is_read = mark.settled and mark.read is not None
    user, time = mark.user, mark.time
    condition, names = _condition(is_read, user and user[0], time and time.attribute, time and _kind(time))
    return {
        "TableName": table,
        "Key": {"jobId": {"S": job}},
        "UpdateExpression": JOB_MARKED if mark.settled else JOB_STILL_DUE,
        "ConditionExpression": condition,
        **({"ExpressionAttributeNames": names} if names else {}),
        "ExpressionAttributeValues": _values(mark, is_read=is_read),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


LATEST, AS_READ, NONE_READ = "latest", "as read", "none read"
"""What is asked of the row's time: none that is later, the one that was read, or none as was read."""

TIME_CONDITIONS: Mapping[str, str] = {LATEST: NO_LATER_TIME, AS_READ: ITS_TIME_AS_READ, NONE_READ: NO_TIME_AS_READ}


def _kind(time: RowTime) -> str:
    if time.latest is not None:
        return LATEST
    return NONE_READ if time.read is None else AS_READ


@functools.lru_cache(maxsize=64)
def _condition(is_read: bool, user: str | None, time: str | None, kind: str | None) -> tuple[str, dict[str, str]]:  # noqa: FBT001
    """Return what must hold of a row for a mark, and the names in it. There are few of these, and many marks."""
    names: dict[str, str] = {}
    conditions = [THE_JOB_EXISTS, NO_LATER_MARK]
    if is_read:
        names["#status"] = "status"
        conditions[1] = f"{NO_LATER_MARK} OR ({THIS_ENTRY_AT_THE_STATUS_READ})"
    if user is not None:
        names["#user"] = user
        conditions.append(ITS_USER)
    if time is not None and kind is not None:
        places = {f"#t{number}": name for number, name in enumerate(time.split("."))}
        names.update(places)
        conditions.append(TIME_CONDITIONS[kind].format(".".join(places)))
    return " AND ".join(f"({condition})" for condition in conditions), names


def _values(mark: Mark, *, is_read: bool) -> dict[str, Any]:
    """Return the values that the condition and the update refer to, and no other."""
    values: dict[str, Any] = {
        ":settled": {"BOOL": mark.settled},
        ":sequence": {"N": str(mark.sequence)},
        ":number": {"S": "N"},
    }
    if mark.settled:
        values[":marked"] = encode(mark.status)
    if is_read:
        values[":read"] = encode(mark.read)
    if mark.user is not None:
        values[":user"] = {"S": mark.user[1]}
    if (time := mark.time) is not None:
        values |= _time_values(time)
    return values


def _time_values(time: RowTime) -> dict[str, Any]:
    if time.latest is not None:
        latest = instant_text(time.latest)
        return {":second": {"S": latest[: len("2026-01-05T10:00:00")]}, ":latest": {"S": latest}}
    return {":null": {"S": "NULL"}} if time.read is None else {":time": encode(time.read)}
