"""The grammar of anomalies: a pattern, a detector, or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.domain.built_in_anomalies import BUILT_IN_ANOMALIES
from engine.domain.fact_kinds import PRICED
from engine.policy.detectors import DETECTORS
from engine.policy.event_patterns import EventPattern, Matcher
from engine.policy.grammar import Key, Keys, Name, Text
from engine.policy.hints import did_you_mean
from engine.policy.model import AnomalyRule
from engine.policy.patterns import Branch, Pattern
from engine.policy.patterns.compile import LazyPredicate
from engine.policy.source import Members, Node, Notes, named

EVERY_EVENT = Matcher(LazyPredicate(Pattern((Branch(()),))), {})

PRICED_MEMBERS = ("amount", "quantity", "rate", "unit", "price", "defaulted")


def _anomaly(values: Mapping[str, Any], node: Members, _notes: Notes) -> AnomalyRule:
    matcher: Matcher = values["match"] or EVERY_EVENT
    detector = next((values[name] for name in DETECTORS if values[name] is not None), None)
    return AnomalyRule(values["name"], matcher.matches, matcher.pattern, node.place.line, values["reason"], detector)


def _check_anomaly(_values: Mapping[str, Any], anomaly: Members, notes: Notes) -> None:
    detectors = [name for name in DETECTORS if name in anomaly.names()]
    if not detectors and "match" not in anomaly.names():
        *others, last = ("match", *DETECTORS)
        notes.mistake(anomaly.place, f"an anomaly needs {', '.join(f'`{name}`' for name in others)} or `{last}`")
    for name in detectors[1:]:
        notes.mistake((anomaly.get(name) or anomaly).place, f"`{name}` beside `{detectors[0]}`: write an anomaly for each")
    _check_priced_members(anomaly, notes)


def _check_priced_members(anomaly: Members, notes: Notes) -> None:
    """What anomalies see beside the envelope has just these members."""
    match = anomaly.get("match")
    for name in (kind.key for kind in PRICED):
        priced = match.get(name) if isinstance(match, Members) else None
        _check_members(name, priced, (*PRICED_MEMBERS, "components"), notes)
        components = priced.get("components") if isinstance(priced, Members) else None
        _check_members(f"{name}.components", components, (*PRICED_MEMBERS, "name"), notes)


def _check_members(name: str, node: Node | None, members: tuple[str, ...], notes: Notes) -> None:
    for key, _ in node.pairs if isinstance(node, Members) else ():
        if key.text not in members:
            notes.mistake(key.place, f"`{name}` has no {named(key.text)}{did_you_mean(key.text, members)}")


ANOMALY = Keys(
    {
        "name": Key(Name(reserved=BUILT_IN_ANOMALIES)),
        "match": Key(EventPattern(), None),
        **{name: Key(detector.shape(), None) for name, detector in DETECTORS.items()},
        "reason": Key(Text(), None),
    },
    _anomaly,
    _check_anomaly,
)
