"""Which try of its job a telling is of, read off the policy's file: where `event.attempt` numbers them, and else the 0th."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DECIDING = frozenset({"debit", "refund"})
NUMBERED = DECIDING | {"hold"}
"""What is told of a grant is of no attempt."""


def number_asked(rule: Mapping[str, Any], policy: Mapping[str, Any]) -> list[str]:
    """Name what an event that a rule decides over is asked for its attempt, where it is."""
    return [policy["event"]["attempt"]] if rule["action"] in NUMBERED and "attempt" in policy["event"] else []


def attempt_of(said: Mapping[str, str], rule: Mapping[str, Any], policy: Mapping[str, Any]) -> int:
    """Return the attempt that an event says it is of, where it is asked."""
    return next((int(said[name]) for name in number_asked(rule, policy)), 0)


def attempt_beside(new: Any, told: Mapping[str, Any], policy: Mapping[str, Any]) -> int:
    """Return the attempt of a claim: the 0th where it is no later than what was told without numbers, or has no time."""
    asked = {*number_asked(new.rule, policy)}
    old = [claim for claim in _kept(told) if not asked & claim.expressions]
    at = max((claim.fact.at for claim in old if not claim.fact.weak), default=None)
    is_old = bool(old) if new.fact.weak else at is not None and new.fact.at <= at
    return 0 if asked and is_old else int(new.attempt)


def _kept(told: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the charges and refunds of the 0th attempt that are not forgotten, since a later one counts in their place."""
    debits, refunds = ([claim for claim in told[action] if claim.attempt == 0] for action in ("debit", "refund"))
    has_time = any(not claim.fact.weak for claim in (*debits, *refunds))
    ends = [claim.fact.at for claim in debits if claim.fact.weak is not has_time and not claim.once]
    yield from (claim for claim in debits if claim.fact.weak is not has_time and (claim.once or claim.fact.at == max(ends)))
    ends = [claim.fact.at for claim in refunds if not (claim.fact.weak or "within" in claim.rule["refund"])]
    yield from (claim for claim in refunds if claim.fact.weak or not ends or claim.fact.at >= max(ends))
