"""Why an event costs what it costs: every rule that was tried, the price that counted, the arithmetic, and the entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import asdict, evolve, frozen

from engine.domain.assessment import Assessment
from engine.domain.entry import Entry
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError
from engine.domain.fact_kinds import content_of
from engine.domain.instants import instant_text, read_instant
from engine.domain.money import ZERO, canonical
from engine.domain.price import Price, Tier
from engine.policy.charges import ChargeTerms
from engine.policy.detectors import Outlier
from engine.policy.model import AnomalyRule, Policy
from engine.policy.patterns.why import difference_from
from engine.policy.price_books import DEFAULT_RATE, PriceBook, PriceRow, Rates
from engine.policy.terms import Terms
from engine.preview.dry_run import DryRun, store_of
from engine.rating.arithmetic import price_steps
from engine.rating.assess import assess, priced_view
from engine.rating.baselines import NO_BASELINES, Baselines
from engine.rating.cost import told_steps
from engine.rating.detectors import Examination, distance_of, examine


@frozen
class Tried:
    """A rule or an anomaly that was held against the event: it matched, or the first field that differs.

    ``figures`` are what an anomaly has seen.
    """

    name: str
    kind: str
    line: int
    difference: str | None
    figures: tuple[tuple[str, str], ...] = ()

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

    @property
    def failed(self) -> bool:
        """Whether the event makes no sense under the policy."""
        return self.problem is not None

    def answer(self) -> dict[str, Any]:
        """Return the reasons as JSON-like values; credits are exact strings."""
        entry = self.entry
        return {
            "tried": [{**asdict(tried), "figures": dict(tried.figures), "matched": tried.matched} for tried in self.tried],
            "steps": list(self.steps),
            "entry": _described(entry) if entry else None,
            "problem": self.problem,
        }

    def lines(self) -> Iterator[str]:
        """Yield the reasons as a person reads them: what happens, how the amount comes about, and what was tried."""
        yield self._what_happens()
        yield from (f"  {step}" for step in self.steps)
        for tried in self.tried:
            sign = "+" if tried.matched else "-"
            figures = "".join(f", {name} {value}" for name, value in tried.figures)
            yield f"{sign} {tried.kind} {tried.name} (line {tried.line}): {tried.difference or 'matches'}{figures}"

    def _what_happens(self) -> str:
        if self.problem is not None:
            return f"refused: {self.problem}"
        if self.entry is None:
            return "ignored: no rule matches"
        return _in_words(self.entry)


def _in_words(entry: Entry) -> str:
    """Return who pays or gets how much, and the entry that says so."""
    moved = f"{'pays' if entry.amount < ZERO else 'gets'} {abs(entry.amount):f} credits" if entry.amount else "pays nothing"
    flags = ", ".join(anomaly.name for anomaly in entry.anomalies)
    posted = f"{entry.type.value} of {entry.amount:f} on {entry.reference}, by {entry.rule}"
    return f"{entry.user} {moved}: {posted}{f', flagged {flags}' if flags else ''}"


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "reference": entry.reference,
        "job": entry.job,
        "user": entry.user,
        "type": entry.type.value,
        "amount": format(entry.amount, "f"),
        "rule": entry.rule,
        "anomalies": [anomaly.name for anomaly in entry.anomalies],
    }


def reasons_for(
    document: Document, policy: Policy, balance: Decimal | None = None, baselines: Baselines = NO_BASELINES
) -> Reasons:
    """Return why an event costs what it costs under a policy, as a job's first event.

    ``balance`` is what its user has; None means plenty.
    """
    envelope = Envelope(document, Source.EVENT)
    try:
        assessment = assess(envelope, policy, baselines)
        entry = _entry(envelope, assessment, balance, policy, baselines) if assessment else None
    except EventError as error:
        return Reasons(tuple(_rules(document, policy)), problem=str(error))
    tried = (*_rules(document, policy), *_anomalies(document, policy, assessment, baselines))
    return Reasons(tried, assessment, tuple(_steps(assessment, policy)) if assessment else (), entry)


def _entry(
    envelope: Envelope, assessment: Assessment, balance: Decimal | None, policy: Policy, baselines: Baselines
) -> Entry | None:
    store = store_of(None if balance is None else {assessment.user: balance})
    store.baselines[policy.name] = evolve(baselines, computed_at=store.clock.now())
    run = DryRun(policy, store)
    run.reconcile(envelope)
    return next(run.entries(), None)


def _rules(document: Document, policy: Policy) -> Iterator[Tried]:
    for rule in policy.rules:
        yield Tried(rule.name, rule.action.value, rule.line, difference_from(rule.matches.parsed, document))


def _anomalies(document: Document, policy: Policy, assessment: Assessment | None, baselines: Baselines) -> Iterator[Tried]:
    if assessment is None:
        return
    priced = priced_view(assessment)
    for rule in policy.anomalies:
        yield _anomaly(rule, {**document, **priced}, examine(rule, document, priced, baselines))


def _anomaly(rule: AnomalyRule, event: Document, examined: Examination) -> Tried:
    if examined.anomaly is not None:
        return Tried(rule.name, "anomaly", rule.line, None, examined.anomaly.figures)
    difference = difference_from(rule.matches.parsed, event)
    if difference is None:
        difference = examined.note or (_usual(rule.detector, examined) if isinstance(rule.detector, Outlier) else None)
    return Tried(rule.name, "anomaly", rule.line, difference)


def _usual(outlier: Outlier, examined: Examination) -> str:
    if examined.sample is None or examined.baseline is None:
        return f"the event has no {outlier.of}"
    baseline, value = examined.baseline, examined.sample.value
    mads = distance_of(outlier, baseline, value)
    return (
        f"{canonical(value)} is {mads:.1f} MADs from the median {canonical(baseline.median)} of"
        f" {baseline.samples} samples of {examined.sample.group}; more than {outlier.mads} would be flagged"
    )


def _steps(assessment: Assessment, policy: Policy) -> Iterator[str]:
    rule = next(rule for rule in policy.rules if rule.name == assessment.rule)
    if assessment.price is not None:
        yield from _terms_steps(rule.terms, assessment, assessment.price, policy)
    yield from told_steps(assessment.fact)


def _terms_steps(terms: Terms, assessment: Assessment, price: Price, policy: Policy) -> Iterator[str]:
    if not isinstance(terms, ChargeTerms):
        return
    said = dict(content_of(assessment.fact))
    at = assessment.at if terms.priced_at is None else read_instant(said[terms.priced_at.text]) or assessment.at
    if terms.priced_at is not None:
        whose = "the event's time too" if at == assessment.at else "not at the event's time"
        yield f"priced at {terms.priced_at.text}, which is {said[terms.priced_at.text]}, {whose}"
    yield from _asked_steps(terms, price, assessment.quantity, at, said)
    parts = zip(terms.components, price.components, strict=True)
    asked = [tuple(_asked_steps(part, each.price, each.quantity, at, said)) for part, each in parts]
    yield from price_steps(price, assessment.quantity, policy.money, asked)


def _asked_steps(
    terms: ChargeTerms, price: Price, quantity: Decimal | None, at: datetime, said: Mapping[str, str]
) -> Iterator[str]:
    if terms.book and price.effective:
        yield from _row_steps(terms.book, at)
        yield from _defaults(terms.book, price.effective, said) if price.defaulted else ()
    if terms.quantity and quantity is not None:
        yield f"{terms.quantity.text} is {canonical(quantity)}"


def _row_steps(book: PriceBook, at: datetime) -> Iterator[str]:
    """Yield which row of the book counts and why, and until when."""
    row = book.row_at(at)
    if row is not None:
        again, then = _ended(book, row, at), _following(book, at)
        yield f"at {instant_text(at)} the row from {instant_text(row.effective)} counts{again}; {then}"


def _ended(book: PriceBook, row: PriceRow, at: datetime) -> str:
    """Say that a row counts again, and which one that began after it has ended last."""
    ended = [(each.until, each.effective) for each in book.rows if each.until and row.effective < each.effective <= at]
    if not ended:
        return ""
    until, effective = max(ended)
    return f" again, since the one from {instant_text(effective)} ended at {instant_text(until)}"


def _following(book: PriceBook, at: datetime) -> str:
    if (change := book.next_change(at)) is None:
        return "there is no later one"
    following = book.row_at(change)
    if following is not None and following.effective == change:
        return f"the next one counts from {instant_text(change)} on"
    then = f"the row from {instant_text(following.effective)} counts again" if following else "none counts"
    return f"it ends at {instant_text(change)}, and then {then}"


def _defaults(book: PriceBook, effective: datetime, said: Mapping[str, str]) -> Iterator[str]:
    """Yield each selected value that has no rate of its own, behind the keys that led to it."""
    row = next(row for row in book.rows if row.effective == effective)
    rates: Rates | tuple[Tier, ...] = row.rates
    keys: list[str] = []
    for by in row.by:
        if isinstance(rates, tuple):
            return
        value = said[by.text]
        if value not in rates:
            yield f"`{'/'.join([*keys, value])}` has no rate of its own: `{DEFAULT_RATE}` counts"
        keys.append(value if value in rates else DEFAULT_RATE)
        rates = rates[keys[-1]]
