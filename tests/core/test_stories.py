"""Stories about money that an independent count of the rules once told otherwise; each net is worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from engine.domain.decision import Outcome
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError
from tests.support.books import Books
from tests.support.events import event, failed, instant, rendered
from tests.support.policies import example

NO_MINIMUM = (', minimum: "0.01"', "")
TWO_REFUNDS = (
    "    refund: {percent: 100}",
    "    refund: {percent: 100, within: 1h}\n"
    "  - name: refund-half\n    match: {source: [video.generation], detail-type: [video.cancelled]}\n"
    "    action: refund\n    refund: {percent: 50}",
)  # fmt: skip
GRANTS = (
    ("time: time}", "time: time, reference: detail.purchaseId}"),
    (
        "  - name: flag-test-renders",
        "  - name: grant-purchase\n    match: {detail-type: [credits.purchased]}\n    action: grant\n"
        "    grant: {quantity: detail.credits}\n  - name: flag-test-renders",
    ),
)


def books(*changes: tuple[str, str]) -> Books:
    """Return empty books over the example policy, with one user."""
    return Books(example(*changes), {"u-1": Decimal(1000)})


def row(started: str, document: dict[str, Any], status: str = "completed") -> Envelope:
    """Return the envelope of a row of Jobs that has no time of its own."""
    return Envelope({**document, "time": instant(started)}, Source.SCAN, status=status, time_is_assumed=True)


def cancelled(at: str) -> dict[str, Any]:
    """Return the event of a job that was cancelled."""
    return event("video.cancelled", {"jobId": "j-1", "userId": "u-1"}, at)


def purchased(amount: Any, at: str = "10:00") -> dict[str, Any]:
    """Return the event of a purchase."""
    return event("credits.purchased", {"purchaseId": "p-1", "userId": "u-1", "credits": amount}, at)


# --- twins: charges of one instant ---


@pytest.mark.parametrize("again", [10, 12])
def test_both_of_two_charges_of_one_instant_stay_known_after_a_price_edit(again: int) -> None:
    """10 s and 12 s at 0.10: 1.00. At 0.01 either of them, told again, is nothing new."""
    ledger = books()
    ledger.deliver(rendered(seconds=10), rendered(seconds=12))

    ledger.policy = example(('"0.10"', '"0.01"'))

    assert [Outcome.DUPLICATE] == ledger.deliver(rendered(seconds=again))
    assert Decimal("-1.00") == ledger.net("j-1")


def test_charges_that_a_minimum_made_equal_are_two_all_the_same() -> None:
    """2 s and 1 s cost the minimum of 3. Without a minimum either is known still: 3, not 0.20 or 0.10."""
    ledger = books(('minimum: "0.01"', 'minimum: "3"'))
    ledger.deliver(rendered(seconds=2), rendered(seconds=1))

    ledger.policy = example(NO_MINIMUM)

    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(rendered(seconds=1), rendered(seconds=2))
    assert Decimal(-3) == ledger.net("j-1")
    assert ["conflicting-charge"] == ledger.anomalies("j-1")


@pytest.mark.parametrize(
    "edit",
    [
        (("by: detail.model", "by: detail.quality"), ("default:", 'low: "0.01", default:')),
        (("quantity: detail.seconds", "quantity: detail.frames"),),
        (("quantity: detail.seconds", "quantity: detail.frames"), ("by: detail.model", "by: detail.quality")),
    ],
    ids=["another selector", "another quantity", "both"],
)  # fmt: skip
def test_an_edit_that_asks_something_else_makes_no_known_charge_new(edit: tuple[tuple[str, str], ...]) -> None:
    """The event answers what was asked when it was first told; beside its twin too."""
    ledger = books()
    told = [rendered(seconds=10, frames=1, quality="low"), rendered(seconds=12, frames=2, quality="low")]
    ledger.deliver(*told)

    ledger.policy = example(*edit)

    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(*told)
    assert Decimal("-1.00") == ledger.net("j-1")


@pytest.mark.parametrize("kept", ["8.33333333333333333333", "8.333333333333334"])
def test_a_charge_that_was_kept_with_more_digits_than_a_double_has_is_known_still(kept: str) -> None:
    """Earlier versions kept what the queue said to the last digit; Lambda had never seen more than 8.333333333333334."""
    ledger = books()
    ledger.deliver(rendered(seconds=Decimal(kept)))

    ledger.policy = example(('"0.10"', '"0.05"'))

    assert [Outcome.DUPLICATE] == ledger.deliver(rendered(seconds=8.333333333333334))


def test_an_event_that_answers_otherwise_is_another_charge_after_such_an_edit() -> None:
    """11 s at that instant are neither of the two: at 0.01 a frame it is the smallest, and counts."""
    ledger = books()
    ledger.deliver(rendered(seconds=10, frames=1), rendered(seconds=12, frames=2))

    ledger.policy = example(("quantity: detail.seconds", "quantity: detail.frames"))
    ledger.deliver(rendered(seconds=11, frames=1))

    assert Decimal("-0.10") == ledger.net("j-1")


STEPS_OF_FIVE = (
    "quantity: detail.seconds",
    'quantity: "round_up(divide(multiply(detail.width, detail.frames), `1000`), `5`)"',
)


@pytest.mark.parametrize("frames", [24, "24", "24.0", 24.0, Decimal("24.00")], ids=repr)
def test_a_calculation_is_known_again_however_its_numbers_are_written(frames: Any) -> None:
    """1280 x 24 / 1000 = 30.72, up to 35: 3.50. By seconds it is that charge still, and 25 frames are too: 32, up to 35."""
    ledger = books(STEPS_OF_FIVE)
    ledger.deliver(rendered(seconds=10, width=1280, frames=24))

    assert [Outcome.DUPLICATE] == ledger.deliver(rendered(seconds=10, width="1280", frames=frames))
    ledger.policy = example()
    assert [Outcome.DUPLICATE] == ledger.deliver(rendered(seconds=10, width="1280", frames=frames))
    assert [Outcome.DUPLICATE] == ledger.deliver(rendered(seconds=10, width=1280, frames=25))

    assert Decimal("-3.50") == ledger.net("j-1")


def test_an_event_that_calculates_otherwise_is_another_charge() -> None:
    """28 frames are 35.84, up to 40: by seconds 1.00 is the smaller of the two charges of that instant, and counts."""
    ledger = books(STEPS_OF_FIVE)
    ledger.deliver(rendered(seconds=10, width=1280, frames=24))

    ledger.policy = example()
    ledger.deliver(rendered(seconds=10, width=1280, frames=28))

    assert Decimal("-1.00") == ledger.net("j-1")


def test_an_event_without_what_a_calculation_needs_moves_nothing() -> None:
    """The error names the argument, as it is written in the policy."""
    ledger = books(STEPS_OF_FIVE)

    with pytest.raises(
        EventError, match=r"field round_up\(.*\): cannot be worked out: detail.width is missing; a number is needed"
    ):
        ledger.deliver(rendered(seconds=10, frames=24))
    assert Decimal(0) == ledger.net("j-1")


def test_an_error_is_one_line_however_its_expression_is_written() -> None:
    """A calculation is written on several lines where it is long."""
    ledger = books(("quantity: detail.seconds", 'quantity: "add(\\n detail.width,\\n detail.frames)"'))

    with pytest.raises(EventError, match=r"field add\( detail.width, detail.frames\): cannot be .*: detail.width is missing"):
        ledger.deliver(rendered(seconds=10, frames=24))


def test_a_row_is_not_held_to_what_the_scan_did_not_read() -> None:
    """A scan fetches what today's policy asks for: without `seconds` the row says nothing else than the event did."""
    ledger = books()
    ledger.deliver(rendered(seconds=10))

    ledger.policy = example(("quantity: detail.seconds", "quantity: detail.frames"), ("seconds: [", "frames: ["))
    read = {"jobId": "j-1", "userId": "u-1", "status": "completed", "model": "veo-3", "frames": 1, "result_url": "s3://a"}
    document = {**rendered(), "detail": read}

    assert Outcome.DUPLICATE is ledger.reconcile(Envelope(document, Source.SCAN, status="completed"))
    assert Decimal("-1.00") == ledger.net("j-1")


