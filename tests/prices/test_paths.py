"""How values are reached: plain paths, and JMESPath that is exact in decimals."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any

import jmespath
import pytest

from engine.domain.errors import PolicyError
from engine.policy.expressions.paths import PathProblem, compile_path

ROOT = FilePath(__file__).parents[2]

DOCUMENT = {
    "time": "2026-01-05T10:00:00Z",
    "detail": {
        "seconds": 8.5,
        "model": "veo-3",
        "none": None,
        "empty": [],
        "few": [0.1, 0.2],
        "many": [3, Decimal("0.5"), 2.25, -1],
        "scenes": [
            {"name": "a", "length": 0.3, "kept": True},
            {"name": "b", "length": Decimal("0.30"), "kept": False},
            {"name": "c", "length": 2, "kept": True},
        ],
        "a b": {"c.d": 5},
    },
}


def found(expression: str, document: Any = DOCUMENT) -> Any:
    """Return what an expression finds."""
    return compile_path(expression).search(document)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("time", "2026-01-05T10:00:00Z"),
        ("detail.model", "veo-3"),
        ("detail.seconds", 8.5),
        ("detail.none", None),
        ("detail.missing", None),
        ("detail.missing.deeper", None),
        ("detail.model.deeper", None),
        ("detail.few.deeper", None),
        ("missing", None),
    ],
)
def test_a_plain_path_goes_down_by_names(expression, value):
    """What is not there is None, and so is all below it."""
    assert value == found(expression)


@pytest.mark.parametrize("document", [None, 5, "text", [], [{"time": 5}]])
def test_a_plain_path_finds_nothing_in_what_has_no_names(document):
    """A document is a JSON object, or has nothing to find."""
    assert found("time", document) is None


def test_a_plain_path_goes_through_any_mapping():
    """A read-only view is as good as a dict, for plain paths and for others."""
    document = MappingProxyType({"detail": MappingProxyType({"seconds": 8})})

    assert [8, 8] == [found("detail.seconds", document), found("detail.seconds || time", document)]


LOADS_NOTHING = """
import sys
import engine.policy.expressions.paths
path = engine.policy.expressions.paths.compile_path("detail.seconds")
assert 8 == path.search({"detail": {"seconds": 8}})
assert {"seconds"} == path.row_attributes()
assert "jmespath" not in sys.modules, "a plain path needs no library"
engine.policy.expressions.paths.compile_path("detail.seconds || time")
assert "jmespath" in sys.modules
"""


def test_a_plain_path_never_loads_jmespath():
    """Only an expression that is more pays for the import; seen in a process of its own."""
    done = subprocess.run([sys.executable, "-c", LOADS_NOTHING], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("sum(detail.few)", "0.3"),
        ("sum(detail.many)", "4.75"),
        ("sum(detail.empty)", "0"),
        ("sum(detail.scenes[*].length)", "2.60"),
        ("sum(detail.scenes[?kept].length)", "2.3"),
        ("sum([`0.1`, `0.2`, `0.3`])", "0.6"),
        ("avg(detail.few)", "0.15"),
        ("avg(detail.many)", "1.1875"),
        ("avg([`1`, `1`, `0`])", f"0.{37 * '6'}7"),
        ("max(detail.many)", "3"),
        ("min(detail.many)", "-1"),
        ("max(detail.few)", "0.2"),
        ("max_by(detail.scenes, &length).length", "2"),
        ("abs(detail.many[3])", "1"),
        ("abs(`-0.25`)", "0.25"),
        ("ceil(detail.seconds)", "9"),
        ("ceil(`-8.5`)", "-8"),
        ("ceil(`8`)", "8"),
        ("floor(detail.seconds)", "8"),
        ("floor(`-8.5`)", "-9"),
        ("floor(detail.many[0])", "3"),
        ("to_number('0.10')", "0.10"),
        ("to_number('-1.5e3')", "-1.5E+3"),
        ("to_number('12345678901234567890.123456789')", "12345678901234567890.123456789"),
        ("to_number(detail.seconds)", "8.5"),
        ("to_number(detail.many[0])", "3"),
        ("detail.few[0]", "0.1"),
        ("`0.1`", "0.1"),
        ("length(detail.scenes)", "3"),
    ],
)
def test_numbers_are_worked_out_exactly(expression, value):
    """A binary float counts as the decimal that it was written as, so 0.1 and 0.2 are 0.3."""
    assert value == str(found(expression))


@pytest.mark.parametrize(
    "expression",
    [
        "avg(detail.empty)",
        "max(detail.empty)",
        "min(detail.empty)",
        "max_by(detail.empty, &length)",
        "to_number('eight')",
        "to_number('')",
        "to_number(' 8')",
        "to_number('8.')",
        "to_number('.5')",
        "to_number('+1')",
        "to_number('010')",
        "to_number('1_000')",
        "to_number('٣')",
        "to_number('NaN')",
        "to_number('Infinity')",
        "to_number(`true`)",
        "to_number(`null`)",
        "to_number(detail)",
        "to_number(detail.few)",
        "detail.model > `5`",
        "detail.seconds < 'a'",
        "detail.kept < `5`",
        "detail.scenes[0].kept < `5`",
        "detail.none >= `0`",
        "detail.seconds[0]",
    ],
)
def test_what_has_no_value_is_none(expression):
    """Nothing to average, no number as JSON writes it, or things that have no order."""
    assert found(expression) is None


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("detail.seconds == `8.5`", True),
        ("detail.seconds != `8.5`", False),
        ("detail.seconds > `8`", True),
        ("detail.seconds >= `8.5`", True),
        ("detail.seconds < `8.5`", False),
        ("detail.seconds <= `8`", False),
        ("detail.few[0] == `0.1`", True),
        ("sum(detail.few) == `0.3`", True),
        ("sum(detail.few) > `0.3`", False),
        ("detail.scenes[0].length == detail.scenes[1].length", True),
        ("detail.many[0] > detail.many[1]", True),
        ("detail.model < 'veo-4'", True),
        ("detail.model == 'veo-3'", True),
        ("detail.model == `3`", False),
        ("detail.scenes[0].kept == `1`", False),
        ("!(detail.missing)", True),
        ("!`0.0`", False),
        ("contains(detail.few, `0.2`)", True),
        ("detail.scenes[?length > `0.3`].name", ["c"]),
        ("detail.scenes[?length == `0.3`].name", ["a", "b"]),
        ("detail.scenes[?length >= `0.3` && kept].name", ["a", "c"]),
        ("sort(detail.many)", [-1, Decimal("0.5"), Decimal("2.25"), 3]),
        ("sort_by(detail.scenes, &length)[*].name", ["a", "b", "c"]),
        ("reverse(sort_by(detail.scenes, &length))[0].name", "c"),
        ("sort_by(detail.scenes, &name)[2].name", "c"),
        ("max_by(detail.scenes, &length).name", "c"),
        ("min_by(detail.scenes, &length).name", "a"),
        ("map(&length, detail.scenes)", [Decimal("0.3"), Decimal("0.30"), 2]),
        ("type(detail.seconds)", "number"),
        ("type(detail.many[0])", "number"),
        ("type(detail.model)", "string"),
        ("type(detail.none)", "null"),
        ("to_string(detail.seconds)", "8.5"),
        ("to_string(`8.0`)", "8"),
        ("to_string(`1e3`)", "1000"),
        ("to_string(`0.0`)", "0"),
        ("to_string(`8`)", "8"),
        ("to_string(detail.model)", "veo-3"),
        ("to_string(detail.few)", "[0.1,0.2]"),
        ("to_string(detail.scenes[0])", '{"name":"a","length":0.3,"kept":true}'),
        ("join('-', [detail.model, to_string(detail.seconds)])", "veo-3-8.5"),
        ('detail."a b"."c.d"', 5),
        ("detail.missing || detail.model", "veo-3"),
        ("detail.{model: model, first: few[0]}", {"model": "veo-3", "first": Decimal("0.1")}),
        ("not_null(detail.none, detail.model)", "veo-3"),
    ],
)
def test_decimals_are_numbers_wherever_jmespath_has_numbers(expression, value):
    """Comparisons, filters, orders and texts; the same number is the same however it is written."""
    assert value == found(expression)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("sum(detail.model)", "sum() takes a list of numbers, not 'veo-3'"),
        ("sum(detail.scenes)", "sum() takes a list of numbers, and an object with"),
        ("sum([detail.seconds, detail.model])", "sum() takes a list of numbers, and 'veo-3' is in the list"),
        ("sum([detail.seconds, detail.none])", "sum() takes a list of numbers, and null is in the list"),
        ("abs(detail.model)", "abs() takes a number, not 'veo-3'"),
        ("abs(detail.none)", "abs() takes a number, not null"),
        ("abs(detail.scenes[0].kept)", "abs() takes a number, not True"),
        ("length(detail.seconds)", "length() takes a string or a list or an object, not 8.5"),
        ("max([detail.seconds, detail.model])", "max() takes a list of numbers or a list of strings, and 'veo-3' is in"),
        ("join('-', detail.few)", "join() takes a list of strings, and 0.1 is in the list"),
        ("max_by(detail.scenes, &kept)", "max_by() needs a number of each element, or a string of each; True is neither"),
        ("min_by(detail.scenes, &(name == 'a' && name || length))", "min_by() needs a number of each element, or a string"),
        ("sort_by(detail.scenes, &missing)", "sort_by() needs a number of each element, or a string of each; missing is"),
        ("to_number('1e99999999999999999999')", "a number in it is none that can be worked with"),
        ("sum([to_number('1e999999'), to_number('9e999999')])", "a number in it is none that can be worked with"),
    ],
)
def test_what_cannot_be_worked_out_is_a_problem(expression, problem):
    """The policy is right and the event is not: one kind of error, on one line."""
    with pytest.raises(PathProblem) as refusal:
        found(expression)

    assert problem == str(refusal.value)[: len(problem)]


@pytest.mark.parametrize("expression", ["detail.x > `1`", "ceil(detail.x)", "sort([detail.x, `1`])", "to_string(detail.x)"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("sNaN")], ids=str)
def test_numbers_that_are_none_never_crash(expression, number):
    """JSON as Python reads it may hold NaN; a value or a problem, nothing else."""
    try:
        found(expression, {"detail": {"x": number}})
    except PathProblem as problem:
        assert str(problem)  # noqa: PT017  one of two good ends


def test_a_document_nested_without_end_is_a_problem():
    """Deeper than the stack: the event makes no sense."""
    document: Any = 8
    for _ in range(100_000):
        document = [document]

    with pytest.raises(PathProblem, match="what it looks at is nested too deeply"):
        found("detail[0]", {"detail": document})


@pytest.mark.parametrize("expression", ["ceil(@)", "floor(@)", "abs(@)"])
def test_a_number_of_a_billion_digits_is_never_written_out(expression):
    """An exponent costs an attacker nothing, and must cost us nothing."""
    assert Decimal("1E+999999999") == found(f"{expression} | [@] | [0]", Decimal("1E+999999999"))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "'' is no JMESPath expression: Invalid JMESPath expression: cannot be empty."),
        ("detail.", "'detail.' is no JMESPath expression: Expecting: "),
        ("detail..x", "'detail..x' is no JMESPath expression: Expecting: "),
        ("1.5", "'1.5' is no JMESPath expression: "),
        (
            "a b",
            "'a b' is no JMESPath expression: Unexpected token: b: Parse error at column 2, token \"b\" (UNQUOTED_IDENTIFIER)",
        ),
        ("#", "'#' is no JMESPath expression: "),
        ("size(detail)", "'size(detail)' calls size(), which JMESPath does not have"),
        ("sum(map(&double(@), detail.few))", "'sum(map(&double(@), detail.few))' calls double(), which"),
        (900 * "(", f"'{76 * '('}... is nested deeper than 64 levels"),
        ("|".join(65 * "a"), f"'{38 * 'a|'}... is nested deeper than 64 levels"),
        (1001 * "a", f"'{76 * 'a'}... has more than the 1000 characters of an expression"),
    ],
)
def test_a_wrong_expression_is_refused(expression, message):
    """With the policy, not with the first event."""
    with pytest.raises(PolicyError) as refusal:
        compile_path(expression)

    assert message == refusal.value.mistakes[0].message[: len(message)]


@pytest.mark.parametrize("expression", ["|".join(64 * "a"), 1000 * "a", " || ".join(60 * ["detail.x"])])
def test_the_largest_expressions_are_worked_out(expression):
    """At the bounds neither reading nor searching exhausts the stack."""
    assert found(expression, {}) is None


@pytest.mark.parametrize(
    ("expression", "attributes"),
    [
        ("time", set()),
        ("source.detail", set()),
        ("detail", None),
        ("detail.seconds", {"seconds"}),
        ("detail.length.seconds", {"length"}),
        ('detail."a b".c', {"a b"}),
        ('"detail".seconds', {"seconds"}),
        ("detail.a || detail.b", {"a", "b"}),
        ("detail.a && time", {"a"}),
        ("detail.a > detail.b", {"a", "b"}),
        ("!(detail.a)", {"a"}),
        ("!detail.a", None),
        ("[detail.a, detail.b]", {"a", "b"}),
        ("{x: detail.a, y: [detail.b]}", {"a", "b"}),
        ("sum(detail.scenes[*].length)", {"scenes"}),
        ("sum(detail.scenes[].length)", {"scenes"}),
        ("detail.scenes[?detail.a].detail", {"scenes"}),
        ("detail.scenes[0].detail", {"scenes"}),
        ("detail.scenes[0:2].length", {"scenes"}),
        ("detail.scenes[*][0]", {"scenes"}),
        ("detail.scenes.*.length", {"scenes"}),
        ("detail.scenes | [0]", {"scenes"}),
        ("detail.a.[b, c]", {"a"}),
        ("max_by(detail.scenes, &length).length", {"scenes"}),
        ("max_by(detail.scenes, &detail.length)", {"scenes", "length"}),
        ("not_null(detail.a, `5`, 'detail')", {"a"}),
        ("detail | seconds", None),
        ("detail.[a, b]", None),
        ("detail.{x: a}", None),
        ("detail.*", None),
        ("detail[0]", None),
        ("detail[*].a", None),
        ("keys(detail)", None),
        ("*.seconds", None),
        ("[*].seconds", None),
        ("[0].seconds", None),
        ("[?detail]", None),
        ("@", None),
        ("@.detail.seconds", None),
        ("values(@)[0].seconds", None),
        ("max_by(time, &@)", None),
    ],
)
def test_an_expression_tells_which_attributes_of_a_row_it_can_look_at(expression, attributes):
    """None where that cannot be told; rather too many than one too few."""
    assert attributes == compile_path(expression).row_attributes()


@pytest.mark.parametrize("value", ["4k", "", " ", 0, 1, 0.0, Decimal(0), True, False, None, [], [0], {}, {"a": 1}, "x'"])
@pytest.mark.parametrize("text", ["detail.x || 'default'", "detail.x||''", "detail.x  ||  'a b'"])
def test_a_plain_path_with_a_fallback_finds_what_jmespath_finds(text, value):
    """It is read without jmespath, and must not differ from it."""
    document = {"detail": {"x": value}}

    assert jmespath.search(text, document) == found(text, document)
    assert jmespath.search(text, {}) == found(text, {})


def test_a_plain_path_with_a_fallback_does_not_import_jmespath():
    """Prices use it in the function that must start fast."""
    code = (
        "import sys; from engine.policy.expressions.paths import compile_path\n"
        "compile_path(\"detail.x || 'y'\").search({}); print('jmespath' in sys.modules)"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert "False\n" == run.stdout
