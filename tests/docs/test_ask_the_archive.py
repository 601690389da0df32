"""docs/how-to/ask-the-archive.md: each question, by DuckDB on compacted files, has the answer that the ledger itself gives."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from attrs import frozen
from sqlglot import exp

from engine.ledger.archive.bucket import FolderBucket
from engine.ledger.archive.compact import Compaction
from engine.ledger.archive.parquet import COLUMNS
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.columns import row_of_line
from engine.ledger.store import Tables
from engine.policy import parse_policy
from tests.simulation.database import Client, Database
from tests.support.archived import Archived
from tests.support.clock import ManualClock
from tests.support.events import event, failed, rendered
from tests.support.four_days import REASON, give_of_goodwill
from tests.support.policies import EXAMPLE
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import create_tables

PAGE = (ROOT / "docs" / "how-to" / "ask-the-archive.md").read_text()
BLOCK = re.compile(r"^```sql\n(.*?)^```", re.DOTALL | re.MULTILINE)
SECTIONS = {title: text for title, _, text in (part.partition("\n") for part in PAGE.split("\n## ")[1:])}
BLOCKS = {title: found[1] for title, text in SECTIONS.items() if (found := BLOCK.search(text))}
QUESTIONS = {title: sql for title, sql in BLOCKS.items() if title != "Set up Athena"}

RULES = """\
  - name: grant-purchased
    match: {source: [video.generation], detail-type: [credits.purchased]}
    action: grant
    grant: {quantity: detail.credits}
  - name: revoke-disputed
    match: {source: [video.generation], detail-type: [credits.disputed]}
    action: revoke
    revoke: {amount: detail.credits}
overdraft:"""
POLICY = EXAMPLE.replace("time: time}", "time: time, reference: detail.purchaseId}", 1).replace("overdraft:", RULES, 1)
DAY_SECONDS = 24 * 60 * 60
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""The clock of tests."""


