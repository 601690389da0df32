"""Every kind of damage, planted in a history that is over: what audit and repair do about it is as the table says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from engine.audit import books, seals
from engine.audit.repair import Repairer
from engine.ledger.dynamodb.audits import DynamoAuditStore
from tests.simulation.history import play
from tests.simulation.world.aftermath import damaged
from tests.simulation.world.damage_kinds import KINDS, Mended
from tests.simulation.world.plan import plan_of
from tests.simulation.world.play import World

SEEDS = range(3_000_000, 3_000_040)


@functools.cache
def over(seed: int) -> World:
    """Return the world of a history that is over and right. Damage is done to a copy."""
    world = World(plan_of(seed))
    with patch("tests.simulation.history.damaged", lambda _world: []):
        assert () == play(world.plan, world).wrong
    return world


def planted(kind: str, times: int) -> list[str]:
    """Plant one kind of damage in so many histories, and return what is not as the table says."""
    wrong: list[str] = []
    for seed in SEEDS:
        world = over(seed)
        before = world.count[f"damage {kind}"]
        wrong += [f"seed {seed}: {what}" for what in damaged(world, (kind,))]
        times -= world.count[f"damage {kind}"] - before
        if not times:
            return wrong
    raise AssertionError(f"{kind}: no history of {SEEDS} has anything that it could be done to")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_damage_is_noticed_named_and_mended_as_the_table_says(kind: str) -> None:
    """And no innocent is named or moved, no entry is changed, a second repair does nothing, events sent again move nothing."""
    assert [] == planted(kind, 1)


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_damage_is_as_the_table_says_wherever_it_is_done(kind: str) -> None:
    """In eight histories."""
    assert [] == planted(kind, 8)


def test_what_is_not_seen_or_not_put_right_has_its_reason() -> None:
    """Nothing is passed over in silence."""
    unseen = [name for name, kind in KINDS.items() if not kind.noticed or kind.mended != Mended.RIGHT]

    assert ["seals: the count of the last header is changed"] == [name for name in unseen if not KINDS[name].why]


MUTANTS: dict[str, tuple[Any, str, Callable[[Any], Any], str]] = {
    "a drift is not looked at again": (books, "look_again", lambda _old: lambda *_: None, "row: posted is raised"),
    "what was sealed is not compared": (seals, "_deviation", lambda _old: lambda *_: None, "sealed: a rule is changed"),
    "what is slipped in is not counted": (
        seals.SealReader, "slipped_in", lambda _old: lambda *_: [], "sealed: a gift is slipped in behind the seal"
    ),
    "a repair forgets to take back": (
        Repairer, "_append", lambda old: lambda self, *v, **k: old(self, v[0], v[1], Decimal(0), **k),
        "sealed: an entry is given to another user",
    ),
    "a repair moves the balance of posted": (
        DynamoAuditStore, "append_with_posted",
        lambda old: lambda self, entry, seen, says, moved, deadline: old(self, entry, seen, says, moved + 1, deadline),
        "row: posted is lowered",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_an_audit_or_a_repair_that_is_wrong_is_seen(name: str) -> None:
    """So the table's test can fail."""
    place, attribute, broken, kind = MUTANTS[name]
    world = over(SEEDS[0]), over(SEEDS[1]), over(SEEDS[2])
    with patch.object(place, attribute, broken(vars(place)[attribute])):
        wrong = [what for each in world for what in damaged(each, (kind,))]

    assert [] != wrong
