"""Detectors: what a person should look at. They read the event and its charge; they never change an amount."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.baselines import Baseline, Baselines
from engine.decimals import EXPONENT_MAX, canonical, fits
from engine.paths import Path, PathProblem
from engine.policy.model import AnomalyRule, Outlier
from engine.values import Anomaly, Document, Sample

GROUP_BYTES_MAX = 256
"""A longer name of a group comes from no list of models: it would only fill the table of baselines."""


Priced = Mapping[str, Mapping[str, Decimal | None]]
"""``charge`` or ``grant``, with its ``amount``, ``quantity`` and ``rate``; empty for what has no price."""


@frozen
class Found:
    """The anomalies of an event in the policy's order, and the samples that outliers will be measured by.

    ``unjudged`` says why samples could not be measured (``missing``, ``stale``, ``unreadable``), None where they could.
    """

    anomalies: tuple[Anomaly, ...] = ()
    samples: tuple[Sample, ...] = ()
    unjudged: str | None = None


@frozen
class Looked:
    """What one detector makes of an event. ``sample`` is set where it took one, ``note`` where it could not judge it."""

    anomaly: Anomaly | None = None
    sample: Sample | None = None
    baseline: Baseline | None = None
    note: str | None = None


NOTHING = Looked()


def find_anomalies(rules: tuple[AnomalyRule, ...], document: Document, priced: Priced, baselines: Baselines) -> Found:
    """Return what the rules find in an event.

    They see the envelope plus ``charge`` of a debit or ``grant`` of a grant (``amount``, ``quantity``, ``rate``).
    """
    seen = {**document, **priced}
    looks = [_look(rule, seen, priced, baselines) for rule in rules]
    samples = tuple(dict.fromkeys(looked.sample for looked in looks if looked.sample))
    return Found(tuple(looked.anomaly for looked in looks if looked.anomaly), samples, baselines.problem if samples else None)


def look(rule: AnomalyRule, document: Document, priced: Priced, baselines: Baselines) -> Looked:
    """Return what one rule makes of an event."""
    return _look(rule, {**document, **priced}, priced, baselines)


def _look(rule: AnomalyRule, seen: Document, priced: Priced, baselines: Baselines) -> Looked:
    if not rule.matches(seen):
        return NOTHING
    if rule.outlier is not None:
        return _measured(rule, rule.outlier, seen, baselines)
    return Looked(Anomaly(rule.name, rule.reason, _figures(priced)))


def _measured(rule: AnomalyRule, outlier: Outlier, seen: Document, baselines: Baselines) -> Looked:
    sample = _sample(outlier, seen)
    if sample is None:
        return NOTHING
    baseline = baselines.find(sample)
    if baseline is None or baseline.samples < outlier.samples:
        return Looked(sample=sample, baseline=baseline, note=_why_not(outlier, sample, baseline, baselines))
    mads = baseline.mads(sample.value)
    anomaly = Anomaly(rule.name, rule.reason, _distance(sample, baseline, mads)) if mads > outlier.mads else None
    return Looked(anomaly, sample, baseline)


def _why_not(outlier: Outlier, sample: Sample, baseline: Baseline | None, baselines: Baselines) -> str:
    if baselines.problem is not None:
        return f"the baseline is {baselines.problem}"
    known = baseline.samples if baseline else 0
    return f"{sample.group} has {known} samples of the {outlier.samples} that are needed"


def _sample(outlier: Outlier, seen: Document) -> Sample | None:
    value, group = _search(outlier.value, seen), _search(outlier.group, seen)
    number = _number(value)
    if number is None or not isinstance(group, str) or not _is_name(group):
        return None
    is_storable = number.is_finite() and fits(number) and number.adjusted() < EXPONENT_MAX
    return Sample(outlier.of, group, number) if is_storable else None


def _number(value: object) -> Decimal | None:
    if value.__class__ is Decimal:
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _is_name(group: str) -> bool:
    """Say whether a table can hold the name of a group: half a surrogate has no UTF-8."""
    try:
        return 1 <= len(group.encode()) <= GROUP_BYTES_MAX
    except UnicodeEncodeError:
        return False


def _search(path: Path, seen: Document) -> Any:
    """An anomaly never stops an event: what cannot be worked out is no sample."""
    try:
        return path.search(seen)
    except PathProblem:
        return None


def _distance(sample: Sample, baseline: Baseline, mads: Decimal) -> tuple[tuple[str, str], ...]:
    return (
        ("value", canonical(sample.value)),
        ("of", sample.of),
        ("group", sample.group),
        ("median", canonical(baseline.median)),
        ("mad", canonical(baseline.spread)),
        ("mads", f"{mads:.1f}" if mads.is_finite() else "infinite"),
        ("samples", str(baseline.samples)),
    )


def _figures(priced: Priced) -> tuple[tuple[str, str], ...]:
    figures = next(iter(priced.values()), {})
    return tuple((name, _plain(value)) for name, value in figures.items() if value is not None)


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
