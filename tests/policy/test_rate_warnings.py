"""Rates that are most likely slips are warned of, in their line; what people do on purpose is not."""

from __future__ import annotations

import pytest

from engine.policy import parse_policy
from tests.support.policies import EXAMPLE

ROWS = EXAMPLE[EXAMPLE.index("    - effective: 2025") : EXAMPLE.index("rules:")]
ABOVE = (
    '    - {effective: 2025-01-01T00:00:00Z, by: detail.model, rates: {default: "0.10", premium: "0.25", sora2-pro: "0.30"}}\n'
)
BELOW = "    - {effective: 2026-07-01T00:00:00Z, by: detail.model, rates: {RATES}}\n"
HEAD = len(BELOW.partition("{RATES}")[0])


def warnings(above: str, below: str, places: int = 4, minimum: str = "0") -> list[tuple[int, int, str]]:
    """Return what is told of two rows in lines 7 and 8: line, column, message."""
    money = (("places: 4", f"places: {places}"), ('minimum: "0.01"', f"minimum: {minimum}"))
    text = EXAMPLE.replace(ROWS, above + below)
    for old, new in money:
        text = text.replace(old, new)
    return [(told.line or 0, told.column or 0, told.message) for told in parse_policy(text, "example.yaml").warnings]


def told_of(rates: str) -> list[tuple[int, str]]:
    """Return what is told of the rates of the second row: where in them (-1: before them), and the message."""
    told = warnings(ABOVE, BELOW.replace("RATES", rates))
    assert all(line == 8 for line, _, _ in told)
    return [(max(column - HEAD - 2, -1), message) for _, column, message in told]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (
            "default: 0.12, premium: 0.25",
            [
                (
                    -1,
                    "a rate of the row in line 7 is gone: `sora2-pro` cost 0.30, and its events cost 0.12 now (`default`)",
                )
            ],
        ),
        (
            "default: 0.12, premium: 0.25, sora2-por: 0.36",
            [
                (
                    30,
                    "`sora2-por` is new, and close to `sora2-pro`, which is gone: "
                    "it cost 0.30, and its events cost 0.12 now (`default`); is it the same?",
                )
            ],
        ),
        (
            "default: 0.12, premium: 0.25, sora2-pro: 0.30, Premium: 0.30",
            [(47, "`Premium` is new, and close to `premium`; is it the same?")],
        ),
        (
            "default: 0.12, premium: 0.25, sora2-pro: 30",
            [(41, "`sora2-pro` becomes 30; it was 0.30 in the row in line 7: 100 times as much")],
        ),
        (
            "default: 0.012, premium: 0.25, sora2-pro: 0.03",
            [
                (9, "`default` becomes 0.012; it was 0.10 in the row in line 7: 8 times as little"),
                (42, "`sora2-pro` becomes 0.03; it was 0.30 in the row in line 7: 10 times as little"),
            ],
        ),
        (
            "default: 0.12, premium: 0.25, sora2-pro: 0.30, veo: 40",
            [(52, "`veo` is new and costs 40; the dearest of the others costs 0.30: 133 times as much")],
        ),
        (
            "default: 0.12, premium: 0.25, sora2-pro: 0.30, veo: 0.004",
            [(52, "`veo` is new and costs 0.004; the cheapest of the others costs 0.10: 25 times as little")],
        ),
        (
            "default: 0.12, premium: 0.25, sora2-pro: [{up_to: 60, rate: 0.30}, {up_to: 90, rate: 0.8}, {rate: 0.20}]",
            [(41, "the rates go up and down: 0.30 up to 60, 0.8 up to 90, 0.20 above; is one of them wrong?")],
        ),
        (
            "default: 0.12, premium: 0.25, sora2-pro: [{up_to: 60, rate: 0.30}, {rate: 3}]",
            [(41, "`sora2-pro` becomes 3; it was 0.30 in the row in line 7: 10 times as much")],
        ),
        (
            "default: 0.12, premium: 0.25, sora2-pro: 0.00003",
            [
                (41, "0.00003 a unit is 0 in the 4 places of `money`; give it more places, or the charge a minimum"),
                (41, "`sora2-pro` becomes 0.00003; it was 0.30 in the row in line 7: 10000 times as little"),
            ],
        ),
    ],
)
def test_a_slip_is_told_where_it_is(rates: str, expected: list[tuple[int, str]]) -> None:
    """With what was there before, and what it costs now."""
    assert expected == told_of(rates)


@pytest.mark.parametrize(
    "rates",
    [
        "default: 0.12, premium: 0.25, sora2-pro: 0.36",
        "default: 0.10, premium: 0.25, sora2-pro: 0.30, sora3-pro: 0.50",
        "default: 0.10, premium: 0.25, sora2-pro: 0.30, sora2-pro-hd: 2.9",
        "default: 0.013, premium: 1.99, sora2-pro: 0",
        "default: 0.10, premium: 0.25, sora2-pro: [{up_to: 60, rate: 0.30}, {up_to: 300, rate: 0.25}, {rate: 0.20}]",
        "default: 0.10, premium: 0.25, sora2-pro: [{up_to: 5, rate: 0}, {up_to: 60, rate: 0.30}, {rate: 0.20}]",
        "default: 0.30, premium: 0.25",
    ],
    ids=[
        "a higher rate",
        "a version",
        "a variant",
        "seven times as much",
        "a discount",
        "five for nothing",
        "the same by default",
    ],
)
def test_a_sensible_edit_is_told_nothing(rates: str) -> None:
    """False alarms are why people stop reading. What is gone and costs the same was tidied up."""
    assert [] == told_of(rates)


