"""What a charge comes to, as tables worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.domain.instants import instant_text, posting_text, read_instant
from engine.domain.money import Money, canonical, digits_of, read_number
from engine.domain.price import Price, Tier
from engine.policy.charges import ChargeTerms, Priced, price_charge
from engine.policy.expressions.paths import compile_path
from engine.policy.price_books import PriceBook, PriceProblem, PriceRow

FIRST = datetime(2025, 1, 1, tzinfo=UTC)
SECOND = datetime(2026, 7, 1, tzinfo=UTC)
BY_MODEL = compile_path("detail.model")


def book(*rows: tuple[datetime, dict[str, str]], by: str | None = "detail.model") -> PriceBook:
    """Return a price book with these rates from these instants on."""
    selectors = (compile_path(by),) if by else ()
    return PriceBook(
        "render-second",
        tuple(
            PriceRow(effective, {unit: (Tier(Decimal(rate)),) for unit, rate in rates.items()}, selectors)
            for effective, rates in rows
        ),
    )


BOOK = book((FIRST, {"default": "0.10", "premium": "0.25"}), (SECOND, {"default": "0.12", "premium": "0.25"}))


def priced(seconds: Any, at: datetime = FIRST, money: Money = Money(), prices: PriceBook = BOOK, **terms: Any) -> Priced:  # noqa: B008  frozen
    """Return what so many seconds cost; ``model`` selects the rate."""
    document = {"detail": {"seconds": seconds, "model": terms.pop("model", "veo-3")}}
    quantity = compile_path(terms.pop("quantity", "detail.seconds"))
    bounds = {name: Decimal(bound) for name, bound in terms.items()}
    return price_charge(ChargeTerms(book=prices, quantity=quantity, **bounds), document, at, money)


def problem(*args: Any, **kwargs: Any) -> tuple[str, str]:
    """Return field and problem of a charge that is impossible."""
    with pytest.raises(PriceProblem) as refusal:
        priced(*args, **kwargs)
    return refusal.value.field, refusal.value.problem


# --- rounding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "half_even", "half_up", "up", "down"),
    [
        ("0.124", "0.12", "0.12", "0.13", "0.12"),
        ("0.125", "0.12", "0.13", "0.13", "0.12"),
        ("0.1250000001", "0.13", "0.13", "0.13", "0.12"),
        ("0.126", "0.13", "0.13", "0.13", "0.12"),
        ("0.135", "0.14", "0.14", "0.14", "0.13"),
        ("0.145", "0.14", "0.15", "0.15", "0.14"),
        ("0.12", "0.12", "0.12", "0.12", "0.12"),
        ("0.120", "0.12", "0.12", "0.12", "0.12"),
        ("0.004", "0.00", "0.00", "0.01", "0.00"),
        ("0.005", "0.00", "0.01", "0.01", "0.00"),
        ("0.995", "1.00", "1.00", "1.00", "0.99"),
        ("5", "5.00", "5.00", "5.00", "5.00"),
        ("0", "0.00", "0.00", "0.00", "0.00"),
        (f"{36 * '9'}.995", f"1{36 * '0'}.00", f"1{36 * '0'}.00", f"1{36 * '0'}.00", f"{36 * '9'}.99"),
    ],
)
def test_an_amount_is_rounded_as_the_policy_says(amount, half_even, half_up, up, down):
    """To two places, ties included; half-even goes to the even neighbour."""
    expected = {"half-even": half_even, "half-up": half_up, "up": up, "down": down}

    assert expected == {rounding: str(Money(2, rounding).round(Decimal(amount))) for rounding in expected}


@pytest.mark.parametrize(("places", "amount"), [(0, "1"), (1, "1.2"), (4, "1.2346"), (10, "1.2345678901")])
def test_a_credit_has_the_places_of_money(places, amount):
    """From whole credits to ten places."""
    assert amount == str(Money(places).round(Decimal("1.23456789012")))


# --- charges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "amount"),
    [
        (8, "0.8000"),
        ("8", "0.8000"),
        (8.5, "0.8500"),
        (Decimal("8.50"), "0.8500"),
        (0, "0.0000"),
        (0.1, "0.0100"),
        (0.0005, "0.0000"),
        (0.0015, "0.0002"),
        (5001, "500.1000"),
    ],
)
def test_a_charge_is_quantity_times_rate(seconds, amount):
    """At 0.10 a second and four places, half to even."""
    assert amount == str(priced(seconds).amount)


@pytest.mark.parametrize(
    ("seconds", "bounds", "amount"),
    [
        (1, {"minimum": "0.15"}, "0.15"),
        (1.5, {"minimum": "0.15"}, "0.15"),
        (2, {"minimum": "0.15"}, "0.20"),
        (0, {"minimum": "0.15"}, "0.15"),
        (20, {"maximum": "1.50"}, "1.50"),
        (15, {"maximum": "1.50"}, "1.50"),
        (14, {"maximum": "1.50"}, "1.40"),
        (9, {"minimum": "1", "maximum": "1"}, "1.00"),
        (11, {"minimum": "1", "maximum": "1"}, "1.00"),
        (1.45, {"minimum": "0"}, "0.14"),
        (15.04, {"maximum": "1.50"}, "1.50"),
    ],
)
def test_a_charge_stays_within_its_bounds(seconds, bounds, amount):
    """At two places: not less than the minimum, not more than the maximum."""
    assert amount == str(priced(seconds, money=Money(2), **bounds).amount)


@pytest.mark.parametrize(
    ("seconds", "bounds", "amount"),
    [
        ("1.04", {"minimum": "0.105"}, "0.11"),
        ("1.06", {"minimum": "0.105"}, "0.11"),
        ("20", {"maximum": "1.505"}, "1.51"),
        ("15.01", {"maximum": "1.505"}, "1.51"),
    ],
)
def test_bounds_come_before_rounding(seconds, bounds, amount):
    """Were 0.104 rounded up first, it would be 0.11 and above a minimum of 0.105 by chance, not by the rule."""
    assert amount == str(priced(seconds, money=Money(2, "up"), **bounds).amount)


def test_a_flat_charge_costs_its_amount():
    """Whatever the event says; it has no quantity and no price."""
    flat = Price(amount=Decimal("1.5"))

    assert Priced(Decimal("1.5000"), flat) == price_charge(ChargeTerms(amount=Decimal("1.5")), {}, FIRST, Money())


def test_a_flat_charge_may_cost_nothing():
    """A rule can record without charging."""
    assert "0.0000" == str(price_charge(ChargeTerms(amount=Decimal(0)), {}, FIRST, Money()).amount)


def test_a_charge_tells_how_it_came_about():
    """The book, the row, the rate, the bounds and the quantity are kept with the entry."""
    assert Priced(
        amount=Decimal("2.1250"),
        quantity=Decimal("8.5"),
        price=Price(book="render-second", effective=FIRST, rate=Decimal("0.25"), unit="premium", minimum=Decimal(1)),
        content=(("detail.model", "premium"), ("detail.seconds", "8.5")),
    ) == priced("8.5", model="premium", minimum="1")


@pytest.mark.parametrize("seconds", [8, 8.0, "8", "8.0", "008.00", Decimal("8.000"), Decimal("0.8E+1")])
def test_the_content_of_a_charge_does_not_depend_on_how_its_number_is_written(seconds):
    """A row of Jobs, a float and a text with the same number are the same charge."""
    assert ((("detail.model", "veo-3"), ("detail.seconds", "8")), "0.8000") == (
        priced(seconds).content,
        str(priced(seconds).amount),
    )


# --- the row in force -------------------------------------------------------------------------------------------------

INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("at", "amount"),
    [
        (FIRST, "0.8000"),
        (FIRST + INSTANT, "0.8000"),
        (SECOND - INSTANT, "0.8000"),
        (SECOND, "0.9600"),
        (SECOND + INSTANT, "0.9600"),
        (datetime(9999, 12, 31, tzinfo=UTC), "0.9600"),
    ],
)
def test_the_row_in_force_at_the_event_counts(at, amount):
    """A row counts from its own instant on, until the next one does."""
    assert amount == str(priced(8, at=at).amount)


def test_before_the_first_row_there_is_no_price():
    """Such an event makes no sense; the message says since when there are prices."""
    assert ("time", "is before the first price of render-second (2025-01-01)") == problem(8, at=FIRST - INSTANT)


# --- the rate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "unit", "rate"),
    [("premium", "premium", "0.25"), ("default", "default", "0.10"), ("veo-3", "default", "0.10"), ("", "default", "0.10")],
)
def test_a_value_selects_its_rate_or_the_default(model, unit, rate):
    """Exactly as it is written: nothing is trimmed, no case is ignored."""
    price = priced(8, model=model).price

    assert (unit, Decimal(rate)) == (price.unit, price.rate)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "is missing; a string that selects a rate is needed"),
        (3, "is 3; a string that selects a rate is needed"),
        (True, "is True; a string that selects a rate is needed"),
        (["premium"], "is a list with 1 element; a string that selects a rate is needed"),
    ],
)
def test_only_a_string_selects_a_rate(model, message):
    """Even where there is a default: the event is not what the policy takes it for."""
    assert ("detail.model", message) == problem(8, model=model)


def test_a_rate_that_is_neither_there_nor_has_a_default_is_a_problem():
    """The message names what there is."""
    prices = book((FIRST, {"premium": "0.25", "draft": "0.05"}))

    expected = ("detail.model", "is 'veo-3'; render-second has neither that rate nor a default, only: draft, premium")

    assert expected == problem(8, prices=prices)
    assert "0.4000" == str(priced(8, prices=prices, model="draft").amount)


def test_without_anything_that_selects_the_default_counts():
    """And what might have selected plays no part in the charge's content."""
    prices = book((FIRST, {"default": "0.10"}), by=None)

    assert (Decimal("0.8"), (("detail.seconds", "8"),), "default") == (
        priced(8, prices=prices).amount,
        priced(8, prices=prices).content,
        priced(8, prices=prices, model=None).price.unit,
    )


