"""Balances that are checked against the ledger: where only events grant, each is what the user had and what was posted since.

The first audit under such a policy notes for every user what was there beside the postings, the opening; who comes later
had nothing. Balance and ``posted`` stand in one row and move together, so one consistent look at it tells: a posting between
two reads cannot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from attrs import define, field, frozen

from engine.domain.instants import instant_text
from engine.domain.money import EXACT, ZERO, canonical
from engine.ledger.audits import AuditStore, Credit
from engine.ledger.balances import BalanceBook, BalanceLine, PageKind, paged
from engine.runtime.clock import Deadline


@frozen
class BalanceDrift:
    """A balance that does not follow from the ledger (credits). ``remaining`` is None where it is no number."""

    user: str
    remaining: Decimal | None
    expected: Decimal
    """The opening, and what was posted."""
    since: str
    """The audit that saw it first: an instant. The balance was changed between the one before and this one."""

    @property
    def by(self) -> Decimal | None:
        """How much the balance is too large."""
        return None if self.remaining is None else EXACT.subtract(self.remaining, self.expected)

    @property
    def problem(self) -> str:
        """Whose balance is off, by how much, and since when."""
        if self.remaining is None or self.by is None:
            what = f"the balance is no number; {canonical(self.expected)} follows"
        else:
            remaining, expected, off = map(canonical, (self.remaining, self.expected, abs(self.by)))
            what = f"the balance is {remaining}; {expected} follows: {off} too {'much' if self.by > 0 else 'little'}"
        return f"{self.user}: {what}, first seen by the audit of {self.since}"


@frozen
class CheckedBalances:
    """What an audit saw of the balances that have been checked against the ledger ``since`` an audit (an instant)."""

    since: str
    drifts: tuple[BalanceDrift, ...] = ()


@define
class BalanceKeeper:
    """Compares balances with the ledger, and keeps the book of what it saw.

    ``wanted`` is whether the policy wants balances to be checked; None: nobody has asked it, and the book says whether they
    are. What only looks ``writes`` nothing.
    """

    store: AuditStore
    at: datetime
    deadline: Deadline
    wanted: bool | None = None
    writes: bool = False
    book: BalanceBook = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.book = BalanceBook.of(self.store.balance_pages(self.deadline))

    @property
    def is_needed(self) -> bool:
        """Whether balances have to be read."""
        return bool(self.book.since) if self.wanted is None else self.wanted

    def look(self, rows: Mapping[str, Credit], unclear: Collection[str]) -> CheckedBalances | None:
        """Return which balances do not follow from the ledger; None where they are not checked.

        Of users who are ``unclear``, since their entries and ``posted`` do not agree, nothing is said until they do.
        """
        if not self.is_needed:
            if self.book.since:
                self._keep(PageKind.CLOSED, ())
            return None
        if not self.book.since:
            opened = self._keep(PageKind.OPENING, _openings(rows, unclear))
            return CheckedBalances(self._now) if opened else None
        self._note(rows, unclear)
        drifts = tuple(self._drifts(rows, unclear))
        self._find(drifts, unclear)
        return CheckedBalances(self.book.since, drifts)

    @property
    def _now(self) -> str:
        return instant_text(self.at)

    def _note(self, rows: Mapping[str, Credit], unclear: Collection[str]) -> None:
        """Note the openings that could not be told so far."""
        unknown = [user for user, opening in self.book.openings.items() if opening is None and user not in unclear]
        known = [(user, opening) for user in unknown if (opening := opening_of(rows.get(user, Credit(user)))) is not None]
        if known:
            self._keep(PageKind.NOTED, known)

    def _drifts(self, rows: Mapping[str, Credit], unclear: Collection[str]) -> Iterator[BalanceDrift]:
        for user in sorted((rows.keys() | self.book.openings.keys()) - set(unclear)):
            if drift := self.drift_of(rows.get(user, Credit(user))):
                yield drift

    def drift_of(self, row: Credit) -> BalanceDrift | None:
        """Return by what a user's balance is off, as far as the book says what follows; None where it is not, or unchecked."""
        opening = self.book.openings.get(row.user, ZERO)
        if not self.is_needed or opening is None or row.posted is None:
            return None
        expected = EXACT.add(opening, row.posted)
        since = self.book.off.get(row.user, self._now)
        return BalanceDrift(row.user, row.remaining, expected, since) if row.remaining != expected else None

    def _find(self, drifts: Iterable[BalanceDrift], unclear: Collection[str]) -> None:
        """Keep which balances are off since this audit, and which are right again."""
        by = {drift.user: drift.by for drift in drifts}
        new: list[BalanceLine] = [(user, amount) for user, amount in by.items() if user not in self.book.off]
        right: list[BalanceLine] = [(user, ZERO) for user in self.book.off if user not in by and user not in unclear]
        if new or right:
            self._keep(PageKind.FOUND, [*new, *right])

    def _keep(self, kind: PageKind, lines: Iterable[BalanceLine]) -> bool:
        """Append what was seen to the book, and say whether it stands there. Another audit may be faster: then it counts."""
        for page in paged(self.book.number + 1, kind, self._now, lines) if self.writes else ():
            if not self.store.keep_balances(page, self.deadline):
                return False
            self.book.take(page)
        return self.writes


def opening_of(row: Credit) -> Decimal | None:
    """Return what a user has beside all postings; None where the row says what is no number."""
    if row.remaining is None or row.posted is None:
        return None
    return EXACT.subtract(row.remaining, row.posted)


def _openings(rows: Mapping[str, Credit], unclear: Collection[str]) -> Iterator[BalanceLine]:
    """Yield what users had; who had nothing is left out, and has nothing whether or not it stands in the book."""
    for user in sorted({*rows, *unclear}):
        opening = None if user in unclear else opening_of(rows[user])
        if opening != ZERO:
            yield user, opening
