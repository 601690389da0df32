"""A second policy beside the first: what it would have posted is told, agrees with a plan, and moves nothing."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from engine.domain.envelope import Envelope, Source
from engine.policy import Policy
from engine.rating.beside import Beside
from engine.reconcile.shadow import SLOW_MAX, SecondPolicy
from engine.runtime.clock import Clock
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tests.support.shadows import BY_FRAMES, DEARER, FINISHED, NO_DEFAULT, NOW, Shaded, broken, refusing

HALF_BACK = example(("refund: {percent: 100}", "refund: {percent: 50}"))


def told(*each: Any) -> list[tuple[str, str, str]]:
    """Return what was told of a shadow as (outcome, amount, difference)."""
    return [(one["outcome"], one["amount"], one["difference"]) for one in each]


# --- event by event ---------------------------------------------------------------------------------------------------


def test_a_price_that_would_be_higher_is_told_beside_what_was_posted() -> None:
    """Eight seconds at 0.10 were charged; at 0.12 they would have been 0.96."""
    shaded = Shaded(NOW, DEARER)

    shadow, *_ = shaded.deliver(rendered(seconds=8))

    assert {
        "policy": DEARER.identity,
        "outcome": "debited",
        "rule": "debit-rendered",
        "amount": "-0.9600",
        "difference": "-0.1600",
    } == shadow
    assert "-0.8000" == shaded.lines[0]["amount"]


def test_the_figures_are_in_the_same_line_as_all_others() -> None:
    """One embedded metric document for each event, as ever."""
    shaded = Shaded(NOW, DEARER)

    shaded.deliver(rendered(seconds=8))

    (line,) = shaded.lines
    names = {metric["Name"]: metric["Unit"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert {"ShadowPosted": 1, "ShadowDiffers": 1, "ShadowRejected": 0, "ShadowDifference": -0.16} == {
        name: line[name] for name in names if name.startswith("Shadow")
    }
    assert ("None", "Count") == (names["ShadowDifference"], names["ShadowDiffers"])


def test_a_refund_gives_back_what_the_shadow_would_have_charged() -> None:
    """The charge is priced anew from what its entry has kept, by the rule that the log names."""
    shadows = Shaded(NOW, DEARER).deliver(rendered(seconds=8), failed())

    assert [("debited", "-0.9600", "-0.1600"), ("refunded", "0.9600", "0.1600")] == told(*shadows)


def test_another_share_is_told_at_the_refund() -> None:
    """Half of 0.80 goes back under the second policy, all of it under the first."""
    shadows = Shaded(NOW, HALF_BACK).deliver(rendered(seconds=8), failed())

    assert [("debited", "-0.8000", "0.0000"), ("refunded", "0.4000", "-0.4000")] == told(*shadows)


def test_a_failure_that_came_first_is_remembered_at_its_other_share() -> None:
    """The late charge is 0.80 less a half under the second policy, and nothing under the first."""
    shadows = Shaded(NOW, HALF_BACK).deliver(failed(at="11:00"), rendered(seconds=8, at="10:00"))

    assert [("voided", "0", "0"), ("debited", "-0.4000", "-0.4000")] == [
        (one["outcome"], one["amount"].replace("0.0000", "0"), one["difference"].replace("0.0000", "0")) for one in shadows
    ]


def test_an_event_that_comes_again_is_told_once() -> None:
    """However often it comes, and by whatever door."""
    shaded = Shaded(NOW, DEARER)
    first = rendered(seconds=8)

    shadows = shaded.deliver(first, first)
    shaded.batch([first, first])

    assert shadows[1] is None
    assert Decimal("-0.96") == shaded.shadowed
    assert (1, 3) == (shaded.count("ShadowPosted"), shaded.count("Duplicates"))


def test_a_batch_tells_what_its_events_would_tell_one_by_one() -> None:
    """Of several events of one job each rests on the one before."""
    events = [rendered(), failed(), rendered("j-2", seconds=30), rendered("j-1", at="12:00", seconds=5)]
    together, alone = Shaded(NOW, DEARER), Shaded(NOW, DEARER)

    assert [] == together.batch(events)
    alone.deliver(*events)

    assert alone.shadows == together.shadows
    assert [] == together.unknown


def test_what_neither_policy_takes_has_no_shadow() -> None:
    """Nor does it cost a metric."""
    assert [None] == Shaded(NOW, DEARER).deliver(event("video.queued", {"jobId": "j-1"}))


def test_an_event_that_the_second_policy_passes_by_would_have_moved_nothing() -> None:
    """It is told, with all of what was posted as the difference."""
    (shadow,) = Shaded(NOW, FINISHED).deliver(rendered(seconds=8))

    assert {"policy": FINISHED.identity, "outcome": "ignored", "amount": "0", "difference": "0.8000"} == shadow


def test_an_event_that_makes_no_sense_to_the_second_policy_would_come_back() -> None:
    """Its price book has neither a row for the model nor a default: nothing is posted there, and it says why."""
    shaded = Shaded(NOW, NO_DEFAULT)

    (shadow,) = shaded.deliver(rendered(seconds=8))

    assert shadow is not None
    assert ("error", "0", "0.8000") == (shadow["outcome"], shadow["amount"], shadow["difference"])
    assert "field detail.model" in shadow["why"]
    assert 1 == shaded.count("ShadowRejected")


def test_a_charge_that_waits_for_a_balance_waits_in_the_shadow_too() -> None:
    """It is posted there when it is posted here: by the event that finds the balance."""
    now, then = (refusing(policy) for policy in (NOW, DEARER))
    shaded = Shaded(now, then, balances={"u-1": Decimal("0.5")})
    first = rendered(seconds=8)

    (refused,) = shaded.deliver(first)
    shaded.store.credits["u-1"]["remaining"] = Decimal(10)
    (posted,) = shaded.deliver(first)

    assert [("refused", "0", "0"), ("debited", "-0.9600", "-0.1600")] == told(refused, posted)


# --- what nobody can know ---------------------------------------------------------------------------------------------


def test_what_the_entry_has_not_kept_is_not_guessed() -> None:
    """The second policy asks for frames, which the first has never asked for: the charge is told, its refund is not."""
    shaded = Shaded(NOW, BY_FRAMES)

    charged, refunded = shaded.deliver(rendered(frames=192), failed())

    assert ("debited", "-19.2000") == (charged["outcome"], charged["amount"])  # type: ignore[index]
    assert {
        "policy": BY_FRAMES.identity,
        "outcome": "unknown",
        "why": "rule `debit-rendered`: `detail.frames` was not kept",
    } == refunded
    assert 1 == shaded.count("ShadowUnknown")


ABOVE_ALL = (
    "rules:\n",
    "rules:\n  - name: sharp\n    match: {detail-type: [video.rendered], detail: {resolution: [4k]}}\n    action: debit\n"
    '    charge: {amount: "7"}\n',
)
"""A rule for what no entry of the first policy keeps."""
ONLY_PREMIUM = ("detail-type: [video.rendered]}\n", "detail-type: [video.rendered], detail: {model: [premium]}}\n")
WITHIN_AN_HOUR = ("refund: {percent: 100}", "refund: {percent: 100, within: 1h}")
ONCE = ("action: debit\n", "action: debit\n    repeats: ignore\n")


def test_which_rule_took_an_earlier_event_is_not_guessed_either() -> None:
    """When it came, its resolution was there; when its refund comes, nobody knows it any more."""
    shaded = Shaded(NOW, example(ABOVE_ALL))

    charged, refunded = shaded.deliver(rendered(resolution="4k"), failed())

    assert ("sharp", "-7.0000") == (charged["rule"], charged["amount"])  # type: ignore[index]
    assert ["whether rule `sharp` takes it depends on what was not kept"] == shaded.unknown
    assert "unknown" == refunded["outcome"]  # type: ignore[index]


def test_what_a_charge_has_replaced_that_the_second_policy_passes_by_is_not_known() -> None:
    """There the refund would be of the charge of 10:00, which the ledger has given up for that of 12:00."""
    shaded = Shaded(NOW, example(ONLY_PREMIUM))

    shadows = shaded.deliver(rendered(at="10:00", model="premium"), rendered(at="12:00"), failed(at="13:00"))

    assert ["debited", "ignored", "unknown"] == [shadow["outcome"] for shadow in shadows if shadow]
    assert ["what it would have replaced is not known any more"] == shaded.unknown


def test_a_failure_that_came_first_has_the_window_of_the_second_policy() -> None:
    """The charge was two hours old: nothing of it goes back there."""
    _, late = Shaded(NOW, example(WITHIN_AN_HOUR)).deliver(failed(at="12:00"), rendered(seconds=8, at="10:00"))

    assert [("debited", "-0.8000", "-0.8000")] == told(late)


def test_a_failure_that_another_has_taken_the_place_of_is_not_known_where_it_would_count() -> None:
    """Of two failures without a window the later is kept; with a window the earlier would be the one in time."""
    shaded = Shaded(NOW, example(WITHIN_AN_HOUR))

    *_, late = shaded.deliver(failed(at="10:30"), failed(at="12:00"), rendered(seconds=8, at="10:00"))

    assert "unknown" == late["outcome"]  # type: ignore[index]
    assert ["refunds before one that has a window now are not known any more"] == shaded.unknown


@pytest.mark.parametrize(("now", "then"), [(ONCE, None), (None, ONCE)])
def test_where_one_policy_ignores_repeats_and_the_other_does_not_a_known_charge_is_not_told_again(
    now: tuple[str, str] | None, then: tuple[str, str] | None
) -> None:
    """Of repeats the one keeps the earliest and the other the latest."""
    policies = [example(*([edit] if edit else [])) for edit in (now, then)]
    shaded = Shaded(*policies)

    charged, refunded = shaded.deliver(rendered(), failed())

    assert ("debited", "unknown") == (charged["outcome"], refunded["outcome"])  # type: ignore[index]
    assert "ignore repeats" in shaded.unknown[0]


def test_a_rule_that_both_policies_have_was_passed_by_then_as_well() -> None:
    """Nobody has kept the resolution; but the first policy has asked for it, and found another."""
    dearer = ('default: "0.10"', 'default: "0.12"')
    shaded = Shaded(example(ABOVE_ALL), example(ABOVE_ALL, dearer))

    _, refunded = shaded.deliver(rendered(seconds=8, resolution="hd"), failed())

    assert [("refunded", "0.9600", "0.1600")] == told(refunded)


def test_an_event_of_another_user_or_job_under_the_second_policy_is_not_told() -> None:
    """It would be posted on another log, of which nothing was read."""
    shaded = Shaded(NOW, example(("user: detail.userId", 'user: "detail.owner || detail.userId"')))

    ours, others = shaded.deliver(rendered(), rendered("j-2", owner="u-2"))

    assert ("debited", "unknown") == (ours["outcome"], others["outcome"])  # type: ignore[index]
    assert ["it finds another job, grant or user in the event"] == shaded.unknown


def test_where_another_time_counts_nothing_that_is_known_is_told_again() -> None:
    """The order of what was known may have been another."""
    shaded = Shaded(NOW, example(("time: time}\nmoney", "time: detail.at}\nmoney")))

    shaded.deliver(
        rendered(at="10:00"), event("video.failed", {"jobId": "j-1", "userId": "u-1", "at": "2026-01-05T12:00:00Z"})
    )

    assert "the policies read job, user or time of an event by different expressions" == shaded.unknown[-1]


def test_a_second_charge_that_waits_for_a_balance_hides_what_was_posted_before() -> None:
    """The first of 0.80 was posted, the second of 5.00 was not; when it is, nobody knows what the shadow had posted."""
    shaded = Shaded(refusing(NOW), refusing(DEARER), balances={"u-1": Decimal(1)})
    second = rendered(seconds=50, at="12:00")

    shaded.deliver(rendered(seconds=8), second)
    shaded.store.credits["u-1"]["remaining"] = Decimal(10)
    (late,) = shaded.deliver(second)

    assert ["debited", "refused", "unknown"] == [shadow["outcome"] for shadow in shaded.shadows]
    assert late == shaded.shadows[-1]
    assert ["what was posted before a refusal is not known any more"] == shaded.unknown


def test_a_row_of_which_a_scan_has_not_read_enough_is_not_told() -> None:
    """A scan asks the table for what the first policy looks at; the frames may well be there."""
    row = {"jobId": "j-1", "userId": "u-1", "status": "completed", "seconds": Decimal(8), "model": "veo-3"}
    found = Envelope({**rendered(), "detail": row}, Source.SCAN, status="completed", row=row)

    shaded = Shaded(NOW, BY_FRAMES)
    shaded.store.jobs["j-1"] = dict(row)
    shaded.deliver(found)

    assert ["it looks at attributes of the job's row that the scan did not read"] == shaded.unknown


def test_an_event_that_only_the_second_policy_takes_is_not_counted() -> None:
    """The ledger keeps nothing of it, so that a second delivery could not be told from the first."""
    shaded = Shaded(FINISHED, NOW)

    (shadow,) = shaded.deliver(rendered(seconds=8))

    assert shadow is not None
    assert ("unknown", "debit-rendered") == (shadow["outcome"], shadow["rule"])
    assert 0 == shaded.shadowed


def test_an_earlier_charge_that_the_ledger_has_passed_over_is_told_once_where_it_would_count() -> None:
    """The second policy passes by the later one, of which alone the ledger keeps the fact: told again it is not known."""
    shaded = Shaded(NOW, example(ONLY_PREMIUM))

    earlier = rendered(at="10:00", model="premium", seconds=8)

    shadows = shaded.deliver(rendered(at="12:00"), earlier, earlier)

    assert ["ignored", "debited", "unknown"] == [shadow["outcome"] for shadow in shadows if shadow]
    assert Decimal(-2) == shaded.shadowed
    assert "duplicate" == shaded.lines[2]["outcome"]


def test_a_row_that_was_not_read_is_not_read_for_the_shadow() -> None:
    """The second policy asks the job's row for the seconds. A policy that has read the row lends it."""
    other = example(("quantity: detail.seconds", "quantity: row.seconds"))
    dearer = example(("quantity: detail.seconds", "quantity: row.seconds"), ('default: "0.10"', 'default: "0.12"'))
    alone, lent = Shaded(NOW, other), Shaded(other, dearer)
    lent.store.jobs["j-1"] = {"jobId": "j-1", "userId": "u-1", "status": "completed", "seconds": Decimal(30)}

    (unread,) = alone.deliver(rendered())
    (read,) = lent.deliver(rendered())

    assert ("unknown", "`row.seconds` needs the job's row, which was not read") == (unread["outcome"], unread["why"])  # type: ignore[index]
    assert [("debited", "-3.6000", "-0.6000")] == told(read)


