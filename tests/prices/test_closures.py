"""Expressions as closures find what the interpreter finds, and what JMESPath's own cases say."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from engine.domain.errors import PolicyError, RowNeeded
from engine.policy.expressions.closures import closure_of
from engine.policy.expressions.event_and_row import EventAndRow
from engine.policy.expressions.exact import ExactFunctions, interpreter
from engine.policy.expressions.functions import FUNCTIONS
from engine.policy.expressions.paths import Path, compile_path
from engine.policy.expressions.standard import STANDARD
from engine.policy.expressions.syntax import parse
from engine.policy.expressions.values import CannotBe, exact, is_equal
from tests.support.examples import tries

ROOT = FilePath(__file__).parents[2]

TROUBLES = (CannotBe, ArithmeticError, ValueError, TypeError, RecursionError)


def outcome(search: Any, document: Any) -> str:
    """Return what a search finds with every type and digit, or what kind of problem it has and in which words."""
    try:
        return repr(search(document))
    except CannotBe as problem:
        return f"cannot be: {problem}"
    except TROUBLES as problem:
        return type(problem).__name__


def both(text: str, document: Any) -> tuple[str, str]:
    """Return what an expression's closures make of a document, and what the interpreter makes of it."""
    tree = parse(text).parsed
    closure = closure_of(tree)
    assert closure is not None, text
    return outcome(closure, document), outcome(lambda it: interpreter().visit(tree, exact(it)), document)


# --- the interpreter --------------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "c", '"d e"'])
numbers = st.sampled_from(["0", "1", "-2", "2.5", "0.1", "1e3", "12345678901234567890123456789012345678"])
literals = st.one_of(
    st.sampled_from(["''", "'a'", "'8'", "'2.50'", "'2026-01-05T10:00:00'", "'+08:00'", "`null`", "`true`", "`false`"]),
    st.sampled_from(["`[]`", "`{}`", "`[1, 2]`", '`["a", "b"]`', '`{"a": 1}`', "`[[1], [2.5]]`"]),
    numbers.map("`{}`".format),
)
leaves = st.one_of(names, names, literals, st.just("@"), numbers.map("`{}`".format))
signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def calls(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Calls of each function that has a closure, with as many arguments as it takes."""
    takes = {**{name: len(function.parameters) for name, function in FUNCTIONS.items()}}
    takes |= {name: len(signature) for name, (signature, _) in STANDARD.items()}
    return st.sampled_from(sorted(takes)).flatmap(
        lambda name: st.lists(inner, min_size=takes[name], max_size=takes[name]).map(lambda args: f"{name}({', '.join(args)})")
    )


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions made of smaller ones."""
    pair = st.tuples(inner, inner)
    return st.one_of(
        calls(inner),
        calls(inner),
        st.builds("{}.{}".format, inner, names),
        st.builds("{}[{}]".format, inner, st.integers(-2, 2)),
        st.builds("{}[{}:]".format, inner, st.integers(-2, 2)),
        st.builds("{}[::-1]".format, inner),
        inner.map("({})[*]".format),
        inner.map("{}[]".format),
        inner.map("({}).*".format),
        inner.map("!({})".format),
        inner.map("({})".format),
        st.builds("({})[*].{}".format, inner, names),
        st.builds("({})[?{}]".format, inner, inner),
        st.builds("({})[?{}].{}".format, inner, inner, names),
        st.builds("[{0[0]}, {0[1]}]".format, pair),
        st.builds("{{a: {0[0]}, b: {0[1]}}}".format, pair),
        st.builds("{0[0]} || {0[1]}".format, pair),
        st.builds("{0[0]} && {0[1]}".format, pair),
        st.builds("{0[0]} | {0[1]}".format, pair),
        st.builds("({0[0]}) {1} ({0[1]})".format, pair, signs),
    )


expressions = st.recursive(leaves, larger, max_leaves=8)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**20)
    | st.floats(allow_infinity=False)
    | st.decimals(-1000, 1000, places=3)
    | st.sampled_from(["", "a", "8", "-2.50", "2026-01-05 10:00:00", "2026-01-05T10:00:00Z", "a/b", "1767607200"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "d e"]), inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)
