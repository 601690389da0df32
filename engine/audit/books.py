"""The audit: whether the books agree, and whether the entries are what they were.

For every user the sum of the ledger's entries must be what Credits says was posted, and what they hold together its ``held``;
of every job (and grant) each entry must follow from those before it; and what was sealed must still be there. Where only
events grant, each balance must follow too.
Writers may be at work meanwhile: what differs at first sight is looked at again, alone, and counts only where nobody wrote in
between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Self

from attrs import Factory, define, evolve, field, frozen

from engine.audit.balances import BalanceDrift, BalanceKeeper, CheckedBalances
from engine.audit.claims import Claims
from engine.audit.holding import holding_faults, is_about_holds
from engine.audit.logs import Fault, faults
from engine.audit.seals import Sealer
from engine.domain.errors import TimeIsUp
from engine.domain.instants import posting_text
from engine.domain.money import EXACT, ZERO
from engine.ledger.audits import AuditedEntry, AuditStore, Credit
from engine.ledger.moved import Moved, sum_of
from engine.ledger.seals import NO_SEAL, Seal
from engine.ledger.store import Store
from engine.runtime.clock import Deadline

__all__ = ["Audit", "BalanceDrift", "Drift", "Fault", "audit", "audit_of"]

LOOKS_MAX = 5
"""How often a user whose sums differ is looked at again before it is left to the next audit."""

SECONDS_BETWEEN_LOOKS = 1.0
"""Longer than the index trails the table."""

UNEXPLAINED_AFTER, UNEXPLAINED_UNTIL = timedelta(hours=1), timedelta(days=1)
"""So old are flagged entries that should have an explanation. What is older was told of by the runs before."""

ENTRIES_BETWEEN_LOOKS_AT_THE_CLOCK = 500


@frozen
class Drift:
    """A user whose ledger and row disagree (credits, signed): in what was posted, in what is held, or in both.

    ``ledger`` is the sum of the entries and ``holds`` what they hold together; ``posted`` and ``held`` are what the row says,
    None where that is no number.
    """

    user: str
    ledger: Decimal
    posted: Decimal | None
    holds: Decimal = ZERO
    held: Decimal | None = ZERO

    @classmethod
    def of(cls, entries: Moved, row: Credit) -> Self:
        """Return the drift of a user whose entries come to something else than the row says."""
        return cls(row.user, entries.amount, row.posted, entries.held, row.held)

    @property
    def entries(self) -> Moved:
        """What the entries come to."""
        return Moved(self.ledger, self.holds)

    @property
    def surplus(self) -> Moved | None:
        """By how much the entries exceed what the row says; None where that is no number."""
        if self.posted is None or self.held is None:
            return None
        return self.entries - Moved(self.posted, self.held)

    @property
    def problem(self) -> str:
        """What the entries come to, and what the row says, of what they disagree in."""
        return self.problem_of("the entries")

    def problem_of(self, entries: str) -> str:
        """Return the same of ``entries`` that a person knows by another name."""
        posted = f"{entries} add up to {self.ledger:f}, Credits says {_number(self.posted)}"
        held = f"{entries} hold {self.holds:f}, Credits says that {_number(self.held)} are held"
        return "; ".join([*([posted] if self.ledger != self.posted else ()), *([held] if self.holds != self.held else ())])


def _number(said: Decimal | None) -> str:
    return "no number" if said is None else f"{said:f}"


@frozen
class Audit:
    """What an audit saw: users whose books do not agree, and entries that do not follow.

    ``busy`` are users of whom nothing can be said, since they were written to at each look. ``sealed`` is the newest seal,
    which this audit may have made.
    """

    entries: int
    users: int
    net: Decimal
    """The sum of all entries."""
    drifts: tuple[Drift, ...]
    faults: tuple[Fault, ...] = ()
    busy: tuple[str, ...] = ()
    sealed: Seal = NO_SEAL
    came_or_went: int = 0
    """Entries behind the seals: above 0 for those that were put there later, below 0 for those that are gone."""
    unexplained: int = 0
    """Flagged entries of the last day that have no explanation after an hour."""
    checked: CheckedBalances | None = None
    """What is off of the balances that are checked against the ledger; None where they are not."""

    @property
    def balances(self) -> tuple[BalanceDrift, ...]:
        """The balances that do not follow from the ledger."""
        return self.checked.drifts if self.checked is not None else ()

    @property
    def is_clean(self) -> bool:
        """Whether all that could be said is good."""
        return not self.damages

    @property
    def damages(self) -> int:
        """How many users, entries and seals are not as they should be."""
        return len(self.drifts) + len(self.balances) + len(self.faults) + bool(self.came_or_went)


def audit(
    ledger: Store,
    deadline: Deadline,
    seen: Callable[[int], None] = lambda _: None,
    sealer: Sealer | None = None,
    keeper: BalanceKeeper | None = None,
) -> Audit:
    """Read the tables once and compare. ``seen`` is told how many entries were read so far; ``sealer`` seals them by the way.

    ``keeper`` checks balances against the ledger; without one nobody looks at them. Raises TimeIsUp where the deadline comes
    first: half an audit says nothing, and seals nothing.
    """
    return audit_of(ledger.audits(), deadline, seen, sealer, keeper)


def audit_of(
    store: AuditStore,
    deadline: Deadline,
    seen: Callable[[int], None] = lambda _: None,
    sealer: Sealer | None = None,
    keeper: BalanceKeeper | None = None,
) -> Audit:
    """Audit what audits see of a ledger, as ``audit`` does."""
    rows = {row.user: row for row in store.credits(deadline, with_remaining=keeper is not None and keeper.is_needed)}
    books = Books(store, deadline, seen, sealer)
    books.read()
    users = books.sums.keys() | rows.keys()
    suspects = sorted(user for user in users if books.moved_for(user) != rows.get(user, Credit(user)).says)
    looks = [(user, look_again(store, user, deadline)) for user in suspects]
    result = Audit(
        entries=books.count,
        users=len(users),
        net=total(books.sums.values()),
        drifts=tuple(look for _, look in looks if isinstance(look, Drift)),
        faults=(
            *(fault for log in sorted(books.suspects) for fault in faults_now(store, log, deadline)),
            *books.claims.faults(store, deadline),
        ),
        busy=tuple(user for user, look in looks if look is BUSY),
        unexplained=books.unexplained,
        checked=keeper.look(rows, {user for user, look in looks if look is not None}) if keeper is not None else None,
    )
    return evolve(result, sealed=sealer.close(), came_or_went=sealer.came_or_went) if sealer else result


@define
class Books:
    """The ledger, read once: the sum of each user, and the logs to look at again.

    DynamoDB gives the entries of one reference one after the other; where it does not, the log is looked at again.
    """

    store: AuditStore
    deadline: Deadline
    seen: Callable[[int], None]
    sealer: Sealer | None
    count: int = 0
    sums: dict[str, Decimal] = field(factory=lambda: defaultdict(lambda: ZERO))
    held: dict[str, Decimal] = field(factory=lambda: defaultdict(lambda: ZERO))
    """What is held for users, of whom an entry holds anything."""
    suspects: set[str] = Factory(set)
    claims: Claims = Factory(Claims)
    unexplained: int = 0
    _unexplained_since: str = field(init=False)
    _unexplained_until: str = field(init=False)
    _log: list[AuditedEntry] = Factory(list)

    def __attrs_post_init__(self) -> None:
        now = self.store.clock.now()
        self._unexplained_since = posting_text(now - UNEXPLAINED_UNTIL)
        self._unexplained_until = posting_text(now - UNEXPLAINED_AFTER)

    def read(self) -> None:
        """Read every entry."""
        check_time(self.deadline)
        for entry in self.store.entries(self.deadline):
            self._take(entry)
            if entry.problem:
                self.suspects.add(entry.line.reference)
            self.claims.take(entry)
            self.unexplained += self._lacks_words(entry)
            if self.sealer:
                self.sealer.take(entry)
            if self.count % ENTRIES_BETWEEN_LOOKS_AT_THE_CLOCK == 0:
                check_time(self.deadline)
                self.seen(self.count)
        self._close_log()
        self.seen(self.count)

    def _lacks_words(self, entry: AuditedEntry) -> bool:
        is_silent = bool(entry.anomalies) and not entry.is_explained
        return is_silent and self._unexplained_since <= entry.posted_at <= self._unexplained_until

    def moved_for(self, user: str) -> Moved:
        """Return what a user's entries come to."""
        return Moved(self.sums.get(user, ZERO), self.held.get(user, ZERO))

    def _take(self, entry: AuditedEntry) -> None:
        self.count += 1
        line = entry.line
        if line.user is not None:
            self.sums[line.user] = EXACT.add(self.sums[line.user], line.moved)
            if line.held:
                self.held[line.user] = EXACT.add(self.held[line.user], line.held)
        if self._log and self._log[0].line.reference != line.reference:
            self._close_log()
        self._log.append(entry)

    def _close_log(self) -> None:
        if self._log and log_faults(self._log):
            self.suspects.add(self._log[0].line.reference)
        self._log = []


