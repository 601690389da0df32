"""The store of the ledger: one protocol, and the answers that go with it. What keeps the entries is not known here.

``DynamoStore`` (in ``dynamodb/``) keeps them in tables, ``MemoryStore`` in memory; ``TracedStore`` tells a trace what it is
asked. What only audits, ``unmark``, explanations or corrections need hangs on stores of its own (``audits``, ``marks``,
``explanations``, ``corrections``), made when they are asked for: what serves events imports none of it.

A method raises LedgerUnavailable where no answer comes in time, and LedgerRefused where none ever will; either way nothing is
half done. What is read is strongly consistent, but for what is said to be none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from engine.domain.anomaly import Excerpt, Sample
from engine.domain.decision import Guard, Standing
from engine.domain.entry import Entry
from engine.domain.envelope import Document
from engine.domain.errors import LedgerError, shown
from engine.domain.instants import read_instant
from engine.domain.job_row import Mark
from engine.domain.log import JobLog
from engine.domain.texts import is_key
from engine.rating.baselines import Baselines
from engine.runtime.clock import Clock, Deadline

if TYPE_CHECKING:
    from engine.ledger.audits import AuditStore
    from engine.ledger.corrections import CorrectionStore
    from engine.ledger.explanations import ExplanationStore
    from engine.ledger.exports import ExportStore
    from engine.ledger.holds import HoldStore
    from engine.ledger.logs import LogStore
    from engine.ledger.low_balances import LowBalanceStore
    from engine.ledger.marks import MarkStore
    from engine.ledger.restores import RestoreStore
    from engine.ledger.wanted import Wanted

type Posting = tuple[Entry, Guard, Mark | None]
"""An entry, what must hold of its user's row, and what is written on its job's row."""

type StoredEntry = Mapping[str, Any]
"""An entry as it is kept, with what was added to it: JSON-like values under the names that ``ledger.stored`` gives them."""

BATCHED_GUARDS = frozenset({Guard.NONE, Guard.EXISTS, Guard.COVERED})
"""Guards that can be asked for several postings of one user at once: only these go into ``post_all``."""

ACTIONS_MAX = 100
"""What one transaction holds: entries, marks and users' rows."""

SEGMENTS_MAX = 1_000_000
"""Into so many segments the table of jobs can be divided."""


@frozen
class Tables:
    """The names of the tables."""

    jobs: str = "Jobs"
    credits: str = "Credits"
    ledger: str = "Ledger"
    state: str = "State"
    """What can be worked out again (baselines): no credit depends on it."""
    seals: str = "Seals"
    """What the entries were: audits write it, and nothing that serves events."""


class Verdict(StrEnum):
    """How the store answered a posting."""

    POSTED = "posted"
    SEQUENCE_TAKEN = "sequence-taken"
    """Another entry stands at this sequence: a duplicate, or somebody was faster."""
    NO_JOB_ROW = "no-job-row"
    ROW_LEARNED = "row-learned"
    """The job's row does not take the mark as it is."""
    STANDING_LEARNED = "standing-learned"
    """The user's row is not as the guard has it."""
    HELD_UP = "held-up"
    """Nothing is wrong with this posting; another one of the same transaction was refused."""
    ALONE = "alone"
    """What it shares with others, or it itself, was refused: only by itself it can tell why."""
    BUSY = "busy"
    """Somebody else is at work on an item of it, or too many ask for it: the same posting may succeed a moment later."""
    ID_TAKEN = "id-taken"
    """Of a correction: its id is claimed already. ``Receipt.log`` is what stands there."""
    PROPOSAL_GONE = "proposal-gone"
    """Of a correction that was approved: its proposal does not stand as it was read."""
    PROPOSED_BY_THE_SAME = "proposed-by-the-same"
    """Of a correction that was approved: who approves may be who proposed."""


@frozen
class Receipt:
    """The store's answer to a posting. ``log`` is the job's log as far as the answer tells it; ``standing`` what it taught.

    ``row`` is the job's row, where it does not take the mark; ``problem`` says what a busy posting waits for.
    """

    verdict: Verdict
    log: JobLog | None = None
    standing: Standing | None = None
    row: Document | None = None
    problem: str = ""


