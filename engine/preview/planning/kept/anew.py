"""A kept fact as a policy tells it: a charge or a grant at its prices, what goes back by its rules; as ``reprice`` does it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import takewhile
from typing import Any

from attrs import Factory, define, evolve, frozen

from engine.domain.fact import Adjustment, Charge, Expiry, Grant, Hold, Refund, Revoke, until
from engine.domain.fact_kinds import Action
from engine.domain.facts import Facts
from engine.domain.price import Price
from engine.policy.charges import HoldTerms
from engine.policy.model import Policy, Rule
from engine.policy.price_books import PriceProblem
from engine.policy.shares import RefundTerms, RevokeTerms, Share, ShareTold, share_told
from engine.preview.planning.kept.facts import KeptFact
from engine.rating.kept_event import Kept, NotKept, leaves_of, share_asking
from engine.rating.reprice import Repricer
from engine.rating.which_rule import Evidence, Takes, Unpriced, rule_for


@frozen
class ToldAnew:
    """What a policy makes of a kept fact: the fact, the rule that tells it, and how its price came about."""

    rule: str
    facts: Facts
    price: Price | None = None
    quantity: Decimal | None = None


@frozen
class Edits:
    """What two policies say otherwise of facts that are not priced: that has to be told anew, all else is as it was told."""

    shares: bool
    """Whether rules differ by which something goes back."""
    repeats: frozenset[str]
    """Rules that ignore repeats under one of them alone."""

    @classmethod
    def between(cls, now: Policy, then: Policy) -> Edits:
        """Return what two policies say otherwise."""
        ignoring = [{rule.name for rule in policy.rules if rule.ignores_repeats} for policy in (now, then)]
        return cls([*_shares(now)] != [*_shares(then)], frozenset(ignoring[0] ^ ignoring[1]))


def _shares(policy: Policy) -> Iterator[tuple[Any, ...]]:
    yield from ((rule.name, rule.action, rule.pattern, rule.terms) for rule in policy.rules if isinstance(rule.terms, Share))


@define(eq=False)
class Anew:
    """A policy that tells kept facts; ``other`` is the one that it is compared with."""

    policy: Policy
    other: Policy
    edits: Edits
    repricer: Repricer = Factory(lambda self: Repricer(self.policy), takes_self=True)

    def told(self, kept: KeptFact) -> ToldAnew | None:
        """Return what the policy makes of a fact, None of a hold that it passes by.

        Raises Unpriced where the ledger does not keep what that follows from.
        """
        match kept.fact:
            case Charge() as charge:
                return self._charge(kept, charge)
            case Grant() as grant:
                priced = self.repricer.priced(grant, rule_named(kept.rule, Action.GRANT, self.policy))
                facts = kept.facts(evolve(grant, amount=priced.amount, policy=self.policy.identity))
                return ToldAnew(kept.rule, facts, priced.price, priced.quantity)
            case Hold() as hold:
                return self._hold(kept, hold) if self.policy.holds else None
            case Refund() | Revoke() as share:
                return self._share(kept, share)
            case Adjustment() | Expiry():
                return ToldAnew(kept.rule, kept.facts())

    def _hold(self, kept: KeptFact, hold: Hold) -> ToldAnew:
        rule = rule_named(kept.rule, Action.HOLD, self.policy)
        assert isinstance(rule.terms, HoldTerms)  # noqa: S101  the loader gives every hold rule its terms
        priced = self.repricer.priced(hold, rule)
        ends = until(hold.at, rule.terms.expires)
        now = evolve(hold, amount=priced.amount, expires_at=ends, policy=self.policy.identity)
        return ToldAnew(kept.rule, kept.facts(now), priced.price, priced.quantity)

    def _charge(self, kept: KeptFact, charge: Charge) -> ToldAnew:
        if kept.rule in self.edits.repeats:
            raise Unpriced(f"rule `{kept.rule}`: one policy ignores repeats and the other does not; they were not kept")
        told = self.repricer.charge(charge, kept.rule, weak=kept.is_weak)
        rule = rule_for(charge.content, kept.rule, self.policy)
        return ToldAnew(rule.name, kept.facts(evolve(told.now, revision=charge.revision)), told.price, told.quantity)

    def _share(self, kept: KeptFact, was: Refund | Revoke) -> ToldAnew:
        """Rules that nobody has edited give what they gave: past refunds keep it."""
        if not self.edits.shares:
            return ToldAnew(kept.rule, kept.facts())
        rule = self._rule_of(kept, was)
        share = self._share_told(rule, was)
        told = evolve(was, percent=share.percent, amount=share.amount, policy=self.policy.identity)
        return ToldAnew(rule.name, kept.facts(_within_or_of_series(told, rule, is_weak=kept.is_weak)))

    def _rule_of(self, kept: KeptFact, was: Refund | Revoke) -> Rule:
        """Return the rule that tells it: the one of its name, if that takes the same events under both policies."""
        action = Action.REFUND if isinstance(was, Refund) else Action.REVOKE
        rule = rule_named(kept.rule, action, self.policy)
        others = next((each.pattern for each in self.other.rules if each.name == rule.name), rule.pattern)
        if rule.pattern != others:
            raise Unpriced(f"rule `{rule.name}` takes other events than before, and what they said was not kept")
        evidence = Evidence(leaves_of(was.content), rule.matches.parsed)
        for before in takewhile(lambda each: each is not rule, (each for each in self.policy.rules if each.decides)):
            if evidence.says(before.matches.parsed) is Takes.YES:
                raise Unpriced(f"rule `{before.name}` comes first")
        return rule

    def _share_told(self, rule: Rule, was: Refund | Revoke) -> ShareTold:
        assert isinstance(rule.terms, Share)  # noqa: S101  the loader gives every such rule its terms
        event: Any = Kept.of(was, self.policy.fields.time.text)
        try:
            return share_told(share_asking(rule.terms), event, self.policy.money)
        except (NotKept, PriceProblem) as error:
            said = f"`{error.field}` {error.problem}" if isinstance(error, PriceProblem) else str(error)
            raise Unpriced(f"rule `{rule.name}`: {said}") from error


def _within_or_of_series(told: Refund | Revoke, rule: Rule, *, is_weak: bool) -> Refund | Revoke:
    match told, rule.terms:
        case Refund(), RefundTerms(within=within):
            return evolve(told, within=None if is_weak else within)  # as at its first telling
        case Revoke(), RevokeTerms(series=series):
            return evolve(told, series=series or rule.name)
        case _:
            return told


def rule_named(name: str, action: Action, policy: Policy) -> Rule:
    """Return the rule of a name that does the same as the one that told a fact. Raises Unpriced where there is none."""
    found = next((rule for rule in policy.rules if rule.name == name and rule.action is action), None)
    if found is None:
        raise Unpriced(f"there is no {action} rule `{name}`" if name else f"the {action} rule that told it is not known")
    return found