def test_what_selects_may_be_impossible_to_work_out():
    """The problem names the expression and what is wrong with it."""
    field, message = problem(8, prices=book((FIRST, {"default": "0.10"}), by="join('-', detail.seconds)"))

    assert "join('-', detail.seconds)" == field
    assert message.startswith("cannot be worked out: join() takes a list of strings, not 8")


# --- quantities -------------------------------------------------------------------------------------------------------

MOST = f"{37 * '9'}8"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, "0"),
        (8, "8"),
        (10**37, f"1{37 * '0'}"),
        (int(MOST), MOST),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (8.0, "8.0"),
        (1e16, "1E+16"),
        (5e-7, "5E-7"),
        (-0.0, "0"),
        (1e37, "1E+37"),
        (1e-38, "1E-38"),
        (Decimal("8.50"), "8.50"),
        (Decimal("0E+300"), "0"),
        (Decimal("-0"), "0"),
        ("8", "8"),
        ("8.50", "8.50"),
        ("007", "7"),
        ("0.0", "0"),
        (f"0.{MOST}", f"0.{MOST}"),
        (f"1{37 * '0'}", f"1{37 * '0'}"),
        (f"8.{50 * '0'}", f"8.{50 * '0'}"),
    ],
)
def test_a_number_is_read_exactly(value, number):
    """A float as it was written, a text digit by digit; every zero is the same zero."""
    assert number == str(read_number(value))


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, -1, -0.5, Decimal(-1), float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("sNaN"),
        Decimal("Infinity"), "", " 8", "8 ", "8\n", "٣", "+1", "-1", "-0", "8.", ".5", "1e3", "1_000", "1,5", "0x10", "NaN",
        "Infinity", "eight", [], [8], {}, {"N": "8"}, b"8", 8j,
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_number_is_refused(value):
    """Booleans are no numbers, and a text is a plain decimal or none."""
    with pytest.raises(ValueError, match="; a finite number >= 0 is needed"):
        read_number(value)


