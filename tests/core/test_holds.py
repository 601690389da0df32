"""Holds: credits reserved before the work begins. Each amount is worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.domain.decision import Outcome
from engine.domain.envelope import Document, Source
from engine.domain.errors import EventError
from engine.policy import Policy, parse_policy
from engine.rating.expire import expiry_of
from engine.reconcile.settle import EventProposal, settle
from tests.support.books import Books
from tests.support.events import event
from tests.support.examples import part
from tests.support.repricing import repriced

POLICY = """\
version: 1
name: holds
event: {{job: detail.jobId, user: detail.userId, time: time, attempt: detail.attempt}}
prices:
  second: [{{effective: 2025-01-01T00:00:00Z, rates: {{default: "0.1"}}}}]
rules:
  - name: submitted
    match: {{detail-type: [submitted]}}
    action: hold
    hold: {{price: second, quantity: detail.seconds, expires: 2h{hold}}}
  - {{name: rendered, match: {{detail-type: [rendered]}}, action: debit, charge: {{price: second, quantity: detail.seconds}}}}
  - {{name: failed, match: {{detail-type: [failed]}}, action: refund, refund: {{percent: detail.percent}}}}
overdraft: {overdraft}
"""


def policy(hold: str = "", overdraft: str = "flag") -> Policy:
    """Return a policy whose second costs 0.1, held or charged."""
    return parse_policy(POLICY.format(hold=hold, overdraft=overdraft), "holds.yaml")


def told(kind: str, minute: int, attempt: int = 0, *, name: str = "", user: str = "u-1", **detail: object) -> Document:
    """Return an event of job j-1, at so many minutes past ten."""
    said = {"jobId": "j-1", "userId": user, "attempt": attempt, **detail}
    return {**event(kind, said, f"10:{minute:02}"), "id": name or f"{kind}-{minute}-{attempt}-{detail}"}


def held(minute: int, seconds: int, attempt: int = 0, name: str = "") -> Document:
    """Return a request to hold what so many seconds cost."""
    return told("submitted", minute, attempt, seconds=seconds, name=name)


def rendered(minute: int, seconds: int, attempt: int = 0) -> Document:
    """Return a render of so many seconds."""
    return told("rendered", minute, attempt, seconds=seconds)


def failed(minute: int, attempt: int = 0, percent: int = 100) -> Document:
    """Return a failure that gives so many percent back."""
    return told("failed", minute, attempt, percent=percent)


def books(balance: str = "100", **changes: str) -> Books:
    """Return empty books of a user with that balance."""
    return Books(policy(**changes), {"u-1": Decimal(balance)})


def expire(ledger: Books, attempt: int = 0) -> Outcome | None:
    """Let the scheduled run find the hold of an attempt due, if it is open."""
    log = ledger.store.read("job#j-1", ledger.run.deadline)
    if (hold := log.facts.hold) is None or hold.attempt != attempt:
        return None
    assessment = expiry_of(hold, "j-1", log.user or "", hold.expires_at + timedelta(minutes=5))
    return settle(EventProposal(assessment, ledger.policy, ledger.store, log), ledger.store, ledger.run.deadline)[0].outcome


def row(ledger: Books) -> tuple[str, str, str]:
    """Return what the user's row says: what can be spent, what is held, what was posted in all."""
    row = ledger.store.balance("u-1", ledger.run.deadline) or {}
    return tuple(format(row.get(name, Decimal(0)).normalize(), "f") for name in ("remaining", "held", "posted"))


def test_a_hold_is_made_settled_and_what_is_too_much_goes_back():
    """8 seconds are held, 6 were rendered."""
    ledger = books()

    assert [Outcome.HELD] == ledger.deliver(held(0, 8))
    assert ("99.2", "0.8", "-0.8") == row(ledger)
    assert [Outcome.SETTLED] == ledger.deliver(rendered(5, 6))
    assert ("99.4", "0", "-0.6") == row(ledger)
    assert [("hold", "-0.8000"), ("settle", "0.2000")] == ledger.lines("j-1")


