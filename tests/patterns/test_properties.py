"""What holds for every pattern and every event."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.policy.patterns import compile_pattern

SETTINGS = settings(max_examples=60, deadline=None)

names = st.sampled_from(["a", "b", "a.b", "detail", "$or", ""])
texts = st.one_of(st.sampled_from(["", "a", "A", "ab", "*", "\\", "10.0.0.1", "::1", "ß", "1"]), st.text(max_size=4))
numbers = st.one_of(
    st.integers(), st.floats(), st.decimals(allow_nan=True, allow_infinity=True), st.sampled_from([0, 1, 1.0, Decimal("1.0")])
)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)))
events = st.dictionaries(names, values, max_size=4)

words = st.sampled_from(["prefix", "suffix", "wildcard", "equals-ignore-case"])
negatable = st.builds(lambda word, text: {word: text}, words, texts)
tests = st.one_of(
    leaves,
    negatable,
    st.builds(lambda inner: {"anything-but": inner}, st.one_of(texts, numbers, negatable)),
    st.builds(lambda present: {"exists": present}, st.booleans()),
    st.builds(lambda sign, bound: {"numeric": [sign, bound]}, st.sampled_from(["=", "<", ">="]), st.integers(-5, 5)),
    st.just({"cidr": "10.0.0.0/8"}),
)
lists_of_tests = st.lists(tests, min_size=1, max_size=3)
fields = st.recursive(lists_of_tests, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3), max_leaves=4)
patterns = st.dictionaries(names, fields, min_size=1, max_size=3)

anything = st.recursive(
    st.one_of(leaves, st.dates(), st.binary(max_size=2)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(names, words, st.sampled_from(["numeric", "exists", "anything-but", "cidr"])), inner, max_size=3
        ),
        st.dictionaries(st.one_of(st.integers(), st.booleans(), st.dates()), inner, max_size=1),
    ),
)


@SETTINGS
@given(pattern=anything)
def test_a_pattern_is_read_or_refused_and_nothing_else(pattern):
    """Whatever a policy holds in place of a pattern, it ends in a predicate or in a ``PolicyError``."""
    with suppress(PolicyError):
        assert callable(compile_pattern(pattern))


@SETTINGS
@given(pattern=patterns, event=events)
def test_a_predicate_answers_every_event(pattern, event):
    """No event stops a batch."""
    with suppress(PolicyError):
        assert isinstance(compile_pattern(pattern)(event), bool)


@SETTINGS
@given(excluded=st.one_of(texts, st.integers(), negatable), leaf=leaves)
def test_anything_but_is_the_complement_on_leaves(excluded, leaf):
    """Of a test and its anything-but exactly one accepts a leaf."""
    with suppress(PolicyError):
        negated = compile_pattern({"x": [{"anything-but": excluded}]})
        # Exact addresses have several spellings; excluded ones do not.
        plain = (
            excluded if isinstance(excluded, dict | int) else {"wildcard": excluded.replace("\\", r"\\").replace("*", r"\*")}
        )
        assert negated({"x": leaf}) != compile_pattern({"x": [plain]})({"x": leaf})


@SETTINGS
@given(event=events)
def test_a_field_exists_or_is_absent(event):
    """There is no third possibility, whatever the arrays and dots around the field."""
    there, absent = (compile_pattern({"a": {"b": [{"exists": answer}]}}) for answer in (True, False))

    assert there(event) != absent(event)


@SETTINGS
@given(pattern=st.dictionaries(st.sampled_from(["a", "b"]), lists_of_tests, min_size=1), event=events)
def test_an_array_around_an_object_changes_nothing(pattern, event):
    """One element is the object itself; this also compares the straight way with the way through arrays."""
    with suppress(PolicyError):
        matches = compile_pattern({"detail": pattern})
        assert matches({"detail": event}) == matches({"detail": [event]})


@SETTINGS
@given(pattern=patterns, event=events)
def test_nested_names_and_names_with_dots_are_the_same(pattern, event):
    """The pattern below one name equals the pattern with the names joined."""
    with suppress(PolicyError):
        nested = compile_pattern({"top": {"inner": pattern}})
        joined = compile_pattern({"top.inner": pattern})
        for around in ({"top": {"inner": event}}, {"top.inner": event}):
            assert nested(around) == joined(around)


@SETTINGS
@given(left=lists_of_tests, right=lists_of_tests, event=events)
def test_or_is_the_union_of_its_objects(left, right, event):
    """A ``$or`` matches exactly what one of its objects matches alone."""
    with suppress(PolicyError):
        alone = [compile_pattern({"a": left}), compile_pattern({"b": right})]
        either = compile_pattern({"$or": [{"a": left}, {"b": right}]})
        assert any(matches(event) for matches in alone) == either(event)
