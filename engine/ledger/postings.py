"""One posting as one ``TransactWriteItems``, and what its cancellation says."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import frozen

from engine.errors import shown
from engine.ledger.attributes import Item, encode, encode_item
from engine.ledger.calls import LedgerRefused
from engine.ledger.entries import log_of
from engine.values import Entry, Guard, JobLog, Mark, Standing


@frozen
class Tables:
    """The names of the tables."""

    jobs: str = "Jobs"
    credits: str = "Credits"
    ledger: str = "Ledger"
    state: str = "State"
    """What can be worked out again (baselines): no credit depends on it."""


class Verdict(StrEnum):
    """How the database answered a posting."""

    POSTED = "posted"
    SEQUENCE_TAKEN = "sequence-taken"
    """Another entry stands at this sequence: a duplicate, or somebody was faster."""
    NO_JOB_ROW = "no-job-row"
    STANDING_LEARNED = "standing-learned"
    """The user's row is not as the guard has it."""


@frozen
class Receipt:
    """The database's answer. ``log`` is the job's log as far as the answer tells it; ``standing`` what it taught."""

    verdict: Verdict
    log: JobLog | None = None
    standing: Standing | None = None


CREDITS_CONDITIONS: Mapping[Guard, str] = {
    Guard.EXISTS: "attribute_exists(userId)",
    Guard.COVERED: "attribute_exists(userId) AND remaining >= :debit",
    Guard.NOT_COVERED: "attribute_exists(userId) AND (attribute_not_exists(remaining) OR remaining < :debit)",
    Guard.MISSING: "attribute_not_exists(userId)",
}

STANDING_WHEN_ROW_EXISTS: Mapping[Guard, Standing] = {
    Guard.COVERED: Standing.NOT_COVERED,
    Guard.NOT_COVERED: Standing.ASSUMED_COVERED,
    Guard.MISSING: Standing.ASSUMED_COVERED,
}

REFERENCE_NAME = {"#reference": "reference"}
"""``reference`` is one of DynamoDB's reserved words."""

JOB_MARKED = "SET reconciled = :settled, reconciledStatus = :status"
JOB_STILL_DUE = "SET reconciled = :settled"


def put_entry(tables: Tables, item: Item) -> dict[str, Any]:
    """Append an entry: the condition is the idempotency check and the compare-and-set in one."""
    this_sequence_is_free = "attribute_not_exists(#reference)"
    return {
        "Put": {
            "TableName": tables.ledger,
            "Item": item,
            "ConditionExpression": this_sequence_is_free,
            "ExpressionAttributeNames": REFERENCE_NAME,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def add_credits(tables: Tables, entry: Entry, guard: Guard) -> dict[str, Any]:
    """Move the balance and the sum of all postings by the entry's amount."""
    values = {":amount": entry.amount}
    if guard in {Guard.COVERED, Guard.NOT_COVERED}:
        values[":debit"] = entry.amount.copy_negate()
    return {
        "Update": {
            "TableName": tables.credits,
            "Key": encode_item({"userId": entry.user}),
            "UpdateExpression": "ADD remaining :amount, posted :amount",
            "ConditionExpression": CREDITS_CONDITIONS[guard],
            "ExpressionAttributeValues": encode_item(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def update_mark(tables: Tables, job: str, mark: Mark) -> dict[str, Any]:
    """Write the mark on a job's row, and never make a row."""
    the_job_exists = "attribute_exists(jobId)"
    values: dict[str, Any] = {":settled": encode(mark.settled)}
    if mark.settled:
        values[":status"] = encode(mark.status)
    return {
        "TableName": tables.jobs,
        "Key": encode_item({"jobId": job}),
        "UpdateExpression": JOB_MARKED if mark.settled else JOB_STILL_DUE,
        "ConditionExpression": the_job_exists,
        "ExpressionAttributeValues": values,
    }


@frozen
class Posting:
    """An entry with all that moves with it, in the order of the transaction: Ledger, Credits, Jobs."""

    entry: Entry
    item: Item
    guard: Guard
    mark: Mark | None

    def actions(self, tables: Tables) -> list[dict[str, Any]]:
        """Return the items of the transaction."""
        actions = [put_entry(tables, self.item)]
        if self.guard is not Guard.NONE:
            actions.append(add_credits(tables, self.entry, self.guard))
        if self.mark is not None and self.entry.job is not None:
            actions.append({"Update": update_mark(tables, self.entry.job, self.mark)})
        return actions

    def receipt(self, reasons: list[Mapping[str, Any]]) -> Receipt:
        """Return what the failed conditions say, the ledger's first: it alone tells a duplicate."""
        on_ledger, *others = reasons
        if _failed(on_ledger):
            return self._taken(on_ledger.get("Item", {}))
        on_credits = others.pop(0) if self.guard is not Guard.NONE else None
        if on_credits is not None and _failed(on_credits):
            return Receipt(Verdict.STANDING_LEARNED, standing=self._standing(on_credits.get("Item")))
        return Receipt(Verdict.NO_JOB_ROW)

    def _taken(self, standing_entry: Item) -> Receipt:
        """The entry at this sequence may be our own, committed by an attempt whose answer was lost."""
        if standing_entry == self.item:
            return Receipt(Verdict.POSTED)
        is_first = self.entry.sequence == 1
        return Receipt(Verdict.SEQUENCE_TAKEN, log=log_of([standing_entry]) if is_first and standing_entry else None)

    def _standing(self, row: Item | None) -> Standing:
        if not row:
            return Standing.UNKNOWN_USER
        if "N" not in row.get("remaining", {"N": "0"}):
            raise LedgerRefused(f"the balance of user {shown(self.entry.user)} is no number: {shown(row['remaining'])}")
        return STANDING_WHEN_ROW_EXISTS.get(self.guard, Standing.UNKNOWN_USER)


def _failed(reason: Mapping[str, Any]) -> bool:
    return reason.get("Code") == "ConditionalCheckFailed"
