"""Which attempt an event is of on a log that was begun before the policy numbered attempts. Pure.

Of what was told then nobody knows the attempt: it is of attempt 0. An event of those days that is told again must not count as
a later attempt, also where the log has forgotten it, since a later fact of those days counted. Where one with a number did, or
an earlier hold, it names its attempt as any other event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from attrs import evolve

from engine.domain.assessment import Assessment
from engine.domain.fact import Charge, Refund
from engine.domain.facts import Facts
from engine.policy.model import Policy


def beside_unnumbered(assessment: Assessment, known: Facts, policy: Policy) -> Assessment:
    """Return what an event tells beside ``known`` facts: of attempt 0 where it is not later than all that has no number.

    So is what a row without a time of its own says, wherever something has no number: when that was nobody knows. Which hold
    has expired the run knows, whenever it looks.
    """
    path = policy.fields.attempt
    if path is None or not assessment.attempt or assessment.fact.expiries or 0 not in known.attempts:
        return assessment
    strong, weak = (known.charges, known.refunds), (known.weak_charges, known.weak_refunds)
    told_at = [*_unnumbered(strong, path.text)]
    if assessment.time_is_assumed:
        is_old = bool(told_at) or any(_unnumbered(weak, path.text))
    else:
        is_old = any(assessment.at <= at for at in told_at)
    return evolve(assessment, fact=assessment.fact.in_attempt(0, ())) if is_old else assessment


def _unnumbered(told: Iterable[tuple[Charge | Refund, ...]], asked: str) -> Iterator[datetime]:
    """Yield the instants of the facts whose event was not asked for its attempt."""
    return (fact.at for facts in told for fact in facts if fact.attempt == 0 and asked not in dict(fact.content))
