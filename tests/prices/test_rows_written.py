"""What the author of a price book is told about a row that is wrong, or most likely not meant."""

from __future__ import annotations

import pytest

from tests.support.price_rows import BASE, GAPS, begin_alike, refused, warned
from tests.support.processor import at_most

JULY = "    - effective: 2026-07-01T00:00:00Z\n"


@pytest.mark.parametrize(
    ("row", "mistakes"),
    [
        ("      rates: {default: 1}\n      changes: {default: 2}\n", ["7:14: a row has `rates` or `changes`, not both"]),
        ("      until: 2026-08-01T00:00:00Z\n", ["6:7: `rates` is missing: all rates, or `changes`, only what differs"]),
        (
            "      by: detail.model\n      tiers: volume\n      changes: {default: 2}\n",
            ["7:11: `by` has no meaning beside `changes`", "8:14: `tiers` has no meaning beside `changes`"],
        ),
        ("      changes: {}\n", ["7:16: is empty; write a mapping"]),
        ("      changes: null\n", ["7:16: is empty; write a mapping"]),
        ("      changes: {sora: {}}\n", ["7:23: is empty; write a mapping"]),
        ("      changes: 5\n", ["7:16: is `5`; write a mapping"]),
        ("      changes:\n        old:\n        default: 1\n", ["8:13: is empty; write the rate, or `null` without quotes"]),
        ('      changes: {old: "null"}\n', ["7:22: is `null`; write the rate, or `null` without quotes to take it away"]),
        ("      changes: {old: NULL}\n", ["7:22: is `NULL`; write the rate, or `null` without quotes to take it away"]),
        ("      changes: {old: none}\n", ["7:22: is 'none'; write a plain decimal from 0 to 1"]),
        ("      changes: {old: -1}\n", ["7:22: is '-1'; write a plain decimal from 0 to 1"]),
        ("      changes: {old: [{up_to: 5, rate: 1}]}\n", ["7:23: leaves a gap: above 5 there is no rate"]),
        ("      changes: {olt: null}\n", ["7:17: there is no rate `olt` to take away; did you mean `old`?"]),
        (
            "      changes: {sora/1080p: null}\n",
            ["7:17: there is no rate `sora/1080p` to take away; `sora/1080p` is one name; for the rate `1080p` below `sora` "],
        ),
        ("      changes: {sora: {4k: null}}\n", ["7:24: there is no rate `4k` to take away; allowed: default, 1080p"]),
        ("      changes: {new: {4k: null, 8k: 1, default: 1}}\n", ["7:23: there is no rate `4k` to take away"]),
        ("      changes: {old: {4k: null}}\n", ["7:23: there is no rate `4k` to take away; allowed: default"]),
        ("      changes: {old: {default: null}}\n", ["7:22: takes every rate away; one is needed"]),
        ("      changes: {sora: {1080p: null, default: null}}\n", ["7:23: takes every rate away; one is needed"]),
        ("      changes: {default: null, old: null, sora: null, wan: null}\n", ["7:16: takes every rate away"]),
        (
            "      changes: {sora: {1080p: {loud: 1}}}\n",
            ["7:31: these rates need one more expression in `by` of the row in line 3 to select one"],
        ),
        ("      changes: {sora: {1080p: {up_to: 60, rate: 1}}}\n", ["7:31: tiers are a list; write [{up_to: ..., "]),
        ("      by: detail.model\n      rates: {default: {up_to: 60, rate: 1}}\n", ["8:24: tiers are a list; write [{up_to"]),
        ("      until: 2026-07-01T00:00:00Z\n      changes: {old: 1}\n", ["7:14: `until` is 2026-07-01T00:00:00Z, not after"]),
        ("      until: 2026-06-01T00:00:00Z\n      rates: {default: 1}\n", ["7:14: `until` is 2026-06-01T00:00:00Z, not"]),
        ("      until: next week\n      changes: {old: 1}\n", ["7:14: is 'next week'; write an instant with its zone"]),
        ("      chanegs: {old: 1}\n", ["6:7: `rates` is missing", "7:7: `chanegs` is not known here; did you mean `changes`"]),
    ],
)  # fmt: skip
def test_a_wrong_row_is_refused_where_it_is_wrong(row: str, mistakes: list[str]) -> None:
    """What would be right is said beside."""
    found = refused(BASE + JULY + row)

    assert begin_alike(mistakes, found), found


def test_without_by_only_the_default_can_be_changed() -> None:
    """Nothing could select another rate; the row that says so is named."""
    start = "prices:\n  seconds:\n    - {effective: 2026-01-01T00:00:00Z, rates: {default: 1}}\n"
    row = "    - {effective: 2026-07-01T00:00:00Z, changes: {premium: 2, default: {4k: 3}}}\n"

    expected = [
        "4:51: the row in line 3 has no `by` to select a rate; only `default`",
        "4:72: these rates need one more expression",
    ]

    assert begin_alike(expected, refused(start + row)), refused(start + row)


