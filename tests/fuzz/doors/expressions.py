"""JMESPath: trees of any kind on documents of any kind, against the reference library."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jmespath
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from engine.domain.errors import PolicyError
from engine.policy.expressions.paths import PathProblem, compile_path
from tests.fuzz.door import Door, seen
from tests.fuzz.odd import any_of
from tests.fuzz.odd import texts as odd_texts

OURS = (
    "add(",
    "subtract(",
    "multiply(",
    "divide(",
    "round_up(",
    "round_down(",
    "from_seconds(",
    "from_milliseconds(",
    "in_zone(",
    "split(",
)
"""What this language has beside JMESPath: the library knows none of it."""

PROBLEM = object()
"""That something cannot be worked out; in which words is for each to say."""

names = st.sampled_from(["a", "b", "c", '"d e"', "row"])
numbers = st.sampled_from(["0", "1", "-2", "2.5", "0.1", "1e3", "7"])
literals = st.one_of(
    st.sampled_from(
        [
            "''",
            "'a'",
            "'8'",
            "'2.50'",
            "`null`",
            "`true`",
            "`false`",
            "`[]`",
            "`{}`",
            "`[1, 2]`",
            '`["a", "b"]`',
            "`[[1], [2]]`",
        ]
    ),
    numbers.map("`{}`".format),
)
TAKES = {
    "abs": 1, "avg": 1, "ceil": 1, "contains": 2, "ends_with": 2, "floor": 1, "join": 2, "keys": 1, "length": 1, "max": 1,
    "min": 1, "merge": 2, "not_null": 2, "reverse": 1, "sort": 1, "starts_with": 2, "sum": 1, "to_array": 1, "to_number": 1,
    "to_string": 1,
    "type": 1, "values": 1,
}  # fmt: skip
KEYED = ("sort_by", "max_by", "min_by")
OWN = {
    "add": 2,
    "subtract": 2,
    "multiply": 2,
    "divide": 2,
    "round_up": 2,
    "round_down": 2,
    "from_seconds": 1,
    "in_zone": 2,
    "split": 2,
}


def calls(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return calls of any function, mostly with as many arguments as it takes."""
    plain = st.sampled_from(sorted({**TAKES, **OWN}.items())).flatmap(
        lambda one: st.lists(inner, min_size=one[1], max_size=one[1]).map(lambda given: f"{one[0]}({', '.join(given)})")
    )
    keyed = st.builds("{}({}, &{})".format, st.sampled_from(KEYED), inner, inner)
    return st.one_of(plain, plain, keyed, st.builds("map(&{}, {})".format, inner, inner))


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return expressions made of smaller ones."""
    pair = st.tuples(inner, inner)
    ends = st.sampled_from(
        ["[*]", "[]", ".*", "[0]", "[-1]", "[1:]", "[::-1]", "[::2]", "[:-1]", "[?a]", "[?@]", "[? b > `1`]"]
    )
    return st.one_of(
        calls(inner),
        st.builds("({}){}".format, inner, ends),
        st.builds("{}{}.{}".format, inner, ends, names),
        st.builds("{}.{}".format, inner, names),
        inner.map("!({})".format),
        st.builds("[{0[0]}, {0[1]}]".format, pair),
        st.builds("{{a: {0[0]}, b: {0[1]}}}".format, pair),
        st.builds("({0[0]}) {1} ({0[1]})".format, pair, st.sampled_from(["||", "&&", "|", "==", "!=", "<", "<=", ">", ">="])),
        st.builds("({})[?{}]".format, inner, inner),
    )


trees = st.recursive(st.one_of(names, names, literals, st.just("@"), st.just("*")), larger, max_leaves=8)
soups = st.lists(
    st.one_of(
        st.sampled_from([*"ab.[]{}()|&@!?*`'\"\\:,<=0-1 \t", "||", "==", "sum(", "[?", "[::", "9" * 30, "é"]), odd_texts
    ),
    max_size=12,
).map("".join)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**6),
    st.sampled_from([2.5, 0.1, -0.0, 1e22]),
    st.sampled_from(["", "a", "8", "b c", "-2.50"]),
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "c", "d e", "row"]), inner, max_size=4)
    ),
    max_leaves=10,
)
edges = st.sampled_from([0, 0.0, 1, "", "a", [], [0], [None, 1], {}, {"a": 0}, None, False, True])
operands = st.sampled_from(["a", "a", "b", "c", "d", "`0`", "`null`", "''"])
alone = st.tuples(
    st.builds(
        lambda form, one, other: form.format(one, other),
        st.sampled_from(
            [
                "{} || {}",
                "{} && {}",
                "!{}",
                "!({} || {})",
                "[{}, {}]",
                "[{}, {}]",
                "[{}, {}][]",
                "[a, b, c][?{}]",
                "not_null({}, {})",
            ]
        ),
        operands,
        operands,
    ),
    st.lists(st.fixed_dictionaries({"a": edges, "b": edges, "c": edges}), min_size=2, max_size=4),
)
"""One operator on values at the edge of what is false: larger expressions seldom come there."""

pairs = any_of(st.tuples(any_of(trees, trees, trees, soups), st.lists(documents, min_size=1, max_size=2)), alone)


def plain(value: Any) -> Any:
    """Return a value with each number as the decimal that it is: to the library a whole number and a float are two kinds."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal):
        return Decimal(repr(value)) + 0 if isinstance(value, float) else Decimal(value) + 0
    if isinstance(value, list):
        return ["list", *map(plain, value)]
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return "expression"


