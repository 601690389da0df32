"""The chain: numbered objects, each with the digest of the one before.

An object is JSON lines, compressed: a header (its number, its day, the digest of the object before, how many lines follow),
then the lines. Its digest is the SHA-256 of that text. Its key names its day, its number, the beginning of the digest before
it and of its own::

    entries/day=2026-11-28/000000000042-<32 digits of the one before>-<32 digits of its own>.jsonl.gz

So keys sort in the order of the chain, two writers can never put different objects under one key, and the chain can be
followed by keys alone. The *head* says which object is the last one. Whoever appends puts the object first and moves the head
then, on the condition that nobody else has: an object that no head has named, and no later one follows, is a *stray*. Its
writer died or was overtaken, and its lines come again in a later object.

Source: S. Haber, W. S. Stornetta, "How to Time-Stamp a Digital Document", Journal of Cryptology 3 (1991).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from math import inf
from typing import Any, Protocol, Self

from attrs import define, field, frozen

from engine.domain.errors import LedgerRefused, TimeIsUp
from engine.ledger.archive.bucket import Bucket
from engine.runtime.clock import Deadline

PREFIX = "entries/"
"""What the keys of the chain begin with; other objects of the bucket are about it."""

VERSION = 1

DIGITS = 32
"""So many hexadecimal digits of a digest stand in a key: 128 bits."""

FIRST_LINE = 2
"""The number of the first line behind an object's header: places are said as ``zcat`` and an editor show them."""

KEY = re.compile(r"entries/day=(\d{4}-\d\d-\d\d)/(\d{12})-([0-9a-f]{32})-([0-9a-f]{32})\.jsonl\.gz")


class ArchiveError(ValueError):
    """An object that is not what its key says."""


@frozen
class Head:
    """The last object of a chain; the one before the first has number 0."""

    number: int = 0
    digest: str = ""
    key: str = ""
    day: str = ""


EMPTY = Head()


@frozen
class ArchiveObject:
    """An object of the chain. ``lines`` are texts of ASCII without line breaks, ``day`` is an ISO date (UTC)."""

    number: int
    previous: str
    """The digest of the object before; empty for the first."""
    day: str
    lines: tuple[str, ...]
    digest: str = field(init=False, eq=False)

    @digest.default
    def _digest(self) -> str:
        return sha256(self.text().encode("ascii")).hexdigest()

    def text(self) -> str:
        """Return what its digest is of."""
        place = {"number": self.number, "previous": self.previous, "day": self.day}
        header = {"archive": VERSION, **place, "lines": len(self.lines)}
        return "\n".join((json.dumps(header, separators=(",", ":")), *self.lines))

    @property
    def key(self) -> str:
        """Return where it is kept."""
        before, own = self.previous[:DIGITS].rjust(DIGITS, "0"), self.digest[:DIGITS]
        return f"{PREFIX}day={self.day}/{self.number:012d}-{before}-{own}.jsonl.gz"

    @property
    def head(self) -> Head:
        """Return the head that names it."""
        return Head(self.number, self.digest, self.key, self.day)

    def body(self) -> bytes:
        """Return it as it is kept. The same lines give the same bytes."""
        return gzip.compress(self.text().encode("ascii"), mtime=0)

    @classmethod
    def after(cls, head: Head, lines: Sequence[str], at: datetime) -> Self:
        """Return the object that follows a head, of what is appended ``at`` an instant. Days never go back."""
        return cls(head.number + 1, head.digest, max(head.day, at.astimezone(UTC).date().isoformat()), tuple(lines))

    @classmethod
    def read(cls, key: str, body: bytes) -> Self:
        """Return the object that is kept under ``key``. Raises ArchiveError where it is not what its key says."""
        try:
            first, *lines = gzip.decompress(body).decode("ascii").split("\n")
            header = json.loads(first)
            found = cls(header["number"], header["previous"], header["day"], tuple(lines))
        except (OSError, EOFError, zlib.error, ValueError, KeyError, RecursionError, TypeError) as error:
            raise ArchiveError(f"{key}: is no object of the archive: {error or type(error).__name__}") from error
        if header.get("archive") != VERSION or found.key != key:
            raise ArchiveError(f"{key}: is not what its key says; its own key would be {found.key}")
        return found