@frozen
class Asked:
    """The ledger of a month, and the same as somebody asks for it."""

    entries: list[dict[str, Any]]
    database: duckdb.DuckDBPyConnection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the answer."""
        return self.database.execute(sql).fetchall()


def day(number: int, time: str = "10:00:00") -> str:
    """Return an instant of November; day 31 is the first of December."""
    return f"2026-11-{number:02}T{time}Z" if number <= 30 else f"2026-12-{number - 30:02}T{time}Z"


def story() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield the events that come on each day."""
    bought = {"purchaseId": "p-1", "userId": "u-1", "credits": 25}
    yield (
        1,
        [event("credits.purchased", bought, day(1)), rendered("j-1", at=day(1)), rendered("j-2", at=day(1), model="premium")],
    )
    yield 2, [failed("j-2", at=day(2)), rendered("j-3", user="u-2", seconds="8.3333333333333333333", at=day(2))]
    yield (
        3,
        [rendered("j-4", user="u-3", seconds=400, at=day(2, "23:59:59.9999")), rendered("j-5", at=day(3), result_url=None)],
    )
    yield 15, [rendered("j-6", user="u-2", seconds=1, at=day(14)), failed("j-7", at=day(15))]
    yield 20, [event("credits.disputed", {**bought, "credits": 10}, day(20))]
    yield 30, [rendered("j-8", user="u-2", model="premium", seconds=3, at=day(30))]
    yield 31, [failed("j-8", user="u-2", at=day(31)), rendered("j-9", at=day(31)), failed("j-4", user="u-3", at=day(31))]
    yield 32, [rendered("j-10", at=day(32))]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Return the month, posted day by day, handed over with repeats, and compacted; the last day is still being written."""
    folder, tables, client = tmp_path_factory.mktemp("archive"), Tables(), Client(Database())
    create_tables(client, tables)
    time = ManualClock()
    world = World(client, tables, parse_policy(POLICY, "policy.yaml"), time.clock())
    for user in ("u-1", "u-2", "u-3"):
        world.user(user)
    archived = Archived(client, tables.ledger, time.now, FolderBucket(folder))
    for number, events in story():
        at = datetime(2026, 11 + number // 31, (number - 1) % 30 + 1, 12, tzinfo=UTC)
        time.elapsed = (at - START).total_seconds()
        world.deliver(*events)
        if number == 15:
            give_of_goodwill(world, 5)
            world.job("j-11", userId="u-3", updatedAt=day(14)).scan()
        archived.hand_over(repeated=number % 2 == 0)
    posted = [decode_item(item) for item in archived.items().values()]
    work = tmp_path_factory.mktemp("work")
    assert 7 == len(list(Compaction(archived.bucket, work, row_of_line, archived.deadline).run()))
    database = duckdb.connect()
    files = f"{folder}/parquet/**/*.parquet"
    database.execute(f"CREATE VIEW entries AS SELECT * FROM read_parquet('{files}')")  # noqa: S608  a folder of this test
    yield Asked([entry for entry in posted if entry["postedAt"] < "2026-12-02"], database)
    database.close()


# --- the answers, from the ledger ---------------------------------------------------------------------------------------


type Entry = dict[str, Any]
type Answer = list[tuple[Any, ...]]


def grouped(entries: Iterable[Entry], key: Callable[[Entry], Any]) -> dict[Any, list[Entry]]:
    """Return entries by a key, in its order."""
    groups = defaultdict(list)
    for entry in entries:
        groups[key(entry)].append(entry)
    return dict(sorted(groups.items()))


def net(entries: Iterable[Entry]) -> Decimal:
    """Return what entries add up to."""
    return sum((Decimal(entry["amount"]) for entry in entries), Decimal(0))


def at(entry: Entry, name: str) -> datetime:
    """Return an instant to the millisecond."""
    found = datetime.fromisoformat(entry[name])
    return found.replace(tzinfo=None, microsecond=found.microsecond // 1000 * 1000)


def second(entry: Entry, name: str) -> datetime:
    """Return an instant to the second."""
    return at(entry, name).replace(microsecond=0)


def of_jobs(entries: Iterable[Entry]) -> list[Entry]:
    """Return those of jobs."""
    return [entry for entry in entries if entry["reference"].startswith("job#")]


def model(entry: Entry) -> str | None:
    """Return what the charge said of its model."""
    found: str | None = entry["facts"].get("charge", {}).get("content", {}).get("detail.model")
    return found


def revenue(entries: list[Entry]) -> Answer:
    """Of November, by when it was done."""
    done = [entry for entry in of_jobs(entries) if entry["occurredAt"].startswith("2026-11")]
    groups = grouped(done, lambda entry: (entry["occurredAt"][:10], model(entry) or "~"))  # what is empty comes last
    return [
        (datetime.fromisoformat(when).date(), None if of == "~" else of, len({e["jobId"] for e in some}), -net(some))
        for (when, of), some in groups.items()
    ]


def refunds(entries: list[Entry]) -> Answer:
    """One rule gives back."""
    given = [entry for entry in entries if entry["type"] == "refund"]
    charged = -net(entry for entry in entries if entry["type"] == "debit")
    return [("refund-failed", len(given), net(given), round(float(100 * net(given) / charged), 1))]


def edited(entries: list[Entry]) -> Answer:
    """At 0.15 a second."""
    debits = [e for e in entries if e["type"] == "debit" and e["price"]["unit"] == "default"]
    ten = [Decimal(entry["quantity"]).quantize(Decimal("1E-10")) for entry in debits]
    new = sum((each * Decimal("0.15")).quantize(Decimal("0.0001"), ROUND_HALF_UP) for each in ten)
    return [("default", sum(ten), -net(debits), new)]


def top(entries: list[Entry]) -> Answer:
    """The most first."""
    groups = grouped(of_jobs(entries), lambda entry: entry["userId"])
    found = [(user, len({entry["jobId"] for entry in some}), -net(some)) for user, some in groups.items()]
    return sorted(found, key=lambda row: -row[2])


def granted(entries: list[Entry]) -> Answer:
    """By month of posting."""
    return [
        (
            datetime.fromisoformat(f"{month}-01"),
            net(e for e in some if e["type"] == "grant"),
            -net(e for e in some if e["type"] == "revoke"),
            net(e for e in some if e["type"] == "adjust"),
        )
        for month, some in grouped(entries, lambda entry: entry["postedAt"][:7]).items()
    ]


def corrections(_entries: list[Entry]) -> Answer:
    """Five credits of goodwill, told by ada."""
    return [("arn:aws:iam::1:user/ada", None, REASON, 1, Decimal(5))]


def late(entries: list[Entry]) -> Answer:
    """Whole seconds between, as both engines count them: by the second that each instant is in."""
    found = []
    for source, some in grouped(of_jobs(entries), lambda entry: entry["source"]).items():
        waits = [
            int((at(e, "postedAt").replace(microsecond=0) - at(e, "occurredAt").replace(microsecond=0)).total_seconds())
            for e in some
        ]
        found.append((source, len(some), sum(wait > 3600 for wait in waits), max(waits)))
    return found


def flagged(entries: list[Entry]) -> Answer:
    """The most frequent first."""
    pairs = [(anomaly["name"], entry) for entry in entries for anomaly in entry["anomalies"]]
    names = sorted({name for name, _ in pairs})
    some = {name: [entry for other, entry in pairs if other == name] for name in names}
    found = [(name, len(some[name]), len({e["userId"] for e in some[name]}), -net(some[name])) for name in names]
    return sorted(found, key=lambda row: -row[1])


def month(entries: list[Entry]) -> Answer:
    """With the sum after each."""
    own = sorted(
        (e for e in entries if e["userId"] == "u-1"), key=lambda e: (at(e, "postedAt"), e["reference"], e["sequence"])
    )
    rows = [
        (at(e, "postedAt"), e["reference"], e["sequence"], e["type"], Decimal(e["amount"]), net(own[: index + 1]))
        for index, e in enumerate(own)
    ]
    return [row for row in rows if row[0].month == 11]


def stood(entries: list[Entry]) -> Answer:
    """Until midnight of 30 November."""
    groups = grouped((e for e in entries if e["postedAt"] < "2026-12"), lambda entry: entry["userId"])
    return [(user, len(some), net(some)) for user, some in groups.items()]


ANSWERS: dict[str, Callable[[list[Entry]], Answer]] = {
    "Revenue by model and day": revenue,
    "Refunds by rule, and their share": refunds,
    "What an edit of a price would have brought": edited,
    "Who spent most": top,
    "Credits granted and revoked": granted,
    "Corrections, by whom and why": corrections,
    "Events that came late": late,
    "Flagged entries by anomaly": flagged,
    "A user's month, to the credit": month,
    "What stood in the ledger on the last of the month": stood,
}


@pytest.mark.parametrize("title", QUESTIONS)
def test_a_question_has_the_answer_that_the_ledger_gives(asked: Asked, title: str) -> None:
    """To the last digit."""
    expected = ANSWERS[title](asked.entries)

    assert expected == asked.rows(QUESTIONS[title])
    assert expected


def test_there_are_ten_questions() -> None:
    """Each with its answer."""
    assert list(ANSWERS) == list(QUESTIONS)
    assert 10 == len(QUESTIONS)


def test_the_month_has_what_was_worked_out_by_hand(asked: Asked) -> None:
    """u-1 bought 25, of which 10 are disputed, was given 5, and paid for 8 s at 0.12 twice; j-2 was given back."""
    assert ("u-1", 8, Decimal("18.08")) in asked.rows(QUESTIONS["What stood in the ledger on the last of the month"])
    assert ("u-1", 5, Decimal("2.88")) in asked.rows(QUESTIONS["Who spent most"])  # and once more in December
    assert ("scan", 1, 1, 93600) in asked.rows(QUESTIONS["Events that came late"])


# --- Athena reads the same --------------------------------------------------------------------------------------------


TWICE = re.compile(r"DATE_TRUNC\('SECOND', (DATE_TRUNC\('SECOND', \w+\))\)")


def plain(sql: str) -> str:
    """Return a query without what sqlglot says at length: DuckDB counts the seconds that begin between two instants."""
    return TWICE.sub(r"\1", sql).replace("TIMESTAMP(0)", "TIMESTAMP")


@pytest.mark.parametrize("title", QUESTIONS)
def test_athena_reads_the_same_out_of_a_question(asked: Asked, title: str) -> None:
    """In both dialects it is the same tree; what Athena's means, said in DuckDB's words, has the same answer."""
    sql = QUESTIONS[title]
    as_athena, as_duckdb = (sqlglot.parse_one(sql, read=dialect) for dialect in ("athena", "duckdb"))

    assert asked.rows(as_athena.sql("duckdb")) == asked.rows(sql)
    assert plain(as_athena.sql("trino")) == plain(as_duckdb.sql("trino"))


HIVE = {
    "TEXT": "string",
    "BIGINT": "bigint",
    "INT": "int",
    "TIMESTAMP_MS": "timestamp",
    "DECIMAL(38,10)": "decimal(38,10)",
}


def hive(kind: exp.DataType) -> str:
    """Return a type of DuckDB's in the words of the table's definition."""
    if kind.is_type("array"):
        return f"array<{hive(kind.expressions[0])}>"
    if kind.is_type("map"):
        return f"map<{','.join(map(hive, kind.expressions))}>"
    if kind.is_type("struct"):
        return f"struct<{','.join(f'{field.name}:{hive(field.args["kind"])}' for field in kind.expressions)}>"
    return HIVE[kind.sql("duckdb").replace(", ", ",")]


def test_the_table_for_athena_has_the_columns_of_the_files() -> None:
    """Name by name, type by type, in their order."""
    (columns,) = re.findall(r"entries \(\n(.*?)\n\)", BLOCKS["Set up Athena"], re.DOTALL)
    told = [tuple(line.strip().rstrip(",").split(" ", 1)) for line in columns.splitlines()]

    assert [(name, hive(exp.DataType.build(kind, dialect="duckdb"))) for name, kind in COLUMNS.items()] == told
    created = sqlglot.parse_one(BLOCKS["Set up Athena"], read="athena")
    assert isinstance(created, exp.Create)
    assert len(told) == len(list(created.find(exp.Schema).expressions))  # type: ignore[union-attr]


def test_the_page_tells_every_column() -> None:
    """Where a reader looks it up."""
    table = PAGE.split("## What is in a file")[1].split("## ")[0]
    assert set() == set(COLUMNS) - set(re.findall(r"`([a-z_]+)`", table))


def test_the_pages_files_are_there(asked: Asked, tmp_path: Path) -> None:
    """A row for each entry, and no other: what was posted on the last day is still being written."""
    assert [(len(asked.entries),)] == asked.rows("SELECT COUNT(*) FROM entries")
