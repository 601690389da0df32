"""A plan, posted: exactly what its file says, each job once, whoever else is at work and however often it is begun again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import batched
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from engine.domain.decision import Decision, Outcome, Standing
from engine.domain.entry import Correction
from engine.domain.errors import CorrectionError, LedgerRefused, shown
from engine.domain.log import NO_ENTRIES, JobLog
from engine.domain.money import EXACT, ZERO
from engine.ledger.store import BATCHED_GUARDS, Posting, Receipt, Store, StoredEntry, Verdict
from engine.ledger.stored import NO_ENTRY, EntryKey, UnreadableLogError, correction_in, log_of_stored
from engine.policy.model import Overdraft, Policy
from engine.rating.correct import correct
from engine.rating.reprice import word_of
from engine.reconcile.plan_file import PlanFile, PlanFileError
from engine.reconcile.repricing.job_line import JobLine, changed_since, job_line
from engine.reconcile.settle import settle
from engine.runtime.clock import Deadline

TOGETHER = 50
"""So many jobs are looked at and posted together: with two entries of each they fill a request."""

JOB_SECONDS = 60.0
"""How long one job, or one request of many, is tried before the run ends. The next one goes on."""

SHOWN_MAX = 1000
"""So many jobs that were left alone are named; all are counted."""


class State(StrEnum):
    """How a job stands to the plan."""

    DUE = "due"
    POSTED_BEFORE = "posted-before"
    """An earlier run of this plan has posted it."""
    CHANGED = "changed"
    """One of its kept charges is no longer as the plan saw it."""


@frozen
class Seen:
    """A job of the plan, and its log as it stands now."""

    line: JobLine
    state: State
    log: JobLog = NO_ENTRIES
    moved: Decimal = ZERO
    """What an earlier run has posted."""
    why: str = ""


@define
class Done:
    """What a run did, and what it left alone."""

    jobs: int = 0
    posted: int = 0
    posted_before: int = 0
    credits: Decimal = ZERO
    """What this run has posted, and the earlier ones of this plan: signed from the users' side."""
    otherwise: int = 0
    """Jobs that came to another difference than planned: something was told of them since."""
    changed: int = 0
    refused: int = 0
    left: int = 0
    """Jobs behind the bound, and those that were not begun."""
    alone: list[dict[str, str]] = Factory(list)

    def leave(self, line: JobLine, what: str, why: str) -> None:
        """Name a job that is left alone."""
        if len(self.alone) < SHOWN_MAX:
            self.alone.append({"job": line.job, "user": line.user, "what": what, "why": why})

    @property
    def is_whole(self) -> bool:
        """Whether every job of the plan is posted."""
        return self.posted + self.posted_before == self.jobs


