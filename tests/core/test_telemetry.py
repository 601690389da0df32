"""One JSON line for each outcome, with metrics that CloudWatch can read out of it."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.domain.decision import Outcome
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.runtime.telemetry import Failure, Report, Telemetry
from tests.support.clock import ManualClock
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tests.support.steps import Steps

NAME_LENGTH_MAX = 1024
METRICS_MAX = 100


def metrics_of(line: dict[str, Any]) -> dict[str, float]:
    """Return the metrics that CloudWatch would extract from a line, or fail where the format is broken.

    The rules are those of "Specification: Embedded metric format": every metric and every dimension it names is a member of
    the root; dimensions are strings, metrics are numbers; the timestamp is in milliseconds.
    """
    metadata = line["_aws"]
    assert isinstance(metadata["Timestamp"], int)
    metrics = {}
    for directive in metadata["CloudWatchMetrics"]:
        assert "Reconciler" == directive["Namespace"]
        assert all(isinstance(line[name], str) for names in directive["Dimensions"] for name in names)
        assert len(directive["Metrics"]) <= METRICS_MAX
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            assert isinstance(value, int | float)
            assert not isinstance(value, bool)
            assert 0 < len(metric["Name"]) <= NAME_LENGTH_MAX
            assert metric["Unit"] in {"Count", "None"}
            metrics[metric["Name"]] = value
    return metrics


def test_every_outcome_is_one_line_with_its_metrics() -> None:
    """A debit, its duplicate, its refund, a void, a flag, a refusal and what no rule matches, in this order."""
    steps = Steps(example(("overdraft: flag", "overdraft: refuse")), balance="0.8")
    queued = event("video.queued", {"jobId": "test-1", "userId": "u-1"})

    steps.deliver(rendered("j-1"), rendered("j-1"), rendered("j-2"), failed("j-1"), failed("j-3"), queued)
    steps.deliver(event("video.queued", {"jobId": "j-4", "userId": "u-1"}))

    assert [
        ("debited", {"Debits": 1, "CreditsMoved": 0.8}),
        ("duplicate", {"Duplicates": 1}),
        ("refused", {"Refusals": 1, "Flags": 1}),
        ("refunded", {"Refunds": 1, "CreditsMoved": 0.8}),
        ("voided", {"Voids": 1}),
        ("flagged", {"Flags": 1}),
        ("ignored", {"Ignored": 1}),
    ] == [(line["outcome"], metrics_of(line)) for line in steps.lines]


def test_a_line_tells_event_job_user_rule_amount_outcome_and_milliseconds() -> None:
    """All that a person needs who follows one credit through the logs."""
    steps = Steps(example())
    document = rendered("j-1", seconds=8)

    steps.deliver(document)

    line = steps.lines[0]
    told = {name: line[name] for name in ("event", "job", "user", "rule", "amount", "outcome", "source", "level")}
    assert {
        "event": document["id"],
        "job": "j-1",
        "user": "u-1",
        "rule": "debit-rendered",
        "amount": "-0.8000",
        "outcome": "debited",
        "source": "event",
        "level": "INFO",
    } == told
    assert 0 <= line["milliseconds"]


def test_an_error_is_a_line_that_names_rule_and_field() -> None:
    """It counts in the metric that alarms watch."""
    steps = Steps(example())

    with pytest.raises(EventError):
        steps.deliver(rendered("j-1", seconds=-1))

    line = steps.lines[0]
    assert ("error", "ERROR", "debit-rendered", "detail.seconds") == tuple(
        line[name] for name in ("outcome", "level", "rule", "field")
    )
    assert {"Errors": 1, "NothingTaken": 0} == metrics_of(line)


def test_a_posting_made_by_a_scan_counts_as_an_adjustment() -> None:
    """It is work that no event had told of."""
    steps = Steps(example())

    steps.reconcile(Envelope(rendered("j-1"), Source.SCAN, status="completed"))

    assert {"Debits": 1, "CreditsMoved": 0.8, "Adjustments": 1} == metrics_of(steps.lines[0])


def test_a_log_level_never_silences_a_metric() -> None:
    """Alarms must not go blind when somebody asks for less text."""
    steps = Steps(example(), level=logging.WARNING)

    steps.deliver(rendered("j-1"))

    assert {"Debits": 1, "CreditsMoved": 0.8} == metrics_of(steps.lines[0])
    assert "job" not in steps.lines[0]


def test_an_audit_that_breaks_is_an_error_and_one_without_time_a_warning() -> None:
    """Both count for the alarm; only the first asks for a look at once."""
    lines: list[dict[str, Any]] = []
    telemetry = Telemetry(lambda line: lines.append(json.loads(line)), ManualClock().clock())

    telemetry.audit_unfinished({"problem": "no such table"}, is_out_of_time=False)
    telemetry.audit_unfinished({"problem": "no time"}, is_out_of_time=True)

    assert [("ERROR", 1), ("WARNING", 1)] == [(line["level"], line["AuditsUnfinished"]) for line in lines]


def test_what_went_well_says_so_in_numbers() -> None:
    """An alarm looks back for the last number there is: it ends by a 0, not by silence. A scan's rows have told theirs."""
    lines: list[dict[str, Any]] = []
    telemetry = Telemetry(lambda line: lines.append(json.loads(line)), ManualClock().clock())

    telemetry.scanned({"rows": 3, "moved": Decimal("0.1")})
    telemetry.audited({"users": 3}, 0)

    assert [("INFO", "scanned", "0.1"), ("INFO", "audited", None)] == [
        (line["level"], line["message"], line.get("moved")) for line in lines
    ]
    assert [
        {"ScansCapped": 0, "Adjustments": 0, "Errors": 0, "UnmappedRows": 0},
        {"Drift": 0, "Unexplained": 0, "AuditsUnfinished": 0},
    ] == [metrics_of(line) for line in lines]


