"""Holds in the example's policy: events that ask for one, and the policy that knows them."""

from __future__ import annotations

from typing import Any

from engine.policy import Policy
from tests.support.events import event
from tests.support.policies import example

HOLD = """\
rules:
  - name: hold-submitted
    match: {source: [video.generation], detail-type: [video.submitted]}
    action: hold
    hold: {price: render-second, quantity: detail.seconds, expires: 2h}
"""


def with_holds(*changes: tuple[str, str]) -> Policy:
    """Return the example's policy with a hold of what the asked seconds cost, and other changes."""
    return example(("rules:\n", HOLD), *changes)


def submitted(job: str = "j-1", *, user: str = "u-1", seconds: Any = 8, at: str = "09:00", **more: Any) -> dict[str, Any]:
    """Return the event of a job that was submitted."""
    detail = {"jobId": job, "userId": user, "seconds": seconds, "model": "veo-3", **more}
    return event("video.submitted", detail, at)
