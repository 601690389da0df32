"""The mark on a job's row, and what the row must say to take it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.instants import instant_text
from engine.ledger.attributes import encode, encode_item
from engine.values import Mark, RowTime

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
    names: dict[str, str] = {}
    values: dict[str, Any] = {":settled": mark.settled, ":sequence": mark.sequence, ":number": "N"}
    if mark.settled:
        values[":marked"] = mark.status
    conditions = [THE_JOB_EXISTS, *_row_conditions(mark, names, values)]
    return {
        "TableName": table,
        "Key": encode_item({"jobId": job}),
        "UpdateExpression": JOB_MARKED if mark.settled else JOB_STILL_DUE,
        "ConditionExpression": " AND ".join(f"({condition})" for condition in conditions),
        **({"ExpressionAttributeNames": names} if names else {}),
        "ExpressionAttributeValues": {name: encode(value) for name, value in values.items()},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _row_conditions(mark: Mark, names: dict[str, str], values: dict[str, Any]) -> Iterator[str]:
    """Yield what must hold of a row for the mark; ``names`` and ``values`` get what that refers to."""
    if mark.settled and mark.read is not None:
        names["#status"], values[":read"] = "status", mark.read
        yield f"{NO_LATER_MARK} OR ({THIS_ENTRY_AT_THE_STATUS_READ})"
    else:
        yield NO_LATER_MARK
    if mark.user is not None:
        names["#user"], values[":user"] = mark.user
        yield ITS_USER
    if mark.time is not None:
        yield _time_condition(mark.time, names, values)


def _time_condition(time: RowTime, names: dict[str, str], values: dict[str, Any]) -> str:
    places = {f"#t{number}": name for number, name in enumerate(time.attribute.split("."))}
    names.update(places)
    attribute = ".".join(places)
    if time.latest is not None:
        values[":second"] = time.latest.isoformat()[: len("2026-01-05T10:00:00")]
        values[":latest"] = instant_text(time.latest)
        return NO_LATER_TIME.format(attribute)
    if time.read is None:
        values[":null"] = "NULL"
        return NO_TIME_AS_READ.format(attribute)
    values[":time"] = time.read
    return ITS_TIME_AS_READ.format(attribute)
