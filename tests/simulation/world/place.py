"""Where the tables are. In memory here; a store on another database takes its place by the same few methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from attrs import Factory, define, field, frozen

from engine.domain.entry import Entry
from engine.ledger.balances import BalancePage
from engine.ledger.dynamodb.attributes import Item, encode_item
from engine.ledger.dynamodb.audits import AuditedItem, credit_of
from engine.ledger.dynamodb.postings import EXPLANATION
from engine.ledger.dynamodb.seals import header_item, header_of, lines_of, part_of
from engine.ledger.memory import MemoryStore
from engine.ledger.seals import NO_SEAL, Seal
from engine.ledger.store import Page, ScanSlice
from engine.runtime.clock import Clock, Deadline
from tests.simulation.watch import Balances, Moved

START = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)
INDEX_TRAILS_SECONDS = 0.9
ENTRIES_A_PAGE = 7
OLD_TABLES_MAX = 3

Row = dict[str, Any]


@define(eq=False)
class Timeline:
    """The world's time: ``steady`` seconds since its start. What the clocks on the walls say may jump and differ."""

    steady: float = 0.0
    offset: float = 0.0
    skew: float = 0.0
    """How far the clock of the machine that is at work is off."""

    def now(self, skew: float = 0.0) -> datetime:
        """Return the instant that a clock shows which is ``skew`` seconds off."""
        return START + timedelta(seconds=self.steady + self.offset + skew)

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.steady += seconds


class CallerLike(Protocol):
    """Who makes calls: ``faults.Caller``."""

    def call[T](self, name: str, act: Callable[[], T], deadline: Deadline) -> T: ...
    def clock(self) -> Clock: ...


class Place(Protocol):
    """The tables of one world: what functions reach through a store, and what applications and the judge do directly."""

    store: Any
    """A ``ledger.store.Store`` without faults."""
    committed: dict[tuple[str, int], float]
    """When each entry was committed, in the world's steady seconds."""
    moved: list[Moved]
    """What was committed and moved a balance."""
    balances: Balances

    jobs_bytes: int
    """How large the table of jobs is said to be."""

    def page(self, is_old: Callable[[], bool] | None, part: ScanSlice, *asked: Any) -> Page:
        """Return a page of the scan; of a row that ``is_old`` what it said a moment ago."""

    def audits(self, caller: CallerLike, is_stale: Callable[[], bool]) -> Any:
        """Return what audits see."""

    def put_job(self, row: Row) -> None:
        """Write a whole row of Jobs in the place of the one before, as an application does that knows no other writer."""

    def update_job(self, row: Row) -> None:
        """Write the attributes of a row of Jobs and leave all others."""

    def add_credits(self, user: str, amount: Decimal) -> None:
        """Let an application move a balance by ADD; a user without a row gets one."""

    def remember(self) -> None:
        """Keep what the rows of Jobs say now, for reads that are stale."""

    def entries(self) -> list[Row]:
        """Return all entries as they are stored, but for their explanations."""

    def rows(self) -> tuple[Mapping[str, Row], Mapping[str, Row]]:
        """Return the rows of Jobs and of Credits."""

    def wrong(self) -> list[str]:
        """Return what was asked of the database that it must never be asked."""


