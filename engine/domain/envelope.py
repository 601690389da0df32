"""One event in EventBridge's shape, whatever door it came in by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import frozen

Document = Mapping[str, Any]
"""A JSON object: an EventBridge envelope, or a row of Jobs."""


OWN_SOURCE = "credit.reconciler"
"""The source of this system's own events. No policy is asked about them: an entry about an entry would never end."""


class Source(StrEnum):
    """How a fact reached us."""

    EVENT = "event"
    QUEUE = "queue"
    SCAN = "scan"
    REPLAY = "replay"
    REPAIR = "repair"
    """A correction by a person, after damage that an audit has found."""
    COMMAND = "command"
    """A person's own word: a correction, or what was found out about an anomaly."""


@frozen
class Envelope:
    """One event in EventBridge's shape, whatever it came from.

    ``status`` is the status of the row of Jobs that a scan made it from. ``time_is_assumed`` says that the row had no time of
    its own, so that the start of the scan stands in.
    """

    document: Document
    source: Source
    status: str | None = None
    time_is_assumed: bool = False
    message: str | None = None
    """The queue's id of the message that it came in."""
    row: Document | None = None
    """The job's own row in Jobs, where it was read: expressions see it as ``row``, patterns do not."""

    @property
    def id(self) -> str | None:
        value = self.document.get("id")
        return value if isinstance(value, str) else None
