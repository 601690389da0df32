"""What chance alone draws too seldom: short scenes at the end of some plans, from a chance of their own.

A scene has a user and a job of its own, so that the rest of a plan stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from random import Random

from attrs import evolve

from tests.simulation.words import Word
from tests.simulation.world.documents import Document, event_of, instant
from tests.simulation.world.plan import Plan, Round, Step, Told
from tests.simulation.world.sayings import PEOPLE, PricedByHand, Pricing, Saying

SHARE = 0.25
"""In so many plans each scene may be."""

SMALL = {"seconds": "1", "frames": "5", "model": "veo", "resolution": "hd"}
LARGE = {"seconds": "100", "frames": "90", "model": "pro", "resolution": "hd"}
MORNING = 5 * 3600
DEARER, REPEATS_ARE_IGNORED = 2, 5
"""Edits of the policy (``terms.CHANGES``)."""


type Scene = Callable[[Plan, Random], tuple[list[Told], list[Round]]]


def with_scenes(plan: Plan) -> Plan:
    """Return a plan with its scenes."""
    for number, scene in enumerate(SCENES):
        chance = Random(f"scene {number} {plan.seed}")
        if chance.random() < SHARE:
            facts, rounds = scene(plan, chance)
            users = dict.fromkeys((*plan.users, *(fact.user for fact in facts)))
            plan = evolve(plan, facts=(*plan.facts, *facts), rounds=(*plan.rounds, *rounds), users=tuple(users))
    return plan


def _overtaken(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """A scan has found a charge settled, and marks its row; meanwhile a later charge is refused, and stays due.

    The row says the later one only by an update at the same status: a mark of the scan's over that of the refusal hides it.
    """
    if plan.overdraft != "refuse":
        return [], []
    user, job = "u-race", "j-race"
    first = Told("e-race-1", f"job#{job}", user, "rendered", instant(MORNING), SMALL)
    later = Told("e-race-2", f"job#{job}", user, "rendered", instant(MORNING + 3600), LARGE)
    rows = [_row(fact, job) for fact in (first, later)]
    steps = _Steps(chance)
    return [first, later], [
        steps.round(("credits", (user, "1000"))),
        steps.round(("direct", event_of(first))),
        steps.round(("credits", (user, "-1000"))),
        steps.round(("put", (rows[0], first.event))),
        steps.round(("begin", None)),
        steps.round(("slice", None), ("direct", event_of(later)), ("slice", None)),
        steps.round(("update", (rows[1], later.event))),
    ]


def _of_one_instant(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """The work and its failure are of one instant: the failure is the later, in whatever order they come."""
    user, job = "u-1", "j-tie"
    told = [
        Told(f"e-tie-{kind}", f"job#{job}", user, kind, instant(MORNING), said)
        for kind, said in (("rendered", SMALL), (chance.choice(("failed", "cancelled")), {}))
    ]
    steps = _Steps(chance)
    return told, [steps.round(*(("direct", event_of(fact)) for fact in told))]


def _priced_by_what_comes(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """A charge is priced anew under an edit that ignores repeats; then its event is told once more, under that edit."""
    fact = Told("e-anew", "job#j-anew", "u-1", "rendered", instant(MORNING), SMALL)
    edits = [plan.edit, *(step.subject for step in plan.steps() if step.kind == "deploy")]
    steps = _Steps(chance)
    return [fact], [
        steps.round(("credits", ("u-1", "100"))),
        steps.round(("direct", event_of(fact))),
        steps.round(("deploy", REPEATS_ARE_IGNORED)),
        steps.round(("price_by_hand", PricedByHand("by-hand-anew", "j-anew", "30"))),
        steps.round(("direct", event_of(fact))),
        steps.round(("deploy", edits[-1])),
    ]


def _weak_and_priced(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """What a row without a time has told is priced anew by a plan, before anything with a time of its own is known."""
    fact = Told("e-weak", "job#j-weak", "u-1", "rendered", instant(MORNING), LARGE, is_timeless=True)
    row = {name: value for name, value in _row(fact, "j-weak").items() if name != "updatedAt"}
    pricing, steps = Pricing("plan-weak", DEARER), _Steps(chance)
    return [fact], [
        steps.round(("credits", ("u-1", "100"))),
        steps.round(("put", (row, fact.event))),
        steps.round(("begin", None)),
        steps.round(("slice", None), ("slice", None), ("slice", None)),
        steps.round(("plan_prices", pricing)),
        steps.round(("apply_prices", pricing), ("apply_prices", pricing)),
    ]


def _conceded(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """Several concessions on one job, each said by two people at once; the job fails half way."""
    told = [
        Told(f"e-ceded-{kind}", "job#j-ceded", "u-1", kind, instant(MORNING + late), said)
        for kind, late, said in (("rendered", 0, LARGE), ("cancelled", 60, {}))
    ]
    words = [Word(f"c-{number}", "u-1", Fraction("0.5"), f"for c-{number}", "j-ceded") for number in range(1, 5)]
    steps = _Steps(chance)
    said = [steps.round(*(("say", Saying(word, by)) for by in PEOPLE)) for word in words]
    charged, failed = (steps.round(("direct", event_of(fact))) for fact in told)
    return told, [steps.round(("credits", ("u-1", "100"))), charged, *said[:2], failed, *said[2:]]


SCENES: tuple[Scene, ...] = (_overtaken, _of_one_instant, _priced_by_what_comes, _weak_and_priced, _conceded)


class _Steps:
    """Makes rounds, each step with a seed of its own."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance

    def round(self, *steps: tuple[str, object]) -> Round:
        """Return a round of steps that happen at once."""
        return Round(self.chance.getrandbits(48), tuple(self._steps(steps)), 3.0)

    def _steps(self, steps: tuple[tuple[str, object], ...]) -> Iterator[Step]:
        for kind, subject in steps:
            yield Step(kind, self.chance.getrandbits(48), subject)


def _row(fact: Told, job: str) -> Document:
    """Return the row by which a job's work is told."""
    return {"jobId": job, "userId": fact.user, "status": "completed", "prompt": "a cat", **fact.said, "updatedAt": fact.at}