def test_rules_with_flat_amounts_charge_two_things_of_one_instant() -> None:
    """They say nothing but what they cost; under one policy that tells them apart, in either order."""
    flat = (
        '    charge: {price: render-second, quantity: detail.seconds, minimum: "0.01", maximum: "500"}',
        '    charge: {amount: "2"}\n  - name: debit-preview\n    match: {detail-type: [video.previewed]}\n'
        '    action: debit\n    charge: {amount: "1"}',
    )  # fmt: skip
    unused = ("  render-second:", "  render-second: &unused")
    for order in permutations([rendered(), event("video.previewed", {"jobId": "j-1", "userId": "u-1"})]):
        ledger = books(flat, unused)

        ledger.deliver(*order)

        assert Decimal(-1) == ledger.net("j-1")


def test_a_ninth_charge_of_one_instant_makes_no_sense() -> None:
    """Eight are kept, and all of them stay known."""
    ledger = books()
    told = [rendered(seconds=seconds) for seconds in range(2, 10)]
    ledger.deliver(*told)

    with pytest.raises(EventError, match="rule debit-rendered, field time: is of the same instant as 8 others"):
        ledger.deliver(rendered(seconds=1))
    assert [Outcome.DUPLICATE] * 8 == ledger.deliver(*told)
    assert Decimal("-0.2") == ledger.net("j-1")