@frozen
class ScanSlice:
    """A part of the table of jobs: what lies behind ``after`` (a jobId) in one of ``segments`` segments.

    ``started`` is the instant the whole scan began (ISO 8601): it stands in for a row that has no time of its own.
    """

    segment: int = 0
    segments: int = 1
    after: str | None = None
    started: str | None = None

    def __attrs_post_init__(self) -> None:
        is_whole = all(isinstance(number, int) and not isinstance(number, bool) for number in (self.segment, self.segments))
        if not is_whole or not 0 <= self.segment < self.segments <= SEGMENTS_MAX:
            raise ValueError(
                f"segment {shown(self.segment)} of {shown(self.segments)}; 0 <= segment < segments <= {SEGMENTS_MAX} is needed"
            )
        if self.after is not None and not is_key(self.after):
            raise ValueError(f"after is {shown(self.after)}; a jobId or null is needed")
        if self.started is not None and read_instant(self.started) is None:
            raise ValueError(f"started is {shown(self.started)}; an ISO 8601 instant with a zone or null is needed")


@frozen
class Page:
    """One answer of the scan: rows that are due, and where to go on (None at the end of the segment).

    ``unmapped`` counts the rows of each status that nobody mapped; ``rows_read`` is how many were looked at, where that is
    known.
    """

    rows: tuple[Mapping[str, Any], ...]
    next_after: str | None
    unmapped: Mapping[str, int] = {}
    rows_read: int | None = None


def actions_of(entry: Entry, mark: Mark | None) -> int:
    """Return how many actions a posting has of its own: its entry, and the mark on its job's row."""
    return 1 if mark is None or entry.job is None else 2


def packed(postings: Iterable[Posting]) -> Iterator[list[Posting]]:
    """Yield postings of different references in as few groups as transactions hold them, in their order.

    The postings of a user share the action that moves the balance.
    """
    held: list[Posting] = []
    users: set[str] = set()
    count = 0
    for posting in postings:
        entry, guard, mark = posting
        own, moves = actions_of(entry, mark), guard is not Guard.NONE
        more = own + (moves and entry.user not in users)
        if count + more > ACTIONS_MAX:
            yield held
            held, users, count = [], set(), 0
            more = own + moves
        held.append(posting)
        users |= {entry.user} if moves else set()
        count += more
    if held:
        yield held


