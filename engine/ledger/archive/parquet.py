"""Entries as Parquet: a row for each, with columns that people can ask for. DuckDB writes them, Athena and DuckDB read them.

Credits are decimals of 38 digits, ten of them behind the point: as many as a policy can give a credit, and what both engines
add up exactly. A binary float would lose some in the fifteenth digit, so there is none. What has no place in a column stands
in ``entry``, which is the whole entry as the archive has it.

Sources: Apache Parquet, "LogicalTypes.md" (DECIMAL, TIMESTAMP, MAP); DuckDB documentation, "Parquet" and "JSON loading".
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

type Row = Mapping[str, Any]
"""An entry by its columns, as JSON has them: numbers and instants are texts."""

DIGITS, PLACES = 38, 10

DECIMAL, INSTANT, TEXT = f"DECIMAL({DIGITS},{PLACES})", "TIMESTAMP_MS", "VARCHAR"

PRICE = {
    "book": TEXT,
    "unit": TEXT,
    "rate": DECIMAL,
    "amount": DECIMAL,
    "effective": INSTANT,
    "minimum": DECIMAL,
    "maximum": DECIMAL,
}
CHARGE = {"amount": DECIMAL, "at": INSTANT, "policy": TEXT, "revision": "INTEGER", "said": f"MAP({TEXT}, {TEXT})"}
REFUND = {"percent": DECIMAL, "amount": DECIMAL, "at": INSTANT, "rule": TEXT, "policy": TEXT}
CORRECTION = {"told_by": TEXT, "reason": TEXT, "id": TEXT, "approved_by": TEXT, "plan": TEXT, "about": TEXT}


def _struct(fields: Mapping[str, str]) -> str:
    return f"STRUCT({', '.join(f'"{name}" {kind}' for name, kind in fields.items())})"


COLUMNS: Mapping[str, str] = {
    "reference": TEXT,
    "sequence": "BIGINT",
    "user_id": TEXT,
    "job_id": TEXT,
    "type": TEXT,
    "amount": DECIMAL,
    "cost": DECIMAL,
    "held": DECIMAL,
    "quantity": DECIMAL,
    "occurred_at": INSTANT,
    "posted_at": INSTANT,
    "rule": TEXT,
    "policy": TEXT,
    "model": TEXT,
    "attempt": "BIGINT",
    "source": TEXT,
    "event_id": TEXT,
    "price": _struct(PRICE),
    "charge": _struct(CHARGE),
    "refunds": f"{_struct(REFUND)}[]",
    "anomalies": f"{TEXT}[]",
    "correction": _struct(CORRECTION),
    "resolution": TEXT,
    "explanation": TEXT,
    "facts": TEXT,
    "archived_at": INSTANT,
    "digest": TEXT,
    "entry": TEXT,
}
"""The columns, in their order, with their types in DuckDB."""

THIS_PLACE = "reference || '/' || COALESCE(CAST(sequence AS VARCHAR), digest)"
"""What tells one place of the ledger from another. Only somebody's own entry has a sequence that is no whole number."""


ODD_MAX = 10


@define
class Lines:
    """Rows on their way into a file, on disk: a day of a ledger is larger than memory."""

    path: Path
    count: int = 0

    def __attrs_post_init__(self) -> None:
        self.path.write_bytes(b"")

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        with self.path.open("a", encoding="ascii") as file:
            for row in rows:
                self.count += 1
                file.write(json.dumps({"number": self.count, **row}, separators=(",", ":")) + "\n")


FETCHED_TOGETHER = 5_000
"""So many rows of a file are in memory at once."""


def connected(work: Path) -> DuckDBPyConnection:
    """Return DuckDB, which spills into a folder. Raises ModuleNotFoundError without the extra ``archive``."""
    import duckdb  # noqa: PLC0415  an extra, and heavy

    database = duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(work / "spill"), "threads": 2})
    database.execute("SET TimeZone = 'UTC'")
    return database


