"""What is known of a job or a grant, as if another policy had told it from the first event on. Pure.

The ledger keeps of each fact what its policy asked of the event, and no event. What that does not answer is never guessed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, evolve, field, frozen

from engine.domain.fact import Charge, Content, Grant, Hold, Refund, Revoke, until
from engine.domain.fact_kinds import Action
from engine.domain.facts import NOTHING_KNOWN, Facts
from engine.domain.log import JobLog
from engine.policy.charges import HoldTerms
from engine.policy.model import Policy, Rule
from engine.policy.price_books import PriceProblem
from engine.policy.shares import RefundTerms, RevokeTerms, Share, ShareTold, share_told
from engine.rating.kept_event import Kept, NotKept, leaves_of, share_asking
from engine.rating.reprice import Repricer
from engine.rating.which_rule import Evidence, Takes, Unpriced


class Untold(ValueError):
    """Why nobody can say what another policy would have made of it."""


@frozen
class Taken:
    """What is known of how the running policy came to the rule that took an event: it passed by those before."""

    rule: Rule
    passed: tuple[Rule, ...]


@define(eq=False, repr=False)
class Retelling:
    """Two policies: the one that runs, by which facts were told, and another, by which they are told again."""

    now: Policy
    then: Policy
    repricer: Repricer = field(init=False)
    taken: dict[str, Taken] = field(init=False)
    """By the name of a rule of the running policy."""

    @repricer.default
    def _repricer(self) -> Repricer:
        return Repricer(self.then)

    @taken.default
    def _taken(self) -> dict[str, Taken]:
        deciding = [rule for rule in self.now.rules if rule.decides]
        return {rule.name: Taken(rule, tuple(deciding[:place])) for place, rule in enumerate(deciding)}

    def facts(self, log: JobLog) -> Facts:
        """Return what a log knows, told by the other policy. Raises Untold."""
        known = log.facts
        if known == NOTHING_KNOWN:
            return known
        if _asked_of_each(self.now) != _asked_of_each(self.then):
            raise Untold("the policies read job, user or time of an event by different expressions")
        teller = _Teller(self, log)
        return functools.reduce(Facts.join, teller.told(), _told_by_no_rule(known))

    def rule_for(self, content: Content, name: str, action: Action) -> Rule | None:
        """Return the other policy's rule that decides over an event which rule ``name`` took; None where none does.

        Raises Untold where that depends on what was not kept, or where the rule does something else.
        """
        if (taken := self.taken.get(name)) is None:
            raise Untold(f"the policy has no rule `{name}` any more, which told it")
        rule = self._first(taken, content)
        if rule is not None and rule.action is not action:
            raise Untold(f"rule `{rule.name}` takes it, and is no {action} rule")
        return rule

    def _first(self, taken: Taken, content: Content) -> Rule | None:
        passed = [rule.pattern for rule in taken.passed]
        evidence = Evidence(leaves_of(content), taken.rule.matches.parsed)
        for rule in self.then.rules:
            if not rule.decides or rule.pattern in passed:
                continue
            if rule.pattern == taken.rule.pattern:
                return rule
            takes = evidence.says(rule.matches.parsed)
            if takes is Takes.PERHAPS:
                raise Untold(f"whether rule `{rule.name}` takes it depends on what was not kept")
            if takes is Takes.YES:
                return rule
        return None

    def share(self, terms: Share, was: Refund | Revoke) -> ShareTold:
        """Return how much goes back by the other policy's terms. Raises Untold."""
        try:
            return share_told(share_asking(terms), Kept.of(was, self.then.fields.time.text), self.then.money)
        except (NotKept, PriceProblem) as problem:
            raise Untold(str(problem)) from problem


def _told_by_no_rule(known: Facts) -> Facts:
    """Return what a person, the scheduled run or the balance has said: it stays, whatever a policy says."""
    return Facts(
        flags=known.flags,
        concessions=known.concessions,
        adjustments=known.adjustments,
        expiries=known.expiries,
        refused=known.refused,
    )


def _asked_of_each(policy: Policy) -> tuple[str, ...]:
    """Return the expressions that say which log an event belongs to, whose it is and when it was."""
    fields = policy.fields
    others = (path.text if path else "" for path in (fields.reference, fields.attempt))
    return fields.job.text, fields.user.text, fields.time.text, *others


