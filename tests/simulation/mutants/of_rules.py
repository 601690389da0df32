"""Bugs in what a job should cost: facts and how they join, prices, refunds, what is known already, recounting."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_UP, Decimal
from typing import Any

from attrs import evolve

from engine.audit import recount
from engine.domain import fact, facts, joins
from engine.domain.decision import Decision, Outcome
from engine.domain.fact import part_of
from engine.domain.facts import NOTHING_KNOWN
from engine.domain.money import EXACT, ZERO, Money
from engine.policy import charges
from engine.policy.price_books import PriceBook
from engine.rating import contributions, decide, recognise
from engine.reconcile import settle
from tests.simulation.mutants.mutant import Mutant, staged

# --- decisions --------------------------------------------------------------------------------------------------------


def _forgets_settled(old: Any) -> Any:
    def refuse(*values: Any, **named: Any) -> Any:
        decision = old(*values, **named)
        return evolve(decision, mark=evolve(decision.mark, settled=True)) if decision.mark else decision

    return refuse


def _knows_all_but_what_is_due(old: Any) -> Any:
    def decision(assessment: Any, now: Any, policy: Any) -> Any:
        return Decision(Outcome.DUPLICATE) if now.is_known else old(assessment, now, policy)

    return decision


def _counts_from_nothing(_old: Any) -> Any:
    return lambda cost, _posted: EXACT.minus(cost)


def _part_of_what_was_posted(old: Any) -> Any:
    def cost(known: Any, log: Any, money: Any) -> Decimal:
        if known.charge is None or not known.refunding:
            return Decimal(old(known, log, money))
        posted = max(ZERO, EXACT.minus(log.posted))
        return money.round(posted - part_of(posted, known.refunding[0].percent, known.refunding[0].amount))

    return cost


# --- amounts ----------------------------------------------------------------------------------------------------------


def _rounds_floats(_old: Any) -> Any:
    def rounding(self: Money, amount: Decimal) -> Decimal:
        return Decimal(str(round(float(amount), self.places))).quantize(Decimal(1).scaleb(-self.places), context=EXACT)

    return rounding


def _rounds_up(_old: Any) -> Any:
    def rounding(self: Money, amount: Decimal) -> Decimal:
        return amount.quantize(Decimal(1).scaleb(-self.places), rounding=ROUND_UP, context=EXACT)

    return rounding


def _without_minimum(old: Any) -> Any:
    return lambda amount, price: old(amount, evolve(price, minimum=None))


def _without_maximum(old: Any) -> Any:
    return lambda amount, price: old(amount, evolve(price, maximum=None))


def _latest_row(_old: Any) -> Any:
    return lambda self, _at: self.rows[-1]


# --- how facts join ---------------------------------------------------------------------------------------------------


def _cheapest_last(old: Any) -> Any:
    return lambda claims: tuple(reversed(old(claims)))


def _earliest(_old: Any) -> Any:
    def latest(known: set[fact.Charge]) -> tuple[fact.Charge, ...]:
        at = min((charge.at for charge in known), default=None)
        return joins.smallest_first(charge for charge in known if charge.at == at)

    return latest


def _knows_only_what_is_new(_old: Any) -> Any:
    return lambda self, new: self if new == NOTHING_KNOWN else new


def _adds_up_steps(_old: Any) -> Any:
    return property(lambda self: self.revokes if self.grant is not None else ())


# --- refunds ----------------------------------------------------------------------------------------------------------


def _first_in_time(_old: Any) -> Any:
    def generous(refunds: Any, charge: Any) -> Any:
        return next((refund for refund in refunds if refund.is_in_time_for(charge)), None)

    return generous


def _latest_only(old: Any) -> Any:
    def may_count(refunds: Any) -> Any:
        kept = old(refunds)
        return tuple(refund for refund in kept if refund.at == kept[-1].at)

    return may_count


def _refunds_any_charge(_old: Any) -> Any:
    return lambda self, charge: self.within is None or self.at - charge.at <= self.within


def _refunds_at_any_time(_old: Any) -> Any:
    return lambda self, charge: self.at >= charge.at


def _refunds_what_is_older(old: Any) -> Any:
    return lambda self, charge: self.at > charge.at and old(self, charge)


# --- what is known already --------------------------------------------------------------------------------------------


def _knows_claims_of_todays_policy(old: Any) -> Any:
    return lambda self, known, new: known.policy == new.policy and old(self, known, new)


def _knows_refunds_of_todays_policy(old: Any) -> Any:
    def first(telling: Any, known: Any, new: Any) -> Any:
        found = old(telling, known, new)
        return found if found.policy == new.policy else new

    return first


def _alone(old: Any) -> Any:
    return lambda entry, _before: old(entry, ())


def _knows_no_owner(old: Any) -> Any:
    def deciding(assessment: Any, log: Any, standing: Any, policy: Any) -> Any:
        return old(assessment, evolve(log, user=assessment.user) if log.user else log, standing, policy)

    return deciding


MUTANTS: Mapping[str, Mutant] = {
    "a charge that was refused is marked as settled": Mutant(decide, "_refuse", _forgets_settled),
    "a charge that is due is taken for a duplicate": Mutant(decide, "_decision", _knows_all_but_what_is_due),
    "what was posted before is not taken off": Mutant(decide, "due", _counts_from_nothing),
    "a refund is a part of what was posted": Mutant(decide, "cost_of", _part_of_what_was_posted),
    "amounts are rounded as floats": Mutant(Money, "round", _rounds_floats),
    "amounts are rounded up": Mutant(Money, "round", _rounds_up),
    "the minimum is forgotten": Mutant(charges, "within", _without_minimum),
    "the maximum is forgotten": Mutant(charges, "within", _without_maximum),
    "the newest row of prices counts": Mutant(PriceBook, "row_at", _latest_row),
    "of two charges of one instant the dearest counts": Mutant(joins, "smallest_first", _cheapest_last),
    "the earliest charge counts": Mutant(facts, "latest_charges", _earliest),
    "a job knows only what it was told last": Mutant(facts.Facts, "join", _knows_only_what_is_new),
    "steps of a revoke add up": Mutant(facts.Facts, "revoking", _adds_up_steps),
    "the earliest refund counts": Mutant(facts, "_most_generous", _first_in_time),
    "a late refund hides one that was in time": Mutant(facts, "may_count", _latest_only),
    "a refund gives back a later charge": Mutant(fact.Refund, "is_in_time_for", _refunds_any_charge),
    "the window of a refund is forgotten": Mutant(fact.Refund, "is_in_time_for", _refunds_at_any_time),
    "a refund of the charge's own instant is taken for earlier": Mutant(fact.Refund, "is_in_time_for", _refunds_what_is_older),
    "what is known is priced again": Mutant(decide, "recognised", lambda _old: lambda telling, _known: telling.facts),
    "an edit of the policy makes known charges new": Mutant(recognise.Telling, "_is_told", _knows_claims_of_todays_policy),
    "an edit of the policy makes known refunds new": Mutant(
        contributions, "_first_refund", _knows_refunds_of_todays_policy, shows_in=staged("j-part")
    ),
    "the log's first user is not asked": Mutant(settle, "decide", _knows_no_owner),
    "a recount forgets the entries before": Mutant(recount, "_recount", _alone),
}
"""By what they do wrong."""
