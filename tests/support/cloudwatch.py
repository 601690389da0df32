"""CloudWatch's alarms, evaluated as AWS documents it.

Source: "Evaluating an alarm" and "How alarm state is evaluated when data is missing", Amazon CloudWatch User Guide. The local
AWS evaluates alarms only when a metric is put, and knows neither dimensions nor missing data.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import frozen

MINUTE = timedelta(minutes=1)

LOOKS_BACK_MAX = 2
"""So many periods more than it evaluates an alarm searches for data in the guide's examples; it tells the number nowhere."""

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}

STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "p95": lambda values: sorted(values)[math.ceil(0.95 * len(values)) - 1],
}

MISSING_IS_BREACHING: Mapping[str, bool] = {"breaching": True, "notBreaching": False}
"""How missing data count. Neither depends on the state before; with ``ignore`` that stays."""

PERIODS_KEPT = 40
"""So far back the state before is looked for, of an alarm that keeps it."""


@frozen
class Datum:
    """One value of a metric."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    at: datetime
    value: float


@frozen
class Alarm:
    """A metric alarm as DescribeAlarms has it."""

    name: str
    namespace: str
    metric: str
    dimensions: frozenset[tuple[str, str]]
    statistic: str
    period: timedelta
    periods: int
    datapoints: int
    comparison: str
    threshold: float
    missing: str

    @classmethod
    def described(cls, said: Mapping[str, Any]) -> Alarm:
        """Return the alarm of an element of DescribeAlarms' answer."""
        return cls(
            name=said["AlarmName"],
            namespace=said["Namespace"],
            metric=said["MetricName"],
            dimensions=frozenset((each["Name"], each["Value"]) for each in said["Dimensions"]),
            statistic=said.get("ExtendedStatistic") or said["Statistic"],
            period=timedelta(seconds=said["Period"]),
            periods=said["EvaluationPeriods"],
            datapoints=said.get("DatapointsToAlarm", said["EvaluationPeriods"]),
            comparison=said["ComparisonOperator"],
            threshold=said["Threshold"],
            missing=said["TreatMissingData"],
        )

    @property
    def range(self) -> timedelta:
        """The evaluation range: how far back the alarm looks for data at most."""
        return self.period * (self.periods + LOOKS_BACK_MAX)

    def states(self, data: Sequence[Datum], at: datetime) -> set[str]:
        """Return the states that it may have, however far it looks back: one, where that does not matter."""
        return {self.state(data, at, looks_back) for looks_back in range(LOOKS_BACK_MAX + 1)}

    def state(self, data: Iterable[Datum], at: datetime, looks_back: int = LOOKS_BACK_MAX) -> str:
        """Return ``ALARM`` or ``OK``, as of the minute that ``at`` is in.

        The newest datapoints that are there count, as many as are evaluated, however old within the range; where there are
        fewer, each that is missing counts as the alarm treats missing data.
        """
        end = at.replace(second=0, microsecond=0)
        keeps = self.missing == "ignore"
        datapoints = self._datapoints(list(data), end, PERIODS_KEPT if keeps else self.periods + looks_back)
        there = [point for point in datapoints if point is not None][: self.periods]
        breaching = sum(COMPARISONS[self.comparison](point, self.threshold) for point in there)
        if keeps and len(there) < self.periods:
            return "INSUFFICIENT_DATA"
        breaching += (self.periods - len(there)) * MISSING_IS_BREACHING.get(self.missing, False)
        return "ALARM" if breaching >= self.datapoints else "OK"

    def _datapoints(self, data: list[Datum], end: datetime, periods: int) -> list[float | None]:
        """Return the statistic of each of the last periods, the newest first; None where it has no data."""
        own = [datum for datum in data if self._looks_at(datum)]
        datapoints: list[float | None] = []
        for back in range(periods):
            until = end - back * self.period
            values = [datum.value for datum in own if until - self.period <= datum.at < until]
            datapoints.append(STATISTICS[self.statistic](values) if values else None)
        return datapoints

    def _looks_at(self, datum: Datum) -> bool:
        """A metric is its namespace, its name and all of its dimensions: other dimensions are another metric."""
        mine = (self.namespace, self.metric, self.dimensions)
        return mine == (datum.namespace, datum.name, datum.dimensions)
