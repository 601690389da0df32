"""What applications have told, and whether a log knows it, by the rules of the design alone; none of it the engine's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import ANY

from attrs import evolve, frozen

from tests.simulation.attempts import attempt_of
from tests.simulation.claims import NAMES, Claim, Fact, rule_of
from tests.simulation.holds import says_nothing
from tests.simulation.oracle import Oracle

Policies = Mapping[str, Mapping[str, Any]]


@frozen
class Telling:
    """A fact as applications tell it: by an event, by a row of Jobs, or by both."""

    event: str
    reference: str
    user: str
    fact: Fact
    by_event: bool = True
    by_row: bool = False
    is_timeless: bool = False
    """Its rows have no time of their own: what they tell is weak."""
    is_last: bool = False
    """The last row of its job says it, and a scan reads that row."""
    others: frozenset[str] = frozenset()
    """The events of other facts that may have marked that row before a scan came."""
    rows: Sequence[Mapping[str, str]] = ({},)
    """All that the job's row has ever said of what prices read there."""
    row_said: Mapping[str, str] = {}
    """What the row says beside the fact, perhaps of an earlier one: an event that a scan makes of it says all of that."""

    def by_scan(self, policy: Mapping[str, Any]) -> Fact:
        """The fact as a scan tells it. Of a row it reads what its policy asks, and all where that ignores repeats.

        What was not read says nothing: it is whatever an earlier policy has been told.
        """
        said, asked = {**self.row_said, **self.fact.said}, {"kind", *NAMES.findall(str(policy))}
        is_whole = any("repeats" in rule for rule in policy["rules"])
        return evolve(self.fact, said={name: text if is_whole or name in asked else ANY for name, text in said.items()})


def rules_of(kind: str, policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rules of a policy that decide what an event of a kind means: one, or none."""
    return [rule for rule in policy["rules"] if kind in rule["match"].get("detail-type", ())]


def is_fine(oracle: Oracle, telling: Telling, policies: Policies) -> bool:
    """Say whether what was told for sure is known, or counts no more since something later is known."""
    fact, weak = telling.fact, evolve(telling.fact, weak=True)
    if is_request(fact, policies):
        return knows(oracle, telling, policies) or is_needless(oracle, fact, policies)
    if telling.by_event and not (knows(oracle, telling, policies) or is_outdone(oracle, fact, policies)):
        return False
    if not telling.is_last:
        return True
    if not telling.is_timeless:
        return telling.by_event or knows(oracle, telling, policies) or is_outdone(oracle, fact, policies)
    attempts = attempts_of(fact, policies)
    of_kind = (claim for claims in oracle.told.values() for claim in claims if claim.fact.kind == fact.kind)
    is_of_kind = any(claim.attempt in attempts for claim in of_kind)
    return is_of_kind or is_outdone(oracle, weak, policies)


def is_request(fact: Fact, policies: Policies) -> bool:
    """Say whether a fact is a request to hold credits."""
    return any(rule["action"] == "hold" for policy in policies.values() for rule in rules_of(fact.kind, policy))


def is_needless(oracle: Oracle, fact: Fact, policies: Policies) -> bool:
    """Say whether nobody need know of a request: it reserves nothing, or came under a policy that holds nothing."""
    if not all(rules_of(fact.kind, policy) for policy in policies.values()):
        return True
    attempts = attempts_of(fact, policies)
    return any(says_nothing(attempt, fact.at, oracle.told, oracle.expired) for attempt in attempts)


def knows(oracle: Oracle, telling: Telling, policies: Policies) -> bool:
    """Say whether a log knows a fact with a time of its own."""
    by_scan = [telling.by_scan(policy) for policy in policies.values()] if telling.is_last else []
    facts = (telling.fact, *by_scan)
    return any(_is_known_by(claim, fact) for claims in oracle.told.values() for claim in claims for fact in facts)


def _is_known_by(claim: Claim, fact: Fact) -> bool:
    if not claim.is_said_by(fact):
        return False
    return claim.fact.at == fact.at or claim.rule["action"] == "grant" or (claim.once and claim.fact.at < fact.at)


def attempts_of(fact: Fact, policies: Policies) -> set[int]:
    """Return the attempts that a fact is of, by the policies under which it may have been told."""
    return {attempt_of(fact.said, rule_of(fact.kind, policy), policy) for policy in policies.values()}


def is_outdone(oracle: Oracle, fact: Fact, policies: Policies) -> bool:
    """Say whether something that is known of its attempt makes a fact needless, whatever else comes."""
    rules = [rule_of(fact.kind, policy) for policy in policies.values()]
    return any(_is_outdone_in(attempt, oracle, fact, rules) for attempt in attempts_of(fact, policies))


def _is_outdone_in(attempt: int, oracle: Oracle, fact: Fact, rules: Sequence[Mapping[str, Any]]) -> bool:
    action, told = rules[0]["action"], oracle.told
    known = [claim for claim in told[action] if not claim.fact.weak and claim.attempt == attempt]
    if fact.weak:
        refunds = (claim for claim in told["refund"] if not claim.fact.weak and claim.attempt == attempt)
        return action == "debit" and bool(known or any(refunds))
    later = [claim for claim in known if claim.fact.at > fact.at]
    if action == "refund":
        return any("within" not in claim.rule["refund"] for claim in later)
    if action == "revoke":
        return any(claim.fact.kind == fact.kind for claim in later)
    return action == "debit" and bool(later) and not all("repeats" in rule for rule in rules)
