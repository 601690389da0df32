"""Explanations on the entries of the Ledger, and in State what they rest on. Of an entry only ``explanation`` is written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.entry import Entry
from engine.domain.instants import posting_text, read_instant
from engine.domain.money import ZERO
from engine.domain.texts import is_key
from engine.ledger.dynamodb.attributes import INT_END, decode_item, encode, encode_item
from engine.ledger.dynamodb.calls import ConditionFailed, DynamoDB, call
from engine.ledger.dynamodb.postings import EXPLANATION, REFERENCE_NAME
from engine.ledger.explanations import Calls, Likeness, RecentEntry
from engine.ledger.store import Tables
from engine.ledger.stored import entry_of
from engine.runtime.clock import Deadline

CALLS_KEY = {"id": encode("explain#budget")}


@frozen
class DynamoExplanationStore:
    """The Ledger's ``explanation``, and what is read beside it. It is a ``ledger.explanations.ExplanationStore``."""

    client: DynamoDB
    tables: Tables

    # --- the entry ---

    def inserted(self, record: Any) -> tuple[Entry, str] | None:
        """Return the entry that a record of the Ledger's stream has put there, and the record's sequence number.

        Raises ValueError for one whose keys no table has: it would be refused, and come back, each time.
        """
        if record["eventName"] != "INSERT":
            return None
        change = record["dynamodb"]
        entry = entry_of(decode_item(change["NewImage"]))
        if not (is_key(entry.reference) and is_key(entry.user) and _is_sequence(entry.sequence)):
            raise ValueError("its reference, its sequence or its user is no key")
        return entry, str(change["SequenceNumber"])

    def is_open(self, entry: Entry, deadline: Deadline) -> bool:
        """Say whether the entry is there and has no explanation yet."""
        request = {
            "TableName": self.tables.ledger,
            "Key": _key(entry),
            "ConsistentRead": True,
            "ProjectionExpression": f"#reference, {EXPLANATION}",
            "ExpressionAttributeNames": REFERENCE_NAME,
        }
        item = call(self.client.get_item, request, deadline).get("Item")
        return item is not None and bool(item) and EXPLANATION not in item

    def store(self, entry: Entry, explanation: Mapping[str, str], deadline: Deadline) -> bool:
        """Store an explanation on its entry, and say whether it is there now by this: False if another was faster."""
        it_is_there_and_has_none = "attribute_exists(#reference) AND attribute_not_exists(explanation)"
        request = {
            "TableName": self.tables.ledger,
            "Key": _key(entry),
            "UpdateExpression": "SET explanation = :explanation",
            "ConditionExpression": it_is_there_and_has_none,
            "ExpressionAttributeNames": REFERENCE_NAME,
            "ExpressionAttributeValues": {":explanation": encode(explanation)},
            "ReturnValues": "NONE",
        }
        return self._is_updated(request, deadline)

    def last_entries_of(self, user: str, entries_max: int, deadline: Deadline) -> list[RecentEntry]:
        """Return a user's last entries, the newest first (eventually consistent)."""
        request = {
            "TableName": self.tables.ledger,
            "IndexName": "UserIdIndex",
            "KeyConditionExpression": "userId = :user",
            "ExpressionAttributeNames": {**REFERENCE_NAME, "#sequence": "sequence", "#type": "type"},
            "ExpressionAttributeValues": {":user": encode(user)},
            "ProjectionExpression": "#reference, #sequence, #type, amount, held, anomalies",
            "ScanIndexForward": False,
            "Limit": entries_max,
        }
        return [_recent(decode_item(item)) for item in call(self.client.query, request, deadline)["Items"]]

    # --- entries that are like others ---

    def likeness(self, alike: tuple[str, ...], since: datetime, deadline: Deadline) -> Likeness | None:
        """Return what was said after ``since`` of an entry with the same ``alike``, or None (eventually consistent)."""
        request = {"TableName": self.tables.state, "Key": _likeness_key(alike)}
        item = call(self.client.get_item, request, deadline).get("Item")
        row = decode_item(item) if item else {}
        at = read_instant(row.get("at"))
        return Likeness(row["like"], row["likelyCause"], row["severity"]) if at is not None and at > since else None

    def remember(self, alike: tuple[str, ...], likeness: Likeness, at: datetime, until: datetime, deadline: Deadline) -> None:
        """Keep what was said ``at`` an instant of an entry. DynamoDB removes the row some time after ``until``."""
        values = {
            ":like": likeness.like,
            ":cause": likeness.likely_cause,
            ":severity": likeness.severity,
            ":at": posting_text(at),
            ":until": int(until.timestamp()),
        }
        request = {
            "TableName": self.tables.state,
            "Key": _likeness_key(alike),
            "UpdateExpression": "SET #like = :like, likelyCause = :cause, severity = :severity, #at = :at, expiresAt = :until",
            "ExpressionAttributeNames": {"#like": "like", "#at": "at"},
            "ExpressionAttributeValues": encode_item(values),
        }
        call(self.client.update_item, request, deadline)

    # --- how often the model is asked ---

    def calls(self, deadline: Deadline) -> Calls:
        """Return the calls that were taken so far."""
        request = {"TableName": self.tables.state, "Key": CALLS_KEY, "ConsistentRead": True}
        item = call(self.client.get_item, request, deadline).get("Item")
        row = decode_item(item) if item else {}
        by_minute = {int(minute): count for minute, count in row.get("callsByMinute", {}).items()}
        return Calls(row.get("version", 0), by_minute)

    def take_call(self, before: Calls, by_minute: Mapping[int, int], deadline: Deadline) -> bool:
        """Let ``by_minute`` be the calls if they are still those ``before``; say whether they were."""
        version = before.version
        nobody_else_took_one = "version = :before" if version else "attribute_not_exists(version)"
        values: dict[str, Any] = {":after": version + 1, ":minutes": {str(minute): n for minute, n in by_minute.items()}}
        request = {
            "TableName": self.tables.state,
            "Key": CALLS_KEY,
            "UpdateExpression": "SET version = :after, callsByMinute = :minutes",
            "ConditionExpression": nobody_else_took_one,
            "ExpressionAttributeValues": encode_item(values | ({":before": version} if version else {})),
        }
        return self._is_updated(request, deadline)

    def _is_updated(self, request: Mapping[str, Any], deadline: Deadline) -> bool:
        try:
            call(self.client.update_item, request, deadline)
        except ConditionFailed:
            return False
        return True


def _key(entry: Entry) -> dict[str, Any]:
    return encode_item({"reference": entry.reference, "sequence": entry.sequence})


def _is_sequence(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < INT_END


def _recent(stored: Mapping[str, Any]) -> RecentEntry:
    return RecentEntry(
        stored["reference"],
        stored["sequence"],
        stored["type"],
        Decimal(stored["amount"]),
        bool(stored.get("anomalies")),
        Decimal(stored.get("held", ZERO)),
    )


def _likeness_key(alike: tuple[str, ...]) -> dict[str, Any]:
    """Names of models come from events: whatever they hold, and however long they are, the key is one of its own."""
    text = "\0".join(f"{len(part)}:{part}" for part in alike)
    return {"id": encode(f"explain#like#{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}")}
