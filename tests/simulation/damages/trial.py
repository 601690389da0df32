"""One trial: a history is lived twice, with damage and without, and must end alike. Its seed says all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from engine.audit.repair import RepairRefused
from engine.domain.errors import EventError, LedgerError
from engine.ledger.dynamodb.store import DynamoStore
from engine.policy import Policy
from tests.simulation.damages.keepers import NOTHING_SAID, NOTHING_SEEN, Keeper, Seen, Word
from tests.simulation.damages.kinds import DRAWN, KINDS, LATER, Kind
from tests.simulation.damages.objects import ARCHIVE
from tests.simulation.damages.stage import Stage, over
from tests.simulation.damages.state import NOTHING, State, state_of
from tests.simulation.damages.targets import StageHands
from tests.simulation.faults import Caller, Dice, Killed
from tests.simulation.world.crew import Crew
from tests.simulation.world.documents import event_of
from tests.simulation.world.plan import Document, Told
from tests.simulation.world.sent_again import documents_of, policies_of, told_again
from tests.simulation.world.strict import TABLES, FaultyClient
from tests.simulation.world.terms import EDITS, policy_of

FIRST_WORLD, WORLDS = 3_000_000, 48
"""The histories to which something is done."""

BESIDE = "u-late"
"""Who buys credits while others repair."""

AFTER_A_REPAIR = 0.25
"""In so many trials something is done once more when all was put right."""

KILLED_AT = 0.15
DISTURBED = 2
MINUTES = 120.0
A_RUN = 1200.0
"""Seconds until what was posted is old."""

REFUNDS: Mapping[str, Mapping[str, str]] = {
    "failed": {},
    "cancelled": {},
    "credited": {"back": "0.25"},
    "broken": {"missing": "33.3"},
}


@frozen
class Script:
    """What happens in a trial beside the damage: the same with it and without."""

    share: float
    """After so much of the history somebody looked."""
    looks_late: bool
    """Somebody looked when it was over, so that all of it is old."""
    beside: tuple[Document, ...]
    """Events that come between the damage and its repair."""
    later: tuple[Document, ...]
    """Refunds that come after it."""
    edit: int
    """The edit of the policy under which all events come once more in the end."""
    disturbed: bool
    """The repair is killed on the way, beside a writer, and done again."""


@frozen
class Planted:
    """What was done, and to whom: users and logs."""

    name: str
    kind: Kind
    touched: frozenset[str]
    is_old: bool
    seen: Seen = NOTHING_SEEN
    """What was seen when it was there."""
    alone: State = NOTHING
    """What the tables came to when it was put right, with nobody's word."""
    is_one_of_many: bool = False


@frozen
class Became:
    """What became of one damage."""

    planted: Planted
    noticed: bool
    named: bool
    by_itself: bool
    """All was as before with nobody's word."""
    right: bool
    """All was as before in the end, perhaps with a person's word."""
    again: bool
    """And still after every event had come again."""
    later: bool
    """And after refunds and other prices."""
    paid: bool
    """Somebody has more than he should have, in the end."""


