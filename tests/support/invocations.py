"""What Lambda hands to the function beside a video event."""

from __future__ import annotations

SCHEDULED = {
    "version": "0",
    "id": "89d1a02d-5ec7-412e-82f5-13505f849b41",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-01-05T18:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/reconciler-scan"],
    "detail": {},
}


class Context:
    """What Lambda passes beside the event."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left."""
        return int(self.seconds * 1000)
