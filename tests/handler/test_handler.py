"""The Lambda function as Lambda calls it: real envelopes in, real tables behind it, nothing but the environment to go by."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

import handler
from engine.domain.errors import EventError, LedgerError
from engine.ledger.dynamodb.attributes import encode_item
from tests.support.eventbridge import delivered
from tests.support.events import as_json, failed, rendered
from tests.support.invocations import SCHEDULED, Context
from tests.support.malformed import MALFORMED, ids
from tests.support.world import World

pytestmark = pytest.mark.local_aws


def deliver(document: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
    """Invoke the function with an event as EventBridge delivers it by the template's rules."""
    return dict(handler.lambda_handler(delivered(document), Context(seconds)))


def as_message(body: str, number: int) -> dict[str, Any]:
    """Return a record of an SQS batch as Lambda's poller delivers it."""
    return {
        "messageId": f"m-{number}",
        "receiptHandle": "AQEB",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767607200000"},
        "messageAttributes": {},
        "md5OfBody": "0",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:reconciler",
        "awsRegion": "us-east-1",
    }


def test_a_rendered_event_debits_and_a_failed_event_refunds(world: World) -> None:
    """The whole product in two invocations."""
    world.job("j-1")

    debit = deliver(rendered("j-1", seconds=8))
    refund = deliver(failed("j-1"))

    assert ("debited", "-0.8000", "refunded", "0.8000") == (
        debit["outcome"],
        debit["amount"],
        refund["outcome"],
        refund["amount"],
    )
    assert [("debit", Decimal("-0.8")), ("refund", Decimal("0.8"))] == world.amounts("j-1")
    assert {"userId": "u-1", "plan": "pro", "remaining": 1000, "posted": 0} == world.user_row()


def test_the_answer_can_go_through_json(world: World) -> None:
    """Lambda writes it as JSON."""
    world.job("j-1")

    assert "debited" == json.loads(json.dumps(deliver(rendered("j-1"))))["outcome"]


def test_an_entry_tells_all_that_an_accountant_asks(world: World) -> None:
    """Who, what, when, why, by which price of which policy."""
    world.job("j-1")
    document = rendered("j-1", seconds=8.5, model="premium")

    deliver(document)

    (entry,) = world.entries("j-1")
    assert 1 == entry.pop("postedAt").count("T")
    policy = entry.pop("policy")
    assert policy.startswith("video@")
    assert {
        "reference": "job#j-1",
        "sequence": 1,
        "userId": "u-1",
        "jobId": "j-1",
        "type": "debit",
        "amount": Decimal("-2.125"),
        "cost": Decimal("2.125"),
        "occurredAt": "2026-01-05T10:00:00Z",
        "rule": "debit-rendered",
        "price": {
            "book": "render-second",
            "effective": "2025-01-01T00:00:00Z",
            "rate": Decimal("0.25"),
            "unit": "premium",
            "minimum": Decimal("0.01"),
            "maximum": 500,
        },
        "money": {"places": 4, "rounding": "half-even"},
        "quantity": Decimal("8.5"),
        "facts": {
            "charge": {
                "amount": Decimal("2.125"),
                "at": "2026-01-05T10:00:00Z",
                "content": {"detail.model": "premium", "detail.seconds": "8.5"},
                "policy": policy,
            }
        },
        "anomalies": [],
        "source": "event",
        "eventId": document["id"],
    } == entry


def test_the_application_s_own_attributes_are_left_alone(world: World) -> None:
    """A row of Jobs gets our three attributes and loses nothing."""
    world.job("j-1")
    before = world.job_row("j-1")

    deliver(rendered("j-1"))

    assert before is not None
    ours = {"reconciled": True, "reconciledStatus": "completed", "reconciledSequence": 1}
    assert {**before, **ours} == world.job_row("j-1")


def test_a_job_that_has_no_row_does_not_get_one(world: World) -> None:
    """The table of jobs belongs to the application."""
    deliver(rendered("j-1"))

    assert world.job_row("j-1") is None
    assert [("debit", Decimal("-0.8"))] == world.amounts("j-1")


