"""Metrics of a deployed stack, as they can be observed: what CloudWatch would have been told, on a clock that tests move.

EMF lines come from the functions' logs, Lambda's own metrics from the local AWS (durations from its REPORT lines, one by one),
those of SQS from the queues, those of Step Functions from the executions, and a metric filter's from the lines of its log.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from attrs import define, evolve, field

from tests.support.cloudwatch import MINUTE, Alarm, Datum
from tests.support.emf import read_line
from tests.support.log_filters import value_of
from tools.deployment import Deployment

REPORT = re.compile(r"^REPORT RequestId: \S+\tDuration: (?P<milliseconds>[\d.]+) ms\t", re.MULTILINE)
COUNTED = ("Invocations", "Errors", "Throttles")


@define(slots=False)
class Watch:
    """What an alarm sees of the stack from now on. ``shift`` is by how much the clock is ahead of the real one.

    Only the alarm's own namespace is looked at; which metric, and by which dimensions, is the alarm's to tell.
    """

    stack: Deployment
    alarm: Alarm
    shift: timedelta = timedelta()
    data: list[Datum] = field(factory=list)
    counts: Counter[Any] = field(factory=Counter)
    """Of what only grows (lines, counters, executions): how much was seen already."""
    oldest: float | None = None
    """When the oldest message of the queue was sent."""
    begun: datetime = field(factory=lambda: datetime.now(UTC))

    def __attrs_post_init__(self) -> None:
        """Forget what was before."""
        self.look()
        self.data.clear()

    def now(self) -> datetime:
        """Return the time on the moved clock."""
        return datetime.now(UTC) + self.shift

    def look(self) -> None:
        """Take in what has happened since the last look."""
        self.data += [evolve(datum, at=datum.at + self.shift) for datum in self._source()]

    def let_pass(self, time: timedelta) -> None:
        """Let time pass in which nothing happens, up to the beginning of that minute. What has happened stays where it was.

        So what is done before and after a period stands in two periods that follow each other, however long doing it takes.
        """
        self.look()
        self.shift += time
        now = self.now()
        self.shift -= now - now.replace(second=0, microsecond=0)
        self.look()

    def becomes(self, state: str, *, within: timedelta, others: Sequence[Alarm] = ()) -> bool:
        """Let minute after minute pass until the alarm has this state, however far it looks back. False: not ``within``.

        ``others`` have to have it as well: alarms that look at the same namespace.
        """
        until = self.now() + within + 2 * MINUTE
        self.look()
        while any(alarm.states(self.data, self.now()) != {state} for alarm in (self.alarm, *others)):
            if self.now() > until:
                return False
            self.shift += MINUTE
            self.data += [evolve(datum, at=datum.at + self.shift) for datum in self._gauges()]
        return True

    def _source(self) -> Iterable[Datum]:
        match self.alarm.namespace:
            case "Reconciler":
                return self._embedded()
            case "AWS/Lambda":
                return [*self._counters(), *self._durations()]
            case "AWS/SQS":
                return self._gauges()
            case "AWS/States":
                return self._executions()
            case _:
                return self._filtered()

    def _functions(self) -> tuple[str, ...]:
        """Return the functions whose metrics the alarm may look at: one, where its dimensions name it."""
        if named := dict(self.alarm.dimensions).get("FunctionName"):
            return (named,)
        return self.stack.function, self.stack.catch_up_function, self.stack.explain_function, self.stack.archive_function

    # --- what is written: lines, each once ---

    def _embedded(self) -> Iterator[Datum]:
        for function in self._functions():
            for line in self._new(function, self.stack.log_lines(function, self.begun)):
                yield from read_line(line)

    def _durations(self) -> Iterator[Datum]:
        for function in self._functions():
            for line in self._new(f"{function} reports", self.stack.log_lines(function, self.begun)):
                if report := REPORT.match(line):
                    yield self._of_lambda("Duration", function, float(report["milliseconds"]))

    def _filtered(self) -> Iterator[Datum]:
        (metric_filter,) = self._logs.describe_metric_filters(logGroupName=self.stack.log_group)["metricFilters"]
        (metric,) = metric_filter["metricTransformations"]
        dimensions = frozenset(metric.get("dimensions", {}).items())
        for line in self._new(self.stack.log_group, self.stack.log_lines(since=self.begun)):
            if (value := value_of(line, metric_filter["filterPattern"], metric["metricValue"])) is not None:
                yield Datum(metric["metricNamespace"], metric["metricName"], dimensions, datetime.now(UTC), value)

    def _new(self, what: str, lines: list[str]) -> list[str]:
        seen = Counter(lines)
        new = seen - Counter({line: count for (kind, line), count in self.counts.items() if kind == what})
        self.counts.update({(what, line): count for line, count in new.items()})
        return list(new.elements())

    # --- what is counted ---

    def _counters(self) -> Iterator[Datum]:
        """A throttled invocation is neither an invocation nor an error to AWS; the local AWS counts it as both."""
        for function in self._functions():
            (invocations, errors, throttles), samples = self._grown(function)
            if not samples:
                continue
            yield self._of_lambda("Throttles", function, throttles)
            if samples > throttles:
                yield self._of_lambda("Invocations", function, invocations - throttles)
                yield self._of_lambda("Errors", function, errors - throttles)

    def _grown(self, function: str) -> tuple[list[float], float]:
        grown = []
        for name in COUNTED:
            points = self._cloudwatch.get_metric_statistics(
                Namespace="AWS/Lambda", MetricName=name, Dimensions=[{"Name": "FunctionName", "Value": function}],
                StartTime=datetime.now(UTC) - timedelta(hours=3), EndTime=datetime.now(UTC) + MINUTE,
                Period=60, Statistics=["Sum", "SampleCount"],
            )["Datapoints"]  # fmt: skip
            total = sum(point["Sum"] for point in points)
            grown.append(total - self.counts[function, name])
            self.counts[function, name] = total
            samples = sum(point["SampleCount"] for point in points)
        more = samples - self.counts[function, "samples"]
        self.counts[function, "samples"] = samples
        return grown, more

    @staticmethod
    def _of_lambda(name: str, function: str, value: float) -> Datum:
        return Datum("AWS/Lambda", name, frozenset({("FunctionName", function)}), datetime.now(UTC), value)

    def _executions(self) -> Iterator[Datum]:
        machine = self.stack.outputs["CatchUpRunArn"]
        dimensions = frozenset({("StateMachineArn", machine)})
        for run in self._states.list_executions(stateMachineArn=machine)["executions"]:
            instants = {"ExecutionsStarted": run["startDate"]}
            if run["status"] == "FAILED":
                instants["ExecutionsFailed"] = run["stopDate"]
            for name, at in instants.items():
                if not self.counts[run["executionArn"], name]:
                    self.counts[run["executionArn"], name] = 1
                    yield Datum("AWS/States", name, dimensions, at, 1.0)

    # --- what is measured: as it is now ---

    def _gauges(self) -> Iterator[Datum]:
        if self.alarm.namespace != "AWS/SQS":
            return
        ((_, queue),) = self.alarm.dimensions
        url = self._sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        value = self._age(url) if self.alarm.metric == "ApproximateAgeOfOldestMessage" else self._visible(url)
        yield Datum("AWS/SQS", self.alarm.metric, self.alarm.dimensions, datetime.now(UTC), value)

    def _visible(self, url: str) -> float:
        name = "ApproximateNumberOfMessages"
        return float(self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    def _age(self, url: str) -> float:
        """Return how many seconds the oldest message has waited by now; the queue itself tells only when each was sent."""
        if not self._visible(url):
            self.oldest = None
            return 0.0
        if self.oldest is None:
            peek = {"QueueUrl": url, "VisibilityTimeout": 0, "AttributeNames": ["SentTimestamp"]}
            (message,) = self._sqs.receive_message(**peek)["Messages"]
            self.oldest = int(message["Attributes"]["SentTimestamp"]) / 1000
        return self.now().timestamp() - self.oldest

    # --- clients ---

    def close(self) -> None:
        """Close the connections."""
        for client in (self._logs, self._cloudwatch, self._states, self._sqs):
            client.close()

    @cached_property
    def _logs(self) -> Any:
        return self.stack.aws.client("logs")

    @cached_property
    def _cloudwatch(self) -> Any:
        return self.stack.aws.client("cloudwatch")

    @cached_property
    def _states(self) -> Any:
        return self.stack.aws.client("stepfunctions")

    @cached_property
    def _sqs(self) -> Any:
        return self.stack.aws.client("sqs")
