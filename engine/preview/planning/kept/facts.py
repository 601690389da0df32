"""The facts of a log, each by itself, as a line that can be told once more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from engine.domain.entry import Entry
from engine.domain.fact import Adjustment, Charge, Expiry, Fact, Grant, Hold, Refund, Revoke
from engine.domain.fact_kinds import read_facts, written
from engine.domain.facts import Facts
from engine.domain.references import job_of
from engine.policy.expressions.paths import PLAIN
from engine.preview.planning.reduction import Reduced, Uncarried, microseconds
from engine.rating.kept_event import said_by
from engine.rating.reprice import NOT_OF_A_RULE, told_by

LINE = "#kept"
"""Where a line has the fact: no expression of a policy finds a member of this name."""


@frozen
class KeptFact:
    """One fact of the log ``reference``, which is ``user``'s; ``rule`` is the name of the rule that has told it first."""

    reference: str
    user: str
    rule: str
    fact: Fact
    field: str
    """Where ``Facts`` keeps it."""

    @property
    def is_weak(self) -> bool:
        """Whether a row without a time of its own has told it."""
        return self.field.startswith("weak_")

    def facts(self, fact: Fact | None = None) -> Facts:
        """Return it alone, or another in its place."""
        told: dict[str, Any] = {self.field: (fact or self.fact,)}
        return Facts(**told)

    @property
    def at(self) -> datetime:
        """When it happened."""
        return self.fact.at

    @property
    def attempt(self) -> int | None:
        """Which try of its job it is of; None for what is of none."""
        return self.fact.attempt if isinstance(self.fact, Charge | Refund | Hold | Expiry) else None

    @property
    def job(self) -> str | None:
        """The job, where the log is a job's."""
        return job_of(self.reference)

    def document(self, alike: int | None) -> dict[str, Any]:
        """Return its line: beside the fact all that plain expressions have found in its event.

        Facts with one number ``alike`` differ in nothing but whose they are and when they happened.
        """
        said = {
            "reference": self.reference,
            "user": self.user,
            "rule": self.rule,
            "field": self.field,
            "facts": written(self.facts()),
        }
        document: dict[str, Any] = {LINE: {**said, "at": microseconds(self.at), "alike": alike}}
        if not isinstance(self.fact, Adjustment | Expiry):
            for asked, text in said_by(self.fact.content):
                if PLAIN.fullmatch(asked):
                    _put(document, asked.split("."), text)
        return document

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> KeptFact:
        """Return the fact of a line."""
        said = document[LINE]
        (fact,) = getattr(read_facts(said["facts"]), said["field"])
        return cls(said["reference"], said["user"], said["rule"], fact, said["field"])


def reduce_kept(document: Mapping[str, Any]) -> Reduced:
    """Return the reduction of a line. Raises Uncarried for a fact that is like no other."""
    said = document[LINE]
    if (alike := said.get("alike")) is None:
        raise Uncarried
    name = said["reference"].partition("#")[2]
    return (alike,), name, name, said["user"], said["at"], None, ()


def _put(document: dict[str, Any], names: Sequence[str], text: str) -> None:
    *above, last = names
    for name in above:
        document = document.setdefault(name, {})
        if not isinstance(document, dict):
            return
    document.setdefault(last, text)


def kept_facts(reference: str, user: str, entries: Sequence[Entry], facts: Facts) -> list[KeptFact]:
    """Return the facts that a log's ``entries`` keep, in the order in which they happened; corrections come last."""
    told = (KeptFact(reference, user, rule, fact, field) for rule, fact, field in _told(entries, facts))
    return sorted(told, key=lambda each: (isinstance(each.fact, Adjustment), each.at, not isinstance(each.fact, Charge)))


def _told(entries: Sequence[Entry], facts: Facts) -> Iterator[tuple[str, Fact, str]]:
    """Yield each fact with the rule that has told it, and where ``Facts`` keeps it.

    Of refunds also those that count no more: where a window is edited, an earlier one may be in time.
    """
    refunds = dict.fromkeys(refund for entry in entries for refund in entry.facts.refunds)
    yield from ((told_by(each, entries), each, "charges") for each in facts.charges)
    yield from ((told_by(each, entries), each, "weak_charges") for each in facts.weak_charges)
    yield from ((each.rule, each, "refunds") for each in refunds)
    yield from ((each.rule, each, "weak_refunds") for each in facts.weak_refunds)
    yield from ((_rule_of(each, entries), each, "holds") for each in facts.holds)
    yield from (("", each, "expiries") for each in facts.expiries)
    yield from ((_rule_of(each, entries), each, "grants") for each in facts.grants)
    yield from ((_rule_of(each, entries), each, "revokes") for each in facts.revokes)
    yield from (("", each, "concessions") for each in facts.concessions)


def _rule_of(fact: Grant | Hold | Revoke, entries: Iterable[Entry]) -> str:
    """Return the rule of the entry that was the first to know a fact; empty where that was no event."""
    told = ((entry, (*entry.facts.grants, *entry.facts.holds, *entry.facts.revokes)) for entry in entries)
    first = next((entry for entry, facts in told if fact in facts), None)
    return "" if first is None or first.source in NOT_OF_A_RULE else first.rule
