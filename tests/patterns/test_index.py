"""The index finds exactly what asking every pattern finds, and asks few."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.policy.patterns import compile_pattern
from engine.policy.patterns.index import COPIES_MAX, LEVELS_MAX, Node, PatternIndex
from tests.patterns.cases import REFUSED, load_cases
from tests.patterns.test_properties import events, patterns
from tests.support.events import rendered
from tests.support.examples import tries


def asked_one_by_one(several: list[Mapping[str, Any]], event: Mapping[str, Any]) -> list[int]:
    """Return the positions of the patterns that match, by asking each."""
    return [number for number, pattern in enumerate(several) if compile_pattern(pattern)(event)]


def valid(several: list[Any]) -> list[Any]:
    """Return the patterns that are none of AWS's refusals."""
    found = []
    for pattern in several:
        with suppress(PolicyError):
            compile_pattern(pattern)
            found.append(pattern)
    return found


def test_an_index_of_all_conformance_cases_answers_each_of_their_events() -> None:
    """Hundreds of patterns at once: every operator, every nesting, arrays, dotted keys."""
    cases = [case for case in load_cases() if case.expected != REFUSED]
    several = [case.pattern for case in cases]
    predicates = [compile_pattern(pattern) for pattern in several]
    index = PatternIndex.of(several)

    for case in cases:
        expected = [number for number, matches in enumerate(predicates) if matches(case.event)]
        assert expected == index.matching(case.event), case.name


exact_tests = st.lists(st.sampled_from(["a", "b", "c", "10.0.0.1", 1, None, True]), min_size=1, max_size=2)
exact_patterns = st.dictionaries(
    st.sampled_from(["a", "b", "a.b", "detail"]),
    st.one_of(exact_tests, st.dictionaries(st.sampled_from(["a", "b", "a.b"]), exact_tests, min_size=1, max_size=2)),
    min_size=1,
    max_size=3,
)
small = st.sampled_from(["a", "b", "c", "10.0.0.1", 1, None, True])
exact_events = st.dictionaries(
    st.sampled_from(["a", "b", "a.b", "detail"]),
    st.recursive(
        small,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "a.b"]), inner, max_size=3)
        ),
    ),
    max_size=4,
)


@tries(600)
@given(st.lists(exact_patterns, max_size=14), exact_events)
def test_exact_patterns_are_found_like_one_by_one(several: list[Any], event: dict[str, Any]) -> None:
    """Few names and few values, so that everything meets everything: lists, nested lists, keys with dots."""
    several = valid(several)

    assert asked_one_by_one(several, event) == PatternIndex.of(several).matching(event)


@tries(300)
@given(st.lists(st.one_of(patterns, exact_patterns), max_size=10), st.one_of(events, exact_events))
def test_any_patterns_are_found_like_one_by_one(several: list[Any], event: dict[str, Any]) -> None:
    """Operators of all kinds among them."""
    several = valid(several)

    assert asked_one_by_one(several, event) == PatternIndex.of(several).matching(event)


RULES = {
    "one field differs": lambda n: {"source": ["video.generation"], "detail": {"model": [f"model-{n}"]}},
    "two fields differ": lambda n: {"detail": {"model": [f"model-{n % 40}"], "resolution": [f"r-{n // 40}"]}},
    "the source differs": lambda n: {
        "source": [f"source-{n}" if n else "video.generation"],
        "detail-type": ["video.rendered"],
    },
    "alternatives": lambda n: {"$or": [{"detail": {"model": [f"model-{n}"]}}, {"detail": {"userId": [f"user-{n}"]}}]},
    "a long list and a single value": lambda n: {
        "detail": {"model": [f"model-{n // 30}", *(f"old-{n // 30}-{at}" for at in range(50))], "userId": [f"user-{n % 30}"]}
    },
    "with an operator": lambda n: {"detail": {"model": [f"model-{n}"], "seconds": [{"numeric": [">", 5]}]}},
}


@pytest.mark.parametrize("kind", RULES)
def test_of_a_thousand_patterns_few_are_asked(kind: str) -> None:
    """Counted, not timed: the cost does not grow with the number of rules."""
    asked: list[int] = []
    several = [RULES[kind](number) for number in range(1000)]

    def counting(number: int) -> Any:
        predicate = compile_pattern(several[number])
        return lambda event: asked.append(number) or predicate(event)

    index = PatternIndex.of(several, [counting(number) for number in range(1000)])
    event = rendered(model="model-7", resolution="r-3", user="user-3")

    assert asked_one_by_one(several, event) == index.matching(event)
    assert 1 <= len(asked) <= 4


