"""Each row of a price book as an edit of the row that it follows: as it is written, as it counts, and what it changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from engine.policy.close_words import close_words
from engine.policy.price_books import DEFAULT_RATE, PriceRow
from engine.policy.price_differences import Keys, RateChange, base_at, leaves, rate_changes
from engine.policy.source import Items, Members, Node, Place


@frozen(eq=False)
class Written:
    """A name among the rates of a row, and what is written behind it."""

    place: Place
    value: Node


@frozen(eq=False)
class Edit:
    """A row (``node``, ``row``), the row that it follows (``base``, which begins in line ``base_line``), and what it changes.

    ``written`` are the names in its rates by the keys that lead to them; ``misspelt`` are those of them that are new and close
    to a known name, with that name.
    """

    node: Members
    row: PriceRow
    base: PriceRow | None
    base_line: int
    changes: tuple[RateChange, ...]
    written: Mapping[Keys, Written]
    misspelt: Mapping[Keys, str]

    @property
    def above(self) -> str:
        """The row that it follows, as a message names it."""
        return f"the row above (line {self.base_line})"

    @property
    def place_of_rates(self) -> Place:
        """Where the rates of the row begin."""
        return next((key.place for key, _ in self.node.pairs if key.text == "rates"), self.node.place)

    def place_of(self, keys: Keys) -> Place:
        """Return where a rate stands, or else where the rates begin."""
        return self.written[keys].value.place if keys in self.written else self.place_of_rates


def edits_of(rows: Sequence[PriceRow], nodes: Node) -> Iterator[Edit]:
    """Yield the rows of a price book that has no mistake."""
    items = [item for item in nodes.nodes if isinstance(item, Members)] if isinstance(nodes, Items) else []
    for at, (row, node) in enumerate(zip(rows, items, strict=True)):
        position = base_at(rows, at)
        base = rows[position] if position is not None else None
        line = items[position].place.line if position is not None else 0
        changes = tuple(rate_changes(base, row)) if base is not None else ()
        written = dict(_written(node))
        yield Edit(node, row, base, line, changes, written, dict(_misspelt(written, base)))


def _written(row: Members) -> Iterator[tuple[Keys, Written]]:
    rates = row.get("rates")
    if isinstance(rates, Members):
        yield from _written_below(rates, ())


def _written_below(rates: Members, above: Keys) -> Iterator[tuple[Keys, Written]]:
    for key, value in rates.pairs:
        yield (*above, key.text), Written(key.place, value)
        if isinstance(value, Members):
            yield from _written_below(value, (*above, key.text))


def _misspelt(written: Mapping[Keys, Written], base: PriceRow | None) -> Iterator[tuple[Keys, str]]:
    """Yield each new name that is close to one of its level which is in the base or stands before it, with that name."""
    known = _names_by_level(leaf for leaf, _ in leaves(base.rates)) if base is not None else defaultdict(dict)
    new = _names_by_level(written)
    close = {level: close_words((DEFAULT_RATE, *known[level], *new[level])) for level in new}
    for keys in written:
        level, name = len(keys), keys[-1]
        near = next((other for other in close[level].get(name, ()) if other in known[level] or other == DEFAULT_RATE), None)
        if near is not None and name not in known[level] and name != DEFAULT_RATE:
            yield keys, near
        known[level][name] = None


def _names_by_level(units: Iterator[Keys] | Mapping[Keys, Written]) -> defaultdict[int, dict[str, None]]:
    names: defaultdict[int, dict[str, None]] = defaultdict(dict)
    for keys in units:
        for level, name in enumerate(keys, start=1):
            names[level][name] = None
    return names
