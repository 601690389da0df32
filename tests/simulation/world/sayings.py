"""What people at a desk and a pricing team say in some histories, and when: drawn from a chance of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any

from attrs import evolve, frozen

from tests.simulation.words import Word
from tests.simulation.world.plan import Plan, Step, Told
from tests.simulation.world.terms import EDITS

AT_THE_DESK, PRICING = 0.35, 0.35
"""In so many histories each of them is at work."""

PEOPLE = ("ann", "bob")
AMOUNTS = ("5", "-1", "0.25", "-20", "40", "-40", "100")
CONCEDED = ("0.05", "0.5", "1", "1", "40")
"""Of what is said some needs a second person, and some is more than anybody may say (``terms.BASE``)."""

ANEW = ("0", "0.01", "0.3333", "1.5", "30")
OTHER_PRICES = (1, 2, 3)
"""Edits of the policy by which most charges cost something else (``terms.CHANGES``)."""

SAME_ID = 0.15
SMALL = 10
"""What is not larger needs nobody's approval (``terms.BASE``)."""


@frozen
class Saying:
    """A word as one person says it, perhaps not for the first time."""

    word: Word
    by: str


@frozen
class Approving:
    """Somebody approves what waits under an id, perhaps what he has said himself."""

    id: str
    by: str


@frozen
class PricedByHand:
    """Somebody prices all charges of a job anew, at one amount, by what was read a moment ago: the rules of facts decide."""

    name: str
    job: str
    amount: str


@frozen
class Pricing:
    """A plan file: the jobs of a window are priced anew by an edit of the policy."""

    name: str
    edit: int
    since: str | None = None
    until: str | None = None


type Drawn = Iterator[tuple[int, str, int, Any]]
"""The round, the kind, the seed and the subject of each further step."""


def with_sayings(plan: Plan) -> Plan:
    """Lay over a plan's rounds what people say in it. None is in the first round: nothing is there yet."""
    rounds = list(plan.rounds)
    if len(rounds) < 2:
        return plan
    for number, kind, seed, subject in (*_desk(plan), *_prices(plan)):
        rounds[number] = evolve(rounds[number], steps=(*rounds[number].steps, Step(kind, seed, subject)))
    return evolve(plan, rounds=tuple(rounds))


def _desk(plan: Plan) -> Drawn:
    chance = Random(f"desk {plan.seed}")
    if chance.random() >= AT_THE_DESK:
        return
    words: list[Word] = []
    for number in range(1, 1 + chance.choice((1, 2, 3, 5))):
        words.append(_word(plan, f"a-{number}", words, chance))
        if chance.random() < SAME_ID:  # another person takes the same id for something else
            words.append(evolve(_word(plan, words[-1].id, words[:-1], chance), reason=f"for {number}, another"))
    for word in words:
        for _ in range(chance.choice((1, 1, 2, 3))):
            number = chance.randrange(1, len(plan.rounds))
            for _ in range(chance.choice((1, 1, 1, 2))):
                yield number, "say", chance.getrandbits(48), Saying(word, chance.choice(PEOPLE))
            if word.reverses or abs(word.amount) > SMALL:
                approved = chance.randrange(number, len(plan.rounds))
                for act in chance.choice((("approve",), ("approve", "approve"), ("approve", "withdraw"))):
                    yield approved, act, chance.getrandbits(48), Approving(word.id, chance.choice(PEOPLE))


def _word(plan: Plan, name: str, words: Sequence[Word], chance: Random) -> Word:
    kind = chance.choice(("adjust", "adjust", "concede", "concede", "reverse") if words else ("adjust", "concede"))
    reason = f"for {name}"
    if kind == "reverse":
        target = chance.choice(words)
        return Word(name, target.user, Fraction(0), reason, reverses=target.id)
    if kind == "adjust":
        return Word(name, chance.choice(plan.users), Fraction(chance.choice(AMOUNTS)), reason)
    jobs = {**_jobs(plan.facts), "j-never": plan.users[0]}
    job = chance.choice(sorted(jobs))
    return Word(name, jobs[job], Fraction(chance.choice(CONCEDED)), reason, job)


def _jobs(facts: Sequence[Told]) -> Mapping[str, str]:
    """Return the jobs of which something happens, and whose they are."""
    jobs = {fact.reference: fact.user for fact in facts}
    return {name.removeprefix("job#"): user for name, user in jobs.items() if name.startswith("job#")}


def _prices(plan: Plan) -> Drawn:
    chance = Random(f"prices {plan.seed}")
    jobs = sorted(_jobs(plan.facts))
    if chance.random() >= PRICING or not jobs:
        return
    last = len(plan.rounds)
    hot = chance.choice(jobs)
    for number in range(1, 1 + chance.choice((0, 0, 2, 4))):
        job = chance.choice((hot, chance.choice(jobs)))
        place = max(chance.randrange(1, last), chance.randrange(1, last))  # most jobs have a charge by then
        for _ in range(chance.choice((1, 2))):  # two at once have read the same
            priced = PricedByHand(f"by-hand-{number}", job, chance.choice(ANEW))
            yield place, "price_by_hand", chance.getrandbits(48), priced
    for number in range(1, 1 + chance.choice((0, 1, 1, 2))):
        edit = chance.choice((*OTHER_PRICES, chance.randrange(EDITS)))
        pricing = Pricing(f"plan-{number}", edit, *_window(chance))
        place = max(chance.randrange(1, last), chance.randrange(1, last))
        yield place, "plan_prices", chance.getrandbits(48), pricing
        for _ in range(chance.choice((1, 1, 2))):
            later = chance.randrange(place, last)
            for _ in range(chance.choice((1, 1, 2))):
                yield later, "apply_prices", chance.getrandbits(48), pricing


def _window(chance: Random) -> tuple[str | None, str | None]:
    ends = (None, None, "2026-01-05T06:00:00Z"), (None, None, "2026-01-05T07:30:00Z")
    return chance.choice(ends[0]), chance.choice(ends[1])
