"""Four days of one user, told by events that are posted a day apart: a statement of them was worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.domain.decision import Standing
from engine.domain.entry import Correction
from engine.domain.fact import Adjustment
from engine.domain.facts import Facts
from engine.ledger.store import Tables
from engine.policy import load_policy
from engine.rating.correct import Word, correct
from tests.support.clock import ManualClock
from tests.support.events import event, failed, rendered
from tests.support.world import World
from tools.environments import ROOT

DAY_SECONDS = 24 * 60 * 60
VIDEO = ROOT / "policies" / "video.yaml"
REASON = "was shouting on the phone"


def four_days(dynamodb: Any, tables: Tables) -> World:
    """Return four days of u-1, to whom the application gave 100 credits.

    Posted on the 5th j-1 of the 5th (8 s at 0.10), on the 6th 25 bought credits, on the 7th j-2, late, of the 6th (10 s at
    0.25), on the 8th the failure of j-1 and of j-9, which was never rendered. 100 - 0.80 + 25 - 2.50 + 0.80 are 122.50.
    """
    time = ManualClock()
    world = World(dynamodb, tables, load_policy(VIDEO), time.clock()).user("u-1", "100")
    bought = {"purchaseId": "p-1", "userId": "u-1", "credits": 25}
    days = (
        (rendered("j-1", at="2026-01-05T10:00:00Z"),),
        (event("credits.purchased", bought, "2026-01-06T09:00:00Z"),),
        (rendered("j-2", seconds=10, model="premium", at="2026-01-06T08:00:00Z"),),
        (failed("j-1", at="2026-01-08T11:00:00Z"), failed("j-9", at="2026-01-08T11:30:00Z")),
    )
    for events in days:
        world.deliver(*events)
        time.wait(DAY_SECONDS)
    return world


def give_of_goodwill(world: World, credits_given: int) -> None:
    """Give u-1 credits by a person's word, with a reason that is meant for colleagues."""
    at = world.clock.now()
    facts = Facts(adjustments=(Adjustment("a-1", Decimal(credits_given), at),))
    word = Word("adjust#a-1", None, "u-1", at, "adjust", facts, Correction(REASON, "arn:aws:iam::1:user/ada", "a-1"))
    ledger = world.reconciler().ledger
    log = ledger.read(word.reference, world.deadline())
    decision = correct(word, log, Standing.ASSUMED_COVERED, world.policy)
    assert decision.entry is not None
    ledger.post(decision.entry, decision.guard, None, world.deadline())