def test_a_row_that_was_copied_and_not_edited_changes_nothing() -> None:
    """Its date alone differs."""
    copied = ABOVE.replace("2025", "2026")

    assert [(8, 7, "changes nothing: each rate is what it is in the row in line 7")] == warnings(ABOVE, copied)


def test_of_many_rates_that_are_gone_some_are_told() -> None:
    """In one warning: whoever wrote only what differs sees what would become of the rest."""
    above = ABOVE.replace('sora2-pro: "0.30"', ", ".join(f"m{number}: 1" for number in range(1, 8)))
    (told,) = warnings(above, BELOW.replace("RATES", "default: 0.10, premium: 0.25"))

    assert told[2].startswith("7 rates of the row in line 7 are gone: `m1` cost 1, and its events cost 0.10 now (`default`); ")
    assert told[2].endswith("`m4` cost 1, and its events cost 0.10 now (`default`); and 3 more")


def test_of_many_warnings_of_one_kind_some_are_told() -> None:
    """Whoever gives every price in cents from now on has seen it by then."""
    names = [f"m{number}" for number in range(1, 8)]
    above = ABOVE.replace('sora2-pro: "0.30"', ", ".join(f"{name}: 0.30" for name in names))
    cents = BELOW.replace("RATES", "default: 10, premium: 25, " + ", ".join(f"{name}: 30" for name in names))

    told = [message for _, _, message in warnings(above, cents)]

    assert ["`default`", "`premium`", "`m1`", "`m2`"] == [message.split()[0] for message in told]
    assert told[-1].endswith("100 times as much; and 5 more of this row like it")


def test_without_a_default_the_events_of_a_rate_that_is_gone_are_refused() -> None:
    """That is said in its place."""
    told = warnings(ABOVE.replace("default", "draft"), BELOW.replace("RATES", "draft: 0.12, premium: 0.25"))

    assert (8, 59, "a rate of the row in line 7 is gone: `sora2-pro` cost 0.30, and its events are refused now") in told
    assert [7, 8, 8] == sorted(line for line, _, _ in told)


def test_a_row_that_selects_by_something_else_has_other_names() -> None:
    """None of them is gone: they mean something else."""
    by_size = BELOW.replace("detail.model", "detail.size").replace("RATES", "default: 0.12, 720p: 0.12, 1080p: 0.20")

    assert [] == warnings(ABOVE, by_size)


def test_more_places_take_the_rate_of_a_token() -> None:
    """0.0000025 credits a token are nothing in four places, and something in seven."""
    token = BELOW.replace("by: detail.model, ", "").replace("RATES", "default: 0.0000025")
    above = token.replace("2026", "2025").replace("0.0000025", "0.000002")

    assert [7, 8] == [line for line, _, _ in warnings(above, token)]
    assert [7, 8] == [line for line, _, _ in warnings(above, token, places=5)]
    assert [] == warnings(above, token, places=6)
    assert [] == warnings(above, token, minimum="0.0001")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ("sora2-por: 0.36", ["8:51: `sora2-por` is new, and close to `sora2-pro`; is it the same?"]),
        ("sora2-pro: 36", ["8:62: `sora2-pro` becomes 36; it was 0.30 in the row in line 7: 120 times as much"]),
        ("veo: 40", ["8:56: `veo` is new and costs 40; the dearest of the others costs 0.30: 133 times as much"]),
        ("sora2-pro: null", []),
        ("sora2-pro: 0.36, veo: 0.40", []),
    ],
)
def test_a_row_that_says_only_what_changes_is_looked_at_too(changes: str, expected: list[str]) -> None:
    """Nothing is gone that was not taken away on purpose."""
    below = f"    - {{effective: 2026-07-01T00:00:00Z, changes: {{{changes}}}}}\n"

    assert expected == [f"{line}:{column}: {message}" for line, column, message in warnings(ABOVE, below)]


NESTED = (
    "    - {effective: 2025-01-01T00:00:00Z, by: [detail.model, detail.resolution], rates: "
    '{default: "0.10", sora: {default: "0.12", 720p: "0.12"}, veo: {default: "0.40", 1080p: "0.40", 4k: "0.60"}}}\n'
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ("veo/4k: 0.66", ["8:51: `veo/4k` is one name; for the rate `4k` below `veo` write veo: {4k: ...}"]),
        ("veo: {4k: 0.66}", []),
        ("fal-ai/flux: 0.20", []),
        ("veo: 0.45", ["8:56: `veo` is one rate now; the row in line 7 has several below it: "
                       "`default` 0.40, `1080p` 0.40, `4k` 0.60"]),
        ("veo: {default: 0.45, 1080p: null, 4k: null}", []),
        ("sora: 0.13", []),
        ("sora: [{up_to: 60, rate: 0.12}, {rate: 0.10}]", []),
        ("veo: {up_to: 60, rate: 0.30}", ["8:57: tiers are a list; write [{up_to: ..., rate: ...}, {rate: ...}]",
                                          "8:64: `veo/up_to` is new and costs 60; the dearest of the others costs 0.12: "
                                          "500 times as much"]),
    ],
)  # fmt: skip
def test_a_rate_below_another_is_meant_as_it_is_written(changes: str, expected: list[str]) -> None:
    """A name as messages join it selects nothing; one rate takes the place of all below it; a tier stands in a list."""
    below = f"    - {{effective: 2026-07-01T00:00:00Z, changes: {{{changes}}}}}\n"

    assert sorted(expected) == sorted(f"{line}:{column}: {message}" for line, column, message in warnings(NESTED, below))
