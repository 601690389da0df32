"""What one seed makes happen: a plan of rounds, each of a few steps at once. Drawn before anything is played.

Each step has a seed of its own, so that a plan from which steps are taken plays the rest as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

from attrs import Factory, define, evolve, frozen

from tests.simulation.world.casting import cast
from tests.simulation.world.terms import EDITS

Document = dict[str, Any]


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
    """An event that tells a fact of a job or a grant, in the judge's words. Instants are texts, ISO 8601 in UTC."""

    event: str
    reference: str
    user: str
    rule: str
    at: str
    quantity: str = "0"
    model: str = "veo"


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

    def steps(self) -> Iterator[Step]:
        """Yield all steps in order."""
        for each in self.rounds:
            yield from each.steps


STORIES: tuple[tuple[str, ...], ...] = (
    ("rendered",),
    ("rendered",),
    ("rendered", "failed"),
    ("rendered", "cancelled"),
    ("failed",),
    ("failed", "rendered"),
    ("rendered", "failed", "rendered"),
    ("rendered", "cancelled", "failed"),
    ("rendered", "failed", "cancelled"),
    ("failed", "cancelled", "rendered"),
    ("rendered", "twin"),
    ("rendered", "rendered"),
    ("cancelled", "rendered", "cancelled"),
)
RULES = {
    "rendered": "debit",
    "twin": "debit",
    "failed": "whole",
    "cancelled": "part",
    "purchased": "grant",
    "revoked": "revoke",
}
STATUSES = {"rendered": "completed", "twin": "completed", "failed": "failed", "cancelled": "cancelled"}
QUANTITIES = ("0", "1", "2", "4", "8", "8.3333", "30", "100")
HOT = 0.2
OFTEN = (0.0, 0.01, 0.04, 0.12, 0.25)


def plan_of(seed: int) -> Plan:
    """Return the plan of a seed."""
    return Planner(Random(seed), seed).plan()


