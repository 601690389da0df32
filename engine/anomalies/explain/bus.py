"""Where explanations are told: the event bus, for whoever wants to act on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from engine.domain.digits import as_text
from engine.domain.envelope import OWN_SOURCE

EXPLAINED = "credits.anomaly.explained"


@frozen
class Bus:
    """An event bus behind ``put_events`` (botocore's), by its name."""

    put_events: Callable[..., dict[str, Any]]
    name: str

    def tell(self, details: Sequence[dict[str, Any]]) -> tuple[int, str]:
        """Put one event for each of at most ten details; return how many were not taken, and why. Raises nothing."""
        if not details:
            return 0, ""
        entries = [
            {
                "EventBusName": self.name,
                "Source": OWN_SOURCE,
                "DetailType": EXPLAINED,
                "Detail": json.dumps(detail, default=as_text),
            }
            for detail in details
        ]
        try:
            answer = self.put_events(Entries=entries)
            codes = {str(entry["ErrorCode"]) for entry in answer.get("Entries", ()) if entry.get("ErrorCode")}
            return int(answer["FailedEntryCount"]), ", ".join(sorted(codes))
        except Exception as error:  # noqa: BLE001  the explanation is stored: whatever the bus says, that stays
            return len(entries), f"{type(error).__name__}: {error}"
