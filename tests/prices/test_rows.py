"""Rows of a price book that people change: what a row comes to, and when it counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.instants import instant_text, read_instant
from engine.domain.money import Money
from engine.domain.price import Tier, TierModel
from engine.policy.charges import ChargeTerms, price_charge
from engine.policy.expressions.paths import compile_path
from engine.policy.price_books import PriceBook, PriceProblem
from tests.support.price_rows import BASE, GAPS, START, book, policy


def rates(book: PriceBook, row: int) -> dict[str, Any]:
    """Return the rates of a row as plain texts."""
    return plain(book.rows[row].rates)


def plain(rates: Mapping[str, Any]) -> dict[str, Any]:
    """Return rates with a text for each, and the list of them for tiers."""
    return {name: plain(rate) if isinstance(rate, Mapping) else as_text(rate) for name, rate in rates.items()}


def as_text(tiers: tuple[Tier, ...]) -> str | list[str]:
    """Return the rate of all, or of each tier."""
    return str(tiers[0].rate) if len(tiers) == 1 else [str(tier.rate) for tier in tiers]


def rate_at(book: PriceBook, at: str, model: str = "veo", resolution: str = "720p") -> str | None:
    """Return the effective date, the unit and the rate of one second at an instant."""
    terms = ChargeTerms(book=book, quantity=compile_path("detail.seconds"))
    document = {"detail": {"seconds": 1, "model": model, "resolution": resolution}}
    price = price_charge(terms, document, read_instant(at) or START, Money()).price
    return f"{price.effective:%m-%d} {price.unit} {price.rate}"


# --- changes ----------------------------------------------------------------------------------------------------------


def test_changes_are_laid_over_the_row_above_name_by_name() -> None:
    """One rate inside, one new, one gone; what is not named stays, and so does what selects it."""
    prices = book(
        BASE + '    - effective: 2026-07-01T00:00:00Z\n      changes: {sora: {1080p: "0.36"}, old: null, new: "0.20"}\n'
    )

    before = {"default": "0.10", "old": "0.05", "sora": {"default": "0.12", "1080p": "0.30"}, "wan": ["1", "2"]}
    after = {"default": "0.10", "sora": {"default": "0.12", "1080p": "0.36"}, "wan": ["1", "2"], "new": "0.20"}
    assert (before, after) == (rates(prices, 0), rates(prices, 1))
    assert ["detail.model", "detail.resolution"] == [path.text for path in prices.rows[1].by]
    assert (None, datetime(2026, 1, 1, tzinfo=UTC)) == (prices.rows[0].over, prices.rows[1].over)


def test_tiers_are_changed_as_a_whole_and_apply_as_in_the_row_above() -> None:
    """A list takes the place of a list; ``volume`` stays ``volume``."""
    prices = book(
        "prices:\n  seconds:\n    - effective: 2026-01-01T00:00:00Z\n      tiers: volume\n"
        "      rates: {default: [{up_to: 60, rate: 3}, {rate: 2}]}\n"
        "    - effective: 2026-07-01T00:00:00Z\n      changes: {default: [{up_to: 10, rate: 5}, {rate: 4}]}\n"
    )

    changed = (Tier(Decimal(5), Decimal(10)), Tier(Decimal(4)))
    assert (changed, TierModel.VOLUME) == (prices.rows[1].rates["default"], prices.rows[1].tier_model)


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ("{sora: 0.4}", "sora", "0.4"),
        ("{sora: [{up_to: 5, rate: 1}, {rate: 3}]}", "sora", ["1", "3"]),
        ("{old: {default: 0.06, 4k: 0.07}}", "old", {"default": "0.06", "4k": "0.07"}),
        ("{old: {4k: 0.07}}", "old", {"default": "0.05", "4k": "0.07"}),
        ("{old: {4k: 0.07, default: null, hd: 1}, new: {default: 2}}", "new", {"default": "2"}),
        ("{wan: {4k: 3}}", "wan", {"default": ["1", "2"], "4k": "3"}),
        ("{wan: 3}", "wan", "3"),
        ("{sora: {1080p: null}}", "sora", {"default": "0.12"}),
        ("{sora: {1080p: ~, 4k: 0.5}}", "sora", {"default": "0.12", "4k": "0.5"}),
        ('{"null": 7}', "null", "7"),
    ],
)
def test_a_change_may_be_of_another_kind_than_what_was_there(changes: str, name: str, expected: Any) -> None:
    """A rate for rates by the next selector, rates for a rate (which stays as their default), a rate for tiers."""
    prices = policy(f"{BASE}    - effective: 2026-07-01T00:00:00Z\n      changes: {changes}\n").prices["seconds"]

    assert expected == rates(prices, 1)[name]
    assert "0.10" == rates(prices, 1)["default"]


def test_changes_are_laid_over_changes() -> None:
    """Each row over the one above it: 0.30, then 0.36, then 0.40 beside what the second row added."""
    prices = book(
        f"{BASE}    - {{effective: 2026-02-01T00:00:00Z, changes: {{sora: {{1080p: 0.36}}, new: 1}}}}\n"
        "    - {effective: 2026-03-01T00:00:00Z, changes: {sora: {1080p: 0.40}}}\n"
    )

    assert ({"default": "0.12", "1080p": "0.40"}, "1") == (rates(prices, 2)["sora"], rates(prices, 2)["new"])


def test_up_to_five_values_select_a_rate() -> None:
    """Provider, model, mode, resolution and sound, say; changes reach as deep."""
    prices = book(
        "prices:\n  seconds:\n    - effective: 2026-01-01T00:00:00Z\n"
        "      by: [detail.a, detail.b, detail.c, detail.d, detail.e]\n"
        "      rates: {default: 9, p: {default: 8, m: {default: 7, x: {default: 6, hd: {default: 5, loud: 4}}}}}\n"
        "    - {effective: 2026-07-01T00:00:00Z, changes: {p: {m: {x: {hd: {loud: 3}}}}}}\n"
    )
    terms = ChargeTerms(book=prices, quantity=compile_path("detail.n"))
    detail = {"a": "p", "b": "m", "c": "x", "d": "hd", "e": "loud", "n": 2}

    june, july = (price_charge(terms, {"detail": detail}, datetime(2026, month, 5, tzinfo=UTC), Money()) for month in (6, 7))
    silent = price_charge(terms, {"detail": {**detail, "e": "silent"}}, datetime(2026, 7, 5, tzinfo=UTC), Money())

    assert (Decimal(8), Decimal(6), Decimal(10)) == (june.amount, july.amount, silent.amount)
    assert "p/m/x/hd/loud" == july.price.unit


# --- until ------------------------------------------------------------------------------------------------------------

PROMOTION = (
    f"{BASE}    - {{effective: 2026-11-01T00:00:00Z, until: 2026-12-01T00:00:00Z, changes: {{default: 0.08}}}}\n"
    "    - {effective: 2026-11-10T00:00:00Z, until: 2026-11-12T00:00:00Z, changes: {default: 0.05}}\n"
    '    - {effective: 2027-01-01T00:00:00Z, changes: {old: "0.06"}}\n'
)
"""A month of 0.08, two days in it of 0.05; and another price from January on."""


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-10-31T23:59:59.999999Z", "01-01 default 0.10"),
        ("2026-11-01T00:00:00Z", "11-01 default 0.08"),
        ("2026-11-09T23:59:59Z", "11-01 default 0.08"),
        ("2026-11-10T00:00:00Z", "11-10 default 0.05"),
        ("2026-11-11T23:59:59.999999Z", "11-10 default 0.05"),
        ("2026-11-12T00:00:00Z", "11-01 default 0.08"),
        ("2026-11-30T23:59:59Z", "11-01 default 0.08"),
        ("2026-12-01T00:00:00Z", "01-01 default 0.10"),
        ("2026-12-01T01:00:00+01:00", "01-01 default 0.10"),
        ("2026-12-01T00:59:59+01:00", "11-01 default 0.08"),
        ("2027-01-01T00:00:00Z", "01-01 default 0.10"),
    ],
)
def test_where_a_row_ends_the_row_before_it_counts_again(at: str, expected: str) -> None:
    """The end itself lies outside, also where one promotion lies in another. The price names the row that counted."""
    assert expected == rate_at(book(PROMOTION), at)


def test_a_row_with_an_end_changes_nothing_for_later_rows() -> None:
    """January's row is laid over that of the year before, and each promotion too."""
    prices = book(PROMOTION)

    assert ["0.10", "0.08", "0.05", "0.10"] == [rates(prices, row)["default"] for row in range(4)]
    assert ["0.05", "0.06"] == [rates(prices, row)["old"] for row in (2, 3)]