@define(eq=False)
class Trial:
    """One history with damage and without."""

    seed: int
    keeper: Callable[[], Keeper]
    rounds: Sequence[Sequence[str]] = ()
    """Which kinds are planted together, and which after they were put right; by the seed where nothing is said."""
    chance: Random = field(init=False)
    world: Any = field(init=False)
    policies: dict[str, Policy] = field(init=False)
    documents: tuple[Document, ...] = field(init=False)
    planted: list[Planted] = Factory(list)
    wrong: list[str] = Factory(list)
    """What must not be, whatever was done: innocents that were touched, a second repair that does something."""

    @chance.default
    def _chance(self) -> Random:
        return Random(f"damages {self.seed}")

    @world.default
    def _world(self) -> Any:
        return over(world_of(self.seed))

    @policies.default
    def _policies(self) -> dict[str, Policy]:
        return policies_of(self.world)

    @documents.default
    def _documents(self) -> tuple[Document, ...]:
        return documents_of(self.world)

    def play(self) -> list[Became]:
        """Play it, and return what became of each damage."""
        rounds = list(self.rounds) or self._drawn()
        script = self._script()
        truth = self._truth(script)
        stage, keeper = self._begun(script, self.keeper())
        hands = self._hands(stage, keeper)
        self._round(stage, keeper, hands, rounds[0], script)
        if not self.planted:
            return []
        for names in rounds[1:]:
            hands.old = keeper.known(stage)
            self._round(stage, keeper, hands, names)
        states = [state_of(stage)]
        self._everything_again(stage)
        states.append(state_of(stage))
        self._at_last(stage, script)
        states.append(state_of(stage))
        self._innocents(hands, truth, states)
        return [self._became(each, truth, states) for each in self.planted]

    def sound(self) -> list[str]:
        """Return what is found of the same history where nothing was done."""
        script = self._script()
        stage, keeper = self._begun(script, self.keeper())
        looks = [keeper.look(stage)]
        for document in (*script.beside, *script.later):
            self._send(stage, document)
        stage.pass_by(MINUTES)
        looks.append(keeper.look(stage))
        done = keeper.mend(stage, NOTHING_SAID)
        found = [f"a false alarm: {seen}" for seen in looks if not seen.is_clean]
        return found + ([f"a repair of a sound ledger: {done}"] if done.written or done.left or done.stopped else [])

    def _drawn(self) -> list[list[str]]:
        """Return kinds by the seed: each seed begins with another one; some are several, some come after a repair."""
        names, chance, of_later = list(DRAWN), self.chance, Random(f"later kinds {self.seed}")
        first = [names[self.seed % len(names)], *chance.sample(names, chance.choice((0, 0, 1, 3)))]
        if of_later.random() < len(LATER) / len({**DRAWN, **LATER}):
            first[0] = of_later.choice(list(LATER))
        return [first, *([chance.sample(names, chance.choice((1, 2)))] if chance.random() < AFTER_A_REPAIR else [])]

    def _round(
        self, stage: Stage, keeper: Keeper, hands: StageHands, names: Sequence[str], script: Script | None = None
    ) -> None:
        """Plant, look, put right, and put right once more."""
        since, before = len(stage.told), len(self.planted)
        self._plant(hands, names)
        forged = [key for key in stage.inserted(since) if key not in _keys(stage.told[:since])]
        planted = len(stage.told)
        refused = [document for document in (script.beside if script else ()) if not self._send(stage, document)]
        posted = [key for key in stage.inserted(planted) if key not in forged]
        stage.pass_by(MINUTES)
        seen = keeper.look(stage)
        is_of_archive = any(each.kind.of_archive for each in self.planted)
        weekly = keeper.look(stage, whole=True) if is_of_archive else seen
        named = (seen.noticed | seen.named) - hands.touched
        if named and not is_of_archive:
            self.wrong.append(f"innocents are named: {sorted(named)}")
        if script and script.disturbed:
            self._disturbed(stage, keeper)
        word = Word(next((each.kind.said for each in self.planted[before:] if each.kind.said), None), forged, posted)
        self._mended(stage, keeper, evolve(seen, is_found_weekly=not weekly.is_clean), before, word, refused=refused)

    def _mended(
        self, stage: Stage, keeper: Keeper, seen: Seen, before: int, word: Word, *, refused: Sequence[Document]
    ) -> None:
        """Put right, with nobody's word and with one. What was ``refused`` waits with the dead letters, and comes again."""
        first = keeper.mend(stage, NOTHING_SAID)
        refused = [document for document in refused if not self._send(stage, document)]
        stage.archive()
        alone = state_of(stage)
        if first.left or word.forged:
            keeper.mend(stage, word)
            for document in refused:
                self._send(stage, document)
            stage.archive()
        again = keeper.mend(stage, word)
        if again.written:
            self.wrong.append(f"a second repair writes {again.written} entries")
        stage.pass_by(MINUTES)
        many = len(self.planted) - before > 1
        for number in range(before, len(self.planted)):
            self.planted[number] = evolve(self.planted[number], seen=seen, alone=alone, is_one_of_many=many)

    # --- what happens whether or not something is done ---

    def _script(self) -> Script:
        chance = self.chance
        later = list(self._later())
        first = chance.sample(later, min(len(later), chance.choice((0, 0, 1))))
        again = chance.sample(self.documents, min(len(self.documents), chance.choice((0, 2))))
        return Script(
            share=chance.random(),
            looks_late=chance.random() < 0.5,
            beside=(*again, *first),
            later=tuple(each for each in later if each not in first),
            edit=chance.randrange(EDITS),
            disturbed=chance.random() < 0.5,
        )

    def _later(self) -> Iterator[Document]:
        """Yield a refund of each job, most of them too late for the windows of some edits."""
        jobs = {fact.reference: fact for fact in self.world.plan.facts if fact.reference.startswith("job#")}
        for reference, fact in sorted(jobs.items()):
            kind = self.chance.choice(sorted(REFUNDS))
            at = f"2026-01-05T{self.chance.choice((9, 11, 12, 20)):02d}:00:00Z"
            yield event_of(Told(f"e-later-{reference}", reference, fact.user, kind, at, REFUNDS[kind]))

    def _begun(self, script: Script, keeper: Keeper) -> tuple[Stage, Keeper]:
        """Return the stage just before somebody comes, and who has looked at it so far."""
        stage = Stage(self.world)

        def look() -> None:
            stage.archive()
            keeper.look(stage)

        stage.live(script.share, look)
        stage.place.add_credits(BESIDE, Decimal(1000))
        self.documents = tuple(document for document in self.documents if self._is_sound(stage, document))
        if script.looks_late:
            stage.pass_by(A_RUN)
            look()
        stage.archive()
        return stage, keeper

    def _is_sound(self, stage: Stage, document: Document) -> bool:
        """Send an event once more, so that what was due is posted; what a row that is gone had told is left out."""
        try:
            self._send_as_first(stage, document)
        except EventError:
            return False
        return True

    def _send_as_first(self, stage: Stage, document: Document) -> None:
        stage.send(document, self.policies.get(document["id"], self.world.policy))

    def _send(self, stage: Stage, document: Document, policy: Policy | None = None) -> bool:
        """Send an event; what is damaged may refuse it: False."""
        with contextlib.suppress(EventError, LedgerError, KeyError, ValueError, TypeError, AttributeError, ArithmeticError):
            stage.send(document, policy or self.policies.get(document["id"], self.world.policy))
            return True
        return False

    def _everything_again(self, stage: Stage) -> None:
        """Send all events again; one that has told nothing new comes last: no entry says which policy priced it."""
        for document in sorted(self.documents, key=lambda each: each["id"] not in self.policies):
            self._send(stage, document)

    def _at_last(self, stage: Stage, script: Script) -> None:
        """Refunds, and all events under another edit of the policy."""
        for document in script.later:
            self._send(stage, document)
        plan = self.world.plan
        policy = policy_of(script.edit, plan.overdraft, plan.unknown_user)
        for document in self.documents:
            self._send(stage, document, policy)

    def _truth(self, script: Script) -> list[State]:
        """Return what the tables are, had nobody come: before the repair, after all events, in the end."""
        stage, _ = self._begun(script, self.keeper())
        for document in script.beside:
            self._send(stage, document)
        stage.pass_by(MINUTES)
        states = [state_of(stage)]
        for number in range(DISTURBED) if script.disturbed else ():
            self._buy(stage, stage.ledger, number)
        states[0] = state_of(stage)
        self._everything_again(stage)
        states.append(state_of(stage))
        self._at_last(stage, script)
        return [*states, state_of(stage)]

    # --- the damage ---

    def _hands(self, stage: Stage, keeper: Keeper) -> StageHands:
        sent = told_again(self.world, self.documents)
        return StageHands(stage.place, sent, stage=stage, old=keeper.known(stage), touched={BESIDE})

    def _plant(self, hands: StageHands, names: Sequence[str]) -> None:
        for name in names:
            kind = KINDS[name]
            if any(not fit_together(each.kind, kind) for each in self.planted):
                continue
            target = kind.pick(hands, list(hands.spots()), self.chance)
            if target is None:
                continue
            before = set(hands.touched)
            kind.do(hands, target)
            is_old = bool(getattr(target, "is_sealed", False))
            self.planted.append(Planted(name, kind, frozenset(hands.touched - before - {""}), is_old))

    # --- what becomes of it ---

    def _became(self, planted: Planted, truth: list[State], states: list[State]) -> Became:
        alone, right, again, later = (
            state.of(planted.touched) == true.of(planted.touched)
            for state, true in zip((planted.alone, *states), (truth[0], *truth), strict=True)
        )
        seen = planted.seen
        is_of_archive = ARCHIVE in planted.touched
        counts = seen.counts and not planted.is_one_of_many
        is_found = not seen.is_clean or seen.is_found_weekly
        return Became(
            planted,
            noticed=not seen.is_clean if is_of_archive else bool(seen.noticed & planted.touched) or counts,
            named=is_found if is_of_archive else bool(seen.named & planted.touched),
            by_itself=alone,
            right=right,
            again=again,
            later=later,
            paid=any(states[0].left(user) > truth[0].left(user) for user in planted.touched if "#" not in user),
        )

    def _innocents(self, hands: StageHands, truth: list[State], states: list[State]) -> None:
        stays = any(not each.kind.is_mended for each in self.planted)  # later debits may be refused
        names = ("the repair", "all events again", "refunds and other prices")[: 1 if stays else 3]
        for state, true, what in zip(states, truth, names, strict=False):
            moved = state.differing(true) - hands.touched
            if moved:
                self.wrong.append(f"innocents are moved by {what}: {sorted(moved)}")

    def _disturbed(self, stage: Stage, keeper: Keeper) -> None:
        """Repair with faults and kills, while another user buys credits."""
        for number in range(DISTURBED):
            crew = Crew(self.chance)
            caller = Caller(Dice(self.chance, KILLED_AT / (number + 1), count=self.world.count), crew, stage.timeline)
            other = evolve(caller, dice=Dice(self.chance, 0.0))
            crew.run([self._until_killed(stage, keeper, caller), self._buying(stage, other, number)])

    def _until_killed(self, stage: Stage, keeper: Keeper, caller: Caller) -> Callable[[], None]:
        def run() -> None:
            with contextlib.suppress(Killed, LedgerError, RepairRefused):
                keeper.mend(stage, NOTHING_SAID, reached(stage, caller))

        return run

    def _buying(self, stage: Stage, caller: Caller, number: int) -> Callable[[], None]:
        return lambda: self._buy(stage, reached(stage, caller), number)

    def _buy(self, stage: Stage, ledger: DynamoStore, number: int) -> None:
        detail = {"purchaseId": f"late-{number}", "userId": BESIDE, "credits": "2"}
        event = {"id": f"e-late-{number}", "source": "app", "detail-type": "purchased", "time": "2026-01-05T06:00:00Z"}
        stage.send({**event, "detail": detail}, self.world.policy, ledger)


def reached(stage: Stage, caller: Caller) -> DynamoStore:
    """Return the store as a caller reaches it to whom things happen."""
    client: Any = FaultyClient(stage.place, caller)
    return DynamoStore(client, TABLES, caller.clock())


def fit_together(one: Kind, other: Kind) -> bool:
    """Say whether two kinds can be planted in one trial: a person says one thing, and a broken archive proves nothing."""
    return (one.said is other.said or None in {one.said, other.said}) and not (one.of_archive or other.of_archive)


def world_of(seed: int) -> int:
    """Return the seed of the history to which a trial does something."""
    return FIRST_WORLD + Random(f"world {seed}").randrange(WORLDS)


def _keys(told: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return the keys of which a stream has told something."""
    keys = (record["dynamodb"]["Keys"] for record in told)
    return {(key["reference"]["S"], key["sequence"]["N"]) for key in keys}
