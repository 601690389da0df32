"""What one seed makes happen: a plan of rounds, each of a few steps at once. Drawn before anything is played.

Each step has a seed of its own, so that a plan from which steps are taken plays the rest as before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from attrs import Factory, define, evolve, frozen

from tests.simulation.world.casting import cast
from tests.simulation.world.documents import (
    BY_ROW,
    ON_GRANT,
    SAYS,
    STATUSES,
    Document,
    event_of,
    instant,
    notations,
    row_of,
    spoilt,
    unsound,
)
from tests.simulation.world.small import NUMBERED, SCENE, SMALL, is_small
from tests.simulation.world.stories import AHEAD, FIGURES, FIRST, GAPS, LAST, SIZES, STORIES, WORK
from tests.simulation.world.terms import EDITS


@frozen
class Step:
    """One thing that happens: ``kind`` names a method of ``play.World``, ``subject`` is what it is about."""

    kind: str
    seed: int
    subject: Any = None
    calm: bool = False
    """No faults happen to it."""


@frozen
class Round:
    """Steps that happen at once, ``pause`` seconds after those before."""

    seed: int
    steps: tuple[Step, ...]
    pause: float = 1.0


@frozen
class Told:
    """A fact of a job or a grant, as an event tells it, and perhaps a row. Its instant is a text, ISO 8601 in UTC."""

    event: str
    reference: str
    user: str
    kind: str
    at: str
    said: Mapping[str, str]
    is_timeless: bool = False
    """The application writes no time into the rows of this job."""


@frozen
class Plan:
    """All of one history."""

    seed: int
    overdraft: str
    unknown_user: str
    cap: int | None
    segments: int
    """Into how many a run divides the table of jobs."""
    often: float
    """How likely a fault is at each call."""
    rounds: tuple[Round, ...]
    facts: tuple[Told, ...]
    """What events may tell; whether they do is for the steps to say."""
    senseless: frozenset[str]
    """The ids of events that make no sense: malformed and forged ones."""
    users: tuple[str, ...]
    rows: tuple[Document, ...] = ()
    """Rows of Jobs that are there before anything happens."""
    edit: int = 0
    """The edit of the policy that is at work in the beginning."""

    def steps(self) -> Iterator[Step]:
        """Yield all steps in order."""
        for each in self.rounds:
            yield from each.steps


JOBS = (3, 6, 9, 12)
"""How many jobs a history has, each as likely, where not everybody is at work on one: so it has 21 events on average."""

HOT = 0.2
OFTEN = (0.0, 0.01, 0.04, 0.12, 0.25)


def plan_of(seed: int) -> Plan:
    """Return the plan of a seed."""
    from tests.simulation.world.numbering import with_attempts  # noqa: PLC0415  they are laid over what plans are made of
    from tests.simulation.world.reserving import with_holds  # noqa: PLC0415
    from tests.simulation.world.sayings import with_sayings  # noqa: PLC0415
    from tests.simulation.world.scenes import with_scenes  # noqa: PLC0415

    if is_small(seed):
        return with_holds(with_attempts(Planner(Random(seed), seed, **SMALL).plan(), NUMBERED), 1, SCENE)
    return with_holds(with_attempts(with_sayings(with_scenes(Planner(Random(seed), seed).plan()))))


@define(eq=False)
class Planner:
    """Draws one plan."""

    chance: Random
    seed: int
    users: tuple[int, ...] = (2, 3, 4)
    jobs: tuple[int, ...] = JOBS
    purchases: tuple[int, ...] = (1, 1, 2, 3)
    facts: list[Told] = Factory(list)
    senseless: set[str] = Factory(set)
    steps: list[tuple[float, Step]] = Factory(list)
    """Each with the place in the history at which it happens, 0 to 1."""
    rows: list[Document] = Factory(list)
    events: int = 0
    overdraft: str = "flag"
    is_hot: bool = False
    """Everybody is at work on one job at once."""
    model: str = "veo"
    resolution: str = "hd"
    submitted: str = ""
    """What the events of the job say that is drawn at the moment."""

    def plan(self) -> Plan:
        """Draw all of it."""
        chance = self.chance
        self.overdraft = chance.choice(("flag", "allow", "refuse", "refuse"))
        self.is_hot = chance.random() < HOT
        users = tuple(f"u-{number}" for number in range(1, 2 if self.is_hot else chance.choice(self.users)))
        for user in users:
            self._user(user)
        for number in range(1, 2 if self.is_hot else chance.choice(self.jobs)):
            self._job(f"{'test-' * (chance.random() < 0.1)}j-{number}", chance.choice(users))
        for number in range(1, chance.choice(self.purchases)):
            self._purchase(f"p-{number}", chance.choice(users))
        self._noise(users)
        self._machinery()
        return Plan(
            seed=self.seed,
            overdraft=self.overdraft,
            unknown_user=chance.choice(("refuse", "flag")),
            cap=chance.choice((None, None, 1, 3)),
            segments=chance.choice((1, 1, 2, 3)),
            often=chance.choice(OFTEN),
            rounds=self._with_others(list(self._rounds())),
            facts=tuple(self.facts),
            senseless=frozenset(self.senseless),
            users=users,
            rows=tuple(self.rows),
            edit=chance.choice((0, chance.randrange(EDITS))),
        )

    def _step(self, kind: str, subject: Any = None, at: float | None = None) -> None:
        place = self.chance.random() if at is None else at
        self.steps.append((place, Step(kind, self.chance.getrandbits(48), subject)))

    def _id(self) -> str:
        self.events += 1
        return f"e-{self.events}"

    # --- what applications do ---

    def _user(self, user: str) -> None:
        """Most users are there at the beginning; some appear later than their first event."""
        first = 0.0 if self.chance.random() < 0.7 else None
        self._step("credits", (user, self.chance.choice(("0", "1", "10", "1000"))), first)
        for _ in range(self.chance.choice((0, 0, 1, 2))):
            self._step("credits", (user, self.chance.choice(("0.5", "5", "-2"))))

    def _job(self, job: str, user: str) -> None:
        """A job's work: what happened at which instant, which of it events tell, and what its row says when."""
        chance, work = self.chance, self.chance.choice(WORK)
        has_row = self.overdraft == "refuse" or work in BY_ROW or chance.random() < 0.8
        is_forged = has_row and chance.random() < 0.2
        is_sound = is_forged or work in BY_ROW or chance.random() < 0.95
        facts = list(self._story(f"job#{job}", user, work, is_timeless=has_row and chance.random() < 0.2))
        plan = self._job_plan(work)
        place = chance.random() * 0.6
        if work in BY_ROW:  # its price is read from the row, which may come late
            self._step("put", ({**row_of(facts[0], plan, chance), "status": "rendering"}, ""), place + chance.random() * 0.3)
        for number, fact in enumerate(facts):
            place += chance.random() * (1 - place) * 0.5
            is_last, is_told = number == len(facts) - 1, False
            if has_row and fact.kind in STATUSES:
                is_told = self._write_row(fact, self._row_plan(plan), place, is_sound=is_sound, is_last=is_last)
            self._tell(fact, place, may_be_lost=is_told and is_last)
        if is_forged:
            self._forge(facts[0], plan, place)

    def _job_plan(self, work: str) -> dict[str, str]:
        """What the row of a job says beside its status: whose plan it is, and how large."""
        plan = self._row_plan({"plan": self.chance.choice(("gold", "base")), "size": "4"})
        return {"prompt": "a cat", **self._figures(work, self.chance.randrange(SIZES)), **plan} | self._figures("broken", 0)

    def _row_plan(self, plan: Mapping[str, str]) -> dict[str, str]:
        """Return it as one of its writers writes it."""
        changes = ({}, {}, {}, {"plan": "base"}, {"plan": "gold", "size": "8"}, {"size": "2.5"})
        return {**plan, **self.chance.choice(changes)}

    def _figures(self, kind: str, size: int) -> dict[str, str]:
        words = {"model": self.model, "resolution": self.resolution, "submitted": self.submitted}
        return {name: words[name] if name in words else FIGURES[name][size] for name in SAYS[kind]}

    def _story(self, reference: str, user: str, work: str, *, is_timeless: bool) -> Iterator[Told]:
        """Yield what happened to a job, at which instant."""
        chance = self.chance
        first = chance.randrange(FIRST, LAST) if chance.random() < 0.96 else chance.randrange(AHEAD, AHEAD + 60)
        self.model, self.resolution = chance.choice(("veo", "veo", "pro")), chance.choice(("hd", "4k"))
        self.submitted = instant(60 * chance.randrange(290, first))
        second, size = 60 * first, chance.randrange(SIZES)
        for number, word in enumerate(chance.choice(STORIES)):
            second += chance.choice(GAPS) if number and word != "twin" else 0
            kind = {"done": work, "twin": work, "again": work, "other": chance.choice(WORK)}.get(word, word)
            other = (size + chance.randrange(1, SIZES)) % SIZES
            of_size = other if word == "twin" or (word != "again" and chance.random() < 0.3) else size
            kind = kind if kind not in BY_ROW or work in BY_ROW else "rendered"
            yield Told(self._id(), reference, user, kind, instant(second), self._figures(kind, of_size), is_timeless)

    def _tell(self, fact: Told, place: float, *, may_be_lost: bool) -> None:
        """The bus loses, repeats, delays and reorders; now and then an application tells a thing twice, by two events."""
        chance = self.chance
        self.facts.append(fact)
        if (may_be_lost and chance.random() < 0.4) or chance.random() < 0.1:
            return
        with_user, as_text = fact.kind != "hooked" or chance.random() < 0.5, chance.random() < 0.2
        document = event_of(fact, with_user=with_user, as_text=as_text) | {"time": chance.choice(notations(fact.at))}
        for _ in range(chance.choice((2, 4) if self.is_hot else (1, 1, 1, 2, 3))):
            late = place + (1 - place) * chance.random() * chance.choice((0.02, 0.3, 1.0))
            self._step(chance.choice(("direct", "send", "send")), document, late)
        if chance.random() < 0.08:
            self._tell(evolve(fact, event=self._id()), place, may_be_lost=False)

    def _write_row(self, fact: Told, plan: Mapping[str, str], place: float, *, is_sound: bool, is_last: bool) -> bool:
        """Rows are written in time, late, twice; whole, so that our marks are lost, or in part. Say whether one tells it."""
        chance = self.chance
        row = row_of(fact, plan, chance)
        if not is_sound:
            self._step("put", (unsound(row, chance), ""), place)
            return False
        if chance.random() < 0.3:
            before = {**row, "status": chance.choice(("queued", "rendering", "reviewing"))}
            self._step("put", (before, ""), max(0.0, place - 0.1))
        for _ in range(chance.choice((1, 1, 2)) if is_last or chance.random() < 0.7 else 0):
            late = place + (1 - place) * chance.random() * chance.choice((0.0, 0.1, 0.8))
            self._step(chance.choice(("put", "update")), (row, fact.event), late)
        if fact.kind in BY_ROW and chance.random() < 0.3:  # the user has another plan from now on
            changed = {"jobId": row["jobId"], "plan": chance.choice(("gold", "base")), "size": chance.choice(("4", "8"))}
            self._step("update", (changed, ""), place + (1 - place) * chance.random())
        return True

    def _purchase(self, purchase: str, user: str) -> None:
        """A purchase, told again perhaps with another amount, taken back step by step, and disputed."""
        chance, minute = self.chance, self.chance.randrange(FIRST, LAST)
        more = ((), (), ("purchased",), ("revoked",), ("revoked", "revoked"), ("revoked", "disputed", "disputed"))
        for kind in ("purchased", *chance.choice(more)):
            said = {name: FIGURES[name][chance.randrange(SIZES)] for name in SAYS[kind]}
            fact = Told(self._id(), f"grant#{purchase}", user, kind, instant(60 * minute), said)
            minute += chance.choice((0, 1, 30)) if kind != "purchased" else 1
            self._tell(fact, chance.random() * 0.8, may_be_lost=False)

    # --- what makes no sense ---

    def _forge(self, fact: Told, plan: Mapping[str, str], place: float) -> None:
        """An event in another's name, for a job whose row (of the right user) is there from the beginning."""
        self.rows.append({**row_of(fact, plan, self.chance), "status": "rendering"})
        other = self.chance.choice(("u-mallory", "u-1", "u-2"))
        forged = evolve(fact, event=self._id(), user=other if other != fact.user else "u-mallory", at=instant(60 * 299))
        self.senseless.add(forged.event)
        self._step(self.chance.choice(("direct", "send")), event_of(forged), place)

    def _noise(self, users: tuple[str, ...]) -> None:
        """Malformed events, and such that no rule matches."""
        chance = self.chance
        self.model, self.resolution, self.submitted = "veo", "hd", instant(60 * 300)
        for number in range(chance.choice((0, 0, 1, 2))):
            kind = chance.choice(tuple(SAYS))
            reference = f"{'grant' if kind in ON_GRANT else 'job'}#x-{number}"
            said = {name: FIGURES[name][1] if name in FIGURES else getattr(self, name) for name in SAYS[kind]}
            fact = Told(self._id(), reference, chance.choice(users), kind, instant(60 * 310), said)
            self.senseless.add(fact.event)
            if chance.random() < 0.1:  # a body that is no event
                self._step("send", {"id": fact.event, "Type": "Notification", "Message": json.dumps(event_of(fact))})
            else:
                self._step(chance.choice(("direct", "send")), spoilt(event_of(fact), chance))
        if chance.random() < 0.3:
            fact = Told(self._id(), "job#ignored", users[0], "rendered", instant(60 * 310), self._figures("rendered", 2))
            self._step(chance.choice(("direct", "send")), {**event_of(fact), "source": "elsewhere"})

    # --- what runs ---

    def _machinery(self) -> None:
        """The queue's polls, scheduled runs in one piece and in steps, deployments, clocks that jump."""
        chance = self.chance
        waiting = sum(step.kind == "send" for _, step in self.steps)
        for _ in range(1 + waiting * 2 // 3):
            self._step("poll", chance.choice((1, 3, 10)))
        for _ in range(chance.choice((3, 5) if self.is_hot else (0, 1, 2))):
            self._run()
        for _ in range(chance.choice((2, 4) if self.is_hot else (0, 0, 1))):
            self._step("schedule")
        for _ in range(chance.choice((0, 0, 1, 2))):
            self._step("deploy", chance.randrange(EDITS))
        if chance.random() < 0.2:
            self._step("jump", chance.choice((-30.0, 45.0)))

    def _run(self) -> None:
        begun = self.chance.random() * 0.8
        self._step("begin", None, begun)
        for _ in range(self.chance.choice((2, 4, 8))):
            self._step("slice", None, begun + self.chance.random() * (1 - begun))
        self._step("finish", None, begun + (1 - begun) * 0.9)

    def _with_others(self, rounds: list[Round]) -> tuple[Round, ...]:
        """Lay what others do over the rounds."""
        for number, kind, seed in cast(self.seed, len(rounds)):
            rounds[number] = evolve(rounds[number], steps=(*rounds[number].steps, Step(kind, seed)))
        return tuple(rounds)

    def _rounds(self) -> Iterator[Round]:
        chance = self.chance
        waiting = [step for _, step in sorted(self.steps, key=lambda each: each[0])]
        while waiting:
            size = chance.choice((4, 6) if self.is_hot else (1, 1, 1, 2, 3, 4))
            some, waiting = waiting[:size], waiting[size:]
            yield Round(chance.getrandbits(48), tuple(some), chance.choice((0.1, 3.0, 60.0, 700.0)))
