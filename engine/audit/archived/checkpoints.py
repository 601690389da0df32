"""Checkpoints: how far an audit has come in the chain, and what the next one goes on with.

A checkpoint names the head that it rests on, the pages of the users' sums there, and what was found and is not put right: the
next audit looks at that again. Whoever may write checkpoints could make one up; so the whole is audited from the first
object on now and then, and its sums have to be the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from attrs import asdict, field, frozen

from engine.audit.archived.back import read_object
from engine.audit.archived.older import Written
from engine.domain.instants import posting_text
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import DIGITS, EMPTY, Head
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

PREFIX = "checkpoints/heads/"

KEY = re.compile(r"checkpoints/heads/(\d{12})-(\d{12})-([0-9a-f]{32})\.json")

VERSION = 1

WRITTEN_MAX = 100
"""Of so many heads a checkpoint knows when they had been written: of more than a day. For a day a record can come again."""


@frozen
class Open:
    """A place in the ledger at which something was found. ``archived`` is the key of the object with its original."""

    key: EntryKey
    archived: str = ""

    def answer(self) -> list[str]:
        """Return it as JSON-like values."""
        reference, sequence = self.key
        return [reference, str(sequence), self.archived]

    @classmethod
    def read(cls, told: list[str]) -> Open:
        """Return what ``answer`` has told. Raises ValueError or its kin for what is none."""
        reference, sequence, archived = told
        return cls((reference, int(sequence) if sequence.isdecimal() else Decimal(sequence)), archived)


@frozen
class Checkpoint:
    """What an audit hands on to the next one."""

    count: int = 0
    """How many came before."""
    head: Head = EMPTY
    at: str = ""
    """The latest instant of a record so far."""
    entries: int = 0
    """Originals so far."""
    users: int = 0
    digits: int = 0
    pages: dict[str, str] = field(factory=dict)
    open: tuple[Open, ...] = ()
    open_users: tuple[str, ...] = ()
    """Users whose books do not agree, or of whom nothing could be said."""
    silent: tuple[tuple[str, str, str], ...] = ()
    """Flagged entries of the last day that have no explanation yet: log, number, and when they came."""
    breaks: tuple[str, ...] = ()
    """What is not as it was written in the archive up to here."""
    written: tuple[Written, ...] = ()
    """When the heads of the last checkpoints had been written, in order: what was posted later stands behind them."""
    undecided: tuple[Open, ...] = ()
    """Places of which nothing could be said, since the time was over before their originals were found."""

    def text(self) -> str:
        """Return what is kept of it."""
        places = {"open": [each.answer() for each in self.open], "undecided": [each.answer() for each in self.undecided]}
        said = {**asdict(self, recurse=True), **places, "checkpoint": VERSION}
        for later in ("written", "undecided"):
            if not said[later]:
                del said[later]  # of those that were kept before there was any
        return json.dumps(said, sort_keys=True)

    def written_until(self, head: Head, now: datetime) -> tuple[Written, ...]:
        """Return what the next one says of when heads had been written, where the last one is there ``now``."""
        if head.number == (self.written[-1][1] if self.written else 0):
            return self.written
        return (*self.written, (posting_text(now), head.number))[-WRITTEN_MAX:]

    @property
    def key(self) -> str:
        """Return where it is kept."""
        digest = sha256(self.text().encode("ascii")).hexdigest()[:DIGITS]
        return f"{PREFIX}{self.count:012d}-{self.head.number:012d}-{digest}.json"

    @classmethod
    def read(cls, key: str, body: bytes) -> Checkpoint:
        """Return the checkpoint that is kept under ``key``. Raises ValueError for what is none."""
        try:
            said: dict[str, Any] = json.loads(body)
            del said["checkpoint"]  # of another version its key would be another one
            tuples = {name: tuple(said.pop(name)) for name in ("open_users", "breaks")}
            silent = tuple((reference, number, at) for reference, number, at in said.pop("silent"))
            written = tuple((str(instant), int(number)) for instant, number in said.pop("written", ()))
            opened, undecided = (tuple(map(Open.read, said.pop(name, ()))) for name in ("open", "undecided"))
            places = {"open": opened, "undecided": undecided}
            own = {"head": Head(**said["head"]), **places, "silent": silent, "written": written}
            found = cls(**{**said, **tuples, **own})
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{key}: is no checkpoint: {error}") from error
        if found.key != key:
            raise ValueError(f"{key}: is not what its key says")
        return found


BEGINNING = Checkpoint()


def keep(bucket: Bucket, checkpoint: Checkpoint, deadline: Deadline) -> None:
    """Keep a checkpoint; its pages are kept already."""
    bucket.put(checkpoint.key, checkpoint.text().encode("ascii"), deadline)


def last(bucket: Bucket, deadline: Deadline) -> Iterator[Checkpoint | str]:
    """Yield what is wrong with the newest checkpoints, as far as that goes, and then the newest that is good."""
    for key in sorted((key for key in bucket.keys(PREFIX, "", deadline) if KEY.fullmatch(key)), reverse=True):
        try:
            found = Checkpoint.read(key, bucket.get(key, deadline) or b"")
        except ValueError as error:
            yield str(error)
            continue
        if not found.head.number or _is_there(bucket, found.head, deadline):
            yield found
            return
        yield f"{key}: rests on {found.head.key}, which is no object of the archive"
    yield BEGINNING


def begun(bucket: Bucket, deadline: Deadline, *, whole: bool) -> tuple[Checkpoint, list[str]]:
    """Return the checkpoint that an audit goes on from (one of the ``whole``: none), and what is wrong with newer ones."""
    problems = list[str]()
    found = BEGINNING
    for each in last(bucket, deadline):
        if isinstance(each, str):
            problems.append(each)
        else:
            found = each
    return (Checkpoint(count=found.count) if whole else found), problems


def _is_there(bucket: Bucket, head: Head, deadline: Deadline) -> bool:
    found = read_object(bucket, head.key, deadline)
    return found is not None and found.head == head
