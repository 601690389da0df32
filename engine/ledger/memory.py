"""The store in memory: the answers that the tables give, without a database.

Policies are previewed on it, and most tests run on it. Entries are immutable, and rows are handed out as copies, so that what
it keeps changes only by what is posted and marked. It serves one thread: nobody else is at work, so that no posting is ever
busy, and no answer is ever lost.
"""
# ruff: noqa: ARG002  the protocol hands over deadlines, and nothing waits here

from __future__ import annotations

import copy
from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import batched
from typing import TYPE_CHECKING, Any

from attrs import Factory, define

from engine.domain.anomaly import Excerpt, Sample
from engine.domain.decision import Guard
from engine.domain.documents import as_told
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Document
from engine.domain.errors import LedgerError, LedgerRefused
from engine.domain.job_row import Mark, most_frequent, status_name
from engine.domain.log import JobLog, log_of
from engine.domain.money import EXACT, ZERO
from engine.domain.references import spread
from engine.ledger.conditions import holds, is_settled, standing_of, takes
from engine.ledger.memory_logs import MemoryLogs, stored_row
from engine.ledger.store import Page, Posting, Receipt, ScanSlice, Verdict, packed
from engine.rating.baselines import Baselines
from engine.runtime.clock import Clock, Deadline

if TYPE_CHECKING:
    from engine.domain.adjustment import AdjustmentProposal
    from engine.ledger.corrections import CorrectionStore
    from engine.ledger.holds import HoldStore
    from engine.ledger.wanted import Wanted

type Row = dict[str, Any]
"""What a table holds of a user, a job or an entry: attributes by their names."""

type Kept = tuple[Entry, datetime]
"""An entry, and when it was posted."""

PAGE_ROWS = 1000
"""So many rows are one page."""

POSTED, HELD_UP, ALONE, NO_JOB_ROW = map(Receipt, (Verdict.POSTED, Verdict.HELD_UP, Verdict.ALONE, Verdict.NO_JOB_ROW))


