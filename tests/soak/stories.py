"""What a seed makes happen. A story is drawn from the seed and its number alone, so that the judge can draw it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from attrs import Factory, define, frozen

from tests.simulation import claims
from tests.simulation.tellings import Telling as Sure
from tests.simulation.world.documents import BY_ROW, SAYS, STATUSES, event_of, row_of, spoilt
from tests.simulation.world.plan import Told
from tests.simulation.world.stories import FIGURES, SIZES, STORIES, WORK
from tests.simulation.world.terms import EDITS, policies_by_name, text_of

OVERDRAFT, UNKNOWN_USER = "refuse", "refuse"
HOT = "u-hot"
USERS, POOR_USERS = 60, 20
STORIES_OF_A_LATE_USER = 400
SPREAD_MINUTES = 300_000
"""Over some 200 days, so that an hour holds few events of one user."""

DONE = frozenset({"done", "again", "twin", "other"})
"""The words of a story that stand for its job's work: again as before, with other figures at the same instant ..."""

GAPS = (60, 300, 4800, 12000)
"""Seconds between two things that happen to a job; longer than clocks may differ, so that no late event marks a later row."""

LATE_SECONDS = (0.0, 0.5, 3.0, 15.0)
BEGAN = datetime(2026, 1, 5, 5, tzinfo=UTC)

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
    facts: list[Sure] = Factory(list)
    tellings: list[Telling] = Factory(list)
    writings: list[Writing] = Factory(list)
    senseless: list[str] = Factory(list)
    """The ids of its events that make no sense."""


def policy_text(edit: int) -> str:
    """Return the text of an edit of the policy."""
    return text_of(edit, OVERDRAFT, UNKNOWN_USER)