@define(eq=False)
class MemoryPlace:
    """The tables in memory. It is a ``Place``."""

    timeline: Timeline
    page_rows: int = 3
    jobs_bytes: int = 1
    store: MemoryStore = field(init=False)
    committed: dict[tuple[str, int], float] = Factory(dict)
    moved: list[Moved] = Factory(list)
    balances: Balances = Factory(Balances)
    old_jobs: list[dict[str, Row]] = Factory(list)
    seals: dict[str, Item] = Factory(dict)
    headers: dict[int, Item] = Factory(dict)
    told: dict[int, tuple[Entry, Row, AuditedItem]] = Factory(dict)
    """Entries as they are stored, by the identity of their value, which is immutable: to encode one takes long."""
    words: Mapping[tuple[str, int], Mapping[str, str]] = Factory(dict)
    """The explanations by the entries on which they stand."""

    @store.default
    def _store(self) -> MemoryStore:
        time = self.timeline
        clock = Clock(lambda: time.now(time.skew), lambda: time.steady, time.pass_by, lambda _low, high: high)
        return MemoryStore(clock, page_rows=self.page_rows)

    def page(self, is_old: Callable[[], bool] | None, part: ScanSlice, *asked: Any) -> Page:
        """Return a page of the scan."""
        if is_old is None or not self.old_jobs:
            return self.store.due_jobs(part, *asked)
        old = self.old_jobs[0]
        seen = {job: old.get(job) if is_old() else row for job, row in self.store.jobs.items()}
        rows = {job: row for job, row in seen.items() if row is not None}
        return MemoryStore(self.store.clock, jobs=rows, page_rows=self.page_rows).due_jobs(part, *asked)

    def audits(self, caller: CallerLike, is_stale: Callable[[], bool]) -> MemoryAudits:
        """Return what audits see."""
        return MemoryAudits(self, caller, is_stale)

    def put_job(self, row: Row) -> None:
        """Write a whole row."""
        self.store.jobs[row["jobId"]] = dict(row)

    def update_job(self, row: Row) -> None:
        """Write some attributes of a row."""
        self.store.jobs.setdefault(row["jobId"], {}).update(row)

    def add_credits(self, user: str, amount: Decimal) -> None:
        """Move a balance as an application does."""
        row = self.store.credits.setdefault(user, {"userId": user})
        row["remaining"] = row.get("remaining", Decimal(0)) + amount
        self.balances.moved(user, self.timeline.steady, row["remaining"])

    def remember(self) -> None:
        """Keep the rows of Jobs."""
        self.old_jobs = [*self.old_jobs[-OLD_TABLES_MAX + 1 :], {job: dict(row) for job, row in self.store.jobs.items()}]

    def entries(self) -> list[Row]:
        """Return all entries as they are stored."""
        return [stored for reference in self.store.kept for stored, _ in self.stored(reference)]

    def stored(self, reference: str) -> Iterator[tuple[Row, AuditedItem]]:
        """Yield the entries of a reference as they are stored, and as an audit sees them."""
        told, log = self.told, self.store.kept.get(reference, ())
        new = [kept for kept in log if id(kept[0]) not in told]
        if new:
            rows = MemoryStore(self.store.clock, kept={reference: new}).stored_entries_of(reference, NEVER)
            told.update(
                {id(kept[0]): (kept[0], row, AuditedItem(encode_item(row))) for kept, row in zip(new, rows, strict=True)}
            )
        return (told[id(entry)][1:] for entry, _ in log)

    def rows(self) -> tuple[Mapping[str, Row], Mapping[str, Row]]:
        """Return copies of the rows."""
        jobs, users = self.store.jobs, self.store.credits
        return {job: dict(row) for job, row in jobs.items()}, {user: dict(row) for user, row in users.items()}

    def wrong(self) -> list[str]:
        """A store in memory is asked nothing that a database would refuse."""
        return []


NEVER = Deadline(Clock(), float("inf"))


