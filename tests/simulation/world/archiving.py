"""The Ledger's stream and what archives it: shards of their own pace, writers that die and overtake each other.

Records of one log are in one shard, in order. A batch comes again until it was archived, each time split in another way, and
now and then after that; two writers can be at one shard, since one that is late is taken for dead. Chain, head and records are
the product's own; the head stands in a strict database, and the bucket fails as S3 does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, field, frozen

from engine.audit.archived import audit as archived_audit
from engine.audit.archived import seen as chain_audit
from engine.audit.archived.seen import ArchiveAudit
from engine.audit.differences import Kind
from engine.domain.instants import read_instant
from engine.ledger.archive import chain
from engine.ledger.archive.bucket import MemoryBucket
from engine.ledger.archive.chain import EMPTY, Head, follow, heads_of
from engine.ledger.archive.opened import OpenArchive
from engine.ledger.audits import AuditedEntry
from engine.ledger.dynamodb import stream
from engine.ledger.dynamodb.attributes import Item, encode_item
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.dynamodb.postings import EXPLANATION
from engine.runtime.clock import Deadline
from tests.simulation.chain_judge import judge_chain
from tests.simulation.database import Client, Database, Fresh
from tests.simulation.faults import STALE_READS, Caller
from tests.simulation.world.crew import UNASKED, Crew
from tests.simulation.world.deeds import tried
from tests.simulation.world.faulty_client import TABLES, FaultyClient
from tests.simulation.world.place import NEVER, START
from tests.simulation.world.plan import Step
from tests.simulation.world.small import is_small

if TYPE_CHECKING:
    from tests.simulation.world.play import World

TAKE_PART = 0.4
"""So many histories have an archive: what it costs is worth more seeds."""

SHARDS_MAX = 3
BATCHES = (1, 3, 10)
AT_ONCE = (1, 1, 2, 3)
AUDITED = 0.15
"""So often somebody audits after a round."""

AUDIT_SECONDS = 60.0
LATE_SECONDS = 840.0
"""What is archived after more than a quarter of an hour an audit calls missing; clocks differ by less than a minute."""

WAITS = frozenset({Kind.UNARCHIVED, Kind.DRIFT})
REPEATED = 0.15
IDLE = 0.4
"""So often nobody archives after a round: the stream is late."""

SECONDS = (2.0, 8.0, 60.0, 60.0)
"""How long the platform lets a writer live."""

KEYS_A_PAGE = 3
MIDNIGHT = datetime(2026, 1, 6, tzinfo=UTC)
"""When a day of the archive ends: somewhere in the history, by the seed."""

type Key = tuple[str, int]


@define(eq=False)
class Shard:
    """A part of the stream: what its logs have told, and up to where it is known to be archived."""

    records: list[Mapping[str, Any]] = Factory(list)
    done: int = 0

    def batch(self, chance: Random, *, may_repeat: bool) -> tuple[int, list[Mapping[str, Any]]]:
        """Return where a batch begins and what is in it (perhaps nothing); now and then from an earlier place on."""
        since = self.done
        if may_repeat and since and chance.random() < REPEATED:
            since -= chance.randrange(1, since + 1)
        return since, self.records[since : since + chance.choice(BATCHES)]

    def archived(self, until: int) -> None:
        """Take down that all before ``until`` is archived."""
        self.done = max(self.done, until)


@define(eq=False)
class ArchiveStream:
    """What the Ledger's stream tells of a world's entries and their explanations, in order for each log."""

    shards: tuple[Shard, ...]
    chance: Random
    seen: set[Key] = Factory(set)
    explained: set[Key] = Factory(set)
    of_log: dict[str, Shard] = Factory(dict)

    def look(self, world: World) -> None:
        """Take what is new since the last look: an entry at the time at which it was committed."""
        entries, words, now = world.place.entries(), world.desk.words(world.place), world.timeline.now()

        def at(entry: Mapping[str, Any]) -> datetime:
            committed = world.place.committed.get((entry["reference"], int(entry["sequence"])))
            return START + timedelta(seconds=committed) if committed is not None else read_instant(entry["postedAt"]) or now

        for entry in sorted(entries, key=lambda each: each["sequence"]):
            key = entry["reference"], int(entry["sequence"])
            if key not in self.seen:
                self.seen.add(key)
                self.tell("INSERT", encode_item(dict(entry)), at(entry))
            if key in words and key not in self.explained:
                self.explained.add(key)
                self.tell("MODIFY", encode_item({**entry, EXPLANATION: words[key]}), now)

    def tell(self, name: str, item: Item, at: datetime) -> None:
        """Add a record to the shard of its log."""
        keys = {each: item[each] for each in ("reference", "sequence")}
        change = {"Keys": keys, "ApproximateCreationDateTime": at.timestamp()}
        if name != "REMOVE":
            change["NewImage"] = item
        reference = item["reference"]["S"]
        if reference not in self.of_log:
            self.of_log[reference] = self.chance.choice(self.shards)
        self.of_log[reference].records.append({"eventName": name, "dynamodb": change})


@define(eq=False)
class HeadPlace:
    """The table in which the head stands, in a strict database of its own."""

    database: Database = Factory(lambda: Database(lambda: 0.0, Fresh()))
    client: Client = field(init=False)

    @client.default
    def _client(self) -> Client:
        client = Client(self.database)
        key = {"id": "S", "number": "N"}
        client.create_table(
            TableName=TABLES.seals,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in key.items()],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in zip(key, ("HASH", "RANGE"), strict=True)],
            BillingMode="PAY_PER_REQUEST",
        )
        return client

    def heads(self, caller: Caller | None = None) -> DynamoHeads:
        """Return the head as one writer reaches it; without a caller nothing goes wrong."""
        client: Any = FaultyClient(self, caller) if caller is not None else self.client  # type: ignore[arg-type]
        return DynamoHeads(client, TABLES.seals)


@frozen(eq=False)
class FaultyBucket:
    """A bucket as one writer reaches it. It is an ``archive.bucket.Bucket``; each page of a list is a call of its own."""

    kept: MemoryBucket
    caller: Caller

    def put(self, key: str, body: bytes, deadline: Deadline) -> None:
        """Keep an object."""
        self.caller.call("put object", lambda: self.kept.put(key, body, deadline), deadline)

    def get(self, key: str, deadline: Deadline) -> bytes | None:
        """Return an object."""
        return self.caller.call("get object", lambda: self.kept.get(key, deadline), deadline)

    def keys(self, prefix: str, after: str, deadline: Deadline) -> Iterator[str]:
        """Yield keys, some at a time; what is put meanwhile may or may not be among them."""
        while some := self.caller.call("list objects", lambda after=after: self._page(prefix, after, deadline), deadline):
            yield from some
            after = some[-1]

    def _page(self, prefix: str, after: str, deadline: Deadline) -> list[str]:
        return list(self.kept.keys(prefix, after, deadline))[:KEYS_A_PAGE]


@define(eq=False)
class Archive:
    """The archive of one world: stream, bucket, head, and when its first day ends."""

    seed: int
    chance: Random = field(init=False)
    stream: ArchiveStream = field(init=False)
    bucket: MemoryBucket = Factory(MemoryBucket)
    place: HeadPlace = Factory(HeadPlace)
    moments: int = 0
    midnight: float | None = None
    """The world's steady second at which the day of the archive ends, once it is there."""
    is_hurried: bool = False
    """Whether a scheduled run has audited, whose seconds may end the search for what came before: that may count twice."""

    @chance.default
    def _chance(self) -> Random:
        return Random(f"archive {self.seed}")

    @stream.default
    def _stream(self) -> ArchiveStream:
        return ArchiveStream(tuple(Shard() for _ in range(self.chance.randint(1, SHARDS_MAX))), self.chance)

    @property
    def takes_part(self) -> bool:
        """Whether this history has an archive."""
        return not is_small(self.seed) and Random(f"archived {self.seed}").random() < TAKE_PART

    def at(self, caller: Caller) -> datetime:
        """Return what the clock of a writer shows."""
        if self.midnight is None:
            return MIDNIGHT - timedelta(hours=12)
        return MIDNIGHT + timedelta(seconds=caller.timeline.steady - self.midnight + caller.skew)

    # --- at work ---

    def moment(self, world: World) -> None:
        """Let some writers work at once, or none; the world's time stands still for all others."""
        self.look(world)
        if self.chance.random() >= IDLE and any(shard.done < len(shard.records) for shard in self.stream.shards):
            writers = self.chance.choice(AT_ONCE)
            if writers > 1 and self.midnight is None and self.chance.random() < 0.5:
                self.midnight = world.timeline.steady + self.chance.random()
            self._work(world, [self.chance.choice(self.stream.shards) for _ in range(writers)])
        if self.chance.random() < AUDITED:
            self.audit(world)

    def audit(self, world: World, *, is_last: bool = False) -> None:
        """Audit from the last checkpoint on, beside whoever archives: nobody has damaged anything."""
        caller = world.caller(Step("audit", self.chance.getrandbits(48)))
        caller.ends_at = float("inf")
        store = world.place.audits(caller, lambda: caller.dice.happens(STALE_READS[1]))
        deadline = caller.clock().deadline(AUDIT_SECONDS)
        heads, bucket = self.place.heads(caller), FaultyBucket(self.bucket, caller)
        before, name = world.timeline.steady, "an audit of all" if is_last else "an audit against the archive"

        def audited() -> ArchiveAudit:
            archive = chain_audit.Archive(bucket, stream.Record.read, heads.head(deadline))
            return archived_audit.audit_archive(archive, store, deadline, _nobody, writes=True, whole=is_last)

        said = tried(world, name, audited)
        world.timeline.steady = before
        if said is None:
            return
        world.count["audit against the archive"] += 1
        self._hear(world, [(each.kind, each.users, each) for each in said.differences])
        is_counted_again = self.is_hurried and not is_last and said.entries > self._posted(said.until)
        if said.entries != (posted := self._posted(said.until)) and not is_counted_again:
            world.wrong.append(
                f"an audit has counted {said.entries} entries up to object {said.until.number}, which are {posted}"
            )
        if is_last and not (said.is_finished and said.entries == len(world.place.entries())):
            world.wrong.append(f"an audit of all has seen {said.entries} entries, to its end: {said.is_finished}")

    def opened(self, caller: Caller) -> OpenArchive:
        """Return the archive as a scheduled run reaches it."""
        return OpenArchive(FaultyBucket(self.bucket, caller), self.place.heads(caller), stream.Record.read)

    def hear(self, world: World, said: Mapping[str, Any]) -> None:
        """Hear what a scheduled run says of the ledger: nobody has damaged anything."""
        self.look(world)
        self.is_hurried = True
        world.count["audit of a run against the archive"] += "counts" in said
        self._hear(world, [(each["kind"], set(each["users"]), each) for each in said.get("differences", ())])

    def _hear(self, world: World, found: Sequence[tuple[str, AbstractSet[str], object]]) -> None:
        """Take what is found for wrong, unless it is late and nobody has done anything to it."""
        waiting = self._waiting(world)
        false = [each for kind, users, each in found if kind not in WAITS or not users & waiting]
        world.count["entry that was archived too late"] += len(found) - len(false)
        if false:
            world.wrong.append(f"a false alarm against the archive: {false[:3]}")

    def _posted(self, until: Head) -> int:
        """Return how many entries are archived up to a head, each once."""
        objects = follow(self.bucket, EMPTY, until, NEVER)
        lines = (line for each in objects if isinstance(each, chain.ArchiveObject) for line in each.lines)
        return len({record.key for record in map(stream.Record.read, lines) if record.entry is not None})

    def _waiting(self, world: World) -> set[str]:
        """Return the users of entries that nobody has archived after a quarter of an hour, as far as anybody knows."""
        waiting = (record["dynamodb"] for shard in self.stream.shards for record in shard.records[shard.done :])
        overdue = world.timeline.now().timestamp() - LATE_SECONDS
        late = (change for change in waiting if change["ApproximateCreationDateTime"] < overdue)
        return {change["NewImage"]["userId"]["S"] for change in late}

    def look(self, world: World) -> None:
        """Hear what the stream tells."""
        self.stream.look(world)

    def rest(self, world: World) -> None:
        """Archive all that is left; nothing goes wrong any more."""
        self.look(world)
        while left := [shard for shard in self.stream.shards if shard.done < len(shard.records)]:
            self._work(world, left[:1])

    def _work(self, world: World, shards: Sequence[Shard]) -> None:
        self.moments += 1
        before, crew = world.timeline.steady, world.crew
        world.crew = Crew(self.chance) if len(shards) > 1 else Crew(UNASKED)
        world.crew.run([self._writer(world, shard) for shard in shards])
        world.count["turns taken from one archiver by another"] += world.crew.turns
        world.timeline.steady, world.crew = before, crew

    def _writer(self, world: World, shard: Shard) -> Callable[[], None]:
        caller = world.caller(Step("archive", self.chance.getrandbits(48)))
        caller.ends_at = world.timeline.steady + (SECONDS[-1] if world.is_calm else self.chance.choice(SECONDS))
        since, records = shard.batch(self.chance, may_repeat=not world.is_calm)

        def work() -> None:
            if not records:
                return
            what = f"{len(records)} records to archive"
            if tried(world, what, lambda: self._append(caller, records)) is not None:
                world.count["batch that was archived"] += 1
                world.count["batch that was archived before"] += since + len(records) <= shard.done
                shard.archived(since + len(records))

        return work

    def _append(self, caller: Caller, records: Sequence[Mapping[str, Any]]) -> Head:
        deadline = caller.clock().deadline(caller.ends_at - caller.timeline.steady - 0.5)
        lines = [stream.record_of_stream(record).text() for record in records]
        return chain.append(FaultyBucket(self.bucket, caller), self.place.heads(caller), lines, self.at(caller), deadline)

    # --- what must be true ---

    def head(self) -> Head:
        """Return the head as it is now."""
        return self.place.heads().head(NEVER)

    def wrong(self, world: World) -> list[str]:
        """Return what is wrong with the archive, once all was handed over."""
        told = [record for shard in self.stream.shards for record in shard.records]
        head, words = self.head(), world.desk.words(world.place)
        table = {(entry["reference"], int(entry["sequence"])): encode_item(dict(entry)) for entry in world.place.entries()}
        spoken = {key: encode_item({EXPLANATION: said})[EXPLANATION] for key, said in words.items()}
        lines, wrong = judge_chain(self.bucket.objects, head.digest, told, table, spoken)
        wrong += [] if wrong else list(self._read_wrongly(lines, head))
        world.count["object of an archive"] += head.number
        kept = sum(key.startswith(chain.PREFIX) for key in self.bucket.objects)
        world.count["object that no head names"] += kept - head.number
        world.count["archive whose day ends"] += head.day > "2026-01-05"
        return [f"the archive: {problem}" for problem in wrong]

    def _read_wrongly(self, objects: Sequence[Sequence[str]], head: Head) -> Iterator[str]:
        """Read the chain as the product does: whole, from any object on, to any other, and without its head."""
        read = list(follow(self.bucket, EMPTY, head, NEVER))
        if [getattr(each, "lines", each) for each in read] != [tuple(lines) for lines in objects]:
            yield f"read from the first object on it is {read}"
            return
        heads = [EMPTY, *heads_of(read)]
        since, until = sorted(self.chance.randrange(len(heads)) for _ in range(2))
        part = [getattr(each, "lines", each) for each in follow(self.bucket, heads[since], heads[until], NEVER)]
        if part != [tuple(lines) for lines in objects[since:until]]:
            yield f"read from object {since} to {until} it is {part}"
        open_end = [getattr(each, "lines", each) for each in follow(self.bucket, EMPTY, None, NEVER)]
        is_there = set(map(tuple, objects)) <= set(open_end)
        if not is_there or open_end[: len(objects) - 1] != [tuple(lines) for lines in objects[:-1]]:
            yield "read without its head it is another"


def _nobody(_entry: AuditedEntry) -> bool:
    """Believe no correction: nobody has repaired anything."""
    return False


def archive_between(world: World) -> None:
    """Let the archive work after a round, in histories that have one."""
    if world.archive.takes_part:
        world.archive.moment(world)


def archived_at_last(world: World) -> list[str]:
    """Archive what is left, and return what is wrong with the archive."""
    if not world.archive.takes_part:
        return []
    world.archive.rest(world)
    world.timeline.pass_by(AUDIT_SECONDS + 1)
    for is_last in (False, True):
        world.archive.audit(world, is_last=is_last)
    return world.archive.wrong(world)
