"""What chance alone draws too seldom where policies hold credits: short scenes at the end of such plans.

As in ``scenes.py`` each has a user and a job of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from tests.simulation.world.documents import Document, event_of, instant
from tests.simulation.world.plan import Plan, Round, Told
from tests.simulation.world.staging import MORNING, SMALL, Steps, edit_at_last
from tests.simulation.world.terms import HOLDS, holding, is_numbered, numbered, way_of_holding

STRICT_WAYS = tuple(way for way, terms in enumerate(HOLDS, start=1) if terms.get("overdraft") != "allow")
"""The ways of holding by which a request is refused that the balance does not cover."""


def requesting(fact: Told, *, as_text: bool = False) -> Document:
    """Return the event that asks for a hold, or any other, with its attempt."""
    document = event_of(fact, as_text=as_text)
    if "attempt" in fact.said:
        document["detail"]["attempt"] = int(fact.said["attempt"])
    return document


type Scene = Callable[[Plan, Random], tuple[list[Told], list[Round], frozenset[str]]]

POOR = "u-never"
"""Who never has any credits."""


def _told(name: str, job: str, user: str, kind: str, seconds: str, *, late: int = 0, attempt: int = 1) -> Told:
    """Return a fact of a scene: SAYS of a render, and its attempt."""
    said = {**SMALL, "seconds": seconds, "frames": seconds} if kind in {"rendered", "submitted"} else {}
    return Told(f"e-{name}", f"job#{job}", user, kind, instant(MORNING + late), {**said, "attempt": str(attempt)})


def _deployed(plan: Plan, chance: Random, steps: Steps, rounds: Sequence[Round]) -> list[Round]:
    """Return rounds during which an edit is at work that refuses what is not covered."""
    last = edit_at_last(plan)
    strict = holding(numbered(0) if is_numbered(last) else 0, chance.choice(STRICT_WAYS))
    return [steps.round(("deploy", strict)), *rounds, steps.round(("deploy", last))]


def _many_at_once(plan: Plan, chance: Random) -> tuple[list[Told], list[Round], frozenset[str]]:
    """Somebody with credits for two jobs starts six, by a batch or each by itself; two are done, one of them larger."""
    asked = [_told(f"crowd-{number}", f"j-crowd-{number}", "u-crowd", "submitted", "4") for number in range(1, 7)]
    done = [_told(f"done-{n}", f"j-crowd-{n}", "u-crowd", "rendered", size, late=60) for n, size in ((1, "2"), (2, "8"))]
    steps, kind = Steps(chance), chance.choice(("direct", "send"))
    rounds = [
        steps.round(("credits", ("u-crowd", "1"))),
        steps.round(*((kind, requesting(fact)) for fact in asked)),
        *(steps.round(("poll", 10)) for _ in range(2)),
        steps.round(*((kind, requesting(fact)) for fact in done)),
        *(steps.round(("poll", 10)) for _ in range(2)),
    ]
    return [*asked, *done], _deployed(plan, chance, steps, rounds), frozenset()


def _due_below(plan: Plan, chance: Random) -> tuple[list[Told], list[Round], frozenset[str]]:
    """A charge is dearer than its hold, and the balance does not cover the rest; then the next attempt asks for more."""
    if not is_numbered(edit_at_last(plan)):
        return [], [], frozenset()
    user, job = "u-due", "j-due"
    first, second = (
        _told(f"due-{n}", job, user, "submitted", size, late=300 * n, attempt=n) for n, size in ((1, "2"), (2, "45"))
    )
    done = _told("due-done", job, user, "rendered", "30", late=60)
    steps = Steps(chance)
    rounds = [
        steps.round(("credits", (user, "0.5"))),
        steps.round(("direct", requesting(first))),
        steps.round(("direct", requesting(done))),
        steps.round(("credits", (user, chance.choice(("2", "9"))))),
        steps.round(("direct", requesting(second))),
        *([steps.round(("direct", requesting(done)))] if chance.random() < 0.5 else []),
    ]
    return [first, done, second], _deployed(plan, chance, steps, rounds), frozenset()


def _of_nobody(plan: Plan, chance: Random) -> tuple[list[Told], list[Round], frozenset[str]]:
    """Somebody without credits asks for another's job: the job stays the other's. Told again later it makes no sense."""
    if not way_of_holding(edit_at_last(plan)):
        return [], [], frozenset()
    forged = _told("nobodys", "j-whose", POOR, "submitted", "8")
    own, done = (_told(f"whose-{kind}", "j-whose", plan.users[0], kind, "8", late=60) for kind in ("submitted", "rendered"))
    steps = Steps(chance)
    rounds = [
        steps.round(("credits", (POOR, "0")), calm=True),
        steps.round(("direct", requesting(forged)), calm=True),
        steps.round(("credits", (plan.users[0], "10")), calm=True),
        *(steps.round(("direct", requesting(fact)), calm=True) for fact in (own, done)),
        steps.round(("direct", requesting(forged)), calm=True),
    ]
    return [forged, own, done], _deployed(plan, chance, steps, rounds), frozenset({forged.event})


def _covered_later(plan: Plan, chance: Random) -> tuple[list[Told], list[Round], frozenset[str]]:
    """A request is refused; then there are credits, and it comes again, and another one after it."""
    asked, next_one = (_told(f"later-{n}", "j-later", "u-later", "submitted", "8", late=60 * n) for n in (1, 2))
    steps = Steps(chance)
    rounds = [
        steps.round(("credits", ("u-later", "0.2"))),
        steps.round(("direct", requesting(asked))),
        steps.round(("credits", ("u-later", "5"))),
        *(steps.round(("direct", requesting(fact))) for fact in (asked, next_one, asked)),
    ]
    return [asked, next_one], _deployed(plan, chance, steps, rounds), frozenset()


def _failed_below(plan: Plan, chance: Random) -> tuple[list[Told], list[Round], frozenset[str]]:
    """The first attempt fails while something of it is due and the second holds: what nobody has paid does not come back."""
    if plan.overdraft != "refuse" or not is_numbered(edit_at_last(plan)):
        return [], [], frozenset()
    user, job = "u-below", "j-below"
    first, second = (
        _told(f"below-{n}", job, user, "submitted", size, late=300 * n, attempt=n) for n, size in ((1, "2"), (2, "45"))
    )
    done, failed = (_told(f"below-{kind}", job, user, kind, "30", late=60 * n) for n, kind in ((1, "rendered"), (2, "failed")))
    steps = Steps(chance)
    rounds = [
        steps.round(("credits", (user, "0.5"))),
        *(steps.round(("direct", requesting(fact))) for fact in (first, done)),
        steps.round(("credits", (user, "2"))),
        *(steps.round(("direct", requesting(fact))) for fact in (second, failed)),
    ]
    return [first, done, second, failed], _deployed(plan, chance, steps, rounds), frozenset()


SCENES: tuple[Scene, ...] = (_many_at_once, _due_below, _of_nobody, _covered_later, _failed_below)
