"""The facts of a log, each by itself, as a line that can be told once more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve, frozen

from engine.domain.entry import Entry
from engine.domain.fact import Adjustment, Charge, Fact, Grant, Refund, Revoke
from engine.domain.fact_kinds import read_facts, written
from engine.domain.facts import Facts
from engine.domain.references import JOB
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
    facts: Facts
    """It alone."""

    @property
    def fact(self) -> Fact:
        """It."""
        return next(fact for told in self.facts.work for fact in told)

    @property
    def at(self) -> datetime:
        """When it happened."""
        return self.fact.at

    @property
    def job(self) -> str | None:
        """The job, where the log is a job's."""
        return self.reference.removeprefix(JOB) if self.reference.startswith(JOB) else None

    def document(self) -> dict[str, Any]:
        """Return its line: beside the fact all that plain expressions have found in its event."""
        said = {"reference": self.reference, "user": self.user, "rule": self.rule, "facts": written(self.facts)}
        document: dict[str, Any] = {LINE: said}
        if not isinstance(fact := self.fact, Adjustment):
            for asked, text in said_by(fact.content):
                _put(document, asked.split("."), text)
        return document

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> KeptFact:
        """Return the fact of a line."""
        said = document[LINE]
        return cls(said["reference"], said["user"], said["rule"], read_facts(said["facts"]))


def _put(document: dict[str, Any], names: Sequence[str], text: str) -> None:
    *above, last = names
    for name in above:
        document = document.setdefault(name, {})
        if not isinstance(document, dict):
            return
    document.setdefault(last, text)


def kept_facts(reference: str, user: str, entries: Sequence[Entry], facts: Facts) -> list[KeptFact]:
    """Return the facts that a log's ``entries`` keep, in the order in which they happened; corrections come last."""
    told = (KeptFact(reference, user, rule, one) for rule, one in _told(entries, facts))
    return sorted(told, key=lambda each: (isinstance(each.fact, Adjustment), each.at, not isinstance(each.fact, Charge)))


def _told(entries: Sequence[Entry], facts: Facts) -> Iterator[tuple[str, Facts]]:
    """Yield each fact alone, with the rule that has told it.

    Of refunds also those that count no more: where a window is edited, an earlier one may be in time.
    """
    refunds = dict.fromkeys(refund for entry in entries for refund in entry.facts.refunds)
    yield from ((told_by(each, entries), Facts(charges=(each,))) for each in facts.charges)
    yield from ((told_by(each, entries), Facts(weak_charges=(each,))) for each in facts.weak_charges)
    yield from ((each.rule, Facts(refunds=(each,))) for each in refunds)
    yield from ((each.rule, Facts(weak_refunds=(each,))) for each in facts.weak_refunds)
    yield from ((_rule_of(each, entries), Facts(grants=(each,))) for each in facts.grants)
    yield from ((_rule_of(each, entries), Facts(revokes=(each,))) for each in facts.revokes)
    yield from (("", Facts(concessions=(each,))) for each in facts.concessions)


def _rule_of(fact: Grant | Revoke, entries: Iterable[Entry]) -> str:
    """Return the rule of the entry that was the first to know a fact; empty where that was no event."""
    first = next((entry for entry in entries if fact in entry.facts.grants or fact in entry.facts.revokes), None)
    return "" if first is None or first.source in NOT_OF_A_RULE else first.rule


def alone(fact: Fact, like: Facts) -> Facts:
    """Return a fact alone, where ``like`` has one of its kind."""
    match fact:
        case Charge():
            return evolve(like, charges=(fact,)) if like.charges else evolve(like, weak_charges=(fact,))
        case Refund():
            return evolve(like, refunds=(fact,)) if like.refunds else evolve(like, weak_refunds=(fact,))
        case Grant():
            return evolve(like, grants=(fact,))
        case Revoke():
            return evolve(like, revokes=(fact,))
        case Adjustment():
            return evolve(like, concessions=(fact,))