def test_a_container_that_rejects_whatever_comes_says_so() -> None:
    """Eleven different events and none taken; not where one comes again and again, nor where others are taken."""

    def rejected(*ids: str, taken: bool = False) -> list[int]:
        lines: list[dict[str, Any]] = []
        telemetry = Telemetry(lambda line: lines.append(json.loads(line)), ManualClock().clock())
        if taken:
            telemetry.settled(Report(Envelope({}, Source.EVENT), Outcome.DUPLICATE))
        telemetry.settled(Report(Envelope({}, Source.EVENT), Outcome.IGNORED))
        for event_id in ids:
            telemetry.failed(Failure(Envelope({"id": event_id}, Source.QUEUE), ValueError("no number"), 0.0))
        return [line["NothingTaken"] for line in lines if "NothingTaken" in line]

    different = [f"e-{number}" for number in range(12)]

    assert [*[0] * 10, 1, 1] == rejected(*different)
    assert [0] * 12 == rejected(*different, taken=True)
    assert [0] * 12 == rejected(*["e-1"] * 12)


@pytest.mark.parametrize(("minutes", "assumed", "counted"), [(29, False, 0), (30, False, 1), (31, False, 1), (0, True, 1)])
def test_what_may_be_under_way_is_not_lost(minutes: int, assumed: bool, counted: int) -> None:  # noqa: FBT001
    """A job that is younger than the grace is posted and not counted; of one without a time nobody can say how old it is."""
    lines: list[dict[str, Any]] = []
    clock = ManualClock().clock()
    telemetry = Telemetry(lambda line: lines.append(json.loads(line)), clock, grace=timedelta(minutes=30))
    entry = Entry(
        reference="job#j", job="j", sequence=1, user="u", type=EntryType.DEBIT, amount=Decimal(-1),
        occurred_at=clock.now() - timedelta(minutes=minutes), rule="r", policy="p", facts=Facts(), cost=Decimal(1),
        money=Money(), source=Source.SCAN, time_is_assumed=assumed,
    )  # fmt: skip

    telemetry.settled(Report(Envelope({}, Source.SCAN), Outcome.DEBITED, entry=entry))

    assert counted == lines[0].get("Adjustments", 0)
