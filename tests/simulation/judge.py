"""The judge: what the tables must say once everything is quiet, by the rules of the design alone.

It counts in fractions, and knows nothing of the engine: facts are what applications have told, policies are figures, entries
and rows are what is stored. The price of a fact is that of the policy which the first entry that tells it names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from attrs import frozen

PLACES = 10**4
GRANTED_MAX = 1000
Entry = Mapping[str, Any]


@frozen
class Fact:
    """An event's fact as applications tell it. One that is not ``sure`` was told by a row that may never have been read."""

    reference: str
    user: str
    rule: str
    at: str
    quantity: str
    model: str
    sure: bool = True

    def is_told_by(self, entry: Entry) -> bool:
        """Say whether an entry tells this fact."""
        says = entry["rule"] == self.rule and (entry["occurredAt"] == self.at or self.rule == "grant")
        return says and (self.rule not in {"debit", "grant"} or Fraction(entry["quantity"]) == Fraction(self.quantity))


class Wrong(Exception):
    """The tables say what they must not."""


def rounded(exact: Fraction) -> Fraction:
    """Round half to even, to the places of a credit."""
    return Fraction(round(exact * PLACES), PLACES)


@frozen
class Oracle:
    """What one log must come to. ``policies`` has the terms by the name that entries give them."""

    facts: Sequence[Fact]
    entries: Sequence[Entry]
    policies: Mapping[str, Any]

    def net(self) -> Fraction:
        """Return the sum that the log's entries must have: a debit is negative."""
        known = [(fact, self.terms(fact)) for fact in self.facts]
        told = [(fact, terms) for fact, terms in known if terms is not None]
        for fact, terms in known:
            if terms is None and fact.sure and not any(self.outdoes(other, fact) for other, _ in told):
                raise Wrong(f"the {fact.rule} of {fact.at} was told, and no entry knows of it")
        of_rule = {
            rule: [each for each in told if each[0].rule in rule] for rule in ("debit", "whole part", "grant", "revoke")
        }
        if any(fact.reference.startswith("grant#") for fact in self.facts):
            return self.given(of_rule["grant"], of_rule["revoke"])
        return -self.cost(of_rule["debit"], of_rule["whole part"])

    def terms(self, fact: Fact) -> Any:
        """Return the terms that fix a fact's price: those of its first telling."""
        first = next((entry for entry in self.entries if fact.is_told_by(entry)), None)
        return None if first is None else self.policies[first["policy"]]

    def outdoes(self, other: Fact, fact: Fact) -> bool:
        """A later fact of its kind makes one needless; a refund only if it is in time however late it comes."""
        kind = "whole" if fact.rule == "part" else fact.rule
        return other.rule == kind and other.at > fact.at

    def cost(self, charges: list[Any], refunds: list[Any]) -> Fraction:
        """The latest charge counts, of one instant the smallest; less what the latest refund in time gives back of it."""
        if not charges:
            return Fraction(0)
        at = max(fact.at for fact, _ in charges)
        charge = min(self.price(fact, terms) for fact, terms in charges if fact.at == at)
        in_time = [(fact.at, self.share(fact, terms)) for fact, terms in refunds if self.is_in_time(fact, terms, at)]
        return min(charge, rounded(charge - charge * max(in_time)[1])) if in_time else charge

    def price(self, fact: Fact, terms: Any) -> Fraction:
        """Quantity by rate, within the bounds."""
        bounded = max(Fraction(fact.quantity) * terms.rate(fact.model, fact.at), Fraction(terms.minimum))
        return rounded(min(bounded, Fraction(terms.maximum)))

    def share(self, fact: Fact, terms: Any) -> Fraction:
        """What part of a charge a refund gives back."""
        return Fraction(1) if fact.rule == "whole" else Fraction(terms.percent, 100)

    def is_in_time(self, fact: Fact, terms: Any, charged_at: str) -> bool:
        """Not before the charge, nor after the window."""
        age = (datetime.fromisoformat(fact.at) - datetime.fromisoformat(charged_at)).total_seconds()
        return age >= 0 and (fact.rule == "whole" or age <= terms.minutes * 60)

    def given(self, grants: list[Any], revokes: list[Any]) -> Fraction:
        """The smallest telling of a grant counts, less the latest step of what was taken back (of one instant the largest)."""
        if not grants:
            return Fraction(0)
        granted = min(min(rounded(Fraction(fact.quantity)), Fraction(GRANTED_MAX)) for fact, _ in grants)
        steps = [(fact.at, Fraction(fact.quantity)) for fact, _ in revokes]
        return granted - min(max(steps)[1], granted) if steps else granted


