"""Event patterns and events of any kind, each pattern matched here by trying everything as well."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.policy.patterns import compile_pattern, parse_pattern
from engine.policy.patterns.index import PatternIndex
from tests.fuzz.door import Door, seen
from tests.fuzz.matcher import matches
from tests.fuzz.odd import any_of

SPOKEN_MAX = 4

names = st.sampled_from(["a", "b", "c", "a.b", "b.c", "$or", ""])
texts = st.one_of(
    st.sampled_from(
        [
            "",
            "a",
            "A",
            "ab",
            "aB",
            "ß",
            "SS",
            "ss",
            "\u212a",
            "k",
            "K",
            "ı",
            "İ",
            "ﬁ",
            "*",
            "\\",
            "a*b",
            "1",
            "10.0.0.1",
            "10.0.0.01",
            "010.0.0.1",
            "::ffff:10.0.0.1",
            "::1",
            "0:0::1",
            "10.0.0.256",
            "\ud800",
            "\n",
            "a\nb",
        ]
    ),
    st.text("aAbß*.", max_size=4),
)
numbers = st.one_of(
    st.integers(-3, 12), st.sampled_from([0.1, -0.0, 1.0, 1e2, 5e9, 1e-7, 10**40, 1e300, 300.0, float("nan"), float("inf")])
)
leaves = st.one_of(texts, numbers, st.none(), st.booleans())
events = st.dictionaries(
    names,
    st.recursive(
        leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)), max_leaves=8
    ),
    max_size=4,
)
cidrs = st.builds(
    "{}/{}".format, st.sampled_from(["10.0.0.0", "10.0.0.7", "::", "::ffff:0:0", "10.0.0", "a"]), st.integers(-1, 129)
)
wildcards = st.text("ab*\\", max_size=6)
words = st.one_of(
    *(
        st.fixed_dictionaries({word: operand})
        for word, operand in {
            "prefix": texts,
            "suffix": texts,
            "equals-ignore-case": texts,
            "wildcard": wildcards,
            "exactly": texts,
        }.items()
    ),
    st.builds(lambda word, text: {word: {"equals-ignore-case": text}}, st.sampled_from(["prefix", "suffix"]), texts),
)
ranges = st.one_of(
    st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), numbers).map(list),
    st.tuples(st.sampled_from([">", ">=", "<"]), numbers, st.sampled_from(["<", "<="]), numbers).map(list),
)
negated = st.one_of(
    texts,
    numbers,
    st.lists(st.one_of(texts, numbers), max_size=3),
    st.builds(
        lambda word, operand: {word: operand},
        st.sampled_from(["prefix", "suffix", "equals-ignore-case", "wildcard"]),
        st.one_of(texts, wildcards, st.lists(texts, max_size=2)),
    ),
)
tests = st.one_of(
    leaves,
    words,
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"numeric": ranges}),
    st.fixed_dictionaries({"anything-but": negated}),
    st.fixed_dictionaries({"cidr": cidrs}),
    st.dictionaries(st.sampled_from(["prefix", "unknown", "exists", "numeric", "cidr"]), leaves, max_size=2),
)
fields = st.recursive(
    st.lists(tests, min_size=1, max_size=3),
    lambda inner: st.one_of(
        st.dictionaries(names, inner, min_size=1, max_size=3),
        st.lists(st.dictionaries(names, inner, max_size=2), min_size=1, max_size=3).map(lambda either: {"$or": either}),
    ),
    max_leaves=6,
)
patterns = st.dictionaries(names, fields, min_size=1, max_size=3)


@st.composite
def near(draw: st.DrawFn, pattern: Any, depth: int = 0) -> Any:
    """Return an event for a pattern: most fields are there, with leaves that their tests speak of, perhaps within arrays."""
    event: dict[str, Any] = {}
    for name, value in pattern.items():
        if name == "$or" and isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            event |= draw(near(draw(st.sampled_from(value)), depth))
        elif draw(st.integers(0, 7)):
            inner = near(value, depth + 1) if isinstance(value, dict) else near_leaf(value)
            event[name] = draw(st.one_of(inner, inner, st.lists(inner, max_size=2)))
    return event


def near_leaf(tests_: Any) -> st.SearchStrategy[Any]:
    """Return leaves that a list of tests speaks of, and what is next to them."""
    spoken = list(_spoken(tests_)) or [""]
    one = st.sampled_from(spoken)
    beside = st.builds(_beside, one, st.sampled_from(["", "a", "b", "A", "1"]), st.integers(0, 4))
    return st.one_of(one, beside, beside, leaves)


def told_alone(test: Any, text: str) -> tuple[Any, list[Any]]:
    """Return a pattern of one test, and an event for whatever its test speaks of and for all that is next to that."""
    spoken = list(_spoken(test))[:SPOKEN_MAX] or [text]
    beside = [_beside(leaf, text, how) for leaf in spoken for how in range(5)]
    return {"a": [test]}, [{"a": leaf} for leaf in (*spoken, *beside)]


def _spoken(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _spoken(value)
    elif isinstance(node, list):
        for value in node:
            yield from _spoken(value)
    else:
        yield node


def _beside(leaf: Any, text: str, how: int) -> Any:
    if isinstance(leaf, str):
        stars = leaf.replace("*", text).replace("\\", "")
        return (f"{leaf}{text}", f"{text}{leaf}", leaf.swapcase(), stars, stars[::-1])[how]
    if isinstance(leaf, int | float) and not isinstance(leaf, bool):
        return (leaf + 1, leaf - 1, leaf + 0.5, float(leaf) if abs(leaf) < 1e300 else leaf, str(leaf))[how]
    return leaf


alone = st.builds(told_alone, any_of(words, leaves, st.none() | st.booleans(), tests), st.sampled_from(["a", "b", "A", "1"]))
"""What two fields of a pattern hide from each other, one by itself shows."""

made_for = patterns.flatmap(
    lambda pattern: st.tuples(
        st.just(pattern), st.lists(st.one_of(near(pattern), near(pattern), events), min_size=1, max_size=3)
    )
)
pairs = any_of(
    *[made_for] * 2,
    *[alone] * 8,  # of each of the others hypothesis makes several more, by copying parts of it
    st.tuples(st.one_of(patterns, st.lists(leaves), leaves), st.lists(events, max_size=3)),
)


def check(pair: tuple[Any, list[dict[str, Any]]]) -> None:
    """A pattern is refused with words, or it and its index say of each event what trying everything says."""
    pattern, several = pair
    try:
        predicate = compile_pattern(pattern)
    except PolicyError as refusal:
        seen("refused")
        assert all(mistake.message.strip() and len(mistake.message) < 2_000 for mistake in refusal.mistakes)
        return
    index = PatternIndex.of([pattern])
    assert parse_pattern(pattern) == parse_pattern(dict(pattern))
    for event in several:
        found = predicate(event)
        assert found is bool(index.matching(event)), "the index and the pattern differ"
        assert found == predicate(json.loads(json.dumps(event))), "JSON and what it was written from differ"
        if not takes_or_as_a_name(pattern):
            seen(f"matches: {found}")
            assert found == matches(pattern, event), f"the pattern says {found}"


def takes_or_as_a_name(pattern: Any) -> bool:
    """Say whether a ``$or`` may be the name of a field here, which the guide leaves open."""
    if isinstance(pattern, Mapping):
        return any(
            (
                key == "$or"
                and not (isinstance(value, list) and len(value) > 1 and all(isinstance(one, Mapping) for one in value))
            )
            or takes_or_as_a_name(value)
            for key, value in pattern.items()
        ) or any(key == "$or" and _has_operator(value) for key, value in pattern.items())
    return isinstance(pattern, list) and any(map(takes_or_as_a_name, pattern))


def _has_operator(members: Any) -> bool:
    return any(not isinstance(value, list | Mapping) for member in members for value in member.values())


DOOR = Door("patterns", pairs, check, ("engine/policy/patterns/*",))
