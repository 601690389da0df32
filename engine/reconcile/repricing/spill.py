"""Entries and lines on disk, in the order in which they are asked for: a ledger is larger than memory."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Self

from attrs import frozen

from engine.ledger.store import StoredEntry

TABLES = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE entries (reference TEXT, sequence INTEGER, body BLOB);
    CREATE TABLE jobs (
        user TEXT, takes INTEGER, reference TEXT, line TEXT, model TEXT, day TEXT, before TEXT, after TEXT, difference TEXT
    );
    CREATE TABLE spared (user TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE left_out (reference TEXT, line TEXT);
"""

ORDER = "ORDER BY user, takes, reference"
"""A user's jobs together, what gives before what takes."""

IS_SPARED = "takes AND user IN (SELECT user FROM spared)"


@frozen
class Figures:
    """What of a job is counted."""

    user: str
    reference: str
    model: str
    day: str
    before: Decimal
    after: Decimal
    difference: Decimal


class Spill:
    """A database of one run, in a file that SQLite makes (in TMPDIR, else /var/tmp) and that goes with the process."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.executescript(TABLES)
        self.database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.database.close()

    # --- entries, by their logs ---

    def keep_entries(self, entries: Iterable[StoredEntry]) -> None:
        """Keep entries, in whatever order they come."""
        rows = ((entry["reference"], int(entry["sequence"]), pickle.dumps(entry, 5)) for entry in entries)
        self.database.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
        self.database.execute("CREATE INDEX by_log ON entries (reference, sequence)")

    def logs(self) -> Iterator[list[StoredEntry]]:
        """Yield the entries of each log, in order of their sequence."""
        rows = self.database.execute("SELECT reference, body FROM entries ORDER BY reference, sequence")
        for _, entries in groupby(rows, key=itemgetter(0)):
            yield [pickle.loads(body) for _, body in entries]  # noqa: S301  what this very run has written

    # --- what becomes of them, by users ---

    def keep_job(self, job: Figures, line: str) -> None:
        """Keep the line of a job."""
        of_user, names = (job.user, job.difference < 0, job.reference, line), (job.model, job.day)
        figures = map(str, (job.before, job.after, job.difference))
        self.database.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*of_user, *names, *figures))

    def users(self) -> Iterator[tuple[str, Iterator[Figures]]]:
        """Yield the jobs of each user that are not spared."""
        columns = "user, reference, model, day, before, after, difference"
        query = f"SELECT {columns} FROM jobs WHERE NOT ({IS_SPARED}) {ORDER}"  # noqa: S608  all of it is ours
        for user, rows in groupby(self.database.execute(query), key=itemgetter(0)):
            yield user, (Figures(*row[:4], *map(Decimal, row[4:])) for row in rows)

    def spare(self, user: str) -> None:
        """Let a user's jobs be left alone that would take credits."""
        self.database.execute("INSERT OR IGNORE INTO spared VALUES (?)", (user,))

    def spared(self) -> Iterator[tuple[str, str]]:
        """Yield the references and the users of the jobs that are left alone."""
        query = f"SELECT reference, user FROM jobs WHERE {IS_SPARED} {ORDER}"  # noqa: S608  as above
        yield from self.database.execute(query)

    def lines(self) -> Iterator[str]:
        """Yield the lines of all jobs that are not spared."""
        query = f"SELECT line FROM jobs WHERE NOT ({IS_SPARED}) {ORDER}"  # noqa: S608  as above
        yield from (line for (line,) in self.database.execute(query))

    def leave_out(self, reference: str, line: str) -> None:
        """Keep the line of a job that cannot be told."""
        self.database.execute("INSERT INTO left_out VALUES (?, ?)", (reference, line))

    def left_out(self) -> Iterator[str]:
        """Yield the lines of what cannot be told, by reference."""
        yield from (line for (line,) in self.database.execute("SELECT line FROM left_out ORDER BY reference"))
