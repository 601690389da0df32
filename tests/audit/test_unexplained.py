"""Flagged entries that nothing has explained: those of the last day count, once they are an hour old."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.audit.conftest import Day
from tests.support.stack import flag_item

pytestmark = pytest.mark.local_aws

ODD = {"L": [{"M": {"name": {"S": "odd"}}}]}


def put_flag(day: Day, age: timedelta, **attributes: dict[str, Any]) -> None:
    """Put an entry into the ledger that was posted so long ago."""
    item = {**flag_item("u-1", day.time.now() - age), **attributes}
    day.world.client.put_item(TableName=day.world.tables.ledger, Item=item)


@pytest.mark.parametrize(
    ("age", "counted"),
    [
        (timedelta(minutes=59, seconds=59), 0),
        (timedelta(hours=1), 1),
        (timedelta(hours=23), 1),
        (timedelta(hours=24), 1),
        (timedelta(hours=24, seconds=1), 0),
    ],
)
def test_a_flag_has_an_hour_to_be_explained_and_counts_for_a_day(day: Day, age: timedelta, counted: int) -> None:
    """Before, its explanation may be under way; after, the runs before have told of it."""
    put_flag(day, age, anomalies=ODD)

    assert counted == day.audit().unexplained


def test_only_what_is_flagged_and_without_words_counts(day: Day) -> None:
    """An entry without anomalies needs none, and one that has them is done with."""
    two_hours = timedelta(hours=2)
    put_flag(day, two_hours)
    put_flag(day, two_hours, anomalies={"L": []})
    put_flag(day, two_hours, anomalies=ODD, explanation={"M": {}})
    assert 0 == day.audit().unexplained

    put_flag(day, two_hours, anomalies=ODD)
    put_flag(day, two_hours, anomalies=ODD)
    assert 2 == day.audit().unexplained
