"""Histories on the strict database, by the product's own store: its conditions, its retries, its reading of reasons."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

import pytest

from engine.ledger.dynamodb import calls, marks, postings, store
from engine.ledger.dynamodb.wire import NoAnswerError
from tests.simulation.history import play
from tests.simulation.tables import tables
from tests.simulation.world.plan import Plan, plan_of
from tests.simulation.world.play import World
from tests.simulation.world.strict import strict_world

IN_EVERY_RUN = range(8)
FRESH = range(2_000_000, 2_000_250)
"""About two minutes of one core."""

MUTANT_SEEDS = range(40)


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
    calm = [plan for plan in map(plan_of, range(200)) if _is_calm(plan)]
    assert len(calm) == 2

    for plan in calm:
        worlds = World(plan), strict_world(plan)
        assert [(), ()] == [play(plan, world).wrong for world in worlds]
        first, second = ({user: row["remaining"] for user, row in world.place.rows()[1].items()} for world in worlds)
        assert first == second


def _is_calm(plan: Plan) -> bool:
    """Say whether no fault and no deployment changes what a plan comes to."""
    is_calm = plan.often == 0 and plan.overdraft == "allow" and plan.cap is None
    return is_calm and all(step.kind not in {"deploy", "update"} for step in plan.steps())


def _unconditional(old: Callable[..., Any]) -> Callable[..., Any]:
    def put(*values: Any) -> Any:
        action = old(*values)["Put"]
        return {"Put": {name: action[name] for name in ("TableName", "Item")}}

    return put


def _only_the_first(old: Callable[..., Any]) -> Callable[..., Any]:
    def pages(*values: Any) -> Any:
        yield next(old(*values))

    return pages


def _takes_silence_for_done(old: Callable[..., Any]) -> Callable[..., Any]:
    def calling(operation: Any, request: Any, deadline: Any, **named: Any) -> Any:
        def once(**asked: Any) -> Any:
            try:
                return operation(**asked)
            except NoAnswerError:
                return {}

        return old(once, request, deadline, **named)

    return calling


MUTANTS: Mapping[str, tuple[Any, str, Any]] = {
    "an entry is put without a condition": (postings, "put_entry", _unconditional),
    "only the first page is read": (calls, "pages", _only_the_first),
    "silence is taken for done": (store, "call", _takes_silence_for_done),
    "a mark asks for no user": (
        marks,
        "ITS_USER",
        lambda _old: "attribute_not_exists(#user) OR #user <> :user OR #user = :user",
    ),
}
"""Deliberate bugs below the store's protocol, which histories in memory cannot see."""


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name: str) -> None:
    """Within forty histories."""
    place, what, broken = MUTANTS[name]
    marks._condition.cache_clear()  # noqa: SLF001  it keeps conditions by what they ask for
    with patch.object(place, what, broken(getattr(place, what))):
        caught = next((tried for tried, seed in enumerate(MUTANT_SEEDS, start=1) if wrong(seed)), None)
    marks._condition.cache_clear()  # noqa: SLF001  the same

    assert caught is not None
    print(f"{name}: {caught}", file=sys.stderr)


@pytest.mark.proof
@pytest.mark.slow
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
    print("\n".join(tables(count)), file=sys.stderr)

    assert {} == ended
