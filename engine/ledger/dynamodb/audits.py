"""What audits do with the tables, beside what postings do: read entries whole, keep seals, append corrections."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import batched
from typing import Any

from attrs import field, frozen

from engine.domain.entry import Entry
from engine.domain.envelope import Source
from engine.domain.facts import Facts
from engine.domain.instants import read_instant
from engine.domain.money import ZERO
from engine.ledger.audits import AuditedEntry, Credit, Line, PutBack
from engine.ledger.balances import BalancePage
from engine.ledger.dynamodb.attributes import Item, decode, decode_item, encode, encode_item
from engine.ledger.dynamodb.balances import page_item, page_of, pages_request
from engine.ledger.dynamodb.calls import KEYS_TOGETHER_MAX, Cancelled, ConditionFailed, DynamoDB, call, items, items_at
from engine.ledger.dynamodb.postings import EXPLANATION, TOKEN_BYTES, item_of, put_entry
from engine.ledger.dynamodb.put_back import ACTIONS_MAX, moves, put_back, set_row
from engine.ledger.dynamodb.seals import (
    digest_of,
    facts_digest_of,
    header_item,
    header_of,
    headers_request,
    lines_of,
    part_key,
    part_of,
    text_of,
)
from engine.ledger.moved import Moved
from engine.ledger.seals import NO_SEAL, Seal, SealedEntry, canonical
from engine.ledger.shapes import read_entry
from engine.ledger.store import Tables
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Clock, Deadline


@frozen
class AuditedItem:
    """An entry as DynamoDB gives it. It is a ``ledger.audits.AuditedEntry``."""

    item: Item
    line: Line = field(init=False)

    @line.default
    def _line(self) -> Line:
        item = self.item
        return Line(
            reference=text_of(item, "reference"),
            sequence=decode(item["sequence"]),
            user=text_of(item, "userId") or None,
            type=text_of(item, "type"),
            amount=number_of(item, "amount"),
            cost=number_of(item, "cost"),
            is_correction=text_of(item, "source") == Source.REPAIR.value,
            held=number_or_zero(item, "held"),
            names_its_user=not _is_refused_hold(item),
        )

    @property
    def posted_at(self) -> str:
        """When it was posted; empty where it does not say."""
        return text_of(self.item, "postedAt")

    @property
    def anomalies(self) -> Sequence[Mapping[str, Any]]:
        """Why it is flagged; nothing where that is no list."""
        found = self.item.get("anomalies", {})
        return decode(found) if "L" in found else ()

    @property
    def is_explained(self) -> bool:
        """Whether anything stands where the explanation does."""
        return EXPLANATION in self.item

    @property
    def correction_id(self) -> str:
        """The id of the adjustment that a person has told with it; empty where there is none."""
        return text_of(self.item.get("correction", {}).get("M", {}), "id")

    @property
    def problem(self) -> str:
        """What makes it no entry of this system, or hides it from its user's statement; empty where all is well."""
        if read_instant(self.posted_at) is None:
            return "its postedAt is no instant: statements and what adds up a user's entries may miss it"
        found = self.entry
        return found if isinstance(found, str) else ""

    @property
    def facts(self) -> Facts | None:
        """What it knows of its job; None where it is no entry of this system."""
        found = self.entry
        return None if isinstance(found, str) else found.facts

    @property
    def digest(self) -> str:
        """The SHA-256 of all its attributes but an explanation."""
        return digest_of(self.item)

    @property
    def facts_digest(self) -> str:
        """The digest of what it knows of its job."""
        return facts_digest_of(self.item)

    @property
    def stored(self) -> Mapping[str, Any]:
        """All attributes as JSON-like values. Raises ValueError where they have no such form."""
        try:
            return decode_item(self.item)
        except (ArithmeticError, AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"has an attribute of no known form: {error}") from error

    @cached_property
    def entry(self) -> Entry | str:
        """It as an entry, or why it is none."""
        return read_entry(decode_item(self.item))

    @property
    def text(self) -> str:
        """All attributes but an explanation, in DynamoDB's own JSON with sorted names."""
        return canonical({name: value for name, value in self.item.items() if name != EXPLANATION})


def _item_of(entry: AuditedEntry) -> dict[str, Any]:
    """Return the item of an entry, whoever has read it."""
    return dict(entry.item) if isinstance(entry, AuditedItem) else dict(json.loads(entry.text))


