"""One history from its seed to its verdict: play, let it become quiet, judge."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

from attrs import frozen

from engine.audit.books import audit
from engine.audit.recount import recount
from engine.ledger.stored import entry_of
from tests.simulation.claims import Fact, instant
from tests.simulation.constructs import constructs
from tests.simulation.faults import Caller
from tests.simulation.judge import Case, judge
from tests.simulation.tables import count_entries
from tests.simulation.tellings import Telling
from tests.simulation.watch import watched
from tests.simulation.world.actors import explained_at_last
from tests.simulation.world.aftermath import damaged
from tests.simulation.world.archiving import archive_between, archived_at_last
from tests.simulation.world.desk import said_at_last, words_of
from tests.simulation.world.documents import Document
from tests.simulation.world.place import NEVER
from tests.simulation.world.plan import Plan, Round, Step, Told
from tests.simulation.world.play import World
from tests.simulation.world.terms import all_edits, is_numbered, policies_by_name, way_of_holding

QUIET_ROUNDS = 12
QUIET_SECONDS = 120.0
ENOUGH = "1000000"
AHEAD_SECONDS = 36_000.0
"""After so long no event is ahead of the clocks any more."""

CLOCK_SKEW = timedelta(seconds=5)
REQUEST = "submitted"
"""What asks for a hold. Where that is open, refused or over, it takes nothing that is due."""

REPLAYED = 3
"""Of so many histories all events of one are sent again in the end."""


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
        archive_between(world)
    quiet(world, seen)
    unexplained = [*explained_at_last(world), *archived_at_last(world)]
    wrong = [*world.wrong, *seen.wrong, *capped(world, plan), *judge(case_of(world, plan)), *watched(world)]
    wrong += [*by_the_engine(world), *unexplained, *world.place.wrong()]
    wrong += [] if wrong or holds_credits(plan) else damaged(world)
    events = sum(step.kind in {"direct", "send"} for step in plan.steps())
    entries = world.place.entries()
    count_entries(world.count, entries)
    world.count.update(constructs(entries))
    return Verdict(plan, tuple(wrong), events, len(entries), world.count, tuple(world.lines))


def holds_credits(plan: Plan) -> bool:
    """Say whether an edit that is at work in a history holds credits: its tables are not damaged."""
    return any(map(way_of_holding, edits_of(plan)))


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
    said_again(world, seeds)
    applied_at_last(world, seeds)
    world.timeline.pass_by(AHEAD_SECONDS)
    looked_for_holds(world, next(seeds))
    for _ in range(2):
        letters, world.queue.letters = world.queue.letters, []
        for document in letters:
            _once(world, Step("direct", next(seeds), document))
        for _ in range(2):
            _once(world)
    if is_replayed(world.plan):
        replay(world, seeds)
    scan(world, next(seeds))
    looked_for_holds(world, next(seeds))
    said_again(world, seeds)  # of a job that only a row has told, too
    seen.look()
    before = world.place.entries(), world.place.rows()
    world.timeline.pass_by(600)
    scan(world, next(seeds))
    looked_for_holds(world, next(seeds))
    seen.look()
    if before != (world.place.entries(), world.place.rows()):
        world.wrong.append(f"a second scan has written: {_difference(before[0], world.place.entries())}")


def said_again(world: World, seeds: Iterator[int]) -> None:
    """Let people say everything once more: what had no answer, what was refused, and what is known."""
    for kind, subject in said_at_last(world.plan):
        _once(world, Step(kind, next(seeds), subject))


def applied_at_last(world: World, seeds: Iterator[int]) -> None:
    """Let every plan file be applied to its end; then what is left out has changed since it was planned."""
    for pricing in [step.subject for step in world.plan.steps() if step.kind == "plan_prices"]:
        _once(world, Step("apply_prices", next(seeds), pricing))


def is_replayed(plan: Plan) -> bool:
    """Say whether all events are sent again in the end, so that not even what was refused is due any more."""
    return plan.seed % REPLAYED == 0


def replay(world: World, seeds: Iterator[int]) -> None:
    """Send all events that make sense again, in another order than at first."""
    documents = {step.subject["id"]: step.subject for step in world.plan.steps() if step.kind in {"direct", "send"}}
    for name, document in sorted(documents.items(), key=lambda item: item[0][::-1]):
        if name not in world.plan.senseless:
            _once(world, Step("direct", next(seeds), document))


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


def looked_for_holds(world: World, seed: int) -> None:
    """Let the function say which holds have expired, where anything may be held."""
    if holds_credits(world.plan):
        _once(world, Step("expire", seed))


def capped(world: World, plan: Plan) -> Iterator[str]:
    """No run that was capped has posted more than it may. What one invocation posts of holds that are due is not capped."""
    quiet_ones, holds = 2, holds_credits(plan)
    for run in world.runs[:-quiet_ones]:
        may_expire = holds and run.name.startswith("all-")
        if plan.cap is not None and run.posted > plan.cap and not may_expire:
            yield f"{run.name} has posted {run.posted} entries; it may post {plan.cap}"


def case_of(world: World, plan: Plan) -> Case:
    """Return what the judge has to know."""
    told = {step.subject["id"] for step in plan.steps() if step.kind in {"direct", "send"}}
    tellings = tellings_of(world, plan, told)
    read = {telling.reference for telling in tellings if telling.is_last}  # a refusal takes the mark of the row away
    if is_replayed(plan):
        put_back = {telling.reference for telling in tellings if telling.by_row and not telling.is_last}
        told_again = {telling.reference for telling in tellings if telling.by_event and telling.fact.kind != REQUEST}
        read |= told_again - put_back  # what is due may be what a row said
    _, users = world.place.rows()
    return Case(
        tellings=tellings,
        policies=policies_by_name(frozenset(edits_of(plan)), plan.overdraft, plan.unknown_user),
        entries=world.place.entries(),
        credits=users,
        granted={user: Fraction(amount) for user, amount in world.granted.items()},
        senseless=plan.senseless & told,
        letters=frozenset(document["id"] for document in world.queue.letters),
        may_be_due=frozenset(each.reference for each in tellings if plan.overdraft == "refuse") - read,
        words=words_of(plan),
        repricings=world.repricings,
        plans=[pricing.planned for pricing in world.pricings.values()],
        plan_policies=policies_by_name(all_edits(), plan.overdraft, plan.unknown_user),
        lowest=world.place.balances.lowest_of_refusals(),
    )


def tellings_of(world: World, plan: Plan, told: set[str]) -> list[Telling]:
    """Return what events and rows of Jobs have told."""
    written, last, rows = rows_written(world), last_rows(world), rows_said(world)
    goes_by = marked_by_attempt if is_numbered(world.edit) else marked_by_status
    return [
        Telling(
            fact.event,
            fact.reference,
            fact.user,
            Fact(
                fact.kind,
                instant(fact.at),
                {"kind": fact.kind, **{f"detail.{name}": said for name, said in fact.said.items()}},
            ),
            by_event=fact.event in told,
            by_row=fact.event in written,
            is_timeless=fact.is_timeless,
            is_last=fact.event in last,
            others=may_have_marked(fact, last[fact.event], plan.facts, goes_by) if fact.event in last else frozenset(),
            rows=rows.get(fact.reference, ({},)),
            row_said=written.get(fact.event, {}),
        )
        for fact in plan.facts
        if fact.event in told | written.keys()
    ]


def edits_of(plan: Plan) -> list[int]:
    """Return the edits of the policy that are at work in a history, in order."""
    return [plan.edit, *(step.subject for step in plan.steps() if step.kind == "deploy")]


def last_rows(world: World) -> dict[str, str]:
    """Return by event how the row was written that tells its fact, of each job whose last row tells one."""
    last = {job: (event, kind) for job, kind, row, event in world.written if "status" in row}
    return {event: kind for event, kind in last.values() if event}


def rows_written(world: World) -> dict[str, dict[str, str]]:
    """Return by event all that the row has said once its fact was written there."""
    rows: dict[str, Document] = {}
    said: dict[str, dict[str, str]] = {}
    for job, kind, row, event in world.written:
        rows[job] = row if kind == "put" else {**rows.get(job, {}), **row}
        said[event] = {f"detail.{name}": str(figure) for name, figure in rows[job].items()}
    return said


def rows_said(world: World) -> dict[str, list[dict[str, str]]]:
    """Return by log what the row has said, at any time, of what prices read there."""
    said: dict[str, list[dict[str, str]]] = {}
    for job, _, row, _ in world.written:
        if "plan" in row:
            said.setdefault(f"job#{job}", []).append({"row.plan": row["plan"], "row.size": str(row["size"])})
    return said


type GoesBy = Callable[[Told], object]
"""What a mark tells of the fact that it rests on."""


def marked_by_status(fact: Told) -> object:
    """Return what a mark tells where the policy that is deployed numbers no attempts."""
    return fact.reference, fact.kind


def marked_by_attempt(fact: Told) -> object:
    """Return what a mark tells where it does."""
    return fact.reference, fact.kind, fact.said.get("attempt")


def may_have_marked(fact: Told, kind: str, facts: Sequence[Told], goes_by: GoesBy) -> frozenset[str]:
    """Return the events of other facts whose mark may stand on the row that tells ``fact``.

    A mark goes by the status, and by the attempt where that is numbered (``goes_by``), so it is of a fact that has the same:
    of any of them where the row was written in part and has kept the mark that it had, or where it says no time. A row that
    was written whole has lost its mark; whoever marks it after that is no earlier than what it says, but for ``clock.skew``.
    """
    others = (other for other in facts if goes_by(other) == goes_by(fact) and other is not fact)
    since = instant(fact.at) - CLOCK_SKEW
    is_any = kind == "update" or fact.is_timeless
    return frozenset(other.event for other in others if is_any or instant(other.at) >= since)


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
