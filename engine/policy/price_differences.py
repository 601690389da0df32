"""What a new row of a price book changes: each rate that changed, came or went, and what its events pay before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING

from attrs import frozen

from engine.domain.money import EXACT, canonical
from engine.domain.price import Tier, TierModel
from engine.policy.price_books import DEFAULT_RATE, Keys, PriceBook, PriceRow, Rates, leaves

if TYPE_CHECKING:
    from engine.policy.model import Policy

TENTH_OF_A_PERCENT = Decimal("0.1")


class Kind(StrEnum):
    """What became of a rate of its own."""

    CHANGED = "changed"
    CAME = "came"
    WENT = "went"


@frozen(eq=False, repr=False)
class Paid:
    """What events pay in one row: the tiers (a plain rate is a single one), and the keys that lead to them."""

    keys: Keys
    tiers: tuple[Tier, ...]
    tier_model: TierModel

    def costs_like(self, other: Paid | None) -> bool:
        """Say whether every quantity costs the same under both."""
        if other is None or self.tiers != other.tiers:
            return False
        return len(self.tiers) == 1 or self.tier_model is other.tier_model


@frozen(eq=False, repr=False)
class RateChange:
    """What changes for the events that select ``keys``: what they pay ``before`` and ``after``; None: they are refused."""

    keys: Keys
    before: Paid | None
    after: Paid | None

    @property
    def unit(self) -> str:
        """The keys, joined as an entry's price has them."""
        return "/".join(self.keys)

    @property
    def kind(self) -> Kind:
        """Whether the rate is there before, after, or in both."""
        if self.before is None or self.before.keys != self.keys:
            return Kind.CAME
        return Kind.CHANGED if self.after is not None and self.after.keys == self.keys else Kind.WENT

    @property
    def percent(self) -> Decimal | None:
        """By how much it changes, to a tenth of a percent. None where tiers play a part, or nothing was paid before."""
        old, new = (paid.tiers if paid else () for paid in (self.before, self.after))
        if len(old) != 1 or len(new) != 1 or not old[0].rate:
            return None
        share = EXACT.divide(EXACT.subtract(new[0].rate, old[0].rate), old[0].rate)
        return EXACT.multiply(share, Decimal(100)).quantize(TENTH_OF_A_PERCENT, context=EXACT)


@frozen(eq=False, repr=False)
class RowChanges:
    """What a row changes against the row that it follows. ``kept`` rates cost what they cost."""

    book: str
    row: PriceRow
    base: PriceRow
    until: datetime | None
    changes: tuple[RateChange, ...]
    kept: int


def policy_changes(policy: Policy) -> tuple[RowChanges, ...]:
    """Return what each row of each price book changes, the books and the rows as they are written."""
    return tuple(changes for book in policy.prices.values() for changes in book_changes(book))


def book_changes(book: PriceBook) -> Iterator[RowChanges]:
    """Yield what each row changes that has one above it."""
    for at, row in enumerate(book.rows):
        if (base := _base(book.rows, at)) is not None:
            changes = tuple(rate_changes(base, row))
            changed = {change.keys for change in changes} | _above(change.keys for change in changes)
            kept = sum(keys not in changed for keys, _ in leaves(row.rates))
            yield RowChanges(book.name, row, base, _end(book.rows, at), changes, kept)


def _base(rows: Sequence[PriceRow], at: int) -> PriceRow | None:
    """Return the row that the one at a position follows: the last above it that has no end. None for the first."""
    return next((row for row in reversed(rows[:at]) if row.until is None), None)


def _end(rows: Sequence[PriceRow], at: int) -> datetime | None:
    """Return when the row at a position counts no more, and never again: its own end, or the next row without one."""
    ends = [rows[at].until, next((row.effective for row in rows[at + 1 :] if row.until is None), None)]
    return min((end for end in ends if end is not None), default=None)


def rate_changes(before: PriceRow, after: PriceRow) -> Iterator[RateChange]:
    """Yield what differs between two rows: the rates in the order of the later one, then those that only the earlier has."""
    old, new = ([keys for keys, _ in leaves(row.rates)] for row in (before, after))
    divided = _above(old) | _above(new)  # where one row has rates below a rate of the other, these say what changes
    for keys in dict.fromkeys((*new, *old)):
        change = RateChange(keys, paid(before, keys), paid(after, keys))
        if keys not in divided and not _costs_the_same(change):
            yield change


def told_together(changes: Iterable[RateChange], rows: Iterable[PriceRow]) -> Iterator[tuple[str, RateChange]]:
    """Yield changes with their names; where all rates below one name change alike, that name stands for them."""
    below = Counter(keys[:-1] for keys in {keys for row in rows for keys, _ in leaves(row.rates)})
    for above, group in groupby(changes, key=lambda change: change.keys[:-1]):
        alike = list(group)
        if above and len(alike) == below[above] and len({_figures(change) for change in alike}) == 1:
            yield "/".join(above), alike[0]
        else:
            yield from ((change.unit, change) for change in alike)


def _figures(change: RateChange) -> tuple[object, ...]:
    return change.kind, *(paid and (paid.tiers, paid.tier_model) for paid in (change.before, change.after))


def _above(units: Iterable[Keys]) -> set[Keys]:
    """Return all that rates stand below."""
    return {keys[:length] for keys in units for length in range(1, len(keys))}


def _costs_the_same(change: RateChange) -> bool:
    return change.before is change.after or (change.after is not None and change.after.costs_like(change.before))


def paid(row: PriceRow, keys: Keys) -> Paid | None:
    """Return what the events that select ``keys`` pay under a row; None where it has neither their rate nor a default."""
    rates: Rates | tuple[Tier, ...] = row.rates
    found: list[str] = []
    further = iter(keys)
    while isinstance(rates, Mapping):
        key = next(further, DEFAULT_RATE)
        key = key if key in rates else DEFAULT_RATE
        if key not in rates:
            return None
        found.append(key)
        rates = rates[key]
    return Paid(tuple(found), rates, row.tier_model)


def shown_tiers(tiers: Sequence[Tier]) -> str:
    """Return a rate, or the rates of tiers, as a message names them."""
    if len(tiers) == 1:
        return f"{tiers[0].rate:f}"
    return ", ".join(f"{tier.rate:f} {_extent(tier)}" for tier in tiers)


def _extent(tier: Tier) -> str:
    return f"up to {canonical(tier.up_to)}" if tier.up_to is not None else "above"
