"""Any mixture of events, repetitions, scans, changing rows and changing balances ends in the same books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.events import failed, instant, rendered
from tests.support.examples import tries
from tests.support.policies import example
from tests.support.steps import Steps

EVENTS = [
    rendered(seconds=8, at="10:00"),
    failed(at="11:00"),
    rendered(seconds=9, at="12:00"),
    failed(at="13:00", error="slow"),
]
"""What really happened to the job, in its own order."""

HALF_WHEN_SLOW = (
    "  - name: refund-failed",
    "  - name: refund-half\n    match: {detail: {error: [slow]}}\n    action: refund\n    refund: {percent: 50}\n"
    "  - name: refund-failed",
)

POLICIES = {
    overdraft: example(HALF_WHEN_SLOW, ("overdraft: flag", f"overdraft: {overdraft}"))
    for overdraft in ("flag", "refuse", "allow")
}

ACTIONS = st.one_of(
    st.integers(0, len(EVENTS) - 1).map(lambda number: ("deliver", number)),
    st.integers(0, len(EVENTS) - 1).map(lambda number: ("write the row", number)),
    st.just(("scan", 0)),
    st.integers(0, 3).map(lambda tenths: ("grant", tenths)),
)


def row_after(number: int) -> dict[str, Any]:
    """Return the job's row as the application writes it with the event of this number."""
    document = EVENTS[number]
    status = "completed" if document["detail-type"] == "video.rendered" else "failed"
    return {**document["detail"], "status": status, "updatedAt": instant(document["time"])}


def act(steps: Steps, kind: str, number: int) -> None:
    """Let one thing happen."""
    if kind == "deliver":
        steps.deliver(EVENTS[number])
    elif kind == "write the row":
        steps.ledger.rows["j-1"] = {**steps.ledger.rows.get("j-1", {}), **row_after(number)}
    elif kind == "scan":
        steps.scan()
    else:
        steps.ledger.balances["u-1"] += Decimal(number) / 10


@tries(400)
@given(st.sampled_from(sorted(POLICIES)), st.integers(0, 20), st.lists(ACTIONS, max_size=14))
def test_any_mixture_ends_in_the_same_books(overdraft: str, tenths: int, actions: list[tuple[str, int]]) -> None:
    """Once all is told and the balance suffices, the job costs half of its last render: 0.45."""
    steps = Steps(POLICIES[overdraft], balance=str(Decimal(tenths) / 10))
    granted = steps.ledger.balances["u-1"] + sum((Decimal(n) / 10 for kind, n in actions if kind == "grant"), Decimal(100))

    for kind, number in actions:
        act(steps, kind, number)
    steps.ledger.balances["u-1"] += 100
    act(steps, "write the row", len(EVENTS) - 1)
    steps.deliver(*EVENTS)
    steps.scan()

    entries = steps.ledger.lines("j-1")
    assert Decimal("-0.45") == sum(entry.amount for entry in entries)
    assert granted - Decimal("0.45") == steps.ledger.balances["u-1"]
    assert list(range(1, len(entries) + 1)) == [entry.sequence for entry in entries]
    assert ({}, 0) == (steps.scan().outcomes, steps.scan().marked)
