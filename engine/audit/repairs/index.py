"""Where in the archive something is about a log or a user: in a database on disk, since an archive is larger than memory.

A repair of one user rests on few objects. The archive is read once to know which; those alone are read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from attrs import define

from engine.ledger.audits import ArchivedRecord
from engine.ledger.on_disk import OnDisk

TABLES = """
    CREATE TABLE objects (number INTEGER PRIMARY KEY, key TEXT);
    CREATE TABLE records (object INTEGER, log INTEGER, user INTEGER);
    CREATE TABLE logs (log INTEGER PRIMARY KEY);
    CREATE TABLE users (user INTEGER PRIMARY KEY);
"""

type Short = int
"""A text in 64 bits. Two texts are the same one in a trillion times: then an object is read that has nothing to do with it."""

type Place = tuple[int, str]
"""The number of an object in the order of the chain, and its key."""


def short(text: str) -> Short:
    """Return what stands for a text as long as this process lives."""
    return hash(text)


@define(eq=False)
class Index(OnDisk):
    """What the objects of an archive are about. Logs and users are chosen, and say which objects are read again."""

    TABLES: ClassVar[str] = TABLES

    def take(self, key: str, records: Iterable[ArchivedRecord]) -> None:
        """Take in the next object of the chain."""
        number = self.database.execute("INSERT INTO objects (key) VALUES (?)", (key,)).lastrowid
        rows = {(number, short(record.key[0]), _user_of(record)) for record in records}
        self.database.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)

    def choose(self, user: str, references: Iterable[str]) -> None:
        """Choose logs by name, and every log that an entry of a user was written to; and the users of all these."""
        named = [(short(reference),) for reference in references]
        self.database.executemany("INSERT OR IGNORE INTO logs VALUES (?)", named)
        self.database.execute("INSERT OR IGNORE INTO logs SELECT log FROM records WHERE user = ?", (short(user),))
        in_these_logs = "user IS NOT NULL AND log IN (SELECT log FROM logs)"
        self.database.execute(f"INSERT OR IGNORE INTO users SELECT user FROM records WHERE {in_these_logs}")  # noqa: S608  all of it is ours
        self._choose_users([user])

    def choose_others(self, users: Iterable[str]) -> bool:
        """Let those of some users be chosen that are not, and nothing else. Say whether there is one."""
        others = [user for user in users if not self.has_user(user)]
        self.database.execute("DELETE FROM logs")
        self.database.execute("DELETE FROM users")
        self._choose_users(others)
        return bool(others)

    def _choose_users(self, users: Iterable[str]) -> None:
        self.database.executemany("INSERT OR IGNORE INTO users VALUES (?)", [(short(user),) for user in users])

    def has_log(self, reference: str) -> bool:
        """Say whether a log is chosen."""
        return self._has("SELECT 1 FROM logs WHERE log = ?", reference)

    def has_user(self, user: str | None) -> bool:
        """Say whether a user is chosen."""
        return user is not None and self._has("SELECT 1 FROM users WHERE user = ?", user)

    def _has(self, query: str, text: str) -> bool:
        return self.database.execute(query, (short(text),)).fetchone() is not None

    def places(self) -> list[Place]:
        """Return the objects that have anything of a log or a user that is chosen, in the order of the chain."""
        is_wanted = "log IN (SELECT log FROM logs) OR user IN (SELECT user FROM users)"
        wanted = f"SELECT object FROM records WHERE {is_wanted}"  # noqa: S608  the same
        return list(self.database.execute(f"SELECT number, key FROM objects WHERE number IN ({wanted}) ORDER BY number"))  # noqa: S608  the same


def _user_of(record: ArchivedRecord) -> Short | None:
    user = record.entry.line.user if record.entry is not None else None
    return short(user) if user is not None else None
