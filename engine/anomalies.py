"""Detectors: what a person should look at. They read the event and its charge; they never change an amount."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from engine.policy.model import AnomalyRule
from engine.values import Anomaly, Document


def find_anomalies(rules: tuple[AnomalyRule, ...], document: Document, charge: Mapping[str, Any] | None) -> Iterator[Anomaly]:
    """Yield the anomalies of an event in the policy's order.

    The patterns see the envelope plus ``charge`` (``amount``, ``quantity``, ``rate``), which is absent for an event that
    charges nothing.
    """
    seen = {**document, "charge": charge} if charge is not None else document
    for rule in rules:
        if rule.matches(seen):
            yield Anomaly(rule.name, rule.reason, _figures(charge))


def _figures(charge: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, _plain(value)) for name, value in (charge or {}).items() if value is not None)


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