@frozen(eq=False)
class MemoryAudits:
    """What audits see of the tables in memory. It is a ``ledger.audits.AuditStore``; each page is a call of its own."""

    place: MemoryPlace
    caller: CallerLike
    is_stale: Callable[[], bool]
    clock: Clock = field(init=False)

    @clock.default
    def _clock(self) -> Clock:
        return self.caller.clock()

    def _ask[T](self, name: str, act: Callable[[], T], deadline: Deadline) -> T:
        return self.caller.call(name, act, deadline)

    def _stored(self, reference: str) -> list[AuditedItem]:
        words = self.place.words
        return [
            item if (said := words.get((reference, int(item.line.sequence)))) is None else with_words(item, said)
            for _, item in self.place.stored(reference)
        ]

    def entries(self, deadline: Deadline, segment: tuple[int, int] = (0, 1)) -> Iterator[AuditedItem]:
        """Yield every entry, some references at a time; what was posted behind the reader is not seen."""
        assert segment == (0, 1), "no ledger of a history is so large"
        references = sorted(self._ask("audit entries", lambda: list(self.place.store.kept), deadline))
        for first in range(0, len(references), ENTRIES_A_PAGE):
            some = references[first : first + ENTRIES_A_PAGE]
            yield from self._ask(
                "audit entries", lambda some=some: [each for name in some for each in self._stored(name)], deadline
            )

    def log(self, reference: str, deadline: Deadline) -> list[AuditedItem]:
        """Return a log."""
        return self._ask("audit log", lambda: self._stored(reference), deadline)

    def entries_of_user(self, user: str, deadline: Deadline, since: str = "") -> Iterator[AuditedItem]:
        """Yield a user's entries by an index that may trail the table."""
        found = self._ask("audit entries of a user", lambda: self._of_user(user), deadline)
        return (each for each in found if each.posted_at >= since)

    def _of_user(self, user: str) -> list[AuditedItem]:
        until = self.place.timeline.steady - INDEX_TRAILS_SECONDS if self.is_stale() else float("inf")
        committed = self.place.committed
        kept = (entry for log in self.place.store.kept.values() for entry, _ in log if entry.user == user)
        wanted = {(each.reference, each.sequence) for each in kept if committed[each.reference, each.sequence] <= until}
        stored = (each for reference in {name for name, _ in wanted} for each in self._stored(reference))
        return [each for each in stored if each.line.key in wanted]

    def entries_at(self, keys: Iterable[Any], deadline: Deadline) -> dict[Any, AuditedItem]:
        """Return the entries that are there."""
        wanted = set(keys)
        found = [each for name in {name for name, _ in wanted} for each in self._stored(name)]
        return self._ask("audit keys", lambda: {each.line.key: each for each in found if each.line.key in wanted}, deadline)

    def credit(self, user: str, deadline: Deadline) -> Any:
        """Return what a user's row says."""
        return self._ask("audit credit", lambda: self._credit(user), deadline)

    def credits(self, deadline: Deadline, *, with_remaining: bool = False) -> Iterator[Any]:  # noqa: ARG002  rows are whole
        """Yield what every user's row says."""
        return iter(self._ask("audit credits", lambda: [self._credit(user) for user in self.place.store.credits], deadline))

    def credits_of(self, users: Iterable[str], deadline: Deadline) -> Any:
        """Return what the rows of some users say, by user."""
        wanted = sorted(set(users))
        return self._ask("audit credits of users", lambda: {user: self._credit(user) for user in wanted}, deadline)

    def _credit(self, user: str) -> Any:
        row = self.place.store.credits.get(user)
        return credit_of(user, encode_item(row) if row is not None else None)

    def append(self, entry: Entry, deadline: Deadline) -> bool:
        """Nothing in the world repairs."""
        raise NotImplementedError

    def append_with_row(self, *values: Any) -> bool:
        """Nothing in the world repairs."""
        raise NotImplementedError

    # --- seals ---

    def last_seal(self, deadline: Deadline) -> Seal:
        """Return the newest header."""
        return self._ask("last seal", self._last, deadline)

    def _last(self) -> Seal:
        return header_of(self.place.headers[max(self.place.headers)])[0] if self.place.headers else NO_SEAL

    def seals(self, deadline: Deadline) -> Iterator[tuple[Seal, str]]:
        """Yield all headers."""
        headers = self.place.headers
        return iter(self._ask("seals", lambda: [header_of(headers[number]) for number in sorted(headers)], deadline))

    def keep_part(self, lines: Iterable[str], deadline: Deadline) -> str:
        """Store a part."""
        name, item = part_of(lines)
        self._ask("keep part", lambda: self.place.seals.update({name: item}), deadline)
        return name

    def part(self, name: str, deadline: Deadline) -> Any:
        """Return a part."""
        return self._ask("part", lambda: lines_of(self.place.seals.get(name), name), deadline)

    def keep(self, seal: Seal, deadline: Deadline) -> bool:
        """Store a header where its number is free."""
        return self._ask("keep seal", lambda: self._keep(seal), deadline)

    def _keep(self, seal: Seal) -> bool:
        return self.place.headers.setdefault(seal.number, header_item(seal)) == header_item(seal)

    # --- balances that are held ---

    def balance_pages(self, deadline: Deadline) -> Iterator[BalancePage]:  # noqa: ARG002  nothing is read
        """Yield no page: applications give credits here, so that nothing holds balances."""
        return iter(())

    def keep_balances(self, page: BalancePage, deadline: Deadline) -> bool:
        """Nothing in the world holds balances."""
        raise NotImplementedError


def with_words(item: AuditedItem, words: Mapping[str, str]) -> AuditedItem:
    """Return an entry with its explanation."""
    return AuditedItem({**item.item, **encode_item({EXPLANATION: words})})
