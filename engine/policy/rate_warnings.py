"""Warnings of rates that are most likely slips: gone, misspelt, ten times too high, or too small to be charged.

Each looks at a row beside the row that it follows. No sensible edit is warned of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from engine.domain.money import EXACT, Money, canonical
from engine.domain.price import Tier
from engine.policy.hints import TIERS_ARE_A_LIST, UP_TO, two_names
from engine.policy.price_books import Keys, PriceRow, leaves
from engine.policy.price_differences import Kind, Paid, RateChange, shown_tiers, told_together
from engine.policy.price_edits import Edit, edit_of
from engine.policy.pricing import DraftHold, DraftTerms
from engine.policy.rules import DraftRule
from engine.policy.source import Members, Notes, Place, named

FACTOR = Decimal(8)
"""A rate that becomes so many times what it was, or such a part of it, is most likely a slip of the point.

The slip makes it ten times as much. Less is enough, for the same edit may raise or lower the price.
"""

FACTOR_OF_NEW = Decimal(20)
"""The same for a rate that is new, beside the dearest and the cheapest of the others."""

OTHERS_MIN = 2
"""How many other rates say what is usual."""

LISTED_MAX = 4
"""Of more warnings of one kind the first are told, and how many there are: whoever gives every price in cents has seen it."""

Warnings = Iterator[tuple[Place, str]]


def warn_of_rates(values: Mapping[str, Any], _policy: Members, notes: Notes) -> None:
    """Note what is most likely not meant in the rows of price books."""
    coarse = _charged_without_minimum(values["rules"])
    for book, rows in values["prices"].items():
        for edit in map(edit_of, rows):
            found = [_first(warn(edit)) for warn in RATE_WARNINGS]
            found += [_first(too_small(edit, values["money"]))] if book in coarse else []
            for place, message in sorted({told for each in found for told in each}):
                notes.warning(place, message)


def _first(found: Warnings) -> list[tuple[Place, str]]:
    told = list(dict.fromkeys(found))
    if len(told) <= LISTED_MAX:
        return told
    *few, (place, message) = told[:LISTED_MAX]
    return [*few, (place, f"{message}; and {len(told) - LISTED_MAX} more of this row like it")]


def _charged_without_minimum(rules: Iterable[DraftRule]) -> set[str | None]:
    """Return the price books of charges that may come to nothing."""
    drafts = (rule.terms.charge if isinstance(rule.terms, DraftHold) else rule.terms for rule in rules)
    terms = [draft for draft in drafts if isinstance(draft, DraftTerms) and not draft.terms.minimum]
    return {part.book for each in terms for part in (each, *each.components)}


# --- names ------------------------------------------------------------------------------------------------------------


def gone(edit: Edit) -> Warnings:
    """Whoever copies a row and leaves out a rate lets its events fall to the default, and nobody is told."""
    stood_for = {_known(keys, known) for keys, known in edit.misspelt.items()}
    went = [change for change in edit.changes if change.kind is Kind.WENT and not stood_for & set(_names(change.keys))]
    if not went or edit.base is None or edit.says_what_changes or edit.has_other_names:
        return
    told = [f"{named(name)} {_fate(change)}" for name, change in told_together(went, (edit.base,))]
    more = [f"and {len(told) - LISTED_MAX} more"] if len(told) > LISTED_MAX else []
    rates = "a rate of" if len(told) == 1 else f"{len(told)} rates of"
    is_or_are = "is" if len(told) == 1 else "are"
    yield edit.place_of_rates, f"{rates} {edit.above} {is_or_are} gone: {'; '.join([*told[:LISTED_MAX], *more])}"


def misspelt(edit: Edit) -> Warnings:
    """A misspelt name has a rate that no event selects."""
    lost = {name: change for change in edit.changes if change.kind is Kind.WENT for name in _names(change.keys)}
    for keys, known in edit.misspelt.items():
        change = lost.get(_known(keys, known))
        fate = f", which is gone: it {_fate(change)}" if change is not None else ""
        yield edit.written[keys].place, f"{named(keys[-1])} is new, and close to {named(known)}{fate}; is it the same?"


def joined(edit: Edit) -> Warnings:
    """Messages name a rate by its keys, ``veo-3/4k``. Written so, it is one name that no event selects."""
    before, now = (set(_all_names(row)) for row in (edit.base, edit.row))
    for keys, name in edit.written.items():
        above, is_joined, _ = keys[-1].partition("/")
        is_known = keys in before or (*keys[:-1], above) not in before | now
        if is_joined and not is_known and len(keys) < len(edit.row.by):
            yield name.place, two_names(keys[-1])


def without_a_list(edit: Edit) -> Warnings:
    """A single tier that is no list: ``up_to`` would be a text that events select."""
    yield from ((name.place, TIERS_ARE_A_LIST) for keys, name in edit.written.items() if keys[-1] == UP_TO)


def flat(edit: Edit) -> Warnings:
    """One rate where the row above has several that differ: those of a ``rates`` row are gone, these are only written over."""
    if edit.base is None or not edit.says_what_changes:
        return
    below = _by_the_names_above(edit.base)
    for keys, _ in leaves(edit.row.rates):
        differing = below.get(keys, {})
        if len(set(differing.values())) > 1:
            rates = [f"{named('/'.join(each[len(keys) :]))} {shown_tiers(tiers)}" for each, tiers in differing.items()]
            more = [f"and {len(rates) - LISTED_MAX} more"] if len(rates) > LISTED_MAX else []
            told = ", ".join([*rates[:LISTED_MAX], *more])
            yield edit.place_of(keys), f"{named(keys[-1])} is one rate now; {edit.above} has several below it: {told}"


def _by_the_names_above(row: PriceRow) -> Mapping[Keys, Mapping[Keys, Sequence[Tier]]]:
    """Return the rates below each name of a row, by their keys."""
    found: defaultdict[Keys, dict[Keys, Sequence[Tier]]] = defaultdict(dict)
    for keys, tiers in leaves(row.rates):
        for length in range(1, len(keys)):
            found[keys[:length]][keys] = tiers
    return found


def _known(keys: Keys, known: str) -> Keys:
    """Return the known name in the place of one that is close to it."""
    return (*keys[:-1], known)


def _all_names(row: PriceRow | None) -> Iterator[Keys]:
    yield from (name for keys, _ in leaves(row.rates if row is not None else {}) for name in _names(keys))


def _names(keys: Keys) -> Iterator[Keys]:
    """Yield a rate and the names that it stands below."""
    yield from (keys[:length] for length in range(1, len(keys) + 1))


def _fate(change: RateChange) -> str:
    """Say what the events of a rate that is gone paid, and what they pay now."""
    before = _shown(change.before)
    if change.after is None:
        return f"cost {before}, and its events are refused now"
    return f"cost {before}, and its events cost {_shown(change.after)} now ({named('/'.join(change.after.keys))})"


def _shown(paid: Paid | None) -> str:
    return shown_tiers(paid.tiers) if paid is not None else "nothing"


# --- figures ----------------------------------------------------------------------------------------------------------


def tenfold(edit: Edit) -> Warnings:
    """A rate some ten times what it was, or a tenth of it: 30 for 0.30, 0.012 for 0.12."""
    for change in edit.changes:
        if not edit.has_other_names and change.kind is Kind.CHANGED and change.before is not None and change.after is not None:
            for old, new in _side_by_side(change.before.tiers, change.after.tiers):
                if (times := _times(new, old, FACTOR)) is not None:
                    message = f"{named(change.unit)} becomes {new:f}; it was {old:f} in {edit.above}: {times}"
                    yield edit.place_of(change.keys), message
                    break


def _side_by_side(before: Sequence[Tier], after: Sequence[Tier]) -> Iterator[tuple[Decimal, Decimal]]:
    """Yield the old and the new rate of each range of quantities that has one of either."""
    bounds = sorted({tier.up_to for tier in (*before, *after) if tier.up_to is not None})
    for bound in (*bounds, None):
        yield _rate_at(before, bound), _rate_at(after, bound)


def _rate_at(tiers: Sequence[Tier], quantity: Decimal | None) -> Decimal:
    """Return the rate of a quantity; None is above all bounds."""
    reached = (tier for tier in tiers if tier.up_to is None or (quantity is not None and quantity <= tier.up_to))
    return next(reached).rate


def _times(new: Decimal, old: Decimal, factor: Decimal) -> str | None:
    """Say how many times as much or as little the new figure is, if at least ``factor``; 0 is nothing to measure by."""
    if not new or not old:
        return None
    high, low = max(new, old), min(new, old)
    if high < EXACT.multiply(low, factor):
        return None
    times = canonical(EXACT.divide(high, low).quantize(Decimal(1), context=EXACT))
    return f"{times} times as much" if new > old else f"{times} times as little"


def stands_out(edit: Edit) -> Warnings:
    """A new rate far from all that other names cost, in its row and in the row above."""
    known = {keys for keys, _ in leaves(edit.base.rates)} if edit.base is not None else set()
    highest, lowest = _extremes([edit.row, *([edit.base] if edit.base is not None else [])])
    for keys, tiers in leaves(edit.row.rates):
        figures = [tier.rate for tier in tiers if tier.rate]
        if keys not in known and figures:
            for kind, figure, extremes in (("dearest", max(figures), highest), ("cheapest", min(figures), lowest)):
                yield from _far(edit.place_of(keys), keys, kind, figure, extremes)


def _extremes(rows: Sequence[PriceRow]) -> tuple[list[tuple[Decimal, str]], list[tuple[Decimal, str]]]:
    """Return the three dearest and the three cheapest of what the outermost names cost, each with its name."""
    costs: defaultdict[str, list[Decimal]] = defaultdict(list)
    for row in rows:
        for keys, tiers in leaves(row.rates):
            costs[keys[0]] += [tier.rate for tier in tiers if tier.rate]
    each = {name: figures for name, figures in costs.items() if figures}
    highest = sorted(((max(figures), name) for name, figures in each.items()), reverse=True)
    lowest = sorted((min(figures), name) for name, figures in each.items())
    return highest[: OTHERS_MIN + 1], lowest[: OTHERS_MIN + 1]


def _far(place: Place, keys: Keys, kind: str, figure: Decimal, extremes: Sequence[tuple[Decimal, str]]) -> Warnings:
    others = [other for other, name in extremes if name != keys[0]]
    if len(others) < OTHERS_MIN or (figure > others[0]) != (kind == "dearest"):
        return
    if (times := _times(figure, others[0], FACTOR_OF_NEW)) is not None:
        told = f"{named('/'.join(keys))} is new and costs {figure:f}; the {kind} of the others costs {others[0]:f}: {times}"
        yield place, told


def up_and_down(edit: Edit) -> Warnings:
    """Tiers that go up and down again, or down and up: one of them is most likely wrong. A free tier is none of them."""
    for keys, tiers in leaves(edit.row.rates):
        rates = [tier.rate for tier in tiers if tier.rate]
        rises = {later > earlier for earlier, later in pairwise(rates) if later != earlier}
        if len(rises) > 1:
            yield edit.place_of(keys), f"the rates go up and down: {shown_tiers(tiers)}; is one of them wrong?"


def nothing_changes(edit: Edit) -> Warnings:
    """A copied row whose date alone was edited."""
    if edit.base is not None and not edit.changes and not edit.says_what_changes and not edit.has_other_selectors:
        yield edit.node.place, f"changes nothing: each rate is what it is in {edit.above}"


def too_small(edit: Edit, money: Money) -> Warnings:
    """A rate of which a unit rounds to nothing: small quantities are free."""
    places = f"{money.places} place{'s' if money.places != 1 else ''} of `money`"
    for keys, tiers in leaves(edit.row.rates):
        for tier in tiers:
            if tier.rate and not money.round(tier.rate):
                message = f"{tier.rate:f} a unit is 0 in the {places}; give it more places, or the charge a minimum"
                yield edit.place_of(keys), message


RATE_WARNINGS: Sequence[Callable[[Edit], Warnings]] = (
    gone,
    misspelt,
    joined,
    without_a_list,
    flat,
    tenfold,
    stands_out,
    up_and_down,
    nothing_changes,
)
