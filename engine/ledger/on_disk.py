"""A small database in a file of this process's own, for what an archive is too large to be held in memory for.

The file has no name: it is gone with the process, whatever ends it.
"""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import ClassVar, Self

from attrs import define, field

WITHOUT_A_WAY_BACK = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
"""Nobody reads the file after this process: what breaks off in it need not be undone."""


@define(eq=False)
class OnDisk:
    """What keeps its rows in such a database, all in one transaction that is never committed."""

    TABLES: ClassVar[str] = ""
    """The statements that create its tables."""

    database: sqlite3.Connection = field(init=False, repr=False)

    @database.default
    def _database(self) -> sqlite3.Connection:
        database = sqlite3.connect("", isolation_level=None)
        database.executescript(f"{WITHOUT_A_WAY_BACK} {self.TABLES}")
        database.execute("BEGIN")
        return database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.database.close()
