"""What DynamoDB refuses of an expression before it looks at any item: operands of a kind that an operator cannot take.

Source: "Condition and filter expressions, operators, and functions" and "Update expressions", Amazon DynamoDB Developer Guide;
the messages are those that developers meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from tests.simulation.database.changes import Arithmetic, Function, Update
from tests.simulation.database.conditions import Between, Call, Comparison, Condition, In, Junction, Not, Operand, Size
from tests.simulation.database.evaluate import Scope, is_in_order
from tests.simulation.database.syntax import Value
from tests.simulation.database.update import Parts
from tests.simulation.database.values import KINDS, SETS

ORDERED = frozenset({"S", "N", "B"})
MEASURED = KINDS - {"N", "BOOL", "NULL"}


def condition_problems(condition: Condition, scope: Scope) -> Iterator[str]:
    """Yield what is wrong with the operands of a condition."""
    yield from PROBLEMS[condition.__class__](condition, scope)
    for operand in OPERANDS.get(condition.__class__, lambda _: ())(condition):
        if isinstance(operand, Size):
            yield from _wrong_kind("size", operand.of, MEASURED, scope)


def _wrong_kind(name: str, operand: Any, kinds: frozenset[str], scope: Scope) -> Iterator[str]:
    if isinstance(operand, Value) and (kind := _kind(operand, scope)) not in kinds:
        yield f"Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"


def _kind(value: Value, scope: Scope) -> str:
    return next(iter(scope.values[value.place]))


def _comparison(condition: Comparison, scope: Scope) -> Iterator[str]:
    if condition.operator not in {"=", "<>"}:
        for operand in (condition.left, condition.right):
            yield from _wrong_kind(condition.operator, operand, ORDERED, scope)


def _between(condition: Between, scope: Scope) -> Iterator[str]:
    bounds = condition.low, condition.high
    for operand in (condition.operand, *bounds):
        yield from _wrong_kind("BETWEEN", operand, ORDERED, scope)
    if isinstance(bounds[0], Value) and isinstance(bounds[1], Value):
        low, high = (scope.values[bound.place] for bound in bounds if isinstance(bound, Value))
        if low.keys() != high.keys():
            yield f"The BETWEEN operator requires same data type for lower and upper bounds; lower: {low}, upper: {high}"
        elif low.keys() <= ORDERED and not is_in_order(low, "<=", high):
            problem = "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
            yield f"{problem}; lower bound operand: {low}, upper bound operand: {high}"


def _call(condition: Call, scope: Scope) -> Iterator[str]:
    name, operands = condition.name, condition.operands
    if name == "begins_with":
        for operand in operands:
            yield from _wrong_kind(name, operand, frozenset({"S", "B"}), scope)
    if name == "attribute_type":
        yield from _attribute_type(operands[1], scope)


def _attribute_type(operand: Operand, scope: Scope) -> Iterator[str]:
    said = scope.values[operand.place] if isinstance(operand, Value) else {}
    if "S" not in said:
        yield "Incorrect operand type for operator or function; operator or function: attribute_type"
    elif said["S"] not in KINDS:
        yield f"Invalid attribute type name found; type: {said['S']}, valid types: {{{','.join(sorted(KINDS))}}}"


def _inner(conditions: tuple[Condition, ...], scope: Scope) -> Iterator[str]:
    for condition in conditions:
        yield from condition_problems(condition, scope)


PROBLEMS: Mapping[type, Callable[[Any, Scope], Iterator[str]]] = {
    Comparison: _comparison,
    Between: _between,
    In: lambda _condition, _scope: iter(()),
    Call: _call,
    Not: lambda condition, scope: _inner((condition.condition,), scope),
    Junction: lambda condition, scope: _inner(condition.conditions, scope),
}

OPERANDS: Mapping[type, Callable[[Any], tuple[Operand, ...]]] = {
    Comparison: lambda condition: (condition.left, condition.right),
    Between: lambda condition: (condition.operand, condition.low, condition.high),
    In: lambda condition: (condition.operand, *condition.options),
    Call: lambda condition: condition.operands,
}


# --- updates ---


def update_problems(update: Update, scope: Scope) -> Iterator[str]:
    """Yield what is wrong with the operands of an update, and with paths of which one lies within another."""
    for _, assigned in update.assigned:
        yield from _assigned(assigned, scope)
    for clause, changed, kinds in (("ADD", update.added, {"N", *SETS}), ("DELETE", update.deleted, {*SETS})):
        for _, value in changed:
            if (kind := _kind(value, scope)) not in kinds:
                problem = f"Incorrect operand type for operator or function; operator: {clause}, operand type: {kind}"
                yield f"{problem}, typeSet: ALLOWED_FOR_{clause}_OPERAND"
    yield from overlaps(tuple(map(scope.parts, update.paths())))


def _assigned(assigned: Any, scope: Scope) -> Iterator[str]:
    if isinstance(assigned, Arithmetic):
        for operand in (assigned.left, assigned.right):
            yield from _wrong_kind(assigned.operator, operand, frozenset({"N"}), scope)
            yield from _assigned(operand, scope)
    elif isinstance(assigned, Function):
        for operand in (assigned.first, assigned.second):
            if assigned.name == "list_append":
                yield from _wrong_kind(assigned.name, operand, frozenset({"L"}), scope)
            yield from _assigned(operand, scope)


@lru_cache(maxsize=4096)
def overlaps(paths: tuple[Parts, ...]) -> tuple[str, ...]:
    """Return which paths lie within others, and which take one place for a map and for a list."""
    return tuple(
        f"Two document paths {problem} with each other; must remove or rewrite one of these paths; "
        f"path one: {_told(other)}, path two: {_told(path)}"
        for number, path in enumerate(paths)
        for other in paths[:number]
        if (problem := _overlap(path, other))
    )


def _overlap(path: Parts, other: Parts) -> str | None:
    short = min(len(path), len(other))
    if path[:short] == other[:short]:
        return "overlap"
    return "conflict" if _conflict(path, other) else None


def _conflict(one: Parts, other: Parts) -> bool:
    """Say whether two paths part where one goes into a map and the other into a list."""
    differing = next((pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]), None)
    return differing is not None and isinstance(differing[0], int) is not isinstance(differing[1], int)


def _told(path: Parts) -> str:
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in path) + "]"
