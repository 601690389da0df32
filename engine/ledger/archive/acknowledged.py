"""Breaks of an archive that a person has looked at and answers for: what is gone for good need not keep an alarm on for ever.

An acknowledgement is an object of the archive's bucket, and stays there. It is of one break, word for word: what is found
beside it is new. Audits tell it each time, with who has said it and why, and repairs and restores go on behind it. No role
that works by itself may put one.
"""

from __future__ import annotations

import json
from hashlib import sha256

from attrs import asdict, frozen

from engine.ledger.archive.bucket import Bucket
from engine.runtime.clock import Deadline

PREFIX = "acknowledged/"

VERSION = 1

NAME_DIGITS = 12
"""So many hexadecimal digits name a break to a person: two of a hundred are the same once in fifty billion times."""


@frozen
class Acknowledged:
    """A break (``problem``, as audits tell it), and who answers for it since when (sortable text), and why."""

    problem: str
    by: str
    at: str
    reason: str

    @property
    def key(self) -> str:
        """Return where it is kept: of one break there is one, the first."""
        return f"{PREFIX}{_digest(self.problem)}.json"

    def text(self) -> str:
        """Return what is kept."""
        return json.dumps({"acknowledged": VERSION, **asdict(self)}, sort_keys=True)

    @classmethod
    def read(cls, key: str, body: bytes) -> Acknowledged:
        """Return what is kept under a key. Raises ValueError for what is none."""
        try:
            said = json.loads(body)
            found = cls(*(str(said[name]) for name in ("problem", "by", "at", "reason")))
        except (KeyError, RecursionError, TypeError) as error:
            raise ValueError(f"{key}: is no acknowledgement: {error}") from error
        if found.key != key:
            raise ValueError(f"{key}: is not what its key says")
        return found

    def line(self) -> str:
        """Return it as a person reads it."""
        return f"acknowledged: {self.problem}: by {self.by} at {self.at}: {self.reason}"


def name_of(problem: str) -> str:
    """Return how a person names a break."""
    return _digest(problem)[:NAME_DIGITS]


def _digest(problem: str) -> str:
    return sha256(problem.encode("utf-8", "surrogatepass")).hexdigest()


def keep(bucket: Bucket, said: Acknowledged, deadline: Deadline) -> Acknowledged:
    """Keep an acknowledgement, and return the one that counts: the first of a break."""
    found = acknowledged(bucket, deadline).get(said.problem)
    if found is not None:
        return found
    bucket.put(said.key, said.text().encode(), deadline)
    return Acknowledged.read(said.key, bucket.get(said.key, deadline) or b"")


def acknowledged(bucket: Bucket, deadline: Deadline) -> dict[str, Acknowledged]:
    """Return what people answer for, by the break. What is no acknowledgement acknowledges nothing."""
    found: dict[str, Acknowledged] = {}
    for key in bucket.keys(PREFIX, "", deadline):
        try:
            said = Acknowledged.read(key, bucket.get(key, deadline) or b"")
        except ValueError:
            continue
        found[said.problem] = said
    return found
