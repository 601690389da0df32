"""What a request of an operation looks like, by the service's own published model: members, kinds, bounds, patterns, words.

Source: the service model that botocore carries (dynamodb/2012-08-10/service-2.json). Botocore itself checks members and kinds
of what it sends, and leaves bounds, patterns and words to the service. A member that the model does not know is refused here,
as botocore does; the service would pass over it, and nobody would see the slip.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.loaders import Loader

from tests.simulation.database.errors import Invalid, Malformed

type Check = Callable[[Any, str], None]

KINDS: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "blob": (str, bytes),
}


@cache
def model() -> dict[str, Any]:
    """Return the service model, read once."""
    return dict(Loader().load_service_model("dynamodb", "service-2"))


def check_shape(operation: str, request: Any) -> None:
    """Refuse a request that has not the shape of its operation. Raises Malformed or Invalid."""
    check_of(model()["operations"][operation]["input"]["shape"])(request, "")


@cache
def check_of(name: str) -> Check:
    """Return what checks a value against a shape of the model."""
    shape = model()["shapes"][name]
    if name == "AttributeValue":
        return lambda _value, _at: None  # values are checked where they are read (values.py)
    checks = [_kind_check(shape), *_inner_checks(shape), *_bound_checks(shape)]

    def check(value: Any, at: str) -> None:
        for one in checks:
            one(value, at)

    return check


def _kind_check(shape: dict[str, Any]) -> Check:
    kinds, told = KINDS[shape["type"]], shape["type"]

    def check(value: Any, at: str) -> None:
        if not isinstance(value, kinds) or (isinstance(value, bool) and told != "boolean"):
            raise Malformed(f"{at or 'the request'} is {type(value).__name__}, and a {told} is needed")

    return check


def _inner_checks(shape: dict[str, Any]) -> list[Check]:
    match shape["type"]:
        case "structure":
            return [_structure_check(shape)]
        case "map":
            return [_map_check(shape["value"]["shape"])]
        case "list":
            return [_list_check(shape["member"]["shape"])]
        case _:
            return []


def _structure_check(shape: dict[str, Any]) -> Check:
    members = {name: member["shape"] for name, member in shape["members"].items()}
    needed = set(shape.get("required", ()))

    def check(value: Any, at: str) -> None:
        if unknown := value.keys() - members.keys():
            raise Invalid(f"{at or 'the request'} has members that the service does not know: {sorted(unknown)}")
        for name in sorted(needed - {name for name in value if value[name] is not None}):
            raise _broken(None, f"{at}{name}", "Member must not be null")
        for name, inner in value.items():
            if inner is not None:
                check_of(members[name])(inner, f"{at}{name}.")

    return check


def _map_check(inner: str) -> Check:
    def check(value: Any, at: str) -> None:
        check_inner = check_of(inner)
        for name, each in value.items():
            check_inner(each, f"{at}{name}.")

    return check


def _list_check(inner: str) -> Check:
    def check(value: Any, at: str) -> None:
        check_inner = check_of(inner)
        for number, each in enumerate(value, 1):
            check_inner(each, f"{at}{number}.member.")

    return check


def _bound_checks(shape: dict[str, Any]) -> list[Check]:
    """Return the checks of length or size, pattern and words."""
    measure: Callable[[Any], int] = len if shape["type"] in {"string", "list", "map"} else int
    what = "value" if shape["type"] in {"integer", "long"} else "length"
    checks: list[Check] = []
    if (low := shape.get("min")) is not None:
        checks.append(_test(lambda value: measure(value) >= low, f"Member must have {what} greater than or equal to {low}"))
    if (high := shape.get("max")) is not None:
        checks.append(_test(lambda value: measure(value) <= high, f"Member must have {what} less than or equal to {high}"))
    if pattern := shape.get("pattern"):
        matches = re.compile(pattern).fullmatch
        checks.append(_test(lambda value: bool(matches(value)), f"Member must satisfy regular expression pattern: {pattern}"))
    if words := shape.get("enum"):
        allowed = frozenset(words)
        checks.append(_test(lambda value: value in allowed, f"Member must satisfy enum value set: {words}"))
    return checks


def _test(holds: Callable[[Any], bool], constraint: str) -> Check:
    def check(value: Any, at: str) -> None:
        if not holds(value):
            raise _broken(value, at, constraint)

    return check


def _broken(value: Any, at: str, constraint: str) -> Invalid:
    told = "null" if value is None else f"'{str(value)[:200]}'"
    place = at.rstrip(".")
    where = place[:1].lower() + place[1:]
    return Invalid(f"1 validation error detected: Value {told} at '{where}' failed to satisfy constraint: {constraint}")
