"""People edit policies while jobs are under way: what is known stays as it is, whatever the edit."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations, product
from typing import Any

import pytest

from engine.domain.decision import Outcome
from tests.support.books import Books
from tests.support.events import failed, rendered
from tests.support.policies import example

EDITS: dict[str, tuple[tuple[str, str], ...]] = {
    "dearer": (('"0.10"', '"0.99"'),),
    "cheaper": (('"0.10"', '"0.01"'),),
    "a second selector": (("by: detail.model", "by: [detail.model, detail.resolution]"), ('"0.10"', '{default: "0.33"}')),
    "no selector": (('by: detail.model\n      rates: {default: "0.10", premium: "0.25"}', 'rates: {default: "0.5"}'),),
    "another quantity": (("quantity: detail.seconds", "quantity: detail.frames"),),
    "tiers": (('{default: "0.10"', '{default: [{up_to: 5, rate: "0.2"}, {rate: "0.01"}]'),),
    "flat": (('{price: render-second, quantity: detail.seconds, minimum: "0.01", maximum: "500"}', '{amount: "3"}'),),
    "a rule with another name": (("name: debit-rendered", "name: debit-done"),),
    "half goes back": (("percent: 100", "percent: 50"),),
    "all goes back, in time": (("percent: 100", "percent: 100, within: 30m"),),
    "fewer places": (("places: 4", "places: 2"),),
}


@pytest.mark.parametrize(("before", "after"), [(a, b) for a, b in product([None, *EDITS], EDITS) if a != b])
def test_a_known_event_changes_nothing_after_an_edit(before: str | None, after: str) -> None:
    """Charge and refund were told under one policy and come again under another."""
    ledger = Books(example(*EDITS.get(before or "", ())), {"u-1": Decimal(1000)})
    events = rendered(seconds="7.77", frames=240, resolution="4k"), failed(at="11:00")
    ledger.deliver(*events)
    known = ledger.lines("j-1")

    ledger.policy = example(*EDITS[after])

    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(*events)
    assert known == ledger.lines("j-1")


@pytest.mark.parametrize("after", EDITS)
def test_what_is_known_of_a_charge_counts_for_a_refund_that_comes_later(after: str) -> None:
    """The charge is that of its own day; what goes back is what the policy of the refund says."""
    ledger = Books(example(), {"u-1": Decimal(1000)})
    ledger.deliver(rendered(seconds=8))

    ledger.policy = example(*EDITS[after])
    ledger.deliver(failed(at="11:00"))

    left = {"half goes back": "-0.4", "all goes back, in time": "-0.8"}.get(after, "0")
    assert Decimal(left) == ledger.net("j-1")


def test_different_work_of_one_instant_is_still_a_conflict_after_an_edit() -> None:
    """The edit explains another price, not another length."""
    ledger = Books(example(), {"u-1": Decimal(1000)})
    ledger.deliver(rendered(seconds=8))

    ledger.policy = example(*EDITS["cheaper"])
    ledger.deliver(rendered(seconds=9))

    assert Decimal("-0.09") == ledger.net("j-1")
    assert ["conflicting-charge"] == ledger.anomalies("j-1")


# --- refunds within a window ------------------------------------------------------------------------------------------

WINDOW = ("percent: 100", "percent: 100, within: 2h")


@pytest.mark.parametrize(
    ("at", "net"), [("10:00", "0"), ("12:00", "0"), ("12:00:00.000001", "-0.8"), ("23:00", "-0.8"), ("09:00", "-0.8")]
)
@pytest.mark.parametrize("refund_first", [False, True])
def test_a_refund_counts_within_its_window(at: str, net: str, refund_first: bool) -> None:  # noqa: FBT001
    """Measured from the charge to the refund, by the events' own times, in whatever order they come; the end belongs to it."""
    instant = f"2026-01-05T{at}Z" if len(at) > len("00:00") else at
    events: list[dict[str, Any]] = [rendered(at="10:00"), failed(at=instant)]
    ledger = Books(example(WINDOW), {"u-1": Decimal(100)})

    ledger.deliver(*(reversed(events) if refund_first else events))

    assert Decimal(net) == ledger.net("j-1")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_failure_that_comes_too_late_does_not_take_back_what_was_refunded(order: tuple[int, ...]) -> None:
    """The one in time still counts, in whatever order they are told."""
    events = [rendered(at="10:00"), failed(at="11:00"), failed(at="18:00")]
    ledger = Books(example(WINDOW), {"u-1": Decimal(100)})

    ledger.deliver(*(events[number] for number in order))

    assert Decimal(0) == ledger.net("j-1")


def test_a_charge_that_comes_late_may_be_within_the_window_of_a_known_refund() -> None:
    """Against an older charge the refund came too late; against the newer one it did not."""
    ledger = Books(example(WINDOW), {"u-1": Decimal(100)})

    ledger.deliver(rendered(at="08:00"), failed(at="12:00"), rendered(at="11:00", seconds=9))

    assert [("debit", "-0.8000"), ("void", "0"), ("refund", "0.8000")] == ledger.lines("j-1")


def test_refunds_differ_by_reason() -> None:
    """The pattern says the reason, the first refund rule that matches says how much."""
    reasons = (
        "  - name: refund-failed",
        "  - name: refund-refused-prompt\n    match: {detail-type: [video.failed], detail: {error: [{prefix: moderation}]}}\n"
        "    action: refund\n    refund: {percent: 25}\n  - name: refund-failed",
    )
    ledger = Books(example(reasons), {"u-1": Decimal(100)})

    ledger.deliver(rendered("j-1"), failed("j-1", error="moderation: violence"), rendered("j-2"), failed("j-2"))

    assert (Decimal("-0.6"), Decimal(0)) == (ledger.net("j-1"), ledger.net("j-2"))
