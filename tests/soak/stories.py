"""What a seed makes happen. A story is drawn from the seed and its number alone, so that the judge can draw it again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from attrs import Factory, define, frozen

from tests.simulation.judge import Fact
from tests.simulation.world.plan import QUANTITIES, RULES, SPOILT, STATUSES, STORIES, Told, document_of, spoil
from tests.simulation.world.terms import terms_by_policy, text_of

OVERDRAFT, UNKNOWN_USER = "refuse", "refuse"
EDITS = 3
HOT = "u-hot"
USERS, POOR_USERS = 60, 20
STORIES_OF_A_LATE_USER = 400
SPREAD_MINUTES = 300_000
"""Over some 200 days, so that an hour holds few events of one user."""

LATE_SECONDS = (0.0, 0.5, 3.0, 15.0)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

Document = dict[str, Any]
Row = dict[str, Any]


@frozen
class Telling:
    """An event on its way: ``after`` so many seconds, into the queue or directly."""

    after: float
    document: Document
    is_direct: bool


@frozen
class Writing:
    """A whole row of Jobs that the application writes; an event that must not come before it comes after it."""

    after: float
    row: Row
    then: Telling | None = None


@define
class Story:
    """One job or purchase: what is true of it, who tells what when."""

    user: str
    facts: list[Fact] = Factory(list)
    tellings: list[Telling] = Factory(list)
    writings: list[Writing] = Factory(list)
    senseless: list[str] = Factory(list)
    """The ids of its events that make no sense."""


def policy_text(edit: int) -> str:
    """Return the text of an edit of the policy."""
    return text_of(edit, OVERDRAFT, UNKNOWN_USER)


def policies() -> Any:
    """Return the terms of each edit by the name that entries give it."""
    return terms_by_policy(OVERDRAFT, UNKNOWN_USER)


def users() -> Iterator[tuple[str, str]]:
    """Yield the users who are there from the beginning, and what the application has given them."""
    yield HOT, "1000000"
    yield from ((f"u-{number}", "1000000") for number in range(USERS))
    yield from ((f"u-poor-{number}", "0.3") for number in range(POOR_USERS))


def late_user(number: int) -> str:
    """Return the user of a story who appears after it has begun."""
    return f"u-late-{number // STORIES_OF_A_LATE_USER}"


def story_of(seed: int, number: int) -> Story:
    """Return a story."""
    return Author(Random(f"{seed}/{number}"), number).story()


@define(eq=False)
class Author:
    """Draws one story."""

    chance: Random
    number: int
    events: int = 0

    def story(self) -> Story:
        """Draw it: what kind of story it is, and all of it."""
        kind = self.chance.random()
        if self.number % STORIES_OF_A_LATE_USER == 0:
            return self.job(late_user(self.number), ("rendered",))
        if kind < 0.06:
            return self.purchase(self.anybody())
        if kind < 0.07:
            return self.nonsense(self.anybody())
        if kind < 0.08:
            return self.forgery(self.anybody())
        if kind < 0.11:
            return self.job(f"u-poor-{self.number % POOR_USERS}", ("rendered",), has_row=True)
        return self.job(self.anybody(), self.chance.choice(STORIES), has_row=self.chance.random() < 0.8)

    def anybody(self) -> str:
        """Return a user; one of seven events is of the same."""
        return HOT if self.chance.random() < 0.15 else f"u-{self.chance.randrange(USERS)}"

    def job(self, user: str, kinds: tuple[str, ...], *, has_row: bool = False) -> Story:
        """A job's work: what happened at which instant, which of it events tell, and what its row says when."""
        chance, story, minute = self.chance, Story(user), self.minute()
        name = f"{'test-' * (chance.random() < 0.05)}j-{self.number}"
        quantity, model = chance.choice(QUANTITIES), chance.choice(("veo", "veo", "pro"))
        after = 0.0
        for place, kind in enumerate(kinds):
            minute += 0 if kind == "twin" else chance.choice((1, 5, 80, 200)) if place else 0
            said = quantity if kind != "twin" and chance.random() < 0.9 else chance.choice(QUANTITIES)
            told = Told(self.id(), f"job#{name}", user, RULES[kind], instant(minute), said, model)
            story.facts.append(fact_of(told))
            after += chance.random() * 2
            is_last = place == len(kinds) - 1
            if has_row and (is_last or chance.random() < 0.5):
                self.write(story, told, kind, after, is_last=is_last)
            if not (has_row and is_last and kind != "twin" and chance.random() < 0.3):  # else the bus loses it
                self.tell(story, document_of(told, kind, None), after)
        return story

    def write(self, story: Story, told: Told, kind: str, after: float, *, is_last: bool) -> None:
        """Rows are written in time or late, whole: our marks are lost."""
        chance, name = self.chance, told.reference.partition("#")[2]
        row = {"jobId": name, "userId": told.user, "model": told.model, "prompt": "a cat", "seconds": told.quantity}
        if chance.random() < 0.3:
            story.writings.append(Writing(max(0.0, after - 1), {**row, "status": "rendering"}))
        late = after + (chance.choice(LATE_SECONDS) if is_last else 0.0)
        story.writings.append(Writing(late, {**row, "status": STATUSES[kind], "updatedAt": told.at}))

    def tell(self, story: Story, document: Document, after: float) -> None:
        """The bus repeats, delays and reorders."""
        for _ in range(self.chance.choice((1, 1, 1, 2, 3))):
            late = after + self.chance.random() * self.chance.choice(LATE_SECONDS)
            story.tellings.append(Telling(late, document, self.chance.random() < 0.3))

    def purchase(self, user: str) -> Story:
        """A purchase, told again perhaps with another amount, and taken back step by step."""
        chance, story, minute = self.chance, Story(user), self.minute()
        for kind in ("purchased", *chance.choice(((), (), ("purchased",), ("revoked",), ("revoked", "revoked")))):
            said = chance.choice(("5", "20", "2000")) if kind == "purchased" else chance.choice(("0", "1.5", "4", "30"))
            told = Told(self.id(), f"grant#p-{self.number}", user, RULES[kind], instant(minute), said)
            story.facts.append(fact_of(told))
            minute += chance.choice((0, 1, 30)) if kind == "revoked" else 1
            self.tell(story, document_of(told, kind, None), chance.random() * 3)
        return story

    def nonsense(self, user: str) -> Story:
        """An event that makes no sense."""
        story = Story(user)
        told = Told(self.id(), f"job#x-{self.number}", user, "debit", instant(self.minute()), "3")
        document = document_of(told, "rendered", None)
        spoil(document, self.chance.randrange(SPOILT))
        story.senseless.append(told.event)
        self.tell(story, document, 0.0)
        return story

    def forgery(self, user: str) -> Story:
        """An event in another's name, for a job whose row is there, of the right user."""
        story = Story(user)
        told = Told(self.id(), f"job#f-{self.number}", "u-mallory", "debit", instant(self.minute()), "3")
        story.senseless.append(told.event)
        forged = Telling(0.0, document_of(told, "rendered", None), self.chance.random() < 0.5)
        story.writings.append(Writing(0.0, {"jobId": f"f-{self.number}", "userId": user, "status": "rendering"}, forged))
        return story

    def minute(self) -> int:
        """Return the minute of the year at which the story begins."""
        return self.number * 7919 % SPREAD_MINUTES

    def id(self) -> str:
        """Return the next event's id."""
        self.events += 1
        return f"e-{self.number}-{self.events}"


def fact_of(told: Told) -> Fact:
    """Return what the judge is to know: an event or the last row tells each fact for sure."""
    return Fact(told.reference, told.user, told.rule, told.at, told.quantity, told.model)


def instant(minute: int) -> str:
    """Return a minute of the year as an instant."""
    return f"{NEW_YEAR + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"
