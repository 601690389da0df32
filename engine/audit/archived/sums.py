"""What the archive says was posted for each user, carried along from checkpoint to checkpoint, in pages by hash of the user.

A page is an object under its own digest: one in which nothing has changed is the same object in the next checkpoint.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256

from attrs import Factory, define, evolve, frozen

from engine.domain.money import ZERO
from engine.ledger.archive.bucket import Bucket
from engine.ledger.moved import NOTHING, Moved
from engine.runtime.clock import Deadline

PREFIX = "checkpoints/sums/"

USERS_OF_A_PAGE = 2_000
"""With more users than this on average there are sixteen times as many pages."""

DIGITS_MAX = 3


class SumsError(ValueError):
    """A page that is gone, or is not what its name says."""


@frozen
class UserSum:
    """What entries moved of a user's row, so many ``entries``; the last one stands in the object ``changed``.

    ``agreed`` is the last head at which the row said the same, or the object before the user's first entry: nothing was posted
    then. ``agreed_moves`` is what had been moved there.
    """

    user: str
    moves: Moved = NOTHING
    entries: int = 0
    changed: int = 0
    agreed: int = 0
    agreed_moves: Moved = NOTHING

    @property
    def is_open(self) -> bool:
        """Whether nobody has compared it since it changed."""
        return self.agreed < self.changed

    def text(self) -> str:
        """Return the line that stands for it in a page. What is held stands there only of users who have held anything."""
        amounts = [format(moves.amount, "f") for moves in (self.moves, self.agreed_moves)]
        held = [format(moves.held, "f") for moves in (self.moves, self.agreed_moves)]
        has_held = bool(self.moves.held or self.agreed_moves.held)
        sums = [self.user, amounts[0], self.entries, self.changed, self.agreed, amounts[1]]
        return json.dumps([*sums, *(held if has_held else ())])

    @classmethod
    def read(cls, text: str) -> UserSum:
        """Return what a line stands for. Raises ValueError for what is none."""
        user, amount, entries, changed, agreed, agreed_amount, *rest = json.loads(text)
        held, agreed_held = map(Decimal, rest or (ZERO, ZERO))
        moves, agreed_moves = Moved(Decimal(amount), held), Moved(Decimal(agreed_amount), agreed_held)
        return cls(user, moves, entries, changed, agreed, agreed_moves)


@define
class Sums:
    """The sums of a checkpoint, and what was added since. Pages are read when they are asked for.

    ``pages`` are the names of the pages by the first ``digits`` hexadecimal digits of the hash of their users.
    """

    bucket: Bucket
    digits: int = 0
    pages: dict[str, str] = Factory(dict)
    users: int = 0
    writes: bool = True
    """What only looks keeps nothing, and remembers no sum once it was looked at."""
    _read: dict[str, dict[str, UserSum]] = Factory(dict)
    _changed: set[str] = Factory(set)

    # --- sums ---

    @property
    def read(self) -> int:
        """Of how many users sums are in memory."""
        return sum(map(len, self._read.values()))

    def of(self, user: str, deadline: Deadline) -> UserSum:
        """Return the sum of a user. Raises SumsError."""
        return self._page(self._name(user), deadline).get(user, UserSum(user))

    def add(self, user: str, moves: Moved, number: int, deadline: Deadline) -> None:
        """Add what an entry moves that stands in an object (its number). Raises SumsError."""
        before = self.of(user, deadline)
        if not before.entries:
            before = UserSum(user, agreed=number - 1)
        self._set(evolve(before, moves=before.moves + moves, entries=before.entries + 1, changed=number), deadline)

    def agree(self, found: UserSum, number: int, deadline: Deadline) -> None:
        """Note that the row says the same of a user at a head (its number)."""
        if found.is_open:
            self._set(evolve(found, agreed=number, agreed_moves=found.moves), deadline)

    def correct(self, found: UserSum, moves: Moved, entries: int, deadline: Deadline) -> UserSum:
        """Let the sum of a user be another one: something was counted twice. Returns it."""
        right = evolve(found, moves=moves, entries=entries)
        self._set(right, deadline)
        return right

    def all(self, deadline: Deadline) -> Iterator[list[UserSum]]:
        """Yield the sums of all users, page by page; at the end of each it is kept, and let go of."""
        for name in sorted(self.pages.keys() | self._read.keys()):
            yield list(self._page(name, deadline).values())
            self._keep(name, deadline)
            del self._read[name]

    # --- pages ---

    def _name(self, user: str) -> str:
        return sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[: self.digits]

    def _set(self, found: UserSum, deadline: Deadline) -> None:
        name = self._name(found.user)
        page = self._page(name, deadline)
        self.users += found.user not in page
        page[found.user] = found
        self._changed.add(name)

    def _page(self, name: str, deadline: Deadline) -> dict[str, UserSum]:
        if name not in self._read:
            self._read[name] = self._kept(self.pages[name], deadline) if name in self.pages else {}
        return self._read[name]

    def _kept(self, digest: str, deadline: Deadline) -> dict[str, UserSum]:
        key = key_of(digest)
        body = self.bucket.get(key, deadline)
        try:
            text = gzip.decompress(body).decode("ascii") if body is not None else ""
            if sha256(text.encode("ascii")).hexdigest() != digest:
                raise SumsError(f"{key}: is gone, or is not what its name says")
            return {each.user: each for each in map(UserSum.read, text.split("\n"))}
        except (OSError, EOFError, zlib.error, ValueError, RecursionError, TypeError, ArithmeticError) as error:
            raise SumsError(str(error)) from error

    def save(self, deadline: Deadline) -> None:
        """Keep what has changed, and let go of what is in memory."""
        if self.users > USERS_OF_A_PAGE * 16**self.digits and self.digits < DIGITS_MAX:
            self._divide(deadline)
        for name in sorted(self._changed):
            self._keep(name, deadline)
        self._read = {}

    def _keep(self, name: str, deadline: Deadline) -> None:
        if name in self._changed and self.writes:
            text = "\n".join(self._read[name][user].text() for user in sorted(self._read[name]))
            digest = sha256(text.encode("ascii")).hexdigest()
            self.bucket.put(key_of(digest), gzip.compress(text.encode("ascii"), mtime=0), deadline)
            self.pages[name] = digest
            self._changed.discard(name)

    def _divide(self, deadline: Deadline) -> None:
        """Make sixteen pages of each."""
        names = self.pages.keys() | self._read.keys()
        everybody = [each for name in names for each in self._page(name, deadline).values()]
        self.digits += 1
        self.pages, self._read, self._changed = {}, {}, set()
        for each in everybody:
            name = self._name(each.user)
            self._read.setdefault(name, {})[each.user] = each
            self._changed.add(name)


def key_of(digest: str) -> str:
    """Return where a page is kept."""
    return f"{PREFIX}{digest}.jsonl.gz"
