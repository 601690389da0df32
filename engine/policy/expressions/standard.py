"""JMESPath's own functions that prices ask for, exact in decimals. Without jmespath.

Source: "JMESPath Specification", Built-in Functions. The interpreter has these and all others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from engine.domain.money import EXACT, JSON_NUMBER, ZERO
from engine.policy.expressions.values import CannotBe, Signature, as_json, is_equal, is_number, type_of

TEXT_CHARACTERS_MAX = 1024 * 1024
"""What ``join`` may make: as many characters as an event has. A separator that the event says itself could make any number."""

MEAN = Context(prec=38)
"""A mean is the one result that may have no end: it keeps what a number of DynamoDB holds."""


def absolute(number: Any) -> Any:
    """Return a number without its sign."""
    return number.copy_abs() if isinstance(number, Decimal) else abs(number)


def ceiling(number: Any) -> Any:
    """Return the next whole number."""
    return Decimal(number).to_integral_value(ROUND_CEILING)


def floor(number: Any) -> Any:
    """Return the whole number before."""
    return Decimal(number).to_integral_value(ROUND_FLOOR)


def total(numbers: Any) -> Any:
    """Return the sum, with all its digits."""
    return functools.reduce(EXACT.add, map(Decimal, numbers), ZERO)


def mean(numbers: Any) -> Any:
    """Return the mean, or None of nothing."""
    return MEAN.divide(total(numbers), Decimal(len(numbers))) if numbers else None


def contains(subject: Any, search: Any) -> Any:
    """Say whether a text has another in it, or a list an element."""
    if isinstance(subject, str):
        return isinstance(search, str) and search in subject
    return any(is_equal(element, search) for element in subject)


def join(separator: str, texts: Sequence[str]) -> str:
    """Return texts as one, with a separator between them. Raises CannotBe for what would be longer than any event."""
    if len(separator) * (len(texts) - 1) + sum(map(len, texts)) > TEXT_CHARACTERS_MAX:
        raise CannotBe(f"join() makes a text of more than {TEXT_CHARACTERS_MAX} characters")
    return separator.join(texts)


def to_number(value: Any) -> Any:
    """Return a number, or one that is written as JSON writes it, or None."""
    if isinstance(value, str):
        return Decimal(value) if JSON_NUMBER.fullmatch(value) else None
    return value if is_number(value) else None


def to_string(value: Any) -> Any:
    """Return a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else as_json(value)


def not_null(*values: Any) -> Any:
    """Return the first value that is there, or None."""
    return next((value for value in values if value is not None), None)


def _signature(*types: str, takes_more: bool = False) -> Signature:
    signature: list[dict[str, Any]] = [{"types": one.split()} for one in types]
    return [*signature[:-1], {**signature[-1], "variadic": True}] if takes_more else signature


STANDARD: Mapping[str, tuple[Signature, Callable[..., Any]]] = {
    "abs": (_signature("number"), absolute),
    "avg": (_signature("array-number"), mean),
    "ceil": (_signature("number"), ceiling),
    "contains": (_signature("array string", ""), contains),
    "ends_with": (_signature("string", "string"), str.endswith),
    "floor": (_signature("number"), floor),
    "join": (_signature("string", "array-string"), join),
    "length": (_signature("string array object"), len),
    "max": (_signature("array-number array-string"), functools.partial(max, default=None)),
    "min": (_signature("array-number array-string"), functools.partial(min, default=None)),
    "not_null": (_signature("", takes_more=True), not_null),
    "starts_with": (_signature("string", "string"), str.startswith),
    "sum": (_signature("array-number"), total),
    "to_number": (_signature(""), to_number),
    "to_string": (_signature(""), to_string),
    "type": (_signature(""), type_of),
}
"""What each takes, as the library writes it, and what it does."""
