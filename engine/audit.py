"""The audit: for every user, the sum of the ledger's entries must be what Credits says was posted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from attrs import frozen

from engine.clock import Deadline
from engine.decimals import EXACT, ZERO
from engine.ledger import Ledger, LedgerUnavailable

LOOKS_MAX = 5
"""How often a user whose sums differ is looked at again before it counts as drift."""

SECONDS_BETWEEN_LOOKS = 1.0
ENTRIES_BETWEEN_LOOKS_AT_THE_CLOCK = 500


@frozen
class Drift:
    """A user whose ledger and balance disagree (credits, signed)."""

    user: str
    ledger: Decimal
    posted: Decimal


@frozen
class Audit:
    """What an audit saw, and the users whose books do not agree."""

    entries: int
    users: int
    net: Decimal
    """The sum of all entries."""
    drifts: tuple[Drift, ...]


def audit(ledger: Ledger, deadline: Deadline, seen: Callable[[int], None] = lambda _: None) -> Audit:
    """Compare every user's entries with Credits. ``seen`` is told how many entries were read so far.

    Raises LedgerUnavailable where the deadline comes first: half an audit says nothing.

    The two tables are read one after the other, so a posting in between makes them differ. A user that differs is looked at
    again, alone, until the sums agree or stay apart without a posting in between.
    """
    posted = {row["userId"]: Decimal(row.get("posted", ZERO)) for row in ledger.balances(deadline)}
    sums, entries = _sums(ledger, deadline, seen)
    suspects = sorted(user for user in sums.keys() | posted.keys() if sums.get(user, ZERO) != posted.get(user, ZERO))
    return Audit(
        entries=entries,
        users=len(sums.keys() | posted.keys()),
        net=_total(sums.values()),
        drifts=tuple(drift for user in suspects if (drift := _look_again(ledger, user, deadline))),
    )


def _sums(ledger: Ledger, deadline: Deadline, seen: Callable[[int], None]) -> tuple[dict[str, Decimal], int]:
    sums: dict[str, Decimal] = defaultdict(lambda: ZERO)
    count = 0
    for count, entry in enumerate(ledger.entries(("userId", "amount"), deadline), start=1):
        sums[entry["userId"]] = EXACT.add(sums[entry["userId"]], Decimal(entry["amount"]))
        seen(count)
        if count % ENTRIES_BETWEEN_LOOKS_AT_THE_CLOCK == 0:
            _check_time(deadline)
    return dict(sums), count


def _look_again(ledger: Ledger, user: str, deadline: Deadline) -> Drift | None:
    """Return the drift of a user, or None once the sums agree.

    The index trails the table by a moment, so a difference counts only if it is still there after the last look.
    """
    drift = None
    for drift in _looks(ledger, user, deadline):
        if drift.ledger == drift.posted:
            return None
    return drift


def _looks(ledger: Ledger, user: str, deadline: Deadline) -> Iterator[Drift]:
    for look in range(LOOKS_MAX):
        _check_time(deadline)
        if look:
            ledger.clock.wait(SECONDS_BETWEEN_LOOKS)
        amounts = (Decimal(entry["amount"]) for entry in ledger.entries_of_user(user, deadline))
        total = _total(amounts)
        row = ledger.balance(user, deadline) or {}
        yield Drift(user, total, Decimal(row.get("posted", ZERO)))


def _check_time(deadline: Deadline) -> None:
    if deadline.left() <= 0:
        raise LedgerUnavailable("the audit's time was used up")


def _total(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
