"""The grammar of price books: tiers, rates, changes of rates, selectors, rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from attrs import frozen

from engine.domain.instants import instant_text
from engine.domain.money import DIGITS_MAX
from engine.domain.price import Tier, TierModel
from engine.policy.expressions.paths import Path
from engine.policy.grammar import (
    FINDS_ANYTHING,
    FINDS_TEXT,
    WRONG,
    ByKind,
    Expression,
    Instant,
    Key,
    Keys,
    ListOf,
    MapOf,
    Number,
    Shape,
    Word,
)
from engine.policy.hints import kind_of, rates_too_deep
from engine.policy.price_books import DEFAULT_RATE, PriceRow
from engine.policy.price_changes import GONE, WrittenRow, with_whole_rates
from engine.policy.source import Items, Members, Node, Notes, Scalar

PLACES_MAX = 10
SELECTORS_MAX = 5
"""How many values may select a rate together (model, resolution and length, say), or be what jobs have in common."""

AMOUNT = Number(Decimal(0), Decimal(10) ** (DIGITS_MAX - PLACES_MAX))
"""Rates and bounds: with ten places still within the ledger's 38 digits."""


# --- tiers ------------------------------------------------------------------------------------------------------------


def _tier(values: Mapping[str, Any], _node: Members, _notes: Notes) -> Tier:
    return Tier(values["rate"], values["up_to"])


def _check_tier(values: Mapping[str, Any], tier: Members, notes: Notes) -> None:
    if values["up_to"] is not WRONG and values["up_to"] is not None and not values["up_to"]:
        notes.mistake((tier.get("up_to") or tier).place, "`up_to` is 0; a tier ends above 0")


def _check_tiers(tiers: Sequence[Any], node: Items, notes: Notes) -> None:
    """Together the tiers must take every quantity, and each only once."""
    if any(tier is WRONG for tier in tiers):
        return
    for tier, item in zip(tiers[:-1], node.nodes, strict=False):
        if tier.up_to is None:
            notes.mistake(item.place, "a tier without `up_to` takes all that is above; only the last one may")
    for (below, above), item in zip(pairwise(tiers), node.nodes[1:], strict=True):
        if below.up_to is not None and above.up_to is not None and above.up_to <= below.up_to:
            place = (item.get("up_to") or item).place if isinstance(item, Members) else item.place
            notes.mistake(
                place, f"up to {above.up_to:f} overlaps the tier before, which goes up to {below.up_to:f}; smallest first"
            )
    if tiers[-1].up_to is not None:
        last = f"above {tiers[-1].up_to:f} there is no rate; the last tier has no `up_to`"
        notes.mistake(node.nodes[-1].place, f"leaves a gap: {last}")


TIERS = ListOf(Keys({"up_to": Key(AMOUNT, None), "rate": Key(AMOUNT)}, _tier, _check_tier), check=_check_tiers)


class Rate:
    """A plain rate: the single tier of every quantity."""

    def read(self, node: Node, notes: Notes) -> Any:
        rate = AMOUNT.read(node, notes)
        return rate if rate is WRONG else (Tier(rate),)

    @property
    def shape(self) -> Shape:
        """What it is made of."""
        return AMOUNT


def _rates(selectors: int) -> MapOf:
    """Return the shape of rates by up to ``selectors`` values, one inside the other."""
    further = _rates(selectors - 1) if selectors > 1 else None
    wanted = "a rate, a list of tiers, or rates by the next of `by`" if further else "a rate or a list of tiers"
    return MapOf(ByKind(wanted, scalar=Rate(), items=TIERS, members=further))


class Change:
    """A plain rate, or ``null`` where there is none any more. An empty place is no ``null``: somebody forgot the rate."""

    def read(self, node: Node, notes: Notes) -> Any:
        if not isinstance(node, Scalar) or node.text.lower() not in {"", "~", "null"}:
            return Rate().read(node, notes)
        if node.is_empty and node.text:
            return GONE
        notes.mistake(node.place, f"is {kind_of(node)}; write the rate, or `null` without quotes to take it away")
        return WRONG

    @property
    def shape(self) -> Shape:
        """What it is made of, beside ``null``."""
        return AMOUNT


def _changes(selectors: int) -> MapOf:
    """Return the shape of changes of rates by up to ``selectors`` values, one inside the other."""
    further = _changes(selectors - 1) if selectors > 1 else None
    wanted = "a rate, a list of tiers, null" + (", or changes by the next of `by`" if further else "")
    return MapOf(ByKind(wanted, scalar=Change(), items=TIERS, members=further))


# --- rows and books ---------------------------------------------------------------------------------------------------