# --- the whole ledger -------------------------------------------------------------------------------------------------


@frozen
class Case:
    """What is known in the end. ``granted`` is what applications gave each user, ``may_be_due`` are logs that may wait."""

    facts: Sequence[Fact]
    policies: Mapping[str, Any]
    entries: Sequence[Entry]
    credits: Mapping[str, Mapping[str, Any]]
    granted: Mapping[str, Fraction]
    senseless: frozenset[str]
    letters: frozenset[str]
    may_be_due: frozenset[str] = frozenset()


def judge(case: Case) -> list[str]:
    """Return all that is wrong; nothing where every balance is right."""
    logs: dict[str, list[Entry]] = defaultdict(list)
    for entry in case.entries:
        logs[entry["reference"]].append(entry)
    facts: dict[str, list[Fact]] = defaultdict(list)
    for fact in case.facts:
        facts[fact.reference].append(fact)
    wrong = [*_of_logs(case, logs, facts), *_of_users(case)]
    wrong += [f"{entry['reference']}: {entry['eventId']} makes no sense, and stands in the ledger" for entry in case.entries
              if entry.get("eventId") in case.senseless]  # fmt: skip
    if case.letters != case.senseless:
        wrong.append(f"dead letters are {sorted(case.letters)}; {sorted(case.senseless)} make no sense")
    return wrong


def _of_logs(case: Case, logs: Mapping[str, list[Entry]], facts: Mapping[str, list[Fact]]) -> Iterator[str]:
    for reference in sorted(logs.keys() | facts.keys()):
        log = sorted(logs.get(reference, ()), key=lambda entry: entry["sequence"])
        if [entry["sequence"] for entry in log] != list(range(1, len(log) + 1)):
            yield f"{reference}: the log has gaps: {[entry['sequence'] for entry in log]}"
        if len({entry["userId"] for entry in log} | {fact.user for fact in facts.get(reference, ())}) > 1:
            yield f"{reference}: its entries are of several users"
        yield from _of_net(case, reference, log, facts.get(reference, []))


def _of_net(case: Case, reference: str, log: list[Entry], facts: list[Fact]) -> Iterator[str]:
    posted = sum((Fraction(entry["amount"]) for entry in log), Fraction(0))
    try:
        expected = Oracle(facts, log, case.policies).net()
    except Wrong as wrong:
        yield f"{reference}: {wrong}"
        return
    if posted != expected and not (reference in case.may_be_due and expected <= posted <= 0):
        yield f"{reference}: its entries come to {float(posted)}; {float(expected)} is right"
    yield from (
        f"{reference}: an entry tells a {entry['rule']} of {entry['occurredAt']} that nobody told"
        for entry in log
        if entry["type"] != "flag" and not any(fact.is_told_by(entry) for fact in facts)
    )


def _of_users(case: Case) -> Iterator[str]:
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for entry in case.entries:
        sums[entry["userId"]] += Fraction(entry["amount"])
    for user in sorted(sums.keys() | case.credits.keys()):
        row = case.credits.get(user, {})
        posted, remaining = Fraction(row.get("posted", 0)), Fraction(row.get("remaining", 0))
        if sums[user] != posted:
            yield f"{user}: entries come to {float(sums[user])}, and Credits says {float(posted)} was posted"
        if remaining - posted != case.granted.get(user, 0):
            yield f"{user}: remaining - posted is {float(remaining - posted)}; {float(case.granted.get(user, 0))} was granted"
