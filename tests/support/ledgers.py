"""The store in memory as tests hold it: shorthands for what they ask, and a wrapper with the faults that they choose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import Factory, define, evolve

from engine.domain.anomaly import Excerpt
from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.errors import LedgerRefused
from engine.domain.job_row import Mark
from engine.domain.log import JobLog
from engine.domain.references import JOB
from engine.ledger.memory import MemoryStore
from engine.ledger.store import Page, Posting, Receipt, ScanSlice
from engine.rating.baselines import Baselines
from engine.runtime.clock import Deadline


def reference_of(name: str) -> str:
    """Return the reference that a test means: without a ``#`` it is a job's."""
    return name if "#" in name else f"{JOB}{name}"


class Balances(MutableMapping[str, Decimal]):
    """The balances of a store in memory, by user."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def __getitem__(self, user: str) -> Decimal:
        balance: Decimal = self.store.credits[user]["remaining"]
        return balance

    def __setitem__(self, user: str, balance: Decimal) -> None:
        self.store.credits.setdefault(user, {"userId": user})["remaining"] = balance

    def __delitem__(self, user: str) -> None:
        del self.store.credits[user]

    def __iter__(self) -> Iterator[str]:
        return iter(self.store.credits)

    def __len__(self) -> int:
        return len(self.store.credits)


@define
class FaultyStore:
    """A store in memory that writes down what it is asked, and fails where a test wants it to."""

    store: MemoryStore
    broken_jobs: set[str] = Factory(set)
    """Jobs whose postings the store refuses."""
    calls: list[str] = Factory(list)
    page_size: int = 2
    """How many rows a page of a scan looks at."""
    down: bool = False
    """Whether what is usual and what is recent cannot be read."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    # --- what tests ask ---

    @property
    def balances(self) -> Balances:
        """The balances by user."""
        return Balances(self.store)

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows of jobs."""
        return self.store.jobs

    @property
    def entries(self) -> dict[str, list[Entry]]:
        """All entries by their reference."""
        return {entries[0].reference: entries for entries in self.store.all_logs()}

    def lines(self, job: str) -> list[Entry]:
        """Return a job's entries."""
        return self.entries.get(reference_of(job), [])

    # --- what the engine asks ---

    def post(self, entry: Entry, guard: Guard, mark: Mark | None, deadline: Deadline) -> Receipt:
        """Post, but for a job that is broken."""
        self.calls.append("post")
        self._refuse_broken(entry)
        return self.store.post(entry, guard, mark, deadline)

    def post_all(self, postings: Iterable[Posting], deadline: Deadline) -> Iterator[Receipt]:
        """Post all, but where one job is broken."""
        several = list(postings)
        self.calls.append(f"post {len(several)}")
        for entry, _, _ in several:
            self._refuse_broken(entry)
        yield from self.store.post_all(several, deadline)

    def _refuse_broken(self, entry: Entry) -> None:
        if entry.job in self.broken_jobs:
            raise LedgerRefused("ValidationException")

    def read(self, reference: str, deadline: Deadline) -> JobLog:
        """Return a log."""
        self.calls.append("read")
        return self.store.read(reference, deadline)

    def mark(self, job: str, mark: Mark, deadline: Deadline) -> bool:
        """Mark a job's row."""
        self.calls.append("mark")
        return self.store.mark(job, mark, deadline)

    def due_jobs(self, part: ScanSlice, *asked: Any) -> Page:
        """Return a page of few rows, all of them in the first segment."""
        self.calls.append("scan")
        jobs = [job for job in sorted(self.store.jobs) if part.segment == 0 and job > (part.after or "")]
        page, others = jobs[: self.page_size], jobs[self.page_size :]
        few = evolve(self.store, jobs={job: self.store.jobs[job] for job in page})
        return evolve(few.due_jobs(ScanSlice(), *asked), next_after=page[-1] if others else None)

    def load_baselines(self, policy: str, deadline: Deadline) -> Baselines:
        """Return the stored baselines."""
        self.calls.append("load")
        self._refuse_while_down()
        return self.store.load_baselines(policy, deadline)

    def store_baselines(self, policy: str, baselines: Baselines, deadline: Deadline) -> None:
        """Store baselines."""
        self._refuse_while_down()
        self.store.store_baselines(policy, baselines, deadline)

    def recent(self, since: datetime, deadline: Deadline) -> Iterator[list[Excerpt]]:
        """Yield what a look back sees."""
        self._refuse_while_down()
        yield from self.store.recent(since, deadline)

    def _refuse_while_down(self) -> None:
        if self.down:
            raise LedgerRefused("ResourceNotFoundException")
