"""JMESPath to the letter of its specification: types are kept apart, digits are kept, and what can never work is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.domain.errors import PolicyError
from engine.policy.expressions.paths import PathProblem, compile_path
from tests.support.policies import example

DOCUMENT = {
    "model": "veo-4",
    "one": 1,
    "yes": True,
    "ones": [1],
    "yeses": [True],
    "deep": {"a": [{"b": True}]},
    "sizes": [3, Decimal("2.50"), 0.5],
    "names": ["b", "a"],
}


def found(expression: str, document: Any = DOCUMENT) -> Any:
    """Return what an expression finds."""
    return compile_path(expression).search(document)


@pytest.mark.parametrize(
    ("expression", "is_so"),
    [
        ("contains(ones, `true`)", False),
        ("contains(yeses, `1`)", False),
        ("contains([`false`], `0`)", False),
        ("contains(ones, `1.0`)", True),
        ("contains(yeses, `true`)", True),
        ("contains([ones], yeses)", False),
        ('contains([deep], `{"a": [{"b": 1}]}`)', False),
        ('contains([deep], `{"a": [{"b": true}]}`)', True),
        ("yeses == `[1]`", False),
        ("ones == `[true]`", False),
        ("ones == `[1.00]`", True),
        ('deep == `{"a": [{"b": 1}]}`', False),
        ('deep != `{"a": [{"b": 1}]}`', True),
        ("one == yes", False),
        ("one != yes", True),
        ("missing == `null`", True),
        ("missing == `false`", False),
        ('names == `["b"]`', False),
        ('`{"a": 1}` == `{"b": 1}`', False),
        ('length([deep][?a == `[{"b": 1}]`]) == `0`', True),
        ("contains(model, `4`)", False),
        ("contains(model, '4')", True),
        ("contains(model, `null`)", False),
        ("contains(model, yes)", False),
        ("contains('true', yes)", False),
    ],
)  # fmt: skip
def test_a_boolean_is_no_number_and_a_number_no_text(expression: str, is_so: bool) -> None:  # noqa: FBT001
    """However deep it stands: true is not 1, and a text holds texts alone."""
    assert is_so is found(expression)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("`123456789012345.678901`", "123456789012345.678901"),
        ("`0.12345678901234567890123`", "0.12345678901234567890123"),
        ("max([one, `123456789012345.678901`])", "123456789012345.678901"),
        ("sum([`0.12345678901234567890123`, `1`])", "1.12345678901234567890123"),
        ('`{"a": [1.10000000000000000001]}`.a[0]', "1.10000000000000000001"),
        ("to_string(`[0.12345678901234567890123, 1e2, 7]`)", "[0.12345678901234567890123,100,7]"),
        ('to_string(`{"a": {"b": 123456789012345.678901}}`)', '{"a":{"b":123456789012345.678901}}'),
        ("to_string(sizes)", "[3,2.5,0.5]"),
        ('to_string(`[true, null, "\\""]`)', '[true,null,"\\""]'),
        ("to_string(`1e999999999`)", "1E+999999999"),
        ("to_string(`9007199254740993`)", "9007199254740993"),
        ("to_number('12345678901234567890123456789012345678')", "12345678901234567890123456789012345678"),
        ("join(',', map(&to_string(@), sort(sizes)))", "0.5,2.5,3"),
        ("min(sizes)", "0.5"),
        ("max_by([{n: `0.10000000000000000001`}, {n: `0.1`}], &n).n", "0.10000000000000000001"),
        ("merge({a: `1`}, {a: `0.10`}).a", "0.10"),
        ("not_null(missing, `1.0000000000000000001`)", "1.0000000000000000001"),
        ("join(',', sort(keys({b: one, a: one})))", "a,b"),
    ],
)  # fmt: skip
def test_every_digit_of_a_number_is_kept(expression: str, text: str) -> None:
    """In a literal as in what is made of it; a number too long to be written out is shown with its exponent."""
    assert text == str(found(expression))


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("ceil(one, `1`)", "is wrong: ceil() takes 1 argument, and is given 2"),
        ("sum()", "is wrong: sum() takes 1 argument, and is given 0"),
        ("join('-')", "is wrong: join() takes 2 arguments, and is given 1"),
        ("max_by(deep.a)", "is wrong: max_by() takes 2 arguments, and is given 1"),
        ("starts_with(model)", "is wrong: starts_with() takes 2 arguments, and is given 1"),
        ("length(model, names)", "is wrong: length() takes 1 argument, and is given 2"),
        ("not_null()", "is wrong: not_null() takes at least 1 argument, and is given 0"),
        ("merge()", "is wrong: merge() takes at least 1 argument, and is given 0"),
        ("names[?contains(@)]", "is wrong: contains() takes 2 arguments, and is given 1"),
        ("{a: {b: abs()}}", "is wrong: abs() takes 1 argument, and is given 0"),
        ("map(&ceil(@, one), sizes)", "is wrong: ceil() takes 1 argument, and is given 2"),
        ("abs('8')", "is wrong: abs() takes a number, not '8'"),
        ("abs(`true`)", "is wrong: abs() takes a number, not True"),
        ('sum(`[1, "2"]`)', "is wrong: sum() takes a list of numbers, and '2' is in the list"),
        ("sum(length(names))", "is wrong: sum() takes a list of numbers, not a number"),
        ("ceil(to_string(one))", "is wrong: ceil() takes a number, not a string"),
        ("join(`1`, names)", "is wrong: join() takes a string, not 1"),
        ("sort_by(names, model)", None),
        ("sort_by(names, 'model')", "is wrong: sort_by() takes an expression (`&name`), not 'model'"),
        ("to_string(&one)", "is wrong: to_string() takes any value, not an expression (`&name`)"),
        ("length(one == `1`)", "is wrong: length() takes a string or a list or an object, not true or false or null"),
        ("names[::0]", "has a slice with a step of 0; a step moves on"),
        ("`NaN` == one", None),
        ("`[NaN]`", None),
    ],
)  # fmt: skip
def test_what_can_never_be_worked_out_is_refused_with_the_policy(expression: str, problem: str | None) -> None:
    """Whatever an event says: ``validate`` finds it, with what would be right. What depends on the event is left to it."""
    if problem is None:
        assert expression == compile_path(expression).text
        return
    with pytest.raises(PolicyError) as refusal:
        compile_path(expression)

    assert f"{expression!r} {problem}" == str(refusal.value)


def test_validate_says_the_line_of_a_call_that_can_never_work() -> None:
    """The place of the expression, as of any mistake."""
    with pytest.raises(PolicyError) as refusal:
        example(("quantity: detail.seconds", 'quantity: "ceil(detail.seconds, `1`)"'))

    (mistake,) = refusal.value.mistakes
    assert (17, "'ceil(detail.seconds, `1`)' is wrong: ceil() takes 1 argument, and is given 2") == (
        mistake.line,
        mistake.message,
    )


PYTHON = ("Decimal", "dict", "NoneType", "object is", "operand", "<class", "not supported", "argument must", "Traceback")


@pytest.mark.parametrize(
    "value", [None, True, 8, Decimal("0.5"), "text", [1, "a"], [[1]], {"a": 1}, [None], [True, False]], ids=str
)
@pytest.mark.parametrize(
    "call",
    [
        "abs(x)", "avg(x)", "ceil(x)", "floor(x)", "join('-', x)", "keys(x)", "length(x)",
        "map(&a, x)", "max(x)", "max_by(x, &@)", "merge(x, x)", "min_by(x, &@)", "reverse(x)", "sort(x)", "sort_by(x, &@)",
        "starts_with('a', x)", "ends_with(x, 'a')", "sum(x)", "to_array(x)", "to_number(x)", "to_string(x)", "type(x)",
        "values(x)", "contains(x, x)", "x < x", "x == x", "!x", "x[0:1]", "x[*].a", "x.a", "x[]",
    ],
)  # fmt: skip
def test_no_word_of_python_reaches_a_person(call: str, value: Any) -> None:
    """A value, or a problem in JMESPath's words."""
    try:
        found(call, {"x": value})
    except PathProblem as problem:
        assert not any(word in str(problem) for word in PYTHON), str(problem)  # noqa: PT017  one of two good ends
