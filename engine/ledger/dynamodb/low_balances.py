"""What was told of low balances, as rows of State: one for each user of whom something was told."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.ledger.conditions import is_number
from engine.ledger.dynamodb.attributes import decode_item, encode, encode_item
from engine.ledger.dynamodb.calls import ConditionFailed, DynamoDB, call
from engine.ledger.low_balances import NEVER_LOW, LowBalance
from engine.ledger.store import Tables
from engine.runtime.clock import Deadline

NOTHING_STANDS = "attribute_not_exists(id)"
IT_STANDS_AS_IT_WAS = "isLow = :wasLow AND place = :wasPlace AND isTold = :wasTold"


@frozen
class DynamoLowBalances:
    """Rows of Credits and of State. It is a ``ledger.low_balances.LowBalanceStore``."""

    client: DynamoDB
    tables: Tables

    def remaining(self, user: str, deadline: Deadline) -> Decimal | None:
        """Return a user's balance; None where there is none, or no number."""
        request = {
            "TableName": self.tables.credits,
            "Key": {"userId": encode(user)},
            "ConsistentRead": True,
            "ProjectionExpression": "userId, remaining",
        }
        found = self._row(request, deadline).get("remaining")
        return Decimal(found) if is_number(found) else None

    def low_balance(self, user: str, deadline: Deadline) -> LowBalance:
        """Return what stands of a user."""
        request = {"TableName": self.tables.state, "Key": _key(user), "ConsistentRead": True}
        row = self._row(request, deadline)
        return LowBalance(row["isLow"], row["place"], row["isTold"]) if row else NEVER_LOW

    def note(self, user: str, before: LowBalance, after: LowBalance, deadline: Deadline) -> bool:
        """Let ``after`` stand in the place of ``before``; False where that stands no more."""
        values = {":low": after.is_low, ":place": after.place, ":told": after.is_told}
        if before != NEVER_LOW:
            values |= {":wasLow": before.is_low, ":wasPlace": before.place, ":wasTold": before.is_told}
        request = {
            "TableName": self.tables.state,
            "Key": _key(user),
            "UpdateExpression": "SET isLow = :low, place = :place, isTold = :told",
            "ConditionExpression": NOTHING_STANDS if before == NEVER_LOW else IT_STANDS_AS_IT_WAS,
            "ExpressionAttributeValues": encode_item(values),
        }
        try:
            call(self.client.update_item, request, deadline)
        except ConditionFailed:
            return False
        return True

    def _row(self, request: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        item = call(self.client.get_item, request, deadline).get("Item")
        return decode_item(item) if item else {}


def _key(user: str) -> dict[str, Any]:
    """Return the key of a user's row. It does not name the user, so that nobody has to be forgotten here."""
    return {"id": encode(f"low#{hashlib.sha256(user.encode()).hexdigest()}")}
