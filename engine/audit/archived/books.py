"""What the archive says was posted and is held for each user against what the users' rows say.

Writers are at work, and the archive trails the ledger by a minute: what is on its way is added up from the ledger. A user
whose sums still differ is looked at again, and counts where nobody wrote in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from math import ceil

from attrs import Factory, define, field, frozen

from engine.audit.archived.back import keys_back, objects_back, read_object
from engine.audit.archived.older import DAY, FIRST_DAY, Read, Written, records_of, repeated
from engine.audit.archived.part import DATED_WITHIN
from engine.audit.archived.sums import Sums, UserSum
from engine.audit.books import BUSY, LOOKS_MAX, SECONDS_BETWEEN_LOOKS, Drift, check_time
from engine.audit.differences import Difference, Kind
from engine.domain.instants import posting_text, read_instant
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import Head
from engine.ledger.audits import ArchivedRecord, AuditedEntry, AuditStore, Credit
from engine.ledger.moved import NOTHING, Moved, sum_of
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

USERS_AT_ONCE_MAX = 300_000
"""With no more users all rows are kept in memory. With more, those of so many in each audit, in turn, and those of users for
whom something was posted: so whoever changes ``posted`` of a user who does nothing is found as well, some audits later."""

LATE_AFTER = timedelta(minutes=15)
"""So old is what should be in the archive for long."""

EVIDENCE_OBJECTS_MAX = 20_000
"""So many objects are read at most to count users again."""


@frozen
class Look:
    """What was seen of a user: what the archive says (with what is on its way), and what the row does."""

    row: Credit
    expected: Moved

    @property
    def problem(self) -> str:
        """What the archive and the row say, of what they disagree in."""
        return Drift.of(self.expected, self.row).problem_of("the archived entries")


@define
class ArchivedBooks:
    """Compares sums with rows. ``head`` is where the sums stand, ``at`` the latest instant of a record there."""

    bucket: Bucket
    store: AuditStore
    reads: Read
    sums: Sums
    head: Head
    at: str
    deadline: Deadline
    written: Collection[Written] = ()
    turn: int = 0
    """How many audits came before: which users' rows are looked at, although nothing was posted for them."""
    busy: list[str] = Factory(list)
    rows: dict[str, Credit] = Factory(dict)
    """All rows that were read, where all were."""
    late: dict[EntryKey, AuditedEntry] = Factory(dict)
    """Entries that the archive should have for long."""
    came: dict[str, dict[EntryKey, ArchivedRecord]] = Factory(dict)
    """What came for users who were counted again, since their books agreed."""
    _recent: set[EntryKey] | None = None
    _since: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        at = read_instant(self.at)
        self._since = posting_text(at - DATED_WITHIN) if at is not None else ""

    def differences(self, also: frozenset[str], *, reads_all: bool = False) -> Iterator[Difference]:
        """Yield the users whose row does not say what the archive does; ``also`` are looked at in any case."""
        if self.sums.users <= USERS_AT_ONCE_MAX or reads_all:
            self.rows = {row.user: row for row in self.store.credits(self.deadline, with_remaining=reads_all)}
            suspects = list(self._suspects_of_all())
        else:
            suspects = list(self._suspects_of_some(also))
        differing = {found.user for found in suspects if self._differs(found) is not None}
        doubtful = differing | {entry.line.user for entry in self.late.values()}
        second = [found for found in suspects if found.user in doubtful]
        self.late = {}  # a second look says it, which knows all that was archived lately
        for found in self._recounted(second) if second else ():
            look = self._differs(found)
            if isinstance(look, str):
                self.busy.append(found.user)
            elif look is not None:
                yield self._difference(look, found)

    def _suspects_of_all(self) -> Iterator[UserSum]:
        left = set(self.rows)
        for page in self.sums.all(self.deadline):
            check_time(self.deadline)
            for found in page:
                left.discard(found.user)
                if self.rows.get(found.user, Credit(found.user)).says == found.moves:
                    self.sums.agree(found, self.head.number, self.deadline)
                else:
                    yield found
        yield from (UserSum(user) for user in sorted(left) if self.rows[user].says != NOTHING)

    def _suspects_of_some(self, also: frozenset[str]) -> Iterator[UserSum]:
        """Yield suspects among the users of this turn, those for whom something was posted, and those of the audit before."""
        turns = ceil(self.sums.users / USERS_AT_ONCE_MAX)
        own = {row.user: row for row in self.store.credits(self.deadline) if turn_of(row.user, turns) == self.turn % turns}
        left = own.keys() | also
        for page in self.sums.all(self.deadline):
            check_time(self.deadline)
            left -= {found.user for found in page}
            for found in page:
                is_own = turn_of(found.user, turns) == self.turn % turns
                if (is_own or found.is_open or found.user in also) and self._is_suspect(found, own):
                    yield found
        yield from (found for found in map(UserSum, sorted(left)) if self._is_suspect(found, own))

    def _is_suspect(self, found: UserSum, rows: Mapping[str, Credit]) -> bool:
        """Say whether a row does not say what the archive does; where it does, that is noted."""
        row = rows.get(found.user) or self.store.credit(found.user, self.deadline)
        if row.says == found.moves:
            self.sums.agree(found, self.head.number, self.deadline)
        return row.says != found.moves

    def _differs(self, found: UserSum) -> Look | str | None:
        """Return what is different of a user, as ``_look`` does. Where nothing is, that is noted."""
        look = self._look(found)
        if look is None:
            self.sums.agree(found, self.head.number, self.deadline)
        return look

    # --- a second look ---

    def _look(self, found: UserSum) -> Look | str | None:
        """Return what is different of a user, None where nothing is, or BUSY."""
        before: tuple[Credit, int] | None = None
        for look in range(LOOKS_MAX):
            check_time(self.deadline)
            if look:
                self.store.clock.wait(SECONDS_BETWEEN_LOOKS)
            row = self.store.credit(found.user, self.deadline)
            coming = self._on_their_way(found.user)
            expected = sum_of((entry.line.moves for entry in coming), found.moves)
            if expected == row.says:
                return None
            if (row, len(coming)) == before and row == self.store.credit(found.user, self.deadline):
                return Look(row, expected)
            before = row, len(coming)
        return BUSY

    def _on_their_way(self, user: str) -> list[AuditedEntry]:
        """Return the user's entries that the archive does not have yet."""
        entries = self.store.entries_of_user(user, self.deadline, self._since)
        new = (entry for entry in entries if entry.line.key not in self._archived_lately())
        coming = [entry for entry in new if not isinstance(entry.entry, str)]
        overdue = posting_text(self.store.clock.now() - LATE_AFTER)
        self.late |= {entry.line.key: entry for entry in coming if entry.posted_at < overdue}
        return coming

    def _archived_lately(self) -> set[EntryKey]:
        """Return the places of the newest records: of all that can have been posted since ``_since``."""
        if self._recent is None:
            where, self._recent = repeated(self._since, self.written), set()
            for each in objects_back(self.bucket, self.head, self.deadline, lambda day: day >= where.first or None):
                records = list(records_of(self.reads, each))
                self._recent |= {record.key for record in records}
                if where.ends_at(each.number, max((record.at for record in records), default=""), len(self._recent)):
                    break
        return self._recent

    def _recounted(self, suspects: Sequence[UserSum]) -> list[UserSum]:
        """Return the sums of users counted again since their books agreed, from the archive, without what came twice.

        A record can come again for a day, and stand behind others that are older; so all objects are read of the days in which
        its first telling can be. What was archived lately is known by them as well.
        """
        since = {found.user: found.agreed for found in suspects}
        first, recent = min(since.values()), set[EntryKey]()
        until = min(filter(None, [self._since[:10]]), default=FIRST_DAY)
        before: set[EntryKey] = set()
        for read, (day, key) in enumerate(keys_back(self.bucket, self.head, self.deadline)):
            number = int(key.split("/")[-1][:12])
            if (number <= first and day < until) or read >= EVIDENCE_OBJECTS_MAX:
                break
            check_time(self.deadline)
            of = read_object(self.bucket, key, self.deadline)
            for record in records_of(self.reads, of) if of is not None else ():
                recent.add(record.key)
                if (
                    record.entry is None
                    or (user := record.entry.line.user) not in since
                    or isinstance(record.entry.entry, str)
                ):
                    continue
                if number > since[user]:
                    self.came.setdefault(user, {})[record.key] = record
                    until = min(until, day_before(record.at))
                else:
                    before.add(record.key)
        self._recent = recent
        return [self._corrected(found, before) for found in suspects]

    def _corrected(self, found: UserSum, before: Collection[EntryKey]) -> UserSum:
        came = self.came[found.user] = {
            key: record for key, record in self.came.get(found.user, {}).items() if key not in before
        }
        moves = sum_of((record.entry.line.moves for record in came.values() if record.entry is not None), found.agreed_moves)
        if moves == found.moves or not found.entries:
            return found
        return self.sums.correct(found, moves, found.entries, self.deadline)

    # --- what it can come from ---

    def _difference(self, look: Look, found: UserSum) -> Difference:
        """Return the difference of a user, with the one entry that makes it up, where there is just one of several."""
        since = f"; they agreed at object {found.agreed}" if found.agreed else ""
        by = look.expected - look.row.says if look.row.says is not None else None
        came = self.came.get(found.user, {})
        making_up = [record for record in came.values() if record.entry and record.entry.line.moves == by]
        problem = f"{look.problem}{since}"
        if len(making_up) != 1 or len(came) == found.entries > 1:
            return Difference(Kind.DRIFT, problem, users=frozenset({found.user}))
        key = making_up[0].key
        problem = f"{problem}; {key[0]}, entry {key[1]} alone makes it up"
        return Difference(Kind.DRIFT, problem, key, frozenset({found.user}), making_up[0].entry)


def day_before(at: str) -> str:
    """Return the day before that of an instant: no object of an earlier one has a record of it."""
    came = read_instant(at)
    return (came - DAY).date().isoformat() if came is not None else FIRST_DAY


def turn_of(user: str, turns: int) -> int:
    """Return in which of so many audits in a row a user's row is looked at, whatever was posted."""
    return int.from_bytes(sha256(user.encode("utf-8", "surrogatepass")).digest()[:8]) % turns