def entries_in(path: Path) -> Iterator[str]:
    """Yield the entries in a file, each as the archive has it. Raises ModuleNotFoundError without the extra ``archive``."""
    with tempfile.TemporaryDirectory(prefix="reconciler-") as work, connected(Path(work)) as database:
        found = database.execute("SELECT entry FROM read_parquet(?)", [str(path)])
        while some := found.fetchmany(FETCHED_TOGETHER):
            yield from (text for (text,) in some)


def write(database: DuckDBPyConnection, lines: Path, to: Path, rests_on: str, former: Sequence[Path] = ()) -> int:
    """Write rows into a Parquet file: of one place the first, and none that a ``former`` file has. Return how many.

    Explanations that came later stand on their rows. ``rests_on`` is kept beside the rows.
    """
    columns = {"number": "BIGINT", "told": TEXT, **COLUMNS}
    given = ", ".join(f"'{name}': '{kind.replace("'", "''")}'" for name, kind in columns.items())
    read = f"read_json(?, format = 'newline_delimited', columns = {{{given}}})"
    database.execute(f"CREATE OR REPLACE TEMP TABLE lines AS SELECT * FROM {read}", [str(lines)])  # noqa: S608  all of it is ours
    query = _query(former)
    options = f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {{rests_on: '{rests_on.replace("'", "''")}'}}"
    database.execute(f"COPY ({query}) TO '{_quoted(to)}' ({options})")
    (count,) = database.execute("SELECT COUNT(*) FROM read_parquet(?)", [str(to)]).fetchone() or (0,)
    return int(count)


def _query(former: Iterable[Path]) -> str:
    """Return the query for the rows of ``lines`` that go into the file."""
    shown = ", ".join(f"{'words' if name == 'explanation' else 'new'}.{name}" for name in COLUMNS)
    return f"""
        WITH whole AS (
            SELECT * FROM lines WHERE told = 'whole'
            QUALIFY ROW_NUMBER() OVER (PARTITION BY {THIS_PLACE} ORDER BY number) = 1
        ), words AS (
            SELECT reference, sequence, digest, FIRST(explanation ORDER BY number) AS explanation
            FROM lines WHERE explanation IS NOT NULL GROUP BY ALL
        ), new AS (SELECT * FROM whole {_is_new(former)})
        SELECT {shown} FROM new LEFT JOIN words ON words.reference = new.reference
            AND words.sequence IS NOT DISTINCT FROM new.sequence AND words.digest = new.digest
        ORDER BY new.posted_at, new.reference, new.sequence
    """  # noqa: S608  the same, and paths are quoted


def _is_new(former: Iterable[Path]) -> str:
    files = ", ".join(f"'{_quoted(path)}'" for path in former)
    if not files:
        return ""
    known = f"(SELECT {THIS_PLACE} AS place FROM read_parquet([{files}]))"  # noqa: S608  the same
    return f"WHERE NOT EXISTS (SELECT 1 FROM {known} AS former WHERE former.place = {THIS_PLACE})"  # noqa: S608  the same


def rests_on(database: DuckDBPyConnection, file: Path) -> str:
    """Return what a file was written with."""
    kept = dict(database.execute("SELECT key, value FROM parquet_kv_metadata(?)", [str(file)]).fetchall())
    return bytes(kept.get(b"rests_on", b"")).decode()


def odd_places(database: DuckDBPyConnection, file: Path) -> list[str]:
    """Return the places of a file (the first of them) whose entry moves what no column holds: somebody has made it."""
    is_odd = "amount IS NULL OR cost IS NULL OR held IS NULL"
    query = f"SELECT {THIS_PLACE} FROM read_parquet(?) WHERE {is_odd} ORDER BY 1 LIMIT {ODD_MAX}"  # noqa: S608  the same
    return [place for (place,) in database.execute(query, [str(file)]).fetchall()]


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
