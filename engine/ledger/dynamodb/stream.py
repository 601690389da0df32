"""What the Ledger's stream tells <-> the lines of the archive.

A line is a *record*: an entry that was inserted, whole, in DynamoDB's own JSON; or a change of one, or its removal, of which
the digest tells whether anything but an explanation is another. Entries of a ledger that is older than its archive are *taken
in*.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from engine.domain.instants import posting_text
from engine.ledger.dynamodb.attributes import AttributeValue, Item, decode
from engine.ledger.dynamodb.audits import AuditedItem
from engine.ledger.dynamodb.postings import EXPLANATION
from engine.ledger.dynamodb.seals import digest_of
from engine.ledger.seals import canonical
from engine.ledger.stored import EntryKey


class Told(StrEnum):
    """What a record tells of an entry."""

    INSERT = "insert"
    MODIFY = "modify"
    REMOVE = "remove"
    TAKEN_IN = "taken-in"
    """It stood in the ledger when the archive began, or when somebody took in what it lacked."""


WHOLE = (Told.INSERT, Told.TAKEN_IN)
"""Of these a record has all of the entry."""


@frozen
class Record:
    """What a line of the archive tells of the entry at ``key``."""

    told: Told
    at: str
    """When it happened, as the stream has it: sortable text."""
    key: EntryKey
    digest: str = ""
    """The SHA-256 of all attributes but an explanation; empty for what was removed."""
    item: Item | None = field(default=None, repr=False)
    """The whole entry, without an explanation."""
    explanation: AttributeValue | None = None
    """What stands there as its explanation."""

    @property
    def entry(self) -> AuditedItem | None:
        """The entry as audits see it; None where the record has not all of it."""
        return AuditedItem(self.item) if self.item is not None else None

    @property
    def words(self) -> object:
        """Its explanation, as JSON-like values; None where it has none."""
        return decode(self.explanation) if self.explanation is not None else None

    @property
    def is_taken_in(self) -> bool:
        """Whether the entry is older than the archive."""
        return self.told is Told.TAKEN_IN

    def text(self) -> str:
        """Return the line."""
        reference, sequence = self.key
        said = {
            "told": self.told.value,
            "at": self.at,
            "reference": reference,
            "sequence": str(sequence),
            "digest": self.digest,
            "entry": self.item,
            "explanation": self.explanation,
        }
        return canonical({name: value for name, value in said.items() if value is not None})

    @classmethod
    def read(cls, text: str) -> Record:
        """Return the record of a line. Raises ValueError for what is none."""
        try:
            said = json.loads(text)
            key = _text(said["reference"]), _sequence(said["sequence"])
            at, digest = _text(said["at"]), _text(said["digest"])
            found = cls(Told(said["told"]), at, key, digest, said.get("entry"), said.get("explanation"))
            _ = found.words
            is_whole = found.item is None or (digest_of(found.item), key_of(found.item)) == (digest, key)
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError) as error:
            raise ValueError(f"is no record of the archive: {type(error).__name__}: {error}") from error
        if not is_whole:
            raise ValueError(f"{key[0]}, entry {key[1]}: is not what its digest says")
        return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def record_of(told: Told, at: datetime, item: Item) -> Record:
    """Return the record of an entry as DynamoDB gives it, whole or changed."""
    plain = {name: value for name, value in item.items() if name != EXPLANATION}
    whole = plain if told in WHOLE else None
    return Record(told, posting_text(at), key_of(item), digest_of(item), whole, item.get(EXPLANATION))


def record_of_stream(event: Mapping[str, Any]) -> Record:
    """Return what a record of the Ledger's stream tells. Raises KeyError, TypeError or ValueError for what is none.

    The stream has to carry new images.
    """
    told, change = Told(event["eventName"].lower()), event["dynamodb"]
    at = datetime.fromtimestamp(float(change["ApproximateCreationDateTime"]), UTC)
    if told is Told.REMOVE:
        return Record(told, posting_text(at), key_of(change["Keys"]))
    return record_of(told, at, change["NewImage"])


def key_of(item: Item) -> EntryKey:
    """Return where an entry stands."""
    return item["reference"]["S"], _sequence(item["sequence"]["N"])


def _sequence(text: str) -> int | Decimal:
    found: int | Decimal = decode({"N": text})
    return found
