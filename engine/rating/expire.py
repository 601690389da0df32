"""The word of the scheduled run that a hold has expired. Pure."""

from __future__ import annotations

from datetime import datetime

from engine.domain.assessment import Assessment
from engine.domain.envelope import Source
from engine.domain.fact import Expiry, Hold
from engine.domain.facts import Facts
from engine.domain.references import JOB

RULE = "expiry"
"""What an entry names as its rule by which an expired hold is released."""


def expiry_of(hold: Hold, job: str, user: str, at: datetime) -> Assessment:
    """Return what the run says at ``at`` of a job whose hold, of ``user``'s credits, has expired by then."""
    return Assessment(
        reference=f"{JOB}{job}",
        job=job,
        user=user,
        at=at,
        rule=RULE,
        fact=Facts(expiries=(Expiry(at, hold.attempt),)),
        source=Source.SCAN,
        attempt=hold.attempt,
    )
