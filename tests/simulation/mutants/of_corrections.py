"""Bugs in what people say: concessions, adjustments and their ids, and charges that are priced anew."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve

from engine.domain import adjustment, facts, joins
from engine.domain.decision import Guard
from engine.domain.money import EXACT
from engine.ledger.corrections import CorrectionPosting
from engine.policy.model import Overdraft
from engine.rating import correct, cost, recognise, reprice
from engine.reconcile import corrections
from engine.reconcile.repricing import apply
from tests.simulation.mutants.mutant import Broken, Mutant, always, staged
from tests.simulation.world.plan import Plan

# --- concessions and adjustments --------------------------------------------------------------------------------------


def _unbounded(*, where_refunded: bool) -> Broken:
    """What is conceded is taken off, though nothing is left of it."""

    def broken(old: Any) -> Any:
        def desired(known: Any, money: Any) -> Decimal:
            if known.charge is None or bool(known.refunding) is not where_refunded:
                return Decimal(old(known, money))
            return EXACT.subtract(old(evolve(known, concessions=()), money), known.conceded)

        return desired

    return broken


def _of_the_rest(old: Any) -> Any:
    def desired(known: Any, money: Any) -> Decimal:
        if not known.refunding or not known.concessions:
            return Decimal(old(known, money))
        rest = max(EXACT.subtract(known.charge.amount, known.conceded), Decimal(0))
        charges, weak = (tuple(evolve(each, amount=rest) for each in told) for told in (known.charges, known.weak_charges))
        return Decimal(old(evolve(known, charges=charges, weak_charges=weak, concessions=()), money))

    return desired


def _twice(old: Any) -> Any:
    def standing(told: Any) -> Decimal:
        taken_back = sum((each.amount for each in told if each.reverses), Decimal(0))
        return EXACT.subtract(old(told), taken_back)

    return standing


def _claims_first(_old: Any) -> Any:
    def post(self: Any, entry: Any, guard: Any, _mark: Any, deadline: Any) -> Any:
        if self.claim is not None:
            self.corrections.post(CorrectionPosting(self.claim, Guard.NONE), deadline)
        return self.corrections.post(CorrectionPosting(entry, guard, None, self.asked.approval), deadline)

    return post


def _takes_back_anything(old: Any) -> Any:
    def reversal(request: Any, claimed: Any) -> Any:
        told = tuple(evolve(each, reverses="") for each in claimed.facts.adjustments)
        return old(request, evolve(claimed, facts=evolve(claimed.facts, adjustments=told)))

    return reversal


def _takes_uncovered(old: Any) -> Any:
    return lambda entry, standing, policy: old(entry, standing, evolve(policy, overdraft=Overdraft.FLAG))


# --- charges that are priced anew -------------------------------------------------------------------------------------


def _last(key: Any) -> Broken:
    """Of the revisions of one content another counts."""

    def broken(_old: Any) -> Any:
        def last(told: list[Any]) -> list[Any]:
            return [evolve(min(told, key=key), at=min(charge.at for charge in told))]

        return last

    return broken


def _knows_the_policy(_old: Any) -> Any:
    return lambda old, new: old.policy != new.policy


def _strong_alone(_old: Any) -> Any:
    return lambda known: ((charge, False) for charge in known.charges)


def _without_bound(old: Any) -> Any:
    return lambda self, _entries_max, *told: old(self, 10**9, *told)


def _prices_under_a_cap(plan: Plan) -> bool:
    return plan.cap is not None and any(step.kind == "plan_prices" for step in plan.steps())


MUTANTS: Mapping[str, Mutant] = {
    "a concession goes below nothing": Mutant(
        cost, "desired_cost", _unbounded(where_refunded=False), shows_in=staged("j-ceded")
    ),
    "a concession comes back when the job fails": Mutant(
        cost, "desired_cost", _unbounded(where_refunded=True), shows_in=staged("j-ceded")
    ),
    "a refund is a part of what a concession has left": Mutant(cost, "desired_cost", _of_the_rest),
    "what takes back counts twice": Mutant(facts, "_standing", _twice),
    "what took back is taken back": Mutant(corrections, "reversal_of", _takes_back_anything),
    "an id is claimed in a transaction of its own": Mutant(corrections.Telling, "post", _claims_first),
    "whatever stands under an id is what was said": Mutant(corrections, "other_content", always("")),
    "nobody else is asked": Mutant(corrections, "needs_second_person", always(value=False)),
    "one person is two": Mutant(adjustment.Identity, "may_be", always(value=False)),
    "what a balance does not cover is corrected": Mutant(correct, "_moving", _takes_uncovered),
    "a lower revision overrules": Mutant(joins, "_last_revision", _last(lambda each: (each.revision, each.amount))),
    "of two equal revisions the larger counts": Mutant(
        joins, "_last_revision", _last(lambda each: (-each.revision, -each.amount)), one_in=120, shows_in=staged("j-two")
    ),
    "an event of the policy that has priced it anew is another": Mutant(recognise, "_is_of_another_policy", _knows_the_policy),
    "only the charge that counts is priced anew": Mutant(
        reprice.Repricer, "job", lambda old: lambda *values: old(*values)[:1]
    ),
    "what a row without a time told is not priced anew": Mutant(reprice, "kept_charges", _strong_alone),
    "a plan is applied whatever has changed": Mutant(apply, "changed_since", always(None), one_in=60),
    "a plan forgets what it has posted": Mutant(apply.Applying, "_is_ours", always(value=False)),
    "a run of a plan has no bound": Mutant(apply.Applying, "post", _without_bound, shows_in=_prices_under_a_cap),
}
"""By what they do wrong."""