class HeadStore(Protocol):
    """Where the head of the chain stands."""

    def head(self, deadline: Deadline) -> Head:
        """Return the head as it is now; ``EMPTY`` where nothing was appended yet."""

    def move(self, seen: Head, to: Head, deadline: Deadline) -> bool:
        """Let the head be ``to``. False where it is no longer as it was ``seen``."""


APPENDS_MAX = 20
"""So often a writer is overtaken before it gives up: its records come again."""


def append(bucket: Bucket, heads: HeadStore, lines: Sequence[str], at: datetime, deadline: Deadline) -> Head:
    """Append lines to the chain as one object, and return the head after it. Others may append meanwhile.

    Raises LedgerError where it was not appended; whether a stray of it is left over makes no difference.
    """
    for _ in range(APPENDS_MAX):
        seen = heads.head(deadline)
        new = ArchiveObject.after(seen, lines, at)
        bucket.put(new.key, new.body(), deadline)
        if heads.move(seen, new.head, deadline):
            return new.head
    raise LedgerRefused(f"the archive's head was moved by others {APPENDS_MAX} times in a row")


@frozen
class Break:
    """A place at which the chain is not as it was written: behind ``number``, the last object that follows."""

    number: int
    problem: str


def follow(
    bucket: Bucket, after: Head, until: Head | None, deadline: Deadline, passed_over: list[str] | None = None
) -> Iterator[ArchiveObject | Break]:
    """Yield the objects of the chain ``after`` a head and ``until`` another, in order, and where it is broken.

    Without ``until`` it ends with the last object that is there; of several last ones each counts. Strays are left out:
    ``passed_over`` gets the key of each, before what came instead of it. A branch beside the chain is told at the end. Raises
    TimeIsUp where the deadline comes first. Memory is one object, and the keys of two days.
    """
    return _Follower(bucket, deadline, after, until, passed_over if passed_over is not None else []).objects()


