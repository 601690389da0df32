"""The archive under soak: writers are killed at any moment, records come late, twice and by several shards at once.

Whatever was posted, changed or removed is in the chain then, whole; the entries of a log in order; nothing else. Entries are
posted to the local AWS and archived there, by processes of the function's own code; a shard hands over its records as Lambda
does: batch after batch, the same again until it is answered, and now and then one that was answered already.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from attrs import Factory, define, frozen

from engine.ledger.archive.chain import EMPTY, PREFIX, ArchiveObject, Head, follow
from engine.ledger.archive.s3 import S3Bucket
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.dynamodb.stream import WHOLE, Record, Told, record_of_stream
from engine.ledger.store import Tables
from engine.runtime.clock import Clock
from tests.archive.test_s3 import new_bucket
from tests.support.archived import Archived
from tests.support.archiver import Archiver
from tests.support.events import failed, rendered
from tests.support.world import World
from tools.local_aws import LocalAws, tables_environment

DEADLINE = Clock().deadline(3600)
USERS = 5


@frozen
class Soak:
    """How much comes, by how many shards, and how often a writer is killed."""

    seed: int
    jobs: int
    shards: int
    kill_one_in: int
    batch_max: int = 20


@define
class Shard:
    """A part of the stream: the changes of some logs, in order."""

    records: list[Any]
    chance: random.Random
    soak: Soak
    counts: Counter[str] = Factory(Counter)
    seconds: float = 0.08
    """How long the last work took that nobody broke off."""

    def run(self, writer: Archiver) -> None:
        """Hand everything over."""
        done = 0
        time.sleep(self.chance.uniform(0, 0.3))  # others are ahead
        while done < len(self.records):
            batch = self.records[done : done + self.chance.randint(1, self.soak.batch_max)]
            while self._answer(writer, batch) is None:
                self.counts["killed"] += 1
            done += len(batch)
            if not self.chance.randrange(5):  # the answer was lost on the way: some of it once more, and what was before it
                first = self.chance.randrange(done)
                self.counts["repeated"] += self._answer(writer, self.records[first:done], is_safe=True) is not None

    def _answer(self, writer: Archiver, batch: Sequence[Any], *, is_safe: bool = False) -> Any:
        """Hand a batch over; the writer may be killed at any moment of its work."""
        is_killed = not is_safe and writer.process is not None and not self.chance.randrange(self.soak.kill_one_in)
        if is_killed:
            at_once = self.chance.randrange(2)  # whatever the machine's speed is, some are killed for sure
            return writer.hand_over(batch, 0.0 if at_once else self.chance.uniform(0, self.seconds))
        is_warm, begun = writer.process is not None, time.perf_counter()
        answer = writer.hand_over(batch)
        if is_warm:
            self.seconds = time.perf_counter() - begun
        return answer


def drawn(seed: int | str) -> random.Random:
    """Return chance that is the same every time."""
    return random.Random(seed)  # noqa: S311  decides what happens, guards nothing


def history(world: World, archived: Archived, soak: Soak) -> list[Any]:
    """Post charges and refunds, explain some entries, and let somebody damage some; return all that the stream has of it."""
    chance, records = drawn(soak.seed), list[Any]()
    for user in range(USERS):
        world.user(f"u-{user}")
    for job in range(soak.jobs):
        user = f"u-{chance.randrange(USERS)}"
        world.deliver(rendered(f"j-{job}", user=user, seconds=chance.randint(1, 20)))
        if not chance.randrange(3):
            world.deliver(failed(f"j-{job}", user=user))
    records += archived.changes(Clock().now())
    keys = chance.sample(sorted(archived.seen), 10)
    for number, (reference, sequence) in enumerate(keys):
        key = {"reference": {"S": reference}, "sequence": {"N": str(sequence)}}
        if number % 2:
            world.client.delete_item(TableName=world.tables.ledger, Key=key)
        else:
            changed = {"ExpressionAttributeValues": {":a": {"N": "5"}}, "UpdateExpression": "SET amount = :a"}
            world.client.update_item(TableName=world.tables.ledger, Key=key, **changed)
    return records + archived.changes(Clock().now())


def log_of(record: Mapping[str, Any]) -> str:
    """Return the log that a record of the stream is about."""
    reference: str = record["dynamodb"]["Keys"]["reference"]["S"]
    return reference


def sharded(records: Sequence[Any], soak: Soak) -> list[Shard]:
    """Return the parts of a stream: all changes of a log are in one."""
    chance = drawn(soak.seed)
    of_log = {log: chance.randrange(soak.shards) for log in sorted({log_of(record) for record in records})}
    parts = [[record for record in records if of_log[log_of(record)] == shard] for shard in range(soak.shards)]
    return [Shard(part, drawn(f"{soak.seed} {number}"), soak) for number, part in enumerate(parts)]


def archive(shards: Sequence[Shard], environment: Mapping[str, str]) -> Counter[str]:
    """Let every shard hand over at once, each to a writer of its own, and return what happened."""
    writers = [Archiver(environment) for _ in shards]
    try:
        with ThreadPoolExecutor(len(shards)) as pool:
            list(pool.map(Shard.run, shards, writers))
    finally:
        for writer in writers:
            writer.end()
    return sum((shard.counts for shard in shards), start=Counter[str]())


def archived_records(bucket: S3Bucket, head: Head) -> Iterator[Record]:
    """Yield the records of a chain in its order; it is whole."""
    for found in follow(bucket, EMPTY, head, DEADLINE):
        assert isinstance(found, ArchiveObject), found
        yield from map(Record.read, found.lines)


def first_ones(records: Sequence[Record], log: str) -> list[Any]:
    """Return what is told of a log, each once, in the order of its first telling."""
    return list(dict.fromkeys(record.text() for record in records if record.key[0] == log))


@pytest.mark.parametrize(
    "soak",
    [
        pytest.param(Soak(seed=18, jobs=40, shards=3, kill_one_in=2, batch_max=5), id="small"),
        pytest.param(Soak(seed=19, jobs=1_000, shards=6, kill_one_in=3, batch_max=10), id="large", marks=pytest.mark.proof),
    ],
)
def test_whatever_is_killed_and_repeated_the_archive_is_complete_in_order_and_chained(
    aws: LocalAws, dynamodb: Any, tables: Tables, soak: Soak
) -> None:
    """And has nothing that was not posted, changed or removed. Objects that no head has named are strays of the killed."""
    world = World(dynamodb, tables)
    told = history(world, Archived(dynamodb, tables.ledger), soak)
    s3 = aws.client("s3")
    bucket = S3Bucket(s3, new_bucket(s3))
    environment = {**aws.environment(), **tables_environment(tables), "ARCHIVE_BUCKET": bucket.name}

    counts = archive(sharded(told, soak), environment)

    expected = [record_of_stream(record) for record in told]
    head = DynamoHeads(dynamodb, tables.seals).head(DEADLINE)
    records = list(archived_records(bucket, head))
    keys = list(bucket.keys(PREFIX, "", DEADLINE))
    s3.close()
    print(f"{len(expected)} records, {head.number} objects, {len(keys) - head.number} strays, {dict(counts)}")  # noqa: T201  what -s shows
    assert {record.text() for record in expected} == {record.text() for record in records}
    for log in {record.key[0] for record in expected}:
        assert [record.text() for record in expected if record.key[0] == log] == first_ones(records, log)
    assert {Told.INSERT, Told.MODIFY, Told.REMOVE} == {record.told for record in records}
    assert len({record.key for record in records if record.told in WHOLE}) == len({record.key for record in expected})
    assert counts["killed"] > soak.shards
    assert counts["repeated"]
    assert len(keys) >= head.number > soak.shards
