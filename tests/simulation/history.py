"""One history from its seed to its verdict: play, let it become quiet, judge."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from attrs import frozen

from engine.audit.books import audit
from engine.audit.recount import recount
from engine.ledger.stored import entry_of
from tests.simulation.faults import Caller
from tests.simulation.judge import Case, Fact, judge
from tests.simulation.watch import watched
from tests.simulation.world.actors import explained_at_last
from tests.simulation.world.place import NEVER
from tests.simulation.world.plan import Plan, Round, Step, Told
from tests.simulation.world.play import World
from tests.simulation.world.terms import terms_by_policy

QUIET_ROUNDS = 12
QUIET_SECONDS = 120.0
ENOUGH = "1000000"


@frozen
class Verdict:
    """What became of a history."""

    plan: Plan
    wrong: tuple[str, ...]
    events: int
    entries: int
    count: Counter[str]
    lines: tuple[str, ...]


def play(plan: Plan, world: World | None = None) -> Verdict:
    """Play a plan, in a world of its own where none is given, and judge what is in the tables then."""
    world = world or World(plan)
    seen = Witness(world)
    for each in plan.rounds:
        world.round(each)
        seen.look()
    quiet(world, seen)
    unexplained = explained_at_last(world)
    wrong = [*world.wrong, *seen.wrong, *capped(world, plan), *judge(case_of(world, plan)), *watched(world)]
    wrong += [*by_the_engine(world), *unexplained, *world.place.wrong()]
    events = sum(step.kind in {"direct", "send"} for step in plan.steps())
    return Verdict(plan, tuple(wrong), events, len(world.place.entries()), world.count, tuple(world.lines))


class Witness:
    """Looks at the ledger again and again: nothing that was seen may change or go."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: dict[tuple[str, int], dict[str, Any]] = {}
        self.wrong: list[str] = []

    def look(self) -> None:
        """Compare with what was seen."""
        now = {(entry["reference"], entry["sequence"]): entry for entry in self.world.place.entries()}
        for key, entry in self.seen.items():
            if now.get(key) is not entry and now.get(key) != entry:
                self.wrong.append(f"{key[0]}: entry {key[1]} was changed or removed")
        self.seen = now


def quiet(world: World, seen: Witness) -> None:
    """Let everything that was begun come to its end, with no faults; then scan twice: the second time nothing is written."""
    world.calm()
    seeds = itertools.count(1)
    for user in world.plan.users:
        world.credits(Step("credits", 0, (user, ENOUGH)))
    for left in reversed(range(QUIET_ROUNDS)):
        _once(world, Step("poll", next(seeds), 10))
        if not world.queue.waiting and not world.retries:
            world.timeline.pass_by(left * QUIET_SECONDS)
            break
    for _ in range(2):
        letters, world.queue.letters = world.queue.letters, []
        for document in letters:
            _once(world, Step("direct", next(seeds), document))
        for _ in range(2):
            _once(world)
    scan(world, next(seeds))
    seen.look()
    before = world.place.entries(), world.place.rows()
    world.timeline.pass_by(600)
    scan(world, next(seeds))
    seen.look()
    if before != (world.place.entries(), world.place.rows()):
        world.wrong.append(f"a second scan has written: {_difference(before[0], world.place.entries())}")


def _difference(before: list[Any], after: list[Any]) -> str:
    new = [f"{entry['reference']} {entry['sequence']} {entry['type']}" for entry in after if entry not in before]
    return ", ".join(new) or "on the rows of jobs or users"


def _once(world: World, *steps: Step) -> None:
    world.round(Round(1, steps, QUIET_SECONDS))


def scan(world: World, seed: int) -> None:
    """Scan the whole table, look back, audit."""
    _once(world, Step("begin", seed))
    run = world.runs[-1]
    while run.waiting:
        _once(world, Step("slice", 1 + 5 * seed))
    _once(world, Step("finish", seed))


def capped(world: World, plan: Plan) -> Iterator[str]:
    """No run that was capped has posted more than it may."""
    quiet_ones = 2
    for run in world.runs[:-quiet_ones]:
        if plan.cap is not None and run.posted > plan.cap:
            yield f"{run.name} has posted {run.posted} entries; it may post {plan.cap}"


def case_of(world: World, plan: Plan) -> Case:
    """Return what the judge has to know."""
    told = {step.subject["id"] for step in plan.steps() if step.kind in {"direct", "send"}}
    sure, perhaps, settled = told_by_rows(world, plan.facts)
    facts = [
        Fact(each.reference, each.user, each.rule, each.at, each.quantity, each.model, sure=each.event in told | sure)
        for each in plan.facts
        if each.event in told | sure | perhaps
    ]
    _, users = world.place.rows()
    return Case(
        facts=facts,
        policies=terms_by_policy(plan.overdraft, plan.unknown_user),
        entries=world.place.entries(),
        credits=users,
        granted={user: Fraction(amount) for user, amount in world.granted.items()},
        senseless=plan.senseless & told,
        letters=frozenset(document["id"] for document in world.queue.letters),
        may_be_due=frozenset(fact.reference for fact in facts if plan.overdraft == "refuse" and fact.reference not in settled),
    )


def told_by_rows(world: World, facts: Sequence[Told]) -> tuple[set[str], set[str], set[str]]:
    """Return the events whose facts rows tell for sure, those that rows tell perhaps, and the logs whose row a scan reads.

    The last row of a job is read, with three exceptions. Where another fact goes by the same status, and the row was written
    in part, it may have kept that fact's mark, and says nothing new (only ``event.attempt`` would tell both apart). Where
    another charge is of the very instant, or another fact of the status is later than what the row was put back to, its event
    may have marked the row: a mark goes by the status, and by a time that is not later.
    """
    sure: set[str] = set()
    settled: set[str] = set()
    of_status = Counter((fact.reference, fact.rule) for fact in facts)
    of_moment = Counter((fact.reference, fact.rule, fact.at) for fact in facts)
    told = {fact.event: fact for fact in facts}
    last = {job: (kind, event) for job, kind, _, event in world.written}
    perhaps = {event for _, _, _, event in world.written if event}
    for kind, event in last.values():
        if (fact := told.get(event)) is None:
            continue
        settled.add(fact.reference)  # a refusal takes the mark away, whatever the row says
        if of_moment[fact.reference, fact.rule, fact.at] > 1:
            continue
        is_latest = all(other.at <= fact.at for other in facts if (other.reference, other.rule) == (fact.reference, fact.rule))
        if (kind == "put" and is_latest) or of_status[fact.reference, fact.rule] == 1:
            sure.add(event)
    return sure, perhaps, settled


def by_the_engine(world: World) -> Iterator[str]:
    """What the engine's own checks say: every entry counted again, and the audit of a ledger that nothing is wrong with."""
    logs: dict[str, list[dict[str, Any]]] = {}
    for entry in world.place.entries():
        logs.setdefault(entry["reference"], []).append(entry)
    for reference, stored in logs.items():
        for again in recount([entry_of(each) for each in stored]):
            if again.problems:
                yield f"{reference}: recount says {'; '.join(again.problems)}"
    said = audit(AuditedPlace(world, Caller.at_rest(world.timeline)), NEVER)  # type: ignore[arg-type]
    if not said.is_clean:
        yield f"the audit of a sound ledger says {said.drifts} {said.faults}"


@frozen
class AuditedPlace:
    """The little of a store that an audit asks for."""

    world: World
    caller: Caller

    def audits(self) -> Any:
        """Return what audits see."""
        return self.world.place.audits(self.caller, lambda: False)
