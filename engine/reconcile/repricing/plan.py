"""A plan: what each kept charge costs under another policy, worked out from the ledger alone. Nothing is posted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import Factory, define, field, frozen

from engine.domain.decision import Standing
from engine.domain.entry import Correction, Entry
from engine.domain.errors import CorrectionError
from engine.domain.instants import instant_text
from engine.domain.log import log_of
from engine.domain.money import EXACT, ZERO
from engine.domain.references import JOB
from engine.ledger.store import Store, StoredEntry
from engine.ledger.stored import NO_ENTRY, entry_of
from engine.policy.model import Policy
from engine.rating.correct import correct
from engine.rating.reprice import RULE, Repricer, word_of
from engine.rating.which_rule import Unpriced
from engine.reconcile.plan_file import text_of, write
from engine.reconcile.repricing.job_line import JobLine
from engine.reconcile.repricing.spill import Figures, Spill
from engine.reconcile.repricing.sums import Groups, Reasons, Sum, Users
from engine.reconcile.repricing.which_jobs import Filters
from engine.runtime.clock import Deadline

NOT_NEEDED = frozenset({"price", "quantity", "anomalies", "samples", "signs", "correction", "resolution", "explanation"})
"""What of an entry is not kept on disk while a plan is made."""

BALANCE_SECONDS = 60.0
"""How long one user's balance is waited for."""

SPARED = "its user's balance does not cover what the plan takes (--spare-users)"


@frozen
class Wish:
    """What a person wants: the jobs that ``filters`` take at the prices of ``policy``, and who says so, why and when.

    ``tables`` is what tells this ledger from another.
    """

    policy: Policy
    reason: str
    by: str
    at: datetime
    tables: Mapping[str, str]
    filters: Filters = field(factory=Filters)
    spare_users: bool = False


@define(eq=False)
class Planning:
    """The making of one plan."""

    wish: Wish
    store: Store
    deadline: Deadline
    spill: Spill
    done: Callable[[int], None]
    """Is told how many entries were read."""
    reasons: Reasons = Factory(Reasons)
    total: Sum = Factory(Sum)
    models: Groups = Factory(Groups)
    days: Groups = Factory(Groups)
    users: Users = Factory(Users)
    read: int = 0

    def header(self) -> dict[str, Any]:
        """Read the ledger, and return what stands at the head of the plan; its lines are in the spill then."""
        self.spill.keep_entries(self._entries())
        repricer = Repricer(self.wish.policy)
        for log in self.spill.logs():
            self._plan(log, repricer)
        self._look_at_balances()
        for reference, user in self.spill.spared():
            self._leave_out(reference, user, SPARED)
        for user, jobs in self.spill.users():
            self.users.add(user, map(self._count, jobs))
        return self._header()

    def _entries(self) -> Iterator[StoredEntry]:
        for entry in self.store.logs().entries(self.deadline):
            self.read += 1
            self.done(self.read)
            if str(entry["reference"]).startswith(JOB):
                yield {name: value for name, value in entry.items() if name not in NOT_NEEDED}

    def _plan(self, stored: list[StoredEntry], repricer: Repricer) -> None:
        reference, user = str(stored[0]["reference"]), str(stored[0].get("userId", ""))
        try:
            line = self._line(reference, entries_of(stored), repricer)
        except (Unpriced, CorrectionError) as problem:
            self._leave_out(reference, user, _plainly(problem, reference))
            return
        if line is not None:
            job = (line.user, reference, line.counting.model, line.day, line.before, line.after, line.difference)
            self.spill.keep_job(Figures(*job), text_of(line.answer()))

    def _line(self, reference: str, entries: list[Entry], repricer: Repricer) -> JobLine | None:
        log = log_of(entries)
        if not self.wish.filters.takes(log.facts):
            return None
        changes = tuple(repricer.job(entries, log.facts))
        if not any(each.is_changed for each in changes):
            return None
        said = Correction(self.wish.reason, self.wish.by)
        word = word_of(reference, log, changes, self.wish.at, said)
        entry = correct(word, log, Standing.ASSUMED_COVERED, self.wish.policy).entry
        after, difference = (entry.cost, entry.amount) if entry is not None else (log.cost, ZERO)
        job, user = reference.removeprefix(JOB), log.user or ""
        return JobLine(job, user, log.sequence, log.posted, log.cost, after, difference, changes, log.held)

    def _leave_out(self, reference: str, user: str, why: str) -> None:
        job = reference.removeprefix(JOB)
        self.reasons.add(why, job)
        self.spill.leave_out(reference, text_of({"leftOut": job, "user": user, "why": why}))

    def _look_at_balances(self) -> None:
        """Look at the balance of each user from whom the plan takes something, together with what it gives."""
        for user, jobs in self.spill.users():
            total = _sum(job.difference for job in jobs)
            if total >= ZERO:
                continue
            row = self.store.balance(user, self.deadline.sooner(BALANCE_SECONDS)) or {}
            remaining = row.get("remaining")
            has = Decimal(remaining) if isinstance(remaining, int | Decimal) else None
            if EXACT.add(has or ZERO, total) < ZERO:
                self.users.goes_below_zero(user, has, total)
                if self.wish.spare_users:
                    self.spill.spare(user)

    def _count(self, job: Figures) -> Decimal:
        for each in (self.total, self.models.of(job.model), self.days.of(job.day)):
            each.add(job.before, job.after, job.difference)
        return job.difference

    def _header(self) -> dict[str, Any]:
        wish = self.wish
        return {
            "plan": RULE,
            "policy": {"name": wish.policy.name, "digest": wish.policy.digest},
            "tables": dict(wish.tables),
            "reason": wish.reason,
            "by": wish.by,
            "at": instant_text(wish.at),
            "filters": wish.filters.answer(),
            "spareUsers": wish.spare_users,
            "entriesRead": self.read,
            "total": self.total.answer(),
            "byModel": self.models.answer(),
            "byDay": self.days.answer(),
            **self.users.answer(),
            "leftOut": self.reasons.answer(),
        }


def entries_of(stored: list[StoredEntry]) -> list[Entry]:
    """Return the entries of a log. Raises Unpriced where one of them is none of this system."""
    entries = []
    for each in stored:
        try:
            entries.append(entry_of(each))
        except NO_ENTRY as error:
            raise Unpriced(f"entry {each['sequence']} is no entry of this system") from error
    return entries


def make_plan(
    wish: Wish, store: Store, file: Path, deadline: Deadline, done: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Write the plan of what a person wants into a file, and return its head with its digest.

    What is not worked on at the moment is kept on disk, so that a ledger may have any size.
    """
    with Spill() as spill:
        header = Planning(wish, store, deadline, spill, done).header()

        def lines() -> Iterator[str]:
            yield from spill.lines()
            yield from spill.left_out()

        return {**header, "sha256": write(file, header, lines())}


def _sum(amounts: Iterator[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def _plainly(problem: Exception, reference: str) -> str:
    """Return why a job is left out, without its name: many may share the reason."""
    return str(problem).removeprefix(f"{reference} ")
