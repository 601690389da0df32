"""Rows of a price book as they are written: one that says only what changes is laid over the row above, name by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from attrs import evolve, frozen

from engine.domain.instants import instant_text
from engine.domain.price import Tier
from engine.policy.grammar import WRONG
from engine.policy.hints import did_you_mean, rates_too_deep, two_names
from engine.policy.price_books import DEFAULT_RATE, PriceBook, PriceRow, Rates
from engine.policy.source import Members, Node, Notes, Place, Scalar, named


class _Gone:
    """The value of a rate that is taken away."""


GONE = _Gone()

Changes = Mapping[str, "tuple[Tier, ...] | _Gone | Changes"]
"""As ``Rates``, with GONE for a rate that is taken away."""


TAKEN_OVER_MAX = 100_000
"""How many rates all rows with ``changes`` may take over: of a hundred models, a thousand rows."""


@frozen(eq=False, repr=False)
class WrittenRow:
    """A row of a price book, and how it is written. It lives only while a policy is read.

    ``row`` has whole rates, once it was laid over the one above. ``before`` is the last row above without ``until``: what
    ``changes`` are laid over, and what any row is best compared with.
    """

    row: PriceRow
    node: Members
    changes: Changes | None = None
    before: WrittenRow | None = None

    def place_of(self, key: str) -> Place:
        """Return where a key of the row is written; the row's own place where it is not."""
        return (self.node.get(key) or self.node).place

    @property
    def written(self) -> Mapping[tuple[str, ...], Node]:
        """What stands in ``rates`` or ``changes``, by the keys that lead to each rate; one that is taken away too."""
        top = self.node.get("rates" if self.changes is None else "changes")
        return dict(_rates_in(top, ())) if isinstance(top, Members) else {}


def _rates_in(node: Members, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Node]]:
    for key, value in node.pairs:
        if isinstance(value, Members):
            yield from _rates_in(value, (*above, key.text))
        else:
            yield (*above, key.text), value


def with_whole_rates(rows: Sequence[Any], notes: Notes) -> Sequence[Any]:
    """Return the rows of a book, each with whole rates. A row that is WRONG, or laid over one that is, is WRONG."""
    whole: list[Any] = []
    before: Any = None
    for written in rows:
        found = written and _whole(written, before, notes)
        whole.append(found)
        if written is WRONG or written.row.until is None:
            before = found
    if all(whole):
        _check_ends(whole, notes)
    return whole


def _whole(written: WrittenRow, before: Any, notes: Notes) -> Any:
    """Return a row over the last one without an end; that is None where there is none, and WRONG where it is not known."""
    if written.changes is None:
        return evolve(written, before=before or None)
    changes = written.node.get("changes")
    if before is None:
        notes.mistake(written.place_of("changes"), "no row above without `until` is there to be changed; write `rates`")
    if not before or not isinstance(changes, Members):
        return WRONG
    over = before.row
    rates = _Overlay(before, notes).lay(over.rates, written.changes, changes, len(over.by))
    row = evolve(written.row, rates=rates, by=over.by, tier_model=over.tier_model, over=over.effective)
    return evolve(written, row=row, before=before)


@frozen(eq=False, repr=False)
class _Overlay:
    """Lays changes over rates, and notes which of them make no sense there."""

    before: WrittenRow
    notes: Notes

    def lay(self, rates: Rates, changes: Changes, node: Members, selectors: int) -> Rates:
        """Return rates with the changes that are written at ``node``; so many ``selectors`` are left to select one."""
        self._count(len(rates), node)
        merged = dict(rates)
        for key, value in node.pairs:
            self._change(merged, key, value, changes[key.text], selectors)
        if not merged:
            self.notes.mistake(node.place, "takes every rate away; one is needed, or `null` in place of them all")
        elif DEFAULT_RATE not in merged and (DEFAULT_RATE in rates or not rates):
            self.notes.warning(node.place, "there is no `default`: an event that selects another rate is refused")
        return merged

    def _count(self, taken_over: int, node: Members) -> None:
        """Raises PolicyError where rows of a few words would come to more rates than memory should hold."""
        self.notes.rates_taken_over += taken_over
        if self.notes.rates_taken_over > TAKEN_OVER_MAX:
            found = f"up to here, rows with `changes` take over more than {TAKEN_OVER_MAX} rates from the rows above"
            self.notes.mistake(node.place, f"{found}; leave out old rows")
            raise self.notes.error()

    def _change(self, rates: dict[str, Any], key: Scalar, node: Node, change: Any, selectors: int) -> None:
        old = rates.get(key.text)
        if change is GONE:
            self._take_away(rates, key)
        elif not selectors and key.text != DEFAULT_RATE:
            self.notes.mistake(key.place, f"{self._row()} has no `by` to select a rate; only `default` counts there")
        elif isinstance(node, Members) and selectors <= 1:
            self.notes.mistake(node.place, rates_too_deep(node, f"`by` of {self._row()}"))
        elif isinstance(node, Members):
            rates[key.text] = self.lay(_by_the_next(old), change, node, selectors - 1)
        else:
            if change == old:
                self.notes.warning(node.place, f"{named(key.text)} has this rate already, by {self._row()}")
            rates[key.text] = change

    def _take_away(self, rates: dict[str, Any], key: Scalar) -> None:
        if key.text not in rates:
            is_joined = isinstance(rates.get(key.text.partition("/")[0]), Mapping)
            known = f"; {two_names(key.text)}" if is_joined else did_you_mean(key.text, rates) if rates else ""
            self.notes.mistake(key.place, f"there is no rate {named(key.text)} to take away{known}")
        rates.pop(key.text, None)

    def _row(self) -> str:
        return f"the row in line {self.before.node.place.line}"


def _by_the_next(old: Any) -> Rates:
    """Return the rates that a mapping is laid over. One rate for all is the ``default`` of what the next selector finds."""
    if old is None or isinstance(old, Mapping):
        return old or {}
    return {DEFAULT_RATE: old}


# --- where rows end ---------------------------------------------------------------------------------------------------


def _check_ends(rows: Sequence[WrittenRow], notes: Notes) -> None:
    """An end that leaves no price, and an end that is never seen, are most likely not meant."""
    book = PriceBook("", tuple(written.row for written in rows))
    for number, written in enumerate(rows):
        if (until := written.row.until) is None:
            continue
        if book.row_at(until) is None:
            following = next((later.row.effective for later in rows[number + 1 :] if later.row.effective > until), None)
            end = f"to {instant_text(following)}" if following else "on"
            gap = f"leaves a gap: from {instant_text(until)} {end} no row counts, and events are refused"
            notes.warning(written.place_of("until"), gap)
        within = takewhile(lambda later: later.row.effective < until, rows[number + 1 :])
        if by := next((later for later in within if later.row.counts_at(until)), None):
            since, line = instant_text(by.row.effective), by.node.place.line
            notes.warning(written.place_of("until"), f"has no effect: from {since} on the row in line {line} counts")
