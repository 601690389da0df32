"""The people at a desk: they adjust, concede, take back and approve, now and then twice, two at once, or killed half way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.entry_types import Outcome
from engine.domain.errors import CorrectionError
from engine.reconcile.corrections import Adjusted, Adjuster
from engine.runtime.clock import Deadline
from tests.simulation.words import Word
from tests.simulation.world.deeds import PERSON_SECONDS, tried
from tests.simulation.world.plan import Plan, Step
from tests.simulation.world.sayings import PEOPLE, Approving, Saying

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
    _heard(world, step, what, word.id, lambda desk, deadline: desk.adjust(request, identity(said.by), deadline))


def approve(world: World, step: Step) -> None:
    """Approve what waits under an id."""
    said: Approving = step.subject
    what = f"{said.by} approves {said.id}"
    _heard(world, step, what, said.id, lambda desk, deadline: desk.approve(said.id, identity(said.by), deadline))


def _heard(world: World, step: Step, what: str, name: str, act: Callable[[Adjuster, Deadline], Adjusted]) -> None:
    """Let an act come to its end: what is told to be done is done."""
    caller = world.caller(step)
    caller.ends_at = float("inf")
    desk = Adjuster.on(world.policy, world.reach(world.place, caller))
    ends: list[str] = []

    def acted() -> Adjusted | None:
        try:
            return act(desk, caller.clock().deadline(PERSON_SECONDS))
        except CorrectionError as error:
            ends.append(str(error))
            world.count["word that made no sense"] += 1
            return None

    done = tried(world, what, acted)
    world.lines += [f"{' ' * 10}{end}" for end in ends]
    if done is None:
        return
    world.count[f"adjusting {done.outcome.value if done.outcome else 'waits'}"] += 1
    if done.outcome in {Outcome.ADJUSTED, Outcome.VOIDED, Outcome.FLAGGED, Outcome.DUPLICATE} and not stands(world, name):
        world.wrong.append(f"{what}: it is said to be {done.outcome}, and nothing stands under the id {name}")


def stands(world: World, name: str) -> bool:
    """Say whether something stands under an id."""
    return any(entry["reference"] == f"adjust#{name}" for entry in world.place.entries())


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
        yield from (("approve", Approving(word.id, name)) for name in PEOPLE)