@define
class MemoryStore:
    """Entries, the application's rows of users and jobs, and what the scheduled run keeps."""

    clock: Clock
    credits: dict[str, Row] = Factory(dict)
    """Rows by user: ``remaining``, the balance, and ``posted``, the sum of what was posted."""
    jobs: dict[str, Row] = Factory(dict)
    """Rows by job."""
    newcomers: Decimal | None = None
    """What a user has whose row is asked for the first time; None: a user without a row has none."""
    page_rows: int = PAGE_ROWS
    kept: dict[str, list[Kept]] = Factory(dict)
    """Entries by reference, in order of their sequence."""
    baselines: dict[str, Baselines] = Factory(dict)
    """By the name of their policy."""
    run: tuple[str, int] | None = None
    """The run that is under way, and how many entries it may still post."""
    last_day: str = ""
    proposals: dict[str, AdjustmentProposal] = Factory(dict)
    """Adjustments that wait for a second person, by their id."""
    looked_until: dict[str, str] = Factory(dict)
    """Up to when each shard of the holds was looked through."""

    # --- postings ---

    def post(self, entry: Entry, guard: Guard, mark: Mark | None, deadline: Deadline) -> Receipt:
        """Post an entry, its balance and its mark, all together or not at all. Raises LedgerRefused."""
        if (refusal := self._taken(entry)) is not None:
            return refusal
        is_asked, debit = guard is not Guard.NONE, entry.amount.copy_negate()
        if is_asked and not holds(row := self._credit(entry.user), guard, debit, entry.held):
            return Receipt(Verdict.STANDING_LEARNED, standing=standing_of(row, guard, entry.user, entry.held))
        if (refusal := self._not_marked(entry.job, mark)) is not None:
            return refusal
        self._keep(entry, guard, mark, self.clock.now())
        return POSTED

    def post_all(self, postings: Iterable[Posting], deadline: Deadline) -> Iterator[Receipt]:
        """Post entries of different references, and yield what became of each, in order. Raises LedgerRefused."""
        now = self.clock.now()
        for group in packed(postings):
            yield from self._post_group(group, now)

    def together(self, postings: Iterable[Posting]) -> Iterator[list[Posting]]:
        """Yield postings as ``post_all`` groups them: in their order, as many as one transaction holds."""
        return packed(postings)

    def _post_group(self, group: list[Posting], now: datetime) -> list[Receipt]:
        """Post all of a group or nothing; whose fault that was is told as far as one posting can be to blame."""
        _refuse_doubles(group)
        refusals = [self._taken(entry) or self._not_marked(entry.job, mark) for entry, _, mark in group]
        uncovered = set(self._uncovered(group))
        if not uncovered and not any(refusals):
            for entry, guard, mark in group:
                self._keep(entry, guard, mark, now)
            return [POSTED] * len(group)
        alone = (guard is not Guard.NONE and entry.user in uncovered for entry, guard, _ in group)
        return [refusal or (ALONE if is_alone else HELD_UP) for refusal, is_alone in zip(refusals, alone, strict=True)]

    def _uncovered(self, group: list[Posting]) -> Iterator[str]:
        """Yield the users of whose rows the postings together ask what does not hold."""
        debits: dict[str, Decimal] = {}
        held: dict[str, Decimal] = {}
        for entry, guard, _ in group:
            if guard is not Guard.NONE:
                debit = entry.amount if guard is Guard.COVERED else ZERO
                debits[entry.user] = EXACT.subtract(debits.get(entry.user, ZERO), debit)
                held[entry.user] = EXACT.add(held.get(entry.user, ZERO), entry.held)
        for user, debit in debits.items():
            if not holds(self._credit(user), Guard.COVERED if debit else Guard.EXISTS, debit, held[user]):
                yield user

    def _taken(self, entry: Entry) -> Receipt | None:
        log = self.kept.get(entry.reference)
        if log is None or entry.sequence > log[-1][0].sequence:
            return None
        standing = next((other for other, _ in log if other.sequence == entry.sequence), None)
        if standing is None:
            return None
        tells = entry.sequence == 1 and standing.user == entry.user
        return Receipt(Verdict.SEQUENCE_TAKEN, log=log_of([standing]) if tells else None)

    def _credit(self, user: str) -> Row | None:
        row = self.credits.get(user)
        if row is None and self.newcomers is not None:
            row = self.credits[user] = {"userId": user, "remaining": self.newcomers}
        return row

    def _not_marked(self, job: str | None, mark: Mark | None) -> Receipt | None:
        if mark is None or job is None:
            return None
        row = self.jobs.get(job)
        if row is None:
            return NO_JOB_ROW
        return None if takes(row, mark) else Receipt(Verdict.ROW_LEARNED, row=copy.deepcopy(row))

    def _keep(self, entry: Entry, guard: Guard, mark: Mark | None, now: datetime) -> None:
        insort(self.kept.setdefault(entry.reference, []), (entry, now), key=_sequence)
        if guard is not Guard.NONE:
            self._move(entry.user, entry.amount, entry.held)
        if mark is not None and entry.job is not None:
            _write(self.jobs[entry.job], mark)

    def _move(self, user: str, amount: Decimal, held: Decimal) -> None:
        row = self.credits.get(user)
        if row is None:
            row = self.credits[user] = {"userId": user}
        for name in ("remaining", "posted"):
            row[name] = EXACT.add(row.get(name, ZERO), amount)
        if held:
            row["held"] = EXACT.add(row.get("held", ZERO), held)

    # --- logs, marks and balances ---

    def read(self, reference: str, deadline: Deadline) -> JobLog:
        """Return the log of a reference."""
        return log_of(self.entries_of(reference, deadline))

    def entries_of(self, reference: str, deadline: Deadline) -> list[Entry]:
        """Return the entries of a reference in order of their sequence."""
        return [entry for entry, _ in self.kept.get(reference, ())]

    def stored_entries_of(self, reference: str, deadline: Deadline) -> list[Row]:
        """Return the entries of a reference as they are stored, in order of their sequence."""
        return [stored_row(kept) for kept in self.kept.get(reference, ())]

    def entries_of_user(self, user: str, deadline: Deadline) -> Iterator[Row]:
        """Yield a user's entries as they are stored, in order of posting."""
        kept = (kept for log in self.kept.values() for kept in log if kept[0].user == user)
        yield from map(stored_row, sorted(kept, key=lambda kept: kept[1]))

    def flagged(self, since: datetime | None, deadline: Deadline) -> Iterator[Row]:
        """Yield the entries with anomalies, and those that resolve some, posted ``since``, as they are stored."""
        for entry, posted_at in [kept for log in self.kept.values() for kept in log]:
            if (entry.anomalies or entry.resolution) and (since is None or posted_at >= since):
                yield stored_row((entry, posted_at))

    def all_logs(self) -> Iterator[list[Entry]]:
        """Yield the entries of each reference, in order of their first posting."""
        return ([entry for entry, _ in log] for log in self.kept.values())

    def balance(self, user: str, deadline: Deadline) -> Row | None:
        """Return a user's row, or None where there is none."""
        return copy.deepcopy(self._credit(user))

    def job_row(self, job: str, deadline: Deadline) -> Row | None:
        """Return a job's row, or None where there is none."""
        return copy.deepcopy(self.jobs.get(job))

    def job_rows(
        self, jobs: Sequence[str], attributes: frozenset[str] | None, deadline: Deadline
    ) -> dict[str, Document | LedgerError]:
        """Return the rows of some jobs by their names; a job without a row is left out."""
        found = ((job, self.jobs.get(job)) for job in jobs)
        return {job: _of_row(row, attributes) for job, row in found if row is not None}

    def mark(self, job: str, mark: Mark, deadline: Deadline) -> bool:
        """Mark a job's row. False if the row is gone, or is not what the mark rests on."""
        if self._not_marked(job, mark) is not None:
            return False
        _write(self.jobs[job], mark)
        return True

    def close(self) -> None:
        """Close nothing."""

    def logs(self) -> MemoryLogs:
        """Return the entries as they are stored, many at once."""
        return MemoryLogs(self.kept)

    # --- the scheduled run ---

    def due_jobs(self, part: ScanSlice, wanted: Wanted, deadline: Deadline) -> Page:
        """Return the next page of a slice: rows not yet settled at their status, in order of their jobs' names."""
        jobs = sorted(job for job in self.jobs if spread(job) % part.segments == part.segment and job > (part.after or ""))
        page = jobs[: self.page_rows]
        due = [row for row in self._due(page, wanted) if not _is_one_of(row, wanted.ignored)]
        rows = tuple(row for row in due if wanted.statuses is None or _is_one_of(row, wanted.statuses))
        others = () if wanted.statuses is None else (row for row in due if not _is_one_of(row, wanted.statuses))
        unmapped = most_frequent(Counter(status_name(row.get("status")) for row in others))
        return Page(rows, page[-1] if len(page) < len(jobs) else None, unmapped, len(page))

    def _due(self, jobs: Iterable[str], wanted: Wanted) -> Iterator[Row]:
        """Yield what is wanted of the rows of jobs that are not settled."""
        for row in map(self.jobs.__getitem__, jobs):
            told = _projected(row, wanted.attributes)
            if not (is_settled(row) if wanted.settled is None else wanted.settled(told)):
                yield told

    def jobs_bytes(self, deadline: Deadline) -> int:
        """Return about how large the rows of jobs are, in bytes."""
        return sum(len(repr(row)) for row in self.jobs.values())

    def begin_run(self, run: str, entries_max: int, deadline: Deadline) -> None:
        """Let ``run`` be the one under way; the one before is over."""
        self.run = (run, entries_max)

    def run_left(self, run: str, deadline: Deadline) -> int:
        """Return how many entries ``run`` may still post. Raises LedgerRefused where another run is under way."""
        if self.run is None or self.run[0] != run:
            raise LedgerRefused(f"the run {run} of the scan is over: another one has begun")
        return self.run[1]

    def take_from_run(self, run: str, entries: int, deadline: Deadline) -> int:
        """Take ``entries`` of what ``run`` may still post, and return what is left, below 0 where some were not there."""
        self.run = (run, self.run_left(run, deadline) - entries)
        return self.run[1]

    def give_back_to_run(self, run: str, entries: int, deadline: Deadline) -> None:
        """Give back what was taken and not used; nothing where another run has begun."""
        if self.run is not None and self.run[0] == run:
            self.run = (run, self.run[1] + entries)

    def is_first_of_the_day(self, day: str, deadline: Deadline) -> bool:
        """Say whether nobody asked for ``day`` or a later one before."""
        is_first = self.last_day < day
        self.last_day = max(self.last_day, day)
        return is_first

    def corrections(self) -> CorrectionStore:
        """Return what posts the corrections of people."""
        from engine.ledger.memory_corrections import MemoryCorrectionStore  # noqa: PLC0415  previews of events need none

        return MemoryCorrectionStore(self, self.kept, self.proposals)

    def holds(self) -> HoldStore:
        """Return the holds by when they are due."""
        from engine.ledger.memory_holds import MemoryHoldStore  # noqa: PLC0415  the same

        return MemoryHoldStore(self.kept, self.looked_until)

    # --- what is usual, and what many entries show ---

    def load_baselines(self, policy: str, deadline: Deadline) -> Baselines:
        """Return the stored baselines of a policy."""
        return self.baselines.get(policy, Baselines())

    def store_baselines(self, policy: str, baselines: Baselines, deadline: Deadline) -> None:
        """Store the baselines of a policy in the place of those before."""
        self.baselines[policy] = baselines

    def samples(self, since: datetime, entries_max: int, deadline: Deadline) -> Iterator[Sample]:
        """Yield the samples of ``entries_max`` entries posted ``since``: of any age, as references are spread."""
        found = self._posted(since, lambda entry: bool(entry.samples))
        for entry in sorted(found, key=lambda entry: spread(entry.reference))[:entries_max]:
            yield from entry.samples

    def recent(self, since: datetime, deadline: Deadline) -> Iterator[list[Excerpt]]:
        """Yield, page by page, what a look back sees of the entries posted ``since``."""
        for page in batched(self._posted(since, _counts_among_many), self.page_rows):
            yield [entry.excerpt for entry in page]

    def _posted(self, since: datetime, wanted: Callable[[Entry], bool]) -> Iterator[Entry]:
        for log in list(self.kept.values()):
            yield from (entry for entry, posted_at in log if posted_at >= since and wanted(entry))