def test_a_row_with_whole_rates_may_end_too() -> None:
    """It may select by something else for that time."""
    prices = book(
        f"{BASE}    - {{effective: 2026-11-01T00:00:00Z, until: 2026-12-01T00:00:00Z, by: detail.resolution,"
        " rates: {default: 1, 720p: 2}}\n"
        "    - {effective: 2026-12-24T00:00:00Z, changes: {old: 0.07}}\n"
    )

    assert ("11-01 720p 2", "01-01 default 0.10", "12-24 old 0.07") == (
        rate_at(prices, "2026-11-05T00:00:00Z"),
        rate_at(prices, "2026-12-05T00:00:00Z"),
        rate_at(prices, "2026-12-25T00:00:00Z", model="old"),
    )


@pytest.mark.parametrize(
    ("at", "problem"),
    [
        ("2025-12-31T00:00:00Z", "is before the first price of seconds (2026-01-01)"),
        ("2026-02-01T00:00:00Z", "is 2026-02-01T00:00:00Z, and no row of seconds counts then: the last one ended 2026-02-01"),
        ("2026-05-01T00:00:00Z", "is 2026-05-01T00:00:00Z, and no row of seconds counts then: the last one ended 2026-04-01"),
    ],
)
def test_when_no_row_counts_there_is_no_price(at: str, problem: str) -> None:
    """The message says since when."""
    with pytest.raises(PriceProblem) as refusal:
        rate_at(policy(GAPS).prices["seconds"], at)

    assert problem == refusal.value.problem[: len(problem)]
    assert "time" == refusal.value.field