def test_a_failure_releases_a_hold_and_so_does_its_expiry():
    """Whatever the times say: the failure here is dated before the hold."""
    ledger, other = books(), books()
    ledger.deliver(held(10, 8), failed(5))
    other.deliver(held(0, 8))

    assert Outcome.RELEASED is expire(other)
    for each in (ledger, other):
        assert ("100", "0", "0") == row(each)
        assert [("hold", "-0.8000"), ("release", "0.8000")] == each.lines("j-1")
        assert [Outcome.CLOSED] == each.deliver(held(20, 5))


def test_a_reservation_whose_story_comes_a_second_after_the_failure_holds_nothing():
    """The failure is told first, the reservation that it belongs to a second later."""
    ledger = books()

    assert [Outcome.VOIDED, Outcome.CLOSED] == ledger.deliver(failed(5), held(0, 8))
    assert ("100", "0", "0") == row(ledger)


def test_of_several_requests_of_one_attempt_the_earliest_counts():
    """Later ones say nothing new, an earlier one takes the place of what was held; of one instant the smallest counts."""
    ledger = books()

    assert [Outcome.HELD, Outcome.DUPLICATE, Outcome.DUPLICATE] == ledger.deliver(held(5, 8), held(6, 20), held(5, 8))
    assert [Outcome.HELD] == ledger.deliver(held(3, 10))
    assert ("99", "1", "-1") == row(ledger)
    assert [Outcome.HELD] == ledger.deliver(held(3, 4))
    assert ("99.6", "0.4", "-0.4") == row(ledger)


def test_a_hold_above_a_charged_attempt_holds_what_it_costs_more():
    """The first attempt was charged 0.5; 0.8 are held for the second, which fails and gives all of it back."""
    ledger = books()
    ledger.deliver(rendered(0, 5), held(10, 8, attempt=1))
    assert ("99.2", "0.3", "-0.8") == row(ledger)

    ledger.deliver(failed(20, attempt=1, percent=40))

    assert ("99.7", "0", "-0.3") == row(ledger)


def test_a_hold_below_a_charged_attempt_never_pays_out():
    """The first attempt was charged 0.8; the hold of 0.5 for the second costs nothing more, and gives nothing."""
    ledger = books()

    assert [Outcome.DEBITED, Outcome.HELD] == ledger.deliver(rendered(0, 8), held(10, 5, attempt=1))
    assert ("99.2", "0", "-0.8") == row(ledger)
    expire(ledger, attempt=1)
    assert ("99.2", "0", "-0.8") == row(ledger)


def test_a_refund_of_the_attempt_below_leaves_the_hold_as_it_is():
    """What was charged there becomes part of what is held."""
    ledger = books()
    ledger.deliver(rendered(0, 5), held(10, 8, attempt=1), failed(1))

    assert ("99.2", "0.8", "-0.8") == row(ledger)
    assert [("debit", "-0.5000"), ("hold", "-0.3000"), ("void", "0")] == ledger.lines("j-1")


def test_a_hold_that_the_balance_does_not_cover_is_refused_and_stays_refused():
    """The request is known by its event's id; the next one is a new one."""
    ledger = books("0.5")

    assert [Outcome.REFUSED, Outcome.REFUSED] == ledger.deliver(held(0, 8, name="e-1"), held(0, 8, name="e-1"))
    ledger.store.credits["u-1"]["remaining"] = Decimal(10)
    assert [Outcome.REFUSED, Outcome.HELD] == ledger.deliver(held(0, 8, name="e-1"), held(1, 8, name="e-2"))
    assert ("9.2", "0.8", "-0.8") == row(ledger)
    assert [("flag", "0"), ("hold", "-0.8000")] == ledger.lines("j-1")
    assert ["overdraft"] == ledger.anomalies("j-1")


def test_whoever_asks_again_and_again_does_not_fill_the_log():
    """After fifty refused requests the next are refused too, and not kept: told again, such a one is judged anew."""
    ledger = books("0.5")
    requests = [held(0, 8, name=f"e-{number}") for number in range(120)]

    assert {Outcome.REFUSED} == set(ledger.deliver(*requests))
    assert 50 == len(ledger.lines("j-1"))
    ledger.balances["u-1"] += 1
    assert [Outcome.REFUSED, Outcome.HELD] == ledger.deliver(requests[49], requests[50])
    assert [Outcome.SETTLED] == ledger.deliver(rendered(5, 6))
    assert ("0.9", "0", "-0.6") == row(ledger)


