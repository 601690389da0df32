"""Policies with other price books: those of one instant, or those of another policy. The rules stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal

from attrs import evolve, frozen

from engine.domain.instants import instant_text
from engine.policy.charges import ChargeTerms, HoldTerms
from engine.policy.model import Policy
from engine.policy.price_books import PriceBook, PriceRow
from engine.policy.price_differences import Kind, Paid, RateChange, rate_changes
from engine.policy.price_differences import shown_tiers as shown

type Change = Callable[[PriceBook], PriceBook]


@frozen
class BookAsOf(PriceBook):
    """A price book in which the row of one instant is in force at all times."""

    instant: datetime

    def row_at(self, instant: datetime) -> PriceRow | None:
        """Return the row in force at the one instant."""
        del instant
        return super().row_at(self.instant)


def as_of(policy: Policy, instant: datetime) -> Policy:
    """Return a policy that prices every event as if it happened at an instant."""
    return _with_books(policy, lambda book: BookAsOf(book.name, book.rows, instant))


def with_prices_of(policy: Policy, other: Policy) -> Policy:
    """Return a policy with the price books of another one, where that has them."""
    return _with_books(policy, lambda book: other.prices.get(book.name, book))


def _with_books(policy: Policy, change: Change) -> Policy:
    rules = tuple(
        evolve(rule, terms=_with_terms(rule.terms, change)) if isinstance(rule.terms, ChargeTerms | HoldTerms) else rule
        for rule in policy.rules
    )
    return evolve(policy, rules=rules, prices={name: change(book) for name, book in policy.prices.items()})


def _with_terms(terms: ChargeTerms | HoldTerms, change: Change) -> ChargeTerms | HoldTerms:
    if isinstance(terms, HoldTerms):
        return evolve(terms, charge=_with_book(terms.charge, change))
    return _with_book(terms, change)


def _with_book(terms: ChargeTerms, change: Change) -> ChargeTerms:
    book = None if terms.book is None else change(terms.book)
    return evolve(terms, book=book, components=tuple(_with_book(each, change) for each in terms.components))


# --- which rates differ -----------------------------------------------------------------------------------------------


@frozen
class EditedRate:
    """A rate that changed, came or went. ``effective`` is when its row begins."""

    book: str
    effective: datetime
    unit: str
    kind: Kind
    now: str | None
    then: str | None
    percent: Decimal | None

    def answer(self) -> dict[str, str | None]:
        """Return it as JSON-like values."""
        return {
            "price": self.book,
            "effective": instant_text(self.effective),
            "unit": self.unit,
            "kind": self.kind.value,
            "now": self.now,
            "then": self.then,
            "percent": None if self.percent is None else format(self.percent, "f"),
        }


def edited_rates(now: Policy, then: Policy) -> Iterator[EditedRate]:
    """Yield each rate that an edit changes, row by row; a row that is new or gone is compared with what counts without it."""
    for name in {**now.prices, **then.prices}:
        before, after = now.prices.get(name), then.prices.get(name)
        for effective in sorted({row.effective for book in (before, after) if book is not None for row in book.rows}):
            yield from _edited(name, effective, _row(before, after, effective), _row(after, before, effective))


def _row(book: PriceBook | None, other: PriceBook | None, effective: datetime) -> PriceRow | None:
    """Return the row that begins at an instant, or the one that counts there where only the other book has one."""
    own = next((row for row in book.rows if row.effective == effective), None) if book is not None else None
    has_other = other is not None and any(row.effective == effective for row in other.rows)
    return own if own is not None or book is None or not has_other else book.row_at(effective)


def _edited(name: str, effective: datetime, now: PriceRow | None, then: PriceRow | None) -> Iterator[EditedRate]:
    row = now or then
    if row is None:
        return
    nothing = evolve(row, rates={}, by=())
    for change in rate_changes(now or nothing, then or nothing):
        yield _rate(name, effective, change)


def _rate(name: str, effective: datetime, change: RateChange) -> EditedRate:
    now, then = _shown(change.before), _shown(change.after)
    return EditedRate(name, effective, change.unit, change.kind, now, then, change.percent)


def _shown(paid: Paid | None) -> str | None:
    return None if paid is None else shown(paid.tiers)
