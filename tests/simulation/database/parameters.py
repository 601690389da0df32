"""The expressions of one request with their names and values: read once for each text, and checked as DynamoDB checks them.

Source: "Expression attribute names", "Expression attribute values" and the quotas on expression parameters, Amazon DynamoDB
Developer Guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from attrs import frozen

from tests.simulation.database.changes import Update, read_projection, read_update
from tests.simulation.database.conditions import Condition, read_condition
from tests.simulation.database.errors import Invalid, Malformed
from tests.simulation.database.evaluate import Scope
from tests.simulation.database.operands import condition_problems, overlaps, update_problems
from tests.simulation.database.syntax import Path, Reader
from tests.simulation.database.update import Parts
from tests.simulation.database.values import item_bytes, kept, text_of

PLACE = re.compile("[A-Za-z0-9_]+", re.ASCII)
PLACE_BYTES_MAX = 255
SUBSTITUTION_BYTES_MAX = 2 * 1024 * 1024

READERS: Mapping[str, Callable[[Reader], Any]] = {
    "ProjectionExpression": read_projection,
    "KeyConditionExpression": read_condition,
    "UpdateExpression": read_update,
    "ConditionExpression": read_condition,
    "FilterExpression": read_condition,
}
"""By the parameter that holds the expression."""

LEGACY = frozenset(
    {
        "AttributesToGet",
        "AttributeUpdates",
        "ConditionalOperator",
        "Expected",
        "KeyConditions",
        "QueryFilter",
        "ScanFilter",
    }
)
"""What expressions have replaced. It is refused here: nothing new uses it."""


@frozen
class Parsed:
    """An expression, with the places that it uses."""

    tree: Any
    places: frozenset[str]
    values: frozenset[str]


@lru_cache(maxsize=4096)
def parsed(kind: str, text: str) -> Parsed:
    """Return an expression, read once. Raises Invalid."""
    reader = Reader.of(kind, text)
    try:
        tree = READERS[kind](reader)
    except RecursionError:
        raise reader.problem("The expression is nested too deeply;") from None
    return Parsed(tree, frozenset(reader.places), frozenset(reader.values))


@frozen
class Expressions:
    """What a request's expressions say. A part that the request does not have is None."""

    scope: Scope
    condition: Condition | None = None
    filter: Condition | None = None
    key_condition: Condition | None = None
    update: Update | None = None
    projection: tuple[Parts, ...] | None = None


def expressions_of(request: Mapping[str, Any], *kinds: str) -> Expressions:
    """Return the expressions that a request has, of the ``kinds`` that its operation takes. Raises Invalid or Malformed."""
    if old := LEGACY & request.keys():
        raise Invalid(f"{', '.join(sorted(old))}: parameters of this age are not served; write an expression")
    found = {kind: parsed(kind, text_of(request[kind])) for kind in kinds if request.get(kind) is not None}
    scope = scope_of(request, found)
    update = found["UpdateExpression"].tree if "UpdateExpression" in found else None
    if update is not None:
        _refuse("UpdateExpression", update_problems(update, scope))
    return Expressions(
        scope,
        _condition(found, "ConditionExpression", scope),
        _condition(found, "FilterExpression", scope),
        _condition(found, "KeyConditionExpression", scope),
        update,
        _projection(found, scope),
    )


def _condition(found: Mapping[str, Parsed], kind: str, scope: Scope) -> Condition | None:
    if kind not in found:
        return None
    condition: Condition = found[kind].tree
    _refuse(kind, condition_problems(condition, scope))
    return condition


def _projection(found: Mapping[str, Parsed], scope: Scope) -> tuple[Parts, ...] | None:
    if "ProjectionExpression" not in found:
        return None
    paths: tuple[Path, ...] = found["ProjectionExpression"].tree
    parts = tuple(map(scope.parts, paths))
    _refuse("ProjectionExpression", overlaps(parts))
    return parts


def _refuse(kind: str, problems: Any) -> None:
    for problem in problems:
        raise Invalid(f"Invalid {kind}: {problem}")


# --- names and values ---


def scope_of(request: Mapping[str, Any], found: Mapping[str, Parsed]) -> Scope:
    """Return what the places stand for. Each place must be defined, well formed and used."""
    names = _substitutions(request, "ExpressionAttributeNames", "#", found)
    values = _substitutions(request, "ExpressionAttributeValues", ":", found)
    scope = Scope(
        {place: text_of(name) for place, name in names.items()},
        {place: _value(place, value) for place, value in values.items()},
    )
    if item_bytes(scope.values) + sum(map(len, (*names, *names.values()))) > SUBSTITUTION_BYTES_MAX:
        raise Invalid("The size of all substitution variables has exceeded the maximum allowed size")
    _all_are_defined(found, scope)
    _all_are_used("ExpressionAttributeNames", names.keys(), (one.places for one in found.values()))
    _all_are_used("ExpressionAttributeValues", values.keys(), (one.values for one in found.values()))
    return scope


def _substitutions(request: Mapping[str, Any], parameter: str, sign: str, found: Mapping[str, Parsed]) -> dict[str, Any]:
    given = request.get(parameter)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Malformed("Unexpected value type in payload")
    if not found:
        raise Invalid(f"{parameter} can only be specified when using expressions")
    if not given:
        raise Invalid(f"{parameter} must not be empty")
    for place in given:
        if place[:1] != sign or not PLACE.fullmatch(place, 1):
            raise Invalid(f'{parameter} contains invalid key: Syntax error; key: "{place}"')
        if len(place) > PLACE_BYTES_MAX:
            raise Invalid(f"{parameter} contains invalid key: its size exceeds {PLACE_BYTES_MAX}")
    return given


def _value(place: str, value: Any) -> dict[str, Any]:
    try:
        return kept(value)
    except Invalid as error:
        raise Invalid(f"ExpressionAttributeValues contains invalid value: {error.message} for key {place}") from error


def _all_are_defined(found: Mapping[str, Parsed], scope: Scope) -> None:
    for kind, expression in found.items():
        for place in sorted(expression.places - scope.names.keys()):
            problem = "An expression attribute name used in the document path is not defined"
            raise Invalid(f"Invalid {kind}: {problem}; attribute name: {place}")
        for place in sorted(expression.values - scope.values.keys()):
            problem = "An expression attribute value used in expression is not defined"
            raise Invalid(f"Invalid {kind}: {problem}; attribute value: {place}")


def _all_are_used(parameter: str, given: Any, used: Any) -> None:
    if unused := set(given).difference(*used):
        raise Invalid(f"Value provided in {parameter} unused in expressions: keys: {{{', '.join(sorted(unused))}}}")
