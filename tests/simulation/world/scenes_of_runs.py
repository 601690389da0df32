"""Scenes of scheduled runs: marks that meet refusals, more rows than a run may post, an audit beside writers."""

from __future__ import annotations

from random import Random

from tests.simulation.world.documents import event_of, instant
from tests.simulation.world.plan import Plan, Round, Told
from tests.simulation.world.staging import LARGE, MORNING, SMALL, Steps, row_telling

CAPPED, BUSY, RACES = 6, 6, 6
"""How many jobs wait for a scan that may post fewer; how many events come beside an audit."""

KNOWN, LATE = 8, 12
"""How many rows are known to the ledger when a run begins; how many are written then."""


def overtaken(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """A scan has found a charge settled, and marks its row; meanwhile a later charge is refused, and stays due.

    The row says the later one only by an update at the same status: a mark of the scan's over that of the refusal hides it.
    No fault happens meanwhile: one ends most of these races.
    """
    if plan.overdraft != "refuse":
        return [], []
    user, jobs = "u-race", [f"j-race-{number}" for number in range(1, RACES + 1)]
    first, later = (
        [Told(f"e-{when}-{job}", f"job#{job}", user, "rendered", instant(MORNING + late), said) for job in jobs]
        for when, late, said in (("first", 0, SMALL), ("later", 3600, LARGE))
    )
    steps = Steps(chance)
    return [*first, *later], [
        steps.round(("credits", (user, "1000")), calm=True),
        steps.round(*(("direct", event_of(fact)) for fact in first), calm=True),
        steps.round(("credits", (user, "-1000")), calm=True),
        steps.round(
            *(("put", (row_telling(fact, job), fact.event)) for fact, job in zip(first, jobs, strict=True)), calm=True
        ),
        steps.round(("begin", None), calm=True),
        steps.round(*[("slice", None)] * 3, *(("direct", event_of(fact)) for fact in later), calm=True),
        steps.round(
            *(("update", (row_telling(fact, job), fact.event)) for fact, job in zip(later, jobs, strict=True)), calm=True
        ),
    ]


def capped(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """More rows are due than a run may post, in one invocation or in steps; some of them events have told before."""
    if plan.cap is None:
        return [], []
    told = [
        Told(f"e-cap-{number}", f"job#j-cap-{number}", "u-cap", "rendered", instant(MORNING), SMALL)
        for number in range(1, CAPPED + 1)
    ]
    steps = Steps(chance)
    known = [steps.round(*(("direct", event_of(fact)) for fact in chance.sample(told, 3)))]
    rows = steps.round(*(("put", (row_telling(fact, fact.reference.partition("#")[2]), fact.event)) for fact in told))
    parts = [steps.round(("begin", None)), *(steps.round(*[("slice", None)] * 3) for _ in range(3))]
    run = chance.choice(([steps.round(("schedule", None))], [*known, rows, *parts]))
    return told, [steps.round(("credits", ("u-cap", "1000"))), rows, *run]


def audited_beside(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """Whoever audits finds a user whom others write to all the time."""
    told = [
        Told(f"e-busy-{number}", f"job#j-busy-{number}", "u-busy", "rendered", instant(MORNING), SMALL)
        for number in range(1, BUSY + 1)
    ]
    steps = Steps(chance)
    return told, [
        steps.round(("credits", ("u-busy", "1000"))),
        steps.round(("begin", None)),
        steps.round(("finish", None), ("finish", None), *(("direct", event_of(fact)) for fact in told)),
    ]


def left_over(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """A slice has taken what a run may post, and finds nothing to be posted: the others may post just that, and no more."""
    if plan.cap is None or plan.segments == 1:
        return [], []
    known, late = (
        [Told(f"e-{name}-{n}", f"job#j-{name}-{n}", "u-left", "rendered", instant(MORNING), SMALL) for n in range(many)]
        for name, many in (("known", KNOWN), ("late", LATE))
    )
    steps = Steps(chance)
    rows = [
        steps.round(*(("put", (row_telling(fact, fact.reference.removeprefix("job#")), fact.event)) for fact in facts))
        for facts in (known, late)
    ]
    return [*known, *late], [
        steps.round(("credits", ("u-left", "1000"))),
        steps.round(*(("direct", event_of(fact)) for fact in known)),
        rows[0],
        steps.round(("begin", None), calm=True),
        steps.round(("slice", None), calm=True),
        rows[1],
        *(steps.round(("slice", None), calm=True) for _ in range(plan.segments + 2)),
    ]
