"""Refunds by an amount of credits, and by what the event itself says; each net is worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from engine.audit.recount import recount
from engine.domain.decision import Outcome
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, PolicyError
from engine.policy import Policy
from engine.preview.reasons import reasons_for
from tests.support.books import Books
from tests.support.events import failed, instant, rendered
from tests.support.policies import example, example_text


def giving(refund: str, *changes: tuple[str, str]) -> Policy:
    """Return the example policy whose refund rule says this."""
    return example(("refund: {percent: 100}", f"refund: {{{refund}}}"), *changes)


def books(refund: str, *changes: tuple[str, str]) -> Books:
    """Return empty books over that policy. A render of 8 seconds costs 0.80."""
    return Books(giving(refund, *changes), {"u-1": Decimal(1000)})


@pytest.mark.parametrize(
    ("refund", "said", "net"),
    [
        ('amount: "0.30"', {}, "-0.50"),
        ('amount: "5"', {}, "0"),  # never above the charge
        ("amount: 0", {}, "-0.80"),
        ("amount: detail.credited", {"credited": 0.3}, "-0.50"),
        ("amount: detail.credited", {"credited": "0.3"}, "-0.50"),
        ("amount: detail.credited", {"credited": 12345678901234567890}, "0"),
        ("amount: detail.credited", {"credited": "0.33335"}, "-0.4666"),  # 0.3334 by half-even; 0.8000 - 0.3334
        ("percent: detail.share", {"share": 25}, "-0.60"),
        ("percent: detail.share", {"share": "12.5"}, "-0.70"),
        ("percent: detail.share", {"share": 0}, "-0.80"),
        ("percent: detail.share", {"share": 100}, "0"),
        ("percent: 50", {}, "-0.40"),
        ("percent: '50'", {}, "-0.40"),
    ],
)
def test_a_refund_gives_a_part_or_an_amount(refund: str, said: dict[str, Any], net: str):
    """Whichever of charge and refund comes first; and each entry follows from those before it."""
    for order in permutations((rendered(), failed(**said))):
        ledger = books(refund)
        ledger.deliver(*order, *order)

        assert Decimal(net) == ledger.net("j-1")
        assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]


@pytest.mark.parametrize(
    ("refund", "said", "message"),
    [
        ("percent: detail.share", {"share": 101}, "detail.share: is 101; a number from 0 to 100 is needed"),
        ("percent: detail.share", {}, "detail.share: is missing; a finite number >= 0 is needed"),
        ("percent: detail.share", {"share": -1}, "detail.share: is -1; a finite number >= 0 is needed"),
        ("percent: detail.share", {"share": True}, "detail.share: is True; a finite number >= 0 is needed"),
        ("amount: detail.credited", {"credited": "half"}, "detail.credited: is 'half'; a finite number >= 0 is needed"),
        ("amount: detail.credited", {"credited": 10**36}, "detail.credited: has more than the 38 digits"),
    ],
)
def test_an_event_whose_figure_makes_no_sense_comes_back(refund: str, said: dict[str, Any], message: str):
    """With the field, and what would be right."""
    with pytest.raises(EventError, match="rule refund-failed") as raised:
        books(refund).deliver(rendered(), failed(**said))

    assert message in str(raised.value)


def test_two_tellings_of_one_rule_and_one_instant_that_say_different_things_are_both_kept():
    """0.10, 0.50 and 0.30 go back of 0.80: 0.50 counts, in any order, however often each comes."""
    tellings = [failed(credited=credited) for credited in ("0.10", "0.50", "0.30")]
    for order in permutations([rendered(), *tellings]):
        ledger = books("amount: detail.credited")
        ledger.deliver(*order)

        assert Decimal("-0.30") == ledger.net("j-1")
        assert [Outcome.DUPLICATE] * 4 == ledger.deliver(*order)


def test_a_percent_and_an_amount_of_one_instant_are_compared_by_what_they_give():
    """Of 0.80 half is more than 0.30; of 0.40 (4 seconds) it is less."""
    second = "  - name: part\n    match: {detail-type: [video.failed]}\n    action: refund\n    refund: {percent: 50}\n"
    only_partial = (
        "match: {source: [video.generation], detail-type: [video.failed]}",
        "match: {detail-type: [video.failed], detail: {credited: [{exists: true}]}}",
    )
    changes = (only_partial, ("  - name: flag-test-renders", f"{second}  - name: flag-test-renders"))
    for seconds, net in ((8, "-0.40"), (4, "-0.10")):
        for order in permutations((rendered(seconds=seconds), failed(credited="0.30"), failed())):
            ledger = books("amount: detail.credited", *changes)
            ledger.deliver(*order)

            assert Decimal(net) == ledger.net("j-1")


def test_of_one_rule_and_one_instant_a_ninth_that_says_something_else_makes_no_sense():
    """Eight are kept, and each of them stays known."""
    ledger = books("amount: detail.credited")
    tellings = [failed(credited=f"0.{number}") for number in range(1, 9)]
    ledger.deliver(rendered(), *tellings)

    with pytest.raises(EventError, match="is of the same instant as 8 others"):
        ledger.deliver(failed(credited="0.9"))
    assert [Outcome.DUPLICATE] * 8 == ledger.deliver(*tellings)
    assert Decimal(0) == ledger.net("j-1")


@pytest.mark.parametrize(
    ("first", "net"), [("amount: detail.credited", "-0.60"), ("percent: detail.share", "-0.60"), ("percent: 50", "-0.40")]
)
@pytest.mark.parametrize("then", ['amount: "0.70"', "percent: detail.share", "percent: 10", "amount: detail.credited"])
def test_a_refund_that_is_told_again_after_an_edit_gives_what_it_gave(first: str, net: str, then: str):
    """0.20, a quarter or a half of 0.80, whatever the rule says today."""
    told = failed(credited="0.20", share=25)
    ledger = books(first)
    ledger.deliver(rendered(), told)

    ledger.policy = giving(then)

    assert [Outcome.DUPLICATE] == ledger.deliver(told)
    assert Decimal(net) == ledger.net("j-1")


def test_a_window_holds_for_an_amount_as_for_a_percent():
    """An hour and a second after the charge nothing goes back."""
    ledger = books("amount: detail.credited, within: 1h")
    late = {**failed(credited="0.30"), "time": "2026-01-05T11:00:01Z"}

    assert [Outcome.DEBITED, Outcome.VOIDED] == ledger.deliver(rendered(), late)
    assert [Outcome.REFUNDED] == ledger.deliver(failed(at="11:00", credited="0.30"))
    assert Decimal("-0.50") == ledger.net("j-1")


def failed_row(credited: str, started: str) -> Envelope:
    """Return a failed row of Jobs without a time of its own, read by a scan that started then."""
    document = {**failed(credited=credited), "time": instant(started)}
    return Envelope(document, Source.SCAN, status="failed", time_is_assumed=True)


def test_a_row_without_a_time_gives_its_own_figure():
    """0.30 at each scan. Once it says 0.50, the next scan gives that."""
    ledger = books("amount: detail.credited")
    ledger.deliver(rendered())

    for credited, started, net in (("0.30", "12:00", "-0.50"), ("0.30", "13:00", "-0.50"), ("0.50", "14:00", "-0.30")):
        ledger.reconcile(failed_row(credited, started))
        assert Decimal(net) == ledger.net("j-1")


def test_the_reasons_say_what_the_event_said_and_what_goes_back():
    """Before the charge is known, too."""
    lines = list(reasons_for(failed(credited="0.33335"), giving("amount: detail.credited, within: 1h")).lines())

    assert "  detail.credited is 0.33335" in lines
    assert any(line.startswith("  gives back 0.3334 credits of what the job was charged, if it is not") for line in lines)


def test_a_figure_may_be_worked_out_and_each_step_is_told():
    """Of 8 seconds 3 were not delivered: 37.5 % of 0.80 go back."""
    share = 'percent: "divide(multiply(detail.missing, `100`), detail.seconds)"'
    ledger = books(share)
    told = failed(missing=3, seconds=8)
    ledger.deliver(rendered(), told)

    assert Decimal("-0.50") == ledger.net("j-1")
    lines = list(reasons_for(told, giving(share)).lines())
    assert [
        "  multiply(detail.missing, `100`) is 3 x 100 = 300",
        "  divide(multiply(detail.missing, `100`), detail.seconds) is 300 / 8 = 37.5",
        "  gives back 37.5 % of what the job was charged: nothing, since the event is taken as the job's first",
    ] == [line for line in lines if "detail.missing" in line or "37.5" in line]


def test_the_recount_says_what_goes_back():
    """In credits where the policy says an amount."""
    ledger = books("amount: detail.credited")
    ledger.deliver(rendered(), failed(credited="0.3"))

    assert "0.3 credits back at 2026-01-05T11:00:00Z" in recount(ledger.entries_of("j-1"))[1].steps


@pytest.mark.parametrize(
    ("refund", "message"),
    [
        ("", "`percent` or `amount` is missing: how much goes back"),
        ("percent: 50, amount: 1", "`amount` has no meaning beside `percent`; write one of the two"),
        ("percent: 110", "write a plain decimal from 0 to 100"),
        ("percent: -5", "write a plain decimal from 0 to 100"),
        ("percent: 50%", "is '50%'; write a plain decimal from 0 to 100"),
        ("percent: 1e1", "write a plain decimal from 0 to 100"),
        ("amount: -1", "write a plain decimal from 0 to"),
        ('amount: "0.00001"', "`amount` 0.00001 has more than the 4 places of `money`"),
        ("amount: detail.", "is no JMESPath expression"),
        ("percent: [1]", "is a list; write a plain decimal from 0 to 100, or a JMESPath expression that finds it"),
        ("percent: ~", "is empty; write a plain decimal from 0 to 100, or a JMESPath expression that finds it"),
        ("share: 1, percent: 5", "`share` is not known here"),
    ],
)
def test_a_refund_that_is_wrong_is_refused_where_it_stands(refund: str, message: str):
    """In the line of the rule's `refund`."""
    with pytest.raises(PolicyError) as raised:
        giving(refund)

    assert [21] == [mistake.line for mistake in raised.value.mistakes]
    assert message in str(raised.value)


def test_the_line_is_that_of_the_refund():
    """So that the test above shows what it says."""
    assert "    refund: {percent: 100}" == example_text().splitlines()[20]
