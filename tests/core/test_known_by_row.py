"""What is known again where prices, rows of jobs, repeats and edits of the policy meet. Each story was once told wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.audit.recount import recount
from engine.domain.decision import Outcome
from engine.policy import Policy, parse_policy
from engine.reconcile.job_rows import row_event
from tests.support.books import Books
from tests.support.events import event, failed
from tests.support.policies import example

POLICY = """\
version: 1
name: providers
event: {event}
prices:
  plan:
    - {{effective: 2025-01-01T00:00:00Z, by: row.plan, rates: {{default: "0.10"}}}}
    - {{effective: 2026-01-05T12:00:00Z, by: row.plan, rates: {{default: "0.30"}}}}
rules:
  - name: render
    match: {{detail-type: [rendered]}}
    action: debit
    {repeats}charge:
      price: plan
      quantity: {quantity}
  - name: extend
    match: {{detail-type: [extended]}}
    action: debit
    charge:
      components:
        - price: plan
          quantity: {quantity}
        - amount: "0.25"
  - {{name: buy, match: {{detail-type: [bought]}}, action: grant, grant: {{amount: "50"}}}}
  - {{name: back, match: {{detail-type: [returned]}}, action: revoke, revoke: {{amount: "{back}", series: {series}}}}}
overdraft: allow
"""
EVENT = "{job: detail.jobId, user: detail.userId, time: time, reference: detail.order}"


def policy(
    *, repeats: bool = False, quantity: str = "detail.n", event: str = EVENT, back: str = "row.back", series: str = "back"
) -> Policy:
    """Return a policy whose rates are selected by the job's row."""
    ignore = "repeats: ignore\n    " * repeats
    return parse_policy(
        POLICY.format(repeats=ignore, quantity=quantity, event=event, back=back, series=series), "providers.yaml"
    )


def books(of: Policy, **row: Any) -> Books:
    """Return books whose store has the row of job j-1."""
    ledger = Books(of)
    ledger.store.jobs["j-1"] = {"jobId": "j-1", "plan": "pro", "back": 2, "seconds": 3, **row}
    return ledger


def told(kind: str, at: str, **detail: Any) -> dict[str, Any]:
    """Return an event of job j-1 and order o-1."""
    return event(kind, {"jobId": "j-1", "userId": "u-1", "order": "o-1", **detail}, at)


@pytest.mark.parametrize("kinds", [("rendered", "extended"), ("extended", "rendered")])
def test_two_rules_whose_price_reads_the_row_tell_two_charges_of_one_instant(kinds: tuple[str, str]) -> None:
    """4 at 0.10, and the same with 0.25 more: the smaller counts, whichever comes first."""
    ledger = books(policy())

    ledger.deliver(*(told(kind, "10:00", n=4) for kind in kinds))

    assert Decimal("-0.40") == ledger.net("j-1")
    assert ["conflicting-charge"] == ledger.anomalies("j-1")


@pytest.mark.parametrize("hours", [("10:00", "13:00"), ("13:00", "10:00")])
def test_an_ignored_repeat_costs_what_its_own_time_says_while_the_row_stays(hours: tuple[str, str]) -> None:
    """4 at 0.10, the rate until noon: the earliest telling counts, in whatever order they come."""
    ledger = books(policy(repeats=True))

    ledger.deliver(*(told("rendered", hour, n=4) for hour in hours))

    assert Decimal("-0.40") == ledger.net("j-1")


def test_an_event_whose_time_the_row_moves_to_another_price_is_known():
    """It is the same event: the charge of its first telling stays."""
    ledger = books(policy(event=EVENT.replace("time: time", "time: row.at")), at="2026-01-05T10:00:00Z")
    rendered = told("rendered", "10:00", n=4)
    ledger.deliver(rendered)

    ledger.store.jobs["j-1"]["at"] = "2026-01-05T13:00:00Z"

    assert [Outcome.DUPLICATE] == ledger.deliver(rendered)
    assert [("debit", "-0.4000")] == ledger.lines("j-1")


def test_an_edit_that_adds_repeats_and_asks_something_else_makes_nothing_known_new():
    """A charge of 0.80 under the old policy; the new one would ask only 0.40 for the event, which is known."""
    ledger = books(policy(quantity="detail.frames"))
    rendered = told("rendered", "10:00", n=4, frames=8)
    ledger.deliver(rendered)

    ledger.policy = policy(repeats=True)

    ledger.deliver(rendered)
    assert Decimal("-0.80") == ledger.net("j-1")
    assert [] == ledger.anomalies("j-1")


def test_an_edit_that_adds_repeats_knows_a_charge_again_although_the_row_has_changed():
    """The repeat of 12:30 would cost 1.20 as another charge; when the row changes back it is the same repeat."""
    ledger = books(policy())
    ledger.deliver(told("rendered", "10:00", n=4))
    ledger.policy, repeat = policy(repeats=True), told("rendered", "12:30", n=4)

    for plan in ("base", "pro"):
        ledger.store.jobs["j-1"]["plan"] = plan
        ledger.deliver(repeat)
        assert Decimal("-0.40") == ledger.net("j-1")


BY_NUMBER, BY_FRAMES = policy(repeats=True), policy(repeats=True, quantity="detail.frames")
AT_ONE_INSTANT = [
    (BY_NUMBER, told("rendered", "12:00", n=40, frames=15)),
    (BY_FRAMES, told("rendered", "12:00", n=41, frames=15)),
    (BY_NUMBER, told("rendered", "11:00", n=40, frames=15)),
]
ONE_BEFORE = [
    (BY_NUMBER, told("rendered", "11:00", n=41, frames=15)),
    (BY_FRAMES, told("rendered", "12:00", n=40, frames=15)),
]


