"""Which try of its job a telling is of, read off the policy's file: where `event.attempt` numbers them, and else the 0th."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMBERED = frozenset({"debit", "refund"})
"""What is told of a grant is of no attempt."""


def number_asked(rule: Mapping[str, Any], policy: Mapping[str, Any]) -> list[str]:
    """Name what an event that a rule decides over is asked for its attempt, where it is."""
    return [policy["event"]["attempt"]] if rule["action"] in NUMBERED and "attempt" in policy["event"] else []


def attempt_of(said: Mapping[str, str], rule: Mapping[str, Any], policy: Mapping[str, Any]) -> int:
    """Return the attempt that an event says it is of, where it is asked."""
    return next((int(said[name]) for name in number_asked(rule, policy)), 0)