def test_a_refused_request_names_no_user_for_the_job():
    """Somebody else's request comes first and is refused; the job is not that user's."""
    ledger = books("0.5")
    ledger.store.credits["u-2"] = {"userId": "u-2", "remaining": Decimal(0)}

    ledger.deliver(told("submitted", 0, user="u-2", seconds=3))

    assert [Outcome.HELD] == ledger.deliver(held(1, 4))


def test_a_hold_may_be_allowed_to_overdraw():
    """So the rule says it, whatever the policy says of debits."""
    ledger = books("0.5", hold=", overdraft: allow", overdraft="refuse")

    assert [Outcome.HELD] == ledger.deliver(held(0, 8))
    assert ("-0.3", "0.8", "-0.8") == row(ledger)


def test_a_charge_above_its_hold_that_the_balance_does_not_cover_takes_what_was_held():
    """1.2 cost, 0.8 were held and 0.1 is left: the rest of 0.4 stays due until the balance covers it."""
    ledger = books("0.9", overdraft="refuse")

    assert [Outcome.HELD, Outcome.REFUSED] == ledger.deliver(held(0, 8), rendered(5, 12))
    assert ("0.1", "0", "-0.8") == row(ledger)
    ledger.store.credits["u-1"]["remaining"] = Decimal(1)
    assert [Outcome.DEBITED] == ledger.deliver(rendered(5, 12))
    assert ("0.6", "0", "-1.2") == row(ledger)
    assert [("hold", "-0.8000"), ("settle", "0"), ("debit", "-0.4000")] == ledger.lines("j-1")


def test_what_a_refusal_left_due_is_not_taken_by_a_hold_or_its_release():
    """0.5 of the first attempt stay due; 0.3 more are held for the second and given back."""
    ledger = books("0.4", overdraft="refuse")

    ledger.deliver(rendered(0, 5), held(10, 8, attempt=1))
    assert ("0.1", "0.3", "-0.3") == row(ledger)
    expire(ledger, attempt=1)
    assert ("0.4", "0", "0") == row(ledger)


def test_what_a_refusal_left_due_is_not_taken_by_another_request_of_the_same_instant():
    """0.2 of the first attempt stay due beside a hold of 0.4 for the second. The larger request moves nothing."""
    ledger = books("0.4", overdraft="refuse")
    ledger.deliver(held(10, 4, attempt=1), rendered(0, 6))
    ledger.store.credits["u-1"]["remaining"] = Decimal(5)

    assert [Outcome.FLAGGED] == ledger.deliver(held(10, 8, attempt=1))
    assert ("5", "0", "-0.4") == row(ledger)
    assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]
    assert [Outcome.DEBITED] == ledger.deliver(rendered(0, 6))
    assert ("4.8", "0", "-0.6") == row(ledger)


def test_a_hold_of_a_numbered_attempt_expires_beside_what_has_no_number():
    """While the policy did not number them a render came that is dated after the run: the hold is of its own attempt still."""
    ledger = books()
    ledger.deliver(held(0, 8, attempt=1))
    numbered = ledger.policy
    ledger.policy = parse_policy(numbered_no_longer(), "holds.yaml")
    ledger.deliver({**rendered(0, 3), "time": "2026-01-05T15:00:00Z"})
    ledger.policy = numbered

    assert Outcome.RELEASED == expire(ledger, attempt=1)
    assert ("99.7", "0", "-0.3") == row(ledger)


def numbered_no_longer() -> str:
    """Return the policy's text without its attempts."""
    return POLICY.format(hold="", overdraft="flag").replace(", attempt: detail.attempt", "")


