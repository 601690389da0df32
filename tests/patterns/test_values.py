"""Events as Python holds them: numbers of several types, mappings that are no dicts, and what the index is told."""

from __future__ import annotations

from collections import UserDict
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

import pytest

from engine.policy.patterns import Branch, Exact, Field, Pattern, Prefix, compile_pattern, parse_pattern, required_values

ANY_300 = [300, 300.0, Decimal(300), Decimal("300.00"), Decimal("3.0E+2")]


@pytest.mark.parametrize("in_event", ANY_300, ids=repr)
@pytest.mark.parametrize("in_pattern", ANY_300, ids=repr)
def test_a_number_equals_itself_in_every_type_and_notation(in_pattern, in_event):
    """Rows of DynamoDB hold decimals, events hold what the JSON reader makes of them."""
    assert compile_pattern({"x": [in_pattern]})({"x": in_event})
    assert not compile_pattern({"x": [{"anything-but": in_pattern}]})({"x": in_event})
    assert compile_pattern({"x": [{"numeric": ["=", in_pattern]}]})({"x": in_event})


def test_a_float_is_the_number_it_shows():
    """Neither 0.1 nor 300.1 is exact in binary, but that is not what anybody means by them."""
    assert compile_pattern({"x": [Decimal("0.1")]})({"x": 0.1})
    assert compile_pattern({"x": [300.1]})({"x": Decimal("300.1")})
    assert compile_pattern({"x": [{"numeric": ["<=", 300.1]}]})({"x": 300.1})


@pytest.mark.parametrize("leaf", [float("nan"), float("inf"), Decimal("sNaN"), {"a"}, b"a", Fraction(1, 2)], ids=repr)
def test_what_json_cannot_hold_is_there_but_equals_nothing(leaf):
    """Nothing of the kind may stop a batch, so that the predicate answers and does not raise."""
    assert not compile_pattern({"x": [{"numeric": [">=", -5]}, 5, "a", None, {"prefix": ""}]})({"x": leaf})
    assert compile_pattern({"x": [{"anything-but": 5}]})({"x": leaf})
    assert compile_pattern({"x": [{"exists": True}]})({"x": leaf})


def test_numbers_of_any_size_are_compared_by_value():
    """An event is not bound to the limits of a bound."""
    positive = compile_pattern({"x": [{"numeric": [">", 0]}]})

    assert positive({"x": 10**5000})
    assert positive({"x": Decimal("1E+999999")})
    assert not positive({"x": Decimal("-1E+999999")})


def test_any_mapping_is_an_event():
    """Envelopes are frozen, and so are the objects inside them."""
    matches = compile_pattern({"detail": {"state": [{"anything-but": "a"}]}})

    assert matches(MappingProxyType({"detail": UserDict({"state": "b"})}))
    assert matches(UserDict({"detail": (MappingProxyType({"state": "b"}),)}))
    assert not matches(UserDict({"detail": UserDict({"state": UserDict({"deeper": "b"})})}))


def test_a_string_of_a_subclass_is_a_string():
    """Enumerations of strings come from our own code."""
    status = StrEnum("status", ["completed"])

    assert compile_pattern({"x": ["completed"]})({"x": status.completed})


def test_a_deeply_nested_event_is_matched_without_recursion():
    """Two thousand arrays in each other would break a recursive walk."""
    nested: object = {"name": "a"}
    for _ in range(2_000):
        nested = [nested]

    assert compile_pattern({"x": {"name": ["a"]}})({"x": nested})


def test_a_large_array_is_matched_in_the_time_of_its_length():
    """Trying all pairs of two thousand elements would take minutes."""
    items = [{"a": at, "b": at, "c": at + 1} for at in range(2000)]
    matches = compile_pattern({"items": {"a": [{"exists": True}], "b": [{"exists": True}], "c": [{"numeric": ["=", 2001]}]}})

    assert not matches({"items": items})
    assert matches({"items": [*items, {"a": 1, "b": 1, "c": 2001}]})


def test_a_pattern_is_a_value():
    """The same pattern is equal and hashable, so that it can be a key of an index."""
    parsed = parse_pattern({"source": ["a"], "detail": {"x": [{"prefix": "b"}, 300]}})

    fields = (Field("source", (Exact("a"),)), Field("detail.x", (Prefix("b"), Exact(Decimal(300)))))
    assert Pattern((Branch(fields),)) == parsed
    assert 1 == len({parsed, parse_pattern({"source": ["a"], "detail.x": [{"prefix": "b"}, 300.0]})})


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ({"source": ["a", "b"]}, {"a", "b"}),
        ({"source": ["a"], "$or": [{"x": [1]}, {"y": [2]}]}, {"a"}),
        ({"$or": [{"source": ["a"]}, {"source": ["b"], "x": [1]}]}, {"a", "b"}),
        ({"$or": [{"source": ["a"]}, {"x": [1]}]}, None),
        ({"source": ["a", {"prefix": "b"}]}, None),
        ({"source": ["a", None]}, None),
        ({"source": ["10.0.0.1"]}, None),
        ({"detail": ["a"]}, None),
    ],
)
def test_an_index_learns_which_values_a_field_must_hold(pattern, values):
    """None means that events with other values, or without the field, can match too."""
    assert values == required_values(parse_pattern(pattern), "source")
