"""Values as JMESPath sees them: their types, when two are equal or in order, and how one is written. Without jmespath."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.domain.digits import PLAIN_DIGITS_MAX, in_digits
from engine.domain.errors import quoted
from engine.domain.money import canonical
from engine.policy.expressions.event_and_row import EventAndRow

Signature = Sequence[Mapping[str, Any]]


class CannotBe(ValueError):
    """What cannot be worked out, in the words of JMESPath."""


TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    str: "string",
    list: "array",
    dict: "object",
    EventAndRow: "object",
    type(None): "null",
}
"""Python's classes by JMESPath's names. What is none of them is an expression (``&name``)."""

NAMES: Mapping[str, str] = {
    "boolean": "true or false",
    "number": "a number",
    "string": "a string",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "expression": "an expression (`&name`)",
}

ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "gt": operator.gt,
    "lte": operator.le,
    "gte": operator.ge,
}


def type_of(value: Any) -> str:
    """Return JMESPath's name for the type of a value."""
    return TYPES.get(value.__class__, "expression")


def is_number(value: Any) -> bool:
    """Say whether a value is a number; true is none."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def is_false(value: Any) -> bool:
    """Say whether ``||`` goes on behind a value: what is missing, false or empty. A number never is, not even 0."""
    return value is None or value is False or (isinstance(value, str | list | dict) and not value)


def negated(value: Any) -> bool:
    """Return ``!value``."""
    return False if is_number(value) and value == 0 else not value


def compared(sign: str, left: Any, right: Any) -> bool | None:
    """Return what a comparison says: numbers and texts have an order, anything else only equality."""
    if sign not in ORDER:
        return is_equal(left, right) is (sign == "eq")
    if not ((is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))):
        return None
    return ORDER[sign](left, right)


def is_equal(left: Any, right: Any) -> bool:
    """Say whether two values are the same JSON: of one type all the way down, numbers by their value."""
    if type_of(left) != type_of(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(is_equal, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(is_equal(member, right[name]) for name, member in left.items())
    return bool(left == right)


def exact(value: Any) -> Any:
    """Return a document with every binary float as the decimal that it was written as."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        if isinstance(value, EventAndRow):
            return value.mapped(exact)
        return {key: exact(member) for key, member in value.items()}
    return [exact(element) for element in value] if isinstance(value, list | tuple) else value


def as_json(value: Any) -> str:
    """Return a value as JSON without white space, every digit of its numbers written out."""
    import json  # noqa: PLC0415  few expressions write JSON

    if isinstance(value, list):
        return f"[{','.join(map(as_json, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(name)}:{as_json(member)}' for name, member in value.items())}}}"
    return _digits(value) if isinstance(value, Decimal) else json.dumps(value)


def _digits(number: Decimal) -> str:
    if not number:
        return "0"
    if not number.is_finite():
        raise CannotBe("to_string() takes finite numbers")
    return canonical(number) if abs(number.adjusted()) < PLAIN_DIGITS_MAX else in_digits(number)


# --- what a function takes --------------------------------------------------------------------------------------------


def arity_problem(name: str, given: int, signature: Signature) -> str | None:
    """Return what is wrong with the number of arguments of a call, or None."""
    least, is_variadic = len(signature), bool(signature and signature[-1].get("variadic"))
    if given == least or (is_variadic and given > least):
        return None
    wanted = f"{'at least ' * is_variadic}{least} argument{'s' * (least != 1)}"
    return f"{name}() takes {wanted}, and is given {given}"


def wanted_of(signature: Signature, index: int) -> Sequence[str]:
    """Return the types that a function takes at a place; no types stand for all of JSON's."""
    types: Sequence[str] = signature[min(index, len(signature) - 1)]["types"]
    return types or tuple(dict.fromkeys(TYPES.values()))


def type_problem(name: str, value: Any, wanted: Sequence[str]) -> str | None:
    """Return what is wrong with an argument's value, or None. Of a list its elements count too, where one kind is wanted."""
    found = type_of(value)
    if found not in {kind_of(one) for one in wanted}:
        return f"{name}() takes {listed(wanted)}, not {said(value)}"
    elements = {one.partition("-")[2] for one in wanted if kind_of(one) == "array"}
    if found != "array" or not value or "" in elements:
        return None
    wrong = [one for one in value if type_of(one) not in elements or type_of(one) != type_of(value[0])]
    return f"{name}() takes {listed(wanted)}, and {said(wrong[0])} is in the list" if wrong else None


def said(value: Any) -> str:
    """Return a value as a message shows it: null as such, an expression in words."""
    return NAMES[type_of(value)] if value is None or type_of(value) == "expression" else quoted(value)


def listed(wanted: Sequence[str]) -> str:
    """Return types in words: ``a list of numbers or a list of strings``."""
    names = [f"a list of {one.partition('-')[2]}s" if "-" in one else NAMES[kind_of(one)] for one in wanted]
    return " or ".join(names) if len(names) < len(set(TYPES.values())) else "any value"


def kind_of(wanted: str) -> str:
    """Return the type of what is wanted, without what its elements are."""
    kind = wanted.partition("-")[0]
    return "expression" if kind == "expref" else kind
