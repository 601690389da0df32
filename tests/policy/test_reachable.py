"""A rule that can never decide is a mistake: an earlier one takes all its events."""

from __future__ import annotations

from typing import Any

import pytest

from engine.domain.errors import PolicyError
from engine.policy import parse_policy
from engine.policy.patterns import parse_pattern
from engine.policy.patterns.cover import covers
from tests.patterns.cases import MATCH, REFUSED, load_cases
from tests.support.policies import example_text

COVERED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("the same", {"a": ["x"]}, {"a": ["x"]}),
    ("fewer values", {"a": ["x", "y"]}, {"a": ["y"]}),
    ("another field besides", {"a": ["x"]}, {"a": ["x"], "b": [1]}),
    ("another notation of a number", {"a": [1]}, {"a": [1.0]}),
    ("dotted and nested", {"a.b": ["x"]}, {"a": {"b": ["x"]}}),
    ("an alternative", {"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": ["x"], "c": [1]}),
    ("each of two alternatives", {"a": ["x", "y"]}, {"$or": [{"a": ["x"]}, {"a": ["y"], "b": [1]}]}),
    ("the same absence", {"a": [{"exists": False}]}, {"a": [{"exists": False}]}),
]

NOT_COVERED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("another value", {"a": ["x"]}, {"a": ["y"]}),
    ("more values", {"a": ["x"]}, {"a": ["x", "y"]}),
    ("another field", {"a": ["x"]}, {"b": ["x"]}),
    ("one field more", {"a": ["x"], "b": [1]}, {"a": ["x"]}),
    ("one of two alternatives", {"a": ["x"]}, {"$or": [{"a": ["x"]}, {"a": ["y"]}]}),
    ("what would need thought", {"a": [{"prefix": "x"}]}, {"a": [{"prefix": "xy"}]}),
    ("an absence beside another field", {"a": [{"exists": False}]}, {"a": [{"exists": False}], "b": [1]}),
]


@pytest.mark.parametrize(("wide", "narrow"), [case[1:] for case in COVERED], ids=[case[0] for case in COVERED])
def test_a_pattern_covers_another(wide: dict[str, Any], narrow: dict[str, Any]) -> None:
    """Whatever the second takes, the first takes."""
    assert covers(parse_pattern(wide), parse_pattern(narrow))


@pytest.mark.parametrize(("wide", "narrow"), [case[1:] for case in NOT_COVERED], ids=[case[0] for case in NOT_COVERED])
def test_a_pattern_does_not_cover_another(wide: dict[str, Any], narrow: dict[str, Any]) -> None:
    """Some event of the second may slip past the first, or it cannot be told."""
    assert not covers(parse_pattern(wide), parse_pattern(narrow))


def test_what_covers_a_pattern_matches_its_events() -> None:
    """For every pair of patterns of the conformance suite that cover each other."""
    cases = [case for case in load_cases() if case.expected != REFUSED]
    parsed = [parse_pattern(case.pattern) for case in cases]
    answers = {id(pattern): case for pattern, case in zip(parsed, cases, strict=True)}
    matching = [pattern for pattern in parsed if answers[id(pattern)].expected == MATCH][:120]

    from engine.policy.patterns import compile_parsed  # noqa: PLC0415  only here

    pairs = [(wide, narrow) for wide in matching for narrow in matching if wide is not narrow and covers(wide, narrow)]
    assert pairs
    for wide, narrow in pairs:
        assert compile_parsed(wide)(answers[id(narrow)].event or {})


def test_a_rule_that_never_decides_is_a_mistake_where_it_stands() -> None:
    """The message names the rule that takes its events."""
    shadowed = (
        "  - name: refund-failed",
        "  - {name: half-premium, match: {source: [video.generation], detail-type: [video.rendered],"
        " detail: {model: [premium]}}, action: refund, refund: {percent: 50}}\n  - name: refund-failed",
    )

    with pytest.raises(PolicyError) as caught:
        parse_policy(example_text(shadowed), "p.yaml")

    (mistake,) = caught.value.mistakes
    assert (18, 5) == (mistake.line, mistake.column)
    assert "never decides: `debit-rendered` in line 14 takes all its events first" == mistake.message


def test_flag_rules_hide_nothing_and_cannot_be_hidden() -> None:
    """Every one that matches applies."""
    flag = (
        "  - name: refund-failed",
        "  - {name: f, match: {source: [video.generation]}, action: flag, reason: r}\n  - name: refund-failed",
    )

    assert 4 == len(parse_policy(example_text(flag), "p.yaml").rules)
