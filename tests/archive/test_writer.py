"""Batches of the Ledger's stream become objects of the archive, whatever is in them and whatever fails meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import Factory, define

from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.errors import LedgerUnavailable
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.ledger.archive.bucket import MemoryBucket
from engine.ledger.archive.chain import EMPTY, ArchiveObject, Head, follow
from engine.ledger.archive.s3 import S3Bucket
from engine.ledger.archive.writer import Writer
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.dynamodb.seals import digest_of
from engine.ledger.dynamodb.stream import Record, Told, record_of_stream
from engine.ledger.store import Tables
from engine.reconcile.wiring import archive_named
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Telemetry
from tests.archive.test_chain import Heads
from tests.archive.test_s3 import new_bucket
from tests.support.clock import START, ManualClock
from tools.environments import ROOT
from tools.local_aws import LocalAws, tables_environment

DEADLINE = Clock().deadline(3600)
WRITTEN = START - timedelta(seconds=20)


def item(sequence: int = 1, **more: Any) -> dict[str, Any]:
    """Return an entry as the table has it."""
    entry = Entry(
        reference="job#j", job="j", sequence=sequence, user="u", type=EntryType.DEBIT, amount=Decimal(-1), occurred_at=START,
        rule="r", policy="p", facts=Facts(), cost=Decimal(1), money=Money(), source=Source.EVENT,
    )  # fmt: skip
    return {**item_of(entry, WRITTEN), **more}


def change(told: str, image: dict[str, Any], at: datetime = WRITTEN) -> dict[str, Any]:
    """Return a record of the stream as Lambda hands it over, with new images."""
    keys = {name: image[name] for name in ("reference", "sequence")}
    new = {} if told == "REMOVE" else {"NewImage": image}
    return {
        "eventID": "1", "eventName": told, "eventSource": "aws:dynamodb",
        "dynamodb": {"ApproximateCreationDateTime": at.timestamp(), "Keys": keys, **new, "SequenceNumber": "1"},
    }  # fmt: skip


@define
class Desk:
    """A writer in memory, what it tells, and what it has kept."""

    bucket: MemoryBucket = Factory(MemoryBucket)
    heads: Heads = Factory(Heads)
    said: list[dict[str, Any]] = Factory(list)

    def batch(self, *records: Any) -> dict[str, Any]:
        """Hand over a batch."""
        clock = ManualClock().clock()
        telemetry = Telemetry(lambda line: self.said.append(json.loads(line)), clock)
        writer = Writer(self.bucket, self.heads, lambda record: record_of_stream(record).text(), telemetry, clock)
        return writer.batch(records, DEADLINE)

    def records(self) -> list[Record]:
        """Return what is archived."""
        found = follow(self.bucket, EMPTY, self.heads.now, DEADLINE)
        return [Record.read(line) for each in found if isinstance(each, ArchiveObject) for line in each.lines]

    def odd(self) -> list[Any]:
        """Return what was put aside."""
        return [json.loads(body) for key, body in self.bucket.objects.items() if key.startswith("odd/day=2026-01-05/")]


def test_a_batch_is_one_object_with_all_that_happened_in_order() -> None:
    """An entry whole; of a change its digest and its explanation; of a removal the key. It took twenty seconds."""
    desk, explanation = Desk(), {"M": {"by": {"S": "rules"}}}
    explained = item(explanation=explanation)
    told = desk.batch(change("INSERT", item()), change("MODIFY", explained), change("REMOVE", item(), START))

    at, removed_at, key = "2026-01-05T11:59:40.000000Z", "2026-01-05T12:00:00.000000Z", ("job#j", 1)
    assert desk.records() == [
        Record(Told.INSERT, at, key, digest_of(item()), item()),
        Record(Told.MODIFY, at, key, digest_of(item()), None, explanation),
        Record(Told.REMOVE, removed_at, key),
    ]
    assert told == {"records": 3, "odd": [], "object": 1, "key": desk.heads.now.key, "digest": desk.heads.now.digest}
    (line,) = desk.said
    assert ("INFO", "archived", 3, 1, 0, 20.0) == tuple(
        line[name] for name in ("level", "message", "Archived", "ArchivedObjects", "ArchivedOdd", "ArchiveLagSeconds")
    )
    (metrics,) = line["_aws"]["CloudWatchMetrics"]
    assert {"Name": "ArchiveLagSeconds", "Unit": "Seconds"} in metrics["Metrics"]


SENSELESS: dict[str, Any] = {
    "nothing": None,
    "a text": "INSERT",
    "an empty object": {},
    "another event": {"source": "video.generation", "detail": {}},
    "an unknown kind": change("INSERT", item()) | {"eventName": "TRUNCATE"},
    "a kind that is no text": change("INSERT", item()) | {"eventName": 7},
    "no image": change("INSERT", item()) | {"dynamodb": {"ApproximateCreationDateTime": 1, "Keys": {}}},
    "no time": change("INSERT", item()) | {"dynamodb": {"Keys": {}, "NewImage": item()}},
    "a time that is none": change("INSERT", item(), START) | {"dynamodb": {"ApproximateCreationDateTime": 1e99}},
    "another table's": change("INSERT", {"reference": {"S": "r"}, "sequence": {"S": "one"}}),
    "no key": change("INSERT", item()) | {"dynamodb": {"ApproximateCreationDateTime": 1, "NewImage": {"userId": {"S": "u"}}}},
}


@pytest.mark.parametrize("name", SENSELESS)
def test_a_record_that_makes_no_sense_is_put_aside_and_blocks_nothing(name: str) -> None:
    """As it came, once; told; those before and behind it are archived."""
    desk = Desk()
    for _ in range(2):
        told = desk.batch(change("INSERT", item()), SENSELESS[name], change("INSERT", item(2)))
        assert 1 == len(told["odd"])

    assert desk.odd() == [SENSELESS[name]]
    assert [record.key for record in desk.records()] == [("job#j", 1), ("job#j", 2)] * 2
    assert [("ERROR", 1)] * 2 == [(line["level"], line["ArchivedOdd"]) for line in desk.said]


def test_what_is_odd_in_an_entry_is_archived_as_it_is() -> None:
    """It is the Ledger's; whether it makes sense is for the audit to say."""
    strange = {
        "reference": {"S": "x\n☃"},
        "sequence": {"N": "1.5"},
        "amount": {"M": {"a": {"NULL": True}}},
        "b": {"B": "AA=="},
    }
    desk = Desk()
    desk.batch(change("INSERT", strange))

    (record,) = desk.records()
    assert (("x\n☃", Decimal("1.5")), strange, []) == (record.key, record.item, desk.odd())


