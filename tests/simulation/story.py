"""Tells a history that failed, so that a person can follow it: what happened, what the ledger holds, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import play
from tests.simulation.shrinking import world_of
from tests.simulation.world.plan import Plan
from tests.simulation.world.play import World


def story_of(plan: Plan, *, is_strict: bool = False) -> str:
    """Return the story of a plan, in memory or on the strict database."""
    return "\n".join(_lines(plan, is_strict=is_strict))


def _lines(plan: Plan, *, is_strict: bool) -> Iterator[str]:
    world = world_of(plan, is_strict=is_strict)
    verdict = play(plan, world)
    steps = sum(1 for _ in plan.steps())
    yield f"Seed {plan.seed}: {steps} steps in {len(plan.rounds)} rounds, overdraft {plan.overdraft},"
    yield f"unknown users {plan.unknown_user}, cap {plan.cap}, a fault at {plan.often:.0%} of all calls."
    yield ""
    yield "What happened (a round is what happens at once; faults in brackets where one invocation was alone):"
    yield from (f"  {line}" for line in verdict.lines)
    yield ""
    yield "What is wrong:"
    yield from (f"  {wrong}" for wrong in verdict.wrong)
    yield ""
    yield "What the ledger holds of it:"
    yield from _entries(world, verdict.wrong)
    yield ""
    yield f"Play all of it again: python -m tests.simulation {'--strict ' * is_strict}--story {plan.seed}"


def _entries(world: World, wrong: tuple[str, ...]) -> Iterator[str]:
    subjects = " ".join(wrong)
    for entry in world.place.entries():
        if entry["reference"] in subjects or entry["userId"] in subjects:
            told = " ".join(
                str(entry.get(name, "-")) for name in ("type", "amount", "rule", "occurredAt", "source", "eventId")
            )
            yield f"  {entry['reference']} {entry['sequence']}: {told}, policy {entry['policy']}"
