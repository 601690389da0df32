"""Events that a rule matches but that make no sense: name, event, the field that is wrong, and a word of the reason.

The policy that goes with them takes an event's time from ``detail.finishedAt``: EventBridge itself always sends a good time.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.support.events import event, failed, rendered


def _without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the event without some members of its detail."""
    return {**document, "detail": {name: value for name, value in document["detail"].items() if name not in names}}


def _at(finished: Any) -> dict[str, Any]:
    return rendered(finishedAt=finished)


TIME = ("time: time}", "time: detail.finishedAt || time}")
"""The change to the example policy: the event's own time counts, if it has one."""

TIME_FIELD = "detail.finishedAt || time"

Case = tuple[str, dict[str, Any], str, str]

MALFORMED: list[Case] = [
    ("no job", _without(rendered(), "jobId"), "detail.jobId", "missing"),
    ("a job that is a number", rendered(job=7), "detail.jobId", "is 7; a string"),  # type: ignore[arg-type]
    ("a job that is null", rendered(jobId=None), "detail.jobId", "missing"),
    ("an empty job", rendered(jobId=""), "detail.jobId", "0 characters"),
    ("a job of 1,025 characters", rendered(jobId="j" * 1025), "detail.jobId", "1025 characters"),
    ("a job with a line break", rendered(jobId="j\n1"), "detail.jobId", "control characters"),
    ("a job with a C1 control character", rendered(jobId="j\x851"), "detail.jobId", "control characters"),
    ("a job with half a character", rendered(jobId="j\ud800"), "detail.jobId", "control characters"),
    ("a job too long for a key", rendered(jobId="\u8a9e" * 1000), "detail.jobId", "3000 bytes"),
    ("no user", _without(rendered(), "userId"), "detail.userId", "missing"),
    ("no user in a failure", _without(failed(), "userId"), "detail.userId", "missing"),
    ("an empty user", rendered(userId=""), "detail.userId", "0 characters"),
    ("a user that is a list", rendered(userId=["u-1"]), "detail.userId", "a string is needed"),
    ("a user with a null character", rendered(userId="u\x00"), "detail.userId", "control characters"),
    ("a time without a zone", _at("2026-01-05T10:00:00"), TIME_FIELD, "ISO 8601"),
    ("a day", _at("2026-01-05"), TIME_FIELD, "ISO 8601"),
    ("a time that is a number", _at(1767607200), TIME_FIELD, "ISO 8601"),
    ("a thirteenth month", _at("2026-13-05T10:00:00Z"), TIME_FIELD, "ISO 8601"),
    ("a time before all times", _at("0001-01-01T00:00:00+23:59"), TIME_FIELD, "ISO 8601"),
    ("a time before all prices", rendered(at="1999-01-01T00:00:00Z"), TIME_FIELD, "price"),
    ("a failure without a zone", failed(finishedAt="2026-01-05T10:00:00"), TIME_FIELD, "ISO 8601"),
    ("no seconds", _without(rendered(), "seconds"), "detail.seconds", "finite number >= 0"),
    ("negative seconds", rendered(seconds=-1), "detail.seconds", "finite number >= 0"),
    ("negative seconds as text", rendered(seconds="-1"), "detail.seconds", "finite number >= 0"),
    ("seconds that are true", rendered(seconds=True), "detail.seconds", "finite number >= 0"),
    ("seconds in words", rendered(seconds="eight"), "detail.seconds", "finite number >= 0"),
    ("seconds with an exponent", rendered(seconds="1e3"), "detail.seconds", "finite number >= 0"),
    ("seconds in other digits", rendered(seconds="\u0663"), "detail.seconds", "finite number >= 0"),
    ("seconds with white space", rendered(seconds=" 8 "), "detail.seconds", "finite number >= 0"),
    ("seconds in a list", rendered(seconds=[8]), "detail.seconds", "finite number >= 0"),
    ("seconds of 39 digits", rendered(seconds=10**38 + 1), "detail.seconds", "38"),
    ("seconds beyond any number", rendered(seconds=1e300), "detail.seconds", ""),
    ("no model", _without(rendered(), "model"), "detail.model", "string"),
    ("a model that is a number", rendered(model=3), "detail.model", "string"),
]


MALFORMED_IN_A_FILE: list[Case] = [
    ("seconds that are no number", rendered(seconds=float("nan")), "detail.seconds", "finite number >= 0"),
    ("seconds without end", rendered(seconds=float("inf")), "detail.seconds", "finite number >= 0"),
    ("seconds of 39 digits behind the point", rendered(seconds=Decimal("0." + "1" * 39)), "detail.seconds", "38"),
    ("no time", {name: value for name, value in rendered().items() if name != "time"}, TIME_FIELD, "missing"),
]
"""What EventBridge would not deliver, but a queue or a file can hold."""


def ids(cases: list[Case]) -> list[str]:
    """Return the names of the cases."""
    return [case[0] for case in cases]


UNMATCHED = event("video.queued", {"jobId": 7})
