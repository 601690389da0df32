"""What stands in for CloudWatch in the tests of the alarms, against the examples of its User Guide."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.runtime.clock import Clock
from engine.runtime.telemetry import embedded
from tests.support.cloudwatch import Alarm, Datum
from tests.support.emf import EmfError, read_line
from tests.support.log_filters import value_of
from tools.template import resources

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
DIMENSIONS = frozenset({("FunctionName", "f")})


def alarm(datapoints: int = 3, missing: str = "notBreaching", statistic: str = "Sum", periods: int = 3) -> Alarm:
    """Return an alarm on a number above 1 in five minutes."""
    return Alarm(
        "a", "N", "M", DIMENSIONS, statistic, FIVE_MINUTES, periods, datapoints, "GreaterThanThreshold", 1.0, missing
    )  # fmt: skip


def drawn(points: str) -> list[Datum]:
    """Return data as the guide draws them: five periods, the oldest first; 0 is fine, X is breaching, - is missing."""
    values = {"0": 0.0, "X": 2.0}
    return [
        Datum("N", "M", DIMENSIONS, NOON - FIVE_MINUTES * (5 - index), values[point])
        for index, point in enumerate(points.split())
        if point in values
    ]


@pytest.mark.parametrize(
    ("points", "datapoints", "breaching", "not_breaching"),
    [
        ("0 - X - X", 3, "OK", "OK"),
        ("0 - - - -", 3, "OK", "OK"),
        ("- - - - -", 3, "ALARM", "OK"),
        ("0 X X - X", 3, "ALARM", "ALARM"),
        ("- - - - X", 3, "ALARM", "OK"),
        ("X - - - -", 3, "ALARM", "OK"),
        ("0 - X - X", 2, "ALARM", "ALARM"),
        ("0 0 X 0 X", 2, "ALARM", "ALARM"),
        ("0 - X - -", 2, "ALARM", "OK"),
        ("- - - - 0", 2, "ALARM", "OK"),
        ("- - - - X", 2, "ALARM", "OK"),
    ],
)
def test_an_alarm_is_evaluated_as_in_the_guides_tables(
    points: str, datapoints: int, breaching: str, not_breaching: str
) -> None:
    """Three periods evaluated, five looked at; of three or of two datapoints to alarm."""
    assert breaching == alarm(datapoints, "breaching").state(drawn(points), NOON)
    assert not_breaching == alarm(datapoints, "notBreaching").state(drawn(points), NOON)


@pytest.mark.parametrize(
    ("points", "state"),
    [
        ("- - - - -", "INSUFFICIENT_DATA"),
        ("- - - - X", "ALARM"),
        ("- - - - 0", "OK"),
        ("X - - - -", "ALARM"),
        ("0 - - - -", "OK"),
        ("0 - X - -", "ALARM"),
        ("X - 0 - -", "OK"),
    ],
)
def test_an_alarm_that_ignores_what_is_missing_stays_as_it_was(points: str, state: str) -> None:
    """The newest datapoint counts, however old: what came before it does not, and silence ends nothing."""
    ignoring = alarm(1, "ignore", periods=1)

    assert {state} == ignoring.states(drawn(points), NOON) == ignoring.states(drawn(points), NOON + FIVE_MINUTES * 30)


@pytest.mark.parametrize(("statistic", "state"), [("Sum", "ALARM"), ("Maximum", "OK"), ("p95", "OK")])
def test_the_statistic_is_that_of_a_period(statistic: str, state: str) -> None:
    """Two ones in a period are two together, and one at most."""
    data = [Datum("N", "M", DIMENSIONS, NOON - timedelta(minutes=minute), 1.0) for minute in (1, 2)]

    assert state == alarm(1, statistic=statistic, periods=1).state(data, NOON)


def test_the_95th_percentile_leaves_out_one_of_twenty() -> None:
    """Of twenty values the nineteenth counts."""
    slow = [Datum("N", "M", DIMENSIONS, NOON - timedelta(minutes=1), float(value)) for value in [0] * 18 + [2, 2]]

    assert "ALARM" == alarm(1, statistic="p95", periods=1).state(slow, NOON)
    assert "OK" == alarm(1, statistic="p95", periods=1).state([*slow[:19], slow[0]], NOON)


@pytest.mark.parametrize(
    "change", [{"namespace": "Other"}, {"name": "Other"}, {"dimensions": frozenset()}, {"at": NOON + timedelta(hours=1)}]
)
def test_another_metric_is_none_of_the_alarms(change: dict[str, Any]) -> None:
    """Other dimensions are another metric, even more of them or fewer."""
    own = {"namespace": "N", "name": "M", "dimensions": DIMENSIONS, "at": NOON - timedelta(minutes=1), "value": 2.0}

    assert "ALARM" == alarm(1, periods=1).state([Datum(**own)], NOON)
    assert "OK" == alarm(1, periods=1).state([Datum(**{**own, **change})], NOON)


def line(**change: Any) -> str:
    """Return a line of the engine's own, with changes at its root."""
    metrics = embedded({"Errors": 1, "CreditsMoved": 0.8}, {"FunctionName": "f"}, Clock().now())
    return json.dumps({"level": "INFO", **metrics, **change})