@frozen(eq=False, repr=False)
class Selectors:
    """One JMESPath or several: the values that select a rate, the outermost first."""

    each: Expression = FINDS_ANYTHING

    def read(self, node: Node, notes: Notes) -> Any:
        value = self.shape.read(node, notes)
        paths = (value,) if isinstance(value, Path) else value
        if paths is not WRONG and len(paths) > SELECTORS_MAX:
            notes.mistake(node.place, f"has {len(paths)} expressions; at most {SELECTORS_MAX} select a rate")
            return WRONG
        return paths

    @property
    def shape(self) -> Shape:
        """What it is made of."""
        return ByKind("a JMESPath expression or a list of them", scalar=self.each, items=ListOf(self.each))


def _price_row(values: Mapping[str, Any], node: Members, _notes: Notes) -> WrittenRow:
    row = PriceRow(
        effective=values["effective"],
        rates=values["rates"] or {},
        by=values["by"],
        tier_model=TierModel(values["tiers"]),
        until=values["until"],
    )
    return WrittenRow(row, node, values["changes"])


def _check_row(values: Mapping[str, Any], row: Members, notes: Notes) -> None:
    _check_until(values, row, notes)
    if row.get("changes") is not None:
        _check_beside_changes(row, notes)
        return
    rates = row.get("rates")
    if rates is None:
        notes.mistake(row.place, "`rates` is missing: all rates, or `changes`, only what differs from the row above")
    if isinstance(rates, Members) and values["by"] is not WRONG:
        selectors, levels = len(values["by"]), _levels(rates)
        _check_rates(rates, selectors, notes)
        if selectors > max(levels, 1):
            place = (row.get("by") or row).place
            notes.warning(place, f"`by` has {selectors} expressions, and only {levels} of them can select a rate")
    node = row.get("tiers")
    if node and values["tiers"] is not WRONG and isinstance(rates, Members) and not any(_tier_lists(rates)):
        notes.mistake(node.place, "`tiers` has no meaning: none of the rates is a list of tiers")


def _check_until(values: Mapping[str, Any], row: Members, notes: Notes) -> None:
    effective, until = values.get("effective", WRONG), values["until"]
    node = row.get("until")
    if node and effective and until and until <= effective:
        notes.mistake(node.place, f"`until` is {instant_text(until)}, not after `effective`, {instant_text(effective)}")


def _check_beside_changes(row: Members, notes: Notes) -> None:
    """The rates that are changed are the row above's, and so is what selects them."""
    for key, value in row.pairs:
        if key.text == "rates":
            notes.mistake(value.place, "a row has `rates` or `changes`, not both")
        elif key.text in {"by", "tiers"}:
            notes.mistake(value.place, f"`{key.text}` has no meaning beside `changes`: that of the row above counts")


def _check_rates(rates: Members, selectors: int, notes: Notes) -> None:
    if not rates.pairs:
        return
    names = rates.names()
    if not selectors and names != {DEFAULT_RATE}:
        notes.mistake(rates.place, "several rates need `by`, the JMESPath that selects one; without it only `default` counts")
        return
    if DEFAULT_RATE not in names:
        notes.warning(rates.place, "there is no `default`: an event that selects another rate is refused")
    for _, rate in rates.pairs:
        if isinstance(rate, Members) and selectors > 1:
            _check_rates(rate, selectors - 1, notes)
        elif isinstance(rate, Members):
            notes.mistake(rate.place, rates_too_deep(rate, "`by`"))


def _levels(rates: Members) -> int:
    return 1 + max((_levels(rate) for _, rate in rates.pairs if isinstance(rate, Members)), default=0)


def _tier_lists(rates: Members) -> Iterator[bool]:
    for _, rate in rates.pairs:
        yield isinstance(rate, Items)
        if isinstance(rate, Members):
            yield from _tier_lists(rate)


def _check_oldest_first(rows: Sequence[Any], node: Items, notes: Notes) -> None:
    for (earlier, later), item in zip(pairwise(rows), node.nodes[1:], strict=True):
        if earlier is not WRONG and later is not WRONG and later.row.effective <= earlier.row.effective:
            since = instant_text(later.row.effective)
            notes.mistake(item.place, f"`effective` is {since}, not after that of the row above; oldest first")


PRICE_ROW = Keys(
    {
        "effective": Key(Instant()),
        "until": Key(Instant(), None),
        "by": Key(Selectors(FINDS_TEXT), ()),
        "tiers": Key(Word(tuple(TierModel)), TierModel.GRADUATED.value),
        "rates": Key(_rates(SELECTORS_MAX), None),
        "changes": Key(_changes(SELECTORS_MAX), None),
    },
    _price_row,
    _check_row,
)

PRICES = MapOf(ListOf(PRICE_ROW, check=_check_oldest_first, link=with_whole_rates))
