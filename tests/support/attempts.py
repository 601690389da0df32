"""The example policy where it numbers the tries of a job."""

from __future__ import annotations

NUMBERED = ("time: time}", "time: time, attempt: detail.attempt}")
"""What ``example`` changes for that."""

MALFORMED: dict[str, tuple[object, str]] = {
    "null": (None, "is missing"),
    "below 0": (-1, "is -1"),
    "between two": (1.5, "is 1.5"),
    "a text": ("x", "is 'x'"),
    "true": (True, "is True"),
    "of 40 digits": ("1" + "0" * 39, "is '1000000000000000000000000000000000000000'"),
    "a list": ([1], "is a list with 1 element"),
}
"""What is no attempt, and how the error names it."""

NEEDED = "; a whole number >= 0 of at most 38 digits is needed"
