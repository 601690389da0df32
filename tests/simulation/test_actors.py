"""Who else is at work in histories: what they do wrong is seen, and what explains leaves the ledger as it is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from attrs import evolve

from engine.anomalies.explain.budget import Budget
from engine.anomalies.explain.run import Explainer
from engine.ledger.dynamodb import explanations
from tests.simulation.database import Fresh, Seeded
from tests.simulation.history import play
from tests.simulation.world import actors
from tests.simulation.world.casting import OFTEN
from tests.simulation.world.crew import Crew
from tests.simulation.world.plan import Plan, Round, Step, plan_of
from tests.simulation.world.play import World
from tests.simulation.world.strict import strict_world


def without_others(plan: Plan) -> Plan:
    """Return a plan in which nobody else is at work."""
    rounds = (evolve(each, steps=tuple(step for step in each.steps if step.kind not in OFTEN)) for each in plan.rounds)
    return evolve(plan, rounds=tuple(each for each in rounds if each.steps), often=0.12)


def and_explained(round_: Callable[[World, Round], None]) -> Callable[[World, Round], None]:
    """After each round let flagged entries be explained, while time stands still; the others' reads are never stale."""

    def both(world: World, each: Round) -> None:
        round_(world, each)
        database, before = world.place.database, world.timeline.steady  # type: ignore[attr-defined]
        world.crew, database.staleness = Crew(Random(each.seed)), Seeded.of(each.seed)  # noqa: S311  it is to be repeatable
        actors.explain(world, Step("explain", each.seed))
        database.staleness, world.timeline.steady = Fresh(), before

    return both


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_the_ledger_is_the_same_to_the_byte_with_explanations_and_without(seed: int) -> None:
    """Each entry, each row; with a model that fails in every way, functions that are killed, and faults of requests."""
    plan = without_others(plan_of(seed))
    worlds = [strict_world(plan) for _ in range(2)]
    for world in worlds:
        world.place.database.staleness = Fresh()  # type: ignore[attr-defined]
    verdicts = [play(plan, worlds[0])]
    with patch.object(World, "round", and_explained(World.round)):
        verdicts.append(play(plan, worlds[1]))

    assert [(), ()] == [verdict.wrong for verdict in verdicts]
    assert worlds[0].place.entries() == worlds[1].place.entries()
    assert worlds[0].place.rows() == worlds[1].place.rows()
    assert worlds[1].desk.words(worlds[1].place), "nothing was explained"


def _overwrites(_old: Any) -> Any:
    def store(self: Any, entry: Any, explanation: Any, deadline: Any) -> bool:
        request = {
            "TableName": self.tables.ledger,
            "Key": explanations._key(entry),  # noqa: SLF001
            "UpdateExpression": "SET explanation = :explanation",
            "ExpressionAttributeValues": {":explanation": explanations.encode(explanation)},
            "ReturnValues": "NONE",
        }
        return bool(self._is_updated(request, deadline))

    return store


def _pays(old: Any) -> Any:
    def store(self: Any, entry: Any, explanation: Any, deadline: Any) -> bool:
        self.client.update_item(
            TableName=self.tables.credits,
            Key={"userId": {"S": entry.user}},
            UpdateExpression="ADD remaining :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        return bool(old(self, entry, explanation, deadline))

    return store


MUTANTS: dict[str, tuple[Any, str, Callable[[Any], Any], int]] = {
    "the budget is not asked": (Budget, "take", lambda _old: lambda *_: True, 11),
    "of a batch that failed nothing comes back": (Explainer, "batch", lambda old: lambda *v: old(*v)[:0], 472),
    "an explanation takes the place of another": (explanations.DynamoExplanationStore, "store", _overwrites, 72),
    "an explanation gives a credit": (explanations.DynamoExplanationStore, "store", _pays, 0),
    "words that were not stored are told": (
        explanations.DynamoExplanationStore,
        "store",
        lambda old: lambda *v: old(*v) or True,
        72,
    ),
    "the command deletes what it could not settle": (actors, "settle", lambda _old: lambda *_: ([], None), 5),
}
"""By what they do wrong: where, and the seed from which on histories on the strict database are played."""


@pytest.mark.parametrize("name", MUTANTS)
def test_what_others_do_wrong_is_seen(name: str) -> None:
    """By the history of the seed, or by one of the next forty in which anybody else takes part."""
    place, attribute, broken, seed = MUTANTS[name]
    plans = (plan for plan in map(plan_of, range(seed, seed + 200)) if any(step.kind in OFTEN for step in plan.steps()))
    with patch.object(place, attribute, broken(vars(place)[attribute])):
        assert any(play(plan, strict_world(plan)).wrong for plan in islice(plans, 1 + 40))
