"""A fake of the ledger: the same answers as the tables give, from memory."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from attrs import Factory, define

from engine.domain.anomaly import Sample, Seen
from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.envelope import Document
from engine.domain.errors import LedgerRefused
from engine.domain.job_row import Mark
from engine.domain.log import JobLog, log_of
from engine.domain.references import JOB
from engine.ledger.store import Page, Posting, Receipt, ScanSlice, Verdict
from engine.preview.rehearsal import contradiction
from engine.rating.baselines import Baselines
from engine.runtime.clock import Deadline


@define
class MemoryLedger:
    """Entries by reference, balances by user and rows of jobs, with the conditions of the real postings."""

    balances: dict[str, Decimal]
    rows: dict[str, dict[str, object]] = Factory(dict)
    entries: dict[str, list[Entry]] = Factory(dict)
    broken_jobs: set[str] = Factory(set)
    calls: list[str] = Factory(list)
    page_size: int = 2
    baselines: Baselines = Baselines()  # noqa: RUF009  frozen
    down: bool = False

    def post(self, entry: Entry, guard: Guard, mark: Mark | None, _deadline: Deadline) -> Receipt:
        """Post all or nothing, and answer as the transaction would."""
        self.calls.append("post")
        if entry.job in self.broken_jobs:
            raise LedgerRefused("ValidationException")
        entries = self.entries.setdefault(entry.reference, [])
        if entry.sequence <= len(entries):
            return Receipt(Verdict.SEQUENCE_TAKEN, log=log_of(entries[:1]) if entry.sequence == 1 else None)
        if (learned := contradiction(self.balances.get(entry.user), entry, guard)) is not None:
            return Receipt(Verdict.STANDING_LEARNED, standing=learned)
        if mark is not None and entry.job is not None:
            if entry.job not in self.rows:
                return Receipt(Verdict.NO_JOB_ROW)
            if not self.mark(entry.job, mark, _deadline):
                return Receipt(Verdict.ROW_LEARNED, row=dict(self.rows[entry.job]))
        entries.append(entry)
        if guard is not Guard.NONE:
            self.balances[entry.user] = self.balances.get(entry.user, Decimal(0)) + entry.amount
        return Receipt(Verdict.POSTED)

    def post_all(self, postings: Iterable[Posting], _deadline: Deadline) -> Iterator[Receipt]:
        """Post all of them or none, and say whose fault it was."""
        several = list(postings)
        self.calls.append(f"post {len(several)}")
        if any(entry.job in self.broken_jobs for entry, _, _ in several):
            raise LedgerRefused("ValidationException")
        before = copy.deepcopy((self.entries, self.balances, self.rows))
        calls = list(self.calls)
        receipts = [self.post(*posting, _deadline) for posting in several]
        self.calls = calls
        if any(receipt.verdict is not Verdict.POSTED for receipt in receipts):
            self.entries, self.balances, self.rows = before
            receipts = [self._held_up(receipt) for receipt in receipts]
        yield from receipts

    def together(self, postings: Iterable[Posting]) -> Iterator[list[Posting]]:
        """Yield all of them: memory has room for any transaction."""
        yield list(postings)

    def _held_up(self, receipt: Receipt) -> Receipt:
        if receipt.verdict is Verdict.POSTED:
            return Receipt(Verdict.HELD_UP)
        return Receipt(Verdict.ALONE) if receipt.verdict is Verdict.STANDING_LEARNED else receipt

    def read(self, reference: str, _deadline: Deadline) -> JobLog:
        """Return the log of a reference."""
        self.calls.append("read")
        return log_of(self.entries.get(reference, []))

    def lines(self, job: str) -> list[Entry]:
        """Return a job's entries."""
        return self.entries.get(f"{JOB}{job}", [])

    def mark(self, job: str, mark: Mark, _deadline: Deadline) -> bool:
        """Mark the job's row if there is one."""
        self.calls.append("mark")
        if job not in self.rows or not takes(self.rows[job], mark):
            return False
        self.rows[job] |= {"reconciled": mark.settled, "reconciledSequence": mark.sequence}
        if mark.settled:
            self.rows[job]["reconciledStatus"] = mark.status
        return True

    def due_jobs(
        self,
        part: ScanSlice,
        statuses: Collection[str] | None,
        _attributes: object,
        _deadline: Deadline,
        ignored: Collection[str] = (),
    ) -> Page:
        """Return the next few rows of the first segment that are due."""
        self.calls.append("scan")
        names = [name for name in sorted(self.rows) if part.segment == 0 and (part.after is None or name > part.after)]
        names, rest = names[: self.page_size], names[self.page_size :]
        found = [row for name in names if not is_settled(row := self.rows[name]) and row.get("status") not in ignored]
        rows: list[Document] = [dict(row) for row in found if statuses is None or row.get("status") in statuses]
        unmapped = Counter(
            str(row.get("status")) for row in found if statuses is not None and row.get("status") not in statuses
        )
        return Page(tuple(rows), names[-1] if rest else None, unmapped)

    def load_baselines(self, _policy: str, _deadline: Deadline) -> Baselines:
        """Return the stored baselines."""
        self.calls.append("load")
        if self.down:
            raise LedgerRefused("ResourceNotFoundException")
        return self.baselines

    def store_baselines(self, _policy: str, baselines: Baselines, _deadline: Deadline) -> None:
        """Store baselines."""
        if self.down:
            raise LedgerRefused("ResourceNotFoundException")
        self.baselines = baselines

    def samples(self, _since: datetime, _entries_max: int, _deadline: Deadline) -> Iterator[Sample]:
        """Yield the samples of all entries."""
        yield from (sample for entries in self.entries.values() for entry in entries for sample in entry.samples)

    def recent(self, since: datetime, _deadline: Deadline) -> Iterator[list[Seen]]:
        """Yield what a look back sees of the entries of events ``since``: here an entry is posted when its event happens."""
        if self.down:
            raise LedgerRefused("ResourceNotFoundException")
        yield [entry.seen for entries in self.entries.values() for entry in entries if entry.occurred_at >= since]


def is_settled(row: dict[str, object]) -> bool:
    """Say what the scan's filter says."""
    return row.get("reconciled") is True and row.get("reconciledStatus") == row.get("status")


def takes(row: dict[str, object], mark: Mark) -> bool:
    """Say what the condition on the mark says of a row."""
    if mark.user is not None and row.get(mark.user[0], mark.user[1]) != mark.user[1]:
        return False
    return _time_is_right(row, mark) and _sequence_is_right(row, mark)


def _time_is_right(row: dict[str, object], mark: Mark) -> bool:
    if mark.time is None:
        return True
    said = row.get(mark.time.attribute)
    if mark.time.latest is None:
        return said == mark.time.read
    latest = mark.time.latest.strftime("%Y-%m-%dT%H:%M:%S")
    return not isinstance(said, str) or said <= latest or said == f"{latest}Z"


def _sequence_is_right(row: dict[str, object], mark: Mark) -> bool:
    stands = row.get("reconciledSequence")
    if not isinstance(stands, int) or stands < mark.sequence:
        return True
    is_as_read = mark.settled and mark.read is not None and row.get("status") == mark.read
    is_marked = row.get("reconciled") is True and row.get("reconciledStatus") == mark.status
    return stands == mark.sequence and is_as_read and not is_marked