@define(eq=False)
class Applying:
    """One run of a plan. ``by`` is who posts it."""

    plan: PlanFile
    policy: Policy
    store: Store
    by: str
    deadline: Deadline
    done: Done = Factory(Done)
    said: Correction = field(init=False)
    at: datetime = field(init=False)

    @said.default
    def _said(self) -> Correction:
        return Correction(str(self.plan.header["reason"]), self.by, plan=self.plan.digest)

    @at.default
    def _at(self) -> datetime:
        return datetime.fromisoformat(self.plan.header["at"])

    def __attrs_post_init__(self) -> None:
        if self.plan.header.get("spareUsers"):
            self.policy = evolve(self.policy, overdraft=Overdraft.REFUSE)

    # --- looking ---

    def check(self, told: Callable[[int], None] = lambda _: None) -> Done:
        """Return how every job of the plan stands now, as if what is due had been posted. Nothing is."""
        checked = Done()
        for some in self._batches():
            for seen in self._look(some):
                self._count(checked, seen)
                if seen.state is State.DUE:
                    self._count_decision(checked, seen.line, self.decided(seen))
            told(checked.jobs)
        return checked

    def _batches(self) -> Iterator[tuple[JobLine, ...]]:
        yield from batched((self._job(line) for line in self.plan.lines() if "job" in line), TOGETHER)

    def _job(self, line: Mapping[str, Any]) -> JobLine:
        try:
            return job_line(line, self.policy.identity)
        except NO_ENTRY as error:
            raise PlanFileError(f"{self.plan.path}: the line of job {shown(line['job'])} is none of a plan") from error

    def _look(self, lines: Sequence[JobLine]) -> list[Seen]:
        """Return how jobs stand. A log that has not moved is told by its last entry and the plan."""
        keys = [(line.reference, line.sequence + more) for line in lines for more in (0, 1)]
        found = self.store.logs().entries_at(keys, self._briefly())
        return [self._seen(line, found) for line in lines]

    def _seen(self, line: JobLine, found: Mapping[EntryKey, StoredEntry]) -> Seen:
        last, next_one = (found.get((line.reference, line.sequence + more)) for more in (0, 1))
        if next_one is not None and self._is_ours(next_one):
            return self._before(line, next_one)
        if next_one is not None or last is None:
            return self.look_again(line)
        return self._compared(line, [last], user=line.user, posted=line.posted, held=line.held)

    def look_again(self, line: JobLine) -> Seen:
        """Return how a job stands by its whole log."""
        stored = self.store.stored_entries_of(line.reference, self._briefly())
        ours = next(filter(self._is_ours, stored), None)
        return self._before(line, ours) if ours is not None else self._compared(line, stored)

    def _is_ours(self, stored: StoredEntry) -> bool:
        return correction_in(stored).get("plan") == self.plan.digest

    def _before(self, line: JobLine, ours: StoredEntry) -> Seen:
        return Seen(line, State.POSTED_BEFORE, moved=Decimal(ours["amount"]))

    def _compared(self, line: JobLine, stored: Sequence[StoredEntry], **known: Any) -> Seen:
        """Compare a job with its log; ``known`` is what these entries alone do not tell of it."""
        try:
            log = evolve(log_of_stored(stored), **known)
        except UnreadableLogError as error:
            return Seen(line, State.CHANGED, why=f"its log cannot be read: {error}")
        why = changed_since(line, log)
        return Seen(line, State.DUE, log) if why is None else Seen(line, State.CHANGED, log, why=why)

    def _count(self, done: Done, seen: Seen) -> None:
        done.jobs += 1
        if seen.state is State.POSTED_BEFORE:
            done.posted_before += 1
            done.credits = EXACT.add(done.credits, seen.moved)
            done.otherwise += seen.moved != seen.line.difference
        if seen.state is State.CHANGED:
            done.changed += 1
            done.leave(seen.line, "changed", seen.why)

    # --- posting ---

    def post(self, entries_max: int, told: Callable[[int], None] = lambda _: None) -> Done:
        """Post what is due, at most so many entries, and return what was done. Raises LedgerError; the next run goes on."""
        done = self.done
        for some in self._batches():
            room = entries_max - done.posted
            due = [seen for seen in self._look(some) if self._is_due(seen)]
            done.left += len(due[room:])
            done.jobs += len(due)
            self._post_all(due[:room])
            told(done.jobs)
        return done

    def _is_due(self, seen: Seen) -> bool:
        if seen.state is State.DUE:
            return True
        self._count(self.done, seen)
        return False

    def _post_all(self, due: Sequence[Seen]) -> None:
        """Post jobs together; those that cannot go with others by themselves, in their order."""
        decided = [(seen, self.decided(seen)) for seen in due]
        together = [(seen, decision) for seen, decision in decided if _goes_together(decision)]
        receipts = iter(self.store.post_all(map(_posting, together), self._briefly()))
        for seen, decision in decided:
            is_posted = _goes_together(decision) and next(receipts).verdict is Verdict.POSTED
            ended = decision if is_posted or isinstance(decision, CorrectionError) else self._alone(seen)
            self._count_ended(seen.line, ended)

    def decided(self, seen: Seen, standing: Standing = Standing.ASSUMED_COVERED) -> Decision | CorrectionError:
        """Return the decision on a job that is due; the error where it makes no sense of the job's log."""
        word = word_of(seen.line.reference, seen.log, seen.line.changes, self.at, self.said)
        try:
            return correct(word, seen.log, standing, self.policy)
        except CorrectionError as error:
            return error

    def _alone(self, seen: Seen) -> Decision | CorrectionError | Seen:
        proposal = JobProposal(self, seen)
        try:
            return settle(proposal, self.store, self._briefly())[0]
        except CorrectionError as error:
            return error
        except Overtaken as overtaken:
            return overtaken.seen
        except LedgerRefused as error:
            if not error.is_of_an_item:
                raise
            return CorrectionError(seen.line.reference, str(error))

    def _briefly(self) -> Deadline:
        return self.deadline.sooner(JOB_SECONDS)

    def _count_ended(self, line: JobLine, ended: Decision | CorrectionError | Seen) -> None:
        if isinstance(ended, Seen):
            self.done.jobs -= 1  # it is counted by its state
            self._count(self.done, ended)
        else:
            self._count_decision(self.done, line, ended)

    def _count_decision(self, done: Done, line: JobLine, ended: Decision | CorrectionError) -> None:
        if isinstance(ended, CorrectionError):
            done.refused += 1
            done.leave(line, "refused", str(ended).removeprefix(f"{line.reference} "))
        elif ended.outcome is Outcome.REFUSED:
            done.refused += 1
            done.leave(line, "refused", f"the balance of {line.user} does not cover it")
        else:
            amount = ended.entry.amount if ended.entry is not None else ZERO
            done.posted += 1
            done.credits = EXACT.add(done.credits, amount)
            done.otherwise += amount != line.difference


class Overtaken(Exception):
    """Something has been told of a job while it was posted, so that it is no longer due."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen.why)
        self.seen = seen


@define(eq=False)
class JobProposal:
    """A job of a plan that goes by itself. Each refusal lets its log be looked at again. A ``settle.Proposal``."""

    applying: Applying
    seen: Seen
    standing: Standing = Standing.ASSUMED_COVERED

    @property
    def reference(self) -> str:
        """The log."""
        return self.seen.line.reference

    def decide(self, _attempt: int, _deadline: Deadline) -> Decision:
        """Return what is to be posted. Raises CorrectionError, and Overtaken where the job is no longer due."""
        if self.seen.state is not State.DUE:
            raise Overtaken(self.seen)
        decided = self.applying.decided(self.seen, self.standing)
        if isinstance(decided, CorrectionError):
            raise decided
        return decided

    def learn(self, receipt: Receipt, _deadline: Deadline) -> None:
        """Take in what a refused posting has told."""
        self.standing = receipt.standing or self.standing
        if receipt.verdict is Verdict.SEQUENCE_TAKEN:
            self.seen, self.standing = self.applying.look_again(self.seen.line), Standing.ASSUMED_COVERED


def _goes_together(decision: Decision | CorrectionError) -> bool:
    return isinstance(decision, Decision) and decision.entry is not None and decision.guard in BATCHED_GUARDS


def _posting(decided: tuple[Seen, Any]) -> Posting:
    _, decision = decided
    return decision.entry, decision.guard, decision.mark
