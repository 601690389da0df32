"""Each row of a price book as an edit of the row that it follows: as it is written, as it counts, and what it changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from attrs import frozen

from engine.policy.close_words import close_words
from engine.policy.price_books import DEFAULT_RATE, Keys, PriceRow, leaves
from engine.policy.price_changes import WrittenRow
from engine.policy.price_differences import RateChange, rate_changes
from engine.policy.source import Members, Node, Place

RATES = ("rates", "changes")
"""Where a row has its rates: all of them, or those that change."""


@frozen(eq=False, repr=False)
class Name:
    """A name among the rates of a row, and what is written behind it."""

    place: Place
    value: Node


@frozen(eq=False, repr=False)
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
    written: Mapping[Keys, Name]
    misspelt: Mapping[Keys, str]

    @property
    def says_what_changes(self) -> bool:
        """Whether it has ``changes``: then nothing is gone that was not taken away on purpose."""
        return self.node.get("changes") is not None

    @property
    def has_other_selectors(self) -> bool:
        """Whether it selects by something else than the row that it follows."""
        return self.base is not None and [by.text for by in self.base.by] != [by.text for by in self.row.by]

    @property
    def has_other_names(self) -> bool:
        """Whether it selects by something else, and no rate kept its name; ``default`` means something else then too."""
        shared = self.base.rates.keys() & self.row.rates.keys() if self.base is not None else set()
        return self.has_other_selectors and not shared - {DEFAULT_RATE}

    @property
    def above(self) -> str:
        """The row that it follows, as a message names it."""
        return f"the row in line {self.base_line}"

    @property
    def place_of_rates(self) -> Place:
        """Where the rates of the row begin."""
        return next((key.place for key, _ in self.node.pairs if key.text in RATES), self.node.place)

    def place_of(self, keys: Keys) -> Place:
        """Return where a rate stands, or else where the rates begin."""
        return self.written[keys].value.place if keys in self.written else self.place_of_rates


def edit_of(written: WrittenRow) -> Edit:
    """Return a row of a policy without a mistake as an edit of the row that it follows."""
    before, names = written.before, dict(_written(written.node))
    base = before.row if before is not None else None
    return Edit(
        node=written.node,
        row=written.row,
        base=base,
        base_line=before.node.place.line if before is not None else 0,
        changes=tuple(rate_changes(base, written.row)) if base is not None else (),
        written=names,
        misspelt=dict(_misspelt(names, base)),
    )


def _written(row: Members) -> Iterator[tuple[Keys, Name]]:
    for key, rates in row.pairs:
        if key.text in RATES and isinstance(rates, Members):
            yield from _written_below(rates, ())


def _written_below(rates: Members, above: Keys) -> Iterator[tuple[Keys, Name]]:
    for key, value in rates.pairs:
        yield (*above, key.text), Name(key.place, value)
        if isinstance(value, Members):
            yield from _written_below(value, (*above, key.text))


def _misspelt(written: Mapping[Keys, Name], base: PriceRow | None) -> Iterator[tuple[Keys, str]]:
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


def _names_by_level(units: Iterator[Keys] | Mapping[Keys, Name]) -> defaultdict[int, dict[str, None]]:
    names: defaultdict[int, dict[str, None]] = defaultdict(dict)
    for keys in units:
        for level, name in enumerate(keys, start=1):
            names[level][name] = None
    return names
