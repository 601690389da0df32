"""Charges that people price anew, by the rules of the design alone; none of it the engine's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from attrs import evolve, frozen

from tests.simulation.attempts import number_asked
from tests.simulation.claims import NAMES, Claim, claim_of, rule_of

REPRICE = "reprice"
"""The rule that an entry names whose charges were priced anew."""

Kept = tuple[tuple[int, Claim], ...]
"""The charges of a log that are kept at a moment, each by its place among all that were told."""


@frozen
class Repricing:
    """The charges that one job had after ``read`` entries, priced anew by ``policy`` (its name) or all at ``amount``."""

    plan: str
    job: str
    read: int
    policy: str = ""
    amount: Fraction | None = None
    is_plan: bool = True
    """A plan leaves a job out whose charges have changed since; a word of the moment is told whatever was told meanwhile."""
    ended: int | None = None
    """So many entries the log had when the plan was applied to its end."""


@frozen
class Planned:
    """A plan of all jobs with a charge in a window, and which are in its file; how long each log was that stood still."""

    plan: str
    policy: str
    since: datetime
    until: datetime
    jobs: Collection[str]
    lengths: Mapping[str, int]

    def is_about(self, known: Kept) -> bool:
        """Whether a charge lies in the window."""
        return any(self.since <= claim.fact.at < self.until for _, claim in known)


def kept(debits: Sequence[Claim], others: Iterable[Claim]) -> Kept:
    """Of each attempt the charges of the latest instant, and of what is sent again the first; weak ones if all is weak."""
    of_own_time = {claim.attempt for claim in (*debits, *others) if not claim.fact.weak}
    told = [(place, claim) for place, claim in enumerate(debits) if claim.fact.weak is (claim.attempt not in of_own_time)]
    latest: dict[int, datetime] = {}
    for _, claim in told:
        if not claim.once:
            latest[claim.attempt] = max(claim.fact.at, latest.get(claim.attempt, claim.fact.at))
    return tuple((place, claim) for place, claim in told if claim.once or claim.fact.at == latest[claim.attempt])


def price_anew(debits: list[Claim], known: Kept, amount_of: Callable[[Claim], Fraction]) -> None:
    """Tell every charge that was known with a revision more. The highest counts, of equal ones the smaller amount."""
    for place, claim in known:
        anew = ((claim.anew or (0,))[0] + 1, amount_of(claim))
        debits[place] = evolve(debits[place], anew=max((debits[place].anew or (0, Fraction(0)), anew), key=_counts))


def _counts(anew: tuple[int, Fraction]) -> tuple[int, Fraction]:
    return anew[0], -anew[1]


def amount_by(policy: Mapping[str, Any], name: str) -> Callable[[Claim], Fraction]:
    """What another policy makes of a charge, from what was kept of it."""
    return lambda claim: claim_of(claim.fact, policy, name, claim.row).figure


def is_changed(known: Kept, policy: Mapping[str, Any], name: str) -> bool:
    """Whether one of the charges costs something else by another policy; and all of them are known to be priced by it."""
    are_answered = all(is_answered(claim, policy) for _, claim in known)
    return are_answered and any(amount_by(policy, name)(claim) != claim.costs for _, claim in known)


def is_answered(claim: Claim, policy: Mapping[str, Any]) -> bool:
    """Whether the rule has kept its name, and asks nothing but what was kept of the charge."""
    rule = rule_of(claim.fact.kind, policy)
    if rule["name"] != claim.rule["name"]:
        return False
    try:
        asked = claim_of(claim.fact, policy, "", claim.row).expressions
    except (KeyError, TypeError):  # of a row that was never there, or what a scan did not read (ANY)
        return False
    of_price = asked.difference(number_asked(rule, policy))
    return {*NAMES.findall(str(of_price))} <= {*NAMES.findall(str(claim.expressions))}