@define
class _Follower:
    bucket: Bucket
    deadline: Deadline
    at: Head
    """The object that was passed last; of one that could not be read the digest is as short as in its key."""
    until: Head | None
    passed_over: list[str]
    _followers: dict[str, list[str]] = field(factory=dict, init=False)
    """The keys that were read and not passed yet, by what they say of the digest before them."""
    _others: list[str] = field(factory=list, init=False)
    """The keys of objects that another one was chosen instead of."""
    _unread: Iterator[str] = field(init=False)
    _is_read: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._unread = self.bucket.keys(PREFIX, self.at.key, self.deadline)

    def objects(self) -> Iterator[ArchiveObject | Break]:
        while self.until is None or self.at.number < self.until.number:
            keys = self._next_keys()
            if not keys:
                break
            yield from self._pass(keys)
        if self.until is not None and self.at.number < self.until.number:
            yield self._broken(f"objects {self.at.number + 1} to {self.until.number} are missing")
        elif self.until is not None and _short(self.at.digest) != _short(self.until.digest):
            yield self._broken(f"object {self.at.number} has the digest {self.at.digest}; the head says {self.until.digest}")
        yield from self._branches()

    def _branches(self) -> Iterator[Break]:
        """Yield where another branch begins. Nothing follows a stray: somebody has made one of the branches, or the head."""
        for key in self._others:
            if self._followers.get(_own_of(key)):
                yield Break(
                    _number_of(key) - 1, f"{key}: is no part of the chain, and others follow it: there are two branches"
                )

    def _broken(self, problem: str) -> Break:
        return Break(self.at.number, problem)

    def _pass(self, keys: Sequence[str]) -> Iterator[ArchiveObject | Break]:
        """Yield what is next; several keys are the last ones of a chain without a head."""
        for key in keys:
            if self.deadline.left() <= 0:
                raise TimeIsUp("the time to read the archive was used up")
            if _before_of(key) != _short(self.at.digest) and len(keys) == 1:
                yield self._broken(f"{key}: does not follow object {self.at.number}: what comes between is missing")
            yield (found := self._read(key))
            here = found.head if isinstance(found, ArchiveObject) else Head(_number_of(key), _own_of(key), key, _day_of(key))
        self.at = here

    def _read(self, key: str) -> ArchiveObject | Break:
        body = self.bucket.get(key, self.deadline)
        if body is None:
            return self._broken(f"{key}: is listed and cannot be read")
        try:
            return ArchiveObject.read(key, body)
        except ArchiveError as error:
            return self._broken(str(error))

    def _next_keys(self) -> list[str]:
        """Return the key of the next object; where the chain is broken the one after the gap; none at the end."""
        before = _short(self.at.digest)
        while not self._is_read and not self._is_clear(before):
            self._read_day()
        following = self._followers.pop(before, [])
        if len(following) <= 1:
            return following or self._behind_the_gap()
        reach = {key: self._reach(key) for key in following}
        furthest = [key for key in following if reach[key] == max(reach.values())]
        chosen = furthest if self.until is None else furthest[:1]
        others = [key for key in following if key not in chosen]
        self._others += others
        self.passed_over += others
        return chosen

    def _is_clear(self, before: str) -> bool:
        """Say whether the keys that were read tell which object is next. Of a fork the longest branch tells it.

        One that nothing follows yet may be a stray: what came instead of it can stand behind it, and on a later day.
        """
        longest, second, *_ = *sorted(map(self._reach, self._followers.get(before, [])), reverse=True), 0, 0
        return longest > second + 1

    def _reach(self, key: str) -> float:
        """Return how many objects follow each other from one on, as far as keys were read; no end where the head does."""
        level, reached = [key], 0
        while level:
            if any(map(self._is_until, level)):
                return inf
            level = [later for each in level for later in self._followers.get(_own_of(each), [])]
            reached += 1
        return reached

    def _is_until(self, key: str) -> bool:
        return self.until is not None and key == self.until.key

    def _behind_the_gap(self) -> list[str]:
        """Return the key at which the chain goes on. Of several that nothing leads to, the longest branch counts."""
        later = [key for keys in self._followers.values() for key in keys if _number_of(key) > self.at.number + 1]
        if not later:
            return []
        first = min(later, key=lambda key: (-self._reach(key), key))
        self._followers[_before_of(first)].remove(first)
        return [first]

    def _read_day(self) -> None:
        """Read the keys of one more day."""
        day = None
        for key in self._unread:
            if KEY.fullmatch(key) and _number_of(key) > self.at.number:
                self._followers.setdefault(_before_of(key), []).append(key)
                if day is not None and _day_of(key) != day:
                    return
                day = _day_of(key)
        self._is_read = True


def heads_of(found: Iterable[ArchiveObject | Break]) -> Iterator[Head]:
    """Yield the heads that name what was read."""
    yield from (each.head for each in found if isinstance(each, ArchiveObject))


def _parts(key: str) -> Sequence[Any]:
    found = KEY.fullmatch(key)
    return found.groups() if found else ("", "0", "", "")


def _day_of(key: str) -> str:
    return str(_parts(key)[0])


def _number_of(key: str) -> int:
    return int(_parts(key)[1])


def _before_of(key: str) -> str:
    return str(_parts(key)[2])


def _own_of(key: str) -> str:
    return str(_parts(key)[3])


def _short(digest: str) -> str:
    return digest[:DIGITS].rjust(DIGITS, "0")
