"""Makes a failing plan small: drop rounds, then steps, then their faults, as long as it fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from attrs import evolve

from tests.simulation.history import play
from tests.simulation.world.plan import Plan, Round, Step
from tests.simulation.world.play import World
from tests.simulation.world.strict import strict_world

PLAYS_MAX = 600
"""So many histories are played at most to make one smaller: seconds in memory, some minutes on the strict database."""

type Fails = Callable[[Plan], bool]


def world_of(plan: Plan, *, is_strict: bool = False) -> World:
    """Return the world of a plan: in memory, or on the strict database."""
    return strict_world(plan) if is_strict else World(plan)


def shrunk(plan: Plan, *, is_strict: bool = False) -> Plan:
    """Return a small plan that fails as this one does."""

    def ends(each: Plan) -> tuple[str, ...]:
        return play(each, world_of(each, is_strict=is_strict)).wrong

    kind = kind_of(ends(plan))
    left = PLAYS_MAX

    def fails(smaller: Plan) -> bool:
        nonlocal left
        left -= 1
        return left > 0 and kind in {kind_of((wrong,)) for wrong in ends(smaller)}

    written = _rows_of(plan)
    for way in (_without_rounds, _without_steps, _calmer, _alone):
        plan = _as_far_as_it_goes(plan, partial(_with_rows, way, written), fails)
    return plan


def _rows_of(plan: Plan) -> set[str]:
    """Return the jobs whose rows the application writes."""
    return {str(step.subject[0].get("jobId")) for step in plan.steps() if step.kind in {"put", "update"}}


def _with_rows(way: Callable[[Plan], Iterator[Plan]], written: set[str], plan: Plan) -> Iterator[Plan]:
    """Yield smaller plans. The events of a job whose row is cut go with it: without it they end wrong, whatever the bug is."""
    for smaller in way(plan):
        lost = written - _rows_of(smaller)
        rounds = (
            evolve(each, steps=tuple(step for step in each.steps if _job_of(step) not in lost)) for each in smaller.rounds
        )
        yield evolve(smaller, rounds=tuple(each for each in rounds if each.steps))


def _job_of(step: Step) -> str:
    """Return the job that an event is about; empty for all else."""
    detail = step.subject.get("detail") if step.kind in {"send", "direct"} else None
    return str(detail.get("jobId", "")) if isinstance(detail, Mapping) else ""


def kind_of(wrong: tuple[str, ...]) -> str:
    """Return in what way a history fails: the words, without names and figures."""
    words = wrong[0].rpartition(": ")[2].split() if wrong else []
    return " ".join(word for word in words if word.isalpha())


def _as_far_as_it_goes(plan: Plan, way: Callable[[Plan], Iterator[Plan]], fails: Fails) -> Plan:
    """Take the first smaller plan that still fails, again and again."""
    while True:
        smaller = next((each for each in way(plan) if fails(each)), None)
        if smaller is None:
            return plan
        plan = smaller


def _without_rounds(plan: Plan) -> Iterator[Plan]:
    """Yield plans without many rounds, then without fewer, at last without one."""
    count = len(plan.rounds)
    size = count // 2
    while size:
        for first in range(0, count, size):
            yield evolve(plan, rounds=plan.rounds[:first] + plan.rounds[first + size :])
        size //= 2


def _without_steps(plan: Plan) -> Iterator[Plan]:
    for number, each in enumerate(plan.rounds):
        for position in range(len(each.steps)):
            steps = each.steps[:position] + each.steps[position + 1 :]
            yield _with_round(plan, number, evolve(each, steps=steps) if steps else None)


def _calmer(plan: Plan) -> Iterator[Plan]:
    """Yield plans without faults at all, then without those of one step."""
    if plan.often:
        yield evolve(plan, often=0.0)
    for number, each in enumerate(plan.rounds):
        for position, step in enumerate(each.steps):
            if not step.calm and plan.often:
                steps = (*each.steps[:position], evolve(step, calm=True), *each.steps[position + 1 :])
                yield _with_round(plan, number, evolve(each, steps=steps))


def _alone(plan: Plan) -> Iterator[Plan]:
    """Yield plans in which what happened at once happens one after the other."""
    for number, each in enumerate(plan.rounds):
        if len(each.steps) > 1:
            apart = tuple(evolve(each, steps=(step,)) for step in each.steps)
            yield evolve(plan, rounds=plan.rounds[:number] + apart + plan.rounds[number + 1 :])


def _with_round(plan: Plan, number: int, each: Round | None) -> Plan:
    middle = () if each is None else (each,)
    return evolve(plan, rounds=plan.rounds[:number] + middle + plan.rounds[number + 1 :])