def places(node: Node) -> int:
    """Return how often patterns stand in a tree."""
    return len(node.patterns) + sum(places(below) for split in node.splits for below in split.by_value.values())


def listing(number: int, fields: int, values: int) -> dict[str, Any]:
    """Return a pattern that asks for one of so many values, out of twice as many, in each of so many fields."""
    chance = random.Random(number)  # noqa: S311  patterns, no secrets
    names = [f"value-{value}" for value in range(2 * values)]
    return {"detail": {f"field-{field}": chance.sample(names, values) for field in range(fields)}}


@pytest.mark.parametrize(("fields", "values"), [(1, 100), (4, 10), (8, 3)])
def test_lists_of_several_fields_do_not_multiply(fields: int, values: int) -> None:
    """A hundred patterns stand in as many places as their lists are long, or 32, each; and are found all the same."""
    several = [listing(number, fields, values) for number in range(100)]
    event = {"detail": {f"field-{field}": ["value-0", "value-1"] for field in range(fields)}}

    index = PatternIndex.of(several)

    assert places(index.root) <= 100 * max(values, COPIES_MAX)
    assert asked_one_by_one(several, event) == index.matching(event)


def looks(node: Node) -> int:
    """Return how many looks stand one below the other in a tree."""
    return max((1 + looks(below) for split in node.splits for below in split.by_value.values()), default=0)


OURS = {"source": ["video.generation"], "detail-type": ["video.rendered"]}
LOOKS = {
    "the model alone tells them apart": (lambda n: {**OURS, "detail": {"model": [f"model-{n}"]}}, 1),
    "nothing tells them apart": (lambda n: {**OURS, "detail": {"model": [{"prefix": f"model-{n}"}]}}, 2),
    "each is one field away": (lambda n: {f"field-{at}": ["x" if at == n else "y"] for at in range(100)}, LEVELS_MAX),
}


@pytest.mark.parametrize("kind", LOOKS)
def test_the_tree_is_as_deep_as_it_must_be_and_no_deeper(kind: str) -> None:
    """Each look costs time with every event, and levels without end cost time when a policy is loaded."""
    rule, expected = LOOKS[kind]

    assert expected == looks(PatternIndex.of([rule(number) for number in range(100)]).root)


def test_a_field_that_only_two_ask_for_does_not_hide_one_that_all_ask_for() -> None:
    """It would save no predicate, and the source rules out a hundred."""
    several = [{"source": ["video.generation"], "detail": {f"field-{n // 2}": [f"value-{n % 2}"]}} for n in range(100)]

    assert ["source"] == [split.name for split in PatternIndex.of(several).root.splits]


def test_an_event_of_others_is_ruled_out_at_once() -> None:
    """Rules that differ in prefixes only cannot be told apart, but all of them ask for the same source."""
    asked: list[int] = []
    several = [{"source": ["video.generation"], "detail": {"model": [{"prefix": f"m{number}-"}]}} for number in range(100)]
    index = PatternIndex.of(several, [lambda _event: asked.append(0) or False] * 100)

    assert [] == index.matching({**rendered(), "source": "audio.generation"})
    assert [] == asked
    assert [] == index.matching(rendered())
    assert 100 == len(asked)


def test_patterns_without_exact_fields_are_always_asked() -> None:
    """There is nothing to look up."""
    several = [{"detail": {"jobId": [{"prefix": f"{number}-"}]}} for number in range(20)]

    assert [7] == PatternIndex.of(several).matching({"detail": {"jobId": "7-up"}})


@pytest.mark.parametrize("tags", [["a", ["b"]], [["a"], "b"], ["b", [["a"]]]])
def test_strings_beside_a_list_and_within_it_are_found(tags: list[Any]) -> None:
    """A field's list may mix both; each pattern is still proposed for the string that it asks for."""
    index = PatternIndex.of([{"tags": [name]} for name in "cdbaef"])

    assert [2, 3] == index.matching({"tags": tags})


def test_an_empty_index_finds_nothing() -> None:
    """A policy has at least one rule; an index need not."""
    assert [] == PatternIndex.of([]).matching(rendered())
