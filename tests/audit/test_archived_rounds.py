"""All of the ledger against all of the archive, once a week, in pieces: whatever the stream has lost is found."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from engine.audit.archived import rounds
from engine.audit.archived.rounds import Round, Rounds, last_round
from engine.audit.archived.seen import Archive
from engine.ledger.archive.bucket import MemoryBucket
from engine.ledger.dynamodb.stream import Record
from tests.support.archived_world import ArchivedWorld
from tests.support.events import failed, rendered

HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> ArchivedWorld:
    """Return a user with ten jobs, of which one was given back, a day ago."""
    monkeypatch.setattr(rounds, "OBJECTS_OF_A_SEGMENT", 4)
    world = ArchivedWorld()
    world.world.user("u-1")
    world.deliver(*(rendered(f"j-{number}") for number in range(10)), failed("j-3"))
    world.time.wait(DAY)
    return world


def go_on(world: ArchivedWorld, seconds: float = 10**6) -> list[str]:
    """Go on with the round, and return what its end has found."""
    archive = Archive(world.archived.bucket, Record.read, world.archived.heads.now)
    found = Rounds(archive, world.store, world.world.deadline(seconds)).go_on()
    return sorted(f"{each.kind}: {each.key[0] if each.key else ''}" for each in found)


def lose(world: ArchivedWorld) -> None:
    """Let somebody change, remove and add an entry while nobody reads the stream."""
    key = {"reference": {"S": "job#j-1"}, "sequence": {"N": "1"}}
    update = {"UpdateExpression": "SET amount = :n", "ExpressionAttributeValues": {":n": {"N": "5"}}}
    world.client.update_item(TableName="Ledger", Key=key, **update)
    world.client.delete_item(TableName="Ledger", Key={**key, "reference": {"S": "job#j-2"}})
    item = {**world.item("job#j-4", 1), "reference": {"S": "job#j-99"}}
    world.client.put_item(TableName="Ledger", Item=item)
    world.archived.seen = world.archived.items()


def test_an_honest_ledger_has_no_finding_and_a_round_is_made_once_a_week(world: ArchivedWorld) -> None:
    """Also where records came twice, an entry has an explanation, and others are being posted."""
    world.change("job#j-3", 2, "SET explanation = :e", e={"M": {"summary": {"S": "why"}}})
    world.world.deliver(rendered("j-20"))
    world.archived.hand_over(repeated=True)
    assert [] == go_on(world)
    first = last_round(world.archived.bucket, world.archived.deadline)
    world.time.wait(timedelta(days=6).total_seconds())
    assert [] == go_on(world)
    assert first == last_round(world.archived.bucket, world.archived.deadline)
    world.time.wait(2 * DAY)
    assert [] == go_on(world)

    second = last_round(world.archived.bucket, world.archived.deadline)
    assert (first.is_over, second.is_over) == (True, True)
    assert second.begun > first.begun


def test_what_the_stream_has_lost_is_found_at_the_end_of_a_round(world: ArchivedWorld) -> None:
    """And by the next runs, until it is put right; what was posted a moment ago is left to the next round."""
    lose(world)
    world.world.deliver(rendered("j-50"))

    assert ["changed: job#j-1", "removed: job#j-2", "unarchived: job#j-99"] == go_on(world)


@pytest.mark.parametrize("seconds", [3, 7])
def test_a_round_takes_as_many_runs_as_it_needs(world: ArchivedWorld, seconds: float) -> None:
    """Each object takes a second; a run has a few of them."""

    class Slow(MemoryBucket):
        def get(self, key: str, *_: object) -> bytes | None:
            world.time.wait(1 if key.startswith("entries/") else 0)
            return self.objects.get(key)

    assert isinstance(world.archived.bucket, MemoryBucket)
    world.archived.bucket = Slow(world.archived.bucket.objects)
    lose(world)
    runs, found = 0, list[str]()
    while not found:
        found = go_on(world, seconds)
        runs += 1
        assert runs < 20

    assert runs > 11 // seconds
    assert ["changed: job#j-1", "removed: job#j-2", "unarchived: job#j-99"] == found


def test_what_was_late_when_a_round_began_and_has_come_since_is_no_finding(world: ArchivedWorld) -> None:
    """The archive was behind for longer than a quarter of an hour; nobody has done anything."""
    world.world.deliver(rendered("j-50"))
    world.time.wait(HOUR)
    assert [] == go_on(world, 0)
    world.archived.hand_over()

    assert [] == go_on(world)


def test_an_object_that_is_gone_is_told_at_the_end_of_a_round(world: ArchivedWorld) -> None:
    """What was in it is told as what the archive has not: nobody can say any more."""
    assert isinstance(world.archived.bucket, MemoryBucket)
    gone = next(key for key in sorted(world.archived.bucket.objects) if key.startswith("entries/"))
    del world.archived.bucket.objects[gone]

    assert ["archive: ", "unarchived: job#j-0"] == go_on(world)


def test_a_round_says_when_one_was_over_last(world: ArchivedWorld) -> None:
    """Also while the next one is under way. One that was kept before this was noted counts from its beginning."""
    begun = world.time.now()
    go_on(world)
    first = last_round(world.archived.bucket, world.archived.deadline)
    world.time.wait(8 * DAY)
    go_on(world, 0)
    second = last_round(world.archived.bucket, world.archived.deadline)
    old = evolve(first, ended="")

    assert (True, False) == (first.is_over, second.is_over)
    assert (first.ended, first.seconds_since(begun + timedelta(hours=1))) == (second.ended, HOUR)
    assert 8 * DAY == second.seconds_since(world.time.now())
    assert "ended" not in old.text()
    assert old == Round.read(old.key, old.text().encode())
    assert 8 * DAY == old.seconds_since(world.time.now())
    assert Round().seconds_since(begun) is None


def test_what_is_no_round_is_passed_over(world: ArchivedWorld) -> None:
    """Somebody has put it there: the round before counts."""
    assert [] == go_on(world)
    kept = last_round(world.archived.bucket, world.archived.deadline)
    for body in (b"", b"{}", kept.text().replace("true", "false").encode()):
        world.archived.bucket.put(f"checkpoints/rounds/{99:012d}-{'0' * 32}.json", body, world.archived.deadline)

    assert kept == last_round(world.archived.bucket, world.archived.deadline)
