"""What a log says of itself: the entries of one reference follow from each other, or something was done to them. Pure.

Every entry says what its job should have cost so far, so each must bring the sum of the entries there. A flag may leave a
debit open (the balance did not cover it), and so may the end of a hold. No log holds less than nothing, and after the end of a
hold it holds nothing. What a correction says counts for all that stands before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from attrs import frozen

from engine.domain.entry_types import ENTRY_TYPES, EntryType, TypeOfEntry
from engine.domain.errors import shown
from engine.domain.money import EXACT, ZERO
from engine.domain.references import LOGS
from engine.ledger.audits import Line


@frozen
class Fault:
    """What does not follow in a log, and where: ``sequence`` is the entry's, or of the one that is missing.

    ``claim`` is the log that claims the id of an adjustment, or should, where one of the two is missing.
    """

    reference: str
    sequence: int | Decimal
    problem: str
    claim: str = ""


@frozen
class Balance:
    """The sum of a log so far, and what it should be."""

    posted: Decimal = ZERO
    settled: Decimal = ZERO
    held: Decimal = ZERO

    def then(self, line: Line) -> Balance:
        """Return all after one more entry. Of an entry without a cost nothing can be said."""
        moves = line.moves
        posted, held = EXACT.add(self.posted, moves.amount), EXACT.add(self.held, moves.held)
        return Balance(posted, posted if line.cost is None else self._settled(line, EXACT.minus(line.cost)), held)

    def _settled(self, line: Line, desired: Decimal) -> Decimal:
        """Return what the sum should be after an entry. What an earlier refusal left due, no hold and no release posts."""
        if line.type in RESERVES:
            return min(max(desired, EXACT.subtract(self.settled, line.moves.held)), ZERO)
        may_be_refused = not line.is_correction or self.posted == self.settled  # of a job that waits for its balance
        is_refused = _may_leave_due(line) and desired < self.settled and may_be_refused
        return self.settled if is_refused else desired


RESERVES = frozenset({EntryType.HOLD.value, EntryType.RELEASE.value})
ENDS_A_HOLD = frozenset({EntryType.SETTLE.value, EntryType.RELEASE.value})


def _may_leave_due(line: Line) -> bool:
    """Say whether an entry may leave a debit open. Where a charge ends a hold, the hold ends even if the rest is refused."""
    return line.type == EntryType.FLAG or (line.type == EntryType.SETTLE and line.amount == ZERO)


TYPES: Mapping[str, TypeOfEntry] = {entry_type.value: row for entry_type, row in ENTRY_TYPES.items()}
"""What an entry may say that it is, a damaged one too."""


def faults(log: Sequence[Line]) -> list[Fault]:
    """Return what does not follow in the entries of one reference (in order of their sequence), since the last correction."""
    since = max((index for index, line in enumerate(log) if line.is_correction), default=-1)
    balance = Balance()
    for line in log[: since + 1]:
        balance = balance.then(line)
    last = int(log[since].sequence) if since >= 0 else 0
    owner = _owner(log, max(since, 0))
    found = [] if balance.posted == balance.settled else [_sum_fault(log[since], balance)]
    for line in log[since + 1 :]:
        gap = list(_gap(line, last))
        found += [*gap, *_shape_faults(line, owner)]
        was_right = balance.posted == balance.settled and not gap
        before, balance, last = balance, balance.then(line), max(last, int(line.sequence))
        found += _held_faults(line, before.held, balance.held)
        if was_right and balance.posted != balance.settled:
            found.append(_sum_fault(line, balance))
    return found


def settled(log: Sequence[Line]) -> Decimal:
    """Return what the entries of a log should add up to, by what they say of the cost."""
    balance = Balance()
    for line in log:
        balance = balance.then(line)
    return balance.settled


def _owner(log: Sequence[Line], since: int) -> str | None:
    """Return whose a log is: who is named first by an entry that says so."""
    return next((line.user for line in log[since:] if line.names_its_user), None)


def _held_faults(line: Line, before: Decimal, held: Decimal) -> Iterator[Fault]:
    """Yield what is wrong with what is held after an entry, where it was right before."""
    if line.held is None:
        yield Fault(line.reference, line.sequence, "what it holds is no number")
    elif before >= ZERO > held:
        yield Fault(line.reference, line.sequence, f"with it {held:f} are held; less than nothing cannot be")
    elif line.type in ENDS_A_HOLD and held > ZERO:
        yield Fault(line.reference, line.sequence, f"it ends the hold, and {held:f} are still held")


def _gap(line: Line, last: int) -> Iterator[Fault]:
    for missing in range(last + 1, int(line.sequence))[:1]:
        until = int(line.sequence) - 1
        what = "is missing" if missing == until else f"and those up to {until} are missing"
        yield Fault(line.reference, missing, what)


def _shape_faults(line: Line, owner: str | None) -> Iterator[Fault]:
    yield from _place_faults(line)
    known = TYPES.get(line.type)
    if line.amount is None:
        yield Fault(line.reference, line.sequence, "its amount is no number")
    elif known is None:
        yield Fault(line.reference, line.sequence, f"its type is {shown(line.type)}; one of {', '.join(TYPES)} is needed")
    elif (line.amount > 0) - (line.amount < 0) not in known.signs:
        yield Fault(line.reference, line.sequence, f"its amount is {line.amount:f}; of a {line.type} it is {known.amount_is}")
    if line.user is None or (line.names_its_user and line.user != owner):
        yield Fault(line.reference, line.sequence, f"its user is {shown(line.user)}; the log is of {shown(owner)}")


def _place_faults(line: Line) -> Iterator[Fault]:
    if not line.reference.startswith(LOGS):
        problem = f"its log is {shown(line.reference)}; one that begins with {', '.join(LOGS)} is needed"
        yield Fault(line.reference, line.sequence, problem)
    if not isinstance(line.sequence, int) or line.sequence < 1:
        problem = f"its sequence is {shown(line.sequence)}; a whole number from 1 on is needed"
        yield Fault(line.reference, line.sequence, problem)


def _sum_fault(line: Line, balance: Balance) -> Fault:
    problem = f"with it the entries add up to {balance.posted:f}; {balance.settled:f} follows from its cost"
    return Fault(line.reference, line.sequence, problem)
