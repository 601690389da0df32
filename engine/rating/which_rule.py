"""Which rule of another policy takes an event of which only a part was kept. Pure.

A pattern then has three answers: it takes the event, it does not, or nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from attrs import frozen

from engine.domain.fact import Content
from engine.domain.fact_kinds import Action
from engine.policy.model import Policy, Rule
from engine.policy.patterns.leaves import compile_tests
from engine.policy.patterns.model import Branch, Field, Pattern, required_values
from engine.rating.kept_event import leaves_of

type Leaves = Mapping[str, tuple[object, ...]]


class Unpriced(ValueError):
    """Why a charge cannot be priced by another policy from what was kept with it."""


class Takes(IntEnum):
    """Whether a pattern takes an event."""

    NO = 0
    PERHAPS = 1
    YES = 2


@frozen
class Evidence:
    """What is known of an event: some of its values, and the pattern of a rule that has taken it."""

    leaves: Leaves
    taken_by: Pattern | None = None

    def says(self, pattern: Pattern) -> Takes:
        """Return whether a pattern takes the event."""
        return max((self._branch(branch) for branch in pattern.branches), default=Takes.NO)

    def _branch(self, branch: Branch) -> Takes:
        return min((self._field(field) for field in branch.fields), default=Takes.YES)

    def _field(self, field: Field) -> Takes:
        values: Iterable[object] | None = self.leaves.get(field.name)
        if values is None and self.taken_by is not None:
            values = required_values(self.taken_by, field.name)
        if not values:
            return Takes.PERHAPS
        accepts = {compile_tests(field.tests).accepts(value) for value in values}
        return Takes.PERHAPS if len(accepts) > 1 else Takes.YES if accepts.pop() else Takes.NO


def rule_for(content: Content, told_by: str, policy: Policy) -> Rule:
    """Return the debit rule of a policy that takes the event of a charge, which a rule named ``told_by`` told.

    The rule of that name, where it still charges and nothing that was kept speaks against it; what it asks beside that is
    taken for answered, so that a rule before it may be known to come first. Else the only debit rule that can take it. Raises
    Unpriced.
    """
    leaves = leaves_of(content)
    named = next((rule for rule in policy.rules if rule.name == told_by and rule.action is Action.DEBIT), None)
    if named is not None and Evidence(leaves).says(named.matches.parsed) is not Takes.NO:
        return _first_of(policy, named, Evidence(leaves, named.matches.parsed))
    return _only(policy, Evidence(leaves), told_by)


def _first_of(policy: Policy, named: Rule, evidence: Evidence) -> Rule:
    deciding = [rule for rule in policy.rules if rule.decides]
    before = deciding[: deciding.index(named)]
    first = next((rule for rule in before if evidence.says(rule.matches.parsed) is Takes.YES), named)
    if first.action is not Action.DEBIT:
        raise Unpriced(f"rule `{first.name}` comes first, and it is no debit rule")
    return first


def _only(policy: Policy, evidence: Evidence, told_by: str) -> Rule:
    said = [(rule, evidence.says(rule.matches.parsed)) for rule in policy.rules if rule.action is Action.DEBIT]
    able = [(rule, takes) for rule, takes in said if takes is not Takes.NO]
    if len(able) == 1 or (able and able[0][1] is Takes.YES):
        return able[0][0]
    known = f"no debit rule `{told_by}` takes it" if told_by else "the rule that told it is not known"
    others = ", ".join(f"`{rule.name}`" for rule, _ in able)
    raise Unpriced(f"{known}, and {f'several others may: {others}' if able else 'no other can'}")
