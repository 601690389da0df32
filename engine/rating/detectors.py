"""Detectors: what a person should look at. They read the event and its charge; they never change an amount."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_never

from attrs import frozen

from engine.domain.anomaly import Anomaly, Sample, Sign
from engine.domain.digits import as_text
from engine.domain.envelope import Document
from engine.domain.money import ZERO, canonical, fits
from engine.policy.detectors import Falling, Frequency, Measuring, Outlier, Scale
from engine.policy.expressions.paths import Path, PathProblem
from engine.policy.model import AnomalyRule
from engine.rating.baselines import Baseline, Baselines

GROUP_BYTES_MAX = 256
"""A longer name of a group comes from no list of models: it would only fill the table of baselines."""


KEY_BYTES = 9
"""Of a digest: of a million keys two are equal once in nine billion times."""

Priced = Mapping[str, Mapping[str, object]]
"""``charge`` or ``grant``, as ``assess.priced_view`` has them; empty for what has no price."""

FIGURES = ("amount", "quantity", "rate", "unit", "price")
"""What an anomaly without a detector says of the price."""


@frozen
class Detected:
    """The anomalies of an event in the policy's order, the samples that it will be measured by and the signs it is counted by.

    ``unjudged`` says why outliers could not be measured (``missing``, ``stale``, ``unreadable``, or ``few`` samples of their
    group), None where they could.
    """

    anomalies: tuple[Anomaly, ...] = ()
    samples: tuple[Sample, ...] = ()
    signs: tuple[Sign, ...] = ()
    unjudged: str | None = None


@frozen
class Examination:
    """What one anomaly of the policy makes of an event.

    ``sample`` is set where its detector took one, ``sign`` where the event counts for what only many show, and ``note``
    where it could not be judged yet.
    """

    anomaly: Anomaly | None = None
    sample: Sample | None = None
    sign: Sign | None = None
    baseline: Baseline | None = None
    note: str | None = None

    @property
    def is_unjudged(self) -> bool:
        """Whether no baseline was at hand for a sample that needs one at once, or one of too few samples."""
        return self.sample is not None and self.note is not None and self.note is not LATER


NOTHING_FOUND = Examination()

FEW = "few"
"""Why an outlier was not measured: its group is new, or so rare that the baseline has too few samples of it."""

LATER = "the scheduled run judges it together with others"


def find_anomalies(rules: tuple[AnomalyRule, ...], document: Document, priced: Priced, baselines: Baselines) -> Detected:
    """Return what the rules find in an event.

    They see the envelope plus ``charge`` of a debit or ``grant`` of a grant.
    """
    event = {**document, **priced}
    examined = [_examined(rule, event, priced, baselines) for rule in rules if rule.matches(event)]
    return Detected(
        anomalies=tuple(each.anomaly for each in examined if each.anomaly),
        samples=tuple(dict.fromkeys(each.sample for each in examined if each.sample)),
        signs=tuple(each.sign for each in examined if each.sign),
        unjudged=(baselines.problem or FEW) if any(each.is_unjudged for each in examined) else None,
    )


def examine(rule: AnomalyRule, document: Document, priced: Priced, baselines: Baselines) -> Examination:
    """Return what one rule makes of an event."""
    event = {**document, **priced}
    return _examined(rule, event, priced, baselines) if rule.matches(event) else NOTHING_FOUND


def _examined(rule: AnomalyRule, event: Document, priced: Priced, baselines: Baselines) -> Examination:
    """Return what a rule makes of an event that it matches."""
    match detector := rule.detector:
        case None:
            return Examination(Anomaly(rule.name, rule.reason, _figures(priced)))
        case Outlier():
            return _measured(rule, detector, event, baselines)
        case Frequency():
            return Examination(sign=_sign(rule.name, detector, event), note=LATER)
        case Falling():
            return Examination(sample=_sample(detector, event), note=LATER)
        case _:
            assert_never(detector)


def _measured(rule: AnomalyRule, outlier: Outlier, event: Document, baselines: Baselines) -> Examination:
    sample = _sample(outlier, event)
    if sample is None:
        return NOTHING_FOUND
    baseline = baselines.find(sample)
    if baseline is None or baseline.samples < outlier.samples:
        return Examination(sample=sample, baseline=baseline, note=_why_not(outlier, sample, baseline, baselines))
    mads = distance_of(outlier, baseline, sample.value)
    anomaly = Anomaly(rule.name, rule.reason, _distance(outlier, sample, baseline, mads)) if mads > outlier.mads else None
    return Examination(anomaly, sample, baseline=baseline)


def distance_of(outlier: Outlier, baseline: Baseline, value: Decimal) -> Decimal:
    """Return how far a value lies from what is usual, in MADs on the outlier's scale."""
    return baseline.log_mads(value) if outlier.scale is Scale.LOG else baseline.mads(value)


def _sign(name: str, frequency: Frequency, event: Document) -> Sign | None:
    """Return what an event is counted by: a digest, since a prompt may be long. None where a value is missing."""
    texts = [sign_text(_search(path, event)) for path in frequency.same]
    if not all(texts):
        return None
    digest = hashlib.blake2b("\0".join(texts).encode(errors="surrogatepass"), digest_size=KEY_BYTES).digest()
    return Sign(name, base64.b64encode(digest).decode())


def sign_text(value: object) -> str:
    """Return the one text of a value, however a number is written; an empty one for what says nothing."""
    if isinstance(value, str):
        return value
    number = _number(value)
    return f"\1{canonical(number)}" if number is not None and number.is_finite() and fits(number) else ""


def _why_not(outlier: Outlier, sample: Sample, baseline: Baseline | None, baselines: Baselines) -> str:
    if baselines.problem is not None:
        return f"the baseline is {baselines.problem}"
    count = baseline.samples if baseline else 0
    return f"{sample.group} has {count} samples of the {outlier.samples} that are needed"


def _sample(detector: Measuring, event: Document) -> Sample | None:
    value, group = _search(detector.value, event), _search(detector.group, event)
    number = _number(value)
    if number is None or not isinstance(group, str) or not _is_name(group):
        return None
    return Sample(detector.of, group, number) if number.is_finite() and fits(number) else None


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


def _search(path: Path, event: Document) -> Any:
    """An anomaly never stops an event: what cannot be worked out is no sample."""
    try:
        return path.search(event)
    except PathProblem:
        return None


def _distance(outlier: Outlier, sample: Sample, baseline: Baseline, mads: Decimal) -> tuple[tuple[str, str], ...]:
    is_log = outlier.scale is Scale.LOG
    spread = (baseline.log_spread or ZERO) if is_log else baseline.spread
    return (
        ("value", canonical(sample.value)),
        ("of", sample.of),
        ("group", sample.group),
        ("median", canonical(baseline.median)),
        ("mad", canonical(spread)),
        ("mads", f"{mads:.1f}" if mads.is_finite() else "infinite"),
        ("samples", str(baseline.samples)),
        *((("scale", outlier.scale.value),) if is_log else ()),
    )


def _figures(priced: Priced) -> tuple[tuple[str, str], ...]:
    seen = next(iter(priced.values()), None)
    return tuple((name, as_text(seen[name])) for name in FIGURES if seen[name] is not None) if seen else ()