# --- refunds ---


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_refund_that_came_too_late_takes_nothing_away_from_one_of_its_instant(order: tuple[int, ...]) -> None:
    """Four hours after the charge 100 % within 1 h give nothing back; 50 % without a window do."""
    ledger = books(TWO_REFUNDS)
    events = [rendered(at="10:00", seconds=10), failed(at="14:00"), cancelled("14:00")]

    ledger.deliver(*(events[number] for number in order))

    assert Decimal("-0.5") == ledger.net("j-1")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_refunds_of_one_instant_that_are_in_time_the_most_generous_counts(order: tuple[int, ...]) -> None:
    """Within the hour all of it goes back."""
    ledger = books(TWO_REFUNDS)
    events = [rendered(at="10:00", seconds=10), failed(at="10:30"), cancelled("10:30")]

    ledger.deliver(*(events[number] for number in order))

    assert Decimal(0) == ledger.net("j-1")


def test_what_a_refund_gives_is_fixed_at_its_first_telling() -> None:
    """Half went back; 80 % today is for the failures of today."""
    ledger = books(("percent: 100", "percent: 50"))
    ledger.deliver(rendered(seconds=10), failed())

    ledger.policy = example(("percent: 100", "percent: 80"))

    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(rendered(seconds=10), failed())
    assert Decimal("-0.5") == ledger.net("j-1")


def test_a_fact_that_decides_nothing_does_not_round_a_known_cost_again() -> None:
    """An older failure, told late and after an edit to two places, moves no ten-thousandths of a credit."""
    half = ("percent: 100", "percent: 50, within: 9h")
    ledger = books(half)
    ledger.deliver(rendered(at="10:00", seconds="1.003"), failed(at="12:00"))

    ledger.policy = example(half, ("places: 4", "places: 2"))
    ledger.deliver(failed(at="11:00"))

    assert [("debit", "-0.1003"), ("refund", "0.0501"), ("void", "0")] == ledger.lines("j-1")


def test_what_is_left_of_a_charge_is_never_more_than_the_charge() -> None:
    """Of 0.0050 nothing goes back; rounded up to two places it would be 0.01."""
    ledger = books(NO_MINIMUM)
    ledger.deliver(rendered(seconds="0.05"))

    ledger.policy = example(("percent: 100", "percent: 0"), ("places: 4", "places: 2"), ("half-even", "up"))
    ledger.deliver(failed())

    assert Decimal("-0.005") == ledger.net("j-1")


# --- rows without a time of their own ---


def test_a_failed_row_that_is_read_again_gives_back_what_it_gave() -> None:
    """10.00 charged, half went back. Its mark is lost, the percent is 80 by now: nothing more."""
    ledger = books(("percent: 100", "percent: 50"))
    ledger.deliver(rendered(at="10:00", seconds=100))
    ledger.reconcile(row("12:00", failed(), "failed"))

    ledger.policy = example(("percent: 100", "percent: 80"))
    ledger.reconcile(row("18:00", failed(), "failed"))

    assert Decimal(-5) == ledger.net("j-1")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_a_row_without_a_time_and_the_events_plays_no_part(order: tuple[int, ...]) -> None:
    """Rendered at 10:00, failed at 11:00; the row still says completed at 18:00: it costs nothing."""
    ledger = books()
    steps = [
        lambda: ledger.deliver(rendered(at="10:00")),
        lambda: ledger.deliver(failed(at="11:00")),
        lambda: ledger.reconcile(row("18:00", rendered())),
    ]

    for number in order:
        steps[number]()

    assert Decimal(0) == ledger.net("j-1")


def test_a_completed_row_without_a_time_gives_way_to_the_event() -> None:
    """Charged at the scan's start, at the price of July; its own event says June."""
    ledger = books()
    ledger.reconcile(row("2026-07-01T06:00:00Z", rendered(seconds=10)))
    assert Decimal("-1.2") == ledger.net("j-1")

    ledger.deliver(rendered(at="2026-06-30T23:00:00Z", seconds=10))

    assert Decimal("-1.0") == ledger.net("j-1")


