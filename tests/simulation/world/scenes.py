"""What chance alone draws too seldom: short scenes at the end of some plans, from a chance of their own.

A scene has a user and a job of its own, so that the rest of a plan stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random

from attrs import evolve

from tests.simulation.words import Word
from tests.simulation.world.documents import event_of, instant
from tests.simulation.world.plan import Plan, Round, Told
from tests.simulation.world.sayings import PEOPLE, Approving, PricedByHand, Pricing, Saying
from tests.simulation.world.scenes_of_runs import audited_beside, capped, left_over, overtaken
from tests.simulation.world.staging import LARGE, MORNING, SMALL, Steps, edit_at_last, row_telling

SHARE = 0.25
"""In so many plans each scene may be."""

AS_IT_WAS, CHEAPER, DEARER, REPEATS_ARE_IGNORED, REPEATS_COUNT = 0, 1, 2, 5, 6
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


def _of_one_instant(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """The work and its failure are of one instant: the failure is the later, in whatever order they come."""
    user, job = "u-1", "j-tie"
    told = [
        Told(f"e-tie-{kind}", f"job#{job}", user, kind, instant(MORNING), said)
        for kind, said in (("rendered", SMALL), (chance.choice(("failed", "cancelled")), {}))
    ]
    steps = Steps(chance)
    return told, [steps.round(*(("direct", event_of(fact)) for fact in told))]


def _priced_by_what_comes(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """A charge is priced anew under an edit that ignores repeats; then its event is told once more, under that edit."""
    fact = Told("e-anew", "job#j-anew", "u-1", "rendered", instant(MORNING), SMALL)
    steps = Steps(chance)
    return [fact], [
        steps.round(("credits", ("u-1", "100"))),
        steps.round(("direct", event_of(fact))),
        steps.round(("deploy", REPEATS_ARE_IGNORED)),
        steps.round(("price_by_hand", PricedByHand("by-hand-anew", "j-anew", "30"))),
        steps.round(("direct", event_of(fact))),
        steps.round(("deploy", edit_at_last(plan))),
    ]


def _weak_and_priced(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """What a row without a time has told is priced anew by a plan, before anything with a time of its own is known."""
    fact = Told("e-weak", "job#j-weak", "u-1", "rendered", instant(MORNING), LARGE, is_timeless=True)
    row = {name: value for name, value in row_telling(fact, "j-weak").items() if name != "updatedAt"}
    pricing, steps = Pricing("plan-weak", DEARER), Steps(chance)
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
    steps = Steps(chance)
    said = [steps.round(*(("say", Saying(word, by)) for by in PEOPLE)) for word in words]
    charged, failed = (steps.round(("direct", event_of(fact))) for fact in told)
    return told, [steps.round(("credits", ("u-1", "100"))), charged, *said[:2], failed, *said[2:]]


def _taken_back(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """What was given is taken back, which the balance covers no more for a while; and that cannot be taken back itself."""
    user, given = "u-back", Word("t-1", "u-back", Fraction(5), "for t-1")
    back, again = (Word(f"t-{n}", user, Fraction(0), f"for t-{n}", reverses=f"t-{n - 1}") for n in (2, 3))
    steps = Steps(chance)
    said = {word.id: tuple(("say", Saying(word, by)) for by in PEOPLE) for word in (given, back, again)}
    return [], [
        steps.round(("credits", (user, "0"))),
        steps.round(*said["t-1"]),
        steps.round(("credits", (user, "-5"))),
        steps.round(*said["t-2"]),
        steps.round(("credits", (user, "5"))),
        steps.round(*said["t-2"]),
        steps.round(*said["t-3"]),
    ]


def _of_two_people(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """One id for two things; and so much that another person has to approve it, which its proposer tries first."""
    one, other = (Word("s-1", "u-1", Fraction(amount), f"for s-1, {amount}") for amount in (1, 2))
    large, (ann, bob) = Word("s-2", "u-1", Fraction(40), "for s-2"), PEOPLE
    steps = Steps(chance)
    return [], [
        steps.round(("credits", ("u-1", "1"))),
        steps.round(("say", Saying(one, ann)), ("say", Saying(other, bob))),
        steps.round(("say", Saying(other, ann)), ("say", Saying(large, ann))),
        steps.round(("approve", Approving(large.id, ann)), ("approve", Approving(large.id, ann))),
        steps.round(("approve", Approving(large.id, bob))),
    ]


def _refused_in_a_batch(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """Two charges of one job come in one batch, and the balance covers neither."""
    if plan.overdraft != "refuse":
        return [], []
    told = [
        Told(f"e-short-{job}-{late}", f"job#j-short-{job}", "u-short", "rendered", instant(MORNING + late), said)
        for job in (1, 2)
        for late, said in ((0, LARGE), (60, SMALL))
    ]
    steps = Steps(chance)
    return told, [
        steps.round(("credits", ("u-short", "0"))),
        *(steps.round(("send", event_of(fact))) for fact in told),
        *(steps.round(("poll", 10)) for _ in range(2)),
    ]


def _covered_meanwhile(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """A balance that does not cover a charge covers it a moment later: no flag may say what is no more so."""
    if plan.overdraft != "flag":
        return [], []
    told = [
        Told(f"e-soon-{number}", f"job#j-soon-{number}", f"u-soon-{number}", "rendered", instant(MORNING), LARGE)
        for number in (1, 2, 3)
    ]
    steps = Steps(chance)
    return told, [
        steps.round(*(("credits", (fact.user, "0")) for fact in told)),
        *(steps.round(("direct", event_of(fact)), ("credits", (fact.user, "1000"))) for fact in told),
    ]


def _weak_and_refunded(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """A scan has charged by a row without a time; then an event says that the work failed: nothing says when it was done."""
    done, failed = (
        Told(f"e-void-{kind}", "job#j-void", "u-1", kind, instant(MORNING), said, is_timeless=kind == "rendered")
        for kind, said in (("rendered", SMALL), ("failed", {}))
    )
    row = {name: value for name, value in row_telling(done, "j-void").items() if name != "updatedAt"}
    steps = Steps(chance)
    return [done, failed], [
        steps.round(("credits", ("u-1", "100"))),
        steps.round(("put", (row, done.event))),
        steps.round(("begin", None)),
        steps.round(("slice", None), ("slice", None), ("slice", None)),
        steps.round(("direct", event_of(failed))),
    ]


def _after_the_sale(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """Work that was done when a row of prices has ended; most is done before."""
    said = {"seconds": "8", "frames": "5", "model": "pro", "resolution": "hd"}
    fact = Told("e-sale", "job#j-sale", "u-1", "rendered", instant(11 * 3600), said)
    steps = Steps(chance)
    return [fact], [steps.round(("credits", ("u-1", "100"))), steps.round(("direct", event_of(fact)))]


def _refunded_again(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """A refund of a part is told again under edits that give back less and more: it stays what it was."""
    done, failed = (
        Told(f"e-part-{kind}", "job#j-part", "u-1", kind, instant(MORNING), said)
        for kind, said in (("rendered", LARGE), ("cancelled", {}))
    )
    steps = Steps(chance)
    edited = [
        each
        for edit in (CHEAPER, DEARER)
        for each in (steps.round(("deploy", edit)), steps.round(("direct", event_of(failed))))
    ]
    return [done, failed], [
        steps.round(("credits", ("u-1", "100"))),
        steps.round(("direct", event_of(done))),
        *edited,
        steps.round(("deploy", edit_at_last(plan))),
    ]


def _priced_by_two(_plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """Two people have read the same, and price a job anew at once, each at an amount of their own."""
    fact = Told("e-two", "job#j-two", "u-1", "rendered", instant(MORNING), SMALL)
    steps = Steps(chance)
    priced = [
        steps.round(*(("price_by_hand", PricedByHand(f"two-{turn}-{amount}", "j-two", amount)) for amount in amounts))
        for turn, amounts in enumerate((("0.01", "1.5"), ("0.3333", "3"), ("2", "0.5")))
    ]
    return [fact], [steps.round(("credits", ("u-1", "100"))), steps.round(("direct", event_of(fact))), *priced]


def _row_has_changed(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """An event is told again when its job's row says what would cost less; its rule does not ignore repeats."""
    fact = Told("e-row", "job#j-row", "u-1", "hooked", instant(MORNING), {"count": "5"})
    row = {**row_telling(fact, "j-row"), "status": "rendering", "plan": "base", "size": "8"}
    steps = Steps(chance)
    return [fact], [
        steps.round(("credits", ("u-1", "100"))),
        steps.round(("put", (row, ""))),
        steps.round(("deploy", REPEATS_COUNT)),
        steps.round(("direct", event_of(fact))),
        steps.round(("update", ({"jobId": "j-row", "plan": "gold", "size": "4"}, ""))),
        steps.round(("direct", event_of(fact))),
        steps.round(("deploy", edit_at_last(plan))),
    ]


