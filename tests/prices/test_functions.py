"""The functions beside JMESPath's own: exact arithmetic, and times and texts as providers send them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.domain.money import DIGITS_MAX, EXACT
from engine.policy.expressions.paths import PathProblem, compile_path
from tests.support.examples import tries
from tests.support.policies import example

DOCUMENT = {
    "width": 1280,
    "height": "720",
    "seconds": 12,
    "tenth": 0.1,
    "long": "0.12345678901234567890123456789012345678",
    "below": -12,
    "none": None,
    "yes": True,
    "zero": 0,
    "huge": 1e300,
    "million": "1000000.000",
    "scenes": [{"seconds": 4.5, "outputs": 2}, {"seconds": "3", "outputs": 1}],
    "started": 1767607200,
    "finished": "1767607200500.25",
    "submitted": "2025-01-08 19:36:00.000",
    "basic": "20260105T100000",
    "instant": "2026-01-05T10:00:00Z",
    "place": "s3://videos/jobs/inv-7/output.mp4",
    "a": {"b c": 5},
}


def found(expression: str, document: Any = DOCUMENT) -> Any:
    """Return what an expression finds."""
    return compile_path(expression).search(document)


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("multiply(width, height)", "921600"),
        ("multiply(width, height, seconds)", "11059200"),
        ("multiply(tenth, tenth)", "0.01"),
        ("multiply(long, `1`)", "0.12345678901234567890123456789012345678"),
        ("multiply(`1e19`, `9999999999999999999`)", "99999999999999999990000000000000000000"),
        ("multiply(`-1`, zero)", "0"),
        ("multiply(`1e-30`, `1e30`, `1e-38`, `1e37`)", "0.1"),
        ("multiply('2', '-3')", "-6"),
        ("multiply(`1e-20`, `1e-20`, `1e-20`, `1e20`, `1e20`, `1e20`, `7`)", "7"),
        ("add(tenth, `0.2`)", "0.3"),
        ("add(tenth, `0.2`, '0.30')", "0.60"),
        ("add(`99999999999999999999999999999999999999`, `-1`)", "99999999999999999999999999999999999998"),
        ("subtract(seconds, `5`)", "7"),
        ("subtract(`10`, `2`, '0.5')", "7.5"),
        ("subtract(`5`, seconds)", "-7"),
        ("subtract(tenth, '0.1')", "0"),
        ("divide(seconds, `8`)", "1.5"),
        ("divide(million, `1000`)", "1000.000"),
        ("divide(`1`, `3`)", f"0.{28 * '3'}"),
        ("divide(`2`, `3`)", f"0.{27 * '6'}7"),
        ("divide(`200`, `3`)", f"66.{25 * '6'}7"),
        ("divide(below, `5`)", "-2.4"),
        ("divide(zero, `3`)", "0"),
        ("divide(`2`, `3e20`)", f"0.{20 * '0'}{17 * '6'}7"),
        ("divide(`1`, `1e37`)", f"0.{36 * '0'}1"),
        ("round_up(seconds, `5`)", "15"),
        ("round_up(`15`, `5`)", "15"),
        ("round_up(`15.00000000000000000001`, `5`)", "20"),
        ("round_up(below, `5`)", "-10"),
        ("round_up(`0`, `5`)", "0"),
        ("round_up(`-4`, `5`)", "0"),
        ("round_up(tenth, `0.03`)", "0.12"),
        ("round_up('7.2', '2.5')", "7.5"),
        ("round_down(seconds, `5`)", "10"),
        ("round_down(`10`, `5`)", "10"),
        ("round_down(below, `5`)", "-15"),
        ("round_down(`4`, `5`)", "0"),
        ("round_down(`1.2999`, `0.01`)", "1.29"),
        ("divide(multiply(width, height), million)", "0.9216"),
        ("round_up(divide(multiply(width, height), `1e6`), `1`)", "1"),
        ("sum(scenes[*].multiply(seconds, outputs))", "12.0"),
        ("missing || multiply(width, `2`)", "2560"),
        ("scenes[?multiply(outputs, `2`) > `3`] | [0].seconds", "4.5"),
        ("abs(subtract(`1`, `3`))", "2"),
        ("multiply(length(scenes), `3`)", "6"),
    ],
)
def test_arithmetic_is_exact(expression: str, number: str) -> None:
    """Worked out by hand. Only a quotient can be without an end: it has 28 digits, and 38 places behind the point at most."""
    value = found(expression)

    assert (Decimal, number) == (type(value), format(value, "f"))


NUMBERS = (
    st.decimals(-(10**12), 10**12, places=6) | st.decimals("-1e38", "1e38", allow_nan=False) | st.integers(-(10**40), 10**40)
)


def fraction(number: Any) -> Fraction | None:
    """Return a number as a fraction, or None for one that the ledger cannot hold."""
    exact = Decimal(number)
    places = max(0, -int(exact.normalize(EXACT).as_tuple().exponent))
    whole = len(str(abs(int(exact)))) if abs(exact) >= 1 else 0
    return Fraction(exact) if places + whole <= DIGITS_MAX else None


def worked_out(expression: str, *numbers: Any) -> Fraction | None:
    """Return what is found, as a fraction; None where nothing can be."""
    try:
        return Fraction(found(expression, dict(zip("abc", numbers, strict=False))))
    except PathProblem:
        return None


@tries(300)
@given(NUMBERS, NUMBERS, NUMBERS)
def test_arithmetic_agrees_with_fractions(a: Any, b: Any, c: Any) -> None:
    """Whatever the numbers: the very result, or none where it or a number has more digits than the ledger."""
    x, y, z = map(fraction, (a, b, c))
    calculations = {
        "add(a, b, c)": None if x is None or y is None or z is None else x + y + z,
        "subtract(a, b, c)": None if x is None or y is None or z is None else x - y - z,
        "multiply(a, b)": None if x is None or y is None else x * y,
        "round_up(a, b)": None if x is None or y is None or y <= 0 else -(-x // y) * y,
        "round_down(a, b)": None if x is None or y is None or y <= 0 else (x // y) * y,
    }

    for expression, expected in calculations.items():
        holds = expected is not None and is_held(expected)
        assert (expected if holds else None) == worked_out(expression, a, b, c), expression


def is_held(number: Fraction) -> bool:
    """Say whether a number has an end, and at most 38 digits written out."""
    places = next((places for places in range(DIGITS_MAX + 1) if (number * 10**places).denominator == 1), None)
    return places is not None and places + (len(str(abs(int(number)))) if abs(number) >= 1 else 0) <= DIGITS_MAX


@tries(300)
@given(NUMBERS, NUMBERS)
def test_a_quotient_is_right_to_the_last_of_its_28_digits(a: Any, b: Any) -> None:
    """It differs from the true one by half a unit of its last place at most: the 28th digit, or the 38th place."""
    x, y, quotient = fraction(a), fraction(b), worked_out("divide(a, b)", a, b)
    if quotient is None:
        assert x is None or not y or not Fraction(1, 10**DIGITS_MAX) / 2 < abs(x / y) < Fraction(10**DIGITS_MAX) or not x
        return

    assert x is not None
    assert y
    digits = Fraction(10) ** (len(str(int(abs(x / y)))) - 28) if abs(x / y) >= 1 else abs(x / y) / 10**27
    assert abs(quotient - x / y) <= max(digits, Fraction(1, 10**DIGITS_MAX)) / 2


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("from_seconds(started)", "2026-01-05T10:00:00Z"),
        ("from_seconds('1767607200')", "2026-01-05T10:00:00Z"),
        ("from_seconds(`1767607200.25`)", "2026-01-05T10:00:00.250000Z"),
        ("from_seconds('1767607200.1234569')", "2026-01-05T10:00:00.123456Z"),
        ("from_seconds(zero)", "1970-01-01T00:00:00Z"),
        ("from_seconds(`-0.5`)", "1969-12-31T23:59:59.500000Z"),
        ("from_seconds(`253402300799`)", "9999-12-31T23:59:59Z"),
        ("from_seconds(`-62135596800`)", "0001-01-01T00:00:00Z"),
        ("from_milliseconds(`1767607200000`)", "2026-01-05T10:00:00Z"),
        ("from_milliseconds(finished)", "2026-01-05T10:00:00.500250Z"),
        ("in_zone(submitted, '+08:00')", "2025-01-08T19:36:00.000+08:00"),
        ("in_zone(basic, '-0330')", "20260105T100000-0330"),
        ("in_zone('2026-01-05T10:00', 'Z')", "2026-01-05T10:00Z"),
        ("in_zone(instant, '+08:00')", "2026-01-05T10:00:00Z"),
        ("in_zone('2026-01-05T10:00:00-05:00', '+08:00')", "2026-01-05T10:00:00-05:00"),
        ("in_zone('2026-01-05 10:00:00-05:00', '+08:00')", "2026-01-05T10:00:00-05:00"),
        ("split(place, '/')[4]", "inv-7"),
        ("split(place, '/')[-2]", "inv-7"),
        ("split(place, '://') | [0]", "s3"),
        ("join('+', split('a,,b', ','))", "a++b"),
        ("to_string(split('', ','))", '[""]'),
        ("to_string(split('a', 'ab'))", '["a"]'),
    ],
)
def test_times_and_texts(expression: str, text: str) -> None:
    """1,767,607,200 seconds after 1970 it is 2026-01-05T10:00:00Z. What is below a microsecond is cut off."""
    assert text == found(expression)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("multiply(width, missing)", "missing is missing; a number is needed"),
        ("multiply(none, width)", "none is missing; a number is needed"),
        ("multiply(width, yes)", "yes is True; a number is needed"),
        ("multiply(width, scenes)", "scenes is a list with 2 elements; a number is"),
        ("multiply(width, place)", "place is 's3://videos/jobs/inv-7/output.mp4'; a number is needed"),
        ("multiply(width, huge)", "huge is 1E+300; a number of at most 38 digits, written out, is needed"),
        ("add(width, scenes[0].frames)", "scenes[0].frames is missing; a number is needed"),
        ('add(width, a."b d")', 'a."b d" is missing; a number is needed'),
        ("add( width , (missing||none) )", "(missing||none) is missing; a number is needed"),
        ("add(\n  width,\n  (missing\n   || none)\n)", "(missing || none) is missing; a number is needed"),
        ("subtract(@, width)", "@ is an object with "),
        ("multiply(`1e20`, to_number('1e20'))", "multiply() makes a number that has more than 38 digits written out"),
        ("multiply(long, long)", "multiply() makes a number that has more than 38 digits written out"),
        ("add(`1e37`, tenth, '1e5')", None),
        ("add(to_number('1e37'), tenth)", "add() makes a number that has more than 38 digits written out"),
        ("divide(width, zero)", "zero is 0; a number other than 0 is needed"),
        ("divide(width, subtract(width, width))", "subtract(width, width) is 0; a number other than 0 is needed"),
        ("divide(to_number('1e37'), tenth)", "divide() makes a number that has more than 38 digits written out"),
        ("divide(`0.01`, to_number('1e37'))", "divide() makes a number below the 38 places that fit into the ledger"),
        ("round_up(width, zero)", "zero is 0; a step above 0 is needed"),
        ("round_down(width, below)", "below is -12; a step above 0 is needed"),
        ("from_seconds(finished)", "finished is '1767607200500.25'; a number of seconds since 1970, in the years"),
        ("from_seconds(`253402300800`)", None),
        ("from_milliseconds(instant)", "instant is '2026-01-05T10:00:00Z'; a number is needed"),
        ("in_zone(started, '+08:00')", "started is 1767607200; a text is needed"),
        ("in_zone(place, '+08:00')", "place is 's3://videos/jobs/inv-7/output.mp4'; an ISO 8601 time, like"),
        ("in_zone(instant, place)", "place is 's3://videos/jobs/inv-7/output.mp4'; an offset from UTC, like '+08:00', is"),
        ("split(width, '/')", "width is 1280; a text is needed"),
        ("split(place, missing)", "missing is missing; a text is needed"),
    ],
)  # fmt: skip
def test_what_cannot_be_worked_out_names_the_field(expression: str, problem: str | None) -> None:
    """As it is written in the expression, with what stands there and what is needed. What ``validate`` finds comes first."""
    if problem is None:
        with pytest.raises(PolicyError):
            compile_path(expression)
        return
    with pytest.raises(PathProblem) as refusal:
        found(expression)

    assert problem == str(refusal.value)[: len(problem)]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("multiply('a', width)", "is wrong: multiply() takes a number, not 'a'"),
        ("multiply(width, `null`)", "is wrong: multiply() takes a number, not null"),
        ("multiply(width, `true`)", "is wrong: multiply() takes a number, not True"),
        ("multiply(width, `[1, 2]`)", "is wrong: multiply() takes a number, not a list with 2 elements"),
        ("multiply(width, '1e3')", "is wrong: multiply() takes a number, not '1e3'"),
        ("add(width, `1e40`)", f"is wrong: add() takes a number of at most 38 digits, written out, not 1{40 * '0'}"),
        ("multiply(width)", "is wrong: multiply() takes at least 2 arguments, and is given 1"),
        ("add()", "is wrong: add() takes at least 2 arguments, and is given 0"),
        ("divide(width, height, seconds)", "is wrong: divide() takes 2 arguments, and is given 3"),
        ("round_up(seconds)", "is wrong: round_up() takes 2 arguments, and is given 1"),
        ("from_seconds(started, `1`)", "is wrong: from_seconds() takes 1 argument, and is given 2"),
        ("divide(width, `0`)", "is wrong: divide() takes a number other than 0, not 0"),
        ("divide(width, '0.00')", "is wrong: divide() takes a number other than 0, not '0.00'"),
        ("round_up(seconds, `0`)", "is wrong: round_up() takes a step above 0, not 0"),
        ("round_down(seconds, `-0.00000005`)", "is wrong: round_down() takes a step above 0, not -0.00000005"),
        ("in_zone(submitted, '8')", "is wrong: in_zone() takes an offset from UTC, like '+08:00', not '8'"),
        ("in_zone(submitted, '+8:00')", "is wrong: in_zone() takes an offset from UTC, like '+08:00', not '+8:00'"),
        ("in_zone(submitted, '+24:00')", "is wrong: in_zone() takes an offset from UTC, like '+08:00', not '+24:00'"),
        ("in_zone(submitted, ':30Z')", "is wrong: in_zone() takes an offset from UTC, like '+08:00', not ':30Z'"),
        ("in_zone(submitted, 'Asia/Tokyo')", "is wrong: in_zone() takes an offset from UTC, like '+08:00', not 'Asia/Tokyo'"),
        ("in_zone('2026-02-30T10:00:00', 'Z')", "is wrong: in_zone() takes an ISO 8601 time, like 2026-01-05T10:00:00, not"),
        ("in_zone('0001-01-01T00:00:00', '+01:00')", "is wrong: 0001-01-01T00:00:00+01:00 lies beyond the calendar"),
        ("split(place, '')", "is wrong: split() takes a text that is not empty, not ''"),
        ("split(place, `1`)", "is wrong: split() takes a text, not 1"),
        ("from_seconds(`253402300800`)", "is wrong: from_seconds() takes a number of seconds since 1970, in"),
        ("from_milliseconds('soon')", "is wrong: from_milliseconds() takes a number, not 'soon'"),
        ("multiply(`1e30`, `1e30`)", "is wrong: multiply() makes a number that has more than 38 digits written out"),
        ("multiply(split(place, '/'), width)", "is wrong: multiply() takes a number, not a list"),
        ("multiply(width > height, width)", "is wrong: multiply() takes a number, not true or false or null"),
        ("multiply(&width, width)", "is wrong: multiply() takes a number, not an expression (`&name`)"),
        ("split(add(width, width), '/')", "is wrong: split() takes a text, not a number"),
        ("in_zone(submitted, add(width, width))", "is wrong: in_zone() takes an offset from UTC, not a number"),
        ("sum(multiply(width, height))", "is wrong: sum() takes a list of numbers, not a number"),
        ("ceil(from_seconds(started))", "is wrong: ceil() takes a number, not a string"),
        ("mutliply(width, height)", "calls mutliply(), which JMESPath does not have; did you mean multiply()?"),
        ("roundUp(width, `5`)", "calls roundUp(), which JMESPath does not have; did you mean round_up()?"),
        ("fromSeconds(started)", "calls fromSeconds(), which JMESPath does not have; did you mean from_seconds()?"),
        ("celi(width)", "calls celi(), which JMESPath does not have; did you mean ceil()?"),
        ("xyz(width)", "calls xyz(), which JMESPath does not have; there are abs, add, avg, ceil, contains, divide,"),
    ],
)  # fmt: skip
def test_what_can_never_work_is_refused_with_the_policy(expression: str, problem: str) -> None:
    """As far as it can be known without an event: the number of arguments, literals, and what other functions return."""
    with pytest.raises(PolicyError) as refusal:
        compile_path(expression)

    said = f"{expression!r} {problem}"
    assert said == str(refusal.value)[: len(said)]


@pytest.mark.parametrize(
    ("expression", "attributes"),
    [
        ("multiply(detail.width, detail.height, `2`)", {"width", "height"}),
        ("round_up(divide(detail.milliseconds, `1000`), detail.step)", {"milliseconds", "step"}),
        ("from_seconds(detail.created)", {"created"}),
        ("in_zone(detail.submitted || time, '+08:00')", {"submitted"}),
        ("split(detail.place, '/')[4]", {"place"}),
        ("split(detail.place, '/') | [-1]", {"place"}),
        ("sum(detail.scenes[*].multiply(seconds, outputs))", {"scenes"}),
        ("add(time, detail)", None),
        ("multiply(@, `2`)", None),
    ],
)
def test_a_function_looks_at_what_its_arguments_look_at(expression: str, attributes: set[str] | None) -> None:
    """So a scan fetches these attributes of a row and no others."""
    assert attributes == compile_path(expression).row_attributes()


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("round_up(detail.seconds, 5)", "; a number stands in backticks: `5`"),
        ("add(detail.a, -0.5)", "; a number stands in backticks: `-0.5`"),
        ("divide(detail.milliseconds,1000)", "; a number stands in backticks: `1000`"),
        ("detail.width * detail.height", "; to multiply write multiply(a, b)"),
        ("detail.width*2", "; to multiply write multiply(a, b)"),
        ("detail.milliseconds / `1000`", "; to divide write divide(a, b)"),
        ("(detail.input + detail.output)", "; to add write add(a, b)"),
        ("detail.end - detail.start", "Unknown token '-'; to subtract write subtract(a, b)"),
        ("detail.user-id", '; a name with a dash stands in quotes, like detail."user-id"; to subtract write subtract(a, b)'),
        ("detail.x['a/b 5'", "Expecting: "),
        ("detail.outputs[0", "Incomplete expression"),
    ],
)
def test_who_writes_signs_or_bare_numbers_is_told_what_to_write(expression: str, hint: str) -> None:
    """The most likely slips of whoever calculates; what stands in quotes is no sign and no number."""
    with pytest.raises(PolicyError) as refusal:
        compile_path(expression)

    said = str(refusal.value)
    assert hint in said
    assert said.endswith(hint) or hint[0] != ";"
    assert hint[0] == ";" or "backticks" not in said


CHARGE = "quantity: detail.seconds"


@pytest.mark.parametrize(
    ("change", "place", "problem"),
    [
        ((CHARGE, "quantity: \"multiply(detail.seconds, 'a')\""), 17, "is wrong: multiply() takes a number, not 'a'"),
        ((CHARGE, "quantity: \"split(detail.model, '-')\""), 17, "finds a list of texts, and a number is needed here"),
        ((CHARGE, "quantity: from_seconds(detail.seconds)"), 17, "finds a text, and a number is needed here"),
        (
            ("by: detail.model", 'by: "round_up(detail.seconds, `5`)"'),
            8,
            "finds a number, and a text is needed here: to_string()",
        ),
        (("by: detail.model", "by: [\"split(detail.model, '-')\"]"), 8, "finds a list of texts, and one text is needed here"),
        (("time: time}", 'time: "multiply(detail.at, `1000`)"}'), 3, "finds a number, and a text is needed here"),
        (("time: updatedAt", 'time: "divide(updatedAt, `1000`)"'), 34, "finds a number, and a text is needed here"),
    ],
)
def test_validate_says_where_a_calculation_cannot_stand(change: tuple[str, str], place: int, problem: str) -> None:
    """By its literals, and by what it finds: a rate is selected by a text, a quantity is a number, an instant is a text."""
    with pytest.raises(PolicyError) as refusal:
        example(change)

    mistake = refusal.value.mistakes[0]
    assert (place, True) == (mistake.line, problem in mistake.message), str(mistake)


@pytest.mark.parametrize(
    "change",
    [
        (CHARGE, 'quantity: "round_up(detail.seconds, `5`)"'),
        (CHARGE, "quantity: \"split(detail.model, '-')[1]\""),
        ("by: detail.model", 'by: "to_string(round_up(detail.seconds, `5`))"'),
        ("by: detail.model", "by: [\"split(detail.model, '-')[0]\"]"),
        ("time: time}", "time: from_milliseconds(detail.at)}"),
        ("time: updatedAt", "time: \"in_zone(updatedAt, '+08:00')\""),
    ],
)
def test_a_calculation_stands_where_it_finds_what_is_needed(change: tuple[str, str]) -> None:
    """A digit in a text may be a quantity."""
    assert example(change)
