"""What expressions read of the job's own row, told beforehand and found."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.policy.expressions.event_and_row import EventAndRow
from engine.policy.expressions.own_row import own_row_attributes
from engine.policy.expressions.paths import Path, PathProblem, compile_path
from tests.support.examples import tries


@pytest.mark.parametrize(
    ("expression", "attributes"),
    [
        ("detail.seconds", set()),
        ("detail.row.seconds", set()),
        ("row.seconds", {"seconds"}),
        ("row.plan || 'free'", {"plan"}),
        ("detail.userId || row.userId", {"userId"}),
        ("row.a.b", {"a"}),
        ('row."a b"[0]', {"a b"}),
        ("row.items[*].seconds", {"items"}),
        ("sum(row.items[?kind == 'x'].row)", {"items"}),
        ("[row.a, detail.b, row.c]", {"a", "c"}),
        ("{x: row.a, y: detail.row}", {"a"}),
        ("row.a > `3` && row.b", {"a", "b"}),
        ("(detail.a || detail.b).row.c", set()),
        ("detail.list[*].row", set()),
        ("sort_by(detail.list, &row)[0].row", set()),
        ("@.row.a", None),
        ("@ | row.a", {"a"}),
        ("(detail.a || @) | row.a", {"a"}),
        ("[@][0] | row.a", {"a"}),
        ("map(&row.a, to_array(@))", {"a"}),
        ("detail.list[?@ == 'a'].row", set()),
        ("detail | row.a", set()),
        ("@", set()),
        ("*.seconds", set()),
        ("row", None),
        ("row.*", None),
        ("length(row)", None),
        ("row.{a: b}", None),
        ("row | a", None),
    ],
)
def test_an_expression_tells_what_it_reads_of_the_row(expression: str, attributes: set[str] | None) -> None:
    """None: all of it. `row` means the job's row only where the expression begins."""
    assert attributes == own_row_attributes(compile_path(expression))


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("row.seconds", 8),
        ("@.row.seconds", 8),
        ("row.missing", None),
        ("row.seconds || detail.seconds", 8),
        ("multiply_is_not_needed || row.seconds", 8),
        ("sum([row.seconds, detail.more])", 10),
        ("length(keys(@))", 1),
        ("length(*)", 1),
        ("type(@)", "object"),
        ("contains(keys(merge(@, {x: row.seconds})), 'row')", False),
        ("row.list[?seconds > `1`].seconds | [0]", 2),
    ],
)
def test_an_expression_finds_the_row_by_its_name_and_no_other_way(expression: str, found: object) -> None:
    """What the whole event is stays what it is."""
    asked = EventAndRow({"detail": {"more": 2}}, {"seconds": 8, "list": [{"seconds": 1}, {"seconds": 2}]})

    assert found == compile_path(expression).search(asked)


NAMES = st.sampled_from(["row", "detail", "a", "b", "c"])
LITERALS = st.sampled_from(["`1`", "`null`", "'x'", "`[]`"])


def _bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return expressions made of smaller ones."""
    return st.one_of(
        st.tuples(inner, NAMES).map(".".join),
        st.tuples(inner, inner).map(" || ".join),
        st.tuples(inner, inner).map(" && ".join),
        st.tuples(inner, inner).map(" | ".join),
        st.tuples(inner, inner).map(" == ".join),
        st.tuples(inner, inner).map(lambda two: f"[{two[0]}, {two[1]}]"),
        st.tuples(inner, inner).map(lambda two: f"{{x: {two[0]}, row: {two[1]}}}"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]}[?{two[1]}]"),
        st.tuples(inner, NAMES).map(lambda two: f"{two[0]}[*].{two[1]}"),
        st.tuples(inner, inner).map(lambda two: f"not_null({two[0]}, {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"sort_by({two[0]}, &{two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"map(&{two[0]}, to_array({two[1]}))"),
        inner.map(lambda one: f"({one})"),
        inner.map(lambda one: f"to_array({one})[0]"),
        inner.map(lambda one: f"!{one}"),
        inner.map(lambda one: f"@.{one}" if one[0].isalpha() else one),
        inner.map(lambda one: f"{one}.*"),
        inner.map(lambda one: f"{one}[]"),
    )


EXPRESSIONS = st.recursive(st.one_of(NAMES, st.just("@"), LITERALS), _bigger, max_leaves=6)
OF_ROWS = st.recursive(
    st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["x", ""])),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=6,
)


@tries(500)
@given(EXPRESSIONS, st.dictionaries(st.sampled_from("abc"), OF_ROWS, max_size=3), OF_ROWS)
def test_whatever_an_expression_reads_of_the_row_is_told_beforehand(text: str, row: dict[str, Any], detail: Any) -> None:
    """A row that was read with these attributes alone answers as the whole row does; and nothing else ever needs the row."""
    with suppress(PolicyError):
        path = compile_path(text)
        attributes = own_row_attributes(path)
        event = {"detail": detail, "a": 1}

        if attributes == frozenset():
            assert _answer(path, EventAndRow(event, None)) == _answer(path, event)
        elif attributes is not None:
            projected = {name: value for name, value in row.items() if name in attributes}
            assert _answer(path, EventAndRow(event, row)) == _answer(path, EventAndRow(event, projected))


def _answer(path: Path, document: Any) -> Any:
    try:
        return path.search(document)
    except PathProblem:
        return "cannot be worked out"
