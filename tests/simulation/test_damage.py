"""Every kind of damage, planted in a history that is over: what audit and repair do about it is as the table says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from engine.audit import books, seals
from engine.audit.repair import Wrong, repair
from engine.audit.repairer import Repairer
from engine.domain.envelope import Source
from engine.ledger.dynamodb.audits import DynamoAuditStore
from tests.simulation.history import holds_credits, play
from tests.simulation.world.aftermath import Aftermath, damaged
from tests.simulation.world.damage import Hands, Spot, copied
from tests.simulation.world.damage_done import forged, n, s
from tests.simulation.world.damage_kinds import KINDS, Mended
from tests.simulation.world.plan import plan_of
from tests.simulation.world.play import World
from tests.simulation.world.terms import EDITS, policy_of

pytestmark = pytest.mark.slow  # on one worker: it keeps the histories

SEEDS = [seed for seed in range(3_000_000, 3_000_052) if not holds_credits(plan_of(seed))]
"""What a hold adds to the table is tried by hand (tests/audit, repairs): more is noticed; what was refused may be held."""


@functools.cache
def over(seed: int) -> World:
    """Return the world of a history that is over. Damage is done to a copy; that the history is right, others test."""
    world = World(plan_of(seed))
    with patch("tests.simulation.history.damaged", lambda _world: []):
        play(world.plan, world)
    return world


def planted(kind: str, times: int, seeds: Iterable[int] = SEEDS) -> list[str]:
    """Plant one kind of damage in so many histories, if there are, and return what is not as the table says."""
    wrong: list[str] = []
    left = times
    for world in map(over, seeds):
        before = world.count[f"damage {kind}"]
        wrong += [f"seed {world.plan.seed}: {what}" for what in damaged(world, (kind,))]
        left -= world.count[f"damage {kind}"] - before
        if not left:
            break
    assert left < times, f"{kind}: none of {len(SEEDS)} histories has anything that it could be done to"
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_damage_is_noticed_named_and_mended_as_the_table_says(kind: str) -> None:
    """And no innocent is named or moved, no entry is changed, a second repair does nothing, events sent again move nothing."""
    assert [] == planted(kind, 1)


@pytest.mark.proof
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_damage_is_as_the_table_says_wherever_it_is_done(kind: str) -> None:
    """In up to two histories, mostly others than above; the thousand that `make proof` plays plant each kind more often."""
    assert [] == planted(kind, 2, reversed(SEEDS))


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
        DynamoAuditStore, "append_with_row",
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


@pytest.fixture
def hands() -> Iterator[Hands]:
    """Return the tables of a history that is over, all of it sealed."""
    world = over(SEEDS[0])
    before, hands = world.timeline.steady, Hands(copied(world), frozenset())
    world.timeline.pass_by(1200.0)
    hands.seal()
    yield hands
    world.timeline.steady = before


def one(hands: Hands, *conditions: str) -> Spot:
    """Return the first entry of which the conditions are true."""
    return next(spot for spot in hands.spots() if all(getattr(spot, name) for name in conditions))


def test_a_correction_that_cannot_be_read_stops_no_run_and_is_named(hands: Hands) -> None:
    """Its anomalies are texts: it corrects nothing, and the scheduled audit and the repair come to their end."""
    spot = one(hands, "is_sealed")
    hands.change(spot, source=s("repair"), anomalies={"L": [s("corrected")]})

    seen = hands.seal()

    assert [spot.reference] == [fault.reference for fault in seen.faults]
    assert hands.verify().open


# --- what is known to be wrong, shown as it is: whoever mends it turns the test round ----------------------------------


def test_known_an_entry_is_slipped_in_unseen_while_another_is_dated_out_of_the_seals(hands: Hands) -> None:
    """The count of what is behind the seals is right, so that nobody looks for what was added: only the other is named."""
    moved = one(hands, "is_sealed", "is_still")
    other = one(hands, "is_sealed", "moves")
    hands.change(moved, postedAt=s("2031-01-05T12:00:00.000000Z"))
    item = {**other.item, "reference": s("grant#gift"), "sequence": n(1), "amount": n(0), "cost": n(0), "type": s("flag")}
    hands.put(item)

    seen, verified = hands.seal(), hands.verify()

    assert 0 == seen.came_or_went
    assert seen.is_clean
    assert [moved.reference] == [deviation.reference for deviation in verified.open]


def test_known_a_forged_gift_is_paid_where_a_person_says_that_the_balance_is_wrong(hands: Hands) -> None:
    """Entries and balance disagree, and a person believes the entries: the forger has 500 credits more."""
    spot = one(hands, "is_sealed", "moves")
    before = hands.rows()[spot.user]
    forged(hands, spot, 500)

    repair(hands.ledger, spot.user, "the balances are wrong", Wrong.BALANCE, hands.ledger.clock.deadline(600))

    assert (before[0] + 500, before[1] + 500) == hands.rows()[spot.user]


def nets_at_other_prices(after: Aftermath, spot: Spot) -> set[Decimal]:
    """Return what a log comes to while its one event is sent again under one edit of the policy after the other."""
    plan, hands = after.world.plan, after.hands
    (document,) = (each for each in after.documents if each["id"] == spot.item["eventId"]["S"])
    nets = set()
    for edit in reversed(range(EDITS)):
        reconciler = after.reconciler(hands.ledger, policy_of(edit, plan.overdraft, plan.unknown_user))
        reconciler.event(document, Source.REPLAY, reconciler.clock.deadline(30))
        nets.add(hands.nets().get(spot.reference, Decimal(0)))
    return nets


def test_known_a_repair_forgets_the_price_of_an_entry_that_is_gone() -> None:
    """The sum comes back, the fact does not: its event, sent again after an edit of the prices, moves the difference."""
    assert any(moved_by_the_event_of_what_is_gone(seed) for seed in range(20, 60))


def moved_by_the_event_of_what_is_gone(seed: int) -> set[Decimal]:
    """Remove a charge of a history that is over, repair, and return by how much its event moves its log afterwards."""
    after, before = (Aftermath(over(seed), Random(0), ()) for _ in range(2))  # noqa: S311  nothing is drawn from it
    conditions = ("is_sealed", "is_alone", "is_told_again", "moves", "has_price")
    spots = [spot for spot in after.hands.spots() if all(getattr(spot, name) for name in conditions)]
    spot = next((spot for spot in spots if spot.item["type"] == s("debit")), None)
    if spot is None:
        return set()
    assert {spot.amount} == nets_at_other_prices(before, spot)  # in tables of its own: an edit may add an entry of 0
    after.hands.remove(spot.item)
    repair(after.hands.ledger, spot.user, "it is gone", None, after.hands.ledger.clock.deadline(600))
    assert spot.amount == after.hands.nets()[spot.reference]
    return {net - spot.amount for net in nets_at_other_prices(after, spot)} - {Decimal(0)}
