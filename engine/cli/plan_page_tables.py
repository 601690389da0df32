"""The tables of a plan's page, and the charts that are drawn from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from attrs import frozen

from engine.cli.layout import plain
from engine.cli.plan_ledger_told import OVERDRAWN, what_happens
from engine.cli.plan_spread import Bin
from engine.domain.money import EXACT, ZERO

MINUS = "\N{MINUS SIGN}"

DAY, MODEL, USER = "day", "model", "user"
FIRST = frozenset({DAY, MODEL, USER})
"""The groups that a reader sees first; the others stand behind what was edited."""

BARS_MAX = 12
"""So many keys of a group are drawn, as the script has it; the others stand in the table."""


@frozen
class Cell:
    """A text, and the number by which it is sorted and drawn; empty where it is none."""

    text: str
    number: str = ""


@frozen
class Table:
    """Rows of which the first cell is the head. ``all`` is how many there are, of which the first are here."""

    id: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    all: int
    nouns: str

    @property
    def are_numbers(self) -> tuple[bool, ...]:
        """Which columns are numbers."""
        return tuple(any(row[place].number for row in self.rows) for place in range(len(self.columns)))

    @property
    def how_many(self) -> str:
        """How many rows are here, of how many."""
        here = len(self.rows)
        return f"{self.all:,} {self.nouns}" if here == self.all else f"{here:,} of {self.all:,} {self.nouns}"


@frozen
class Figure:
    """A chart: what draws it, its title, a sentence, and the table it is drawn from."""

    kind: str
    title: str
    said: str
    table: Table


class Kept:
    """The rows of users whose difference is not 0, the largest first: all are looked at once, the first are kept."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], rows_max: int) -> None:
        self.told, self.rows_max = rows, rows_max
        self.rows: list[Mapping[str, Any]] = []

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for row in self.told:
            if not Decimal(row["by"]):
                return
            if len(self.rows) < self.rows_max:
                self.rows.append(row)
            yield row


def credits_of(text: str, plus: str = "") -> str:
    """Return credits, or a percentage, with thousands told apart and no digit lost."""
    amount = Decimal(text)
    return f"{MINUS if amount < ZERO else plus if amount else ''}{EXACT.abs(amount):,f}"


GROUP = ("jobs", "users", "pay now", "would pay", "difference", "%")


def bars(name: str, place: int, rows: Sequence[Mapping[str, Any]], rows_max: int) -> Figure:
    """Return what users pay under each key of a group, the one at a place among them all."""
    here = tuple(_group_row(row) for row in islice(rows, rows_max))
    which = f"the {BARS_MAX} largest differences" if len(rows) > BARS_MAX else "the largest difference first"
    table = _table(f"by-{place}", name, here, len(rows), "keys")
    return Figure("bars", table.caption, f"What users pay, in credits, {which}.", table)