# --- it moves nothing, and nothing that is wrong with it does ---------------------------------------------------------

EVENTS = [rendered(), failed(), rendered("j-2", seconds=30), rendered("j-2", at="12:00", seconds=5), rendered()]


@pytest.mark.parametrize("then", [DEARER, HALF_BACK, broken()], ids=["dearer", "half back", "broken"])
def test_the_ledger_is_the_same_with_a_shadow_and_without(then: Policy) -> None:
    """Entries, balances and marks, to the byte; and every line but for what is told of the shadow."""
    with_shadow, without = Shaded(NOW, then), Shaded(NOW)

    for shaded in (with_shadow, without):
        shaded.deliver(*EVENTS[:2])
        shaded.batch(EVENTS[2:])

    assert (without.store.kept, without.store.credits) == (with_shadow.store.kept, with_shadow.store.credits)
    assert [bare(line) for line in without.lines] == [bare(line) for line in with_shadow.lines]
    assert [] == without.shadows != with_shadow.shadows


def bare(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line without what is told of the shadow."""
    return {name: value for name, value in line.items() if not name.lower().startswith("shadow") and name != "_aws"}


def test_a_fault_is_told_in_the_line_of_its_event_and_counted() -> None:
    """Each of them: the next event is asked about again."""
    shaded = Shaded(NOW, broken())

    shadows = shaded.deliver(rendered(), rendered("j-2"))

    assert ["failed", "failed"] == [shadow["outcome"] for shadow in shadows if shadow]
    assert all("Error" in shadow["why"] for shadow in shadows if shadow)
    assert (2, 2) == (shaded.count("ShadowErrors"), shaded.count("Debits"))


def test_a_fault_before_the_second_policy_is_asked_does_not_bring_the_event_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a known event may be news to the second policy is asked beside the first one's work, too."""
    shaded = Shaded(NOW, DEARER)
    monkeypatch.setattr("engine.reconcile.shadow.is_passed_over", None)

    assert [] == shaded.batch([rendered(), rendered()])
    assert ["debited", "failed"] == [shadow["outcome"] for shadow in shaded.shadows]
    assert "'NoneType' object is not callable" in shaded.shadows[1]["why"]
    assert (1, 1, 1) == tuple(shaded.count(name) for name in ("Debits", "Duplicates", "ShadowErrors"))


def test_a_clock_that_fails_the_second_policy_does_not_bring_the_event_back() -> None:
    """The clock of the first policy goes on."""
    stopped = evolve(Shaded(NOW).clock, steady=lambda: {}["now"])
    shaded = Shaded(NOW, shadow=SecondPolicy(Beside(NOW, DEARER), stopped))

    assert [] == shaded.batch([rendered()])
    assert [("failed", "KeyError: 'now'", 1)] == [
        (shadow["outcome"], shadow["why"], shaded.count("Debits")) for shadow in shaded.shadows
    ]


def test_a_second_policy_that_cannot_be_prepared_does_not_keep_a_container_from_its_start() -> None:
    """It has no index of its patterns: each event says so."""
    shaded = Shaded(NOW, evolve(DEARER, index=None))

    shaded.reconciler().prime(shaded.clock.deadline(60))

    assert ["failed"] == [shadow["outcome"] for shadow in shaded.deliver(rendered()) if shadow]


def test_a_second_policy_that_is_slow_is_asked_no_more() -> None:
    """After three answers of more than a quarter of a second; events are posted all the while."""
    steps = itertools.count(0, 0.3)  # each look at the clock is 0.3 s after the one before
    clock = Clock(Shaded(NOW).clock.now, lambda: next(steps), lambda _seconds: None)
    shaded = Shaded(NOW, shadow=SecondPolicy(Beside(NOW, DEARER), clock))

    shadows = shaded.deliver(*(rendered(f"j-{number}") for number in range(SLOW_MAX + 2)))

    assert [*["debited"] * SLOW_MAX, "failed", "failed"] == [shadow["outcome"] for shadow in shadows if shadow]
    assert SLOW_MAX + 2 == shaded.count("Debits")


def test_without_time_left_the_second_policy_is_not_asked() -> None:
    """The answer to the event comes first."""
    shaded = Shaded(NOW, DEARER)
    report = shaded.reconciler().settled(Envelope(rendered(), Source.EVENT), shaded.clock.deadline(60))

    shadow = SecondPolicy(Beside(NOW, DEARER), shaded.clock).beside(report, shaded.clock.deadline(0))

    assert shadow is not None
    assert ("unknown", "no time was left") == (shadow.outcome, shadow.why)