def _dearer_than_the_balance(plan: Plan, chance: Random) -> tuple[list[Told], list[Round]]:
    """A plan makes a job dearer than its user's balance covers: a run leaves it alone, a later one posts it."""
    if plan.overdraft != "refuse":
        return [], []
    fact = Told("e-poor", "job#j-poor", "u-poor", "rendered", instant(MORNING), SMALL)
    pricing, steps = Pricing("plan-poor", DEARER, instant(MORNING), instant(MORNING + 60)), Steps(chance)
    return [fact], [
        steps.round(("deploy", AS_IT_WAS)),
        steps.round(("credits", (fact.user, "0.1"))),
        steps.round(("direct", event_of(fact))),
        steps.round(("plan_prices", pricing)),
        steps.round(("apply_prices", pricing), ("apply_prices", pricing)),
        steps.round(("credits", (fact.user, "1"))),
        steps.round(("apply_prices", pricing)),
        steps.round(("deploy", edit_at_last(plan))),
    ]


SCENES: tuple[Scene, ...] = (
    overtaken,
    _of_one_instant,
    _priced_by_what_comes,
    _weak_and_priced,
    _conceded,
    _taken_back,
    _of_two_people,
    _refused_in_a_batch,
    capped,
    _covered_meanwhile,
    _weak_and_refunded,
    audited_beside,
    _after_the_sale,
    _refunded_again,
    _priced_by_two,
    _row_has_changed,
    _dearer_than_the_balance,
    left_over,
)
