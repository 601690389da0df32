"""The people at a desk: they adjust, concede, take back and approve, now and then twice, two at once, or killed half way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.entry_types import Outcome
from engine.domain.errors import CorrectionError
from engine.reconcile import adjustments
from engine.reconcile.corrections import Adjusted, Adjuster
from engine.runtime.clock import Deadline
from tests.simulation.words import Word
from tests.simulation.world.deeds import PERSON_SECONDS, tried
from tests.simulation.world.plan import Plan, Step
from tests.simulation.world.sayings import PEOPLE, SMALL, Approving, Saying

if TYPE_CHECKING:
    from tests.simulation.world.play import World


def say(world: World, step: Step) -> None:
    """Say a word, perhaps once more."""
    said: Saying = step.subject
    word = said.word
    request = AdjustmentRequest(
        id=word.id,
        user="" if word.reverses else word.user,
        amount=Decimal(str(float(word.amount))),
        reason=word.reason,
        job="" if word.reverses else word.job,
        reverses=word.reverses,
    )
    what = f"{said.by} says {shown(word)}"
    _heard(world, step, what, word.id, lambda desk, deadline: desk.adjust(request, identity(said.by), deadline), word)


def approve(world: World, step: Step) -> None:
    """Approve what waits under an id."""
    said: Approving = step.subject
    what = f"{said.by} approves {said.id}"
    _heard(world, step, what, said.id, lambda desk, deadline: desk.approve(said.id, identity(said.by), deadline))


def withdraw(world: World, step: Step) -> None:
    """Take back what was proposed and waits."""
    said: Approving = step.subject
    desk, deadline = _desk(world, step)

    def act() -> None:
        with suppress(CorrectionError):
            adjustments.withdraw(desk.corrections, said.id, identity(said.by), deadline)

    tried(world, f"{said.by} withdraws {said.id}", act)


def _desk(world: World, step: Step) -> tuple[Adjuster, Deadline]:
    caller = world.caller(step)
    caller.ends_at = float("inf")
    return Adjuster.on(world.policy, world.reach(world.place, caller)), caller.clock().deadline(PERSON_SECONDS)


type Act = Callable[[Adjuster, Deadline], Adjusted]


def _heard(world: World, step: Step, what: str, name: str, act: Act, word: Word | None = None) -> None:  # noqa: PLR0917
    """Let an act come to its end: what is told to be done is done, and says what was said."""
    desk, deadline = _desk(world, step)
    ends: list[str] = []

    def acted() -> Adjusted | None:
        try:
            return act(desk, deadline)
        except CorrectionError as error:
            ends.append(str(error))
            world.count["word that made no sense"] += 1
            return None

    done = tried(world, what, acted)
    world.lines += [f"{' ' * 10}{end}" for end in ends]
    if done is None:
        return
    if done.outcome is None:
        world.count["adjustment that waits for another person"] += 1
    else:
        world.count[f"outcome {done.outcome.value} by command"] += 1
    if done.outcome in DONE and not stands(world, name, word):
        world.wrong.append(f"{what}: it is said to be {done.outcome}, and nothing of the kind stands under the id {name}")


DONE = frozenset({Outcome.ADJUSTED, Outcome.VOIDED, Outcome.FLAGGED, Outcome.DUPLICATE})


def stands(world: World, name: str, word: Word | None) -> bool:
    """Say whether something stands under an id, and is what was said."""
    claims = (entry for entry in world.place.entries() if (entry["reference"], entry["sequence"]) == (f"adjust#{name}", 1))
    told = [each for entry in claims for each in entry["facts"]["adjustments"] if each["id"] == name]
    return bool(told) and (word is None or all(is_said(each, word) for each in told))


def is_said(told: Mapping[str, Any], word: Word) -> bool:
    """Say whether what stands says what a word says. What takes another back has the amount and the job of that."""
    if word.reverses:
        return bool(told.get("reverses") == word.reverses)
    return (Fraction(told["amount"]), told.get("job", ""), "reverses" in told) == (word.amount, word.job, False)


def identity(name: str) -> Identity:
    """Return who a person is."""
    return Identity(f"arn:{name}", name, name)


def shown(word: Word) -> str:
    """Return a word for the story."""
    about = f" of job {word.job}" if word.job else ""
    about += f", which takes {word.reverses} back" if word.reverses else ""
    return f"{word.id}: {float(word.amount):g} for {word.user}{about} ({word.reason})"


def words_of(plan: Plan) -> list[Word]:
    """Return all that is said in a plan, what takes something back after all else."""
    words = dict.fromkeys(step.subject.word for step in plan.steps() if step.kind == "say")
    return sorted(words, key=lambda word: bool(word.reverses))


def said_at_last(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """Yield what everybody does when all is quiet: each word is said once more, and approved by somebody else."""
    for word in words_of(plan):
        by = next(step.subject.by for step in plan.steps() if step.kind == "say" and step.subject.word == word)
        yield "say", Saying(word, by)
        if word.reverses or abs(word.amount) > SMALL:
            yield from (("approve", Approving(word.id, name)) for name in PEOPLE)
