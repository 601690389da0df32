"""After a history: damage is planted, and audit and repair must do of it exactly what the table of kinds says, and no more.

A repair is killed on the way and done again, beside a writer; afterwards every event is sent again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from engine.audit.books import Audit, audit
from engine.audit.repair import Repair, RepairRefused, Wrong
from engine.audit.seals import Damage, Sealer
from engine.domain.envelope import Source
from engine.domain.errors import EventError, LedgerError
from engine.ledger.dynamodb.store import DynamoStore
from engine.policy import Policy
from engine.reconcile.reconciler import Reconciler
from tests.simulation.faults import Caller, Dice, Killed
from tests.simulation.world.crew import Crew
from tests.simulation.world.damage import Hands, copied
from tests.simulation.world.damage_kinds import KINDS, Kind, Mended
from tests.simulation.world.place import START
from tests.simulation.world.plan import Document, Plan
from tests.simulation.world.play import World
from tests.simulation.world.sent_again import documents_of, policies_of, told_again
from tests.simulation.world.strict import TABLES, FaultyClient
from tests.simulation.world.telling import Counting
from tests.support.repairs import repair_everybody

SEALS = 3
"""So many seals a history has by its runs, which are as many or more."""

SHARE = 0.12
"""So many histories end with damage: what it costs is worth more seeds."""

BESIDE = "u-late"
"""Who buys credits while a repair is at work."""

KILLED_AT = 0.15
BETTER = frozenset({"is noticed by the run", "is named by --verify", "is put right"})
"""What is better than a table that says no."""

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
NOTHING = Decimal(0), Decimal(0)


@frozen
class Planted:
    """What was done, and to whom: users and logs."""

    name: str
    kind: Kind
    touched: frozenset[str]


@define(eq=False)
class Aftermath:
    """The tables of one history after it, what is planted there, and what is wrong with what audit and repair do of it."""

    world: World
    chance: Random
    kinds: tuple[str, ...]
    """The kinds to plant, as far as there is something to do them to."""
    documents: tuple[Document, ...] = field(init=False)
    policies: dict[str, Policy] = field(init=False)
    """The policy that has priced each event first, by the event's name."""
    hands: Hands = field(init=False)
    is_exact: bool = True
    """Whether better than the table is wrong too. Of several at once, one can be noticed by the other's traces."""
    planted: list[Planted] = Factory(list)
    wrong: list[str] = Factory(list)

    @documents.default
    def _documents(self) -> tuple[Document, ...]:
        return documents_of(self.world)

    @policies.default
    def _policies(self) -> dict[str, Policy]:
        return policies_of(self.world)

    @hands.default
    def _hands(self) -> Hands:
        return Hands(copied(self.world), told_again(self.world, self.documents))

    def play(self) -> list[str]:
        """Plant, look, repair, send all events again; return what is not as the table says."""
        self._is_sound()
        self._for_who_comes_later()
        self._sealed_so_far()
        rows, nets = self.hands.rows(), self.hands.nets()
        self.plant()
        if not self.planted:
            return []
        self.look()
        self.mend(rows, nets)
        return [f"damage {', '.join(each.name for each in self.planted)}: {what}" for what in self.wrong]

    def _is_sound(self) -> None:
        """Send every event once more, so that what was due is posted; what a row that is gone had told is left out."""
        for document in self.documents:
            try:
                self._send_first(document)
            except EventError:
                self.documents = tuple(each for each in self.documents if each is not document)

    def _for_who_comes_later(self) -> None:
        self.hands.place.add_credits(BESIDE, Decimal(1000))
        self.hands.touched.add(BESIDE)

    def _sealed_so_far(self) -> None:
        """Let all be sealed, or only what the first runs have sealed: what comes after is too new."""
        if self.chance.random() < 0.5:
            self.world.timeline.pass_by(1200.0)
            self.hands.seal()
            return
        if self.world.archive.takes_part:
            self._as_runs_without_an_archive()
        seals = self.hands.items("seals")
        count = int(self.chance.random() * (1 + max((int(item["number"]["N"]) for item in seals), default=0)))
        for item in seals:
            if int(item["number"]["N"]) > count:
                self.hands.client.delete_item(TableName=TABLES.seals, Key={name: item[name] for name in ("id", "number")})

    def _as_runs_without_an_archive(self) -> None:
        """Seal as the runs of a history would have that has no archive: what is tried here is a ledger of that kind."""
        now = self.hands.ledger.clock.now()
        for part in range(1, SEALS + 1):
            self.hands.seal(START + (now - START) * part / SEALS)

    # --- planting ---

    def plant(self) -> None:
        """Plant what fits together: what needs the same answer of a person, and is of different users."""
        spots = list(self.hands.spots())
        for name in self.kinds:
            kind = KINDS[name]
            others = [each.kind for each in self.planted]
            if any(other.is_single or kind.is_single or {None, kind.wrong} - {None} - {other.wrong} for other in others):
                continue
            target = kind.pick(self.hands, spots, self.chance)
            if target is None:
                continue
            before = set(self.hands.touched)
            kind.do(self.hands, target)
            self.planted.append(Planted(name, kind, frozenset(self.hands.touched - before - {""})))
            self.world.count[f"damage {name}"] += 1

    # --- looking ---

    def look(self) -> None:
        """Each is noticed by the run and named by ``--verify`` where the table says so, and no innocent is."""
        seen, verified = self._seen(), self.hands.verify()
        found = {fault.reference for fault in seen.faults} | {drift.user for drift in seen.drifts}
        named = {deviation.reference for deviation in verified.open if deviation.reference}
        seals = any(deviation.damage is Damage.SEAL for deviation in verified.open)
        for each in self.planted:
            is_noticed = bool(found & each.touched) or (each.kind.is_single and seen.came_or_went != 0)
            is_named = bool(named & each.touched) or (each.name.startswith("seals") and seals)
            self._expect("is noticed by the run", is_noticed, each.kind.noticed, each)
            self._expect("is named by --verify", is_named, each.kind.named, each)
        innocent = (found | named) - self.hands.touched
        if innocent:
            self.wrong.append(f"innocents are named: {sorted(innocent)}: {seen.drifts} {seen.faults} {verified.open}")
        if seen.came_or_went and not any(each.kind.is_single for each in self.planted):
            self.wrong.append(f"{seen.came_or_went} entries are said to have come or gone")

    def _seen(self) -> Audit:
        """Audit as a scheduled run does, and seal nothing more."""
        store, deadline = self.hands.ledger.audits(), self.hands.ledger.clock.deadline(600)
        return audit(self.hands.ledger, deadline, sealer=Sealer(store, LONG_AGO, deadline))

    def _expect(self, what: str, found: object, expected: object, each: Planted) -> None:
        is_better = found is True and expected is False and what in BETTER
        if found != expected and (self.is_exact or not is_better):
            self.wrong.append(f"{each.name} ({', '.join(sorted(each.touched))}) {what}: {found}; the table says {expected}")

    # --- repairing ---

    def mend(self, rows: dict[str, Any], nets: dict[str, Decimal]) -> None:
        """Repair, killed before or not, what a rehearsal shows; twice is once. Then all events come again."""
        before = self.hands.items("ledger")
        wrong = next((each.kind.wrong for each in self.planted if each.kind.wrong), None)
        if self.chance.random() < 0.5:
            self._disturbed(wrong)
        done = self._repaired(wrong, is_shown=True)
        again = self._repaired(wrong)
        if again.corrections:
            self.wrong.append(f"a second repair corrects {again.corrections}")
        after = self.hands.items("ledger")
        if [item for item in before if item not in after]:
            self.wrong.append("a repair has changed or removed an entry")
        is_good = all(each.kind.mended in {Mended.RIGHT, Mended.BALANCES} for each in self.planted)
        if is_good:
            self._expect_clean(done)
        corrected = [item["reference"]["S"] for item in after if item not in before and item["source"]["S"] == "repair"]
        self.send_again(is_good=all(each.kind.mended is Mended.RIGHT for each in self.planted))
        self._compare(rows, nets, corrected)

    def _repaired(self, wrong: Wrong | None, ledger: DynamoStore | None = None, *, is_shown: bool = False) -> Repair:
        ledger = ledger or self.hands.ledger
        return repair_everybody(ledger, "found by the judge", wrong, ledger.clock.deadline(6000), is_shown=is_shown)

    def _disturbed(self, wrong: Wrong | None) -> None:
        """Repair with faults and kills, while another user buys credits."""
        self.world.count["repair of damage that was disturbed"] += 1
        for number in range(4):
            crew = Crew(self.chance)
            caller = Caller(Dice(self.chance, KILLED_AT / (number + 1), count=self.world.count), crew, self.world.timeline)
            client: Any = FaultyClient(self.hands.place, caller)
            ledger = DynamoStore(client, TABLES, caller.clock())
            other = evolve(caller, dice=Dice(self.chance, 0.0))
            crew.run([self._until_killed(wrong, ledger), self._buying(other, number)])

    def _until_killed(self, wrong: Wrong | None, ledger: DynamoStore) -> Callable[[], None]:
        def run() -> None:
            with contextlib.suppress(Killed, LedgerError, RepairRefused):
                self._repaired(wrong, ledger)

        return run

    def _buying(self, caller: Caller, number: int) -> Callable[[], None]:
        client: Any = FaultyClient(self.hands.place, caller)
        detail = {"purchaseId": f"late-{number}", "userId": BESIDE, "credits": "2"}
        event = {"id": f"e-late-{number}", "source": "app", "detail-type": "purchased", "time": "2026-01-05T06:00:00Z"}
        reconciler = self.reconciler(DynamoStore(client, TABLES, caller.clock()), self.world.policy)
        return lambda: self._send(reconciler, {**event, "detail": detail})

    def _expect_clean(self, done: Repair) -> None:
        seen, verified = self._seen(), self.hands.verify()
        if not done.after.is_clean or done.left or verified.open or not seen.is_clean:
            said = (done.left, done.after.drifts, done.after.faults, verified.open, seen.came_or_went)
            self.wrong.append(f"after the repair it is not clean: {said}")

    def _compare(self, rows: dict[str, Any], nets: dict[str, Decimal], corrected: list[str]) -> None:
        now, now_nets = self.hands.rows(), self.hands.nets()
        innocent = [name for name in rows if name not in self.hands.touched and now.get(name) != rows[name]]
        innocent += [name for name in nets if name not in self.hands.touched and now_nets.get(name) != nets[name]]
        if innocent:
            self.wrong.append(f"a repair has moved innocents: {innocent}")
        for each in self.planted:
            users = {name for name in each.touched if "#" not in name}
            logs = each.touched - users
            are_same = all(now.get(user, NOTHING) == rows.get(user, NOTHING) for user in users)
            nets_are_same = all(now_nets.get(log, 0) == nets.get(log, 0) for log in logs)
            self._expect_mended(each, are_same, nets_are_same, corrected)

    def _expect_mended(self, each: Planted, are_same: bool, nets_are_same: bool, corrected: list[str]) -> None:  # noqa: FBT001
        mended = each.kind.mended
        if mended in {Mended.RIGHT, Mended.BALANCES}:
            self._expect("leaves the balances as before", are_same, expected=True, each=each)
        if mended is Mended.RIGHT:
            self._expect("leaves the logs as before", nets_are_same, expected=True, each=each)
        if mended in {Mended.NOT, Mended.LEFT}:
            self._expect("is corrected", bool(each.touched.intersection(corrected)), expected=False, each=each)
        if mended is Mended.WRONG:
            self._expect("is put right", are_same and nets_are_same, expected=False, each=each)

    # --- events that are sent again ---

    def send_again(self, *, is_good: bool = True) -> None:
        """Send every event again, each under the policy that has priced it first; what is damaged may refuse some.

        An event that told nothing new comes last: no entry says which policy priced what it tells.
        """
        for document in sorted(self.documents, key=lambda each: each["id"] not in self.policies):
            try:
                self._send_first(document)
            except Exception as error:
                if is_good:
                    self.wrong.append(f"sent again, {document['id']} raises {type(error).__name__}: {error}")
                elif not isinstance(error, EventError | KeyError | ValueError):
                    raise

    def _send_first(self, document: Document) -> None:
        policy = self.policies.get(document["id"], self.world.policy)
        self._send(self.reconciler(self.hands.ledger, policy), document)

    def _send(self, reconciler: Reconciler, document: Document) -> None:
        reconciler.event(document, Source.REPLAY, reconciler.clock.deadline(30))

    def reconciler(self, ledger: DynamoStore, policy: Policy) -> Reconciler:
        """Return what reconciles events on a store by a policy."""
        return Reconciler(policy, ledger, Counting(self.world.count, ledger.clock), ledger.clock)


def chance_of(plan: Plan) -> Random:
    """Return the chance that the damage of a history is drawn from."""
    return Random(f"damage {plan.seed}")


def is_planted(chance: Random) -> bool:
    """Say whether there is any damage, which is drawn first."""
    return chance.random() < SHARE


def damaged(world: World, kinds: tuple[str, ...] | None = None) -> list[str]:
    """Plant damage in the tables of a history that is over, in a share of the histories or as ``kinds`` say."""
    chance = chance_of(world.plan)
    is_exact = kinds is not None
    if kinds is None:
        if not is_planted(chance):
            return []
        kinds = tuple(chance.sample(list(KINDS), chance.choice((4, 8, 16))))
    before = world.timeline.steady
    try:
        return Aftermath(world, chance, kinds, is_exact).play()
    except Exception as error:  # noqa: BLE001  whatever breaks is wrong with this history, and the others go on
        return [f"damage: {type(error).__name__}: {error}"]
    finally:
        world.timeline.steady = before