def days(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return what users pay on each day: on every one, since a chart with gaps would say something else."""
    here = tuple(map(_group_row, sorted(rows, key=lambda row: row["key"])))
    said = "What users pay, in credits, by the day of the event (UTC)."
    table = _table("by-day", DAY, here, len(rows), "days")
    return Figure("days", table.caption, said, table)


def _table(key: str, name: str, rows: tuple[tuple[Cell, ...], ...], count: int, nouns: str) -> Table:
    return Table(key, f"By {plain(name)}", (plain(name), *GROUP), rows, count, nouns)


def _group_row(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    now, then, by, percent = (row[name] for name in ("now", "then", "by", "percent"))
    return (
        Cell(plain(row["key"])),
        *(Cell(f"{row[name]:,}", str(row[name])) for name in ("jobs", "users")),
        *(Cell(credits_of(amount), amount) for amount in (now, then)),
        Cell(credits_of(by, plus="+"), by),
        Cell("") if percent is None else Cell(credits_of(percent, plus="+"), percent),
    )


def as_now(users: Mapping[str, int]) -> int:
    """Return how many users would pay what they pay now."""
    return users["all"] - users["winners"] - users["losers"]


def spread_figure(bins: Sequence[Bin], users: Mapping[str, Any]) -> Figure:
    """Return how many users would pay how much more or less."""
    rows = tuple((Cell(each.label), Cell(f"{each.users:,}", str(each.users)), signed(each.credits)) for each in bins)
    others = f" Not drawn: {as_now(users):,} who would pay what they pay now." if as_now(users) else ""
    said = f"How many users would pay how many credits more or less.{others}"
    table = Table("by-difference", "Users by their difference", ("difference", "users", "credits"), rows, len(rows), "steps")
    return Figure("spread", "How it is spread over users", said, table)


def signed(amount: Decimal) -> Cell:
    """Return a difference."""
    text = format(amount, "f")
    return Cell(credits_of(text, plus="+"), text)


def users_table(rows: Sequence[Mapping[str, Any]], concerned: int) -> Table:
    """Return the users most concerned; ``concerned`` is how many are concerned in all."""
    columns = ("user", "difference", "%", "pays now", "would pay", "jobs")
    shown = ((user, by, percent, now, then, jobs) for user, jobs, _, now, then, by, percent in map(_group_row, rows))
    return Table("users", "Users whose sum would differ", columns, tuple(shown), concerned, "users")


def overdrawn_table(answer: Mapping[str, Any], rows_max: int) -> Table:
    """Return who would be overdrawn and is not now, the furthest below zero first."""
    rows = tuple(
        (Cell(plain(row["user"])), *(Cell(credits_of(row[side]), row[side]) for side in ("now", "then")), Cell(row["at"]))
        for row in islice(answer["overdrafts"], rows_max)
    )
    caption = f"Users who {what_happens(answer)}, and do not now" if rows else ""
    return Table("overdrawn", caption, OVERDRAWN, rows, len(answer["overdrafts"]), "overdrawn users")


def jobs_table(differences: Sequence[Mapping[str, str]], rows_max: int) -> Table:
    """Return the jobs and grants with the largest differences."""
    columns = ("job or grant", "user", "difference", "costs now", "would cost")
    rows = tuple(_job(difference) for difference in islice(differences, rows_max))
    return Table("jobs", "Jobs and grants that would differ", columns, rows, len(differences), "jobs and grants")


def _job(difference: Mapping[str, str]) -> tuple[Cell, ...]:
    """Return a row as the company sees it, as all of the page: what a job costs is above 0."""
    now, then, by = (EXACT.minus(Decimal(difference[name])) for name in ("now", "then", "by"))
    return (
        Cell(plain(difference["reference"])),
        Cell(plain(difference["user"])),
        signed(by),
        *map(_cost, (now, then)),
    )


def _cost(amount: Decimal) -> Cell:
    text = format(amount, "f")
    return Cell(credits_of(text), text)


def rates_table(prices: Sequence[Mapping[str, str | None]], rows_max: int) -> Table:
    """Return each rate that is edited."""
    columns = ("price book", "from", "rate", "what", "now", "then", "%")
    rows = tuple(_rate(rate) for rate in islice(prices, rows_max))
    return Table("rates", "Rates that change, come or go", columns, rows, len(prices), "rates")


def _rate(rate: Mapping[str, str | None]) -> tuple[Cell, ...]:
    names = ("price", "effective", "unit", "kind", "now", "then")
    percent = rate["percent"]
    return (
        *(Cell(plain(rate[name] or "none")) for name in names),
        Cell("") if percent is None else Cell(credits_of(percent, plus="+"), percent),
    )


def ends_table(outcomes: Sequence[Mapping[str, Any]]) -> Table:
    """Return how many events would end otherwise, and how."""
    rows = tuple(
        (Cell(ends["now"]), Cell(ends["then"]), Cell(f"{ends['events']:,}", str(ends["events"])))
        for ends in outcomes
        if ends["now"] != ends["then"]
    )
    return Table("ends", "Events that would end otherwise", ("ends now", "would end", "events"), rows, len(rows), "ways")


def flags_table(anomalies: Mapping[str, Mapping[str, int]]) -> Table:
    """Return how many entries each anomaly flags."""
    rows = tuple(
        (Cell(plain(name)), *(Cell(f"{count[side]:,}", str(count[side])) for side in ("now", "then")))
        for name, count in anomalies.items()
    )
    return Table("flags", "Entries that are flagged", ("anomaly", "now", "then"), rows, len(rows), "anomalies")
