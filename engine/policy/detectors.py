"""The grammar of anomalies: patterns, outliers, what comes too often, what falls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from engine.domain.anomaly import BUILT_IN_ANOMALIES
from engine.policy.event_patterns import EventPattern, Matcher
from engine.policy.grammar import WRONG, Duration, Expression, Key, Keys, Name, Number, Text, Word, did_you_mean
from engine.policy.model import AnomalyRule, Drift, Frequency, Outlier, Scale, every_event
from engine.policy.pricing import Selectors
from engine.policy.source import Members, Notes, named

DETECTORS = ("outlier", "frequency", "drift")
"""What an anomaly may have beside, or in place of, ``match``: one of them."""

WITHIN_MAX = timedelta(days=7)
"""A look back reads so much of the ledger, and a day more."""

EVERY_EVENT = Matcher(every_event, {})

PRICED_MEMBERS = ("amount", "quantity", "rate", "unit", "price")


def _anomaly(values: Mapping[str, Any], node: Members, _notes: Notes) -> AnomalyRule:
    matcher: Matcher = values["match"] or EVERY_EVENT
    detectors = {name: values[name] for name in DETECTORS}
    return AnomalyRule(values["name"], matcher.matches, matcher.pattern, node.place.line, values["reason"], **detectors)


def _check_anomaly(_values: Mapping[str, Any], anomaly: Members, notes: Notes) -> None:
    detectors = [name for name in DETECTORS if name in anomaly.names()]
    if not detectors and "match" not in anomaly.names():
        notes.mistake(anomaly.place, "an anomaly needs `match`, `outlier`, `frequency` or `drift`")
    for name in detectors[1:]:
        notes.mistake((anomaly.get(name) or anomaly).place, f"`{name}` beside `{detectors[0]}`: write an anomaly for each")
    _check_priced_members(anomaly, notes)


def _check_priced_members(anomaly: Members, notes: Notes) -> None:
    """What anomalies see beside the envelope has just these members."""
    match = anomaly.get("match")
    for name in ("charge", "grant"):
        priced = match.get(name) if isinstance(match, Members) else None
        for key, _ in priced.pairs if isinstance(priced, Members) else ():
            if key.text not in PRICED_MEMBERS:
                notes.mistake(key.place, f"`{name}` has no {named(key.text)}{did_you_mean(key.text, PRICED_MEMBERS)}")


def _check_within(values: Mapping[str, Any], detector: Members, notes: Notes) -> None:
    within = values.get("within", WRONG)
    if within is not WRONG and within > WITHIN_MAX:
        notes.mistake(
            (detector.get("within") or detector).place, f"`within` is longer than the {WITHIN_MAX.days}d of a look back"
        )


def _outlier(values: Mapping[str, Any], _node: Members, _notes: Notes) -> Outlier:
    return Outlier(**{**values, "scale": Scale(values["scale"])})


SAMPLES = Number(Decimal(5), Decimal(10_000), whole=True)

OUTLIER = Keys(
    {
        "value": Key(Expression()),
        "group": Key(Expression()),
        "mads": Key(Number(Decimal(0), Decimal(1000))),
        "samples": Key(SAMPLES),
        "scale": Key(Word(tuple(Scale)), Scale.LINEAR.value),
    },
    _outlier,
)

FREQUENCY = Keys(
    {
        "same": Key(Selectors()),
        "more_than": Key(Number(Decimal(1), Decimal(10_000), whole=True)),
        "within": Key(Duration()),
    },
    lambda values, _node, _notes: Frequency(**values),
    _check_within,
)

DRIFT = Keys(
    {
        "value": Key(Expression()),
        "group": Key(Expression()),
        "below": Key(Number(Decimal("0.01"), Decimal("0.99"))),
        "last": Key(Number(Decimal(5), Decimal(1000), whole=True)),
        "within": Key(Duration()),
        "samples": Key(SAMPLES),
    },
    lambda values, _node, _notes: Drift(**values),
    _check_within,
)

ANOMALY = Keys(
    {
        "name": Key(Name(reserved=BUILT_IN_ANOMALIES)),
        "match": Key(EventPattern(), None),
        "outlier": Key(OUTLIER, None),
        "frequency": Key(FREQUENCY, None),
        "drift": Key(DRIFT, None),
        "reason": Key(Text(), None),
    },
    _anomaly,
    _check_anomaly,
)