def test_the_engines_lines_carry_metrics() -> None:
    """By namespace, name and dimension."""
    assert [("Reconciler", "Errors", DIMENSIONS, 1.0), ("Reconciler", "CreditsMoved", DIMENSIONS, 0.8)] == [
        (datum.namespace, datum.name, datum.dimensions, datum.value) for datum in read_line(line())
    ]
    assert [] == read_line('{"level": "INFO"}') == read_line("REPORT RequestId: 1")


@pytest.mark.parametrize(
    "change",
    [
        {"Errors": "1"}, {"Errors": True}, {"Errors": None}, {"FunctionName": 7}, {"FunctionName": ""}, {"_aws": {}},
        {"_aws": {"Timestamp": 1.5, "CloudWatchMetrics": []}}, {"filler": "x" * 300_000},
        {"_aws": {"Timestamp": 1767614400, "CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [[]], "Metrics": []}]}},
        {"_aws": {"Timestamp": 1767614400000, "CloudWatchMetrics": [
            {"Namespace": "N", "Dimensions": [[]], "Metrics": [{"Name": "Errors", "Unit": "Pieces"}]}]}},
    ],
)  # fmt: skip
def test_what_cloudwatch_would_drop_is_refused(change: dict[str, Any]) -> None:
    """It says nothing; so the tests do."""
    with pytest.raises(EmfError):
        read_line(line(**change))


FILTER = resources(None, "AWS::Logs::MetricFilter")["ColdStarts"]["Properties"]
COLD = {"type": "platform.report", "record": {"metrics": {"durationMs": 9.5, "initDurationMs": 120.5}}}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (json.dumps(COLD), 120.5),
        (json.dumps({"type": "platform.report", "record": {"metrics": {"durationMs": 9.5}}}), None),
        (json.dumps({**COLD, "type": "platform.initReport"}), None),
        (json.dumps({**COLD, "record": {"metrics": {"initDurationMs": "120.5"}}}), None),
        ("REPORT RequestId: 1 Init Duration: 120.5 ms", None), ("[1]", None),
    ],
)  # fmt: skip
def test_the_templates_filter_takes_the_time_of_an_init_out_of_lambdas_own_line(line: str, value: float | None) -> None:
    """A warm invocation has none, and counts for nothing."""
    (metric,) = FILTER["MetricTransformations"]

    assert value == value_of(line, FILTER["FilterPattern"], metric["MetricValue"])


@pytest.mark.parametrize("pattern", ["ERROR", "{ $.a = 1 || $.b = 2 }", "{ $.a IS NULL }"])
def test_a_pattern_that_is_not_understood_is_no_match_but_a_mistake(pattern: str) -> None:
    """Else a filter would be tested that nobody has read."""
    with pytest.raises(ValueError, match="of a JSON log"):
        value_of(json.dumps(COLD), pattern, "$.a")
