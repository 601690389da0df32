"""Histories on the strict database, by the product's own store: its conditions, its retries, its reading of reasons."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import count
from unittest.mock import patch

import pytest

from tests.simulation import shrinking
from tests.simulation.history import play
from tests.simulation.mutants import MUTANTS
from tests.simulation.shrinking import shrunk
from tests.simulation.story import story_of
from tests.simulation.tables import missing, tables
from tests.simulation.world.plan import Plan, Step, plan_of
from tests.simulation.world.play import World
from tests.simulation.world.strict import strict_world
from tests.support.examples import part

IN_EVERY_RUN = range(8)
FRESH = range(2_000_000, 2_000_000 + part(80))
"""About two minutes of one core."""
CALM = 2018, 3264
"""From here on the next history in which nothing goes wrong is found at once; one in 1,600 is such a one."""
SHORT = 109
"""A history of 44 steps, each play of which takes a quarter of a second."""


def wrong(seed: int) -> tuple[str, ...]:
    """Return what is wrong with a history in the end."""
    plan = plan_of(seed)
    return play(plan, strict_world(plan)).wrong


@pytest.mark.parametrize("seed", IN_EVERY_RUN)
def test_a_history_on_the_strict_database_ends_right(seed: int) -> None:
    """And no request is one that DynamoDB would refuse as senseless."""
    assert () == wrong(seed)


def test_both_stores_end_with_the_same_balances() -> None:
    """Where nothing goes wrong, no policy is deployed and every charge is allowed, the order of calls plays no part."""
    for begin in CALM:
        plan = next(filter(_is_calm, map(plan_of, count(begin))))
        worlds = World(plan), strict_world(plan)
        assert [(), ()] == [play(plan, world).wrong for world in worlds]
        first, second = ({user: row["remaining"] for user, row in world.place.rows()[1].items()} for world in worlds)
        assert first == second


DECIDES_BY_ITS_TURN = frozenset({"deploy", "price_by_hand", "apply_prices"})
"""What comes to something else before an event than after it."""


def _is_calm(plan: Plan) -> bool:
    """Say whether no fault, no deployment, no price told by a person and no other plan of a user changes what it comes to."""
    is_calm = plan.often == 0 and plan.overdraft == "allow" and plan.cap is None
    return is_calm and not any(step.kind in DECIDES_BY_ITS_TURN or _changes_plan(step) for step in plan.steps())


def _changes_plan(step: Step) -> bool:
    return step.kind == "update" and "status" not in step.subject[0]


def test_a_failing_history_on_the_strict_database_is_made_small_and_told() -> None:
    """A bug that only requests show: the story is of that world, and so is what plays it again."""
    name = "all transactions go with one token"
    plan = plan_of(SHORT)
    with MUTANTS[name].at_work(), patch.object(shrinking, "PLAYS_MAX", 30):
        small = shrunk(plan, is_strict=True)
        told = story_of(small, is_strict=True)

    assert len(list(small.steps())) < len(list(plan.steps())) * 2 / 3
    assert "What is wrong:\n  " in told
    assert f"--strict --story {plan.seed}" in told
    assert () == play(small, strict_world(small)).wrong


@pytest.mark.proof
@pytest.mark.slow(50)
@pytest.mark.timeout(1800)
def test_fresh_histories_on_the_strict_database_end_right() -> None:
    """No violation, and no ValidationException anywhere."""
    count: Counter[str] = Counter()
    ended = {}
    for seed in FRESH:
        plan = plan_of(seed)
        verdict = play(plan, strict_world(plan))
        count.update(verdict.count)
        if verdict.wrong:
            ended[seed] = verdict.wrong[0]
    print("\n".join(tables(count, is_strict=True)), file=sys.stderr)

    assert {} == ended
    assert [] == missing(count, is_strict=True)
