"""Where explanations are stored, and what they rest on is read. Of an entry only ``explanation`` is ever written."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.anomalies.explain.brief import Recent
from engine.domain.entry import Entry
from engine.domain.errors import LedgerError
from engine.domain.instants import posting_text, read_instant
from engine.ledger.dynamodb.attributes import decode_item, encode, encode_item
from engine.ledger.dynamodb.baselines import baselines_key, baselines_of
from engine.ledger.dynamodb.calls import ConditionFailed, DynamoDB, call
from engine.ledger.store import Tables
from engine.rating.baselines import NO_BASELINES, Baselines
from engine.runtime.clock import Clock, Deadline

RECENT_ENTRIES_MAX = 20
LIKE_WITHIN = timedelta(hours=1)
"""How long what was said of one entry counts for others that are flagged for the same reasons."""

REFERENCE_NAME = {"#reference": "reference"}
"""``reference`` is one of DynamoDB's reserved words."""


@frozen
class Likeness:
    """What was said of an entry that others are like: whose it is, the likely cause, and the severity."""

    like: str
    likely_cause: str
    severity: str


@frozen
class Shelf:
    """The Ledger's ``explanation`` and what is read beside it, reached through a client that is passed in."""

    client: DynamoDB
    tables: Tables
    clock: Clock

    # --- the entry ---

    def is_open(self, entry: Entry, deadline: Deadline) -> bool:
        """Say whether the entry is there and has no explanation yet."""
        request = {
            "TableName": self.tables.ledger,
            "Key": _key(entry),
            "ConsistentRead": True,
            "ProjectionExpression": "#reference, explanation",
            "ExpressionAttributeNames": REFERENCE_NAME,
        }
        item = call(self.client.get_item, request, deadline).get("Item")
        return item is not None and bool(item) and "explanation" not in item

    def store(self, entry: Entry, explanation: dict[str, str], deadline: Deadline) -> bool:
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
        try:
            call(self.client.update_item, request, deadline)
        except ConditionFailed:
            return False
        return True

    # --- what is usual; what cannot be read is not known ---

    def baselines(self, policy: str, deadline: Deadline) -> Baselines:
        """Return what is usual for each model, as far as it still holds."""
        request = {"TableName": self.tables.state, "Key": baselines_key(policy)}
        try:
            return baselines_of(call(self.client.get_item, request, deadline).get("Item")).as_of(self.clock.now())
        except (LedgerError, ArithmeticError, LookupError, TypeError, ValueError):
            return NO_BASELINES

    def recent(self, user: str, without: Collection[Entry], deadline: Deadline) -> Recent:
        """Return what the user's last entries were ``without`` those in question (eventually consistent)."""
        request = {
            "TableName": self.tables.ledger,
            "IndexName": "UserIdIndex",
            "KeyConditionExpression": "userId = :user",
            "ExpressionAttributeNames": {**REFERENCE_NAME, "#sequence": "sequence", "#type": "type"},
            "ExpressionAttributeValues": {":user": encode(user)},
            "ProjectionExpression": "#reference, #sequence, #type, amount, anomalies",
            "ScanIndexForward": False,
            "Limit": RECENT_ENTRIES_MAX + len(without),
        }
        try:
            rows = [decode_item(item) for item in call(self.client.query, request, deadline)["Items"]]
            in_question = {(entry.reference, entry.sequence) for entry in without}
            others = [row for row in rows if (row["reference"], row["sequence"]) not in in_question][:RECENT_ENTRIES_MAX]
            charges = tuple(-Decimal(row["amount"]) for row in others if row["type"] == "debit")
        except (LedgerError, ArithmeticError, LookupError, TypeError, ValueError):
            return Recent()
        return Recent(len(others), sum(bool(row.get("anomalies")) for row in others), charges)

    # --- entries that are like others ---

    def likeness(self, alike: tuple[str, ...], deadline: Deadline) -> Likeness | None:
        """Return what the model said within the hour of an entry with the same ``alike``, or None."""
        request = {"TableName": self.tables.state, "Key": _likeness_key(alike)}
        try:
            item = call(self.client.get_item, request, deadline).get("Item")
            row = decode_item(item) if item else {}
            at = read_instant(row.get("at"))
            is_known = at is not None and self.clock.now() - at < LIKE_WITHIN
            return Likeness(row["like"], row["likelyCause"], row["severity"]) if is_known else None
        except (LedgerError, LookupError, TypeError, ValueError):
            return None

    def remember(self, alike: tuple[str, ...], likeness: Likeness, deadline: Deadline) -> None:
        """Keep for an hour what the model said of an entry. Where that fails, it is asked once more."""
        now = self.clock.now()
        values = {
            ":like": likeness.like,
            ":cause": likeness.likely_cause,
            ":severity": likeness.severity,
            ":at": posting_text(now),
            ":until": _epoch(now + LIKE_WITHIN),
        }
        request = {
            "TableName": self.tables.state,
            "Key": _likeness_key(alike),
            "UpdateExpression": "SET #like = :like, likelyCause = :cause, severity = :severity, #at = :at, expiresAt = :until",
            "ExpressionAttributeNames": {"#like": "like", "#at": "at"},
            "ExpressionAttributeValues": encode_item(values),
        }
        try:
            call(self.client.update_item, request, deadline)
        except LedgerError:
            return


def _key(entry: Entry) -> dict[str, Any]:
    return encode_item({"reference": entry.reference, "sequence": entry.sequence})


def _likeness_key(alike: tuple[str, ...]) -> dict[str, Any]:
    """Names of models come from events: whatever they hold, and however long they are, the key is one of its own."""
    text = "\0".join(f"{len(part)}:{part}" for part in alike)
    return {"id": encode(f"explain#like#{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}")}


def _epoch(at: datetime) -> int:
    """DynamoDB removes a row some time after the second in its ``expiresAt``."""
    return int(at.timestamp())
