"""The grammar of what a charge or a grant comes to, and of money."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from engine.domain.money import ROUNDINGS, Money
from engine.policy.charges import ChargeTerms
from engine.policy.grammar import Expression, Key, Keys, Number, Text, Word
from engine.policy.price_books import PriceBook
from engine.policy.price_rows import AMOUNT, PLACES_MAX
from engine.policy.source import Members, Notes


@frozen(eq=False, repr=False)
class DraftTerms:
    """A charge or a grant whose price book is still a name."""

    book: str | None
    terms: ChargeTerms

    def linked(self, books: Mapping[str, PriceBook]) -> ChargeTerms:
        """Return the terms with their price book."""
        return evolve(self.terms, book=books[self.book]) if self.book is not None else self.terms


def _terms(values: Mapping[str, Any], _node: Members, _notes: Notes) -> DraftTerms:
    terms = {name: values[name] for name in ("amount", "quantity", "minimum", "maximum", "priced_at")}
    return DraftTerms(values["price"], ChargeTerms(**terms))


def _check_charge(values: Mapping[str, Any], charge: Members, notes: Notes) -> None:
    given = charge.names()
    if ("amount" in given) == ("price" in given):
        notes.mistake(charge.place, "a charge is either `amount`, or `price` with `quantity`")
    elif "amount" in given:
        _check_beside_amount(charge, notes)
    elif "quantity" not in given:
        notes.mistake(charge.place, "`quantity` is missing: the JMESPath of what the price is for")
    _check_priced_at(charge, notes)
    _check_bounds(values, charge, notes)


def _check_grant(values: Mapping[str, Any], grant: Members, notes: Notes) -> None:
    given = grant.names()
    if ("amount" in given) == ("quantity" in given):
        notes.mistake(grant.place, "a grant is either `amount`, or `quantity` (of credits, or of what a `price` is for)")
    elif "amount" in given:
        _check_beside_amount(grant, notes)
    _check_priced_at(grant, notes)
    _check_bounds(values, grant, notes)


def _check_priced_at(terms: Members, notes: Notes) -> None:
    """Without a price book there are no rows to choose from. Beside an amount that has been noted already."""
    priced_at = terms.get("priced_at")
    if priced_at is not None and not terms.names() & {"price", "amount"}:
        notes.mistake(priced_at.place, "`priced_at` has no meaning without `price`, the book whose row it selects")


def _check_beside_amount(terms: Members, notes: Notes) -> None:
    for key, value in terms.pairs:
        if key.text in {"price", "quantity", "minimum", "maximum", "priced_at"}:
            notes.mistake(value.place, f"`{key.text}` has no meaning beside `amount`")


def _check_bounds(values: Mapping[str, Any], terms: Members, notes: Notes) -> None:
    minimum, maximum = values["minimum"], values["maximum"]
    if isinstance(minimum, Decimal) and isinstance(maximum, Decimal) and minimum > maximum:
        place = (terms.get("minimum") or terms).place
        notes.mistake(place, f"the minimum {minimum} is above the maximum {maximum}")


TERMS_KEYS: Mapping[str, Key] = {
    "price": Key(Text("the name of a price book"), None),
    "quantity": Key(Expression(), None),
    "priced_at": Key(Expression(), None),
    "amount": Key(AMOUNT, None),
    "minimum": Key(AMOUNT, None),
    "maximum": Key(AMOUNT, None),
}

CHARGE = Keys(TERMS_KEYS, _terms, _check_charge, or_amount=("price", "quantity"))
GRANT = Keys(TERMS_KEYS, _terms, _check_grant, or_amount=("quantity",))


def _money(values: Mapping[str, Any], _node: Members, _notes: Notes) -> Money:
    return Money(**values)


MONEY = Keys(
    {
        "places": Key(Number(Decimal(0), Decimal(PLACES_MAX), whole=True), 4),
        "rounding": Key(Word(tuple(ROUNDINGS)), "half-even"),
    },
    _money,
)