@pytest.mark.parametrize(
    ("rows", "mistakes"),
    [
        ("    - {effective: 2026-01-01T00:00:00Z, changes: {default: 1}}\n", ["3:50: no row above without `until`"]),
        (
            "    - {effective: 2026-01-01T00:00:00Z, until: 2026-02-01T00:00:00Z, rates: {default: 1}}\n"
            "    - {effective: 2026-01-05T00:00:00Z, changes: {default: 2}}\n",
            ["4:50: no row above without `until` is there to be changed; write `rates`"],
        ),
        (
            "    - {effective: 2026-01-01T00:00:00Z, rates: {default: x}}\n"
            "    - {effective: 2026-01-05T00:00:00Z, changes: {olt: null}}\n"
            "    - {effective: 2026-02-05T00:00:00Z, rates: {default: 1}}\n"
            "    - {effective: 2026-03-05T00:00:00Z, changes: {odl: null}}\n",
            ["3:58: is 'x'; write", "6:51: there is no rate `odl` to take away"],
        ),
    ],
)
def test_changes_need_a_row_to_be_laid_over(rows: str, mistakes: list[str]) -> None:
    """One without an end. Where that row is wrong itself, nothing is said of its rates; later rows are read on."""
    found = refused(f"prices:\n  seconds:\n{rows}")

    assert begin_alike(mistakes, found), found


@pytest.mark.parametrize(
    ("row", "warnings"),
    [
        ('      changes: {default: "0.1", old: 0.1}\n', ["7:26: `default` has this rate already, by the row in line 3"]),
        ("      changes: {sora: {1080p: 0.30}}\n", ["7:31: `1080p` has this rate already, by the row in line 3"]),
        (
            "      changes: {wan: [{up_to: 10, rate: 1.0}, {rate: 2}]}\n",
            ["7:22: `wan` has this rate already, by the row in line 3"],
        ),
        ("      changes: {default: null}\n", ["7:16: there is no `default`: an event that selects another rate is refused"]),
        ("      changes: {old: {4k: 1, default: null}}\n", ["7:22: there is no `default`: an event that selects another"]),
        ("      changes: {old: {4k: 1}}\n", []),
        ("      changes: {new: {4k: 1}}\n", ["7:22: there is no `default`: an event that selects another rate is refused"]),
        (
            "      until: 2026-09-01T00:00:00Z\n      changes: {old: 0.1}\n"
            "    - {effective: 2026-08-01T00:00:00Z, changes: {old: 0.2}}\n",
            ["7:14: has no effect: from 2026-08-01T00:00:00Z on the row in line 9 counts"],
        ),
        (
            "      until: 2026-09-01T00:00:00Z\n      changes: {old: 0.1}\n"
            "    - {effective: 2026-08-01T00:00:00Z, until: 2026-10-01T00:00:00Z, changes: {old: 0.2}}\n",
            ["7:14: has no effect: from 2026-08-01T00:00:00Z on the row in line 9 counts"],
        ),
        (
            "      until: 2026-09-01T00:00:00Z\n      changes: {old: 0.1}\n"
            "    - {effective: 2026-09-01T00:00:00Z, until: 2026-10-01T00:00:00Z, changes: {old: 0.2}}\n",
            [],
        ),
    ],
)  # fmt: skip
def test_what_is_most_likely_not_meant_is_a_warning(row: str, warnings: list[str]) -> None:
    """The policy runs all the same. A row that begins where another one ends is no reason for one."""
    assert begin_alike(warnings, warned(BASE + JULY + row)), warned(BASE + JULY + row)


def test_a_gap_between_rows_is_a_warning() -> None:
    """Each end that nothing comes behind, with the beginning of the next row where there is one."""
    assert [
        "3:48: leaves a gap: from 2026-02-01T00:00:00Z to 2026-03-01T00:00:00Z no row counts, and events are refused",
        "4:48: leaves a gap: from 2026-04-01T00:00:00Z on no row counts, and events are refused",
    ] == warned(GAPS)


def test_a_first_row_that_ends_where_the_next_begins_leaves_no_gap() -> None:
    """Nor does one that ends while the next counts already; only its end has no effect then."""
    gapless = GAPS.replace("until: 2026-02-01", "until: 2026-03-01").replace(", until: 2026-04-01T00:00:00Z", "")

    assert [] == warned(gapless)
    assert ["3:48: has no effect: from 2026-03-01T00:00:00Z on the row in line 4 counts"] == warned(
        gapless.replace("until: 2026-03-01", "until: 2026-03-02")
    )


def month(number: int) -> str:
    """Return a month, counted from the year 1000 on."""
    return f"{1000 + number // 12}-{number % 12 + 1:02}"


def test_rows_of_a_few_words_do_not_come_to_more_than_memory_holds() -> None:
    """A file of 30 kB, in which each of 400 rows has the 300 rates of the first one: it is refused, and told why."""
    first = ", ".join(f"m{model}: 1" for model in range(300))
    rows = "".join(f"    - {{effective: {month(row)}-01T00:00:00Z, changes: {{m0: {row}}}}}\n" for row in range(1, 400))
    prices = f"prices:\n  seconds:\n    - {{effective: {month(0)}-01T00:00:00Z, by: a, rates: {{{first}, default: 1}}}}\n"

    (message,) = refused(prices + rows)
    assert message.endswith(
        "up to here, rows with `changes` take over more than 100000 rates from the rows above; leave out old rows"
    )
    assert message.startswith("336:")  # 332 rows of 301 rates are 99,932


def test_very_many_rows_are_read_in_a_moment() -> None:
    """As many as fit into a file, each of which ends before the next begins."""
    rows = "".join(
        f"    - {{effective: {month(row)}-01T00:00:00Z, until: {month(row)}-02T00:00:00Z, rates: {{default: {row}}}}}\n"
        for row in range(1500)
    )

    with at_most(seconds=10):
        warnings = warned(f"prices:\n  seconds:\n{rows}")

    assert 1500 == len(warnings)
