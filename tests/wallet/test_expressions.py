"""What an expression of a policy may take: its own length times that of the event, and never a power of either."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.domain.errors import PolicyError
from engine.policy.expressions.growth import growth
from engine.policy.expressions.paths import PathProblem, compile_path
from engine.policy.expressions.standard import TEXT_CHARACTERS_MAX
from tests.wallet.effort import seconds_of


@pytest.mark.parametrize(
    ("part", "refused_at"),
    [
        ("[@, @]", 10),
        ("[@, @][]", 10),
        ("{a: @, b: @}", 10),
        ("[@, @, @]", 7),
        ("join('', [@, @])", 7),
        ("[to_string(@), to_string(@)]", 5),
        ("to_string([@])", 10),
        ("map(&[@, @], @)", 10),
        ("[*].[@, @]", 10),
        ("[?@].[@, @]", 7),
        ("*.[@, @]", 10),
        ("[@ || @, @ && @]", 5),
    ],
)
def test_what_says_one_thing_twice_over_and_over_is_refused(part: str, refused_at: int) -> None:
    """Sixty pipes would have made 2^60 of it. The last that is taken makes a thousand times the event at most."""
    assert compile_path("|".join([part] * (refused_at - 1)))
    with pytest.raises(PolicyError, match="times over; ask for less behind each `|`"):
        compile_path("|".join([part] * refused_at))


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("detail.a || 'x'", 2),
        ("multiply(detail.width, detail.height, detail.frames)", 3),
        ("sum(detail.parts[*].seconds)", 1),
        ("detail.parts[?kind == 'video'].seconds | [0]", 3),
        ("detail.parts[].[width, height][] | max(@)", 2),
        ("round_up(divide(add(detail.a, detail.b), `2`), `5`)", 4),
        ("join('/', [detail.a, detail.b, detail.c])", 4),
        ("max_by(detail.parts, &size).seconds", 1),
        ("to_string(detail.n)", 2),
    ],
)
def test_what_prices_ask_for_says_a_thing_a_few_times(expression: str, times: int) -> None:
    """So no policy comes near the bound of a thousand."""
    assert times == growth(compile_path(expression).tree())


def test_without_pipes_a_thousand_characters_say_a_thing_some_hundred_times() -> None:
    """The bound on an expression's length is the bound on its sums."""
    assert 60 == growth(compile_path("||".join(["a"] * 60)).tree())
    assert 499 == growth(compile_path(f"[{','.join(['a'] * 499)}]").tree())


@pytest.mark.parametrize("by", ["closures", "interpreter"])
def test_a_separator_that_the_event_says_itself_makes_no_text_longer_than_any_event(by: str) -> None:
    """A megabyte of event, half of it a separator, would have made fifty gigabytes."""
    read = compile_path("join(detail.sep, detail.list)" if by == "closures" else "join(detail.sep, sort_by(detail.list, &@))")
    rest = TEXT_CHARACTERS_MAX - 1000

    assert TEXT_CHARACTERS_MAX == len(read.search({"detail": {"sep": "x" * rest, "list": ["y" * 500, "z" * 500]}}))
    with pytest.raises(PathProblem, match=f"more than {TEXT_CHARACTERS_MAX} characters"):
        read.search({"detail": {"sep": "x" * rest, "list": ["y" * 500, "z" * 501]}})
    with pytest.raises(PathProblem, match=f"more than {TEXT_CHARACTERS_MAX} characters"):
        read.search({"detail": {"sep": "x" * 500_000, "list": ["y"] * 100_000}})


HUGE: dict[str, Any] = {"n": "1e999999999", "small": "1e-999999999", "digits": "1" * 900_000, "point": "0." + "1" * 900_000}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.parametrize(
    "expression",
    [
        "to_number(detail.{})",
        "to_string(to_number(detail.{}))",
        "ceil(to_number(detail.{}))",
        "floor(to_number(detail.{}))",
        "abs(to_number(detail.{}))",
        "sum([to_number(detail.{}), `1`])",
        "avg([to_number(detail.{}), `1`])",
        "to_number(detail.{}) > `5`",
        "to_number(detail.{}) == `5`",
        "max([to_number(detail.{}), `1`])",
        "add(detail.{}, `1`)",
        "multiply(to_number(detail.{}), `3`)",
        "divide(`1`, to_number(detail.{}))",
        "round_up(to_number(detail.{}), `5`)",
        "from_seconds(to_number(detail.{}))",
        "from_milliseconds(detail.{})",
    ],
)
def test_a_number_of_any_size_takes_the_time_of_its_text(expression: str, name: str) -> None:
    """An exponent of nine digits is never written out, and a million digits are a million and not their square."""
    read, document = compile_path(expression.format(name)), {"detail": HUGE}

    def asked() -> Any:
        try:
            return read.search(document)
        except PathProblem as problem:
            return f"wrong: {problem}"

    found = str(asked())
    assert len(found) < (300 if found.startswith("wrong: ") else 1_000_100)
    text = HUGE[name]
    assert seconds_of(asked, 2) < 60 * seconds_of(lambda: (Decimal(text), text.encode()), 2) + 0.05


@pytest.mark.parametrize(
    "expression",
    [
        "detail.list[?contains(@.words, 'x')] | length(@)",
        "length(sort_by(detail.list, &key))",
        "length(detail.list[].words[])",
        "sum(detail.list[*].n)",
        "max(detail.list[*].n)",
        "length(to_string(detail.list))",
        "length(join(',', detail.list[*].key))",
        "length(split(join(',', detail.list[*].key), ','))",
        "contains(detail.list[*].key, 'none')",
        "length(detail.list[?n > `5` && key != 'x'])",
        "length(reverse(detail.list))",
        "detail.list[0:2000:2] | length(@)",
        "length(keys(merge(detail, detail)))",
        "detail.list == detail.list",
    ],
)
def test_an_expression_takes_a_time_that_grows_with_the_event_and_not_with_its_square(expression: str) -> None:
    """Eight times the list takes not much more than eight times as long."""
    read = compile_path(expression)

    def of(size: int) -> dict[str, Any]:
        return {"detail": {"list": [{"key": f"k-{n}", "n": n, "words": ["a", "b"]} for n in range(size)]}}

    small, large = of(500), of(4000)

    assert seconds_of(lambda: read.search(large), 3) < 24 * seconds_of(lambda: read.search(small), 3)
