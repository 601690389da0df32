"""The holds that are due: what the rows of their jobs say is told, and what is open still expires.

Each shard of the index is looked through from where a run before has come to, up to now. An entry is never changed, so that
the index shows every hold that was due by then; nearly all have ended, which the entry after each says, read a hundred at a
time. Whatever is done twice is known the second time: runs may overlap, and a run that dies loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import define, field, frozen

from engine.domain.entry import Entry
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, LedgerError, LedgerRefused, LedgerUnavailable
from engine.domain.fact import Hold
from engine.domain.fact_kinds import Action
from engine.domain.instants import posting_text
from engine.domain.log import JobLog
from engine.domain.references import job_of
from engine.ledger.holds import NEVER, DueHold
from engine.ledger.shapes import read_entry
from engine.ledger.store import StoredEntry
from engine.ledger.stored import HOLD_SHARDS
from engine.rating.expire import RULE, expiry_of
from engine.reconcile.catch_up import has_time
from engine.reconcile.job_rows import row_event
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.settle import EventProposal
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import HOLDS_LATE, Failure

OVERLAP = timedelta(minutes=30)
"""Each run looks again at what was due so long before: an entry is dated before it is posted, and the index trails."""

TRIED_FOR = timedelta(days=1)
"""So long a hold is tried that cannot be expired (its user has no row, say). Then no run goes back to it."""

type Answer = dict[str, Any]


def expire_holds(reconciler: Reconciler, deadline: Deadline) -> Answer:
    """Expire the holds that are due, as far as the time goes, and return what was done. The next run goes on from there.

    Never fails: what went wrong is told, and tried again.
    """
    run = ExpiryRun(reconciler, deadline, reconciler.clock.now())
    try:
        run.look()
    except Exception as error:  # noqa: BLE001  whatever it is, what the run has done stays told
        run.problem = f"{type(error).__name__}: {error}"
    _report(run)
    return {"holds": run.answer()}


def _report(run: ExpiryRun) -> None:
    """Without a rule that holds nobody misses an index that is not there: an earlier ledger may have none."""
    telemetry, holds = run.reconciler.telemetry, any(rule.action is Action.HOLD for rule in run.reconciler.policy.rules)
    is_wrong = run.problem is not None and (holds or run.seen > 0)
    metrics: dict[str, float] = {"HoldsDue": run.due, "HoldsExpired": run.expired}
    metrics |= {
        "HoldsOverdue": max(run.due - run.expired - run.by_row, int(is_wrong)),  # of a look that failed nobody knows how many
        HOLDS_LATE: run.late.total_seconds(),
        "ExpiriesUnfinished": int(is_wrong or not run.is_finished),
    }
    telemetry.noted("expired", run.answer(), metrics, is_wrong=is_wrong)


@frozen
class OpenHold:
    """A hold that is due and open, and the log that says so."""

    entry: DueHold
    job: str
    log: JobLog
    hold: Hold


@define(eq=False, repr=False)
class ExpiryRun:
    """One look at the holds that are due by ``now``. ``until`` is up to when each shard was looked through."""

    reconciler: Reconciler
    deadline: Deadline
    now: datetime
    until: dict[str, str] = field(factory=dict)
    seen: int = 0
    due: int = 0
    expired: int = 0
    by_row: int = 0
    errors: int = 0
    late: timedelta = timedelta(0)
    """How long the oldest of those that have expired was overdue."""
    is_finished: bool = True
    problem: str | None = None

    def answer(self) -> Answer:
        """Return what was done."""
        counts = {name: getattr(self, name) for name in ("seen", "due", "expired", "errors")}
        problem = {"problem": self.problem} if self.problem is not None else {}
        return {**counts, "byRow": self.by_row, "finished": self.is_finished and self.problem is None, **problem}

    def look(self) -> None:
        """Look through all shards, the one that is furthest behind first. Raises LedgerError."""
        self.until = dict(self.reconciler.ledger.holds().looked_until(self.deadline))
        for shard in sorted(HOLD_SHARDS, key=lambda shard: self.until.get(shard, NEVER)):
            if not self._look_through(shard):
                self.is_finished = False
                return
        self._keep()

    def _look_through(self, shard: str) -> bool:
        """Look through one shard, and say whether there was time for all of it."""
        since, untried = self.until.get(shard, NEVER), posting_text(self.now)
        for page in self.reconciler.ledger.holds().due(shard, since, posting_text(self.now), self.deadline):
            if not has_time(self.deadline):
                return False
            if page:
                untried = min([untried, *self._page(page)])
                self._advance(shard, min(untried, page[-1].due))
                self._keep()
        self._advance(shard, untried)
        return True

    def _advance(self, shard: str, to: str) -> None:
        rested = posting_text(self.now - OVERLAP)
        self.until[shard] = max(self.until.get(shard, NEVER), min(rested, to))

    def _keep(self) -> None:
        self.reconciler.ledger.holds().look_until(self.until, self.deadline)

    def _page(self, page: Sequence[DueHold]) -> list[str]:
        """Expire what is open of a page, and return from when on holds have to be tried once more."""
        self.seen += len(page)
        found, failed = self._open(page)
        self.due += len(found) + len(failed)
        told = self._tell_rows(found)
        failed += [each.entry.due for each in found if not self._expire(each, is_told=each.job in told)]
        return [max(due, posting_text(self.now - TRIED_FOR)) for due in failed]

    # --- which of them are open ---

    def _open(self, page: Sequence[DueHold]) -> tuple[list[OpenHold], list[str]]:
        """Return the holds of a page that are open, and when those are due whose log is none to expire them in."""
        following = self.reconciler.ledger.logs().entries_at([hold.next_entry for hold in page], self.deadline)
        logs = {hold.reference: hold for hold in page if not _is_end(following.get(hold.next_entry))}
        found, refused = list[OpenHold](), list[str]()
        for entry in logs.values():
            try:
                log = self.reconciler.ledger.read(entry.reference, self.deadline)
                if (hold := self._due(log)) is not None:
                    found.append(OpenHold(entry, _job(entry), log, hold))
            except LedgerRefused as error:
                self._failed(f"of the hold of {entry.reference}", error)
                refused.append(entry.due)
        return found, refused

    def _due(self, log: JobLog) -> Hold | None:
        hold = log.facts.hold
        return hold if hold is not None and hold.expires_at <= self.now else None

    # --- what their rows say ---

    def _tell_rows(self, found: Sequence[OpenHold]) -> set[str]:
        """Tell what the rows of jobs say, and return of which there was something to tell."""
        envelopes = dict(self._events_of_rows([each.job for each in found]))
        results = self.reconciler.many(list(envelopes.values()), self.deadline) if envelopes else ()
        for result in results:
            if isinstance(result, LedgerUnavailable):
                raise result
            self.errors += isinstance(result, Exception)
        return set(envelopes)

    def _events_of_rows(self, jobs: Sequence[str]) -> Iterator[tuple[str, Envelope]]:
        policy = self.reconciler.policy
        attributes = None if policy.row_attributes is None else policy.row_attributes | {"status"}
        rows = self.reconciler.ledger.job_rows(jobs, attributes, self.deadline) if jobs else {}
        for job, row in rows.items():
            if isinstance(row, LedgerError):
                raise row
            try:
                envelope = row_event(policy, row, posting_text(self.now))
            except EventError as error:
                self._failed(error.event, error)
                continue
            if envelope is not None:
                yield job, envelope

    # --- the rest expires ---

    def _expire(self, found: OpenHold, *, is_told: bool) -> bool:
        """Expire a hold that is open still, and say whether it need not be tried again."""
        try:
            log = self.reconciler.ledger.read(found.entry.reference, self.deadline) if is_told else found.log
            if (hold := self._due(log)) is None:
                self.by_row += 1
            else:
                self._tell_expiry(found.job, log, hold)
        except (EventError, LedgerRefused) as error:
            self._failed(f"of the hold of {found.entry.reference}", error)
            return False
        return True

    def _tell_expiry(self, job: str, log: JobLog, hold: Hold) -> None:
        """Raises EventError or LedgerError."""
        reconciler, started = self.reconciler, self.reconciler.clock.steady()
        assessment = expiry_of(hold, job, log.user or "", self.now)
        proposal = EventProposal(assessment, reconciler.policy, reconciler.ledger, log, reconciler.tracer)
        report = reconciler.settle(proposal, self.deadline)
        milliseconds = round((reconciler.clock.steady() - started) * 1000, 3)
        reconciler.tell(report.told(Envelope({"id": f"{RULE} of {job}"}, Source.SCAN), milliseconds), self.deadline)
        if report.entry is not None:
            self.expired += 1
            self.late = max(self.late, self.now - hold.expires_at)

    def _failed(self, event: str, error: Exception) -> None:
        self.errors += 1
        self.reconciler.telemetry.failed(Failure(Envelope({"id": event}, Source.SCAN), error, 0.0))


def _job(entry: DueHold) -> str:
    """Return the job of a hold. Only jobs have holds: one elsewhere is a hand's, and would be released into another log."""
    if (job := job_of(entry.reference)) is None:
        problem = f"{entry.reference}, entry {entry.sequence}: holds credits for no job; it has to be removed"
        raise LedgerRefused(problem, is_of_an_item=True)
    return job


def _is_end(following: StoredEntry | None) -> bool:
    """Say whether the entry after a hold says that no hold is open. What is no entry says nothing."""
    entry = read_entry(following) if following is not None else None
    return isinstance(entry, Entry) and entry.facts.hold is None
