"""Policies that number the attempts of a job, in some histories: events and rows say then which try they are of.

It is laid over a plan that is drawn already, from a chance of its own, so that all other plans stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import Any

from attrs import define, evolve

from tests.simulation.world.documents import ON_GRANT, SAYS, Document, event_of, instant
from tests.simulation.world.plan import Plan, Round, Step, Told
from tests.simulation.world.sayings import Pricing
from tests.simulation.world.staging import LARGE, MORNING, Steps
from tests.simulation.world.terms import is_numbered, numbered

SHARE = 1 / 3
"""In so many histories policies number attempts."""

TOLD_TWICE = 0.6
"""So often two events that say the same at one instant are of one attempt."""

TRIED_AGAIN = 0.4
"""In so many of these histories a scene has what chance seldom draws: a part of what is left comes back, again and again."""

ALWAYS = 0.6
"""In so many of those every policy does. In the others some do: what was told before is told again when they do."""

NO_NUMBERS = (None, -1, 1.5, True, "", "first", "1" * 39, [1])
FAILED_KINDS = frozenset({"failed", "cancelled", "credited", "broken"})
EVENTS, ROWS = frozenset({"direct", "send"}), frozenset({"put", "update"})


def with_attempts(plan: Plan, share: float = SHARE) -> Plan:
    """Return a plan with attempts, in a share of the histories."""
    chance = Random(f"attempts {plan.seed}")
    return Numbering(plan, chance).plan() if chance.random() < share else plan


@define(eq=False)
class Numbering:
    """Numbers the attempts of one plan."""

    was: Plan
    chance: Random

    def plan(self) -> Plan:
        """Return it: the same steps, each of which says its attempt, under policies that ask for it."""
        is_always = self.chance.random() < ALWAYS
        numbers = self._numbers()
        self._tried_again(numbers)
        rounds = tuple(
            evolve(each, steps=tuple(self._step(step, numbers, is_always=is_always) for step in each.steps))
            for each in self.was.rounds
        )
        facts = tuple(self._fact(fact, numbers) for fact in self.was.facts)
        plan = evolve(self.was, rounds=rounds, facts=facts, edit=self._edit(self.was.edit, is_always=is_always))
        edits = [plan.edit, *(step.subject for step in plan.steps() if step.kind == "deploy")]
        return self._with_senseless(plan) if all(map(is_numbered, edits)) else plan

    def _tried_again(self, numbers: dict[str, int]) -> None:
        """A job whose further attempts take back a part each of what is left, told in any order."""
        chance, steps = self.chance, Steps(self.chance)
        if chance.random() >= TRIED_AGAIN:
            return
        kinds = ["rendered", *(chance.choice(("cancelled", "broken")) for _ in range(chance.choice((2, 3))))]
        for attempt, kind in enumerate(kinds, start=1):
            said = {"rendered": LARGE, "broken": {"missing": chance.choice(("25", "33.3", "50"))}}.get(kind, {})
            late = chance.randrange(-60, 60) if attempt > 1 else 0
            fact = Told(f"e-tries-{attempt}", "job#j-tries", "u-tries", kind, instant(MORNING + late), said)
            numbers[fact.event] = attempt
            self.was = evolve(self.was, facts=(*self.was.facts, fact))
        told = [steps.round(("direct", event_of(fact))) for fact in self.was.facts if fact.user == "u-tries"]
        rounds = (steps.round(("credits", ("u-tries", "1000"))), *chance.sample(told, len(told)))
        self.was = evolve(self.was, rounds=(*self.was.rounds, *rounds), users=(*self.was.users, "u-tries"))

    def _edit(self, edit: int, *, is_always: bool) -> int:
        return numbered(edit) if is_always or self.chance.random() < 0.5 else edit

    def _numbers(self) -> dict[str, int]:
        """Draw by event which attempt each fact is of; what is told by two events is mostly of one."""
        told: dict[str, list[Told]] = {}
        for fact in self.was.facts:
            told.setdefault(fact.reference, []).append(fact)
        return {name: number for facts in told.values() for name, number in self._of_job(facts)}

    def _of_job(self, facts: list[Told]) -> Iterator[tuple[str, int]]:
        """All of one attempt; another after each failure; or any, so that clocks and numbers contradict each other."""
        chance, number = self.chance, self.chance.choice((0, 1, 1))
        how = chance.choice(("one", "rising", "rising", "any", "any"))
        known: dict[object, int] = {}
        for fact in facts:
            said = (fact.kind, fact.at, *fact.said.items())
            of_fact = number if how != "any" else number + chance.randrange(3)
            yield fact.event, known.setdefault(said, of_fact) if chance.random() < TOLD_TWICE else of_fact
            number += how == "rising" and (fact.kind in FAILED_KINDS or chance.random() < 0.3)

    @staticmethod
    def _fact(fact: Told, numbers: Mapping[str, int]) -> Told:
        if fact.kind in ON_GRANT:
            return fact
        return evolve(fact, said={**fact.said, "attempt": str(numbers[fact.event])})

    def _step(self, step: Step, numbers: Mapping[str, int], *, is_always: bool) -> Step:
        if step.kind in EVENTS:
            return evolve(step, subject=self._event(step.subject, numbers))
        if step.kind in ROWS:
            row, event = step.subject
            return evolve(step, subject=(self._row(row, numbers.get(event)), event))
        if step.kind == "deploy":
            return evolve(step, subject=self._edit(step.subject, is_always=is_always))
        if isinstance(step.subject, Pricing):  # of one plan each step has the same
            is_asked = step.subject.name.endswith("1")
            return evolve(step, subject=evolve(step.subject, edit=numbered(step.subject.edit))) if is_asked else step
        return step

    def _event(self, document: Document, numbers: Mapping[str, int]) -> Document:
        """One event says it as a number and as digits; one that makes no sense says it as well."""
        detail = document.get("detail")
        if not isinstance(detail, dict) or document["detail-type"] in ON_GRANT:
            return document
        number = numbers.get(document["id"], 1)
        said: Any = self.chance.choice((number, number, float(number), str(number)))
        return {**document, "detail": {**detail, "attempt": said}}

    def _row(self, row: Document, number: int | None) -> Document:
        if number is None:
            return row
        return {**row, "attempt": self.chance.choice((Decimal(number), str(number)))}

    def _with_senseless(self, plan: Plan) -> Plan:
        """Let some events come that do not say which attempt they are of."""
        chance, senseless, steps = self.chance, list[str](), list[Step]()
        for number in range(chance.choice((0, 1, 2))):
            kind = chance.choice([kind for kind in SAYS if kind not in ON_GRANT])
            said = dict.fromkeys(SAYS[kind], "1") | {"model": "veo", "resolution": "hd", "submitted": instant(60 * 300)}
            fact = Told(f"e-unnumbered-{number}", f"job#n-{number}", plan.users[0], kind, instant(60 * 310), said)
            document = event_of(fact)
            if (none := chance.choice(NO_NUMBERS)) is not None:
                document["detail"]["attempt"] = none
            senseless.append(fact.event)
            steps.append(Step(chance.choice(tuple(sorted(EVENTS))), chance.getrandbits(48), document))
        last = Round(chance.getrandbits(48), tuple(steps))
        return evolve(plan, senseless=plan.senseless.union(senseless), rounds=(*plan.rounds, *((last,) if steps else ())))
