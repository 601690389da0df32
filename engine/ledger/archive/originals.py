"""What the archive has of every entry, in a database on disk: a ledger is larger than memory.

The archive has each record at least once. Of one place in the ledger the first whole record counts, its *original*; the same
again is the same. Of its explanation the first counts that was told of just this entry: it is written once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from enum import IntEnum
from typing import ClassVar

from attrs import define, field, frozen

from engine.ledger.moved import NOTHING, Moved
from engine.ledger.on_disk import OnDisk
from engine.ledger.stored import EntryKey

TABLES = """
    CREATE TABLE originals (
        reference TEXT, sequence TEXT, digest TEXT, object INTEGER, line INTEGER, state INTEGER DEFAULT 0, explanation TEXT,
        PRIMARY KEY (reference, sequence)
    ) WITHOUT ROWID;
    CREATE INDEX by_object ON originals (object);
    CREATE TABLE later (reference TEXT, sequence TEXT, digest TEXT, PRIMARY KEY (reference, sequence, digest)) WITHOUT ROWID;
"""


class State(IntEnum):
    """What stands in an original's place in the ledger."""

    MISSING = 0
    """Nothing, as far as the ledger was read."""
    SAME = 1
    CHANGED = 2
    """Another entry."""
    UNEXPLAINED = 3
    """The entry, without the explanation that was archived, or with another one."""
    REPLACED = 4
    """Another entry that the archive has seen come into this place later: only a person can say which of both was posted."""


DIFFERS = ", ".join(str(int(state)) for state in (State.MISSING, State.CHANGED, State.UNEXPLAINED))


@frozen
class Told:
    """What a line of the archive tells: of an entry that came (``is_whole``), or of a change of one."""

    key: EntryKey
    digest: str
    is_whole: bool
    explanation: str | None = None
    """As a canonical text."""
    user: str = ""
    moves: Moved = NOTHING


@frozen
class Place:
    """Where an object of the archive has an original: in which line. ``is_free`` where nothing stands in the ledger."""

    line: int
    explanation: str | None
    is_free: bool


@define(eq=False)
class Originals(OnDisk):
    """The originals of an archive. ``sums`` are by user, of what each original says; one that names no user is in none."""

    TABLES: ClassVar[str] = TABLES

    sums: dict[str, Moved] = field(factory=lambda: defaultdict(lambda: NOTHING))
    count: int = 0
    again: int = 0
    """Records that came once more, as the archive may have them."""

    # --- from the archive ---

    def take(self, digest: str, told: Iterable[tuple[int, Told]]) -> None:
        """Take in what the lines of an object (its digest) tell, each with its number."""
        for line, each in told:
            if each.is_whole:
                self._take_whole(_short(digest), line, each)
            if each.explanation is not None:
                self._explain(each)

    def _take_whole(self, of: int, line: int, told: Told) -> None:
        row = (*_columns(told.key), told.digest, of, line)
        statement = "INSERT OR IGNORE INTO originals (reference, sequence, digest, object, line) VALUES (?, ?, ?, ?, ?)"
        if self.database.execute(statement, row).rowcount:
            self.count += 1
            if told.user:
                self.sums[told.user] += told.moves
        elif self.digest_of(told.key) == told.digest:
            self.again += 1
        else:
            self.database.execute("INSERT OR IGNORE INTO later VALUES (?, ?, ?)", (*_columns(told.key), told.digest))

    def _explain(self, told: Told) -> None:
        it_is_this_entry = "reference = ? AND sequence = ? AND digest = ? AND explanation IS NULL"
        statement = f"UPDATE originals SET explanation = ? WHERE {it_is_this_entry}"  # noqa: S608  all of it is ours
        self.database.execute(statement, (told.explanation, *_columns(told.key), told.digest))

    # --- beside the ledger ---

    def digest_of(self, key: EntryKey) -> str | None:
        """Return the digest of the original at a place, None where there is none."""
        found = self.database.execute("SELECT digest FROM originals WHERE reference = ? AND sequence = ?", _columns(key))
        row = found.fetchone()
        return row[0] if row else None

    def is_known(self, told: Told) -> bool:
        """Note what stands in the ledger at a place. False where the archive has no entry there."""
        query = "SELECT digest, explanation FROM originals WHERE reference = ? AND sequence = ?"
        row = self.database.execute(query, _columns(told.key)).fetchone()
        if row is None:
            return False
        state = self._state(told, *row)
        statement = "UPDATE originals SET state = ? WHERE reference = ? AND sequence = ?"
        self.database.execute(statement, (state, *_columns(told.key)))
        return True

    def _state(self, told: Told, digest: str, explanation: str | None) -> State:
        if digest == told.digest:
            return State.SAME if explanation in {None, told.explanation} else State.UNEXPLAINED
        query = "SELECT 1 FROM later WHERE reference = ? AND sequence = ? AND digest = ?"
        has_come = self.database.execute(query, (*_columns(told.key), told.digest)).fetchone() is not None
        return State.REPLACED if has_come else State.CHANGED

    def counts(self) -> dict[State, int]:
        """Return how many originals are in each state."""
        rows = dict(self.database.execute("SELECT state, COUNT(*) FROM originals GROUP BY state"))
        return {state: rows.get(state, 0) for state in State}

    def named(self, state: State, most: int) -> list[EntryKey]:
        """Return some of the places that are in a state, in order."""
        query = "SELECT reference, sequence FROM originals WHERE state = ? ORDER BY reference, sequence LIMIT ?"
        return [_key(*row) for row in self.database.execute(query, (state, most))]

    def differing(self, digest: str) -> list[Place]:
        """Return where an object (its digest) has originals that the ledger has not as they are."""
        columns = "line, explanation, state"
        query = f"SELECT {columns} FROM originals WHERE object = ? AND state IN ({DIFFERS}) ORDER BY line"  # noqa: S608  the same
        rows = self.database.execute(query, (_short(digest),))
        return [Place(line, explanation, state == State.MISSING) for line, explanation, state in rows]

    def has_log(self, reference: str) -> bool:
        """Say whether the archive has an entry of a log."""
        query = "SELECT 1 FROM originals WHERE reference = ? LIMIT 1"
        return self.database.execute(query, (reference,)).fetchone() is not None


def _short(digest: str) -> int:
    """Return 60 bits of a digest: so many tell an object from all others, at a quarter of the room."""
    return int(digest[:15], 16)


def _columns(key: EntryKey) -> tuple[str, str]:
    reference, sequence = key
    return reference, format(sequence, "f" if isinstance(sequence, Decimal) else "d")


def _key(reference: str, sequence: str) -> EntryKey:
    return reference, int(sequence) if sequence.isdecimal() else Decimal(sequence)
