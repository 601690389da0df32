"""The grammar of what a charge or a grant comes to, and of money."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from engine.domain.money import ROUNDINGS, Money
from engine.policy.charges import ChargeTerms, HoldTerms
from engine.policy.grammar import FINDS_NUMBER, FINDS_TEXT, Duration, Key, Keys, ListOf, Name, Number, Text, Word
from engine.policy.price_books import PriceBook
from engine.policy.price_rows import AMOUNT, PLACES_MAX
from engine.policy.source import Items, Members, Notes, Scalar, named

COMPONENTS_MAX = 20
"""With so many an entry takes some four kilobytes."""


@frozen(eq=False, repr=False)
class DraftTerms:
    """A charge, a grant or a component of one, whose price books are still names."""

    book: str | None
    terms: ChargeTerms
    components: tuple[DraftTerms, ...] = ()

    def linked(self, books: Mapping[str, PriceBook]) -> ChargeTerms:
        """Return the terms with their price books."""
        book = books[self.book] if self.book is not None else None
        components = tuple(component.linked(books) for component in self.components)
        return evolve(self.terms, book=book, components=components)


@frozen(eq=False, repr=False)
class DraftHold:
    """A hold, whose price book is still a name."""

    charge: DraftTerms
    expires: timedelta
    may_overdraw: bool

    def linked(self, books: Mapping[str, PriceBook]) -> HoldTerms:
        """Return the terms with their price books."""
        return HoldTerms(self.charge.linked(books), self.expires, self.may_overdraw)


def _hold(values: Mapping[str, Any], node: Members, notes: Notes) -> DraftHold:
    return DraftHold(_terms(values, node, notes), values["expires"], values["overdraft"] == ALLOW)


def _terms(values: Mapping[str, Any], _node: Members, _notes: Notes) -> DraftTerms:
    terms = {name: values[name] for name in ("amount", "quantity", "minimum", "maximum", "priced_at")}
    return DraftTerms(values["price"], ChargeTerms(**terms), values["components"])


def _component(values: Mapping[str, Any], _node: Members, _notes: Notes) -> DraftTerms:
    terms = {name: values[name] for name in ("amount", "quantity", "name")}
    return DraftTerms(values["price"], ChargeTerms(**terms))


def _check_charge(values: Mapping[str, Any], charge: Members, notes: Notes) -> None:
    _check_form(charge, ("amount", "price", "components"), _CHARGE_FORMS, notes)
    if "price" in charge.names():
        _check_quantity(charge, notes)
    _check_priced_at(charge, notes)
    _check_bounds(values, charge, notes)


def _check_grant(values: Mapping[str, Any], grant: Members, notes: Notes) -> None:
    _check_form(grant, ("amount", "quantity", "components"), _GRANT_FORMS, notes)
    _check_priced_at(grant, notes)
    _check_bounds(values, grant, notes)


def _check_priced_at(terms: Members, notes: Notes) -> None:
    """Without a price book there are no rows to choose from. Beside an amount that has been noted already."""
    priced_at, components = terms.get("priced_at"), terms.get("components")
    parts = components.nodes if isinstance(components, Items) else ()
    has_book = any(isinstance(part, Members) and part.get("price") for part in (terms, *parts))
    if priced_at is not None and not has_book and "amount" not in terms.names():
        notes.mistake(priced_at.place, "`priced_at` has no meaning without `price`, the book whose row it selects")


def _check_charge_component(_values: Mapping[str, Any], component: Members, notes: Notes) -> None:
    _check_form(component, ("amount", "price"), "a component is either `amount`, or `price` with `quantity`", notes)
    if "price" in component.names():
        _check_quantity(component, notes)


def _check_grant_component(_values: Mapping[str, Any], component: Members, notes: Notes) -> None:
    wanted = "a component is either `amount`, or `quantity` (of credits, or of what a `price` is for)"
    _check_form(component, ("amount", "quantity"), wanted, notes)


_CHARGE_FORMS = "a charge is either `amount`, or `price` with `quantity`, or `components`"
_GRANT_FORMS = "a grant is either `amount`, or `quantity` (of credits, or of what a `price` is for), or `components`"

BESIDE_AMOUNT = ("price", "quantity", "minimum", "maximum", "priced_at")
BESIDE_COMPONENTS = ("price", "quantity", "amount")


def _check_form(terms: Members, forms: Iterable[str], wanted: str, notes: Notes) -> None:
    """Terms have one of these keys, and beside it what has a meaning there."""
    given = [form for form in forms if form in terms.names()]
    if len(given) != 1:
        notes.mistake(terms.place, wanted)
    elif given == ["amount"]:
        _check_beside(terms, "amount", BESIDE_AMOUNT, notes)
    elif given == ["components"]:
        _check_beside(terms, "components", BESIDE_COMPONENTS, notes)


def _check_beside(terms: Members, form: str, meaningless: Iterable[str], notes: Notes) -> None:
    for key, value in terms.pairs:
        if key.text in meaningless:
            notes.mistake(value.place, f"`{key.text}` has no meaning beside `{form}`")


def _check_quantity(terms: Members, notes: Notes) -> None:
    if terms.names().isdisjoint({"amount", "quantity", "components"}):
        notes.mistake(terms.place, "`quantity` is missing: the JMESPath of what the price is for")


def _check_components(_components: Sequence[Any], node: Items, notes: Notes) -> None:
    """A name stands for one component, in an entry and in what anomalies see."""
    if len(node.nodes) > COMPONENTS_MAX:
        notes.mistake(node.place, f"has {len(node.nodes)} components; at most {COMPONENTS_MAX} make one amount")
    seen: set[str] = set()
    for component in node.nodes:
        name = component.get("name") if isinstance(component, Members) else None
        if isinstance(name, Scalar) and not name.is_empty:
            if name.text in seen:
                notes.mistake(name.place, f"the name {named(name.text)} is taken by a component above")
            seen.add(name.text)


def _check_bounds(values: Mapping[str, Any], terms: Members, notes: Notes) -> None:
    minimum, maximum = values["minimum"], values["maximum"]
    if isinstance(minimum, Decimal) and isinstance(maximum, Decimal) and minimum > maximum:
        place = (terms.get("minimum") or terms).place
        notes.mistake(place, f"the minimum {minimum:f} is above the maximum {maximum:f}")


PRICED_KEYS: Mapping[str, Key] = {
    "price": Key(Text("the name of a price book"), None),
    "quantity": Key(FINDS_NUMBER, None),
    "amount": Key(AMOUNT, None),
}

COMPONENT_KEYS: Mapping[str, Key] = {"name": Key(Name(), None), **PRICED_KEYS}


def _terms_keys(component: Keys) -> Mapping[str, Key]:
    components = Key(ListOf(component, check=_check_components), ())
    bounds = {"minimum": Key(AMOUNT, None), "maximum": Key(AMOUNT, None)}
    return {**PRICED_KEYS, "priced_at": Key(FINDS_TEXT, None), **bounds, "components": components}


_OF_CHARGE = Keys(COMPONENT_KEYS, _component, _check_charge_component, or_amount=("price", "quantity"))
_OF_GRANT = Keys(COMPONENT_KEYS, _component, _check_grant_component, or_amount=("quantity",))

REFUSE, ALLOW = "refuse", "allow"
"""What becomes of a hold that the balance does not cover."""

OF_HOLD: Mapping[str, Key] = {"expires": Key(Duration()), "overdraft": Key(Word((REFUSE, ALLOW)), REFUSE)}

HOLD = Keys({**_terms_keys(_OF_CHARGE), **OF_HOLD}, _hold, _check_charge, or_amount=("price", "quantity"))

CHARGE = Keys(_terms_keys(_OF_CHARGE), _terms, _check_charge, or_amount=("price", "quantity"))
GRANT = Keys(_terms_keys(_OF_GRANT), _terms, _check_grant, or_amount=("quantity",))


def _money(values: Mapping[str, Any], _node: Members, _notes: Notes) -> Money:
    return Money(**values)


MONEY = Keys(
    {
        "places": Key(Number(Decimal(0), Decimal(PLACES_MAX), whole=True), 4),
        "rounding": Key(Word(tuple(ROUNDINGS)), "half-even"),
    },
    _money,
)
