"""From a parsed pattern to a predicate: closures over the event, nothing interpreted per event.

Most events reach each field through objects alone; that way is straight. Arrays of objects, and keys that hold a dot,
leave it for ``arrays.matches_consistently``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from attrs import define, field

from engine.policy.patterns.arrays import ARRAY, CONTAINER, Steps, Wanted, matches_consistently, steps_to
from engine.policy.patterns.leaves import LeafTest, compile_tests

if TYPE_CHECKING:
    from engine.policy.patterns.model import Field, Pattern

type Predicate = Callable[[Mapping[str, Any]], bool]
type Check = Callable[[Mapping[str, Any]], bool | None]
"""Whether a field matches, or None where only a look at all fields together can tell."""
type Reader = Callable[[object], object]


class _Missing(Enum):
    ABSENT = "no such field"
    WINDING = "an array of objects or a key with a dot is on the way"


ABSENT, WINDING = _Missing.ABSENT, _Missing.WINDING
PLAIN = frozenset({int, float, Decimal, bool, type(None)})


def compile_pattern(pattern: Mapping[str, Any]) -> Predicate:
    """Return the predicate of an event pattern. Raises ``PolicyError`` for a pattern that AWS would refuse.

    The predicate takes an event as JSON gives it, in any mapping; its numbers may be ``int``, ``float`` or ``Decimal``.
    It raises nothing on any such event.
    """
    from engine.policy.patterns.parse import parse_pattern  # noqa: PLC0415  a compiled policy needs no parser

    return compile_parsed(parse_pattern(pattern))


@define
class LazyPredicate:
    """A parsed pattern that is compiled when the first event asks; it can be pickled."""

    parsed: Pattern
    _compiled: Predicate | None = field(default=None, init=False, repr=False, eq=False)

    def __call__(self, event: Mapping[str, Any]) -> bool:
        if self._compiled is None:
            self._compiled = compile_parsed(self.parsed)
        return self._compiled(event)

    def __reduce__(self) -> tuple[type[LazyPredicate], tuple[Pattern]]:
        return LazyPredicate, (self.parsed,)


def compile_parsed(pattern: Pattern) -> Predicate:
    """Return the predicate of a parsed pattern."""
    branches = [_compile_branch(branch.fields) for branch in pattern.branches]
    if len(branches) == 1:
        return branches[0]
    common = _compile_gate(pattern)
    return lambda event: common(event) and any(matches(event) for matches in branches)


def _compile_gate(pattern: Pattern) -> Predicate:
    # What all branches of a ``$or`` ask for is asked once, so that a foreign event costs one look and not a thousand.
    first, *others = pattern.branches
    checks = [_check(_want(field)) for field in first.fields if all(field in branch.fields for branch in others)]
    return lambda event: not any(check(event) is False for check in checks)


def _compile_branch(fields: Sequence[Field]) -> Predicate:
    wanted = [_want(field) for field in sorted(fields, key=_cost)]
    checks = [_check(want) for want in wanted]

    def matches(event: Mapping[str, Any]) -> bool:
        for check in checks:
            verdict = check(event)
            if not verdict:
                return matches_consistently(event, wanted) if verdict is None else False
        return True

    return matches


def _cost(field: Field) -> tuple[int, int]:
    return field.name.count("."), len(field.tests)


def _want(field: Field) -> Wanted:
    return Wanted(field.name, steps_to(field.name), compile_tests(field.tests))


def _check(want: Wanted) -> Check:
    read, test = reader_of(want.steps), want.test
    accepts_string, accepts, absent = test.accepts_string, test.accepts, test.absent

    def check(event: Mapping[str, Any]) -> bool | None:
        leaf = read(event)
        if leaf.__class__ is str:
            return accepts_string(leaf)
        if leaf.__class__ in PLAIN:
            return accepts(leaf)
        if leaf is ABSENT or isinstance(leaf, Mapping):
            return absent
        if isinstance(leaf, ARRAY):
            return _check_elements(leaf, test)
        return None if leaf is WINDING else accepts(leaf)

    return check


def _check_elements(elements: Sequence[object], test: LeafTest) -> bool | None:
    if any(isinstance(element, CONTAINER) for element in elements):
        return None
    return any(map(test.accepts, elements)) if elements else test.absent


def reader_of(steps: Steps) -> Reader:
    """Return the straight way to a leaf: through objects, by keys without a dot."""
    levels = _levels(steps)

    def read(node: object) -> object:
        for key, dotted in levels:
            if node.__class__ is not dict and not isinstance(node, Mapping):
                return WINDING if isinstance(node, ARRAY) else ABSENT
            for other in dotted:
                if other in node:
                    return WINDING
            node = node.get(key, ABSENT)
        return node

    return read


def _levels(steps: Steps) -> list[tuple[str, tuple[str, ...]]]:
    levels = []
    ahead: Steps | None = steps
    while ahead is not None:
        (key, after), *others = ahead
        levels.append((key, tuple(dotted for dotted, _ in others)))
        ahead = after
    return levels