def number_of(item: Item, name: str) -> Decimal | None:
    """Return a number, None where it is missing or none."""
    try:
        return Decimal(item.get(name, {}).get("N", ""))
    except InvalidOperation:
        return None


def number_or_zero(item: Item, name: str) -> Decimal | None:
    """Return a number, 0 where it is missing, None where it is none."""
    return number_of(item, name) if name in item else ZERO


def _is_refused_hold(item: Item) -> bool:
    """Say whether an entry remembers nothing but that its event asked for a hold, and was refused."""
    refused = item.get("facts", {}).get("M", {}).get("refused", {}).get("L", ()) if text_of(item, "type") == "flag" else ()
    return bool(refused) and item.get("eventId") in refused


def credit_of(user: str, row: Item | None) -> Credit:
    """Return what a user's row says was posted and is held, and its balance."""
    said = row or {}
    posted, remaining, held = (number_or_zero(said, name) for name in ("posted", "remaining", "held"))
    stored, stored_held = said.get("posted"), said.get("held")
    return Credit(user, posted, remaining, is_there=bool(row), stored=stored, held=held, stored_held=stored_held)


@frozen
class DynamoAuditStore:
    """The tables of one ledger, read whole. It is a ``ledger.audits.AuditStore``."""

    client: DynamoDB
    tables: Tables
    clock: Clock

    # --- entries and balances ---

    def entries(self, deadline: Deadline, segment: tuple[int, int] | None = None) -> Iterator[AuditedEntry]:
        """Yield every entry with all its attributes; of a ``segment`` (its number, of how many) those that belong to it."""
        request: dict[str, Any] = {"TableName": self.tables.ledger, "ConsistentRead": True}
        if segment is not None:
            request |= {"Segment": segment[0], "TotalSegments": segment[1]}
        yield from map(AuditedItem, items(self.client.scan, request, deadline))

    def log(self, reference: str, deadline: Deadline) -> list[AuditedEntry]:
        """Return the entries of a reference in order of their sequence."""
        request = {
            "TableName": self.tables.ledger,
            "KeyConditionExpression": "#reference = :reference",
            "ExpressionAttributeNames": {"#reference": "reference"},
            "ExpressionAttributeValues": {":reference": encode(reference)},
            "ConsistentRead": True,
        }
        return list(map(AuditedItem, items(self.client.query, request, deadline)))

    def entries_of_user(self, user: str, deadline: Deadline, since: str = "") -> Iterator[AuditedEntry]:
        """Yield the entries of a user, by the index: it trails the table by a moment. ``since``: posted then or later."""
        request = {
            "TableName": self.tables.ledger,
            "IndexName": "UserIdIndex",
            "KeyConditionExpression": "userId = :user" + (" AND postedAt >= :since" if since else ""),
            "ExpressionAttributeValues": {":user": encode(user), **({":since": encode(since)} if since else {})},
        }
        yield from map(AuditedItem, items(self.client.query, request, deadline))

    def entries_at(self, keys: Iterable[EntryKey], deadline: Deadline) -> dict[EntryKey, AuditedEntry]:
        """Return those of the entries that are there."""
        found: dict[EntryKey, AuditedEntry] = {}
        for some in batched(keys, KEYS_TOGETHER_MAX):
            wanted = {"Keys": [encode_item({"reference": key[0], "sequence": key[1]}) for key in some], "ConsistentRead": True}
            for item in items_at(self.client, self.tables.ledger, wanted, deadline):
                found[item["reference"]["S"], decode(item["sequence"])] = AuditedItem(item)
        return found

    def credit(self, user: str, deadline: Deadline) -> Credit:
        """Return what a user's row says was posted, and is held."""
        request = {"TableName": self.tables.credits, "Key": encode_item({"userId": user}), "ConsistentRead": True}
        return credit_of(user, call(self.client.get_item, request, deadline).get("Item"))

    def credits(self, deadline: Deadline, *, with_remaining: bool = False) -> Iterator[Credit]:
        """Yield what every user's row says was posted and is held, ``with_remaining`` the balance too: all of one moment."""
        names = "userId, posted, held, remaining" if with_remaining else "userId, posted, held"
        request = {"TableName": self.tables.credits, "ProjectionExpression": names, "ConsistentRead": True}
        for item in items(self.client.scan, request, deadline):
            yield credit_of(item["userId"]["S"], item)

    # --- repairs ---

    def append(self, entry: Entry, deadline: Deadline) -> bool:
        """Append an entry that moves no balance. False where its sequence is taken: somebody was faster."""
        return self._write([put_entry(self.tables, item_of(entry, self.clock.now()))], deadline)

    def append_with_row(self, entry: Entry, seen: Credit, says: Moved, moved: Decimal, deadline: Deadline) -> bool:
        """Append an entry, and let the user's row say what was posted and is held, its balance ``moved``: both or none.

        False where the row is no longer as it was ``seen`` (its balance too where that alone is moved), or the place is taken.
        """
        put = put_entry(self.tables, item_of(entry, self.clock.now()))
        return self._write([put, {"Update": set_row(self.tables, seen, says, moved)}], deadline)

    def put_back(self, put_backs: Sequence[PutBack], corrections: Sequence[tuple[Entry, Moved]], deadline: Deadline) -> bool:
        """Put entries of one log back, append corrections to it, and move the row of each one's user by what is beside it."""
        now = self.clock.now()
        last = [put_entry(self.tables, item_of(entry, now)) for entry, _ in corrections]
        last += moves(self.tables, corrections)
        back = [
            put_back(self.tables, _item_of(each.posted), _item_of(each.found) if each.found else None) for each in put_backs
        ]
        while len(back) + len(last) > ACTIONS_MAX:
            if not self._write(back[:ACTIONS_MAX], deadline):
                return False
            back = back[ACTIONS_MAX:]
        return not (back or last) or self._write([*back, *last], deadline)

    def entry(self, text: str) -> AuditedEntry:
        """Return the entry of a text. Raises ValueError for what is none."""
        try:
            return AuditedItem(json.loads(text))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"is no entry: {type(error).__name__}: {error}") from error

    def _write(self, actions: list[dict[str, Any]], deadline: Deadline) -> bool:
        request = {"TransactItems": actions, "ClientRequestToken": os.urandom(TOKEN_BYTES).hex()}
        try:
            call(self.client.transact_write_items, request, deadline)
        except Cancelled:
            return False
        return True

    def audited(self, entry: Entry) -> AuditedEntry:
        """Return an entry as audits would see it, were it appended now."""
        return AuditedItem(item_of(entry, self.clock.now()))

    # --- seals ---

    def last_seal(self, deadline: Deadline) -> Seal:
        """Return the newest header; the one before the first where there is none."""
        request = {**headers_request(self.tables.seals, newest_first=True), "Limit": 1}
        found = call(self.client.query, request, deadline).get("Items", [])
        return header_of(found[0])[0] if found else NO_SEAL

    def seals(self, deadline: Deadline) -> Iterator[tuple[Seal, str]]:
        """Yield all headers in order, each with the hash that was stored with it."""
        yield from map(header_of, items(self.client.query, headers_request(self.tables.seals), deadline))

    def keep_part(self, lines: Iterable[str], deadline: Deadline) -> str:
        """Store a part, and return its name. Stored again it is the same."""
        name, item = part_of(lines)
        call(self.client.put_item, {"TableName": self.tables.seals, "Item": item}, deadline)
        return name

    def part(self, name: str, deadline: Deadline) -> list[SealedEntry] | None:
        """Return the entries of a part, None where it is gone or was changed."""
        request = {"TableName": self.tables.seals, "Key": part_key(name), "ConsistentRead": True}
        return lines_of(call(self.client.get_item, request, deadline).get("Item"), name)

    def keep(self, seal: Seal, deadline: Deadline) -> bool:
        """Store a header. False where its number is taken, by another than itself: somebody was faster."""
        return self._put_new(header_item(seal), deadline) or self.last_seal(deadline) == seal  # an answer was lost

    def _put_new(self, item: Item, deadline: Deadline) -> bool:
        this_number_is_free = "attribute_not_exists(id)"
        request = {"TableName": self.tables.seals, "Item": item, "ConditionExpression": this_number_is_free}
        try:
            call(self.client.put_item, request, deadline)
        except ConditionFailed:
            return False
        return True

    # --- balances that are checked against the ledger ---

    def balance_pages(self, deadline: Deadline) -> Iterator[BalancePage]:
        """Yield the pages of the book of balances, in their order. Raises LedgerRefused for what is none."""
        yield from map(page_of, items(self.client.query, pages_request(self.tables.seals), deadline))

    def keep_balances(self, page: BalancePage, deadline: Deadline) -> bool:
        """Store a page. False where its number is taken, by another than itself: somebody was faster."""
        return self._put_new(page_item(page), deadline) or page in self.balance_pages(deadline)  # an answer was lost