def test_the_schedule_catches_up_and_then_has_nothing_to_do(world: World) -> None:
    """Every six hours; the second run writes nothing."""
    for number in range(20):
        world.job(f"j-{number}", status="completed" if number % 4 else "failed")

    first = handler.lambda_handler(SCHEDULED, Context())
    before = world.everything()
    second = handler.lambda_handler(SCHEDULED, Context())

    assert ({"debited": 15, "voided": 5}, 20, []) == (first["outcomes"], first["adjustments"], first["slices"])
    assert ({}, 0, 0, []) == (second["outcomes"], second["adjustments"], second["marked"], second["slices"])
    assert before == world.everything()


def test_the_schedule_checks_the_books(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Users whose entries do not add up are named, and counted for the alarm."""
    world.job("j-1")
    fine = handler.lambda_handler(SCHEDULED, Context())["audit"]
    world.client.put_item(
        TableName=world.tables.credits, Item=encode_item({"userId": "u-9", "remaining": 5, "posted": Decimal(-3)})
    )

    drifting = handler.lambda_handler(SCHEDULED, Context())["audit"]
    unfinished = handler.lambda_handler(SCHEDULED, Context(seconds=1))["audit"]

    assert ([], 1) == (fine["drifts"], fine["entries"])
    assert ["u-9"] == drifting["drifts"]
    assert "TimeIsUp: the audit's time was used up" == unfinished["problem"]
    lines = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if line.get("message") == "audited"]
    assert [("INFO", 0), ("ERROR", 1), ("WARNING", None)] == [(line["level"], line.get("Drift")) for line in lines]
    assert 1 == lines[2]["AuditsUnfinished"]


def test_a_scan_without_time_answers_with_the_slices_to_go_on_with(world: World) -> None:
    """The answer is itself an event that the function takes."""
    world.job("j-1")

    out_of_time = handler.lambda_handler(SCHEDULED, Context(seconds=1))
    assert (0, 8) == (out_of_time["rows"], len(out_of_time["slices"]))

    done = handler.lambda_handler(json.loads(json.dumps(out_of_time)), Context())
    assert (1, []) == (done["rows"], done["slices"])


def test_a_run_posts_no_more_than_it_may_and_the_next_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seven at a time of twenty, exactly; jobs that an event has charged already do not count."""
    monkeypatch.setenv("ADJUSTMENTS_CAP", "7")
    world.deliver(rendered("j-known"))
    world.job("j-known")
    for number in range(20):
        world.job(f"j-{number}")

    runs = [handler.lambda_handler(SCHEDULED, Context()) for _ in range(4)]

    assert [(7, True), (7, True), (6, False), (0, False)] == [(run["adjustments"], run["capped"]) for run in runs]
    assert [True, True, False, False] == [bool(run["slices"]) for run in runs]
    assert [8, 15, 21, 21] == [run["audit"]["entries"] for run in runs]
    lines = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if line.get("message") == "scanned"]
    assert [("ERROR", 1), ("ERROR", 1), ("INFO", 0), ("INFO", 0)] == [(line["level"], line["ScansCapped"]) for line in lines]


@pytest.mark.parametrize(("hour", "first"), [("00", 0), ("06", 1), ("12", 2), ("18", 3)])
def test_each_scheduled_run_begins_one_segment_further(world: World, hour: str, first: int) -> None:
    """So that the end of a large table is not always what a run has no time for."""
    start = handler.lambda_handler({**SCHEDULED, "time": "1970-01-01T00:00:00Z"}, Context(seconds=1))["slices"]
    answer = handler.lambda_handler({**SCHEDULED, "time": f"1970-01-01T{hour}:00:00Z"}, Context(seconds=1))

    assert [part["segment"] for part in start[first:] + start[:first]] == [part["segment"] for part in answer["slices"]]


@pytest.mark.parametrize("slices", [[7], [{}, {"segment": 8, "segments": 8}], [{"segment": "x"}], [{"part": 1}]])
def test_a_slice_that_is_none_is_refused(world: World, slices: list[Any]) -> None:
    """Nothing is scanned on a guess."""
    world.job("j-1")

    with pytest.raises(EventError, match="is no slice"):
        handler.lambda_handler({"slices": slices}, Context())


