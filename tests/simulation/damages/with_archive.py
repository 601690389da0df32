"""The audit against the archive, as each scheduled run does it, and repairs by plan, as a person makes and applies them."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from attrs import Factory, define

from engine.audit.archived.audit import audit_archive
from engine.audit.archived.seen import Archive, ArchiveAudit
from engine.audit.differences import Kind
from engine.audit.repair import Wrong
from engine.audit.repairs.applied import KIND, AppliedPlans, keep
from engine.audit.repairs.applying import RepairRun, State
from engine.audit.repairs.plan import RepairPlan, Wish, plan_repair
from engine.ledger.archive.records import Records
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.stream import Record
from engine.reconcile.plan_file import PlanFile
from tests.simulation.damages.keepers import REASON, Mended, Seen, Word
from tests.simulation.damages.stage import Stage
from tests.simulation.world.damage import Key, key_of
from tests.simulation.world.place import NEVER

ROUNDS_MAX = 4
"""So often a person looks again: a balance waits until the entries are in order."""

SETTLED = 61.0
"""What is younger than a minute is no finding."""

ADDRESSES = {"credits": "arn:credits", "ledger": "arn:ledger"}


@define(eq=False)
class WithArchive:
    """Looks and puts right against the archive."""

    seen: set[Key] = Factory(set)

    def look(self, stage: Stage, *, whole: bool = False) -> Seen:
        """Audit as a scheduled run does, and keep a checkpoint; the ``whole`` is audited once a week."""
        try:
            found = audited(stage, stage.ledger, writes=True, whole=whole)
        except Exception as error:  # noqa: BLE001  whatever it is, the run has seen nothing
            return Seen(stopped=f"{type(error).__name__}: {error}")
        self.seen = {key_of(item) for item in stage.items("ledger") if item["sequence"]["N"].isdecimal()}
        names = {name for each in found.differences for name in each.users}
        names |= {each.reference for each in found.differences if each.reference and each.kind is not Kind.DRIFT}
        is_of_archive = bool(found.counts[Kind.ARCHIVE])
        return Seen(frozenset(names), frozenset(names), of_archive=is_of_archive)

    def known(self, _stage: Stage) -> set[Key]:
        """Return what was there when it looked."""
        return self.seen

    def mend(self, stage: Stage, word: Word, ledger: DynamoStore | None = None) -> Mended:
        """Plan and apply, of one user after the other, until nothing more can be done."""
        try:
            return self._mend(stage, word, ledger or stage.ledger)
        except Exception as error:  # noqa: BLE001  whatever it is, nothing was put right
            return Mended(stopped=f"{type(error).__name__}: {error}")

    def _mend(self, stage: Stage, word: Word, ledger: DynamoStore) -> Mended:
        written, left = 0, dict[str, None]()
        for _ in range(ROUNDS_MAX):
            now, left = 0, {}
            found = audited(stage, ledger, writes=False)
            for user in sorted({*(user for each in found.differences for user in each.users), *forged_users(stage, word)}):
                plan = planned(stage, ledger, user, word)
                now += applied(stage, ledger, plan) if plan.steps else 0
                left |= dict.fromkeys(plan.left)
            written += now
            if not now:
                break
            stage.pass_by(SETTLED)
        return Mended(written, tuple(left))


def audited(stage: Stage, ledger: DynamoStore, *, writes: bool, whole: bool = False) -> ArchiveAudit:
    """Audit from the last checkpoint on, or all of it."""
    archive = Archive(stage.bucket, Record.read, stage.heads.head(NEVER))
    deadline = ledger.clock.deadline(600)
    plans = AppliedPlans(stage.bucket, deadline)
    store = ledger.audits()
    return audit_archive(archive, store, deadline, plans.believes, undoes=plans.undoes, writes=writes, whole=whole)


def planned(stage: Stage, ledger: DynamoStore, user: str, word: Word) -> RepairPlan:
    """Plan a repair of one user."""
    wrong = Wrong.BALANCE if word.wrong is Wrong.ENTRIES else word.wrong
    wish = Wish(user, REASON, "ann", ledger.clock.now(), ADDRESSES, _keys(word.forged), wrong, _keys(word.posted))
    deadline = ledger.clock.deadline(6000)
    records = Records(stage.bucket, stage.heads.head(NEVER), Record.read, deadline)
    return plan_repair(wish, ledger.audits(), records, AppliedPlans(stage.bucket, deadline).believes, deadline)


def _keys(said: Collection[tuple[str, str]]) -> frozenset[tuple[str, int]]:
    return frozenset((reference, int(sequence)) for reference, sequence in said if sequence.isdecimal())


def applied(stage: Stage, ledger: DynamoStore, plan: RepairPlan) -> int:
    """Apply a plan by its file, which is kept before; return how many logs were put right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.jsonl"
        digest = plan.write(path)
        keep(stage.bucket, path.read_bytes(), digest, NEVER)
        done = RepairRun(PlanFile.open(path, KIND), ledger.audits(), "ben", ledger.clock.deadline(6000)).apply()
    return done.count(State.DONE)


def forged_users(stage: Stage, word: Word) -> Iterator[str]:
    """Yield whose the entries are that a person calls forged."""
    for item in stage.items("ledger"):
        if (item["reference"]["S"], item["sequence"]["N"]) in word.forged and "S" in item.get("userId", {}):
            yield item["userId"]["S"]
