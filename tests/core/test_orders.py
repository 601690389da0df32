"""Order does not matter: every order of up to five events of a job ends in the same balance and the same net.

``make test`` tries each course of up to four events and one in eight of five; ``make proof`` tries all.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice, product
from typing import Any

import pytest

from engine.domain.assessment import Assessment
from engine.domain.envelope import Envelope, Source
from engine.policy import Policy
from engine.rating.assess import assess
from tests.support.books import Books
from tests.support.events import failed, rendered
from tests.support.policies import example

HALF_WHEN_SLOW = (
    "  - name: refund-failed",
    "  - name: refund-half\n    match: {detail: {error: [slow]}}\n    action: refund\n    refund: {percent: 50}\n"
    "  - name: refund-failed",
)

EVENTS: dict[str, dict[str, Any]] = {
    "8 s at 10:00": rendered(seconds=8, at="10:00"),
    "7 s at 10:00": rendered(seconds=7, at="10:00"),
    "5 s at 12:00": rendered(seconds=5, at="12:00"),
    "all back at 11:00": failed(at="11:00"),
    "half back at 11:00": failed(at="11:00", error="slow"),
    "half back at 12:00": failed(at="12:00", error="slow"),
    "all back at 13:00": failed(at="13:00"),
}

# What each combination must cost, worked out by hand from the rules alone: the latest charge (the smaller of one instant),
# the latest refund (the larger of one instant), and which of the two is later (the refund, if equal).
CHARGES = {"8 s at 10:00": ("10:00", "0.8"), "7 s at 10:00": ("10:00", "0.7"), "5 s at 12:00": ("12:00", "0.5")}
REFUNDS = {
    "all back at 11:00": ("11:00", 100),
    "half back at 11:00": ("11:00", 50),
    "half back at 12:00": ("12:00", 50),
    "all back at 13:00": ("13:00", 100),
}


def expected_net(names: frozenset[str]) -> Decimal:
    """Return what the ledger must hold for a job once these events are known."""
    charges = [CHARGES[name] for name in names & CHARGES.keys()]
    refunds = [REFUNDS[name] for name in names & REFUNDS.keys()]
    if not charges:
        return Decimal(0)
    charged_at = max(at for at, _ in charges)
    amount = min(Decimal(amount) for at, amount in charges if at == charged_at)
    if not refunds or max(refunds)[0] < charged_at:
        return -amount
    return -amount * (100 - max(refunds)[1]) / 100


def courses(length: int, every: int) -> Iterator[tuple[str, ...]]:
    """Yield every order of every choice of ``length`` events, repetitions included, or one in so many of them."""
    return islice(product(EVENTS, repeat=length), 0, None, every)


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Return the example policy with a refund of half beside the whole one."""
    return example(HALF_WHEN_SLOW)


@pytest.mark.parametrize(
    ("length", "every"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 8), pytest.param(5, 1, marks=pytest.mark.proof)]
)
def test_every_order_of_events_ends_in_the_same_balance(length: int, every: int, policy: Policy) -> None:
    """All 19,607 courses of up to five out of seven events, against figures that know no ledger."""
    wrong = []
    for course in courses(length, every):
        ledger = Books(policy, {"u-1": Decimal(100)})

        ledger.deliver(*(EVENTS[name] for name in course))

        expected = expected_net(frozenset(course))
        if (ledger.net("j-1"), ledger.balances["u-1"]) != (expected, 100 + expected):
            wrong.append((course, ledger.lines("j-1")))

    assert [] == wrong


def test_facts_join_in_any_grouping(policy: Policy) -> None:
    """(a + b) + c and a + (b + c) know the same charge and refund, and a + a is a."""
    facts = [assessed(document, policy).fact for document in EVENTS.values()]

    for a in facts:
        assert a == a.join(a)
        for b in facts:
            for c in facts:
                left, right = a.join(b).join(c), a.join(b.join(c))
                assert (left.charge, left.refunds) == (right.charge, right.refunds)


def assessed(document: dict[str, Any], policy: Policy) -> Assessment:
    """Return what the policy makes of an event that one of its rules matches."""
    assessment = assess(Envelope(document, Source.EVENT), policy)
    assert assessment is not None
    return assessment
