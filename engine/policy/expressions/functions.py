"""Functions beside JMESPath's own: exact arithmetic, and times and texts as providers send them. They need no jmespath.

A number is a JSON number, or its digits in a text. Each result is exact, or it is none: a function says what is wrong, and
never rounds behind one's back. ``divide`` alone can have a result without an end; it says how many digits it keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from functools import reduce
from typing import Any, NamedTuple

from engine.domain.errors import quoted
from engine.domain.instants import INSTANT, instant_text, read_instant
from engine.domain.money import DIGITS_MAX, PLAIN_DECIMAL, ZERO
from engine.policy.expressions.values import CannotBe

TRAPS = [Inexact, Overflow, InvalidOperation, DivisionByZero]

WIDE = Context(prec=20_000, traps=TRAPS)
"""Exact for whatever an expression of 1,000 characters can multiply: 500 numbers of 38 digits."""

HELD = Context(prec=DIGITS_MAX, Emin=-1, Emax=DIGITS_MAX - 1, traps=TRAPS)
"""Has just the numbers that ``money.fits`` takes, those of 38 digits written out; any other is an ArithmeticError."""

QUOTIENT_DIGITS = 28

QUOTIENT = Context(
    prec=QUOTIENT_DIGITS,
    rounding=ROUND_HALF_EVEN,
    Emin=QUOTIENT_DIGITS - 1 - DIGITS_MAX,
    Emax=DIGITS_MAX - 1,
    traps=[Overflow, InvalidOperation, DivisionByZero],
)
"""Rounds once: to 28 digits, and to the 38 places that the ledger has behind the point."""

ONE = Decimal(1)
MICROSECONDS, EPOCH = Decimal(10**6), datetime(1970, 1, 1, tzinfo=UTC)


class Unfit(ValueError):
    """An argument that a function cannot take; the message names what is needed in its place."""


class Parameter(NamedTuple):
    """What a function takes at a place: ``types`` in JMESPath's names, ``needed`` in words.

    ``read`` returns what the function works with. It raises Unfit for any other value.
    """

    needed: str
    types: frozenset[str]
    read: Callable[[Any], Any]


class Function(NamedTuple):
    """A function: its parameters, of which the last may stand for more than one argument, its result, and what it does.

    A named tuple is made in half the time that attrs takes; the cold start of a policy that calculates waits for it.
    """

    parameters: tuple[Parameter, ...]
    result: str
    work: Callable[..., Any]
    takes_more: bool = False

    def parameter(self, index: int) -> Parameter:
        """Return what is taken at a place."""
        return self.parameters[min(index, len(self.parameters) - 1)]


def call(name: str, function: Function, given: Sequence[Any], text_of: Callable[[int], str]) -> Any:
    """Return what a function makes of its arguments; ``text_of`` an index is how the argument is written.

    Raises CannotBe with the argument that is wrong, or with what is wrong with the result.
    """
    arguments = []
    for index, value in enumerate(given):
        try:
            arguments.append(function.parameter(index).read(value))
        except Unfit as unfit:
            raise CannotBe(f"{text_of(index)} is {quoted(value)}; {unfit} is needed") from unfit
    try:
        return function.work(*arguments)
    except ArithmeticError as error:
        raise CannotBe(f"{name}() makes a number that has more than {DIGITS_MAX} digits written out") from error


# --- what is taken ----------------------------------------------------------------------------------------------------


def _number(value: Any) -> Decimal:
    number = _decimal(value)
    if number is None or not number.is_finite():
        raise Unfit("a number")
    try:
        return _held(number)
    except ArithmeticError as error:
        raise Unfit(f"a number of at most {DIGITS_MAX} digits, written out,") from error


def _held(number: Decimal) -> Decimal:
    """Return a number that the ledger can hold. Raises ArithmeticError for any other."""
    return HELD.plus(number) or ZERO


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if PLAIN_DECIMAL.fullmatch(value.removeprefix("-")) else None
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _divisor(value: Any) -> Decimal:
    if not (number := _number(value)):
        raise Unfit("a number other than 0")
    return number


def _step(value: Any) -> Decimal:
    if (number := _number(value)) <= 0:
        raise Unfit("a step above 0")
    return number


def _seconds(value: Any) -> datetime:
    return _since_1970(_number(value), MICROSECONDS, "a number of seconds since 1970, in the years 1 to 9999,")


def _milliseconds(value: Any) -> datetime:
    return _since_1970(_number(value), Decimal(1000), "a number of milliseconds since 1970, in the years 1 to 9999,")


def _since_1970(number: Decimal, microseconds: Decimal, needed: str) -> datetime:
    """Return an instant; what is below a microsecond is cut off, as of an instant that is written as a text."""
    try:
        return EPOCH + timedelta(microseconds=int(WIDE.multiply(number, microseconds).to_integral_value(ROUND_FLOOR)))
    except OverflowError as error:
        raise Unfit(needed) from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("a text")
    return value


def _separator(value: Any) -> str:
    if not _text(value):
        raise Unfit("a text that is not empty")
    return str(value)


def _time(value: Any) -> str:
    """Return an ISO 8601 time, with or without a zone. Providers write a blank in place of the T."""
    time = _text(value).replace(" ", "T", 1)
    if not INSTANT.fullmatch(time) and read_instant(f"{time}Z") is None:
        raise Unfit("an ISO 8601 time, like 2026-01-05T10:00:00,")
    return time


def _offset(value: Any) -> str:
    if _text(value)[:1] not in {"+", "-", "Z"} or read_instant(f"2000-01-01T00:00:00{value}") is None:
        raise Unfit("an offset from UTC, like '+08:00',")
    return str(value)


NUMERIC, TEXTUAL = frozenset({"number", "string"}), frozenset({"string"})
NUMBER = Parameter("a number", NUMERIC, _number)
DIVISOR = Parameter("a number other than 0", NUMERIC, _divisor)
STEP = Parameter("a step above 0", NUMERIC, _step)
SECONDS = Parameter("a number of seconds since 1970", NUMERIC, _seconds)
MILLISECONDS = Parameter("a number of milliseconds since 1970", NUMERIC, _milliseconds)
TEXT = Parameter("a text", TEXTUAL, _text)
SEPARATOR = Parameter("a text that is not empty", TEXTUAL, _separator)
TIME = Parameter("an ISO 8601 time", TEXTUAL, _time)
OFFSET = Parameter("an offset from UTC", TEXTUAL, _offset)


# --- what is done -----------------------------------------------------------------------------------------------------


def _add(*numbers: Decimal) -> Decimal:
    return _held(reduce(WIDE.add, numbers))


def _subtract(*numbers: Decimal) -> Decimal:
    return _held(reduce(WIDE.subtract, numbers))


def _multiply(*numbers: Decimal) -> Decimal:
    return _held(reduce(WIDE.multiply, numbers))


def _divide(number: Decimal, divisor: Decimal) -> Decimal:
    quotient = QUOTIENT.divide(number, divisor)
    if number and not quotient:
        raise CannotBe(f"divide() makes a number below the {DIGITS_MAX} places that fit into the ledger")
    return quotient or ZERO


def _round_up(number: Decimal, step: Decimal) -> Decimal:
    return _held(WIDE.minus(_down(WIDE.minus(number), step)))


def _round_down(number: Decimal, step: Decimal) -> Decimal:
    return _held(_down(number, step))


def _down(number: Decimal, step: Decimal) -> Decimal:
    steps, rest = WIDE.divmod(number, step)
    return WIDE.multiply(WIDE.subtract(steps, ONE) if rest < 0 else steps, step)


def _in_zone(time: str, offset: str) -> str:
    if INSTANT.fullmatch(time):
        return time
    if read_instant(f"{time}{offset}") is None:
        raise CannotBe(f"{time}{offset} lies beyond the calendar")
    return f"{time}{offset}"


FUNCTIONS: Mapping[str, Function] = {
    "add": Function((NUMBER, NUMBER), "number", _add, takes_more=True),
    "subtract": Function((NUMBER, NUMBER), "number", _subtract, takes_more=True),
    "multiply": Function((NUMBER, NUMBER), "number", _multiply, takes_more=True),
    "divide": Function((NUMBER, DIVISOR), "number", _divide),
    "round_up": Function((NUMBER, STEP), "number", _round_up),
    "round_down": Function((NUMBER, STEP), "number", _round_down),
    "from_seconds": Function((SECONDS,), "string", instant_text),
    "from_milliseconds": Function((MILLISECONDS,), "string", instant_text),
    "in_zone": Function((TIME, OFFSET), "string", _in_zone),
    "split": Function((TEXT, SEPARATOR), "array", str.split),
}
"""The functions by their names. A new one is a line here, and above what it takes and what it does."""