def test_an_empty_batch_leaves_nothing() -> None:
    """And a batch of nothing but odd records no object of the chain."""
    desk = Desk()

    assert {"records": 0, "odd": []} == desk.batch()
    assert 1 == len(desk.batch(None)["odd"])
    assert (EMPTY, [None], 1) == (desk.heads.now, desk.odd(), len(desk.bucket.objects))


class Away(Exception):
    """What the machine would not survive."""


def failing(times: int, error: Exception, then: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call that raises so many times, and then does what it should."""
    errors = [error] * times

    def call(*arguments: Any) -> Any:
        if errors:
            raise errors.pop()
        return then(*arguments)

    return call


@define
class Failing(MemoryBucket):
    """A bucket that is away for a while."""

    times: int = 1

    def put(self, key: str, body: bytes, deadline: Any) -> None:
        """Fail, then keep it."""
        self.times -= 1
        if self.times >= 0:
            raise LedgerUnavailable("s3://b/k: S3 gave no answer in time")
        MemoryBucket.put(self, key, body, deadline)


def test_while_the_bucket_is_away_the_batch_comes_again() -> None:
    """Nothing is appended, no head moved; the reason is told with how long the oldest record has waited."""
    desk = Desk(Failing(times=2))
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            desk.batch(change("INSERT", item()))
        assert EMPTY == desk.heads.now
    desk.batch(change("INSERT", item()))

    assert [("job#j", 1)] == [record.key for record in desk.records()]
    assert ["not archived", "not archived", "archived"] == [line["message"] for line in desk.said]
    assert ("ERROR", 20.0, "s3://b/k: S3 gave no answer in time") == tuple(
        desk.said[0][name] for name in ("level", "ArchiveLagSeconds", "problem")
    )
    assert "Archived" not in desk.said[0]


def test_a_writer_that_dies_before_it_moves_the_head_leaves_at_most_a_stray() -> None:
    """The same batch again is the same object: the chain has each record once."""
    desk = Desk()
    desk.batch(change("INSERT", item()))
    heads: Any = desk.heads
    move = heads.move
    for error in (Away(), LedgerUnavailable("no answer")):
        desk.heads = type("Dying", (), {"head": heads.head, "move": staticmethod(failing(1, error, move)), "now": EMPTY})()
        with pytest.raises(type(error)):
            desk.batch(change("INSERT", item(2)))
    desk.heads = heads
    desk.batch(change("INSERT", item(2)))

    assert [("job#j", 1), ("job#j", 2)] == [record.key for record in desk.records()]
    assert 2 == len(desk.bucket.objects)


# --- the function ---

TELL = """
import json, os, sys
import handler

event = json.loads(sys.argv[2])
answer = getattr(handler, sys.argv[1])(event) if event else None
archive = [name for name in sys.modules if name.startswith(("engine.ledger.archive", "engine.reconcile.archive", "botocore"))]
print(json.dumps([answer, archive]), file=sys.stderr)
"""


def run(handler: str, event: Any, environment: dict[str, str]) -> tuple[Any, list[str], list[str]]:
    """Return what a fresh process answers, what it imported of the archive and of botocore, and what it wrote."""
    whole = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-c", TELL, handler, json.dumps(event)]
    done = subprocess.run(command, env=whole, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    answer, imported = json.loads(done.stderr.splitlines()[-1])
    return answer, imported, done.stdout.splitlines()


def test_what_serves_events_imports_nothing_of_the_archive() -> None:
    """What every cold start pays."""
    assert (None, [], []) == run("lambda_handler", None, {})


def test_the_function_archives_to_the_bucket_of_its_environment(aws: LocalAws, dynamodb: Any, tables: Tables) -> None:
    """Two batches, in two processes: two objects, chained, under the head in the table."""
    client = aws.client("s3")
    bucket, heads = S3Bucket(client, new_bucket(client)), DynamoHeads(dynamodb, tables.seals)
    environment = {**aws.environment(), **tables_environment(tables), "ARCHIVE_BUCKET": bucket.name}
    for sequence in (1, 2):
        event = {"Records": [change("INSERT", item(sequence), datetime.now(UTC))]}
        answer, imported, lines = run("archive_handler", event, environment)
        assert (1, sequence) == (answer["records"], answer["object"])
        assert "engine.ledger.archive.writer" in imported
        assert "archived" == json.loads(lines[-1])["message"]

    head = heads.head(DEADLINE)
    found = [each for each in follow(bucket, EMPTY, head, DEADLINE) if isinstance(each, ArchiveObject)]
    assert [1, 2] == [Record.read(line).key[1] for each in found for line in each.lines]
    assert Head(2, answer["digest"], answer["key"], found[-1].day) == head


@pytest.mark.parametrize(("said", "name"), [("b", "s3://b"), ("s3://b", "s3://b"), ("./b", "./b"), ("", None), (None, None)])
def test_the_environment_names_a_bucket_or_a_folder(said: str | None, name: str | None) -> None:
    """A bucket by its name, as CloudFormation has it; a folder by a path."""
    assert name == archive_named({} if said is None else {"ARCHIVE_BUCKET": said})