def test_a_hold_that_stands_longer_and_comes_while_another_expires_is_not_released():
    """The run has read of one that is over. Before it says so an earlier request comes, which an edit lets stand longer."""
    ledger = books()
    ledger.deliver(held(10, 8))
    log = ledger.store.read("job#j-1", ledger.run.deadline)
    ledger.policy = parse_policy(POLICY.format(hold="", overdraft="flag").replace("2h", "9h"), "holds.yaml")
    ledger.deliver(held(5, 8))
    told = expiry_of(log.facts.hold, "j-1", "u-1", log.facts.hold.expires_at + timedelta(minutes=5))

    settled, _ = settle(EventProposal(told, ledger.policy, ledger.store, log), ledger.store, ledger.run.deadline)

    assert Outcome.CLOSED is settled.outcome
    assert ("99.2", "0.8", "-0.8") == row(ledger)


def test_a_hold_needs_the_id_of_its_event():
    """A request that was refused is known by it."""
    document = held(0, 8)
    del document["id"]

    with pytest.raises(EventError, match="field id: is missing; a hold needs the id of its event"):
        books().deliver(document)


def test_a_plan_of_new_prices_leaves_what_is_held_as_it_is(tmp_path: Path):
    """Of a log that has not moved it reads the last entry alone, which says what moved then and not what is held in all."""
    ledger, dearer = books(), parse_policy(POLICY.format(hold="", overdraft="flag").replace('"0.1"', '"0.2"'), "holds.yaml")
    ledger.deliver(held(0, 8), rendered(5, 6))

    assert repriced(ledger.store, dearer, tmp_path / "plan.jsonl").is_whole
    assert ("98.8", "0", "-1.2") == row(ledger)


def test_a_release_gives_back_no_more_than_was_posted():
    """2.8 of the first attempt were never paid when it failed: all 4.5 are held for the second then, and 1.7 are posted."""
    ledger = books("0.5", overdraft="refuse")
    ledger.deliver(held(0, 2), rendered(5, 30))
    ledger.store.credits["u-1"]["remaining"] += Decimal(2)
    ledger.deliver(held(10, 45, attempt=1), failed(7))
    assert ("0.8", "4.5", "-1.7") == row(ledger)

    expire(ledger, attempt=1)

    assert ("2.5", "0", "0") == row(ledger)
    assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]


def test_a_hold_of_nothing_that_ends_in_a_refusal_is_a_settle_as_any_other():
    """A person has conceded what it would have cost; the charge is dearer than the balance."""
    ledger = books("0", hold=", minimum: 0", overdraft="refuse")

    ledger.deliver(held(0, 0), rendered(5, 6))

    assert [("hold", "0"), ("settle", "0")] == [
        (kind, str(Decimal(amount).normalize())) for kind, amount in ledger.lines("j-1")
    ]
    assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]


def test_a_hold_that_may_overdraw_goes_through_for_somebody_who_has_no_row():
    """Whatever the policy says of debits: its own word counts, and the row comes into being."""
    text = POLICY.format(hold=", overdraft: allow", overdraft="refuse") + "unknown_user: flag\n"
    ledger = Books(parse_policy(text, "holds.yaml"), {})

    assert [Outcome.HELD] == ledger.deliver(held(0, 8))
    assert ("-0.8", "0.8", "-0.8") == row(ledger)


# --- the answer -------------------------------------------------------------------------------------------------------


def asked(ledger: Books, document: Document) -> dict[str, object]:
    """Return what a request is answered: its outcome, the amount that moved, and what it is told of the user's credits."""
    answer = ledger.run.reconciler.event(document, Source.EVENT, ledger.run.deadline).answer()
    return {name: answer.get(name) for name in ("outcome", "amount", "held", "remaining", "missing")}


def test_a_request_is_answered_with_what_is_held_what_is_left_and_what_is_missing():
    """1.2 credits: 0.8 are held, 0.5 more are not there; told again, and once the work is done."""
    ledger = books("1.2")
    first, second = held(0, 8), {**held(1, 5), "id": "e-2"}
    second["detail"] = {**second["detail"], "jobId": "j-2"}

    said = [("held", "-0.8000", "0.8000", "0.4000", None), ("refused", "0", "0", "0.4000", "0.1000")]
    assert said == [tuple(asked(ledger, each).values()) for each in (first, second)]
    assert ("duplicate", None, "0.8000", "0.4000", None) == tuple(asked(ledger, first).values())
    ledger.deliver(rendered(5, 8))
    assert ("closed", None, "0.0000", "0.4000", None) == tuple(asked(ledger, held(9, 3)).values())


