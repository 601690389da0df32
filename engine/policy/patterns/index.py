"""Which of many patterns match an event, at a cost that hardly grows with their number.

Most patterns ask for exact strings (a source, a detail-type, a model). A tree of dictionaries over these fields leaves, of a
thousand patterns, the few that an event can match; only their predicates are asked. It is the idea of a decision tree with
equality tests (and of Event Ruler's byte machine, which goes further and shares prefixes): each level looks at the field
that rules out most.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from engine.policy.patterns import parse_pattern
from engine.policy.patterns.arrays import ARRAY, CONTAINER, Steps, leaves_under, steps_to
from engine.policy.patterns.compile import WINDING, LazyPredicate, Predicate, Reader, reader_of
from engine.policy.patterns.model import Branch, Pattern, exact_strings

FEW = 2
"""So many predicates are asked sooner than a dictionary is."""

LEVELS_MAX = 8
"""So many looks one below the other leave few of any thousand rules. More only cost: a pattern may test 256 fields."""

COPIES_MAX = 32
"""In how many places of the tree one branch of a pattern may stand, or in as many as its longest list has values. Lists of
several fields multiply: without a bound, 300 rules with ten values in each of four fields make a tree of 168,000 nodes."""


@frozen(eq=False, repr=False)
class Candidate:
    """One branch of a pattern: the strings of which each of its exact fields must hold one.

    ``room`` says in how many places below here it may stand; fields with more values than that are not among ``exact``.
    """

    pattern: int
    exact: Mapping[str, frozenset[str]]
    room: int

    def below(self, name: str) -> Candidate:
        """Return the candidate as it stands below a look at one of its fields."""
        room = self.room // len(self.exact[name])
        fields = {field: values for field, values in self.exact.items() if field != name and len(values) <= room}
        return Candidate(self.pattern, fields, room)


@frozen(eq=False, repr=False)
class Split:
    """A look at the field ``name``: the value leads on to what is left."""

    name: str
    by_value: Mapping[str, Node]
    steps: Steps = field(init=False, repr=False)
    read: Reader = field(init=False, repr=False, eq=False)

    @steps.default
    def _steps(self) -> Steps:
        return steps_to(self.name)

    @read.default
    def _read(self) -> Reader:
        return reader_of(self.steps)

    def __reduce__(self) -> tuple[type[Split], tuple[str, Mapping[str, Node]]]:
        return Split, (self.name, self.by_value)


@frozen(eq=False, repr=False)
class Node:
    """Patterns that are left for sure, and looks at fields that may leave more."""

    patterns: tuple[int, ...]
    splits: tuple[Split, ...] = ()


@frozen(eq=False, repr=False)
class PatternIndex:
    """Patterns in a fixed order. ``matching`` finds exactly those whose predicates hold."""

    predicates: tuple[Predicate, ...]
    root: Node

    @classmethod
    def of(cls, patterns: Sequence[Mapping[str, Any]], predicates: Sequence[Predicate] | None = None) -> PatternIndex:
        """Return the index of patterns, whose predicates may be at hand. Raises PolicyError for one that AWS would refuse."""
        parsed = [parse_pattern(pattern) for pattern in patterns]
        return cls.of_parsed(parsed, predicates or [*map(LazyPredicate, parsed)])

    @classmethod
    def of_parsed(cls, parsed: Sequence[Pattern], predicates: Sequence[Predicate]) -> PatternIndex:
        """Return the index of parsed patterns and their predicates."""
        candidates = [candidate for number, pattern in enumerate(parsed) for candidate in _candidates(number, pattern)]
        return cls(tuple(predicates), _node(candidates))

    def matching(self, event: Mapping[str, Any]) -> list[int]:
        """Return the positions of all patterns that match an event, in ascending order."""
        possible = list(self.root.patterns)
        for split in self.root.splits:
            _collect(split, event, possible)
        if len(possible) > 1:
            possible = sorted(set(possible))
        predicates = self.predicates
        return [number for number in possible if predicates[number](event)]


def _collect(split: Split, event: Mapping[str, Any], possible: list[int]) -> None:
    """Add the patterns that the value of a field leaves."""
    leaf = split.read(event)
    if leaf.__class__ is str:
        node = split.by_value.get(leaf)
        if node is not None:
            _follow(node, event, possible)
    elif leaf is WINDING or isinstance(leaf, ARRAY):
        for value in set(_strings(leaf, event, split.steps)) & split.by_value.keys():
            _follow(split.by_value[value], event, possible)
    elif isinstance(leaf, str) and leaf in split.by_value:
        _follow(split.by_value[leaf], event, possible)


def _follow(node: Node, event: Mapping[str, Any], possible: list[int]) -> None:
    possible += node.patterns
    for split in node.splits:
        _collect(split, event, possible)


def _strings(leaf: object, event: Mapping[str, Any], steps: Steps) -> Iterator[str]:
    """Yield every string that an event holds under a field, in whatever element of whatever array."""
    is_plain = isinstance(leaf, ARRAY) and not any(isinstance(element, CONTAINER) for element in leaf)
    found: Iterable[object] = leaf if is_plain else leaves_under(event, steps)  # type: ignore[assignment]
    yield from (value for value in found if isinstance(value, str))


# --- building ---------------------------------------------------------------------------------------------------------


def _candidates(number: int, pattern: Pattern) -> Iterator[Candidate]:
    for branch in pattern.branches:
        exact = _exact_fields(branch)
        yield Candidate(number, exact, max(COPIES_MAX, *map(len, exact.values())) if exact else COPIES_MAX)


def _exact_fields(branch: Branch) -> dict[str, frozenset[str]]:
    fields = {field.name: exact_strings(branch, field.name) for field in branch.fields}
    return {name: frozenset(values) for name, values in fields.items() if values is not None}


def _node(candidates: list[Candidate], levels: int = LEVELS_MAX) -> Node:
    """Return the tree of candidates, at most so many levels deep. Its size grows with the patterns, never with products."""
    left: list[Candidate] = []
    splits: list[Split] = []
    for name, group in _by_best_field(candidates).items():
        if name is None or levels == 0 or len(group) <= FEW:
            left += group
        else:
            splits.append(_split(name, group, levels - 1))
    return Node(tuple(dict.fromkeys(candidate.pattern for candidate in left)), tuple(splits))


def _split(name: str, candidates: list[Candidate], levels: int) -> Split:
    by_value: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        below = candidate.below(name)
        for value in candidate.exact[name]:
            by_value[value].append(below)
    return Split(name, {value: _node(left, levels) for value, left in by_value.items()})


def _by_best_field(candidates: list[Candidate]) -> dict[str | None, list[Candidate]]:
    """Return the candidates by the field, of those they ask for, that rules out most; None where they ask for none.

    A field that rules none out among them still serves: it rules all of them out for the events of others.
    """
    if len(candidates) <= FEW:
        return {None: candidates}
    rank = _ranks(candidates)
    groups: dict[str | None, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[max(candidate.exact, key=rank.__getitem__, default=None)].append(candidate)
    return groups


def _ranks(candidates: list[Candidate]) -> dict[str, tuple[int, str]]:
    """Return for each field how many of those who ask for it its most common value rules out; for fields of few, -1."""
    asked: dict[str, Counter[str]] = defaultdict(Counter)
    totals: Counter[str] = Counter()
    for candidate in candidates:
        totals.update(candidate.exact.keys())
        for name, values in candidate.exact.items():
            asked[name].update(values)
    return {name: (total - max(asked[name].values()) if total > FEW else -1, name) for name, total in totals.items()}
