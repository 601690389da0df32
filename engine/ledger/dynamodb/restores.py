"""A restore from the archive into the tables: whole entries over just what was seen there, and what users' rows say."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from attrs import frozen

from engine.domain.money import ZERO
from engine.ledger.archive.chain import HeadStore
from engine.ledger.archive.originals import Told
from engine.ledger.audits import Credit
from engine.ledger.dynamodb.attributes import AttributeValue, Item
from engine.ledger.dynamodb.audits import credit_of, number_of
from engine.ledger.dynamodb.calls import ConditionFailed, DynamoDB, call, items
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.dynamodb.postings import EXPLANATION, REFERENCE_NAME
from engine.ledger.dynamodb.put_back import set_row
from engine.ledger.dynamodb.seals import digest_of, text_of
from engine.ledger.dynamodb.stream import WHOLE, Record, key_of, record_of
from engine.ledger.dynamodb.stream import Told as TakenIn
from engine.ledger.moved import Moved
from engine.ledger.restores import Standing, UserRow
from engine.ledger.seals import canonical
from engine.ledger.store import Tables
from engine.runtime.clock import Deadline

ATTRIBUTES_ASKED_MAX = 100
"""A condition asks for so many attributes of an item that somebody has damaged; no entry has a third of these."""


@frozen
class DynamoRestoreStore:
    """The tables that are restored. It is a ``ledger.restores.RestoreStore``."""

    client: DynamoDB
    tables: Tables

    # --- entries ---

    def told_by(self, line: str) -> Told:
        """Return what a line of the archive tells. Raises ValueError for what is no record."""
        record = Record.read(line)
        item: Item = record.item or {}
        explanation = canonical(dict(record.explanation)) if record.explanation is not None else None
        return Told(record.key, record.digest, record.told in WHOLE, explanation, text_of(item, "userId"), _moves(item))

    def entries(self, deadline: Deadline) -> Iterator[Told]:
        """Yield what stands in the ledger (strongly consistent)."""
        request = {"TableName": self.tables.ledger, "ConsistentRead": True}
        for item in items(self.client.scan, request, deadline):
            explanation = canonical(item[EXPLANATION]) if EXPLANATION in item else None
            yield Told(key_of(item), digest_of(item), True, explanation, text_of(item, "userId"), _moves(item))  # noqa: FBT003

    def standing(self, at: datetime, deadline: Deadline) -> Iterator[Standing]:
        """Yield what stands in the ledger (strongly consistent). A scan gives the entries of a log together, in order."""
        request = {"TableName": self.tables.ledger, "ConsistentRead": True}
        for item in items(self.client.scan, request, deadline):
            line = record_of(TakenIn.TAKEN_IN, at, item).text()
            yield Standing(key_of(item), text_of(item, "postedAt"), line)

    def put_back(self, line: str, explanation: str | None, deadline: Deadline, *, is_free: bool) -> bool:
        """Let an original stand in its place again, over just what stands there now."""
        record = Record.read(line)
        original = {name: _as_sent(attribute) for name, attribute in (record.item or {}).items()}
        words = {EXPLANATION: _read(explanation)} if explanation is not None else {}
        if is_free and self._put({**original, **words}, {}, deadline):
            return True
        key = {name: original[name] for name in ("reference", "sequence")}
        request = {"TableName": self.tables.ledger, "Key": key, "ConsistentRead": True}
        seen: Item = call(self.client.get_item, request, deadline).get("Item") or {}
        if not words and EXPLANATION in seen and digest_of(seen) == record.digest:
            words = {EXPLANATION: seen[EXPLANATION]}  # of the original itself, and not archived yet
        item = {**original, **words}
        return item != seen and self._put(item, seen, deadline)

    def _put(self, item: Mapping[str, Any], seen: Item, deadline: Deadline) -> bool:
        request: dict[str, Any] = {"TableName": self.tables.ledger, "Item": item}
        if seen:
            request |= _as_seen(seen, item)
        else:
            the_place_is_free = "attribute_not_exists(#reference)"
            request |= {"ConditionExpression": the_place_is_free, "ExpressionAttributeNames": REFERENCE_NAME}
        try:
            call(self.client.put_item, request, deadline)
        except ConditionFailed:
            return False
        return True

    # --- users' rows ---

    def rows(self, deadline: Deadline) -> Iterator[UserRow]:
        """Yield what every user's row says (strongly consistent)."""
        names = "userId, posted, held, remaining"
        request = {"TableName": self.tables.credits, "ProjectionExpression": names, "ConsistentRead": True}
        for item in items(self.client.scan, request, deadline):
            yield UserRow(credit_of(item["userId"]["S"], item), "remaining" in item)

    def set_row(self, seen: Credit, says: Moved, deadline: Deadline) -> bool:
        """Let a user's row say what was posted and is held. A row that is not there is made: it has no balance then."""
        try:
            call(self.client.update_item, set_row(self.tables, seen, says, ZERO), deadline)
        except ConditionFailed:
            return False
        return True

    # --- the chain ---

    def heads(self) -> HeadStore:
        """Return where the head of the archive's chain stands."""
        return DynamoHeads(self.client, self.tables.seals)


def _moves(item: Item) -> Moved:
    return Moved(number_of(item, "amount") or ZERO, number_of(item, "held") or ZERO)


def _read(explanation: str) -> AttributeValue:
    return _as_sent(json.loads(explanation))


def _as_sent(attribute: AttributeValue) -> AttributeValue:
    """Return an attribute as botocore takes it: bytes, which no entry has, are base64 in the archive."""
    ((kind, value),) = attribute.items()
    match kind:
        case "B":
            return {kind: base64.b64decode(value)}
        case "BS":
            return {kind: [base64.b64decode(each) for each in value]}
        case "L":
            return {kind: [_as_sent(each) for each in value]}
        case "M":
            return {kind: {name: _as_sent(each) for name, each in value.items()}}
    return attribute


def _as_seen(seen: Item, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition that an item is what was seen: each attribute as it was, and none of those that it gets."""
    names = list(islice(dict.fromkeys((*item, *seen)), ATTRIBUTES_ASKED_MAX))
    places = {f"#a{number}": name for number, name in enumerate(names)}
    values = {f":a{number}": seen[name] for number, name in enumerate(names) if name in seen}
    it_is_as_seen = " AND ".join(
        f"{place} = :{place[1:]}" if name in seen else f"attribute_not_exists({place})" for place, name in places.items()
    )
    return {
        "ConditionExpression": it_is_as_seen,
        "ExpressionAttributeNames": places,
        "ExpressionAttributeValues": values,
    }