documents = st.fixed_dictionaries({"a": values, "b": values}, optional={"c": values, "d e": values}) | values


@tries(500, suppress_health_check=list(HealthCheck))
@given(text=expressions, document=documents)
def test_closures_find_what_the_interpreter_finds(text: str, document: Any) -> None:
    """The same value, of the same types and with the same digits, or the same problem in the same words."""
    closures, interpreted = both(text, document)

    assert interpreted == closures


@pytest.mark.parametrize(
    "text",
    [
        "@",
        "*",
        "a || row.a",
        "row",
        "row.*",
        "multiply(a, row.b)",
        "length(@)",
        "[@, row]",
        "!@",
        "@ == @",
        "to_string(@)",
        "row.c[0]",
    ],
)
@pytest.mark.parametrize("row", [{"a": 1, "b": 2.5, "c": [0.1]}, {}])
def test_closures_see_the_jobs_own_row_as_the_interpreter_does(text: str, row: dict[str, Any]) -> None:
    """Under its name, and not among the members of the event."""
    closures, interpreted = both(text, EventAndRow({"a": 0.5, "d": {"e": 1.5}}, row))

    assert interpreted == closures


@pytest.mark.parametrize("text", ["row.a", "a || row.a", "multiply(row.a, `2`)", "[a, row]"])
def test_closures_ask_for_a_row_that_was_not_read(text: str) -> None:
    """As a plain path does; what needs no row asks for none."""
    with pytest.raises(RowNeeded):
        compile_path(text).search(EventAndRow({}, None))

    assert 2 == compile_path("b || multiply(row.a, `2`)").search(EventAndRow({"b": 2}, None))


@pytest.mark.parametrize("name", sorted(STANDARD))
def test_a_function_takes_what_the_interpreter_takes(name: str) -> None:
    """Its own signature stands in two places."""
    assert ExactFunctions.FUNCTION_TABLE[name]["signature"] == tuple(STANDARD[name][0])


@pytest.mark.parametrize("text", ["sort_by(a, &b)", "map(&b, a)", "keys(a)", "a || sort(b)", "[max_by(a, &b)]"])
def test_what_has_no_closure_is_interpreted(text: str) -> None:
    """Also where it is only a part of an expression."""
    assert closure_of(parse(text).parsed) is None
    assert repr([{"b": 1}]) == repr(compile_path("sort_by(a, &b)").search({"a": [{"b": 1}]}))


# --- the specification ------------------------------------------------------------------------------------------------