def test_a_failed_row_without_a_time_gives_back_no_later_charge() -> None:
    """Rendered again at 19:00: the row of 18:00 knew nothing of that."""
    ledger = books()
    ledger.deliver(rendered(at="10:00", seconds=10))
    ledger.reconcile(row("18:00", failed(), "failed"))
    assert Decimal(0) == ledger.net("j-1")

    ledger.deliver(rendered(at="19:00", seconds=7))

    assert Decimal("-0.7") == ledger.net("j-1")


# --- what is unsure ---


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(("seconds", "names"), [("00", []), ("01", ["close-call"]), ("05", ["close-call"]), ("06", [])])
@pytest.mark.parametrize("is_render_later", [False, True])
def test_a_close_call_is_flagged(order: tuple[int, int], seconds: str, names: list[str], is_render_later: bool) -> None:  # noqa: FBT001
    """Times that differ, by at most five seconds, whichever is later and whichever comes first."""
    times = ["2026-01-05T10:00:00Z", f"2026-01-05T10:00:{seconds}Z"]
    first, second = reversed(times) if is_render_later else times
    events = [rendered(at=first), failed(at=second)]
    ledger = books()

    ledger.deliver(*(events[number] for number in order), *events)

    assert names == ledger.anomalies("j-1")


def test_the_policy_says_how_far_clocks_may_be_off() -> None:
    """A minute, say."""
    ledger = books(("overdraft: flag", "overdraft: flag\nclock: {skew: 1m}"))

    ledger.deliver(rendered(at="10:00"), failed(at="10:01"))

    assert ["close-call"] == ledger.anomalies("j-1")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_charge_that_takes_the_place_of_other_work_is_flagged_once(order: tuple[int, int]) -> None:
    """Two pieces of work under one job: the first is free, and somebody should know."""
    events = [rendered(at="10:00", seconds=8), rendered(at="11:00", seconds=5)]
    ledger = books()

    ledger.deliver(*(events[number] for number in order), *events, *events)

    assert ["replaced-charge"] == ledger.anomalies("j-1")
    assert Decimal("-0.5") == ledger.net("j-1")


def test_the_same_work_told_with_a_later_time_is_no_replaced_charge() -> None:
    """Nor is work that was done again after a failure."""
    ledger = books()

    ledger.deliver(rendered("j-1", at="10:00"), rendered("j-1", at="11:00"))
    ledger.deliver(rendered("j-2", at="10:00"), failed("j-2", at="11:00"), rendered("j-2", at="12:00", seconds=5))
    ledger.deliver(rendered("j-2", at="10:00"), failed("j-2", at="13:00"), rendered("j-2", at="10:00"))

    assert ([], []) == (ledger.anomalies("j-1"), ledger.anomalies("j-2"))


@pytest.mark.parametrize(
    ("amount", "at", "names"),
    [
        (20, "2026-01-06T10:00:00Z", []),
        (20, "2026-01-06T10:00:01Z", ["repeated-grant"]),
        (20, "2026-01-04T09:59:59Z", ["repeated-grant"]),
        ("20.00", "11:00", []),
        (21, "10:00", ["repeated-grant"]),
    ],
)
def test_a_grant_that_is_told_again_otherwise_is_flagged_once(amount: Any, at: str, names: list[str]) -> None:
    """With another amount, or more than a day apart. The smaller counts, once."""
    ledger = books(*GRANTS)

    ledger.deliver(purchased(20), purchased(amount, at), purchased(amount, at), purchased(20))

    assert names == ledger.anomalies("grant#p-1")
    assert Decimal(20) == ledger.net("grant#p-1")


def test_a_purchase_in_a_row_without_a_time_is_granted_once_and_is_no_repeated_one() -> None:
    """Scan after scan reads the row, days apart; that says nothing of a second purchase."""
    ledger = books(*GRANTS)

    outcomes = [ledger.reconcile(row(f"2026-01-0{day}T12:00:00Z", purchased(20))) for day in (5, 7, 9)]

    assert [Outcome.GRANTED, Outcome.DUPLICATE, Outcome.DUPLICATE] == outcomes
    assert [] == ledger.anomalies("grant#p-1")


def test_both_of_two_grants_of_one_reference_stay_known_after_an_edit() -> None:
    """20 and 15 were told: 15. Worth a tenth by now, either of them told again is nothing new."""
    ledger = books(*GRANTS)
    ledger.deliver(purchased(20), purchased(15))

    priced = "grant: {quantity: detail.credits}", "grant: {price: render-second, quantity: detail.credits}"
    ledger.policy = example(*GRANTS, priced, ("by: detail.model", "by: \"detail.model || 'default'\""))

    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(purchased(20), purchased(15))
    assert Decimal(15) == ledger.net("grant#p-1")
