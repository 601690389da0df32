"""Where explanations and notices are told: the event bus, for whoever wants to act on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from attrs import frozen

from engine.domain.digits import as_text
from engine.domain.envelope import OWN_SOURCE

EXPLAINED = "credits.anomaly.explained"

EVENTS_MAX = 10
"""As many events are put at once."""


@frozen
class Bus:
    """An event bus behind ``put_events`` (botocore's), by its name."""

    put_events: Callable[..., dict[str, Any]]
    name: str

    def tell(self, details: Sequence[dict[str, Any]]) -> tuple[int, str]:
        """Put one event for each of at most ten details; return how many were not taken, and why. Raises nothing."""
        untold, problem = self.send([(EXPLAINED, detail) for detail in details])
        return len(untold), problem

    def send(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[Collection[int], str]:
        """Put at most ten events (detail-type, detail); return the places of those not taken, and why. Raises nothing."""
        if not events:
            return (), ""
        entries = [
            {
                "EventBusName": self.name,
                "Source": OWN_SOURCE,
                "DetailType": name,
                "Detail": json.dumps(detail, default=as_text, ensure_ascii=False),
            }
            for name, detail in events
        ]
        try:
            return _untold(self.put_events(Entries=entries))
        except Exception as error:  # noqa: BLE001  what was posted stays, whatever the bus says
            return range(len(entries)), f"{type(error).__name__}: {error}"


def _untold(answer: Mapping[str, Any]) -> tuple[Collection[int], str]:
    """Return the places of the events that an answer says were not taken, and why."""
    if not answer["FailedEntryCount"]:
        return (), ""
    codes = {place: str(entry["ErrorCode"]) for place, entry in enumerate(answer["Entries"]) if entry.get("ErrorCode")}
    return codes.keys(), ", ".join(sorted(set(codes.values())))
