"""What ``explain``, ``plan`` and policy tests say of rows that change, rows that end, and a price of another time."""

from __future__ import annotations

import pytest

from engine.policy import Policy
from engine.preview.changes import changes
from engine.preview.policy_tests import Coverage, parts_of
from engine.preview.reasons import reasons_for
from tests.support.books import Books
from tests.support.events import rendered
from tests.support.planned_by_engine import plan
from tests.support.price_rows import policy

PRICES = """\
prices:
  seconds:
    - effective: 2026-01-01T00:00:00Z
      by: [detail.model, detail.resolution]
      rates: {default: "0.10", old: "0.05", sora: {default: "0.12", 1080p: "0.30"}}
    - {effective: 2026-07-01T00:00:00Z, changes: {sora: {1080p: "0.36"}, old: null, new: "0.20"}}
    - {effective: 2026-11-01T00:00:00Z, until: 2026-12-01T00:00:00Z, changes: {default: "0.08"}}
    - {effective: 2026-11-10T00:00:00Z, until: 2026-11-12T00:00:00Z, changes: {default: "0.05"}}
    - {effective: 2027-01-01T00:00:00Z, changes: {new: "0.25"}}
"""
AT_SUBMISSION = (
    "rules:\n  - name: debit-rendered\n    match: {detail-type: [video.rendered]}\n    action: debit\n"
    '    charge: {price: seconds, quantity: detail.seconds, priced_at: "detail.submittedAt || time"}\n'
)


# --- explain ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("02-01", "the row from 2026-01-01T00:00:00Z counts; the next one counts from 2026-07-01T00:00:00Z on"),
        ("10-31", "the row from 2026-07-01T00:00:00Z counts; the next one counts from 2026-11-01T00:00:00Z on"),
        ("11-01", "the row from 2026-11-01T00:00:00Z counts; the next one counts from 2026-11-10T00:00:00Z on"),
        (
            "11-10",
            "the row from 2026-11-10T00:00:00Z counts; it ends at 2026-11-12T00:00:00Z, and then the row from"
            " 2026-11-01T00:00:00Z counts again",
        ),
        (
            "11-12",
            "the row from 2026-11-01T00:00:00Z counts again, since the one from 2026-11-10T00:00:00Z ended at"
            " 2026-11-12T00:00:00Z; it ends at 2026-12-01T00:00:00Z, and then the row from 2026-07-01T00:00:00Z counts again",
        ),
        (
            "12-01",
            "the row from 2026-07-01T00:00:00Z counts again, since the one from 2026-11-01T00:00:00Z ended at"
            " 2026-12-01T00:00:00Z; the next one counts from 2027-01-01T00:00:00Z on",
        ),
    ],
)
def test_explain_says_which_row_counts_and_why(at: str, said: str) -> None:
    """A row that counts again says which other one has ended, and one that ends which one comes behind it."""
    event = rendered("j-1", at=f"2026-{at}T00:00:00Z")

    assert f"at 2026-{at}T00:00:00Z {said}" == reasons_for(event, policy(PRICES)).steps[0]


def test_explain_says_that_after_the_last_row_there_is_none() -> None:
    """Where nothing comes behind an end, nothing counts any more; where nothing ends, nothing is said of it."""
    ending = "prices:\n  seconds: [{effective: 2026-01-01T00:00:00Z, until: 2026-02-01T00:00:00Z, rates: {default: 1}}]\n"

    assert [
        "at 2026-01-05T10:00:00Z the row from 2026-01-01T00:00:00Z counts; it ends at 2026-02-01T00:00:00Z, and then none"
        " counts",
        "at 2027-02-01T00:00:00Z the row from 2027-01-01T00:00:00Z counts; there is no later one",
    ] == [
        reasons_for(rendered("j-1"), policy(ending)).steps[0],
        reasons_for(rendered("j-1", at="2027-02-01T00:00:00Z"), policy(PRICES)).steps[0],
    ]


@pytest.mark.parametrize(
    ("submitted", "steps"),
    [
        (
            {"submittedAt": "2026-07-01T01:00:00+02:00"},
            (
                "priced at detail.submittedAt || time, which is 2026-07-01T01:00:00+02:00, not at the event's time",
                "at 2026-06-30T23:00:00Z the row from 2026-01-01T00:00:00Z counts; the"
                " next one counts from 2026-07-01T00:00:00Z on",
            ),
        ),
        (
            {},
            (
                "priced at detail.submittedAt || time, which is 2026-07-01T10:00:00Z, the event's time too",
                "at 2026-07-01T10:00:00Z the row from 2026-07-01T00:00:00Z counts; the"
                " next one counts from 2026-11-01T00:00:00Z on",
            ),
        ),
    ],
)
def test_explain_says_by_which_time_the_row_was_found(submitted: dict[str, str], steps: tuple[str, str]) -> None:
    """As the event says it, and whether that is the event's own."""
    event = rendered("j-1", at="2026-07-01T10:00:00Z", **submitted)

    assert steps == reasons_for(event, policy(PRICES, AT_SUBMISSION)).steps[:2]


# --- plan -------------------------------------------------------------------------------------------------------------


def told(now: str, then: str) -> list[str]:
    """Return what differs between two policies with these prices."""
    return list(changes(policy(now), policy(then)))