def policies() -> Mapping[str, Any]:
    """Return each edit by the name that entries give it."""
    return policies_by_name(frozenset(range(EDITS)), OVERDRAFT, UNKNOWN_USER)


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
            return self.job(late_user(self.number), ("done",))
        if kind < 0.06:
            return self.purchase(self.anybody())
        if kind < 0.07:
            return self.nonsense(self.anybody())
        if kind < 0.08:
            return self.forgery(self.anybody())
        if kind < 0.11:
            return self.job(f"u-poor-{self.number % POOR_USERS}", ("done",), has_row=True)
        work = self.chance.choice(WORK)
        return self.job(self.anybody(), self.chance.choice(STORIES), has_row=self.chance.random() < 0.8, work=work)

    def anybody(self) -> str:
        """Return a user; one of seven events is of the same."""
        return HOT if self.chance.random() < 0.15 else f"u-{self.chance.randrange(USERS)}"

    def job(self, user: str, words: tuple[str, ...], *, has_row: bool = False, work: str = "rendered") -> Story:
        """A job's work: what happened at which instant, which of it events tell, and what its row says when."""
        chance, story, after = self.chance, Story(user), 0.0
        has_row = has_row or work in BY_ROW
        plan = self.plan(work) if has_row else {}
        told = list(self.told(f"job#{'test-' * (chance.random() < 0.05)}j-{self.number}", user, words, work))
        if work in BY_ROW:  # its price is read from the row, which may come late
            story.writings.append(Writing(chance.random() * 2, {**row_of(told[0], plan, chance), "status": "rendering"}))
            after = 2.0
        for place, fact in enumerate(told):
            after += chance.random() * 2
            is_last = place == len(told) - 1
            is_written = has_row and fact.kind in STATUSES and (is_last or chance.random() < 0.5)
            if is_written:
                self.write(story, fact, plan, after, is_last=is_last)
            is_of_its_kind = sum(other.kind == fact.kind for other in told) == 1
            is_lost = is_written and is_last and is_of_its_kind and chance.random() < 0.4  # by the bus
            said = sure(fact, plan, by_event=not is_lost, by_row=is_written, is_last=is_last)
            story.facts.append(said)
            if not is_lost:
                with_user = fact.kind != "hooked" or chance.random() < 0.5
                self.tell(story, event_of(fact, with_user=with_user), after - 2 * (work in BY_ROW))
        return story

    def plan(self, work: str) -> dict[str, str]:
        """Return what the rows of a job say beside its status: whose plan it is, how large, and all that prices ask for."""
        texts = {"model": "veo", "resolution": "hd", "submitted": instant(self.second())}  # each row has its fact's own
        said = figures(work, self.chance.randrange(SIZES), texts) | figures("broken", 0, {})
        return {**said, "plan": self.chance.choice(("gold", "base")), "size": self.chance.choice(("4", "2.5"))}

    def told(self, reference: str, user: str, words: tuple[str, ...], work: str = "rendered") -> Iterator[Told]:
        """Yield what happened to a job, at which instant."""
        chance, second, size = self.chance, self.second(), self.chance.randrange(SIZES)
        submitted = instant(second - 60 * chance.randrange(1, 240))
        texts = {
            "model": chance.choice(("veo", "veo", "pro")),
            "resolution": chance.choice(("hd", "4k")),
            "submitted": submitted,
        }
        for place, word in enumerate(words):
            second += chance.choice(GAPS) if place and word != "twin" else 0
            is_other = word == "twin" or (word != "again" and chance.random() < 0.1)
            kind = work if word in DONE else word
            said = figures(kind, (size + is_other) % SIZES, texts)
            yield Told(self.id(), reference, user, kind, instant(second), said)

    def write(self, story: Story, told: Told, plan: Mapping[str, str], after: float, *, is_last: bool) -> None:
        """Rows are written in time or late, whole: our marks are lost."""
        row = row_of(told, plan, self.chance)
        if self.chance.random() < 0.3:
            story.writings.append(Writing(max(0.0, after - 1), {**row, "status": "rendering"}))
        story.writings.append(Writing(after + (self.chance.choice(LATE_SECONDS) if is_last else 0.0), row))

    def tell(self, story: Story, document: Document, after: float) -> None:
        """The bus repeats, delays and reorders."""
        for _ in range(self.chance.choice((1, 1, 1, 2, 3))):
            late = after + self.chance.random() * self.chance.choice(LATE_SECONDS)
            story.tellings.append(Telling(late, document, self.chance.random() < 0.3))

    def purchase(self, user: str) -> Story:
        """A purchase, told again perhaps with another amount, and taken back step by step."""
        chance, story, second = self.chance, Story(user), self.second()
        for kind in ("purchased", *chance.choice(((), (), ("purchased",), ("revoked",), ("revoked", "disputed")))):
            said = figures(kind, chance.randrange(SIZES), {})
            told = Told(self.id(), f"grant#p-{self.number}", user, kind, instant(second), said)
            second += chance.choice((0, 60, 1800)) if kind != "purchased" else 60
            story.facts.append(sure(told, {}, by_event=True, by_row=False, is_last=False))
            self.tell(story, event_of(told), chance.random() * 3)
        return story

    def nonsense(self, user: str) -> Story:
        """An event that makes no sense."""
        story = Story(user)
        told = next(self.told(f"job#x-{self.number}", user, ("done",)))
        story.senseless.append(told.event)
        self.tell(story, spoilt(event_of(told), self.chance), 0.0)
        return story

    def forgery(self, user: str) -> Story:
        """An event in another's name, for a job whose row is there, of the right user."""
        story = Story(user)
        told = next(self.told(f"job#f-{self.number}", "u-mallory", ("done",)))
        story.senseless.append(told.event)
        forged = Telling(0.0, event_of(told), self.chance.random() < 0.5)
        story.writings.append(Writing(0.0, {"jobId": f"f-{self.number}", "userId": user, "status": "rendering"}, forged))
        return story

    def second(self) -> int:
        """Return when the story begins, in seconds after the first of all."""
        return 60 * (self.number * 7919 % SPREAD_MINUTES)

    def id(self) -> str:
        """Return the next event's id."""
        self.events += 1
        return f"e-{self.number}-{self.events}"


def figures(kind: str, size: int, texts: Mapping[str, str]) -> dict[str, str]:
    """Return what an event of a kind says."""
    return {name: texts[name] if name in texts else FIGURES[name][size] for name in SAYS[kind]}


def sure(told: Told, plan: Mapping[str, str], *, by_event: bool, by_row: bool, is_last: bool) -> Sure:
    """Return what the judge is to know: an event or the last row tells each fact for sure."""
    said = {"kind": told.kind, **{f"detail.{name}": figure for name, figure in told.said.items()}}
    fact = claims.Fact(told.kind, claims.instant(told.at), said)
    rows = [{f"row.{name}": plan[name] for name in ("plan", "size")}] if plan else [{}]
    how = {"by_event": by_event, "by_row": by_row, "is_last": is_last and by_row}
    return Sure(told.event, told.reference, told.user, fact, rows=rows, **how)


def instant(second: int) -> str:
    """Return a second after the first of all as an instant."""
    return f"{BEGAN + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}"