@pytest.mark.parametrize("history", [AT_ONE_INSTANT, ONE_BEFORE])
def test_an_event_that_says_what_two_known_charges_say_moves_the_right_one(
    history: list[tuple[Policy, dict[str, Any]]],
) -> None:
    """15 frames at 0.30 count, at 12:00. An earlier 40 is a repeat of the other 40; and an event told again moves neither."""
    ledger = books(BY_NUMBER)
    for ledger.policy, document in history:
        ledger.deliver(document)
    assert Decimal("-4.50") == ledger.net("j-1")

    for ledger.policy in (BY_NUMBER, BY_FRAMES):
        for ledger.store.jobs["j-1"]["plan"] in ("base", "pro"):
            ledger.deliver(*(document for _, document in history))
            assert Decimal("-4.50") == ledger.net("j-1")


@pytest.mark.parametrize("hours", [("11:00", "12:00"), ("12:00", "11:00")])
def test_an_edit_that_renames_a_series_takes_no_credits_twice(hours: tuple[str, str]) -> None:
    """Of 50 the later step of the two has taken 2; under the other name neither is new, nor is the earlier."""
    ledger = books(policy(back="detail.back"))
    steps = [told("returned", hour, back=2 if hour == "12:00" else 4) for hour in hours]
    ledger.deliver(told("bought", "10:00"), *steps)
    assert Decimal(48) == ledger.net("grant#o-1")

    ledger.policy = policy(back="detail.back", series="other")

    assert [Outcome.DUPLICATE, Outcome.DUPLICATE] == ledger.deliver(*steps)
    assert Decimal(48) == ledger.net("grant#o-1")


MIXED = "multiply(detail.n, row.seconds)"


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("numbers", [(1, 5), (5, 1)])
def test_events_that_say_different_numbers_are_two_where_the_row_is_a_factor(
    *, repeats: bool, numbers: tuple[int, int]
) -> None:
    """1 x 3 seconds at 0.10 is the smaller, whichever comes first."""
    ledger = books(policy(quantity=MIXED, repeats=repeats))

    ledger.deliver(*(told("rendered", "10:00", n=n) for n in numbers))

    assert Decimal("-0.30") == ledger.net("j-1")
    assert ["conflicting-charge"] == ledger.anomalies("j-1")


def test_other_work_is_no_repeat_where_the_row_is_a_factor():
    """It is charged at 5 x 3 seconds; told again after the row has changed it is known."""
    ledger = books(policy(quantity=MIXED, repeats=True))
    second = told("rendered", "11:00", n=5)
    ledger.deliver(told("rendered", "10:00", n=1), second)

    ledger.store.jobs["j-1"]["seconds"] = 30

    assert [Outcome.DUPLICATE, Outcome.DUPLICATE] == ledger.deliver(second, told("rendered", "11:30", n=5))
    assert Decimal("-1.50") == ledger.net("j-1")


@pytest.mark.parametrize("numbers", [(1, 5), (5, 1)])
def test_revokes_of_one_instant_are_two_where_the_row_is_a_factor(numbers: tuple[int, int]) -> None:
    """Of 50, 5 x 3 are taken back: the larger counts, whichever comes first, and stays when the row has changed."""
    ledger = books(policy(back=MIXED))
    steps = [told("returned", "11:00", n=n) for n in numbers]
    ledger.deliver(told("bought", "10:00"), *steps)

    ledger.store.jobs["j-1"]["seconds"] = 1

    assert [Outcome.DUPLICATE, Outcome.DUPLICATE] == ledger.deliver(*steps)
    assert Decimal(35) == ledger.net("grant#o-1")


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        ("multiply(detail.n, row.seconds)", ["detail.n"]),
        ('multiply(detail.sizes[1], detail."in-all", row.seconds)', ['detail."in-all"', "detail.sizes[1]"]),
        ("detail.seconds || row.seconds", []),
        ("row.seconds", []),
        ("multiply(detail.n, `2`)", []),
    ],
)
def test_what_the_event_said_beside_the_row_is_kept(quantity: str, said: list[str]) -> None:
    """An event that needs no row keeps what it always kept; what it does not say is not kept."""
    ledger = books(policy(quantity=f"'{quantity}'"))
    ledger.deliver(told("rendered", "10:00", n=4, sizes=[1, 2], **{"in-all": 3}))

    (entry,) = ledger.entries_of("j-1")
    assert [*sorted({*said, quantity, "row.plan"})] == [expression for expression, _ in entry.facts.charges[0].content]


def test_a_failure_overrules_what_a_row_without_a_time_said_and_that_agrees() -> None:
    """The row charged 8 x 0.10; the failure, which has a time, takes its place, and all goes back."""
    ledger = Books(example())
    row = {"jobId": "j-1", "userId": "u-1", "status": "completed", "seconds": 8, "model": "veo-3"}
    scanned = row_event(ledger.policy, row, "2026-01-06T00:00:00Z")
    assert scanned is not None
    ledger.reconcile(scanned)
    ledger.deliver(failed())

    assert [("debit", "-0.8000"), ("refund", "0.8000")] == ledger.lines("j-1")
    assert [(), ()] == [counted.problems for counted in recount(ledger.entries_of("j-1"))]
