"""The figures of the decision on expressions can be had again."""

from __future__ import annotations

from benchmarks.expressions import EVENT, EXPRESSIONS, interpreted, measure
from engine.policy.expressions.closures import closure_of
from engine.policy.expressions.paths import PLAIN, WITH_FALLBACK, compile_path
from engine.policy.expressions.syntax import parse


def test_both_ways_find_the_same() -> None:
    """Otherwise their times could not be compared."""
    for text in EXPRESSIONS:
        assert compile_path(text).search(EVENT) == interpreted(text)(EVENT), text


def test_closures_are_not_slower() -> None:
    """Of what was interpreted before. They take a quarter of the time; a half is asked, whatever else the machine does."""
    figures = measure(10)

    measured = [text for text in EXPRESSIONS if not (PLAIN.fullmatch(text) or WITH_FALLBACK.fullmatch(text))]
    assert all(closure_of(parse(text).parsed) for text in measured)
    assert [] == [text for text in measured if figures[text, "closures"] > figures[text, "interpreted"] / 2]
