"""Envelopes exactly as EventBridge delivers them to a Lambda target."""

from __future__ import annotations

import itertools
import json
import re
from decimal import Decimal
from typing import Any

from tests.support.canaries import DETAIL

_numbers = itertools.count(1)


def event(detail_type: str, detail: dict[str, Any], at: str = "10:00", *, id: str | None = None) -> dict[str, Any]:  # noqa: A002
    """Return an envelope, with the canaries in its detail; ``at`` is a time of day on 2026-01-05, or a whole instant."""
    return {
        "version": "0",
        "id": id or f"{next(_numbers):08x}-1234-4abc-8def-000000000000",
        "detail-type": detail_type,
        "source": "video.generation",
        "account": "123456789012",
        "time": instant(at),
        "region": "us-east-1",
        "resources": [],
        "detail": {**detail, **{name: value for name, value in DETAIL.items() if name not in detail}},
    }


def rendered(job: str = "j-1", *, user: str = "u-1", seconds: Any = 8, at: str = "10:00", **more: Any) -> dict[str, Any]:
    """Return the event of a job that was rendered."""
    detail = {"jobId": job, "userId": user, "seconds": seconds, "model": "veo-3", "result_url": f"s3://renders/{job}.mp4"}
    return event("video.rendered", {**detail, **more}, at)


def failed(job: str = "j-1", *, user: str = "u-1", at: str = "11:00", **more: Any) -> dict[str, Any]:
    """Return the event of a job that failed."""
    return event("video.failed", {"jobId": job, "userId": user, "error": "out of memory", **more}, at)


def instant(at: str) -> str:
    """Return a time of day on 2026-01-05 as an instant; what is one already is returned as it is."""
    return at if len(at) > len("00:00:00") else f"2026-01-05T{at}:00Z"


def as_json(document: dict[str, Any]) -> str:
    """Return an event as JSON text with every digit of its decimals."""
    text = json.dumps(document, default=lambda number: f"<<{number}>>" if isinstance(number, Decimal) else number)
    return re.sub(r'"<<(.*?)>>"', r"\1", text)