# --- in any order -----------------------------------------------------------------------------------------------------

AMOUNTS = {"submitted": 8, "rendered": 6}


@st.composite
def tellings(draw: st.DrawFn) -> Document | int:
    """Draw what may be told of the job: an event of an attempt, or that its hold may be due."""
    kind, attempt = draw(st.sampled_from(["submitted", "rendered", "failed", "expiry"])), draw(st.integers(0, 2))
    if kind == "expiry":
        return attempt
    minute = draw(st.integers(0, 3))
    if kind == "failed":
        return failed(minute, attempt, draw(st.sampled_from([0, 50, 100])))
    return told(kind, minute, attempt, seconds=draw(st.sampled_from([4, 5, 8])))


def by_hand(events: Sequence[Document], expired: set[int]) -> tuple[Decimal, Decimal]:
    """Return what a job costs, and how much of that is held, by the rules alone."""
    below, held_amount = Decimal(0), None
    attempts = sorted({each["detail"]["attempt"] for each in events} | expired)
    for attempt in attempts:
        of_attempt = [each for each in events if each["detail"]["attempt"] == attempt]
        charges = [each for each in of_attempt if each["detail-type"] == "rendered"]
        refunds = [each for each in of_attempt if each["detail-type"] == "failed"]
        requests = [each for each in of_attempt if each["detail-type"] == "submitted"]
        held_amount = None
        since = ""
        if charges:
            since = max(each["time"] for each in charges)
            below = min(cost(each) for each in charges if each["time"] == since)
        in_time = [each for each in refunds if not charges or each["time"] >= since]
        if in_time:
            last = max(each["time"] for each in in_time)
            share = max(each["detail"]["percent"] for each in in_time if each["time"] == last)
            below = below * (100 - share) / 100
        if requests and not charges and not refunds and attempt not in expired:
            first = min(each["time"] for each in requests)
            held_amount = min(cost(each) for each in requests if each["time"] == first)
    total = below if held_amount is None else max(below, held_amount)
    return total, total - below


def cost(document: Document) -> Decimal:
    """A second costs 0.1."""
    return Decimal(document["detail"]["seconds"]) / 10


@pytest.mark.parametrize("examples", [150, pytest.param(part(5_000), marks=[pytest.mark.proof, pytest.mark.slow])])
def test_in_whatever_order_it_is_told_what_is_held_and_charged_is_what_the_rules_say(examples: int):
    """Each told once more at the end. That a hold has expired is told where the run finds it open."""

    @settings(max_examples=examples, deadline=None)
    @given(st.lists(tellings(), min_size=1, max_size=7), st.randoms(use_true_random=False))
    def holds(some: list[Document | int], chance: object) -> None:
        ledger, events, expired = books("1000"), list[Document](), set[int]()
        for telling in some:
            if isinstance(telling, int):
                outcome = expire(ledger, telling)
                expired |= {telling} if outcome is not None else set()
            else:
                ledger.deliver(telling)
                events.append(telling)
            total, held_amount = by_hand(events, expired)
            log = ledger.store.read("job#j-1", ledger.run.deadline)
            assert (-total, held_amount) == (log.posted, log.held)
        ledger.deliver(*events)

        assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]
        remaining, in_hand, posted = (Decimal(text) for text in row(ledger))
        assert (1000 - total, held_amount, -total) == (remaining, in_hand, posted)

    holds()


def test_every_order_of_a_whole_story_ends_alike():
    """Held, failed, held again for the second attempt, rendered: 0.6 in the end, and nothing held."""
    story = (held(0, 8), failed(5), held(6, 8, attempt=1), rendered(9, 6, attempt=1))
    for order in permutations(story):
        ledger = books()
        ledger.deliver(*order, *order)

        assert ("99.4", "0", "-0.6") == row(ledger)
