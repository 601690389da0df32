"""A repair of one user, planned against the archive: into a file that a person looks at. Nothing is written to the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from engine.audit.balances import BalanceKeeper
from engine.audit.books import Drift
from engine.audit.repairer import Wrong, left_of
from engine.audit.repairs.applied import KIND
from engine.audit.repairs.gather import Archive, Gathered
from engine.audit.repairs.ids import against_ids
from engine.audit.repairs.planning import Drafts, drafts
from engine.audit.repairs.row import BalanceDraft, RowDraft, RowStep
from engine.audit.repairs.steps import Step, step_of
from engine.audit.repairs.suspects import Believes
from engine.domain.instants import instant_text
from engine.domain.references import REPAIR
from engine.ledger.audits import AuditStore, Credit
from engine.ledger.moved import Moved, sum_of
from engine.ledger.stored import EntryKey
from engine.reconcile.plan_file import text_of, write
from engine.runtime.clock import Deadline


@frozen
class Wish:
    """What a person wants: the findings of ``user`` put right, and who says so, why and when.

    ``forged`` are entries that the person says were put there, ``posted`` those in doubt that were not; ``wrong`` is what is
    wrong where the row disagrees with entries that are in order. ``tables`` is what tells this ledger from another.
    """

    user: str
    reason: str
    by: str
    at: datetime
    tables: Mapping[str, str]
    forged: AbstractSet[EntryKey] = frozenset()
    wrong: Wrong | None = None
    posted: AbstractSet[EntryKey] = frozenset()


@frozen
class RepairPlan:
    """What a repair would do, and what is ``left`` to a person."""

    wish: Wish
    steps: tuple[Step | RowStep, ...]
    left: tuple[str, ...]

    def total(self) -> dict[str, Any]:
        """Return how much it is."""
        logs = [step for step in self.steps if isinstance(step, Step)]
        corrections = [each for step in logs for each in step.corrections]
        corrections += [step.correction for step in self.steps if isinstance(step, RowStep)]
        moved = sum_of(each.moves for each in corrections)
        put_back = sum(len(step.put_back) for step in logs)
        return {"logs": len(self.steps), "putBack": put_back, "corrections": len(corrections), **moved.answer("moved")}

    def header(self) -> dict[str, Any]:
        """Return what stands at the head of its file."""
        wish = self.wish
        said = {"plan": KIND, "user": wish.user, "tables": dict(wish.tables), "reason": wish.reason, "by": wish.by}
        chosen = {"wrong": wish.wrong.value if wish.wrong else None, "forged": [list(key) for key in sorted(wish.forged)]}
        if wish.posted:
            chosen["posted"] = [list(key) for key in sorted(wish.posted)]
        return {**said, "at": instant_text(wish.at), **chosen, "total": self.total(), "left": list(self.left)}

    def write(self, path: Path) -> str:
        """Write it into a file, and return its digest."""
        return write(path, self.header(), (text_of(step.answer()) for step in self.steps))


def plan_repair(wish: Wish, store: AuditStore, archive: Archive, believes: Believes, deadline: Deadline) -> RepairPlan:
    """Return what puts right what is found of a user, and of all logs that name the user."""
    read = Gathered(store, archive, wish.user, {*wish.forged, *wish.posted}, believes, deadline)
    said = frozenset({wish.user} if wish.wrong not in {None, Wrong.ENTRIES} else ())
    against = against_ids(read.histories, store, believes, deadline)
    forged, posted = frozenset(wish.forged), frozenset(wish.posted)
    found = drafts(read.histories, read.books, believes, forged, posted=posted, said=said, against=against)
    steps = tuple(step_of(each, each.corrections(wish.at, wish.reason), store) for each in found.drafts)
    row, left = _row(wish, store, read, found, deadline)
    return RepairPlan(wish, (*row, *steps), (*found.left, *left))


def _row(wish: Wish, store: AuditStore, read: Gathered, found: Drafts, deadline: Deadline) -> tuple[list[RowStep], list[str]]:
    """Return what is done to the row, and what is left to say. It waits until every log that names its user is in order.

    Where it says no number it comes first: no log that moves the balance can be put right before.
    """
    verdict, row = found.gaps[wish.user], store.credit(wish.user, deadline)
    gap = verdict.gap
    if row.says is not None and not gap:
        return _balance(wish, store, row, found, deadline)
    if wish.user in found.unsettled if row.says is not None else not verdict.is_clear:
        return [], [f"{wish.user}: its balance waits until the entries above are in order"]
    ledger = row.says - gap if row.says is not None else verdict.innocent
    may_be_said = wish.wrong is not None and (wish.wrong is not Wrong.ENTRIES or row.says is not None)
    if not may_be_said or wish.wrong is None:
        problem = f"{wish.user}: {Drift.of(ledger, row).problem}; only a person can say what is wrong"
        return [], [problem, *_proposals(read, wish.user, gap)]
    log = store.log(f"{REPAIR}{wish.user}", deadline)
    return [RowDraft(row, ledger, log).step(store, wish.wrong, wish.at, wish.reason)], []


def _balance(wish: Wish, store: AuditStore, row: Credit, found: Drafts, deadline: Deadline) -> tuple[list[RowStep], list[str]]:
    """Return what is done to a balance that does not follow although its entries do, and what is left to say of it."""
    drift = BalanceKeeper(store, wish.at, deadline).drift_of(row)
    if drift is None:
        return [], []
    if wish.user in found.unsettled:
        return [], [f"{wish.user}: its balance waits until the entries above are in order"]
    if drift.by is None or wish.wrong is not Wrong.BALANCE:
        return [], [f"{drift.problem}; {left_of(drift, wish.wrong)}"]
    log = store.log(f"{REPAIR}{wish.user}", deadline)
    return [BalanceDraft(row, drift, log).step(store, wish.at, wish.reason)], []


def _proposals(read: Gathered, user: str, gap: Moved) -> Iterator[str]:
    """Yield which single entry would explain a difference, were it forged: no more than a few, or it says nothing."""
    fitting = [key for key, moves in read.books[user].entries if gap and moves == -gap]
    if len(fitting) == 1:
        reference, sequence = fitting[0]
        yield (
            f"{user}: {reference}, entry {sequence}, alone makes up that difference; if it is forged say"
            f" --forged {reference}/{sequence}"
        )
