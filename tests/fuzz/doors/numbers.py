"""Instants and numbers: what is read, how it is shown, rounded and stored, against arithmetic in fractions."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from engine.domain.digits import in_digits
from engine.domain.documents import as_told, told_number
from engine.domain.errors import shown
from engine.domain.instants import instant_text, posting_text, read_instant
from engine.domain.money import DIGITS_MAX, Money, canonical, read_number
from engine.domain.texts import plainly, text_problem
from engine.ledger.dynamodb.attributes import decode, encode
from tests.fuzz.door import Door
from tests.fuzz.odd import ODD_NUMBERS, ODD_TEXTS, ODD_TIMES, any_of, values
from tests.fuzz.sense import is_kept, number_of, seconds_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = Fraction(1, 10**6)
ROUNDINGS = ("half-even", "half-up", "up", "down")

digits = st.text("0123456789", min_size=1, max_size=40)
near_numbers = st.one_of(
    digits,
    st.builds("{}.{}".format, digits, digits),
    st.builds("{}{}.{}e{}".format, st.sampled_from(["", "-"]), digits, digits, st.integers(-45, 45)),
    st.text("0123456789.eE+-_ \u0663", max_size=12),
)
decimals = st.builds(
    lambda text, exponent: Decimal(text).scaleb(exponent),
    st.builds("{}{}".format, st.sampled_from(["", "-"]), digits),
    st.integers(-60, 60),
)
parts = st.integers(0, 99).map("{:02}".format)
near_instants = st.one_of(
    st.sampled_from(ODD_TIMES),
    st.builds(
        "{}{}{}{}{}T{}{}{}{}{}{}{}".format,
        st.integers(0, 9999).map("{:04}".format),
        st.sampled_from(["-", "-", ""]),
        st.integers(0, 13).map("{:02}".format),
        st.sampled_from(["-", "-", ""]),
        st.integers(0, 32).map("{:02}".format),
        st.integers(0, 24).map("{:02}".format),
        st.sampled_from([":", ":", ""]),
        st.integers(0, 60).map("{:02}".format),
        st.sampled_from([":", ":", ""]),
        st.integers(0, 60).map("{:02}".format),
        st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(".,"), st.text("0123456789", max_size=9))),
        st.one_of(
            st.sampled_from(["Z", "+01:00", "-0130", "+14", "", "z", "+24:00", "+00:60"]),
            st.builds("+{}:{}".format, parts, parts),
        ),
    ),
)
whole = st.builds(lambda number, zeros: number * 10**zeros, st.integers(1, 9_999), st.integers(1, 40))
"""Whole numbers that end in zeros, which a decimal may keep or not."""

given = any_of(
    near_numbers,
    near_instants,
    decimals,
    whole,
    whole.map(str),
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(ODD_NUMBERS),
    st.integers(),
    st.floats(),
    values,
)


def check(value: Any) -> None:
    """Each reader and each writer says what the rules say, and what is written is read back as it was."""
    check_number(value)
    check_instant(value)
    check_text(value)
    if isinstance(value, Decimal):
        check_decimal(value)
    elif isinstance(value, str):
        check_json_number(value)


def check_number(value: Any) -> None:
    """A quantity is read or refused as the rules say, and stored without loss."""
    expected = number_of(value)
    try:
        number = read_number(value)
    except ValueError as refusal:
        assert expected is None, refusal
        assert str(refusal).isprintable()
        assert len(str(refusal)) < 200, refusal
        return
    assert expected == Fraction(number), number
    assert expected == Fraction(Decimal(decode(encode(number))))
    assert expected == Fraction(Decimal(canonical(number)))
    assert len(canonical(number).replace(".", "").lstrip("0")) <= DIGITS_MAX
    assert canonical(number) == canonical(read_number(canonical(number)))


def check_instant(value: Any) -> None:
    """An instant is read or refused as the standard says, and read again from each of its texts."""
    expected, instant = seconds_of(value), read_instant(value)
    assert (expected is None) is (instant is None), f"{instant} where {expected} is right"
    if instant is None or expected is None:
        return
    assert expected == (instant - EPOCH) // timedelta(microseconds=1) * MICROSECOND
    assert instant == read_instant(instant_text(instant)) == read_instant(posting_text(instant))
    assert len(posting_text(instant)) == len("2026-01-05T10:00:00.000000Z")


def check_text(value: Any) -> None:
    """A text is kept or refused as the rules say, and any value is shown in one line that is not long."""
    if isinstance(value, str):
        assert is_kept(value) is (text_problem(value) is None)
        assert plainly(value).isprintable()
    text = shown(value)
    assert text.isascii(), text
    assert text.isprintable(), text
    assert len(text) <= 80, text


def check_decimal(number: Decimal) -> None:
    """Shown, rounded and told again it is the number that it was, or the one that the rules of rounding make of it."""
    assert Decimal(in_digits(number)) == number
    if number.adjusted() < DIGITS_MAX:
        for places in (0, 4, 12):
            for rounding in ROUNDINGS:
                assert rounded(Fraction(number), places, rounding) == Fraction(Money(places, rounding).round(number)), (
                    places,
                    rounding,
                )
    told = as_told({"x": [number]})["x"][0]
    assert as_told(told) == told
    if number != number.to_integral_value():
        assert told == Decimal(repr(float(number)))


def check_json_number(text: str) -> None:
    """A number of a document is the same by every door."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        return
    told = told_number(text)
    assert Decimal(repr(value)) == told if isinstance(value, float) else told in {value, Decimal(repr(float(value)))}


def rounded(number: Fraction, places: int, rounding: str) -> Fraction:
    """Return a number rounded by the policy's words."""
    scaled = abs(number) * 10**places
    whole, rest = scaled.numerator // scaled.denominator, scaled % 1
    ups = {
        "up": rest > 0,
        "down": False,
        "half-up": rest >= Fraction(1, 2),
        "half-even": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1),
    }
    return Fraction(whole + ups[rounding], 10**places) * (-1 if number < 0 else 1)


DOOR = Door(
    "numbers",
    given,
    check,
    (
        *("engine/domain/instants.py", "engine/domain/money.py", "engine/domain/digits.py", "engine/domain/texts.py"),
        *("engine/domain/documents.py", "engine/domain/errors.py", "engine/ledger/dynamodb/attributes.py"),
    ),
)
