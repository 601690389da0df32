"""Why an event costs what it costs: every rule that was tried, the price that counted, the arithmetic, and the entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import asdict, frozen

from engine.assess import assess, charge_view
from engine.errors import EventError
from engine.instants import instant_text
from engine.patterns.why import first_difference
from engine.policy.model import Policy, Rule
from engine.prices import ChargeTerms, PriceBook, canonical
from engine.rehearsal import Plenty, Rehearsal
from engine.values import EXACT, Assessment, Document, Entry, Envelope, Price, Source


@frozen
class Tried:
    """A rule or an anomaly that was held against the event: it matched, or the first field that differs."""

    name: str
    kind: str
    line: int
    difference: str | None

    @property
    def matched(self) -> bool:
        return self.difference is None


@frozen
class Reasons:
    """What the policy makes of an event. ``problem`` is set where the event makes no sense, and then there is no entry."""

    tried: tuple[Tried, ...]
    assessment: Assessment | None = None
    steps: tuple[str, ...] = ()
    entry: Entry | None = None
    problem: str | None = None

    def answer(self) -> dict[str, Any]:
        """Return the reasons as JSON-like values; credits are exact strings."""
        entry = self.entry
        return {
            "tried": [{**asdict(tried), "matched": tried.matched} for tried in self.tried],
            "steps": list(self.steps),
            "entry": _described(entry) if entry else None,
            "problem": self.problem,
        }

    def lines(self) -> Iterator[str]:
        """Yield the reasons as a person reads them."""
        for tried in self.tried:
            sign = "+" if tried.matched else "-"
            yield f"{sign} {tried.kind} {tried.name} (line {tried.line}): {tried.difference or 'matches'}"
        yield from (f"  {step}" for step in self.steps)
        yield self._end()

    def _end(self) -> str:
        if self.problem is not None:
            return f"refused: {self.problem}"
        if self.entry is None:
            return "ignored: no rule matches"
        described = _described(self.entry)
        flags = f" [{', '.join(described['anomalies'])}]" if described["anomalies"] else ""
        return f"= {described['type']} of {described['amount']} for {described['user']}, job {described['job']}{flags}"


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "job": entry.job,
        "user": entry.user,
        "type": entry.type.value,
        "amount": format(entry.amount, "f"),
        "rule": entry.rule,
        "anomalies": [anomaly.name for anomaly in entry.anomalies],
    }


def reasons_for(document: Document, policy: Policy, balance: Decimal | None = None) -> Reasons:
    """Return why an event costs what it costs under a policy, as a job's first event.

    ``balance`` is what its user has; None means plenty.
    """
    envelope = Envelope(document, Source.EVENT)
    try:
        assessment = assess(envelope, policy)
        entry = _entry(envelope, policy, balance, assessment) if assessment else None
    except EventError as error:
        return Reasons(tuple(_rules(document, policy)), problem=str(error))
    tried = (*_rules(document, policy), *_anomalies(document, policy, assessment))
    return Reasons(tried, assessment, tuple(_steps(assessment, policy)) if assessment else (), entry)


def _entry(envelope: Envelope, policy: Policy, balance: Decimal | None, assessment: Assessment) -> Entry | None:
    rehearsal = Rehearsal(policy, Plenty() if balance is None else {assessment.user: balance})
    rehearsal.reconcile(envelope)
    return next(iter(rehearsal.entries.get(assessment.job, [])), None)


def _rules(document: Document, policy: Policy) -> Iterator[Tried]:
    for rule in policy.rules:
        yield Tried(rule.name, rule.action.value, rule.line, first_difference(rule.pattern, document))


def _anomalies(document: Document, policy: Policy, assessment: Assessment | None) -> Iterator[Tried]:
    if assessment is None:
        return
    charge = charge_view(assessment)
    seen: Mapping[str, Any] = {**document, "charge": charge} if charge else document
    for anomaly in policy.anomalies:
        yield Tried(anomaly.name, "anomaly", anomaly.line, first_difference(anomaly.pattern, seen))


# --- the arithmetic, step by step -------------------------------------------------------------------------------------


def _steps(assessment: Assessment, policy: Policy) -> Iterator[str]:
    rule = next(rule for rule in policy.rules if rule.name == assessment.rule)
    if rule.charge is None:
        yield from _refund_steps(rule)
    elif assessment.price is None:
        yield f"a flat charge of {rule.charge.amount}"
    else:
        yield from _price_steps(rule.charge, assessment.price, assessment.quantity or Decimal(0), policy)


def _refund_steps(rule: Rule) -> Iterator[str]:
    if rule.refund_percent is not None:
        yield f"{rule.refund_percent} % of what the job was charged goes back; as its first event, of nothing"


def _price_steps(terms: ChargeTerms, price: Price, quantity: Decimal, policy: Policy) -> Iterator[str]:
    yield _in_force(terms.book, price) if terms.book else price.book
    amount = EXACT.multiply(quantity, price.rate)
    yield f"{terms.quantity.text if terms.quantity else 'quantity'} is {canonical(quantity)}"
    yield f"rate `{price.unit}`: {price.rate}"
    yield f"{canonical(quantity)} x {price.rate} = {amount:f}"
    for name, bound in (("minimum", terms.minimum), ("maximum", terms.maximum)):
        if bound is not None and (amount < bound if name == "minimum" else amount > bound):
            yield f"{name} {bound} counts instead"
            amount = bound
    money = policy.money
    yield f"rounded {money.rounding} to {money.places} places: {money.round(amount)}"


def _in_force(book: PriceBook, price: Price) -> str:
    later = next((row.effective for row in book.rows if row.effective > price.effective), None)
    until = f", until {instant_text(later)}" if later else ""
    return f"price book `{book.name}`: the row from {instant_text(price.effective)}{until}"