class Store(Protocol):
    """The entries of all jobs and grants, the balances of all users, and the marks on the application's jobs."""

    @property
    def clock(self) -> Clock:
        """The clock that dates what is posted."""

    # --- what serves events ---

    def post(self, entry: Entry, guard: Guard, mark: Mark | None, deadline: Deadline) -> Receipt:
        """Post an entry, its balance and its mark, all together or not at all."""

    def post_all(self, postings: Iterable[Posting], deadline: Deadline) -> Iterator[Receipt]:
        """Post entries of different references, many at once, and yield what became of each, in order.

        Each moves together with its balance and its mark or not at all, as by itself. A posting that is refused holds up those
        that ``together`` puts with it and no other. Where it raises, what was yielded is posted.
        """

    def together(self, postings: Iterable[Posting]) -> Iterator[list[Posting]]:
        """Yield postings as ``post_all`` groups them, in their order: each group is taken as a whole or not at all."""

    def read(self, reference: str, deadline: Deadline) -> JobLog:
        """Return the log of a reference as it stands now."""

    def job_rows(
        self, jobs: Sequence[str], attributes: frozenset[str] | None, deadline: Deadline
    ) -> dict[str, Document | LedgerError]:
        """Return the rows of some jobs by their names, as events would tell them; a job without a row is left out.

        Of each row it returns ``attributes`` (None: all) and its ``jobId``. Where one could not be read its error stands.
        """

    def mark(self, job: str, mark: Mark, deadline: Deadline) -> bool:
        """Mark a job's row whose facts are posted already. False if the row is gone, or is not what the mark rests on."""

    def load_baselines(self, policy: str, deadline: Deadline) -> Baselines:
        """Return the stored baselines of a policy (its name). Raises ValueError or its kin for what are none."""

    def close(self) -> None:
        """Close the connections; the next call opens one again."""

    # --- the scheduled run ---

    def due_jobs(self, part: ScanSlice, wanted: Wanted, deadline: Deadline) -> Page:
        """Return the next page of a slice: rows not yet settled at their status. May be empty and yet not the last.

        Rows at other statuses than the ``wanted`` are counted, those at an ignored one are left out. Eventually consistent.
        """

    def begin_run(self, run: str, entries_max: int, deadline: Deadline) -> None:
        """Let ``run`` be the one under way, with so many entries to post; the one before is over."""

    def run_left(self, run: str, deadline: Deadline) -> int:
        """Return how many entries ``run`` may still post. Raises LedgerRefused where another run is under way."""

    def take_from_run(self, run: str, entries: int, deadline: Deadline) -> int:
        """Take ``entries`` of what ``run`` may still post, and return what is left: below 0, some of them were not there.

        Where the answer is lost, it takes them twice: fewer are posted than might be, never more. Raises like ``run_left``.
        """

    def give_back_to_run(self, run: str, entries: int, deadline: Deadline) -> None:
        """Give back what was taken and not used; nothing where another run has begun."""

    def is_first_of_the_day(self, day: str, deadline: Deadline) -> bool:
        """Say whether nobody asked for ``day`` (an ISO date) or a later one before: once a day it is true."""

    def jobs_bytes(self, deadline: Deadline) -> int:
        """Return the size of the table of jobs in bytes, some hours old."""

    def store_baselines(self, policy: str, baselines: Baselines, deadline: Deadline) -> None:
        """Store the baselines of a policy in the place of those before."""

    def samples(self, since: datetime, entries_max: int, deadline: Deadline) -> Iterator[Sample]:
        """Yield the samples of about ``entries_max`` entries posted ``since``, or of what can be read in time.

        What it reads has a bound, so that it costs the same whatever the ledger's size. Eventually consistent.
        """

    def recent(self, since: datetime, deadline: Deadline) -> Iterator[list[Excerpt]]:
        """Yield, page by page, what a look back sees of the entries posted ``since``. An empty one need not be the last.

        Eventually consistent.
        """

    # --- what people ask for ---

    def entries_of(self, reference: str, deadline: Deadline) -> list[Entry]:
        """Return the entries of a reference, whole, in order of their sequence."""

    def stored_entries_of(self, reference: str, deadline: Deadline) -> list[dict[str, Any]]:
        """Return the entries of a reference as they are stored, with what was added to them."""

    def entries_of_user(self, user: str, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield a user's entries as they are stored, in order of posting (eventually consistent: it trails by a moment)."""

    def flagged(self, since: datetime | None, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield the entries with anomalies, and those that resolve some, posted ``since``, as they are stored."""

    def balance(self, user: str, deadline: Deadline) -> dict[str, Any] | None:
        """Return a user's row of Credits, or None where there is none."""

    def job_row(self, job: str, deadline: Deadline) -> dict[str, Any] | None:
        """Return a job's row of Jobs, or None where there is none."""

    # --- stores of its own for what is asked of it seldom ---

    def audits(self) -> AuditStore:
        """Return what audits see of it and write to it."""

    def marks(self) -> MarkStore:
        """Return the marks of its jobs, and what takes them away."""

    def explanations(self) -> ExplanationStore:
        """Return where explanations are kept, and what they rest on."""

    def low_balances(self) -> LowBalanceStore:
        """Return its balances, and what was told of those that are low."""

    def logs(self) -> LogStore:
        """Return its entries as they are stored, many at once."""

    def corrections(self) -> CorrectionStore:
        """Return what posts the corrections of people, and keeps their proposals."""

    def restores(self) -> RestoreStore:
        """Return what puts the archive's entries back."""

    def exports(self) -> ExportStore:
        """Return what an export reads of its entries."""

    def holds(self) -> HoldStore:
        """Return the holds by when they are due."""
