"""Dates of price rows that lie years ahead are most likely wrong: they are told, in their line, by whoever has a clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.policy import parse_policy
from engine.policy.far_dates import far_dates
from tests.support.policies import example_text

NOW = datetime(2026, 12, 1, tzinfo=UTC)
ROW = '    - {effective: DATE, until: UNTIL, changes: {default: "0.14"}}\nrules:\n'


@pytest.mark.parametrize(
    ("effective", "until", "expected"),
    [
        ("2027-12-01T00:00:00Z", "2028-01-04T23:59:59Z", []),
        (
            "2028-01-05T00:00:00Z",
            "2028-01-05T00:00:01Z",
            ["13:48: 2028-01-05T00:00:01Z is 400 days ahead; is the year right?"],
        ),
        (
            "2062-12-01T00:00:00+01:00",
            "2062-12-08T00:00:00+01:00",
            [
                "13:19: 2062-11-30T23:00:00Z is 13148 days ahead; is the year right?",
                "13:53: 2062-12-07T23:00:00Z is 13155 days ahead; is the year right?",
            ],
        ),
    ],
)
def test_a_date_years_ahead_is_told(effective: str, until: str, expected: list[str]) -> None:
    """Beginnings and ends; 400 days are far enough for any plan."""
    text = example_text(("rules:\n", ROW.replace("DATE", effective).replace("UNTIL", until)))

    told = far_dates(parse_policy(text, "example.yaml"), text.encode(), "example.yaml", NOW)

    assert expected == [f"{warning.line}:{warning.column}: {warning.message}" for warning in told]
