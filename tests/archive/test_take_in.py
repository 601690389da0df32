"""An existing ledger is taken in: each entry once, whatever breaks off, whoever is at work beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define
from typer.testing import CliRunner

from engine.audit import take_in
from engine.audit.take_in import FRESH, TakeIn, Taken
from engine.cli.app import app
from engine.domain.errors import LedgerUnavailable
from engine.ledger.archive.bucket import FolderBucket, MemoryBucket
from engine.ledger.archive.chain import EMPTY, ArchiveObject, append, follow
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.stream import Record, Told, record_of
from engine.ledger.store import Tables
from engine.runtime.clock import Clock
from tests.simulation.database import Client, Database
from tests.support.archived import Archived
from tests.support.events import failed, rendered
from tests.support.world import World
from tools.local_aws import create_tables, tables_environment

DEADLINE = Clock().deadline(3600)
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@define
class Town:
    """A ledger with its archive, and a clock that stands."""

    now: datetime = NOON
    bucket: MemoryBucket = Factory(MemoryBucket)
    client: Any = Factory(lambda: Client(Database()))
    tables: Tables = Factory(Tables)

    def __attrs_post_init__(self) -> None:
        create_tables(self.client, self.tables)
        self.world.user()

    @property
    def clock(self) -> Clock:
        """The clock."""
        return Clock(now=lambda: self.now)

    @property
    def world(self) -> World:
        """The engine at work."""
        return World(self.client, self.tables, clock=self.clock)

    @property
    def heads(self) -> DynamoHeads:
        """Where the chain stands."""
        return DynamoHeads(self.client, self.tables.seals)

    @property
    def stream(self) -> Archived:
        """What the stream tells, and who archives it."""
        return Archived(self.client, self.tables.ledger, lambda: self.now, self.bucket, self.heads)

    def post(self, *jobs: str) -> Town:
        """Charge jobs and refund them: two entries each."""
        for job in jobs:
            self.world.deliver(rendered(job), failed(job))
        return self

    def take_in(self, **options: Any) -> Taken:
        """Take in, a day later."""
        self.now += timedelta(days=1)
        store = DynamoStore(self.client, self.tables, self.clock).restores()
        return TakeIn(store, self.bucket, self.clock, DEADLINE, **options).run()

    def records(self) -> list[Record]:
        """Return what is archived; the chain is whole."""
        found = list(follow(self.bucket, EMPTY, self.heads.head(DEADLINE), DEADLINE))
        assert not [each for each in found if not isinstance(each, ArchiveObject)]
        return [Record.read(line) for each in found if isinstance(each, ArchiveObject) for line in each.lines]

    def items(self) -> list[dict[str, Any]]:
        """Return the ledger, log by log."""
        items = self.client.scan(TableName=self.tables.ledger, ConsistentRead=True)["Items"]
        return sorted(items, key=lambda item: (item["reference"]["S"], int(item["sequence"]["N"])))


def sorted_items(records: list[Record]) -> list[Any]:
    """Return the entries of records, log by log."""
    return [record.item for record in sorted(records, key=lambda record: record.key)]


def test_a_ledger_is_taken_in_once_and_each_log_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """In objects of three lines; the second run finds nothing to do."""
    monkeypatch.setattr(take_in, "LINES_MAX", 3)
    town = Town().post("j-1", "j-2", "j-3", "j-4")

    done = town.take_in()
    assert (8, 0, 0, 3, True) == (done.taken, done.known, done.fresh, done.head.number, done.is_whole)
    assert {Told.TAKEN_IN} == {record.told for record in town.records()}
    assert town.items() == sorted_items(town.records())
    for job in ("j-1", "j-2", "j-3", "j-4"):
        assert [1, 2] == [record.key[1] for record in town.records() if record.key[0] == f"job#{job}"]
    again = town.take_in()
    assert (0, 8, 3) == (again.taken, again.known, again.head.number)


def test_a_run_says_of_each_entry_that_it_has_read_it() -> None:
    """Those that the archive has too: a second run reads as much and appends nothing."""
    town, counts = Town().post("j-1", "j-2"), list[int]()
    for _ in range(2):
        town.take_in(seen=counts.append)

    assert 2 * [1, 2, 3, 4] == counts


def test_what_the_archive_has_is_left_out() -> None:
    """Its stream has told two jobs; the third is older."""
    town = Town().post("j-1")
    stream = town.stream
    stream.seen = {}
    town.post("j-2")
    stream.hand_over()
    town.post("j-3")

    done = town.take_in()
    assert (2, 4) == (done.taken, done.known)
    assert town.items() == sorted_items(town.records())


def test_an_object_is_no_longer_than_lambda_would_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in the entries."""
    monkeypatch.setattr(take_in, "CHARACTERS_MAX", 1)
    town = Town().post("j-1", "j-2")

    assert 4 == town.take_in().head.number


def test_an_entry_of_a_moment_ago_is_left_to_the_stream() -> None:
    """It tells what was posted, before anybody could change it. One that says a far day is not of a moment ago."""
    town = Town().post("j-1")
    town.now += timedelta(days=1) - FRESH / 2
    town.post("j-2").now -= timedelta(days=1)
    town.now += FRESH / 2
    far = {**town.items()[0], "reference": {"S": "job#j-9"}, "postedAt": {"S": "9999-01-01T00:00:00.000000Z"}}
    silent = {name: value for name, value in far.items() if name != "postedAt"} | {"reference": {"S": "job#j-8"}}
    for item in (far, silent):
        town.client.put_item(TableName=town.tables.ledger, Item=item)

    done = town.take_in()
    assert (4, 2) == (done.taken, done.fresh)
    assert {"job#j-1", "job#j-8", "job#j-9"} == {record.key[0] for record in town.records()}


