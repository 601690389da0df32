"""``low_balance``: when a balance is low, and when it is so no longer. Mistakes are told in their line."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.domain.errors import PolicyError
from engine.policy import parse_policy
from engine.policy.model import LowBalanceBounds
from engine.policy.schema import policy_schema
from tests.support.policies import EXAMPLE

LINE = EXAMPLE.count("\n") + 1
"""The line behind the example."""


def bounds(written: str) -> LowBalanceBounds | None:
    """Return the bounds of a policy that ends with this line."""
    return parse_policy(f"{EXAMPLE}{written}\n", "example.yaml").low_balance


def test_a_policy_that_says_nothing_of_balances_tells_nothing():
    """The key may be left out."""
    assert bounds("") is None


@pytest.mark.parametrize(
    ("written", "below", "recovered"),
    [
        ('low_balance: {below: "5", recovered: "10"}', "5", "10"),
        ("low_balance: {below: 0.50}", "0.50", "0.50"),
        ("low_balance: {below: 5, recovered: 5}", "5", "5"),
    ],
)
def test_a_balance_recovers_where_the_policy_says_so_or_where_it_was_low(written: str, below: str, recovered: str):
    """Digit by digit."""
    assert LowBalanceBounds(Decimal(below), Decimal(recovered)) == bounds(written)


@pytest.mark.parametrize(
    ("remaining", "was_low", "is_low"),
    [
        ("4.9999", False, True),
        ("5", False, False),
        ("5", True, True),
        ("9.9999", True, True),
        ("10", True, False),
        ("-3", False, True),
    ],
)
def test_a_balance_between_the_bounds_stays_what_it_was(remaining: str, was_low: bool, is_low: bool):  # noqa: FBT001
    """Low below 5; recovered from 10 on."""
    assert is_low is LowBalanceBounds(Decimal(5), Decimal(10)).is_low(Decimal(remaining), was_low=was_low)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("low_balance: 5", "14: is `5`; write a mapping with below, recovered"),
        ("low_balance: {}", "14: `below` is missing"),
        ("low_balance: {below: 5, under: 4}", "25: `under` is not known here"),
        ("low_balance: {below: -1}", "22: is '-1'; write a plain decimal from 0 to 10^28"),
        ("low_balance: {below: 5, recovered: 4.9}", "36: `recovered` is 4.9; write 5, which is `below`, or more"),
    ],
)
def test_a_wrong_bound_is_refused(written: str, expected: str):
    """In its line and column."""
    with pytest.raises(PolicyError) as refusal:
        bounds(written)
    mistake = refusal.value.mistakes[0]
    assert f"{LINE}:{expected}" == f"{mistake.line}:{mistake.column}: {mistake.message}"[: len(f"{LINE}:{expected}")]


def test_an_editor_knows_the_bounds():
    """The key, its two members, and that one of them has to be there."""
    of = policy_schema()["properties"]["low_balance"]
    assert (["below", "recovered"], ["below"]) == (list(of["properties"]), of["required"])