@define(eq=False)
class Planner:
    """Draws one plan."""

    chance: Random
    seed: int
    facts: list[Told] = Factory(list)
    senseless: set[str] = Factory(set)
    steps: list[tuple[float, Step]] = Factory(list)
    """Each with the place in the history at which it happens, 0 to 1."""
    rows: list[Document] = Factory(list)
    events: int = 0
    overdraft: str = "flag"
    is_hot: bool = False
    """Everybody is at work on one job at once."""

    def plan(self) -> Plan:
        """Draw all of it."""
        chance = self.chance
        self.overdraft = chance.choice(("flag", "allow", "refuse", "refuse"))
        self.is_hot = chance.random() < HOT
        users = tuple(f"u-{number}" for number in range(1, 2 if self.is_hot else chance.choice((2, 3, 4))))
        for user in users:
            self._user(user)
        for number in range(1, 2 if self.is_hot else chance.choice((3, 5, 7, 9))):
            self._job(f"{'test-' * (chance.random() < 0.1)}j-{number}", chance.choice(users))
        for number in range(1, chance.choice((1, 1, 2, 3))):
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
        chance, minute = self.chance, self.chance.randrange(300, 420)
        quantity, model = chance.choice(QUANTITIES), chance.choice(("veo", "veo", "pro"))
        has_row = self.overdraft == "refuse" or chance.random() < 0.8
        is_forged = has_row and chance.random() < 0.2
        story = chance.choice(STORIES)
        place = chance.random() * 0.6
        for number, kind in enumerate(story):
            minute += 0 if kind == "twin" else chance.choice((1, 5, 80, 200)) if number else 0
            said = quantity if kind != "twin" and chance.random() < 0.9 else chance.choice(QUANTITIES)
            fact = Told(self._id(), f"job#{job}", user, RULES[kind], instant(minute), said, model)
            place += chance.random() * (1 - place) * 0.5
            row = self._row(job, fact, kind, is_sound=is_forged or chance.random() < 0.95) if has_row else None
            if row is not None and row["userId"] != user:  # such a row tells nothing
                self._step("put", (row, ""), place)
                row = None
            if row is not None:
                self._write_row(row, place, is_last=number == len(story) - 1)
            self._tell(fact, document_of(fact, kind, row), place, may_be_lost=row is not None and number == len(story) - 1)
        if is_forged:
            self._forge(job, user, place)

    def _tell(self, fact: Told, document: Document, place: float, *, may_be_lost: bool) -> None:
        """The bus loses, repeats, delays and reorders."""
        chance = self.chance
        self.facts.append(fact)
        if (may_be_lost and chance.random() < 0.4) or chance.random() < 0.1:
            return
        for _ in range(chance.choice((2, 4) if self.is_hot else (1, 1, 1, 2, 3))):
            late = place + (1 - place) * chance.random() * chance.choice((0.02, 0.3, 1.0))
            self._step(chance.choice(("direct", "send", "send")), document, late)

    def _row(self, job: str, fact: Told, kind: str, *, is_sound: bool) -> Document:
        chance = self.chance
        row: Document = {"jobId": job, "userId": fact.user, "status": STATUSES[kind], "model": fact.model, "prompt": "a cat"}
        row["seconds"] = chance.choice((fact.quantity, Decimal(fact.quantity)))
        row["updatedAt"] = chance.choice((fact.at, fact.at.replace("Z", "+00:00"), fact.at.replace("Z", ".000Z")))
        if not is_sound:
            row["userId"] = chance.choice(("", ["u"], None))
        return row

    def _write_row(self, row: Document, place: float, *, is_last: bool) -> None:
        """Rows are written in time, late, twice; whole, so that our marks are lost, or in part."""
        chance = self.chance
        if chance.random() < 0.3:
            before = evolve_row(row, status=chance.choice(("queued", "rendering", "reviewing")))
            self._step("put", (before, ""), max(0.0, place - 0.1))
        for _ in range(chance.choice((1, 1, 2)) if is_last or chance.random() < 0.7 else 0):
            event = f"e-{self.events}"  # the fact that is told just now
            late = place + (1 - place) * chance.random() * chance.choice((0.0, 0.1, 0.8))
            self._step(chance.choice(("put", "update")), (row, event), late)

    def _purchase(self, purchase: str, user: str) -> None:
        """A purchase, told again perhaps with another amount, and taken back step by step."""
        chance, minute = self.chance, self.chance.randrange(300, 420)
        for kind in ("purchased", *chance.choice(((), (), ("purchased",), ("revoked",), ("revoked", "revoked")))):
            said = chance.choice(("5", "20", "2000")) if kind == "purchased" else chance.choice(("0", "1.5", "4", "30"))
            fact = Told(self._id(), f"grant#{purchase}", user, RULES[kind], instant(minute), said)
            minute += chance.choice((0, 1, 30)) if kind == "revoked" else 1
            self._tell(fact, document_of(fact, kind, None), chance.random() * 0.8, may_be_lost=False)

    # --- what makes no sense ---

    def _forge(self, job: str, user: str, place: float) -> None:
        """An event in another's name, for a job whose row (of the right user) is there from the beginning."""
        self.rows.append({"jobId": job, "userId": user, "status": "rendering"})
        other = self.chance.choice(("u-mallory", "u-1", "u-2"))
        fact = evolve(
            self.facts[-1], event=self._id(), user=other if other != user else "u-mallory", rule="debit", at=instant(299)
        )
        self.senseless.add(fact.event)
        self._step(self.chance.choice(("direct", "send")), document_of(fact, "rendered", None), place)

    def _noise(self, users: tuple[str, ...]) -> None:
        """Malformed events, and such that no rule matches."""
        chance = self.chance
        for number in range(chance.choice((0, 0, 1, 2))):
            fact = Told(self._id(), f"job#x-{number}", chance.choice(users), "debit", instant(310), "3")
            document = document_of(fact, "rendered", None)
            spoil(document, chance.randrange(SPOILT))
            self.senseless.add(fact.event)
            self._step(chance.choice(("direct", "send")), document)
        if chance.random() < 0.3:
            fact = Told(self._id(), "job#ignored", users[0], "debit", instant(310), "3")
            self._step(chance.choice(("direct", "send")), {**document_of(fact, "rendered", None), "source": "elsewhere"})

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
            self._step("deploy", chance.randrange(len(EDITS)))
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


def evolve_row(row: Document, **changes: Any) -> Document:
    """Return a row with other attributes."""
    return {**row, **changes}


def instant(minute: int) -> str:
    """Return a minute of the day as an instant."""
    return f"2026-01-05T{minute // 60:02}:{minute % 60:02}:00Z"


def document_of(fact: Told, kind: str, row: Document | None) -> Document:
    """Return the event that tells a fact."""
    kind = "rendered" if kind == "twin" else kind
    name = fact.reference.partition("#")[2]
    detail: Document = {"userId": fact.user}
    if kind == "purchased":
        detail |= {"purchaseId": name, "credits": fact.quantity}
    elif kind == "revoked":
        detail |= {"purchaseId": name, "amount": fact.quantity}
    else:
        seconds = float(fact.quantity) if "." in fact.quantity else int(fact.quantity)
        detail |= {"jobId": name, "seconds": seconds, "model": fact.model}
    return {"id": fact.event, "source": "app", "detail-type": kind, "time": fact.at, "detail": detail}


SPOILT = 8


def spoil(document: Document, way: int) -> None:
    """Make an event senseless in one of ``SPOILT`` ways."""
    detail = document["detail"]
    changes: list[tuple[Document, str, Any]] = [
        (detail, "seconds", "eight"),
        (detail, "seconds", -1),
        (detail, "seconds", True),
        (detail, "seconds", "1" * 39),
        (detail, "jobId", ""),
        (detail, "userId", ["u-1"]),
        (document, "time", "2026-01-05 10:00"),
        (document, "time", "2099-01-05T10:00:00Z"),
    ]
    place, name, value = changes[way]
    place[name] = value