def test_the_next_change_is_told_whatever_it_comes_from() -> None:
    """A row that begins, or one that ends; the last one never changes."""
    prices = book(PROMOTION)
    steps = ["2026-01-01", "2026-11-01", "2026-11-10", "2026-11-12", "2026-12-01", "2027-01-01"]

    moments = [datetime.fromisoformat(f"{step}T00:00:00+00:00") for step in steps]

    assert [*moments[1:], None] == [prices.next_change(moment) for moment in moments]
    assert moments[0] == prices.next_change(moments[0] - timedelta(days=1))


# --- one book, written in two ways ------------------------------------------------------------------------------------

MODELS, RESOLUTIONS = ["default", "sora", "veo", "wan"], ["default", "720p", "4k"]
RATES = st.integers(0, 5).map(lambda rate: f"0.{rate}")
TIERS = st.tuples(RATES, RATES).map(lambda both: [{"up_to": 3, "rate": both[0]}, {"rate": both[1]}])
BY_RESOLUTION = st.dictionaries(st.sampled_from(RESOLUTIONS), RATES | TIERS, min_size=1)
TABLES = st.dictionaries(st.sampled_from(MODELS), RATES | TIERS | BY_RESOLUTION, min_size=1)
ROWS = st.lists(st.tuples(st.integers(1, 9), st.none() | st.integers(1, 30), TABLES), min_size=1, max_size=6)
"""Days since the row before, days until it ends, and its whole table."""


def day(number: int) -> str:
    """Return a day as an instant."""
    return instant_text(START + timedelta(days=number))


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes that make one table of the other."""
    changes: dict[str, Any] = {name: None for name in before if name not in after}
    for name, rate in after.items():
        old = before.get(name)
        if isinstance(rate, Mapping) and old is not None:
            inner = difference(old if isinstance(old, Mapping) else {"default": old}, rate)
            changes |= {name: inner or {"default": old}} if inner or not isinstance(old, Mapping) else {}
        elif rate != old:
            changes[name] = rate
    return changes


def as_changes(rows: list[tuple[int, int | None, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return rows of a book, each as changes to the last one before it without an end, where it can be."""
    written, before = [], None
    for begins, ends, table in rows:
        changes = difference(before, table) if before is not None else None
        said = {"changes": changes} if changes else {"by": ["detail.model", "detail.resolution"], "rates": table}
        written.append({"effective": day(begins), **({"until": day(ends)} if ends is not None else {}), **said})
        before = table if ends is None else before
    return written


def as_whole_rows(rows: list[tuple[int, int | None, dict[str, Any]]]) -> list[tuple[int, dict[str, Any] | None]]:
    """Return the table of each stretch of days, with the day it begins; None where no row counts."""
    days = sorted({each for begins, ends, _ in rows for each in (begins, ends) if each is not None})
    return [(each, _table(rows, len(rows) - 1, each)) for each in days]


def _table(rows: list[tuple[int, int | None, dict[str, Any]]], number: int, at: int) -> dict[str, Any] | None:
    """Return the table of a row, or, where it has not begun or has ended, that of the row before."""
    if number < 0:
        return None
    begins, ends, table = rows[number]
    return table if begins <= at and (ends is None or at < ends) else _table(rows, number - 1, at)


def book_of(rows: list[dict[str, Any]]) -> PriceBook:
    """Return a book of rows as they stand in a policy."""
    return policy(f"prices: {json.dumps({'seconds': rows})}\n").prices["seconds"]


def costs(prices: PriceBook, at: str, model: str, resolution: str) -> tuple[Any, ...] | None:
    """Return what five seconds cost by a book, or None where they cannot be priced."""
    terms = ChargeTerms(book=prices, quantity=compile_path("detail.seconds"))
    document = {"detail": {"seconds": 5, "model": model, "resolution": resolution}}
    try:
        priced = price_charge(terms, document, read_instant(at) or START, Money())
    except PriceProblem:
        return None
    return priced.amount, priced.price.rate, priced.price.unit, priced.price.tiers, priced.content


@given(ROWS, st.lists(st.tuples(st.integers(0, 60), st.sampled_from(MODELS), st.sampled_from(RESOLUTIONS)), min_size=1))
def test_a_book_of_changes_equals_the_same_book_of_whole_rows(
    rows: list[tuple[int, int | None, dict[str, Any]]], events: list[tuple[int, str, str]]
) -> None:
    """Whatever is written as changes and with an end costs what whole rows without an end cost, one a stretch of days."""
    placed, begins = [], 0
    for gap, length, table in rows:
        begins += gap
        placed.append((begins, None if length is None else begins + length, table))
    changing = book_of(as_changes(placed))
    stretches = as_whole_rows(placed)

    for at, model, resolution in events:
        table = next((table for begins, table in reversed(stretches) if begins <= at), None)
        row = {"effective": day(0), "by": ["detail.model", "detail.resolution"], "rates": table}
        expected = None if table is None else costs(book_of([row]), day(at), model, resolution)
        assert expected == costs(changing, day(at), model, resolution)