@pytest.mark.parametrize(
    "value",
    [
        1e300,
        1e126,
        1e38,
        10**38,
        10**40,
        f"1{38 * '0'}",
        1e-39,
        Decimal("1E-130"),
        Decimal(f"1{20 * '0'}.{18 * '0'}1"),
        9e-131,
        5e-324,
        int(f"{MOST}1"),
        f"{MOST}1",
        f"1.{MOST}",
        f"0.1{250 * '0'}1",
        10**200 + 1,
        Decimal("1E+126"),
        Decimal("1E-131"),
        Decimal("1E+9999999"),
        Decimal("1E-9999999"),
        Decimal("1E+999999999999999999"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_the_ledger_cannot_hold_is_refused(value):
    """More than 38 digits, or too far from zero, or too near."""
    with pytest.raises(ValueError, match="; at most 38 digits, written out, fit into the ledger"):
        read_number(value)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (None, "is missing; a finite number >= 0 is needed"),
        ("eight", "is 'eight'; a finite number >= 0 is needed"),
        (-1, "is -1; a finite number >= 0 is needed"),
        ("\x1b[2J", r"is '\x1b[2J'; a finite number >= 0 is needed"),
        (100 * "a", f"is '{76 * 'a'}...; a finite number >= 0 is needed"),
        (1e300, "is 1e+300; at most 38 digits, written out, fit into the ledger"),
    ],
)
def test_a_quantity_that_makes_no_sense_is_a_problem_of_its_field(seconds, message):
    """What is there, what is needed, and where."""
    assert ("detail.seconds", message) == problem(seconds)


def test_a_quantity_may_be_impossible_to_work_out():
    """A sum over words, say."""
    field, message = problem(["a", "b"], quantity="sum(detail.seconds)")

    assert "sum(detail.seconds)" == field
    assert message.startswith("cannot be worked out: sum() takes a list of numbers, and 'a' is in the list")


def test_a_quantity_may_be_worked_out():
    """0.1 and 0.2 seconds are 0.3 seconds, and cost 0.03."""
    result = priced([0.1, 0.2], quantity="sum(detail.seconds)")

    content = (("detail.model", "veo-3"), ("sum(detail.seconds)", "0.3"))
    assert (Decimal("0.0300"), content) == (result.amount, result.content)


@pytest.mark.parametrize(
    ("seconds", "rate", "amount"),
    [
        (f"1{33 * '0'}", "1", f"1{33 * '0'}.0000"),
        ("9999999999999999999", "999999999999999", "9999999999999989999000000000000001.0000"),
        ("1234567890123456789.0123", "1", "1234567890123456789.0123"),
        ("1111111111111111111", "0.1111111111111111111", "123456790123456790.0988"),
        (f"0.{37 * '0'}1", "1", "0.0000"),
    ],
)
def test_a_charge_is_exact_in_all_38_digits(seconds, rate, amount):
    """Worked out on paper: nothing is lost before the places of money are."""
    assert amount == str(priced(seconds, prices=book((FIRST, {"default": rate}))).amount)


@pytest.mark.parametrize(
    ("seconds", "places"), [("1" + 34 * "0", 4), ("1" + 37 * "0", 1), ("1" + 28 * "0", 10), ("1" + 37 * "0", 4)]
)
def test_a_charge_with_more_digits_than_the_ledger_holds_is_a_problem(seconds, places):
    """One more than fits, with the places of money counted."""
    prices = book((FIRST, {"default": "1"}))
    fits = Decimal(seconds[: 38 - places])

    assert fits == priced(str(fits), prices=prices, money=Money(places)).amount
    assert ("detail.seconds", "makes a charge of more than the 38 digits that fit into the ledger") == problem(
        seconds, prices=prices, money=Money(places)
    )


def test_a_maximum_bounds_what_the_ledger_could_not_hold():
    """The bound comes first, so the charge fits."""
    assert "500.0000" == str(priced("1" + 37 * "0", maximum="500").amount)


def test_a_flat_charge_that_does_not_fit_is_a_problem():
    """38 digits with the places of money."""
    with pytest.raises(PriceProblem, match="charge.amount makes a charge of more than the 38 digits"):
        price_charge(ChargeTerms(amount=Decimal(10) ** 34), {}, FIRST, Money())


@pytest.mark.parametrize(
    ("number", "text", "digits"),
    [
        ("0", "0", 0),
        ("0.00", "0", 0),
        ("0E+9", "0", 0),
        ("8", "8", 1),
        ("8.00", "8", 1),
        ("800", "800", 1),
        ("8E+2", "800", 1),
        ("0.10", "0.1", 1),
        ("1E-7", "0.0000001", 1),
        ("100.01", "100.01", 5),
        (MOST, MOST, 38),
        (f"0.{MOST}", f"0.{MOST}", 38),
    ],
)
def test_a_number_has_one_text(number, text, digits):
    """However it was written; trailing zeros are no digits."""
    assert (text, digits) == (canonical(Decimal(number)), digits_of(Decimal(number)))


# --- instants ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "text", "sortable"),
    [
        ("2026-01-05T10:00:00Z", "2026-01-05T10:00:00Z", "2026-01-05T10:00:00.000000Z"),
        ("2026-01-05T12:00:00+02:00", "2026-01-05T10:00:00Z", "2026-01-05T10:00:00.000000Z"),
        ("2026-01-05T10:00:00.5Z", "2026-01-05T10:00:00.500000Z", "2026-01-05T10:00:00.500000Z"),
        ("2026-01-05T10:00Z", "2026-01-05T10:00:00Z", "2026-01-05T10:00:00.000000Z"),
        ("20260105T100000Z", "2026-01-05T10:00:00Z", "2026-01-05T10:00:00.000000Z"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00Z", "2025-12-31T23:30:00.000000Z"),
    ],
)
def test_an_instant_is_read_as_utc(written, text, sortable):
    """ISO 8601 with any zone in, UTC out."""
    instant = read_instant(written)

    assert (text, sortable) == (instant_text(instant), posting_text(instant))


@pytest.mark.parametrize(
    "value",
    [
        None, 5, "", "T", "2026-01-05", "2026-01-05T10:00:00", "2026-01-05 10:00:00Z", "2026-02-29T00:00:00Z",
        "2026-01-05T24:00:01Z", "2026-01-05T10:00:60Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
        "2026-01-05T10:00:00 Europe/Berlin", "now",
    ],
)  # fmt: skip
def test_what_is_no_instant_with_a_zone_is_none(value):
    """No zone, no such day or second, or beyond the calendar once it is UTC."""
    assert read_instant(value) is None
