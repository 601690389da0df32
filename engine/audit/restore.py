"""A restore of Ledger, `posted`, `held` and marks from the archive alone: first what differs; what is written a person says.

1. The archive is followed from its first object to its head: each place of the ledger gets its original.
2. The ledger is read and compared. What is gone or was changed gets its original back, each by a condition on what was seen.
3. Users' rows say again what their entries add up to and hold together, where nothing is posted meanwhile.
4. Marks go that rest on entries which neither the archive nor the ledger has. (Marks that are missing are the policy's to
   say: ``reconcile.marking``.)

What the ledger has and the archive has not stays as it is: it was posted a moment ago, or somebody has forged it, which an
audit tells. A restore that broke off is begun again: what is written already is known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from itertools import batched

from attrs import Factory, define, field, frozen

from engine.audit.books import SECONDS_BETWEEN_LOOKS
from engine.domain.digits import in_digits
from engine.domain.errors import LedgerRefused
from engine.ledger.archive.acknowledged import Acknowledged, acknowledged
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import EMPTY, FIRST_LINE, ArchiveObject, Break, Head, follow
from engine.ledger.archive.originals import Originals, Place, State, Told
from engine.ledger.audits import AuditStore, Credit
from engine.ledger.marks import MarkedRow, MarkStore
from engine.ledger.moved import NOTHING, Moved, sum_of
from engine.ledger.restores import RestoreStore, UserRow
from engine.ledger.store import ScanSlice
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

NAMED_MAX = 1_000
"""So many places and users are named of each kind; all are counted."""

USERS_TOGETHER = 1_000
"""So many users are looked at before the second look at each."""


@frozen
class Found:
    """How a ledger differs from its archive."""

    head: Head
    originals: int
    again: int
    """Records that the archive has more than once."""
    states: dict[State, int]
    unarchived_count: int
    """Entries that the archive has not."""
    drifts: tuple[Credit, ...]
    """Users whose row says something else than the archive, of what was posted or of what is held."""
    without_balance: int
    """Users with entries whose row has no balance, or who have no row."""
    problems: tuple[str, ...]
    """What of the archive cannot be read."""
    named: dict[str, list[str]]
    """Some of the places and users, by what is said of them."""
    acknowledged: tuple[Acknowledged, ...] = ()
    """What of it cannot be read, and a person answers for."""

    @property
    def differing(self) -> int:
        """How many entries have to be put back."""
        return sum(self.states[state] for state in (State.MISSING, State.CHANGED, State.UNEXPLAINED))


@frozen
class Done:
    """What a restore has written."""

    entries: int = 0
    posted: int = 0
    marks: int = 0
    left: tuple[str, ...] = ()
    """Users whose row was not written: something was just posted, or the ledger has more than the archive."""
    head: bool = False
    """Whether the head of the chain had to be written."""


@define(eq=False)
class Restore:
    """A restore under way. ``seen`` is told of each step how far it is."""

    store: RestoreStore
    audits: AuditStore
    bucket: Bucket
    deadline: Deadline
    seen: Callable[[str, int], None] = lambda _step, _count: None
    workers: int = 8
    originals: Originals = Factory(Originals)
    head: Head = EMPTY
    problems: list[str] = field(factory=list)
    accepted: dict[str, Acknowledged] = field(factory=dict)
    """What a person has acknowledged of the archive: it is no problem."""
    passed_over: list[str] = field(factory=list)
    unarchived: list[EntryKey] = field(factory=list)
    unarchived_count: int = 0
    rows: dict[str, UserRow] = field(factory=dict)

    # --- what differs ---

    def look(self) -> Found:
        """Read archive and tables, and say how they differ. Nothing is written."""
        self._read_archive()
        self._compare()
        self.rows = {row.credit.user: row for row in self.store.rows(self.deadline)}
        drifts = tuple(self._drifts())
        return Found(
            self.head,
            self.originals.count,
            self.originals.again,
            self.originals.counts(),
            self.unarchived_count,
            drifts,
            sum(1 for _ in self.without_balance()),
            tuple(self.problems),
            self._named(drifts),
            tuple(self.accepted[problem] for problem in self.passed_over),
        )

    def without_balance(self) -> Iterator[tuple[str, Decimal]]:
        """Yield the users with entries whose row has no balance, or who have no row, and what was posted of each."""
        for user in sorted(self.originals.sums):
            if user not in self.rows or not self.rows[user].has_balance:
                yield user, self._sum(user).amount

    def _named(self, drifts: Sequence[Credit]) -> dict[str, list[str]]:
        by_state = {state.name.lower(): self.originals.named(state, NAMED_MAX) for state in State if state is not State.SAME}
        places = {**by_state, "unarchived": self.unarchived}
        named = {name: [f"{reference}, entry {sequence}" for reference, sequence in some] for name, some in places.items()}
        return {**named, "posted": [self._drift_of(row) for row in drifts[:NAMED_MAX]]}

    def _drift_of(self, row: Credit) -> str:
        was, told = self._sum(row.user), []
        if row.posted != was.amount:
            told.append(f"{in_digits(was.amount)} was posted, Credits says {_digits(row.posted)}")
        if row.held != was.held:
            told.append(f"{in_digits(was.held)} are held, Credits says {_digits(row.held)}")
        return f"{row.user}: {'; '.join(told)}"

    def _read_archive(self) -> None:
        self.accepted = acknowledged(self.bucket, self.deadline)
        for found in self._objects():
            if isinstance(found, Break):
                self._note(found.problem)
                continue
            self.originals.take(found.digest, self._told(found))
            self.head = found.head
            self.seen("objects of the archive", found.number)

    def _objects(self) -> Iterator[ArchiveObject | Break]:
        """Yield the objects of the archive until the head that the table knows, and what came behind it since."""
        known = self.store.heads().head(self.deadline)
        if known != EMPTY:
            yield from follow(self.bucket, EMPTY, known, self.deadline)
        yield from follow(self.bucket, known, None, self.deadline)

    def _told(self, found: ArchiveObject) -> Iterator[tuple[int, Told]]:
        for number, line in enumerate(found.lines):
            try:
                yield number, self.store.told_by(line)
            except ValueError as error:
                self._note(f"{found.key}, line {FIRST_LINE + number}: {error}")

    def _note(self, problem: str) -> None:
        (self.passed_over if problem in self.accepted else self.problems).append(problem)

    def _compare(self) -> None:
        for count, told in enumerate(self.store.entries(self.deadline), start=1):
            if not self.originals.is_known(told):
                self.unarchived_count += 1
                self.unarchived += [told.key] if len(self.unarchived) < NAMED_MAX else []
            self.seen("entries of the ledger", count)

    def _drifts(self) -> Iterator[Credit]:
        for user in sorted(self.originals.sums.keys() | self.rows.keys()):
            row = self.rows[user].credit if user in self.rows else Credit(user)
            if row.says != self._sum(user):
                yield row

    def _sum(self, user: str) -> Moved:
        return self.originals.sums.get(user, NOTHING)

    # --- what is written ---

    def write(self, found: Found, marks: MarkStore) -> Done:
        """Write what differs. Raises LedgerRefused where the archive is not whole: half of it restores nothing."""
        if found.problems:
            raise LedgerRefused(f"the archive is not whole, and nothing was written: {found.problems[0]}")
        is_new = self._write_head()
        with ThreadPoolExecutor(self.workers) as pool:
            entries = self._put_back(pool)
            left = [user for some in batched(found.drifts, USERS_TOGETHER) for user in self._write_posted(some, pool)]
        return Done(entries, len(found.drifts) - len(left), self._unmark(marks), tuple(left), is_new)

    def _write_head(self) -> bool:
        """Let the chain go on where it ends, where nothing tells that: a writer would begin another one."""
        heads = self.store.heads()
        return heads.head(self.deadline) == EMPTY != self.head and heads.move(EMPTY, self.head, self.deadline)

    def _put_back(self, pool: ThreadPoolExecutor) -> int:
        """Put originals back, in the order in which they came. The archive is read once more, since it fits no memory."""
        written = 0
        for found in self._objects():
            if isinstance(found, ArchiveObject) and (places := self.originals.differing(found.digest)):
                written += sum(pool.map(partial(self._put_one, found.lines), places))
                self.seen("entries put back", written)
        return written

    def _put_one(self, lines: Sequence[str], place: Place) -> bool:
        return self.store.put_back(lines[place.line], place.explanation, self.deadline, is_free=place.is_free)

    def _write_posted(self, rows: Sequence[Credit], pool: ThreadPoolExecutor) -> Iterator[str]:
        """Let rows say what archive and ledger add up to alike. Yields the users of whom they do not, or not yet.

        A row is written where two looks see the same: then nothing was posted in between, and the index, which trails the
        ledger by a moment, has come to the end. What is posted after the second look changes the row, and nothing is written.
        """
        users = [row.user for row in rows]
        before = list(pool.map(self._look, users))
        self.audits.clock.wait(SECONDS_BETWEEN_LOOKS)
        for user, first, second in zip(users, before, pool.map(self._look, users), strict=True):
            row, _, ledger = second
            is_settled = first == second and ledger == self._sum(user)
            if not is_settled or not (row.says == ledger or self.store.set_row(row, ledger, self.deadline)):
                yield user

    def _look(self, user: str) -> tuple[Credit, int, Moved]:
        """Return a user's row, and how many entries there are and what they add up to."""
        row = self.audits.credit(user, self.deadline)
        moved = [entry.line.moves for entry in self.audits.entries_of_user(user, self.deadline)]
        return row, len(moved), sum_of(moved)

    # --- marks ---

    def loose_marks(self, marks: MarkStore) -> Iterator[MarkedRow]:
        """Yield the rows of Jobs whose mark rests on an entry that neither the archive nor the ledger has."""
        for page in marks.pages(ScanSlice(), self.deadline):
            rows = [row for row in page if row.entry is not None and self.originals.digest_of(row.entry) is None]
            there = self._there(marks, [row.entry for row in rows if row.entry is not None])
            yield from (row for row in rows if row.entry not in there)

    def _there(self, marks: MarkStore, entries: Collection[EntryKey]) -> Collection[EntryKey]:
        return marks.posted_at(entries, self.deadline) if entries else ()

    def _unmark(self, marks: MarkStore) -> int:
        return sum(marks.take_away(row, self.deadline) for row in self.loose_marks(marks))


def _digits(said: Decimal | None) -> str:
    return "no number" if said is None else in_digits(said)
