"""Steps of the decision in another order: each is asked, at the wrong moment."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve

from engine.domain.decision import Decision, Guard, Outcome, Standing
from engine.domain.entry_types import EntryType
from engine.policy.model import UnknownUser
from engine.rating import decide
from engine.reconcile import settle
from tests.simulation.mutants.mutant import Mutant, staged


def _refuses_first(old: Any) -> Any:
    """Whether the balance covers a charge is asked before whether there is such a user."""

    def decision(assessment: Any, now: Any, policy: Any) -> Decision:
        told: Decision = old(assessment, now, evolve(policy, unknown_user=UnknownUser.FLAG))
        return told if told.outcome is Outcome.REFUSED else old(assessment, now, policy)

    return decision


def _knows_first(old: Any) -> Any:
    """What is known is a duplicate, whoever tells it."""

    def deciding(assessment: Any, log: Any, standing: Any, policy: Any) -> Decision:
        if log.user is not None and assessment.user != log.user:
            told: Decision = old(evolve(assessment, user=log.user), log, standing, policy)
            if told.outcome is Outcome.DUPLICATE:
                return told
        return old(assessment, log, standing, policy)

    return deciding


def _guards_by_the_first(old: Any) -> Any:
    """The guard is chosen before the balance is known."""
    return lambda entry, _standing, policy: old(entry, Standing.ASSUMED_COVERED, policy)


def _asks_no_more(old: Any) -> Any:
    """Once the balance was too small nobody asks whether it still is."""

    def guard(entry: Any, standing: Any, policy: Any) -> Guard:
        return Guard.EXISTS if standing is Standing.NOT_COVERED else old(entry, standing, policy)

    return guard


def _flags_first(old: Any) -> Any:
    """What the policy flags is a flag before it is a charge."""

    def decision(assessment: Any, now: Any, policy: Any) -> Decision:
        told: Decision = old(assessment, now, policy)
        if told.entry is None or not assessment.anomalies:
            return told
        flag = evolve(told.entry, type=EntryType.FLAG, amount=Decimal(0))
        return evolve(told, outcome=Outcome.FLAGGED, entry=flag, guard=Guard.NONE)

    return decision


def _refuses_before_it_knows(old: Any) -> Any:
    """A charge that waits is refused before it is asked whether it is known."""

    def refuse(entry: Any, assessment: Any, *, known: bool) -> Decision:
        del known
        return old(entry, assessment, known=False)

    return refuse


def _counts_before_it_joins(old: Any) -> Any:
    """What the job costs is worked out before the event's fact is joined."""

    def cost(known: Any, log: Any, money: Any) -> Decimal:
        return log.cost if log.sequence else old(known, log, money)

    return cost


MUTANTS: Mapping[str, Mutant] = {
    "a charge is refused before its user is asked for": Mutant(decide, "_decision", _refuses_first),
    "a duplicate is known before its user is asked for": Mutant(settle, "decide", _knows_first),
    "the guard is chosen before the balance is known": Mutant(
        decide, "guard_of", _guards_by_the_first, one_in=60, shows_in=staged("j-soon-")
    ),
    "a balance that was too small is not asked again": Mutant(
        decide, "guard_of", _asks_no_more, one_in=100, shows_in=staged("j-soon-")
    ),
    "a flag comes before the decision": Mutant(decide, "_decision", _flags_first),
    "a charge is refused before it is known": Mutant(decide, "_refuse", _refuses_before_it_knows),
    "the cost is worked out before facts join": Mutant(decide, "cost_of", _counts_before_it_joins),
}
"""By what they do wrong."""