@define(eq=False, repr=False)
class _Teller:
    """Tells the facts of one log."""

    by: Retelling
    log: JobLog

    def told(self) -> Iterator[Facts]:
        """Yield the facts one by one; what the other policy passes by is left out. Raises Untold."""
        for kept, tell in self._tellers().items():
            for was in getattr(self.log.facts, kept):
                if (now := tell(was)) is not None:
                    yield Facts(**{kept: (now,)})
                elif self._has_forgotten:
                    raise Untold("what it would have replaced is not known any more")

    def _tellers(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "charges": self._charge,
            "weak_charges": self._charge,
            "refunds": self._refund,
            "weak_refunds": functools.partial(self._refund, is_weak=True),
            "holds": self._hold,
            "grants": self._grant,
            "revokes": self._revoke,
        }

    @property
    def _has_forgotten(self) -> bool:
        """Whether the log may have known facts that it does not know now. An entry tells one fact at most."""
        return self.log.sequence > self.log.facts.kept

    def _charge(self, was: Charge) -> Charge | None:
        rule = self.by.rule_for(was.content, was.once or self._teller(Action.DEBIT), Action.DEBIT)
        if rule is None:
            return None
        if rule.ignores_repeats is not bool(was.once):
            raise Untold(f"rule `{rule.name}` and the one that told it do not both ignore repeats")
        return evolve(self._priced(was, rule), once=rule.name if was.once else "")

    def _grant(self, was: Grant) -> Grant | None:
        rule = self.by.rule_for(was.content, self._teller(Action.GRANT), Action.GRANT)
        return self._priced(was, rule) if rule is not None else None

    def _hold(self, was: Hold) -> Hold | None:
        rule = self.by.rule_for(was.content, self._teller(Action.HOLD), Action.HOLD)
        if rule is None:
            return None
        assert isinstance(rule.terms, HoldTerms)  # noqa: S101  the loader gives every hold rule its terms
        return evolve(self._priced(was, rule), expires_at=until(was.at, rule.terms.expires))

    def _priced[T: (Charge, Grant, Hold)](self, was: T, rule: Rule) -> T:
        try:
            priced = self.by.repricer.priced(was, rule)
        except Unpriced as problem:
            raise Untold(str(problem)) from problem
        return evolve(was, amount=priced.amount, policy=self.by.then.identity)

    def _refund(self, was: Refund, *, is_weak: bool = False) -> Refund | None:
        rule = self.by.rule_for(was.content, was.rule, Action.REFUND)
        if rule is None:
            return None
        terms = rule.terms
        assert isinstance(terms, RefundTerms)  # noqa: S101  the loader gives every refund rule its terms
        within = None if is_weak else terms.within
        if within is not None and was.within is None and self._has_forgotten:
            raise Untold("refunds before one that has a window now are not known any more")
        share = self.by.share(terms, was)
        told = self.by.then.identity
        return evolve(was, percent=share.percent, amount=share.amount, within=within, rule=rule.name, policy=told)

    def _revoke(self, was: Revoke) -> Revoke | None:
        rule = self.by.rule_for(was.content, self._series(was), Action.REVOKE)
        if rule is None:
            return None
        terms = rule.terms
        assert isinstance(terms, RevokeTerms)  # noqa: S101  the loader gives every revoke rule its terms
        share = self.by.share(terms, was)
        series = terms.series or rule.name
        return evolve(was, percent=share.percent, amount=share.amount, series=series, policy=self.by.then.identity)

    def _series(self, was: Revoke) -> str:
        """Return the rule of a series, where only one of the running policy's has it."""
        rules = (taken.rule for taken in self.by.taken.values() if isinstance(taken.rule.terms, RevokeTerms))
        return _only([rule.name for rule in rules if was.series in {rule.name, _series_of(rule)}])

    def _teller(self, action: Action) -> str:
        """Return the rule that told a charge, say: the only one of its action that the log's entries name.

        What a rule told that ignores repeats says so itself.
        """
        rules = (self.by.taken[name].rule for name in self.log.rules if name in self.by.taken)
        return _only([rule.name for rule in rules if rule.action is action and not rule.ignores_repeats])


def _series_of(rule: Rule) -> str | None:
    return rule.terms.series if isinstance(rule.terms, RevokeTerms) else None


def _only(names: list[str]) -> str:
    if len(names) != 1:
        raise Untold(f"which rule told it is not known{': ' if names else ''}{', '.join(names)}")
    return names[0]
