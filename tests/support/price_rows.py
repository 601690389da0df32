"""Price books as they stand in a policy, and what is said of those that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import zip_longest

import pytest

from engine.domain.errors import PolicyError
from engine.policy import Policy, parse_policy
from engine.policy.price_books import PriceBook

START = datetime(2026, 1, 1, tzinfo=UTC)

HEAD = """\
version: 1
name: video
event: {job: detail.jobId, user: detail.userId, time: time, reference: detail.purchaseId}
"""
RULES = """\
rules:
  - name: debit-rendered
    match: {detail-type: [video.rendered]}
    action: debit
    charge: {price: seconds, quantity: detail.seconds}
"""

BASE = """\
prices:
  seconds:
    - effective: 2026-01-01T00:00:00Z
      by: [detail.model, detail.resolution]
      rates: {default: "0.10", old: "0.05", sora: {default: "0.12", 1080p: "0.30"}, wan: [{up_to: 10, rate: 1}, {rate: 2}]}
"""
"""Five lines, before the lines of a test."""


GAPS = (
    "prices:\n  seconds:\n    - {effective: 2026-01-01T00:00:00Z, until: 2026-02-01T00:00:00Z, rates: {default: 1}}\n"
    "    - {effective: 2026-03-01T00:00:00Z, until: 2026-04-01T00:00:00Z, rates: {default: 2}}\n"
)


def policy(prices: str, rules: str = RULES) -> Policy:
    """Return a policy with these prices. Raises PolicyError."""
    return parse_policy(f"{prices}{HEAD}{rules}", "p.yaml")


def book(prices: str) -> PriceBook:
    """Return the only book of these prices, which are fine and without a warning."""
    found = policy(prices)
    assert () == found.warnings
    return found.prices["seconds"]


def refused(prices: str, rules: str = RULES) -> list[str]:
    """Return what is wrong with prices, each with its place."""
    with pytest.raises(PolicyError) as refusal:
        policy(prices, rules)
    return [f"{mistake.line}:{mistake.column}: {mistake.message}" for mistake in refusal.value.mistakes]


def warned(prices: str) -> list[str]:
    """Return the warnings of prices that are fine, each with its place."""
    return [f"{warning.line}:{warning.column}: {warning.message}" for warning in policy(prices).warnings]


def begin_alike(expected: list[str], found: list[str]) -> bool:
    """Say whether each found text begins as expected, and none is left over."""
    return all(text.startswith(start or "\0") for start, text in zip_longest(expected, found, fillvalue=""))
