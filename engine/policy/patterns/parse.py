"""From the pattern of a policy to a ``Pattern``: fields by dotted name, ``$or`` expanded into branches.

The order of reading is that of Event Ruler's ``JsonRuleCompiler``, because it decides which of two tests of one field
counts. All mistakes of a pattern are collected and raised as one ``PolicyError``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import Factory, define

from engine.domain.errors import Mistake, PolicyError
from engine.policy.patterns.model import Branch, Field, Pattern, Test
from engine.policy.patterns.operands import Path, is_list, key_step, read_test, shown

OR = "$or"
OR_MEMBERS_MIN = 2
BRANCHES_MAX = 1000
"""AWS's limit of "rule combinations": the product of the lengths of all ``$or`` lists."""
FIELDS_MAX = 256
"""Event Ruler's limit of fields that must match together (``GenericMachine.MAXIMUM_RULE_SIZE``)."""
CHARACTERS_MAX = 4096
"""The length that the EventBridge API takes for an event pattern."""
DEPTH_MAX = 100
"""A guard, not a rule of AWS: references of YAML can make a pattern contain itself."""

RESERVED_IN_OR = frozenset(
    {
        *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr"),
        *("=", "<", "<=", ">", ">=", "html", "regex", "not-wildcard", "not-equals-ignore-case"),
        *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
        *("ip-address-in-range", "ip-address-not-in-range"),
    }
)
"""Names that keep a ``$or`` from being the operator (Event Ruler, ``Constants.java``)."""

type Draft = dict[str, Field]


def parse_pattern(pattern: Mapping[str, Any]) -> Pattern:
    """Return the event pattern as a value. Raises ``PolicyError`` with every mistake for what AWS would refuse.

    As in AWS, a pattern that is wrong with ``$or`` as the operator is read once more with ``$or`` as an ordinary field.
    """
    if not isinstance(pattern, Mapping):
        raise PolicyError.of(f"a pattern is an object of fields, not {shown(pattern)}")
    _check_shape(pattern)
    reading = _Reading()
    drafts = reading.read(pattern)
    if reading.mistakes:
        drafts = _read_without_or(pattern, reading.mistakes)
    _check_size(pattern, drafts)
    return Pattern(tuple(Branch(tuple(draft.values())) for draft in drafts))


def _read_without_or(pattern: Mapping[str, Any], mistakes: list[Mistake]) -> list[Draft]:
    plain = _Reading(or_is_operator=False)
    drafts = plain.read(pattern)
    if plain.mistakes:
        raise PolicyError(mistakes)
    return drafts


