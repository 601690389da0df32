"""Policies that hold credits, in some histories: jobs ask for credits before, after and between what happens to them.

It is laid over a plan that is drawn already, from a chance of its own, so that all other plans stay as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from attrs import Factory, define, evolve

from tests.simulation.world.documents import Document, instant, notations, spoilt
from tests.simulation.world.plan import Plan, Round, Step, Told
from tests.simulation.world.scenes_of_holds import POOR, SCENES, requesting
from tests.simulation.world.staging import MORNING
from tests.simulation.world.stories import FIGURES, SIZES
from tests.simulation.world.terms import HOLDS, holding, way_of_holding

SHARE = 1 / 4
"""In so many histories policies hold credits."""

ALWAYS = 0.8
"""In so many of these every policy does. In the others some do."""

RESERVED = 0.6
"""So many of their jobs ask for credits."""

JOB = re.compile(r"job#(test-)?j-(\d+|tries)")
"""The jobs that chance has drawn. Those of scenes have what they need."""

LATEST = "2026-01-05T13:30:00Z"
"""What is reserved until here has expired when all is quiet."""

SCENE = 0.5
"""In so many of these histories each scene is played."""

WAYS = range(1, len(HOLDS) + 1)


def with_holds(plan: Plan, share: float = SHARE, scene: float = SCENE) -> Plan:
    """Return a plan with holds, in a ``share`` of the histories; each scene is in so many of these."""
    chance = Random(f"holds {plan.seed}")
    return Reserving(plan, chance, scene).plan() if chance.random() < share else plan


@define(eq=False)
class Reserving:
    """Lays requests over one plan."""

    was: Plan
    chance: Random
    scene: float
    facts: list[Told] = Factory(list)
    senseless: set[str] = Factory(set)
    more: dict[int, list[Step]] = Factory(dict)
    """Steps by the round in which they happen."""

    def plan(self) -> Plan:
        """Return it: the same steps, and requests between them, under policies that know what those mean."""
        is_always = self.chance.random() < ALWAYS
        for reference, facts in self._jobs().items():
            if self.chance.random() < RESERVED:
                self._reserve(reference, facts)
        self._never_done()
        if is_always:
            self._senseless()
        for _ in range(self.chance.choice((1, 2, 4))):
            self._step(self.chance.randrange(len(self.was.rounds)), "expire")
        rounds = (self._round(number, each, is_always=is_always) for number, each in enumerate(self.was.rounds))
        edit = self._edit(self.was.edit, is_always=is_always)
        plan = evolve(self.was, rounds=tuple(rounds), facts=(*self.was.facts, *self.facts), edit=edit)
        if not any(map(way_of_holding, (plan.edit, *(step.subject for step in plan.steps() if step.kind == "deploy")))):
            plan = evolve(plan, edit=self._edit(edit, is_always=True))
        return self._with_scenes(evolve(plan, senseless=plan.senseless.union(self.senseless)))

    def _edit(self, edit: int, *, is_always: bool) -> int:
        return holding(edit, self.chance.choice(WAYS)) if is_always or self.chance.random() < 0.5 else edit

    def _round(self, number: int, each: Round, *, is_always: bool) -> Round:
        steps = (
            evolve(step, subject=self._edit(step.subject, is_always=is_always)) if step.kind == "deploy" else step
            for step in each.steps
        )
        return evolve(each, steps=(*steps, *self.more.get(number, ())))

    # --- requests ---

    def _jobs(self) -> dict[str, list[Told]]:
        jobs: dict[str, list[Told]] = {}
        for fact in self.was.facts:
            if JOB.fullmatch(fact.reference):
                jobs.setdefault(fact.reference, []).append(fact)
        return jobs

    def _reserve(self, reference: str, facts: Sequence[Told]) -> None:
        """One or several requests: mostly before the work begins, in any order with what is told of it."""
        chance, first = self.chance, min(self._places(facts), default=0)
        name = reference.partition("#")[2]
        for number in range(1, 1 + chance.choice((1, 1, 2, 3))):
            fact = chance.choice(facts)
            early = instant_of(min(each.at for each in facts)) - timedelta(seconds=chance.randrange(600))
            beside = instant_of(fact.at) + timedelta(seconds=chance.choice((-1, 0, 0, 1, 30)))
            at = min(f"{chance.choice((early, early, beside)):%FT%TZ}", LATEST)
            said = self._said(fact.said.get("attempt"))
            self._tell(Told(f"e-hold-{name}-{number}", reference, fact.user, "submitted", at, said), first)

    def _said(self, attempt: str | None) -> dict[str, str]:
        chance = self.chance
        words = {"model": chance.choice(("veo", "pro")), "resolution": chance.choice(("hd", "4k"))}
        number = {} if attempt is None else {"attempt": str(int(attempt) + chance.choice((0, 0, 0, 1)))}
        return {"seconds": FIGURES["seconds"][chance.randrange(SIZES)], **words, **number}

    def _places(self, facts: Sequence[Told]) -> Iterator[int]:
        """Yield the rounds in which something of a job is told."""
        events = {fact.event for fact in facts}
        for number, each in enumerate(self.was.rounds):
            if any(step.kind in {"direct", "send"} and step.subject["id"] in events for step in each.steps):
                yield number

    def _tell(self, fact: Told, first: int) -> None:
        """The bus loses, repeats, delays and reorders; most requests come before ``first``, what else is told of their job."""
        chance, last = self.chance, len(self.was.rounds)
        self.facts.append(fact)
        if chance.random() < 0.1:
            return
        document = requesting(fact, as_text=chance.random() < 0.2) | {"time": chance.choice(notations(fact.at))}
        for _ in range(chance.choice((1, 1, 2, 3))):
            is_early = chance.random() < 0.65
            self._add(chance.randrange(first + 1) if is_early else chance.randrange(last), document)

    def _add(self, place: int, document: Document) -> None:
        """Let an event come in a round, directly or by the queue, which is asked later."""
        chance = self.chance
        kind = chance.choice(("direct", "direct", "send"))
        self._step(place, kind, document)
        if kind == "send":
            self._step(chance.randrange(place, len(self.was.rounds)), "poll", chance.choice((1, 3, 10)))

    def _step(self, place: int, kind: str, subject: Any = None) -> None:
        self.more.setdefault(place, []).append(Step(kind, self.chance.getrandbits(48), subject))

    def _never_done(self) -> None:
        """Jobs of which nothing more is told: the run gives back what they hold."""
        chance = self.chance
        for number in range(1, 1 + chance.choice((1, 2, 3))):
            user, attempts = chance.choice(self.was.users), chance.choice((1, 1, 2))
            for attempt in range(1, 1 + attempts):
                at = instant(60 * chance.randrange(300, 420))
                said = self._said(str(attempt) if any("attempt" in fact.said for fact in self.was.facts) else None)
                fact = Told(f"e-dead-{number}-{attempt}", f"job#j-dead-{number}", user, "submitted", at, said)
                self._tell(fact, chance.randrange(len(self.was.rounds)))

    def _senseless(self) -> None:
        chance = self.chance
        for number in range(chance.choice((0, 0, 1))):
            said = {**self._said("1"), "seconds": "8"}
            fact = Told(
                f"e-hold-senseless-{number}", f"job#h-{number}", self.was.users[0], "submitted", instant(MORNING), said
            )
            self.senseless.add(fact.event)
            self._add(chance.randrange(len(self.was.rounds)), spoilt(requesting(fact), chance))

    # --- scenes ---

    def _with_scenes(self, plan: Plan) -> Plan:
        """Add what chance alone draws too seldom."""
        for scene in SCENES:
            if self.chance.random() < self.scene:
                facts, rounds, senseless = scene(plan, self.chance)
                users = dict.fromkeys((*plan.users, *(fact.user for fact in facts if fact.user != POOR)))
                plan = evolve(
                    plan,
                    facts=(*plan.facts, *facts),
                    rounds=(*plan.rounds, *rounds),
                    users=tuple(users),
                    senseless=plan.senseless.union(senseless),
                )
        return plan


def instant_of(text: str) -> datetime:
    """Return an instant of a plan."""
    return datetime.fromisoformat(text)