def test_a_batch_answers_with_what_must_come_back(world: World) -> None:
    """Only the poisoned messages."""
    bodies = [json.dumps(rendered("j-1")), json.dumps(rendered("j-2", seconds=-1)), "not json", json.dumps(failed("j-1"))]

    answer = handler.lambda_handler({"Records": [as_message(body, n) for n, body in enumerate(bodies)]}, Context())

    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]} == answer
    assert [("debit", Decimal("-0.8")), ("refund", Decimal("0.8"))] == world.amounts("j-1")


@pytest.mark.parametrize(("document", "field", "problem"), [case[1:] for case in MALFORMED], ids=ids(MALFORMED))
def test_a_malformed_event_raises_and_moves_nothing_and_in_a_batch_fails_alone(
    world: World, document: dict[str, Any], field: str, problem: str
) -> None:
    """Alone it raises, so that Lambda keeps it; in a batch it comes back while its neighbour is posted."""
    with pytest.raises(EventError) as caught:
        deliver(document)
    assert (document["id"], field) == (caught.value.event, caught.value.field)
    assert problem in str(caught.value)
    assert [] == world.everything()["ledger"]

    body = as_json(document)
    batch = {"Records": [as_message(body, 0), as_message(json.dumps(rendered("neighbour")), 1)]}
    assert {"batchItemFailures": [{"itemIdentifier": "m-0"}]} == handler.lambda_handler(batch, Context())
    assert ["job#neighbour"] == [entry["reference"] for entry in world.everything()["ledger"]]


NO_EVENTS = [
    *(None, 7, "x", [], {}, {"detail": {}}, {"Records": [{"eventSource": "aws:s3"}]}, {"Records": [None, "x"]}),
    {"jobId": "j-1", "userId": "u-1", "seconds": 8},
    {"source": 7, "detail-type": "video.rendered", "detail": {}},
    {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": "{}"},
]


@pytest.mark.parametrize("event", NO_EVENTS)
def test_what_is_no_event_of_ours_is_refused_in_words(world: World, event: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A function that is wired to the wrong source says so, to the caller and in one line with the metric Errors."""
    with pytest.raises(EventError, match="no EventBridge event"):
        handler.lambda_handler(event, Context())

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"failed"' in line]
    assert (1, "event") == (line["Errors"], line["field"])
    assert [] == world.everything()["ledger"]


def test_a_record_of_another_kind_does_not_take_the_batch_down(world: World) -> None:
    """It comes back by its id; its neighbour is posted."""
    world.job("j-1")
    records = [{"messageId": "m-0", "eventSource": "aws:s3"}, as_message(as_json(rendered("j-1")), 1)]

    assert {"batchItemFailures": [{"itemIdentifier": "m-0"}]} == handler.lambda_handler({"Records": records}, Context())
    assert 1 == len(world.entries("j-1"))


def test_a_database_that_does_not_answer_is_an_error_that_brings_the_event_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the invocation's time, and with nothing half done."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")

    with pytest.raises(LedgerError, match="no answer in time"):
        deliver(rendered("j-1"), seconds=1.5)
    assert [] == world.everything()["ledger"]


def test_a_table_that_is_missing_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong variable is found by its message."""
    monkeypatch.setenv("LEDGER_TABLE", "NoSuchLedger")

    with pytest.raises(LedgerError, match="ResourceNotFoundException"):
        deliver(rendered("j-1"))


def test_a_balance_that_is_not_a_number_is_left_alone(world: World) -> None:
    """A row that the application wrote wrongly cannot be added to; nothing else moves either."""
    world.client.put_item(
        TableName=world.tables.credits, Item={"userId": {"S": "u-1"}, "remaining": {"S": "lots"}, "posted": {"S": "0"}}
    )

    with pytest.raises(LedgerError, match="the balance of user 'u-1' is no number: {'S': 'lots'}"):
        deliver(rendered("j-1"))
    assert [] == world.everything()["ledger"]
