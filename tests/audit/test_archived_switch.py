"""The archive switched on over a ledger that was sealed, and off again: what becomes of seals, and of what each audit says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine.audit.repair import repair
from engine.audit.seals import Damage, Verification, verify
from engine.ledger.dynamodb.store import DynamoStore
from tests.repairs.conftest import Place, place_on
from tests.support.archived_world import ArchivedWorld
from tests.support.events import rendered

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def world() -> ArchivedWorld:
    """Return two charges of u-1 that were sealed, without an archive, an hour later."""
    world = ArchivedWorld()
    world.world.user("u-1")
    world.world.deliver(rendered("j-1"), rendered("j-2"))
    world.time.wait(HOUR)
    assert (1, 2) == sealed(world)
    return world


def sealed(world: ArchivedWorld) -> tuple[int, int]:
    """Let a scheduled run seal, where there is no archive: the number of its seal, and how many entries are sealed."""
    told = world.world.scheduled()["audit"]
    assert ([], [], 0) == (told["drifts"], told["faults"], told["seal"]["cameOrWent"])
    return told["seal"]["number"], told["seal"]["entries"]


def verified(world: ArchivedWorld) -> Verification:
    """Compare what was sealed."""
    return verify(world.store, world.world.deadline(60))


def test_the_first_seal_after_an_archive_covers_all_that_came_while_there_was_one(world: ArchivedWorld) -> None:
    """So there is no gap: a seal is of everything since the seal before. Before it the archive alone proves what came."""
    world.archived.take_in()
    world.deliver(rendered("j-3"))
    world.time.wait(HOUR)
    told = [world.scheduled()["archive"], world.scheduled()["archive"]]
    before = verified(world)
    world.world.deliver(rendered("j-4"))
    world.time.wait(HOUR)

    assert [({}, 3)] * 2 == [(each["counts"], each["entries"]) for each in told]
    assert (1, 2, ()) == (before.seals, before.entries, before.deviations)
    assert (2, 4) == sealed(world)
    assert (2, 4, ()) == ((after := verified(world)).seals, after.entries, after.deviations)


def test_an_archive_that_is_switched_on_again_is_told_what_it_lacks(world: ArchivedWorld) -> None:
    """What was posted while there was none is found until it is taken in; its flags are no older than they say."""
    world.archived.take_in()
    world.scheduled()
    world.world.deliver(rendered("j-3"))
    world.time.wait(2 * DAY)
    assert (2, 3) == sealed(world)
    lacking = world.scheduled()["archive"]["counts"]
    world.archived.take_in()
    world.time.wait(HOUR)

    assert {"unarchived": 1} == lacking
    assert ({}, 3) == ((told := world.scheduled()["archive"])["counts"], told["entries"])


def test_what_a_plan_has_put_right_is_sealed_as_it_is_put_right(tmp_path: Path) -> None:
    """But what was dated back behind the last seal stays, undone: the seals call it added until a repair by seals says so."""
    archived = ArchivedWorld()
    desk: Place = place_on(archived.client, archived.world.tables, tmp_path)
    desk.deliver(rendered("j-1"), rendered("j-2"))
    desk.time.wait(HOUR)
    desk.world.scheduled()
    desk.deliver(rendered("j-3"))
    desk.change("job#j-1", 1, amount=Decimal("-0.1"))
    desk.remove("job#j-3", 1)
    desk.insert("job#j-2", 2, ("job#j-2", 1), amount=Decimal(5), cost=Decimal(-5), type="refund")
    desk.repair("u-1")
    assert [] == desk.audit()
    desk.time.wait(HOUR)
    told = desk.world.scheduled()["audit"]
    found = verify(desk.store, desk.deadline)

    assert ([], [], 1) == (told["drifts"], told["faults"], told["seal"]["cameOrWent"])
    assert [(Damage.ADDED, "job#j-2", 2)] == [(each.damage, each.reference, each.sequence) for each in found.open]

    ledger = DynamoStore(desk.world.client, desk.world.tables, desk.world.clock)
    balance = desk.balance("u-1")
    repair(ledger, "u-1", "undone by a plan", None, desk.deadline)
    desk.time.wait(HOUR)
    assert (0, balance) == (desk.world.scheduled()["audit"]["seal"]["cameOrWent"], desk.balance("u-1"))
    assert () == verify(desk.store, desk.deadline).open
