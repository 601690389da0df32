"""Charges whose repeats are ignored: webhooks that are sent again and carry no time of their own; each net by hand."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from engine.audit.recount import recount
from engine.domain.decision import Outcome, Standing
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, PolicyError
from engine.domain.log import log_of
from engine.preview.reasons import reasons_for
from engine.rating.assess import assess
from engine.rating.decide import decide
from engine.reconcile.job_rows import row_event
from tests.support.books import Books
from tests.support.events import event, failed, instant, rendered
from tests.support.policies import example

IGNORED = ("    action: debit\n", "    action: debit\n    repeats: ignore\n")


def books(*changes: tuple[str, str]) -> Books:
    """Return empty books over the example policy, whose debit rule ignores repeats. A render of 8 seconds costs 0.80."""
    return Books(example(IGNORED, *changes), {"u-1": Decimal(1000)})


def net_in_any_order(*events: dict[str, Any]) -> set[Decimal]:
    """Return what the events come to, in every order, each told twice; and each entry follows from those before it."""
    nets = set()
    for order in permutations(events):
        ledger = books()
        ledger.deliver(*order, *order)
        nets.add(ledger.net("j-1"))
        assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]
    return nets


def test_a_repeat_of_a_charge_is_a_duplicate_however_late_it_comes():
    """Without `repeats` each would be a void, and after a failure another charge."""
    ledger = books()

    told = ledger.deliver(rendered(at="10:00"), rendered(at="10:05"), rendered(at="18:00"))

    assert [Outcome.DEBITED, Outcome.DUPLICATE, Outcome.DUPLICATE] == told
    assert [("debit", "-0.8000")] == ledger.lines("j-1")


@pytest.mark.parametrize(
    ("events", "net"),
    [
        ((rendered(at="10:00"), rendered(at="12:00"), failed(at="11:00")), "0"),
        ((rendered(at="10:00"), rendered(at="12:00"), failed(at="09:00")), "-0.80"),
        ((rendered(at="10:00"), rendered(at="12:00"), failed(at="13:00")), "0"),
        # of two contents the one whose earliest telling is the latest
        ((rendered(at="10:00"), rendered(seconds=5, at="11:00"), rendered(at="12:00")), "-0.50"),
        ((rendered(at="10:00"), rendered(seconds=5, at="11:00"), rendered(seconds=5, at="09:00")), "-0.80"),
        # the earliest telling has the price of its own instant: 0.10, and 0.12 from July on
        ((rendered(at="2026-06-30T23:59:59Z"), rendered(at="2026-07-01T00:00:00Z")), "-0.80"),
        ((rendered(at="2026-07-01T00:00:00Z"), rendered(at="2026-07-02T00:00:00Z")), "-0.96"),
        ((rendered(at="10:00"), rendered(seconds=5, at="10:00"), rendered(at="12:00"), failed(at="11:00")), "0"),
    ],
)
def test_any_order_ends_in_the_same_net(events: tuple[dict[str, Any], ...], net: str):
    """Of charges that say the same the earliest counts."""
    assert {Decimal(net)} == net_in_any_order(*events)


def test_an_earlier_telling_that_comes_late_moves_the_charge_before_the_refund():
    """The entry has the time of its own event."""
    ledger = books()

    outcomes = ledger.deliver(rendered(at="12:00"), failed(at="11:00"), rendered(at="10:00"))

    assert [Outcome.DEBITED, Outcome.VOIDED, Outcome.REFUNDED] == outcomes
    assert ["12:00", "11:00", "10:00"] == [f"{entry.occurred_at:%H:%M}" for entry in ledger.entries_of("j-1")]
    assert Decimal(0) == ledger.net("j-1")
    assert ["repeat-after-refund"] == ledger.anomalies("j-1")


def test_a_render_after_a_failure_is_free_and_flagged_once():
    """However often it is told again; the flag moves nothing."""
    ledger = books()

    outcomes = ledger.deliver(rendered(), failed(), *(rendered(at=f"{hour}:00") for hour in (12, 13, 14)))

    assert [Outcome.DEBITED, Outcome.REFUNDED, Outcome.FLAGGED, Outcome.DUPLICATE, Outcome.DUPLICATE] == outcomes
    assert [("debit", "-0.8000"), ("refund", "0.8000"), ("flag", "0")] == ledger.lines("j-1")
    (flagged,) = ledger.entries_of("j-1")[2].anomalies
    assert ("repeat-after-refund", {"charge": "2026-01-05T10:00:00Z", "repeat": "2026-01-05T12:00:00Z"}) == (
        flagged.name,
        dict(flagged.figures),
    )


def test_what_the_row_says_is_fixed_at_the_first_telling():
    """The event says nothing of its own. The row has 8 seconds, and 5 when the earlier sending arrives: 0.80 all the same."""
    ledger = books(("quantity: detail.seconds", "quantity: row.seconds"))
    for seconds, at in ((8, "12:00"), (5, "10:00"), (5, "14:00")):
        ledger.store.jobs["j-1"] = {"jobId": "j-1", "userId": "u-1", "seconds": seconds}
        ledger.deliver(rendered(at=at))

    assert [("debit", "-0.8000"), ("void", "0")] == ledger.lines("j-1")
    assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]


def test_what_says_something_else_is_another_charge():
    """As without `repeats`: the later takes the place of the earlier, and is flagged."""
    ledger = books()
    ledger.deliver(rendered(), failed(), rendered(seconds=5, at="12:00"))

    assert Decimal("-0.50") == ledger.net("j-1")
    assert [] == ledger.anomalies("j-1")


def test_a_ninth_charge_that_says_something_else_makes_no_sense():
    """Eight are kept, and repeats of each stay known."""
    ledger = books()
    ledger.deliver(*(rendered(seconds=seconds, at=f"10:0{seconds}") for seconds in range(1, 9)))

    with pytest.raises(EventError, match="is of one charge more than the 8 of a job that are kept where repeats are ignored"):
        ledger.deliver(rendered(seconds=9))
    again = ledger.deliver(*(rendered(seconds=seconds, at="18:00") for seconds in range(1, 9)))
    assert [Outcome.DUPLICATE] * 8 == again
    assert Decimal("-0.80") == ledger.net("j-1")


def row(status: str, document: dict[str, Any], started: str) -> Envelope:
    """Return the envelope of a row of Jobs that has no time of its own."""
    return Envelope({**document, "time": instant(started)}, Source.SCAN, status=status, time_is_assumed=True)


def test_rows_without_a_time_are_repeats_as_well():
    """Completed, failed, completed again and saying the same: free, and flagged."""
    ledger = books()
    for status, document, hour in (("completed", rendered(), 12), ("failed", failed(), 13), ("completed", rendered(), 14)):
        ledger.reconcile(row(status, document, f"{hour}:00"))

    assert Decimal(0) == ledger.net("j-1")
    assert ["repeat-after-refund"] == ledger.anomalies("j-1")


def test_a_repeat_marks_the_job_row_as_any_event_does():
    """It speaks for the row while nothing later than itself is known."""
    policy, ledger = example(IGNORED), books()
    ledger.deliver(rendered(at="10:00"), failed(at="10:30"))

    for at, marks in (("10:05", False), ("10:30", True), ("10:40", True)):
        assessment = assess(Envelope(rendered(at=at), Source.EVENT), policy)
        decision = decide(assessment, log_of(ledger.entries_of("j-1")), Standing.ASSUMED_COVERED, policy)

        assert (decision.mark is not None) == marks


# --- edits of the policy ---


def test_a_repeat_under_a_policy_that_no_longer_ignores_it_stays_known():
    """Whenever it was told before the edit: neither moves anything."""
    ledger = books()
    ledger.deliver(rendered(at="10:00"), failed(at="10:02"), rendered(at="10:05"))

    ledger.policy = example()

    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(rendered(at="10:05"), rendered(at="10:00"))
    assert Decimal(0) == ledger.net("j-1")


def test_a_repeat_under_a_policy_that_has_come_to_ignore_it_is_no_new_charge():
    """It was charged before the edit, and refunded; a webhook comes once more. It is flagged, and known from then on."""
    ledger = Books(example(), {"u-1": Decimal(1000)})
    ledger.deliver(rendered(at="10:00"), failed(at="10:02"))

    ledger.policy = example(IGNORED, ('"0.10"', '"0.20"'))
    ledger.deliver(rendered(at="10:05"))

    assert Decimal(0) == ledger.net("j-1")
    assert ["repeat-after-refund"] == ledger.anomalies("j-1")
    assert [Outcome.DUPLICATE] * 3 == ledger.deliver(rendered(at="10:05"), rendered(at="10:00"), rendered(at="11:00"))
    assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]


def test_a_charge_keeps_its_amount_where_another_policy_tells_it_earlier():
    """0.80 at the first telling; at twice the price the earlier one, told after the edit, changes only the instant."""
    ledger = books()
    ledger.deliver(rendered(at="12:00"), failed(at="11:00"))

    ledger.policy = example(IGNORED, ('"0.10"', '"0.20"'), ("percent: 100", "percent: 50"))
    ledger.deliver(rendered(at="10:00"))

    assert Decimal(0) == ledger.net("j-1")
    assert Decimal("0.80") == ledger.entries_of("j-1")[-1].facts.charges[0].amount
    assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]


def test_another_rule_tells_another_charge_also_after_an_edit():
    """An upscale says what the render said. An edit of a price in between makes it no repeat of the render."""
    upscale = (
        "  - name: refund-failed\n",
        "  - name: upscaled\n    match: {detail-type: [video.upscaled]}\n    action: debit\n    repeats: ignore\n"
        "    charge: {price: render-second, quantity: detail.seconds}\n  - name: refund-failed\n",
    )
    upscaled = event("video.upscaled", rendered()["detail"], "12:00")
    for rate, net in (("0.10", "-0.80"), ("0.20", "-1.60")):
        ledger = Books(example(IGNORED, upscale), {"u-1": Decimal(1000)})
        ledger.deliver(rendered(), failed(at="11:00"))
        ledger.policy = example(IGNORED, upscale, ('"0.10"', f'"{rate}"'))

        assert [Outcome.DEBITED, Outcome.DUPLICATE] == ledger.deliver(upscaled, upscaled)
        assert Decimal(net) == ledger.net("j-1")


def test_a_flat_charge_is_no_repeat_of_a_render_that_says_as_much():
    """The event of the copy has all that the price of the render asked, and prices were edited in between."""
    copy = (
        "  - name: refund-failed\n",
        "  - name: copied\n    match: {detail-type: [video.copied]}\n    action: debit\n    repeats: ignore\n"
        '    charge: {amount: "0.07"}\n  - name: refund-failed\n',
    )
    for before in ((), (IGNORED,)):
        ledger = Books(example(*before, copy), {"u-1": Decimal(1000)})
        ledger.deliver(rendered(), failed(at="11:00"))
        ledger.policy = example(*before, copy, ('"0.10"', '"0.20"'))
        ledger.deliver(event("video.copied", rendered()["detail"], "12:00"))

        assert Decimal("-0.07") == ledger.net("j-1")


def test_a_rule_with_another_name_knows_what_it_told_under_the_old_one():
    """The old rule is gone, so that its charges are those of whichever rule tells the same."""
    ledger = books()
    ledger.deliver(rendered(at="10:00"), failed(at="10:02"))

    ledger.policy = example(IGNORED, ("name: debit-rendered", "name: debit"))

    ledger.deliver(rendered(at="10:05"))
    assert Decimal(0) == ledger.net("j-1")


@pytest.mark.parametrize("before", [(IGNORED,), ()])
def test_a_repeat_after_an_edit_is_known_whatever_the_row_says_by_then(before: tuple[tuple[str, str], ...]):
    """The old rule is gone, or had yet to ignore repeats. The row had 8 seconds at the first telling, which is refunded."""
    by_row = ("quantity: detail.seconds", "quantity: row.seconds")
    ledger = Books(example(*before, by_row), {"u-1": Decimal(1000)})
    ledger.store.jobs["j-1"] = {"jobId": "j-1", "userId": "u-1", "seconds": 8}
    ledger.deliver(rendered(at="10:00"), failed(at="10:02"))

    ledger.policy = example(IGNORED, by_row, ("name: debit-rendered", "name: debit"))
    ledger.store.jobs["j-1"]["seconds"] = 5
    ledger.deliver(rendered(at="10:05"))

    assert Decimal(0) == ledger.net("j-1")
    ledger.deliver({**rendered(at="10:06"), "detail": {**rendered()["detail"], "model": "premium"}})
    assert Decimal("-1.25") == ledger.net("j-1")  # another model is another charge: 5 x 0.25


def test_a_scan_reads_what_was_asked_before_an_edit_and_takes_other_work_for_no_repeat():
    """Rendered, failed, rendered again, whose event is lost: 50 frames, 5 were rendered before; today 50 seconds, x 0.10."""
    ledger = books(("quantity: detail.seconds", "quantity: detail.frames"))
    first = {**rendered(at="10:00"), "detail": {**rendered()["detail"], "frames": 5}}
    ledger.deliver(first, failed(at="10:30"))

    ledger.policy = example(IGNORED)
    done = {"jobId": "j-1", "userId": "u-1", "status": "completed", "model": "veo-3", "updatedAt": instant("11:00")}
    again, other = ({**done, "seconds": 50, "frames": frames} for frames in (5, 50))

    for row_of_now, net in ((again, "0"), (other, "-5.00"), (other, "-5.00")):
        scanned = row_event(ledger.policy, row_of_now, instant("12:00"))
        assert scanned is not None
        ledger.reconcile(scanned)
        assert Decimal(net) == ledger.net("j-1")


def test_where_repeats_are_not_ignored_any_more_a_scan_is_in_doubt_about_what_it_has_not_read():
    """Frames are asked no more: the row is taken for a repeat of what was refunded; its own event is another charge."""
    ledger = books(("quantity: detail.seconds", "quantity: detail.frames"))
    ledger.deliver({**rendered(at="10:00"), "detail": {**rendered()["detail"], "frames": 5}}, failed(at="10:30"))

    ledger.policy = example()
    other = {**rendered(at="11:00")["detail"], "frames": 50}
    scanned = row_event(ledger.policy, {**other, "status": "completed", "updatedAt": instant("11:00")}, instant("12:00"))
    assert scanned is not None
    assert Outcome.FLAGGED == ledger.reconcile(scanned)
    assert Decimal(0) == ledger.net("j-1")

    ledger.deliver({**rendered(at="11:00"), "detail": other})
    assert Decimal("-0.80") == ledger.net("j-1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("    action: debit\n", "    action: debit\n    repeats: count\n"), "`count` is not known"),
        (("    action: refund\n", "    action: refund\n    repeats: ignore\n"), "`repeats` has no meaning in a refund rule"),
    ],
)
def test_repeats_stand_in_a_debit_rule_alone(change: tuple[str, str], message: str):
    """A refund counts by its instant, a purchase by its reference."""
    with pytest.raises(PolicyError) as raised:
        example(change)

    assert message in str(raised.value)


def test_the_reasons_say_that_repeats_are_ignored():
    """Of the event alone nobody sees whether it is one."""
    ignored = "  its repeats are ignored: of charges that say the same the earliest counts"

    assert [True, False] == [ignored in list(reasons_for(rendered(), example(*c)).lines()) for c in ((IGNORED,), ())]


def test_the_words_of_a_recount_say_which_charge_is_the_latest():
    """The other one's repeats are still known."""
    ledger = books()
    ledger.deliver(rendered(at="10:00"), rendered(seconds=5, at="11:00"))

    steps = recount(ledger.entries_of("j-1"))[1].steps
    assert "charged 0.5000 at 2026-01-05T11:00:00Z" in steps
    assert "an earlier one of 0.8000 at 2026-01-05T10:00:00Z: the latest counts" in steps
