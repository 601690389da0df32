"""What the author of a policy is told: where a pattern is wrong, what is wrong there, and what would be right."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from engine.domain.errors import PolicyError
from engine.policy.patterns import compile_pattern

type Path = tuple[str | int, ...]


def mistakes(pattern: Any) -> list[tuple[Path, str]]:
    """Return path and message of each mistake for which the pattern is refused."""
    with pytest.raises(PolicyError) as refusal:
        compile_pattern(pattern)
    return [(mistake.path, mistake.message) for mistake in refusal.value.mistakes]


def mistake(pattern: Any) -> tuple[Path, str]:
    """Return path and message of the only mistake."""
    (only,) = mistakes(pattern)
    return only


@pytest.mark.parametrize(
    ("pattern", "path", "words"),
    [
        ({"detail": {"x": [{"prefx": "a"}]}}, ("detail", "x", 0, "prefx"), "did you mean `prefix`?"),
        ({"x": ["ok", {"NUMERIC": ["=", 5]}]}, ("x", 1, "NUMERIC"), "did you mean `numeric`?"),
        ({"x": [{"anything_but": 1}]}, ("x", 0, "anything_but"), "did you mean `anything-but`?"),
        ({"detail": [{"state": ["a"]}]}, ("detail", 0, "state"), "write the object without the list around it"),
        ({"x": [{"regex": "a"}]}, ("x", 0, "regex"), "write one of `prefix`, `suffix`"),
        ({"x": [{5: "a"}]}, ("x", 0, 5), "unknown operator `5`"),
        ({"x": [{}]}, ("x", 0), "an operator is missing"),
        ({"x": [{"prefix": "a", "suffix": "b"}]}, ("x", 0), "write an object for each"),
        ({"x": [["a"]]}, ("x", 0), "put its values into the outer list"),
        ({"x": 42}, ("x",), "write [42]"),
        ({"x": []}, ("x",), "an empty list is not allowed"),
        ({"detail": {}}, ("detail",), "name at least one field"),
        ({"x": [date(2026, 1, 5)]}, ("x", 0), "quote it"),
        ({"x": [float("inf")]}, ("x", 0), "write a finite number"),
        ({"x": [Decimal("sNaN")]}, ("x", 0), "write a finite number"),
        ({404: ["a"]}, (404,), 'quote it, like "404"'),
        ({date(2026, 1, 5): ["a"]}, ("2026-01-05",), "quote it"),
        ({"x": [{"prefix": ["a"]}]}, ("x", 0, "prefix"), "write one {prefix: ...} for each"),
        ({"x": [{"prefix": {"suffix": "a"}}]}, ("x", 0, "prefix"), "{equals-ignore-case: <string>}"),
        (
            {"x": [{"suffix": {"equals-ignore-case": 5}}]},
            ("x", 0, "suffix", "equals-ignore-case"),
            "needs a string, not 5: write it in quotes",
        ),
        ({"x": [{"wildcard": "a**"}]}, ("x", 0, "wildcard"), "two `*` in a row"),
        ({"x": [{"wildcard": r"a\b"}]}, ("x", 0, "wildcard"), r"write `\*` or `\\`"),
        ({"x": [{"wildcard": "*:*:*:*:*:event-bus/*"}]}, ("x", 0, "wildcard"), "too complex"),
        ({"x": [{"wildcard": "a*b*c*d*e*f*g*h*i*j*k"}]}, ("x", 0, "wildcard"), "use fewer `*`"),
        ({"x": [{"cidr": "10.0.0.1"}]}, ("x", 0, "cidr"), "write it like 10.0.0.0/8"),
        ({"x": [{"cidr": "10.0.0.1/32"}]}, ("x", 0, "cidr"), "write a single address as a string"),
        ({"x": [{"cidr": "10.0.0.1/" + "1" * 5000}]}, ("x", 0, "cidr"), "a mask from 0 to 31"),
        ({"x": [{"exists": "yes"}]}, ("x", 0, "exists"), "needs true or false"),
        ({"x": [{"numeric": [">"]}]}, ("x", 0, "numeric"), "one or two comparisons"),
        ({"x": [{"numeric": ["=>", 5]}]}, ("x", 0, "numeric", 0), "write one of =, <, <=, >, >="),
        ({"x": [{"numeric": [">", "5"]}]}, ("x", 0, "numeric", 1), "write it without quotes"),
        ({"x": [{"numeric": [">", 6_000_000_000]}]}, ("x", 0, "numeric", 1), "write a bound within"),
        ({"x": [{"numeric": [">", 10**5000]}]}, ("x", 0, "numeric", 1), "write a bound within"),
        ({"x": [{"numeric": [">", 0.1234567]}]}, ("x", 0, "numeric", 1), "6 decimal places"),
        ({"x": [{"numeric": ["<", 5, ">", 0]}]}, ("x", 0, "numeric"), "written from bottom to top"),
        ({"x": [{"numeric": [">", 5, "<", 5]}]}, ("x", 0, "numeric"), "5 is not less than 5"),
        ({"x": [{"anything-but": ["a", 1]}]}, ("x", 0, "anything-but"), "only strings or only numbers"),
        ({"x": [{"anything-but": ["a", None]}]}, ("x", 0, "anything-but", 1), "excludes strings or numbers"),
        ({"x": [{"anything-but": []}]}, ("x", 0, "anything-but"), "name what must not match"),
        ({"x": [{"anything-but": {"prefix": []}}]}, ("x", 0, "anything-but", "prefix"), "name what must not match"),
        ({"x": [{"anything-but": {"prefix": ["a", ""]}}]}, ("x", 0, "anything-but", "prefix", 1), "every string"),
        ({"x": [{"anything-but": {"sufix": "a"}}]}, ("x", 0, "anything-but", "sufix"), "did you mean `suffix`?"),
        ({"x": [{"anything-but": {}}]}, ("x", 0, "anything-but"), "needs one operator"),
        ({"$or": [{"a": [1]}]}, ("$or",), "at least two objects"),
        ({"$or": [{"a": [1]}, "b"]}, ("$or", 1), "objects of fields, not 'b'"),
        ({"$or": [{"a": [1]}, {"regex": ["b"]}]}, ("$or", 1, "regex"), "AWS keeps it for operators"),
        ({"$or": [{"a": [1]}, {"b": [{"prefx": "b"}]}]}, ("$or", 1, "b", 0, "prefx"), "did you mean `prefix`?"),
        (["a"], (), "a pattern is an object of fields"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_remedy(pattern, path, words):
    """The path leads through keys and indices to the wrong value; the message says what would be right."""
    found_path, message = mistake(pattern)

    assert path == found_path
    assert words in message


def test_all_mistakes_of_a_pattern_are_told_at_once():
    """Nobody wants to mend a policy one run at a time."""
    pattern = {"source": "a", "detail": {"x": [{"prefx": "a"}, {"exists": 1}], "y": []}}

    paths = [path for path, _ in mistakes(pattern)]

    assert [("source",), ("detail", "x", 0, "prefx"), ("detail", "x", 1, "exists"), ("detail", "y")] == paths


def test_a_pattern_that_contains_itself_is_refused():
    """An anchor of YAML can do this; the reader must come back nevertheless."""
    pattern: dict = {}
    pattern["detail"] = pattern

    assert "nested more than 100 levels" in mistake(pattern)[1]


def test_a_pattern_that_repeats_one_part_a_million_times_is_refused_at_once():
    """Twenty anchors of YAML that each refer twice to the one before."""
    part: dict = {"x": ["a"]}
    for _ in range(20):
        part = {"left": part, "right": part}

    assert "4096 characters" in mistake(part)[1]


def test_a_pattern_is_as_long_as_its_json():
    """4,096 characters of JSON are the limit of the API, whatever the pattern looks like in YAML."""
    around = len('{"x":[""]}')
    longest = MappingProxyType({"x": ["a" * (4096 - around)]})

    assert compile_pattern(longest)({"x": "a" * (4096 - around)})
    assert "4096 characters" in mistake({"x": ["a" * (4097 - around)]})[1]


def test_a_pattern_of_more_than_256_fields_is_refused():
    """Event Ruler takes no more in one rule."""
    assert "256 fields" in mistake({f"f{at}": [1] for at in range(257)})[1]


def test_the_lists_of_or_multiply_to_a_thousand_at_most():
    """Ten by ten by ten passes, and one more does not."""
    ten = [{f"f{at}": [1]} for at in range(10)]
    thousand = {"a": {"$or": ten}, "b": {"$or": ten}, "c": {"$or": ten}}

    compile_pattern(thousand)

    assert "more than 1000 combinations" in mistake({**thousand, "d": {"$or": ten[:2]}})[1]
