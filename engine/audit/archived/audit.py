"""One audit of a ledger against its archive, from the last checkpoint on: what is new is read, and what it touches.

It goes through the chain in parts, so that its memory is one part. At the end it compares the users' sums with their rows,
and keeps a checkpoint: the next audit begins there. What was found and is not put right is looked at again each time. Where
the time is over before, the checkpoint stands where the audit has come to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta

from attrs import Factory, define, evolve, field

from engine.audit.archived import checkpoints
from engine.audit.archived.back import read_object
from engine.audit.archived.books import ArchivedBooks
from engine.audit.archived.changes import changes, late
from engine.audit.archived.checkpoints import Checkpoint, Open
from engine.audit.archived.logs import Believed, Logs, Undoes, nothing_undone
from engine.audit.archived.older import RESERVE, Search, find_older, records_of
from engine.audit.archived.part import Part, Spot
from engine.audit.archived.seen import Archive, ArchiveAudit
from engine.audit.archived.sums import Sums, SumsError
from engine.audit.archived.tally import Tally
from engine.audit.archived.whole import Whole, of_the_ledger, tally_until
from engine.audit.balances import BalanceKeeper, CheckedBalances
from engine.audit.books import UNEXPLAINED_AFTER, UNEXPLAINED_UNTIL
from engine.audit.differences import Difference, Kind
from engine.domain.errors import LedgerError, LedgerUnavailable
from engine.domain.instants import posting_text
from engine.ledger.archive.acknowledged import Acknowledged, acknowledged
from engine.ledger.archive.chain import FIRST_LINE, ArchiveObject, Break, Head, follow
from engine.ledger.audits import ArchivedRecord, AuditStore, Credit
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

OPEN_MAX = 10_000
"""With more findings than this a checkpoint does not move on: nothing that was found is forgotten."""

TOLD_MAX = 10_000
"""So many differences are kept whole; all are counted."""

BREAKS_MAX = 100

USERS_READ_MAX = 200_000
"""Of so many users sums are in memory at once: some 100 MB."""


def audit_archive(
    archive: Archive,
    store: AuditStore,
    deadline: Deadline,
    believed: Believed,
    *,
    writes: bool,
    whole: bool = False,
    keeper: BalanceKeeper | None = None,
    also: Iterable[Difference] = (),
    seen: Callable[[int], None] = lambda _: None,
    undoes: Undoes = nothing_undone,
) -> ArchiveAudit:
    """Audit what came since the last checkpoint, or the ``whole`` chain; ``writes`` a checkpoint at the end.

    ``keeper`` checks balances against the ledger; ``also`` is what was found otherwise, and is looked at again from now on.

    Raises LedgerError where tables or bucket give no answer.
    """
    begun, problems = checkpoints.begun(archive.bucket, deadline, whole=whole)
    tally = Tally(tally_until(store.clock)) if whole else None
    auditor = Auditor(archive, store, deadline, believed, begun, writes, seen, undoes, tally=tally)
    auditor.accepted = acknowledged(archive.bucket, deadline)
    auditor.tell(Difference(Kind.ARCHIVE, problem) for problem in problems)
    auditor.tell_again(also)
    return evolve(auditor.run(keeper), acknowledged=tuple(auditor.accepted[each] for each in auditor.passed_over))


@define
class Auditor:
    """Goes through the chain from a checkpoint on."""

    archive: Archive
    store: AuditStore
    deadline: Deadline
    believed: Believed
    begun: Checkpoint
    writes: bool
    seen: Callable[[int], None]
    undoes: Undoes = nothing_undone
    differences: list[Difference] = Factory(list)
    counts: Counter[Kind] = Factory(Counter)
    sums: Sums = field(init=False)
    head: Head = field(init=False)
    at: str = field(init=False)
    entries: int = field(init=False)
    tally: Tally | None = None
    """Of an audit of the whole: what the archive has."""
    accepted: dict[str, Acknowledged] = Factory(dict)
    """What people answer for of the archive: it is told apart from what is found (``passed_over``)."""
    passed_over: dict[str, None] = Factory(dict)
    objects: int = 0
    records: int = 0
    new: int = 0
    _before: set[EntryKey] = field(init=False)
    """Where the audit before has found something."""
    _open: dict[EntryKey, str] = Factory(dict)
    _undecided: set[EntryKey] = Factory(set)
    """Where nothing can be said: the time was over before the original was found."""
    _open_users: set[str] = Factory(set)
    _told: set[tuple[Kind, EntryKey | None]] = Factory(set)
    """What was found otherwise, and is not counted again where the chain tells it as well."""
    _breaks: list[str] = field(init=False)
    _silent: dict[EntryKey, str] = field(init=False)
    _off: set[str] = Factory(set)
    """Users whose balance the audit before has found off."""
    unchecked: str = ""
    _again: dict[str, list[Open]] = field(init=False)
    """What was found before, by its object: looked at again in the first part."""

    def __attrs_post_init__(self) -> None:
        begun = self.begun
        self.sums = Sums(self.archive.bucket, begun.digits, dict(begun.pages), begun.users, self.writes)
        self.head, self.at, self.entries = begun.head, begun.at, begun.entries
        self._breaks = list(begun.breaks)
        self._silent = {Open.read([reference, number, ""]).key: at for reference, number, at in begun.silent}
        self._again, self._before = {}, {each.key for each in begun.open}
        for each in (*begun.open, *begun.undecided):
            self._again.setdefault(each.archived, []).append(each)

    def run(self, keeper: BalanceKeeper | None) -> ArchiveAudit:
        """Audit, and keep a checkpoint."""
        self.tell(Difference(Kind.ARCHIVE, problem) for problem in self._breaks)
        busy: tuple[str, ...] = ()
        checked = None
        is_at_the_end = self._parts()
        if is_at_the_end and self.tally is not None:
            self._compare_all(self.tally)
        if is_at_the_end:
            is_at_the_end, busy, checked = self._books(keeper)
        is_kept = self.writes and len(self._open) + len(self._undecided) <= OPEN_MAX and self._keep()
        counts = {kind: self.counts[kind] for kind in Kind}
        told = tuple(self.differences)
        sizes = (self.objects, self.records, self.entries, self.sums.users)
        unexplained = sum(at <= self._ago(UNEXPLAINED_AFTER) for at in self._silent.values())
        return ArchiveAudit(
            self.begun.head,
            self.head,
            *sizes,
            told,
            counts,
            busy,
            is_at_the_end and not self._undecided,
            checked,
            new=self.new,
            is_kept=is_kept,
            unexplained=unexplained,
            unchecked=self.unchecked,
        )

    def _ago(self, span: timedelta) -> str:
        return posting_text(self.store.clock.now() - span)

    def _note_silent(self, part: Part) -> None:
        """Note which flagged entries wait for an explanation."""
        for key, spot in part.spots.items():
            if spot.words:
                self._silent.pop(key, None)
            elif spot.is_new and spot.original is not None and spot.original.anomalies:
                self._silent[key] = spot.original.posted_at if spot.is_taken_in else spot.at
        yesterday = self._ago(UNEXPLAINED_UNTIL)
        self._silent = {key: at for key, at in self._silent.items() if at >= yesterday}

    def tell(self, found: Iterable[Difference]) -> None:
        """Take note of what was found."""
        for each in found:
            if each.kind is Kind.ARCHIVE and each.problem in self.accepted:
                self.passed_over[each.problem] = None
                continue
            self.counts[each.kind] += 1
            self.new += not self._is_known(each)
            if len(self.differences) < TOLD_MAX:
                self.differences.append(each)

    def tell_again(self, found: Iterable[Difference]) -> None:
        """Take note of what was found, and look at it again in the next audit."""
        for each in found:
            self.tell([each])
            if each.key is not None:
                self._open[each.key] = ""
                self._told.add((each.kind, each.key))
            elif each.kind is Kind.ARCHIVE:
                self._breaks = [*self._breaks, each.problem][:BREAKS_MAX]

    def _is_known(self, each: Difference) -> bool:
        """Say whether the audit before has found it as well."""
        if each.kind in {Kind.DRIFT, Kind.BALANCE}:
            return each.users <= (self._off if each.kind is Kind.BALANCE else set(self.begun.open_users))
        return each.problem in self.begun.breaks or (each.key is not None and each.key in self._before)

    # --- the chain ---

    def _parts(self) -> bool:
        """Go through the chain part by part. False where the time was over before its end."""
        objects = follow(self.archive.bucket, self.head, self.archive.head, self.deadline)
        last = self.deadline.left() * RESERVE
        while True:
            part, before, is_last = Part(self.at), self.head, True
            here = before
            for each in objects:
                if isinstance(each, Break):
                    self._break(each.problem)
                    continue
                part.take(each, list(self._records(each)))
                here = each.head
                if part.is_full or self.deadline.left() < last:
                    is_last = False
                    break
            self._examine(part, before, here)
            if is_last or self.deadline.left() < last:
                return is_last

    def _break(self, problem: str) -> None:
        if problem not in self._breaks:
            self.tell([Difference(Kind.ARCHIVE, problem)])
            self._breaks = [*self._breaks, problem][:BREAKS_MAX]

    def _records(self, of: ArchiveObject) -> Iterator[ArchivedRecord]:
        self.objects += 1
        for number, line in enumerate(of.lines, start=FIRST_LINE):
            try:
                yield self.archive.reads(line)
            except ValueError as error:
                self._break(f"{of.key}, line {number}: {error}")

    def _examine(self, part: Part, before: Head, until: Head) -> None:
        """Look at what a part tells; the sums and the head go on."""
        self._look_again(part)
        search = Search(self.archive.bucket, self.archive.reads, before, self.deadline)
        find_older(part, search, self.store, self.begun.written)
        for key in self._before & part.spots.keys():
            part.spots[key].is_undecided = False  # what was found stands until somebody sees that it is put right
        logs = Logs(self.store, self.deadline, part.spots, self.believed, self.undoes)
        references = logs.references()
        now = logs.read(references)
        self._report(part, [*changes(part.spots.values(), now), *logs.differences(references, now)])
        for spot in part.spots.values():
            if spot.is_new and spot.original is not None:
                self.entries += 1
                if self.tally is not None:
                    self.tally.add(spot.original, spot.digest)
                if (user := spot.original.line.user) is not None and spot.is_entry:
                    self.sums.add(user, spot.original.line.moves, spot.number, self.deadline)
        self._note_silent(part)
        self._undecided -= part.spots.keys()
        self._undecided |= {spot.key for spot in part.spots.values() if spot.is_undecided}
        self.records += part.records
        self.head, self.at = until, max(self.at, part.until)
        self.seen(self.records)
        if self.writes and self.sums.read > USERS_READ_MAX:
            self.sums.save(self.deadline)

    def _look_again(self, part: Part) -> None:
        """Let a part hold what was found before, with its originals."""
        again, self._again = self._again, {}
        for key, places in again.items():
            of = read_object(self.archive.bucket, key, self.deadline) if key else None
            found = (
                {record.key: record for record in reversed(list(records_of(self.archive.reads, of)))} if of is not None else {}
            )
            for each in places:
                spot = part.spots.setdefault(each.key, Spot(each.key))
                spot.is_open = spot.is_older = True
                record = found.get(each.key)
                if record is not None and record.entry is not None and of is not None:
                    spot.found_before(record, of, None)
                    spot.is_older = False

    def _report(self, part: Part, found: Iterable[Difference]) -> None:
        named: set[tuple[Kind, EntryKey | None]] = set(self._told)
        for each in found:
            if (each.kind, each.key) not in named:
                self.tell([each])
            named.add((each.kind, each.key))
            if each.key is not None:
                spot = part.spots.get(each.key)
                self._open[each.key] = spot.archived if spot is not None else ""

    def _compare_all(self, tally: Tally) -> None:
        """Compare all of the ledger with all of the archive."""
        both = self.archive.bucket, self.archive.reads, self.store
        whole = Whole(*both, tally, self.head, self.deadline, lambda entries: self.seen(self.records + entries))
        self.tell_again(list(whole.differences(of_the_ledger(self.differences))))

    # --- the books ---

    def _books(self, keeper: BalanceKeeper | None) -> tuple[bool, tuple[str, ...], CheckedBalances | None]:
        """Compare the users' sums with their rows. Says first whether that came to its end."""
        place = self.sums, self.head, self.at, self.deadline, self.begun.written, self.begun.count
        books = ArchivedBooks(self.archive.bucket, self.store, self.archive.reads, *place)
        drifts: list[Difference] = []
        is_kept = keeper is not None and keeper.is_needed
        try:
            for each in books.differences(frozenset(self.begun.open_users), reads_all=is_kept):
                drifts.append(each)
                self.tell([each])
        except (SumsError, LedgerUnavailable) as error:
            if isinstance(error, SumsError):
                self.tell([Difference(Kind.ARCHIVE, str(error))])
            self._open_users = {*self.begun.open_users, *books.busy, *(user for each in drifts for user in each.users)}
            return False, tuple(books.busy), None
        self._open_users = {*books.busy, *(user for each in drifts for user in each.users)}
        self.tell(late(entry) for entry in books.late.values())
        return True, tuple(books.busy), self._checked(keeper, books.rows) if keeper is not None else None

    def _checked(self, keeper: BalanceKeeper, rows: Mapping[str, Credit]) -> CheckedBalances | None:
        """Check balances against the ledger, or end that where nobody wants it any more. What else was found stays found."""
        self._off = set(keeper.book.off)
        try:
            checked = keeper.look(rows, self._open_users)
        except LedgerError as error:
            self.unchecked = f"{type(error).__name__}: {error}"
            return None
        for each in checked.drifts if checked is not None else ():
            self.tell([Difference(Kind.BALANCE, each.problem, users=frozenset({each.user}))])
        return checked

    def _keep(self) -> bool:
        self.sums.save(self.deadline)
        # scheduled runs keep checkpoints while one of the whole goes on: it comes behind them
        before = self.begun if self.tally is None else checkpoints.begun(self.archive.bucket, self.deadline, whole=True)[0]
        kept = Checkpoint(
            count=before.count + 1,
            head=self.head,
            at=self.at,
            entries=self.entries,
            users=self.sums.users,
            digits=self.sums.digits,
            pages=dict(self.sums.pages),
            open=tuple(Open(key, archived) for key, archived in sorted(self._open.items())),
            open_users=tuple(sorted(self._open_users)),
            silent=tuple((key[0], str(key[1]), at) for key, at in sorted(self._silent.items())),
            breaks=tuple(self._breaks),
            written=self.begun.written_until(self.head, self.store.clock.now()),
            undecided=tuple(map(Open, sorted(self._undecided - self._open.keys()))),
        )
        checkpoints.keep(self.archive.bucket, kept, self.deadline)
        return True
