"""What a row changes against the row that it follows: each rate that changed, came or went, and what its events pay."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.policy import parse_policy
from engine.policy.price_differences import RateChange, RowChanges, policy_changes, told_together
from tests.support.policies import EXAMPLE, example

ROWS = EXAMPLE[EXAMPLE.index("    - effective: 2025") : EXAMPLE.index("rules:")]


def of_rows(*rows: str) -> tuple[RowChanges, ...]:
    """Return the changes of a book with these rows, the first on New Year's Day of 2025, each other a year later."""
    written = [f"    - {{effective: {2025 + at}-01-01T00:00:00Z, {row}}}\n" for at, row in enumerate(rows)]
    return policy_changes(parse_policy(EXAMPLE.replace(ROWS, "".join(written)), "example.yaml"))


def line(change: RateChange) -> str:
    """Return a change as a line: name, kind, what was paid by which name, what is, percent."""
    before, after = (
        f"{'/'.join(paid.keys)} {' '.join(str(tier.rate) for tier in paid.tiers)}" if paid else "-"
        for paid in (change.before, change.after)
    )
    return f"{change.unit} {change.kind}: {before} -> {after}, {change.percent}"


def lines(*rows: str) -> list[str]:
    """Return the lines of the last of some rows."""
    return [line(change) for change in of_rows(*rows)[-1].changes]


def test_of_the_example_the_default_rises_by_a_fifth() -> None:
    """The first row changes nothing; the second is in force for ever."""
    (changes,) = policy_changes(example())

    assert ("render-second", "2026-07-01", None, 1) == (
        changes.book,
        f"{changes.row.effective:%Y-%m-%d}",
        changes.until,
        changes.kept,
    )
    assert ["default changed: default 0.10 -> default 0.12, 20.0"] == [line(change) for change in changes.changes]


BY_MODEL = "by: detail.model, rates: {default: 0.10, sora: 0.30}"
BY_BOTH = "by: [detail.model, detail.size], rates: {default: 0.10, sora: {default: 0.30, 4k: 0.60}}"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (BY_MODEL, BY_MODEL, []),
        (
            BY_MODEL,
            "by: detail.model, rates: {default: 0.10}",
            ["sora went: sora 0.30 -> default 0.10, -66.7"],
        ),
        (
            BY_MODEL,
            "by: detail.model, rates: {default: 0.10, veo: 0.40, sora: 0.30}",
            ["veo came: default 0.10 -> veo 0.40, 300.0"],
        ),
        (BY_MODEL, "by: detail.model, rates: {default: 0.10, veo: 0.10, sora: 0.30}", []),
        (BY_MODEL, BY_BOTH, ["sora/4k came: sora 0.30 -> sora/4k 0.60, 100.0"]),
        (BY_BOTH, BY_MODEL, ["sora/4k went: sora/4k 0.60 -> sora 0.30, -50.0"]),
        (
            BY_BOTH,
            "rates: {default: 0.20}",
            [
                "default changed: default 0.10 -> default 0.20, 100.0",
                "sora/default went: sora/default 0.30 -> default 0.20, -33.3",
                "sora/4k went: sora/4k 0.60 -> default 0.20, -66.7",
            ],
        ),
        (
            BY_MODEL,
            "by: detail.model, rates: {sora: 0.30}",
            ["default went: default 0.10 -> -, None"],
        ),
        (
            "by: detail.model, rates: {sora: 0.30}",
            BY_MODEL,
            ["default came: - -> default 0.10, None"],
        ),
        (
            "rates: {default: 0}",
            "rates: {default: 1}",
            ["default changed: default 0 -> default 1, None"],
        ),
        (
            "rates: {default: 0.10}",
            "rates: {default: [{up_to: 60, rate: 0.10}, {rate: 0.08}]}",
            ["default changed: default 0.10 -> default 0.10 0.08, None"],
        ),
        (
            "rates: {default: [{up_to: 60, rate: 0.10}, {rate: 0.08}]}",
            "tiers: volume, rates: {default: [{up_to: 60, rate: 0.10}, {rate: 0.08}]}",
            ["default changed: default 0.10 0.08 -> default 0.10 0.08, None"],
        ),
        ("rates: {default: 0.10}", "tiers: graduated, rates: {default: [{rate: 0.1}]}", []),
    ],
)
def test_what_differs_between_two_rows(before: str, after: str, expected: list[str]) -> None:
    """By what the events pay: a rate of its own that costs what the default costs changes nothing."""
    assert expected == lines(before, after)


def test_a_row_counts_until_the_next_one() -> None:
    """Each is compared with the one before it."""
    first, second = of_rows("rates: {default: 1}", "rates: {default: 2}", "rates: {default: 1}")

    assert [Decimal(100), Decimal(-50)] == [changes.changes[0].percent for changes in (first, second)]
    assert (second.row.effective, None) == (first.until, second.until)
    assert [0, 0] == [first.kept, second.kept]


def test_rates_below_one_name_that_change_alike_are_told_as_one() -> None:
    """Of a model whose sizes change apart each is told."""
    (changes,) = of_rows(
        "by: [detail.model, detail.size], rates: {default: 1, a: {default: 2, 4k: 2}, b: {default: 2, 4k: 4}}",
        "by: [detail.model, detail.size], rates: {default: 1, a: {default: 3, 4k: 3}, b: {default: 3, 4k: 4}, c: {hd: 5}}",
    )

    assert ["a", "b/default", "c"] == [name for name, _ in told_together(changes.changes, (changes.base, changes.row))]
    assert 2 == changes.kept