def _sequence(kept: Kept) -> int:
    return kept[0].sequence


def _counts_among_many(entry: Entry) -> bool:
    return bool(entry.signs or entry.samples) or entry.type is EntryType.FLAG


def _refuse_doubles(group: list[Posting]) -> None:
    entries = [(entry.reference, entry.sequence) for entry, _, _ in group]
    jobs = [entry.job for entry, _, mark in group if mark is not None and entry.job is not None]
    if len({*entries}) < len(entries) or len({*jobs}) < len(jobs):
        raise LedgerRefused("a transaction holds an item but once")


def _write(row: Row, mark: Mark) -> None:
    row["reconciled"], row["reconciledSequence"] = mark.settled, mark.sequence
    if mark.settled:
        row["reconciledStatus"] = mark.status


def _is_one_of(row: Row, statuses: Collection[str]) -> bool:
    status = row.get("status")
    return isinstance(status, str) and status in statuses


def _projected(row: Row, attributes: frozenset[str] | None) -> Row:
    return _of_row(row, None if attributes is None else attributes | {"status"})


def _of_row(row: Row, attributes: frozenset[str] | None) -> Row:
    wanted = row.keys() if attributes is None else attributes | {"jobId"}
    told: Row = as_told({name: value for name, value in row.items() if name in wanted})
    return told
