"""What a telling comes to by itself, read off the policy's file as a person reads it, in fractions: the half about prices.

It knows nothing of the engine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from attrs import frozen

from tests.simulation.attempts import attempt_of, number_asked

NAMES = re.compile(r"detail\.\w+|row\.\w+|(?<=`)\d+(?=`)")
FIGURES = ("quantity", "priced_at", "amount", "percent")
SECONDS = {"h": 3600, "m": 60}
PLACES, instant = 10**4, datetime.fromisoformat


def rounded(exact: Fraction) -> Fraction:
    """Round half to even, to the places of a credit."""
    return Fraction(round(exact * PLACES), PLACES)


@frozen
class Fact:
    """What an event tells, or a row of Jobs. ``said`` has its kind, and what each expression finds in it."""

    kind: str
    at: datetime
    said: Mapping[str, str]
    weak: bool = False
    """A row without a time of its own tells it, at the start of a scan."""


@frozen
class Claim:
    """A fact as it was first told. It takes ``figure`` credits from a whole, or so many percent."""

    fact: Fact
    rule: Mapping[str, Any]
    policy: str
    row: Mapping[str, str]
    asked: Mapping[str, str]
    """What the event was asked, by name, and said."""
    expressions: frozenset[str]
    figure: Fraction
    is_percent: bool
    attempt: int = 0
    anew: tuple[int, Fraction] | None = None
    """Its revision, and what it costs since then: a person has priced it anew."""

    @property
    def costs(self) -> Fraction:
        return self.anew[1] if self.anew else self.figure

    def of(self, whole: Fraction) -> Fraction:
        return whole * self.figure / 100 if self.is_percent else min(self.figure, whole)

    def is_in_time(self, charge: Claim) -> bool:
        within = "" if self.fact.weak else self.rule["refund"].get("within", "")
        age = (self.fact.at - charge.fact.at).total_seconds()
        return (age >= 0 or self.attempt > charge.attempt) and (not within or age <= int(within[:-1]) * SECONDS[within[-1]])

    def is_said_by(self, fact: Fact) -> bool:
        return self.fact.weak == fact.weak and all(fact.said.get(name) == said for name, said in self.asked.items())

    def reads_as(self, new: Claim) -> bool:
        """A row is asked anew at each scan: there what it says besides is no longer fixed."""
        asked = [name for name in NAMES.findall(str(self.expressions)) if name.startswith("row.")]
        return not new.fact.weak or all(self.row[name] == new.row[name] for name in asked)

    def distance(self, new: Claim) -> tuple[bool, bool, bool]:
        """How far a repeat is from this one: what is told again moves no charge while it is one that happened before."""
        is_other = (self.once, self.expressions) != (new.once, new.expressions)
        return self.fact.at > new.fact.at, is_other, not self.once

    @property
    def once(self) -> bool:
        return "repeats" in self.rule


# --- what a fact comes to ---------------------------------------------------------------------------------------------


def parts(terms: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The components of a charge, a grant, a refund or a revoke; itself where it has none."""
    return terms.get("components", [terms])


def rule_of(kind: str, policy: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rule that decides what an event of a kind means."""
    return next(rule for rule in policy["rules"] if kind in rule["match"].get("detail-type", ()))


def terms_of(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a rule says of its figures."""
    return rule.get("charge") or rule[rule["action"]]


def claim_of(fact: Fact, policy: Mapping[str, Any], name: str, row: Mapping[str, str]) -> Claim:
    """What a policy makes of a telling by itself, while the job's row says ``row``. What it asks of the event is kept."""
    rule = rule_of(fact.kind, policy)
    terms, said, asked = terms_of(rule), {**fact.said, **row}, number_asked(rule, policy)
    at = instant(said[terms["priced_at"]]) if "priced_at" in terms else fact.at
    whole = sum((cost(part, policy["prices"], said, at, asked) for part in parts(terms)), Fraction(0))
    whole = max(whole, Fraction(terms.get("minimum", 0)))
    whole = min(whole, Fraction(terms.get("maximum", whole)))
    figure = value(terms["percent"], said) if "percent" in terms else rounded(whole)
    asked += [str(each[key]) for each in (terms, *parts(terms)) for key in FIGURES if key in each]
    kept = {
        name: fact.said[name]
        for name in (*(() if rule["action"] == "debit" else ("kind",)), *NAMES.findall(str(asked)))
        if name in fact.said
    }
    return Claim(fact, rule, name, row, kept, frozenset(asked), figure, "percent" in terms, attempt_of(said, rule, policy))


def value(expression: Any, said: Mapping[str, str]) -> Fraction:
    """What an expression finds: a figure, that of a name, or a product of several."""
    return math.prod(Fraction(said.get(name, name)) for name in NAMES.findall(str(expression)) or [expression])


def laid(over: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Rates with changes laid over them; null takes one away."""
    table = over if isinstance(over, dict) else {} if over is None else {"default": over}
    new = {name: laid(table.get(name), rate) if isinstance(rate, dict) else rate for name, rate in changes.items()}
    return {name: rate for name, rate in {**table, **new}.items() if rate is not None}


def cost(part: Mapping[str, Any], books: Any, said: Mapping[str, str], at: datetime, asked: list[str]) -> Fraction:
    """What a component comes to, unrounded, at the rate of the row that counts at an instant. What selects it is ``asked``."""
    if "price" not in part:
        return value(part.get("quantity", part.get("amount", 0)), said)
    quantity, standing, rate, how = value(part["quantity"], said), None, None, ""
    for row in books[part["price"]]:
        table = laid(standing, row["changes"]) if "changes" in row else row["rates"]
        standing = standing if "until" in row else table
        if instant(row["effective"]) <= at and ("until" not in row or at < instant(row["until"])):
            rate, how = table, row.get("tiers", "")
    for name in selectors(part, books):
        if isinstance(rate, dict):
            rate = rate.get(said[name], rate["default"])
            asked.append(name)
    return in_tiers(quantity, rate["default"] if isinstance(rate, dict) else rate, how)


def in_tiers(quantity: Fraction, rate: Any, how: str) -> Fraction:
    """A quantity at one rate, at that of the tier which it reaches, or each part of it at the rate of its own tier."""
    tiers = rate if isinstance(rate, list) else [{"rate": rate}]
    ends = [Fraction(tier["up_to"]) if "up_to" in tier else max(quantity, Fraction(0)) for tier in tiers]
    if how == "volume":
        return quantity * next(Fraction(tier["rate"]) for tier, end in zip(tiers, ends, strict=True) if quantity <= end)
    shares = [max(min(quantity, end) - start, 0) for start, end in zip([0, *ends], ends, strict=False)]
    return sum((share * Fraction(tier["rate"]) for share, tier in zip(shares, tiers, strict=True)), Fraction(0))


def selectors(part: Mapping[str, Any], books: Mapping[str, Any]) -> list[str]:
    """The names by which a component's rate is selected."""
    by = books[part["price"]][0].get("by", []) if "price" in part else []
    return [by] if isinstance(by, str) else by
