"""What a policy that holds most likely says by mistake is warned of, in its line; what is meant is not."""

from __future__ import annotations

import pytest

from engine.domain.errors import PolicyError
from engine.policy import parse_policy

HOLDS = """\
version: 1
name: holds
event: {job: detail.jobId, user: detail.userId, time: time, attempt: detail.attempt}
prices:
  second: [{effective: 2025-01-01T00:00:00Z, rates: {default: "0.1"}}]
  frame: [{effective: 2025-01-01T00:00:00Z, rates: {default: "0.01"}}]
rules:
  - name: submitted
    match: {source: [video], detail-type: [submitted]}
    action: hold
    hold: {price: second, quantity: detail.seconds, minimum: 1, maximum: 9, expires: 2h}
  - name: rendered
    match: {source: [video], detail-type: [rendered]}
    action: debit
    charge: {price: second, quantity: detail.seconds, minimum: 1, maximum: 9}
  - name: drawn
    match: {source: [video], detail-type: [drawn]}
    action: debit
    charge: {price: frame, quantity: detail.frames}
  - name: failed
    match: {source: [video], detail-type: [failed]}
    action: refund
    refund: {percent: 100}
catch_up:
  - {when: {status: [completed]}, event: {source: video, detail-type: rendered, time: updatedAt}}
"""
NO_ATTEMPT = (", attempt: detail.attempt", "")
NO_CHARGE = (
    "action: debit\n    charge: {price: second, quantity: detail.seconds, minimum: 1, maximum: 9}",
    "action: flag\n    reason: look",
)
NO_FRAMES = ("action: debit\n    charge: {price: frame, quantity: detail.frames}", "action: flag\n    reason: look")
NO_PRICE = ('  frame: [{effective: 2025-01-01T00:00:00Z, rates: {default: "0.01"}}]\n', "")


def told(*changes: tuple[str, str]) -> list[str]:
    """Return what is told of the policy with some texts replaced, each with its place."""
    text = HOLDS
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return [f"{warning.line}:{warning.column}: {warning.message}" for warning in parse_policy(text, "holds.yaml").warnings]


def test_a_policy_that_holds_and_says_nothing_of_its_events_has_that_mistake_alone() -> None:
    """What warnings look at may be missing: then they say nothing."""
    with pytest.raises(PolicyError, match="`event` is missing"):
        told(("event: {job: detail.jobId, user: detail.userId, time: time, attempt: detail.attempt}\n", ""))


def test_a_policy_that_holds_what_it_charges_is_told_nothing() -> None:
    """A flat amount may be held for whatever work, and so may more than it costs at most."""
    assert [] == told()
    assert [] == told(("hold: {price: second, quantity: detail.seconds, minimum: 1, maximum: 9,", 'hold: {amount: "5",'))
    assert [] == told(("minimum: 1, maximum: 9, expires", "minimum: 2, maximum: 20, expires"))
    assert [] == told(("minimum: 1, maximum: 9, expires", "minimum: 1, expires"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [NO_CHARGE, NO_FRAMES, NO_PRICE, ("detail-type: rendered, time", "detail-type: failed, time")],
            ["10:11: no rule has `action: debit`: nothing settles what is held, so that all of it goes back"],
        ),
        (
            [NO_ATTEMPT],
            [
                "11:11: without `event.attempt` a job is held for once: after a failure (`failed` in line 20) "
                "another request for it is closed"
            ],
        ),
        ([NO_ATTEMPT, ("action: refund\n    refund: {percent: 100}", "action: flag\n    reason: look")], []),
        (
            [("expires: 2h", "expires: 4s")],
            ["11:86: is 4 s: clocks that differ by `clock.skew`, 5 s, let it expire at once"],
        ),
        ([("expires: 2h", "expires: 5s")], []),
        (
            [("hold: {price: second", "hold: {price: frame"), NO_FRAMES],
            ["11:19: is priced by `frame`, by which no debit rule charges: another amount is held than is due"],
        ),
        (
            [("minimum: 1, maximum: 9, expires", "expires")],
            ["11:11: may hold less than is due: `rendered` in line 12 has `minimum` 1"],
        ),
        (
            [("minimum: 1, maximum: 9, expires", "minimum: 1, maximum: 8, expires")],
            ["11:74: may hold less than is due: `rendered` in line 12 has `maximum` 9"],
        ),
        (
            [("minimum: 1, maximum: 9}", "minimum: 1}")],
            ["11:74: may hold less than is due: `rendered` in line 12 has no `maximum`"],
        ),
        (
            [("detail-type: rendered", "detail-type: submitted")],
            ["25:42: `submitted` in line 8 takes these rows, and cannot hold: a row has no `id`, which a hold needs"],
        ),
    ],
    ids=[
        "nothing settles it",
        "a job that may be tried again has one hold",
        "a job that is never refunded",
        "it ends at once",
        "it ends when clocks may differ no more",
        "it has the prices of other work",
        "it has no minimum",
        "it has a lower maximum",
        "the charge has no maximum",
        "rows that it takes",
    ],
)
def test_what_is_most_likely_not_meant_is_told_in_its_line(changes: list[tuple[str, str]], expected: list[str]) -> None:
    """Each by itself."""
    assert expected == told(*changes)