def ours(path: Any, document: Any) -> Any:
    """Return what an expression finds here."""
    try:
        return plain(path.search(document))
    except PathProblem as problem:
        assert str(problem).strip(), "a problem without words"
        assert len(str(problem)) < 2_000, str(problem)[:200]
        return PROBLEM


def theirs(text: str, document: Any) -> Any:
    """Return what the library finds."""
    try:
        return plain(jmespath.search(text, document))
    except (JMESPathError, TypeError, ValueError, AttributeError, KeyError, ArithmeticError):
        return PROBLEM


def differs_by_intent(text: str, document: Any) -> bool:
    """Say whether an expression is one of those in which this language is not the library.

    Numbers are exact here; true is never 1; texts have an order; numbers become texts in plain digits; ``merge`` asks each of
    its arguments, the library the first. So of these only that they end well is asked.
    """
    said = text + json.dumps(document)
    has_own = any(name in text for name in (*OURS, "merge("))
    has_number_work = any(name in text for name in ("sum(", "avg(", "to_string(", "to_number(", "ceil(", "floor(", "abs("))
    has_order = any(sign in text for sign in ("<", ">", "==", "!=", "contains("))
    has_sorting = any(name in text for name in ("sort", "max", "min", "join("))
    return has_own or (has_number_work and any(sign in said for sign in ".eE-")) or has_order or has_sorting


def check(pair: tuple[str, list[Any]]) -> None:
    """An expression is refused with words, or finds what the library finds, also once it was stored and read again."""
    text, several = pair
    try:
        path = compile_path(text)
        attributes = path.row_attributes()
    except PolicyError as refusal:
        seen("refused")
        assert all(mistake.message.strip() and len(mistake.message) < 2_000 for mistake in refusal.mistakes)
        return
    assert attributes is None or isinstance(attributes, frozenset)
    for document in several:
        found = ours(path, document)
        assert repr(found) == repr(ours(path, json.loads(json.dumps(document)))), "one document, two answers"
        if not differs_by_intent(text, document):
            seen("compared")
            assert found == theirs(text, document), f"found {found!r}, the library {theirs(text, document)!r}"


DOOR = Door("expressions", pairs, check, ("engine/policy/expressions/*",))