def test_a_changed_end_is_told() -> None:
    """From when to when; an end that is gone, and one that is new."""
    endless = PRICES.replace(", until: 2026-12-01T00:00:00Z", "")

    row = "price seconds from 2026-11-01T00:00:00Z: `until`"
    assert [f"{row} 2026-12-01T00:00:00Z -> 2026-12-08T00:00:00Z"] == told(PRICES, PRICES.replace("2026-12-01", "2026-12-08"))
    assert f"{row} 2026-12-01T00:00:00Z -> none" == told(PRICES, endless)[0]
    assert f"{row} none -> 2026-12-01T00:00:00Z" == told(endless, PRICES)[0]


def test_a_rate_that_is_changed_below_changes_every_row_above_it() -> None:
    """The default of January is the default of July and of the year after; the promotions have their own."""
    assert [
        "price seconds from 2026-01-01T00:00:00Z: default 0.10 -> 0.11",
        "price seconds from 2026-07-01T00:00:00Z: default 0.10 -> 0.11",
        "price seconds from 2027-01-01T00:00:00Z: default 0.10 -> 0.11",
    ] == told(PRICES, PRICES.replace('{default: "0.10"', '{default: "0.11"'))


def test_the_same_rates_written_as_a_whole_are_no_difference() -> None:
    """How a row is written costs nobody anything."""
    whole = PRICES.replace(
        'changes: {sora: {1080p: "0.36"}, old: null, new: "0.20"}',
        'by: [detail.model, detail.resolution], rates: {default: "0.10", sora: {default: "0.12", 1080p: "0.36"}, new: "0.20"}',
    )
    events = [rendered(f"j-{month}", at=f"2026-{month:02}-15T00:00:00Z") for month in range(1, 13)]

    result = plan(events, policy(PRICES), policy(whole))

    assert ((), (), 12) == (result.changes, result.differences, result.events)
    assert ["price seconds from 2026-07-01T00:00:00Z: new 0.20 -> 0.30"] == [
        line for line in told(PRICES, whole.replace('new: "0.20"', 'new: "0.30"')) if "2026-07-01" in line
    ]


def test_a_promotion_week_moves_only_what_happens_in_it() -> None:
    """Ten seconds a day: 0.10 before and behind, 0.08 within it."""
    base = "prices:\n  seconds:\n    - {effective: 2026-01-01T00:00:00Z, rates: {default: 0.10}}\n"
    week = "    - {effective: 2026-11-27T00:00:00Z, until: 2026-11-29T00:00:00Z, changes: {default: 0.08}}\n"
    events = [rendered(f"j-{day}", seconds=10, at=f"2026-11-{day}T00:00:00Z") for day in (26, 27, 28, 29, 30)]

    result = plan(events, policy(base), policy(base + week))

    assert ["price seconds from 2026-11-27T00:00:00Z is new"] == list(result.changes)
    assert ["j-27 0.2000", "j-28 0.2000"] == sorted(f"{d.reference.removeprefix('job#')} {d.by}" for d in result.differences)


# --- what no test reached ---------------------------------------------------------------------------------------------


def test_a_row_of_changes_adds_only_the_rates_that_it_changes() -> None:
    """All others are those of the row above, and are listed there."""
    rates = [part.removeprefix("rate seconds ").replace("T00:00:00Z", "") for part in parts_of(policy(PRICES))][:9]

    assert [
        "2026-01-01 default",
        "2026-01-01 old",
        "2026-01-01 sora/default",
        "2026-01-01 sora/1080p",
        "2026-07-01 sora/1080p",
        "2026-07-01 new",
        "2026-11-01 default",
        "2026-11-10 default",
        "2027-01-01 new",
    ] == rates


def missed(found: Policy, *events: dict[str, object]) -> set[str]:
    """Return the rates that these events do not reach."""
    ledger, coverage = Books(found), Coverage()
    ledger.deliver(*events)
    coverage.add(entry for entries in ledger.entries.values() for entry in entries)
    return {
        part.removeprefix("rate seconds ").replace("T00:00:00Z", "") for part in coverage.missed(found) if "rate" in part[:4]
    }


def test_a_rate_is_reached_in_any_row_that_leaves_it_as_it_is() -> None:
    """An event of February 2027 at the default reaches January 2026's; one in the promotion reaches the promotion's own."""
    found = policy(PRICES)
    every = missed(found)

    february = rendered("j-1", at="2027-02-01T00:00:00Z")
    promotion = rendered("j-2", at="2026-11-05T00:00:00Z")
    sora = rendered("j-3", at="2026-11-05T00:00:00Z", model="sora", resolution="1080p")

    assert {"2026-01-01 default"} == every - missed(found, february)
    assert {"2026-11-01 default"} == every - missed(found, promotion)
    assert {"2026-07-01 sora/1080p"} == every - missed(found, sora)
    assert 9 == len(every)


def test_a_row_with_whole_rates_is_reached_by_itself() -> None:
    """As ever: each of its rates is one of its own, also where the row above has the same."""
    prices = (
        "prices:\n  seconds:\n    - {effective: 2026-01-01T00:00:00Z, rates: {default: 1}}\n"
        "    - {effective: 2026-07-01T00:00:00Z, rates: {default: 1}}\n"
    )

    assert {"2026-01-01 default"} == missed(policy(prices), rendered("j-1", at="2026-08-01T00:00:00Z"))
