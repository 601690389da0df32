"""Key conditions: which partition a query reads, and which part of it.

Source: "Key condition expressions for the Query operation", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from tests.simulation.database.conditions import Between, Call, Comparison, Condition, In, Junction, Not, Size
from tests.simulation.database.errors import Invalid
from tests.simulation.database.evaluate import Scope
from tests.simulation.database.operands import OPERANDS
from tests.simulation.database.parameters import Expressions
from tests.simulation.database.schema import KeySchema
from tests.simulation.database.syntax import Path, Value
from tests.simulation.database.values import INVALID, Item

SORT_OPERATORS = ("=", "<", "<=", ">", ">=")
KIND = "Invalid KeyConditionExpression: "
NOT_A_KEY_CONDITION = f"{KIND}Invalid operator used in KeyConditionExpression"


@frozen
class Range:
    """The value of the hash key, and the condition on the sort key, if there is one."""

    part: str
    sort: Condition | None
    scope: Scope

    def takes(self, item: Item) -> bool:
        """Say whether an item of the partition lies within the range."""
        return self.sort is None or self.scope.holds(self.sort, item)


def range_of(expressions: Expressions, schema: KeySchema) -> Range:
    """Return what a key condition asks of a table or an index. Raises Invalid."""
    if expressions.key_condition is None:
        raise Invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
    by_name = dict(_by_name(expressions.key_condition, expressions.scope))
    missing = [name for name in schema.names if name not in by_name]
    if missing[:1] == [schema.names[0]]:
        raise Invalid(f"Query condition missed key schema element: {missing[0]}")
    if len(by_name) > len(schema.names) - len(missing):
        named = next((name for name in missing), "")
        raise Invalid(f"Query condition missed key schema element: {named}" if named else "Query key condition not supported")
    for name, condition in by_name.items():
        _check_kinds(condition, schema.kinds[name], expressions.scope)
    whole = by_name[schema.names[0]]
    if not isinstance(whole, Comparison) or whole.operator != "=":
        raise Invalid("Query key condition not supported")
    part = expressions.scope.found(whole.right, {})
    sort = by_name.get(schema.names[1]) if len(schema.names) > 1 else None
    return Range(next(iter((part or {}).values())), sort, expressions.scope)


def _by_name(condition: Condition, scope: Scope) -> Iterator[tuple[str, Condition]]:
    """Yield the conditions by the attribute that each is about. Raises Invalid for what no key condition may have."""
    parts = condition.conditions if isinstance(condition, Junction) and condition.word == "AND" else (condition,)
    seen: set[str] = set()
    for part in parts:
        name = _attribute(part, scope)
        if name in seen:
            raise Invalid(f"{KIND}KeyConditionExpressions must only contain one condition per key")
        seen.add(name)
        yield name, part


def _attribute(condition: Condition, scope: Scope) -> str:
    is_known = (
        (isinstance(condition, Comparison) and condition.operator in SORT_OPERATORS)
        or isinstance(condition, Between)
        or (isinstance(condition, Call) and condition.name == "begins_with")
    )
    if not is_known:
        raise Invalid(NOT_A_KEY_CONDITION)
    first, *others = OPERANDS[condition.__class__](condition)
    if not isinstance(first, Path) or not all(isinstance(other, Value) for other in others):
        raise Invalid(f"{KIND}a condition compares an attribute of the key with values")
    parts = scope.parts(first)
    if len(parts) > 1:
        raise Invalid(f"{KIND}KeyConditionExpressions cannot have conditions on nested attributes")
    return str(parts[0])


def _check_kinds(condition: Condition, kind: str, scope: Scope) -> None:
    for operand in OPERANDS[condition.__class__](condition)[1:]:
        value = scope.found(operand, {}) or {}
        if kind not in value:
            raise Invalid(f"{INVALID}Condition parameter type does not match schema type")
        if not value[kind]:
            raise Invalid(f"{INVALID}The AttributeValue for a key attribute cannot contain an empty string value.")


# --- filters ---


def refuse_filter_on_key(expressions: Expressions, schema: KeySchema) -> None:
    """Refuse a query's filter on an attribute of the key: the key condition is for that."""
    if expressions.filter is None:
        return
    for path in paths_of(expressions.filter):
        if (name := expressions.scope.parts(path)[0]) in schema.kinds:
            said = "Filter Expression can only contain non-primary key attributes: Primary key attribute"
            raise Invalid(f"{said}: {name}")


def paths_of(condition: Condition) -> Iterator[Path]:
    """Yield the paths that a condition reads."""
    match condition:
        case Junction(_, conditions):
            for one in conditions:
                yield from paths_of(one)
        case Not(one):
            yield from paths_of(one)
        case Comparison() | Between() | In() | Call():
            for operand in OPERANDS[condition.__class__](condition):
                of = operand.of if isinstance(operand, Size) else operand
                if isinstance(of, Path):
                    yield of
