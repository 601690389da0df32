"""An audit against the archive whose time ends before it has found what it looks for: it accuses nobody of that."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define

from engine.audit.archived.seen import ArchiveAudit
from engine.ledger.archive.bucket import MemoryBucket
from tests.support.archived_world import ArchivedWorld
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered

SOME = {"M": {"summary": {"S": "long"}}}
UNSEEN = "was written to, and the archive has not seen it come"


@define
class SlowBucket(MemoryBucket):
    """A bucket that takes two seconds for each object of the chain."""

    time: ManualClock | None = None

    def get(self, key: str, deadline: Any) -> bytes | None:
        """Return an object, late."""
        assert self.time is not None
        self.time.wait(2 if key.startswith("entries/") else 0)
        return MemoryBucket.get(self, key, deadline)


@pytest.fixture
def world() -> ArchivedWorld:
    """Return four objects, each of one entry, behind which an audit has kept its checkpoint; j-1 stands in the first."""
    world = ArchivedWorld()
    world.world.user("u-1").user("u-2")
    world.deliver(rendered("j-1"), failed("j-1"), rendered("j-2"), rendered("j-3", user="u-2"))
    assert [] == world.found()
    return world


def hurried(world: ArchivedWorld) -> ArchiveAudit:
    """Audit with sixteen seconds.

    Two see that the checkpoint's head is there, two read what is new. Of the twelve left the first search has a third: it
    reads two objects, and the first one is the fourth.
    """
    quick = world.archived.bucket
    assert isinstance(quick, MemoryBucket)
    world.archived.bucket = SlowBucket(quick.objects, world.time)
    try:
        return world.audit(seconds=16)
    finally:
        world.archived.bucket = quick


def explain_what_the_stream_has_lost(world: ArchivedWorld) -> None:
    """Post j-4 so that no record tells of it, and explain it so that one does."""
    world.world.deliver(rendered("j-4"))
    assert len(list(world.archived.changes(world.time.now()))) == 1
    world.change("job#j-4", 1, "SET explanation = :e", e=SOME)


def test_an_explanation_whose_entry_there_is_no_time_to_look_for_is_no_finding(world: ArchivedWorld) -> None:
    """The audit is not finished; the next one looks for the entry again, behind its checkpoint, and finds it (seed 1635)."""
    world.change("job#j-1", 1, "SET explanation = :e", e=SOME)
    first = hurried(world)
    second = world.audit()

    assert [(False, ()), (True, ())] == [(each.is_finished, each.differences) for each in (first, second)]
    assert [(4, 5), (5, 5)] == [(each.since.number, each.until.number) for each in (first, second)]
    assert first.is_kept


def test_it_is_looked_for_until_there_is_time(world: ArchivedWorld) -> None:
    """Three audits without time say that they are not finished, which an alarm tells."""
    world.change("job#j-1", 1, "SET explanation = :e", e=SOME)

    assert [(False, ())] * 3 == [(each.is_finished, each.differences) for each in (hurried(world) for _ in range(3))]
    assert ([], True) == (world.found(), world.audit().is_finished)


def test_what_was_changed_meanwhile_is_found_by_the_next_audit(world: ArchivedWorld) -> None:
    """A change that follows the explanation hides behind no lack of time: it is told by its name, as something new."""
    world.change("job#j-1", 1, "SET explanation = :e", e=SOME)
    world.change("job#j-1", 1, "SET eventId = :e", e={"S": "another"})
    first, second = hurried(world), world.audit()

    assert [(), ("changed",)] == [tuple(each.kind for each in seen.differences) for seen in (first, second)]
    assert [0, 1] == [first.new, second.new]


def test_what_the_archive_has_not_seen_is_told_once_there_was_time_to_look(world: ArchivedWorld) -> None:
    """As something new, beside the user's books; and again by an audit that has no time, since nobody has put it right."""
    explain_what_the_stream_has_lost(world)
    seen = [hurried(world), world.audit(), hurried(world)]

    assert [False, True, True] == [UNSEEN in [each.problem for each in audit.differences] for audit in seen]
    assert [0, 2, 0] == [audit.new for audit in seen]