@define
class _Reading:
    """One way through a pattern, and the mistakes met on it."""

    or_is_operator: bool = True
    mistakes: list[Mistake] = Factory(list)

    def read(self, pattern: Mapping[Any, Any]) -> list[Draft]:
        return self._object([{}], (), pattern, (), inside_or=False)

    def _object(
        self, drafts: list[Draft], names: tuple[str, ...], node: Mapping[Any, Any], path: Path, *, inside_or: bool
    ) -> list[Draft]:
        if not node:
            self._note("an empty object is not allowed: name at least one field", path)
        for key, value in node.items():
            where = (*path, key_step(key))
            if key == OR and self.or_is_operator:
                drafts = self._or(drafts, names, value, where)
            elif self._is_name(key, where, inside_or=inside_or):
                drafts = self._field(drafts, (*names, key), value, where, inside_or=inside_or)
        return drafts

    def _is_name(self, key: object, path: Path, *, inside_or: bool) -> bool:
        if not isinstance(key, str):
            self._note(f'a field name is a string: quote it, like "{key}"', path)
        elif inside_or and key in RESERVED_IN_OR:
            self._note(f"`{key}` cannot be the name of a field inside `$or`: AWS keeps it for operators", path)
        else:
            return True
        return False

    def _field(
        self, drafts: list[Draft], names: tuple[str, ...], value: object, path: Path, *, inside_or: bool
    ) -> list[Draft]:
        if isinstance(value, Mapping):
            return self._object(drafts, names, value, path, inside_or=inside_or)
        field = Field(".".join(names), self._tests(value, path))
        for draft in drafts:
            draft[field.name] = field
        return drafts

    def _tests(self, values: object, path: Path) -> tuple[Test, ...]:
        if not isinstance(values, list | tuple):
            self._note(f"a field needs a list of values or an object of fields: write [{_written(values)}]", path)
            return ()
        if not values:
            self._note("an empty list is not allowed: write what the field may be", path)
        return tuple(self._readable(values, path))

    def _readable(self, values: Iterable[object], path: Path) -> Iterable[Test]:
        for at, value in enumerate(values):
            try:
                yield read_test(value, (*path, at))
            except PolicyError as error:
                self.mistakes.extend(error.mistakes)

    def _or(self, drafts: list[Draft], names: tuple[str, ...], members: object, path: Path) -> list[Draft]:
        if not isinstance(members, list | tuple) or len(members) < OR_MEMBERS_MIN:
            self._note("`$or` needs a list of at least two objects, of which one must match", path)
            return drafts
        branches: list[Draft] = []
        for at, member in enumerate(members):
            branches += self._member([dict(draft) for draft in drafts], names, member, (*path, at))
        return branches

    def _member(self, drafts: list[Draft], names: tuple[str, ...], member: object, path: Path) -> list[Draft]:
        if isinstance(member, Mapping):
            return self._object(drafts, names, member, path, inside_or=True)
        self._note(f"`$or` holds objects of fields, not {shown(member)}", path)
        return drafts

    def _note(self, message: str, path: Path) -> None:
        self.mistakes.append(Mistake(message, path))


# --- limits -----------------------------------------------------------------------------------------------------------


def _check_shape(pattern: Mapping[str, Any]) -> None:
    # Before anything recurses: a pattern may contain itself, or the same part thousands of times.
    rest: list[tuple[object, int]] = [(pattern, 0)]
    for _ in range(CHARACTERS_MAX):
        if not rest:
            break
        node, depth = rest.pop()
        if depth > DEPTH_MAX:
            raise PolicyError.of(f"the pattern is nested more than {DEPTH_MAX} levels deep: make it flatter")
        rest += [(child, depth + 1) for child in _children(node)]
    if rest:
        raise PolicyError.of(_too_long())
    if _combinations(pattern) > BRANCHES_MAX:
        raise PolicyError.of(f"the lists of `$or` multiply to more than {BRANCHES_MAX} combinations: split the pattern")


def _children(node: object) -> Iterable[object]:
    if isinstance(node, Mapping):
        return node.values()
    return node if isinstance(node, list | tuple) else ()


def _combinations(node: object) -> int:
    product = 1
    for key, value in node.items() if isinstance(node, Mapping) else ():
        if key == OR and is_list(value):
            product *= max(len(value), 1)
            for member in value:
                product *= _combinations(member)
        else:
            product *= _combinations(value)
    return product


def _check_size(pattern: Mapping[str, Any], drafts: list[Draft]) -> None:
    if max(map(len, drafts)) > FIELDS_MAX:
        raise PolicyError.of(f"a pattern may test {FIELDS_MAX} fields at once: split it")
    if _characters(pattern) > CHARACTERS_MAX:
        raise PolicyError.of(_too_long())


def _characters(pattern: Mapping[str, Any]) -> int:
    import json  # noqa: PLC0415 - read where it is used, like every library that matching does not need

    return len(json.dumps(pattern, separators=(",", ":"), ensure_ascii=False, default=_plain))


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else float(str(value))


def _too_long() -> str:
    return f"the pattern is longer than the {CHARACTERS_MAX} characters of JSON that AWS takes: split it"


def _written(value: object) -> str:
    """Return a value as one writes it in a pattern: a text that reads as a word needs no quotes."""
    return value if isinstance(value, str) and value.replace(".", "").replace("-", "").isalnum() else shown(value)
