"""Where explanations are told: the event bus, for whoever wants to act on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

SOURCE = "credit.reconciler"
EXPLAINED = "credits.anomaly.explained"


@frozen
class Bus:
    """An event bus behind ``put_events`` (botocore's), by its name."""

    put_events: Callable[..., dict[str, Any]]
    name: str

    def tell(self, details: Sequence[dict[str, Any]]) -> int:
        """Put one event for each of at most ten details, and return how many were not taken. Raises nothing."""
        if not details:
            return 0
        entries = [
            {"EventBusName": self.name, "Source": SOURCE, "DetailType": EXPLAINED, "Detail": json.dumps(detail, default=str)}
            for detail in details
        ]
        try:
            return int(self.put_events(Entries=entries)["FailedEntryCount"])
        except Exception:  # noqa: BLE001  the explanation is stored: whatever the bus says, that stays
            return len(entries)
