"""Why a pattern does not match, in words that a person can act on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.policy.patterns.why import first_difference
from tests.patterns.cases import MATCH, REFUSED, load_cases

EVENT: dict[str, Any] = {
    "source": "video.generation",
    "detail-type": "video.rendered",
    "detail": {"seconds": Decimal("8.5"), "tags": ["a", "b"], "parts": [{"x": 1, "y": 2}, {"x": 3, "y": 4}], "ip": "10.0.0.9"},
}

DIFFERENCES: list[tuple[dict[str, Any], str | None]] = [
    ({"source": ["video.generation"]}, None),
    ({"detail-type": ["video.failed"]}, '`detail-type` is "video.rendered"; wanted: "video.failed"'),
    ({"source": ["x"], "detail-type": ["y"]}, '`source` is "video.generation"; wanted: "x"'),
    ({"detail": {"user": [{"exists": True}]}}, "`detail.user` is missing; wanted: anything"),
    ({"detail": {"seconds": [{"exists": False}]}}, "`detail.seconds` is 8.5; wanted: no such field"),
    ({"detail": {"seconds": [{"numeric": [">", 10, "<=", 20]}]}}, "`detail.seconds` is 8.5; wanted: a number > 10 and <= 20"),
    ({"detail": {"seconds": [1, None]}}, "`detail.seconds` is 8.5; wanted: 1 or null"),
    ({"detail": {"tags": [{"prefix": "c"}]}}, '`detail.tags` is "a", "b"; wanted: what begins with "c"'),
    ({"detail": {"tags": ["c", {"suffix": {"equals-ignore-case": "X"}}]}}, '"c" or what ends with "X" in any case'),
    ({"source": [{"wildcard": "a*b"}]}, 'wanted: what looks like "a*b"'),
    ({"source": [{"anything-but": {"prefix": "video"}}]}, 'wanted: anything but what begins with "video"'),
    ({"source": [{"equals-ignore-case": "AUDIO"}]}, 'wanted: "AUDIO" in any case'),
    ({"detail": {"ip": [{"cidr": "10.0.1.0/24"}]}}, "wanted: an address from 10.0.1.0 to 10.0.1.255"),
    ({"detail": {"parts": {"x": [1], "y": [4]}}}, "each field matches, but not in the same element of an array"),
    (
        {"$or": [{"source": ["x"], "detail-type": ["video.failed"]}, {"source": ["video.generation"], "detail-type": ["z"]}]},
        'none of 2 alternatives; nearest: `detail-type` is "video.rendered"; wanted: "z"',
    ),
]


@pytest.mark.parametrize(("pattern", "difference"), DIFFERENCES)
def test_the_first_field_that_differs_is_named(pattern: dict[str, Any], difference: str | None) -> None:
    """With what is there, and with what the pattern would take."""
    found = first_difference(pattern, EVENT)

    assert found == difference if difference is None else found is not None and found.endswith(difference)


def test_there_is_a_difference_just_where_there_is_no_match() -> None:
    """For every case of the conformance suite, whatever its operators."""
    cases = [case for case in load_cases() if case.expected != REFUSED]

    assert len(cases) > 400
    for case in cases:
        assert (first_difference(case.pattern, case.event or {}) is None) == (case.expected == MATCH), case.name