@define
class Beside(MemoryBucket):
    """A bucket beside which something happens before each object is kept."""

    happens: Callable[[], None] = lambda: None
    puts: int = 0

    def put(self, key: str, body: bytes, deadline: Any) -> None:
        """Let it happen first."""
        self.puts += 1
        self.happens()
        MemoryBucket.put(self, key, body, deadline)


@pytest.mark.parametrize("broken_at", [1, 2, 3, 4])
def test_a_run_that_broke_off_is_begun_again(broken_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever: what was appended is known then, and each entry is there once."""
    monkeypatch.setattr(take_in, "LINES_MAX", 2)
    bucket = Beside()

    def breaks() -> None:
        if bucket.puts == broken_at:
            raise LedgerUnavailable("away")

    bucket.happens = breaks
    town = Town(bucket=bucket).post("j-1", "j-2", "j-3", "j-4")
    with pytest.raises(LedgerUnavailable):
        town.take_in()
    done = town.take_in()

    assert (8 - 2 * (broken_at - 1), 2 * (broken_at - 1)) == (done.taken, done.known)
    assert town.items() == sorted_items(town.records())


def test_writers_are_at_work_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each object somebody posts, and the stream is archived: nobody is overtaken for ever, and nothing is lost."""
    monkeypatch.setattr(take_in, "LINES_MAX", 2)
    bucket = Beside()
    town = Town(bucket=bucket).post("j-1", "j-2", "j-3")
    stream = town.stream
    stream.seen = stream.items()

    def works() -> None:
        bucket.happens = lambda: None
        town.post(f"k-{bucket.puts}")
        stream.hand_over()
        bucket.happens = works if bucket.puts < 9 else lambda: None

    bucket.happens = works
    done = town.take_in()

    assert done.taken == 6
    assert town.items() == sorted_items(town.records())
    assert Counter(record.told for record in town.records()) == {Told.TAKEN_IN: 6, Told.INSERT: len(town.items()) - 6}


def test_what_is_no_entry_is_taken_in_as_it_is() -> None:
    """Binary values by the very line that the stream would tell: whichever client reads it, its digest is the same."""
    town, key = Town(), {"reference": {"S": "job#j-0"}, "sequence": {"N": "1.5"}}
    wire = {**key, "note": {"B": "AAE="}, "notes": {"BS": ["AAE="]}}
    town.client.put_item(TableName=town.tables.ledger, Item=wire)
    as_botocore_reads_it = {**key, "note": {"B": b"\0\1"}, "notes": {"BS": [b"\0\1"]}}

    assert (1, True) == ((done := town.take_in()).taken, done.is_whole)
    (record,) = town.records()
    assert record == record_of(Told.TAKEN_IN, town.now, wire)
    assert record.text() == record_of(Told.TAKEN_IN, town.now, as_botocore_reads_it).text()


def test_what_of_the_archive_cannot_be_read_is_told_and_stops_nothing() -> None:
    """An object that is gone: what it had is taken in again."""
    town = Town().post("j-1", "j-2")
    town.take_in()
    town.bucket.objects.clear()

    done = town.take_in()
    assert (("objects 1 to 1 are missing",), 4, False) == (done.problems, done.taken, done.is_whole)


def test_a_line_that_is_no_record_hides_nothing_of_what_stands_behind_it() -> None:
    """It is told by its object and line; what its object has behind it is archived, and is not taken in again."""
    town = Town().post("j-1")
    items = town.items()
    heads, lines = (
        DynamoHeads(town.client, town.tables.seals),
        [record_of(Told.INSERT, town.now, item).text() for item in items],
    )
    head = append(town.bucket, heads, [lines[0], "{}", *lines[1:]], town.now, DEADLINE)

    done = town.take_in()
    assert (0, len(items), False) == (done.taken, done.known, done.is_whole)
    assert [True] == [problem.startswith(f"{head.key}, line 3: is no record of the archive") for problem in done.problems]


@pytest.mark.local_aws
def test_the_command_takes_in_and_says_how_much(dynamodb: Any, tables: Tables, local_aws: str, tmp_path: Path) -> None:
    """First what it would do, then it does it, then there is nothing to do."""
    World(dynamodb, tables, clock=Clock(now=lambda: NOON)).user().deliver(rendered("j-1"), failed("j-1"))
    environment = tables_environment(tables)
    said = []
    for options in (["--dry-run"], [], []):
        command = [
            "archive",
            "take-in",
            "--json",
            "--endpoint-url",
            local_aws,
            "--region",
            "us-east-1",
            "--archive",
            str(tmp_path),
            *options,
        ]
        result = CliRunner().invoke(app, command, env=environment)
        assert 0 == result.exit_code, result.output
        said.append(json.loads(result.stdout))

    assert [(2, 0, 0), (2, 0, 1), (0, 2, 1)] == [(each["takenIn"], each["archived"], each["head"]) for each in said]
    assert 1 == len(list(FolderBucket(tmp_path).keys("entries/", "", DEADLINE)))
