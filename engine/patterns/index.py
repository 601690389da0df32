"""Which of many patterns match an event, at a cost that hardly grows with their number.

Most patterns ask for exact strings (a source, a detail-type, a model). A tree of dictionaries over these fields leaves, of a
thousand patterns, the few that an event can match; only their predicates are asked. It is the idea of a decision tree with
equality tests (and of Event Ruler's byte machine, which goes further and shares prefixes): each level looks at the field
that rules out most.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from engine.patterns import parse_pattern
from engine.patterns.arrays import ARRAY, CONTAINER, Steps, leaves_under, steps_to
from engine.patterns.compile import WINDING, LazyPredicate, Predicate, Reader, reader_of
from engine.patterns.model import Branch, Pattern, exact_strings

FEW = 2
"""So many predicates are asked sooner than a dictionary is."""


@frozen
class Candidate:
    """One branch of a pattern: the strings of which each of its exact fields must hold one."""

    pattern: int
    exact: Mapping[str, frozenset[str]]

    def without(self, name: str) -> Candidate:
        """Return the candidate with one field less to be looked at."""
        return Candidate(self.pattern, {field: values for field, values in self.exact.items() if field != name})


@frozen
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


@frozen
class Node:
    """Patterns that are left for sure, and looks at fields that may leave more."""

    patterns: tuple[int, ...]
    splits: tuple[Split, ...] = ()


@frozen
class PatternIndex:
    """Patterns in a fixed order. ``matching`` finds exactly those whose predicates hold."""

    predicates: tuple[Predicate, ...]
    root: Node

    @classmethod
    def of(cls, patterns: Sequence[Mapping[str, Any]], predicates: Sequence[Predicate] | None = None) -> PatternIndex:
        """Return the index of patterns, whose predicates may be at hand. Raises PolicyError for one that AWS would refuse."""
        parsed = [parse_pattern(pattern) for pattern in patterns]
        candidates = [candidate for number, pattern in enumerate(parsed) for candidate in _candidates(number, pattern)]
        return cls(tuple(predicates or map(LazyPredicate, parsed)), _node(candidates))

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
        yield Candidate(number, _exact_fields(branch))


def _exact_fields(branch: Branch) -> dict[str, frozenset[str]]:
    fields = {field.name: exact_strings(branch, field.name) for field in branch.fields}
    return {name: frozenset(values) for name, values in fields.items() if values is not None}


def _node(candidates: list[Candidate]) -> Node:
    """Return the tree of candidates: one field after the other is looked at, as long as that rules enough of them out."""
    splits = []
    while len(candidates) > FEW and (name := _best_field(candidates)) is not None:
        splits.append(_split(name, [candidate for candidate in candidates if name in candidate.exact]))
        candidates = [candidate for candidate in candidates if name not in candidate.exact]
    return Node(tuple(dict.fromkeys(candidate.pattern for candidate in candidates)), tuple(splits))


def _split(name: str, candidates: list[Candidate]) -> Split:
    by_value: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        for value in candidate.exact[name]:
            by_value[value].append(candidate.without(name))
    return Split(name, {value: _node(left) for value, left in by_value.items()})


def _best_field(candidates: list[Candidate]) -> str | None:
    """Return the field whose most common value leaves fewest of those who ask for it, or None where none rules out any."""
    asked: dict[str, Counter[str]] = defaultdict(Counter)
    totals: Counter[str] = Counter()
    for candidate in candidates:
        for name, values in candidate.exact.items():
            totals[name] += 1
            asked[name].update(values)
    ruled_out: Callable[[str], int] = lambda name: totals[name] - max(asked[name].values())  # noqa: E731  a key
    best = max(totals, key=lambda name: (ruled_out(name), name), default=None)
    return best if best is not None and ruled_out(best) > 0 else None
