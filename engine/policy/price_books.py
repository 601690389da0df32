"""Price books: what a unit costs from when on. Rows by their effective dates, rates by what the event says. All exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import field, frozen

from engine.domain.errors import quoted, shown
from engine.domain.instants import instant_text
from engine.domain.price import Tier, TierModel
from engine.domain.texts import text_problem
from engine.policy.expressions.paths import Path, PathProblem

if TYPE_CHECKING:
    from engine.domain.envelope import Document
    from engine.domain.fact import Content

DEFAULT_RATE = "default"

EVENT_TIME = "time"
"""What a PriceProblem calls the event's time; where the time stands in the envelope is for the policy to say."""

Rates = Mapping[str, "tuple[Tier, ...] | Rates"]
"""By each value of a selector: the tiers of a rate (a plain rate is a single one), or the rates by the next selector."""


Keys = tuple[str, ...]
"""The keys of a row's rates that lead to one of them, the outermost first."""


def leaves(rates: Rates, above: Keys = ()) -> Iterator[tuple[Keys, tuple[Tier, ...]]]:
    """Yield each rate with the keys that lead to it."""
    for key, rate in rates.items():
        if isinstance(rate, tuple):
            yield (*above, key), rate
        else:
            yield from leaves(rate, (*above, key))


def rates_by_unit(rates: Rates) -> Iterator[tuple[str, tuple[Tier, ...]]]:
    """Yield each rate with the keys that lead to it, joined as an entry's price has them."""
    yield from (("/".join(keys), tiers) for keys, tiers in leaves(rates))


class PriceProblem(ValueError):
    """What makes a charge impossible: ``field`` is where in the event, ``problem`` what is wrong and what would be right."""

    def __init__(self, field: str, problem: str) -> None:
        self.field, self.problem = field, problem
        super().__init__(f"{field} {problem}")

    @property
    def with_instant(self) -> str:
        """The problem; where it is with an instant, it names that."""
        return self.problem


class NoPriceThen(PriceProblem):
    """No row of a price book is in force at an instant."""

    def __init__(self, field: str, book: PriceBook, instant: datetime) -> None:
        self.instant = instant_text(instant)
        super().__init__(field, book.why_none(instant))

    @property
    def with_instant(self) -> str:
        """The problem, and the instant."""
        return self.problem if self.instant in self.problem else f"is {self.instant}, which {self.problem}"


@frozen
class PriceRow:
    """The rates from ``effective`` on. ``by`` finds the values that select the rate; none where there is only the default.

    From ``until`` on the row before it counts again (None: it has no end).
    """

    effective: datetime
    rates: Rates
    by: tuple[Path, ...] = ()
    tier_model: TierModel = TierModel.GRADUATED
    until: datetime | None = None
    over: datetime | None = field(default=None, eq=False)
    """The effective date of the row that it was written as changes to. Its rates are whole all the same."""

    def counts_at(self, instant: datetime) -> bool:
        """Say whether ``instant`` lies between its beginning and its end; a later row may count there in its place."""
        return self.effective <= instant and (self.until is None or instant < self.until)


@frozen
class PriceBook:
    """A named price over time: rows in ascending order of their effective dates."""

    name: str
    rows: tuple[PriceRow, ...]

    def row_at(self, instant: datetime) -> PriceRow | None:
        """Return the row in force at ``instant``: the last that has begun and not ended. None where there is none."""
        return next((row for row in reversed(self.rows) if row.counts_at(instant)), None)

    def next_change(self, instant: datetime) -> datetime | None:
        """Return when another row begins to count than the one in force at ``instant``, or none; None for never."""
        row = self.row_at(instant)
        moments = {moment for each in self.rows for moment in (each.effective, each.until) if moment and moment > instant}
        return next((moment for moment in sorted(moments) if self.row_at(moment) is not row), None)

    def why_none(self, instant: datetime) -> str:
        """Return what is wrong with an instant at which no row is in force."""
        ended = [row.until for row in self.rows if row.until is not None and row.until <= instant]
        if not ended:
            return f"is before the first price of {self.name} ({self.rows[0].effective:%Y-%m-%d})"
        return (
            f"is {instant_text(instant)}, and no row of {self.name} counts then: the last one ended {instant_text(max(ended))}"
        )


def tiers_selected(row: PriceRow, document: Document, book: str) -> tuple[tuple[Tier, ...], list[str], Content]:
    """Return the tiers that the event selects, the keys that led there, and the values that the event gave.

    A selector is asked only where the rates before it leave a choice.
    """
    rates: Rates = row.rates
    keys: list[str] = []
    content: list[tuple[str, str]] = []
    for by in row.by:
        value = _selector(by, document)
        content.append((by.text, value))
        keys.append(_key(rates, value, by.text, "/".join([book, *keys])))
        found = rates[keys[-1]]
        if isinstance(found, tuple):
            return found, keys, tuple(content)
        rates = found
    default = rates[DEFAULT_RATE]
    assert isinstance(default, tuple)  # noqa: S101  the loader lets rates be nested only as deep as there are selectors
    return default, [DEFAULT_RATE], ()


def _selector(by: Path, document: Document) -> str:
    try:
        value = by.search(document)
    except PathProblem as problem:
        raise PriceProblem(by.text, f"cannot be worked out: {problem}") from problem
    if not isinstance(value, str):
        raise PriceProblem(by.text, f"is {quoted(value)}; a string that selects a rate is needed")
    if (unfit := text_problem(value)) is not None:
        raise PriceProblem(by.text, unfit)
    return value


def _key(rates: Rates, value: str, field: str, book: str) -> str:
    key = value if value in rates else DEFAULT_RATE
    if key not in rates:
        known = ", ".join(sorted(rates))
        raise PriceProblem(field, f"is {shown(value)}; {book} has neither that rate nor a default, only: {known}")
    return key