JOB = {
    "clips": [{"s": 1, "tags": ["x", "y"]}, {"s": 2.5, "tags": []}, {"s": None}, "odd"],
    "size": {"w": 16, "h": 9},
    "numbers": [3, 1, [2, [4]], None],
    "yes": True, "no": False, "zero": 0, "word": "abc", "empty": "", "none": [], "odd key": 7,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("size.w", 16),
        ("size.w.x", None),
        ("gone", None),
        ("gone.gone[0].x", None),
        ('"odd key"', 7),
        ("size . h", 9),
        ("clips[0].s", 1),
        ("clips[-1]", "odd"),
        ("clips[9]", None),
        ("size[0]", None),
        ("word[0]", None),
        ("clips[*].s", [1, 2.5]),
        ("clips[*].tags[0]", ["x"]),
        ("clips[].tags[]", ["x", "y"]),
        ("size.*", [16, 9]),
        ("word[*]", None),
        ("numbers[]", [3, 1, 2, [4]]),
        ("numbers[][]", [3, 1, 2, 4]),
        ("numbers[1:3]", [1, [2, [4]]]),
        ("numbers[::-1]", [[2, [4]], 1, 3]),
        ("numbers[-2:]", [[2, [4]]]),
        ("word[0:1]", None),
        ("clips[?s].s", [1, 2.5]),
        ("clips[?s > `1`].s", [2.5]),
        ("clips[?s == `2.50`] | [0].s", 2.5),
        ("clips[?tags[0] == 'x'].s", [1]),
        ("clips[*].s | [1]", 2.5),
        ("[size.w, gone]", [16, None]),
        ("{w: size.w, x: gone}", {"w": 16, "x": None}),
        ("gone.[a]", None),
        ("no || 'a'", "a"),
        ("zero || 'a'", 0),
        ("empty || 'a'", "a"),
        ("none || 'a'", "a"),
        ("gone || no", False),
        ("size || 'a'", {"w": 16, "h": 9}),
        ("yes && word", "abc"),
        ("empty && word", ""),
        ("zero && word", "abc"),
        ("!zero", False),
        ("!none", True),
        ("!gone", True),
        ("yes || no && no", True),
        ("(yes || no) && no", False),
        ("zero == `0.0`", True),
        ("yes == `1`", False),
        ("word == 'abc'", True),
        ("word < 'b'", True),
        ("word < `1`", None),
        ("gone == `null`", True),
        ('size == `{"h": 9.0, "w": 16}`', True),
        ("numbers[:2] == `[3, 1.0]`", True),
        ("size.w != size.h", True),
        ("size.w >= `16`", True),
        ("'it\\'s'", "it's"),
        ('`"text"`', "text"),
        ("@.word", "abc"),
        ("word | @", "abc"),
        ("length(clips)", 4),
        ("length(word)", 3),
        ("max(numbers[:2])", 3),
        ("sum(clips[:2].s)", 3.5),
        ("join('-', clips[0].tags)", "x-y"),
        ("contains(word, 'b')", True),
        ("contains(numbers, `1`)", True),
        ("to_number('12.50')", 12.5),
        ("to_number('1 2')", None),
        ("not_null(gone, word)", "abc"),
        ("abs(`-2.5`)", 2.5),
        ("ceil(`2.1`)", 3),
        ("floor(`-2.1`)", -3),
        ("type(yes)", "boolean"),
        ("starts_with(word, 'ab')", True),
    ],
)
def test_an_expression_finds_what_the_specification_says(text: str, found: Any) -> None:
    """By the closures, and by the interpreter. What is null falls out of a projection, a slice and a flattened list too."""
    document = json.loads(json.dumps(JOB), parse_float=Decimal)

    assert is_equal(exact(found), exact(compile_path(text).search(document)))
    if closure_of(parse(text).parsed) is not None:
        closures, interpreted = both(text, document)
        assert interpreted == closures


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        "a[",
        "a[0",
        "a[b]",
        "a..b",
        "a b",
        "[a",
        "{a}",
        "a ||",
        "&& a",
        "'a",
        "a[?b",
        "foo(",
        "length()",
        "no_such(a)",
        "a[::0]",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    """With the policy, before any event comes."""
    with pytest.raises(PolicyError):
        compile_path(text)


# --- compiled ---------------------------------------------------------------------------------------------------------

COMPILED = """
import pickle, sys
path = pickle.load(open(sys.argv[1], "rb"))
assert "921600" == str(path.search({"detail": {"width": 1280, "height": 720}})), path
try:
    path.search({"detail": {"width": 1280}})
except ValueError as problem:
    print(problem)
print("jmespath" in sys.modules)
"""


def test_a_compiled_expression_imports_no_jmespath(tmp_path: FilePath) -> None:
    """Neither when it is loaded, nor when it is asked, nor when it cannot be worked out."""
    file = tmp_path / "path"
    file.write_bytes(pickle.dumps(compile_path("multiply(detail.width, detail.height) || sum(detail.few[*].seconds)")))

    done = subprocess.run([sys.executable, "-c", COMPILED, file], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ("detail.height is missing; a number is needed\nFalse\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize("text", ["detail.a", "detail.a || 'x'", "multiply(a, `2.50`)", "sort_by(a, &b)", "a[?b > `1`] | [0]"])
def test_an_expression_survives_being_compiled(text: str) -> None:
    """Again and again: the build reads what an earlier build has written."""
    path = compile_path(text)

    again: Path = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(path))))  # noqa: S301  our own

    document = {"a": 8, "b": 0.5}
    assert (path, outcome(path.search, document)) == (again, outcome(again.search, document))
    assert path.row_attributes() == again.row_attributes()