def log_faults(log: Sequence[AuditedEntry]) -> list[Fault]:
    """Return what does not follow in a log: what was posted, and where it is about holds what is held."""
    found = faults([entry.line for entry in log])
    return found if found or not any(map(is_about_holds, log)) else list(holding_faults(log))


def faults_now(store: AuditStore, reference: str, deadline: Deadline) -> list[Fault]:
    """Return what does not follow in a log as it stands now, and what is no entry in it."""
    log = store.log(reference, deadline)
    found = log_faults(log)
    named = {fault.sequence for fault in found}
    return [*found, *(fault for fault in unreadable(log) if fault.sequence not in named)]


def unreadable(log: Sequence[AuditedEntry]) -> Iterator[Fault]:
    """Yield what is no entry of this system in the entries of one reference, from the last correction on."""
    since = max((index for index, entry in enumerate(log) if entry.line.is_correction), default=0)
    for entry in log[since:]:
        if problem := entry.problem:
            yield Fault(entry.line.reference, entry.line.sequence, problem)


BUSY = "busy"
"""What is said of a user who was written to at each look."""


def look_again(store: AuditStore, user: str, deadline: Deadline) -> Drift | str | None:
    """Return the drift of a user, None where the sums agree, or BUSY.

    A difference counts only where nothing was posted since the look before: the row says the same, and there are as many
    entries. (A row alone proves nothing: a debit and its refund bring it back to what it was.) Then the index, which trails
    the table by a moment, has come to the end as well.
    """
    before: tuple[Credit, int] | None = None
    for look in range(LOOKS_MAX):
        check_time(deadline)
        if look:
            store.clock.wait(SECONDS_BETWEEN_LOOKS)
        row = store.credit(user, deadline)
        moved = [entry.line.moves for entry in store.entries_of_user(user, deadline)]
        if (ledger := sum_of(moved)) == row.says:
            return None
        if (row, len(moved)) == before and row == store.credit(user, deadline):
            return Drift.of(ledger, row)
        before = row, len(moved)
    return BUSY


def check_time(deadline: Deadline) -> None:
    """Raise TimeIsUp where the time is used up."""
    if deadline.left() <= 0:
        raise TimeIsUp("the audit's time was used up")


def total(amounts: Iterable[Decimal], begun: Decimal = ZERO) -> Decimal:
    """Return the exact sum."""
    result = begun
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result
