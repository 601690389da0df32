"""Why an event costs what it costs: every rule that was tried, the price that counted, the arithmetic, and the entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import asdict, evolve, frozen

from engine.domain.assessment import Assessment
from engine.domain.entry import Entry
from engine.domain.envelope import OWN_SOURCE, Document, Envelope, Source
from engine.domain.errors import EventError, NoRow, RowNeeded
from engine.domain.money import ZERO, canonical
from engine.policy.detectors import Outlier
from engine.policy.model import AnomalyRule, Policy
from engine.policy.patterns.why import difference_from
from engine.preview.dry_run import DryRun, store_of
from engine.preview.steps import steps_of
from engine.rating.assess import assess, priced_view
from engine.rating.baselines import NO_BASELINES, Baselines
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
        if self.entry is None and any(tried.matched for tried in self.tried):
            return f"ignored: its source is {OWN_SOURCE}, this system's own, about whose events no rule is asked"
        if self.entry is None:
            return "ignored: no rule matches"
        return _in_words(self.entry)


def _in_words(entry: Entry) -> str:
    """Return who pays or gets how much, or for whom it is held, and the entry that says so."""
    verb = "pays" if entry.amount < ZERO else "gets"
    moved = f"{verb} {abs(entry.amount):f} credits" if entry.amount else "pays nothing"
    if entry.held:
        moved = f"has {entry.held:f} credits held"
    elif entry.facts.refused:
        moved = "is refused, and pays nothing"
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
        "held": format(entry.held, "f"),
        "rule": entry.rule,
        "anomalies": [anomaly.name for anomaly in entry.anomalies],
    }


def reasons_for(
    document: Document,
    policy: Policy,
    balance: Decimal | None = None,
    baselines: Baselines = NO_BASELINES,
    rows: Mapping[str, Document] | None = None,
) -> Reasons:
    """Return why an event costs what it costs under a policy, as a job's first event.

    ``balance`` is what its user has; None means plenty. ``rows`` are the rows of Jobs by their jobs. Raises NoRow where the
    event can be told only with the row of its job, and none was handed over (None).
    """
    try:
        envelope, assessment = _assessed(Envelope(document, Source.EVENT), policy, baselines, rows or {})
        entry = _entry(envelope, assessment, balance, policy, baselines) if assessment else None
    except EventError as error:
        if isinstance(error, NoRow) and rows is None:
            raise
        return Reasons(tuple(_rules(document, policy)), problem=str(error))
    tried = (*_rules(document, policy), *_anomalies(document, policy, assessment, baselines))
    return Reasons(tried, assessment, tuple(steps_of(envelope, assessment, policy)) if assessment else (), entry)


def _assessed(
    envelope: Envelope, policy: Policy, baselines: Baselines, rows: Mapping[str, Document]
) -> tuple[Envelope, Assessment | None]:
    """Return what the policy makes of an event, and the event with the row of its job where that was needed."""
    try:
        return envelope, assess(envelope, policy, baselines)
    except RowNeeded as needed:
        asking = needed
    if (row := rows.get(asking.job)) is None:
        raise asking.missing
    told = evolve(envelope, row=row)
    return told, assess(told, policy, baselines)


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
        f" {baseline.samples} samples of {examined.sample.group}; more than {outlier.mads:f} would be flagged"
    )
