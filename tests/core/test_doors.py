"""One reading of numbers, texts and envelopes, whichever door they come in by, and one door before what is stored."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import example as like
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.documents import as_told, read_document, told_number
from engine.domain.errors import EventError
from engine.domain.money import canonical, fits, read_number
from engine.ledger.dynamodb.attributes import decode_item, encode
from engine.policy.event_patterns import plain
from engine.policy.source import read_yaml
from tests.support.events import rendered
from tests.support.examples import tries
from tests.support.policies import example
from tests.support.steps import Steps

ZERO_TO_ONE = st.decimals(0, 1, allow_nan=False, places=25)


def in_json(number: str) -> str:
    """Return an event whose seconds are written as ``number``."""
    return json.dumps(rendered("j-1", seconds="X")).replace('"X"', number)


def by_table(number: str) -> Any:
    """Return a number as a row of DynamoDB gives it back."""
    return as_told(decode_item({"n": {"N": number}}))["n"]


def by_test(number: str) -> Any:
    """Return a number as a policy test is given it."""
    node, _ = read_yaml(f"n: {number}".encode(), "tests.yaml")
    return plain(node, told_number)["n"]


@tries(1000)
@given(st.one_of(st.decimals(0, 10**17, allow_nan=False, allow_infinity=False), ZERO_TO_ONE, st.integers(0, 10**38 - 1)))
@like(Decimal("8.3333333333333333333"))
@like(Decimal("123456789012345.678901"))
@like(2**53 + 1)
@like(10**38 - 1)
@like(Decimal("1E-37"))
def test_one_number_is_one_number_by_every_door(number: Decimal | int) -> None:
    """Lambda's own parser, a queue's body, a row of a table, a policy test."""
    written = canonical(Decimal(number))
    doors = [
        json.loads(written),
        read_document(f'{{"n": {written}}}')["n"],
        by_table(written),
        by_test(written),
    ]

    assert 1 == len({canonical(Decimal(repr(told)) if isinstance(told, float) else Decimal(told)) for told in doors}), doors


@pytest.mark.parametrize(
    "written",
    [
        "8.3333333333333333333", "123456789012345.678901", "0.30000000000000004000001", "1E1", "8.50", "-0.0", "1e-400",
        "9007199254740993", "12345678901234567890123456789012345678", "1.0000000000000000000000001e0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", [("direct", "queue"), ("queue", "direct"), ("queue", "queue")], ids=" ".join)
def test_an_event_told_by_another_door_is_a_duplicate_under_another_price_too(written: str, order: tuple[str, str]) -> None:
    """What was charged is never re-priced: the same event, told again, says nothing new."""
    steps, text = Steps(example()), in_json(written)
    for door, policy in zip(order, (example(), example(('"0.10"', '"0.05"'))), strict=True):
        steps.reconciler = evolve(steps.reconciler, policy=policy)
        steps.deliver(json.loads(text)) if door == "direct" else steps.batch(text)

    assert ["debited", "duplicate"] == [line["outcome"] for line in steps.lines]
    assert 1 == len(steps.ledger.lines("j-1"))


def test_a_row_of_jobs_tells_the_number_that_its_event_told() -> None:
    """The scan reads the digits that DynamoDB kept as the event's own."""
    row = {
        "jobId": {"S": "j-1"},
        "seconds": {"N": "8.33333333333333333333"},
        "few": {"L": [{"N": "0.10000000000000000000001"}]},
    }

    told = as_told(decode_item(row))

    assert {"jobId": "j-1", "seconds": Decimal("8.333333333333334"), "few": [Decimal("0.1")]} == told
    assert Decimal("8.33333333333333333333") == decode_item(row)["seconds"], "what the ledger wrote itself is never rounded"
    assert [2**53 + 1, 10**37, 10**125] == [by_table(text) for text in ("9007199254740993", "1" + 37 * "0", "1E+125")]


@pytest.mark.parametrize(
    "written", ["1E400", "-1E400", "NaN", "Infinity", "-Infinity", "1e40", "1e38", "1e-39", "1" + 38 * "0"]
)
def test_a_number_that_cannot_be_stored_is_refused_by_every_door(written: str) -> None:
    """With a maximum or without, in words that name the event, the rule and the field; its neighbour is posted."""
    steps = Steps(example())

    assert ["m-0"] == steps.batch(in_json(written), json.dumps(rendered("j-2")))
    with pytest.raises(EventError) as refusal:
        steps.deliver(json.loads(in_json(written)))

    assert ("debit-rendered", "detail.seconds") == (refusal.value.rule, refusal.value.field)
    assert ["error", "debited", "error"] == [line["outcome"] for line in steps.lines]


@tries(1000)
@given(st.integers(0, 10**40), st.integers(-45, 45))
@like(1, 40)
@like(10**38 - 1, 0)
@like(1, -38)
def test_what_is_stored_every_reader_reads_back(digits: int, exponent: int) -> None:
    """At most 38 digits written out: boto3's own reader takes them all."""
    number = Decimal((0, tuple(map(int, str(digits))), exponent))
    if not fits(number):
        with pytest.raises(ValueError, match="38 digits, written out"):
            read_number(number)
        return

    assert number == TypeDeserializer().deserialize(encode(number))


OUTLIER = (
    "anomalies:\n",
    "anomalies:\n  - {name: odd, outlier: {value: detail.bytes, group: detail.model, mads: 6, samples: 30}}\n",
)


@pytest.mark.parametrize(("size", "samples"), [(1e40, 0), (10**38, 0), (1e-39, 0), (10**37, 1), (0.5, 1)])
def test_a_sample_that_no_reader_could_read_is_none(size: Any, samples: int) -> None:
    """The charge is as it was: an anomaly stops no event."""
    steps = Steps(example(OUTLIER))

    (report,) = steps.deliver(rendered("j-1", bytes=size))

    assert report.entry is not None
    assert ("-0.8000", samples) == (str(report.entry.amount), len(report.entry.samples))


# --- texts ---


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"detail": {"model": "veo \ud83d"}}, "detail.model", r"is 'veo \ud83d'; half of a surrogate pair is no character"),
        ({"detail": {"model": "\udc00"}}, "detail.model", "half of a surrogate pair"),
        ({"detail": {"model": "m" * 1025}}, "detail.model", "has 1025 characters; at most 1024 are kept"),
        ({"detail": {"model": "m" * 500_000}}, "detail.model", "has 500000 characters"),
        ({"id": "e \ud83d"}, "id", r"is 'e \ud83d'; half of a surrogate pair is no character"),
        ({"id": "e" * 1025}, "id", "has 1025 characters"),
    ],
    ids=["half", "other half", "too long", "far too long", "half in the id", "a long id"],
)
def test_a_text_that_cannot_be_kept_is_refused_and_its_neighbour_posted(change: Any, field: str, problem: str) -> None:
    """Before the database is asked; the message is plain text that says whose it is."""
    steps = Steps(example())
    wrong = rendered("j-1")
    wrong |= {**change, "detail": {**wrong["detail"], **change.get("detail", {})}}

    assert ["m-0"] == steps.batch(json.dumps(wrong), json.dumps(rendered("j-2", model="veo \U0001f3ac")))

    error = next(line for line in steps.lines if line["outcome"] == "error")
    assert ("debit-rendered", field, "m-0") == (error["rule"], error["field"], error["sqsMessage"])
    assert problem in error["problem"]
    assert error["problem"].isascii()
    assert len(error["event"]) < 100
    assert ["debit"] == [entry.type for entry in steps.ledger.lines("j-2")]


@pytest.mark.parametrize("identity", ["", "\u8a9e" * 1024, 7, None], ids=["empty", "1,024 characters", "a number", "null"])
def test_an_id_that_can_be_kept_stops_nothing(identity: Any) -> None:
    """It is EventBridge's to choose; money does not depend on it."""
    steps = Steps(example())

    assert [] == steps.batch(json.dumps({**rendered("j-1"), "id": identity}))


# --- rows and envelopes ---

ROW = {
    "jobId": "lost-job",
    "userId": "u-1",
    "status": "completed",
    "seconds": 8,
    "model": "veo-3",
    "updatedAt": "2026-01-05T10:00:00Z",
}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"updatedAt": 1767607200}, "time"), ({"userId": 7}, "detail.userId"),
        ({"seconds": "x"}, "detail.seconds"), ({"model": None}, "detail.model"),
    ],
    ids=["time", "user", "seconds", "model"],
)  # fmt: skip
def test_a_row_that_makes_no_sense_is_named_by_its_job(change: dict[str, Any], field: str) -> None:
    """Of a million rows a person finds it, and its field."""
    steps = Steps(example())
    steps.ledger.rows["lost-job"] = {**ROW, **change}

    assert 1 == steps.scan(segments=1).errors
    (error,) = (line for line in steps.lines if line["message"] == "failed")
    assert ("row 'lost-job'", field) == (error["event"], error["field"])
    assert error["problem"].startswith(f"event row 'lost-job', rule debit-rendered, field {field}: is ")


def test_an_event_without_an_id_is_named_by_its_job_and_its_message() -> None:
    """A partner's event, or one that was replayed without."""
    steps = Steps(example())
    wrong = rendered("j-9", seconds="eight")
    del wrong["id"]

    assert ["m-0"] == steps.batch(json.dumps(wrong))
    assert steps.lines[0]["problem"].startswith(
        "event 'video.rendered' from queue, message m-0, job 'j-9', rule debit-rendered"
    )


INSIDE = json.dumps(rendered("j-1"))
SNS = json.dumps({"Type": "Notification", "MessageId": "x", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": INSIDE})


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (SNS, "is no EventBridge event but an SNS notification: turn on raw message delivery for its subscription"),
        ("{}", "is no EventBridge event: `source` is missing and `detail-type` is missing; it is empty"),
        ('{"jobId": "j-1"}', "`source` is missing and `detail-type` is missing; it has 'jobId'"),
        ('{"source": "video.generation", "detail": {}}', "`detail-type` is missing; it has 'source', 'detail'"),
        ('{"source": 7, "detail-type": "x"}', "`source` is 7"),
        (f'{{"Records": [{{"body": {json.dumps(INSIDE)}}}]}}', "is no EventBridge event but a list of records"),
        ("[]", "is a JSON list; an object is needed"),
        (f"[{INSIDE}]", "is a JSON list; an object is needed"),
        ("7", "is a JSON int; an object is needed"),
        ("null", "is a JSON NoneType; an object is needed"),
        ("", "is not JSON"),
        (json.dumps(INSIDE), "is a JSON str; an object is needed"),
    ],
    ids=["SNS", "empty", "a detail", "no type", "no text", "a batch", "a list", "a list of one", "7", "null", "none", "twice"],
)  # fmt: skip
def test_a_body_that_is_no_event_comes_back_with_a_line_that_names_its_message(body: str, problem: str) -> None:
    """One wrong setting between rule and queue must not lose every event of a stack."""
    steps = Steps(example())

    assert ["m-1"] == steps.batch(json.dumps(rendered("j-2")), body, json.dumps(rendered("j-3")))
    (error,) = (line for line in steps.lines if line["message"] == "failed")
    assert ("m-1", 1) == (error["event"], error["Errors"])
    assert error["problem"].startswith("event message m-1, rule (none), field body: ")
    assert problem in error["problem"]
    assert [1, 1] == [len(steps.ledger.lines(job)) for job in ("j-2", "j-3")]


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({"messageId": "m-x", "eventSource": "aws:sqs"}, "m-x"),
        ({"messageId": "m-x", "eventSource": "aws:sqs", "body": {"source": "a", "detail-type": "b"}}, "m-x"),
        ({"messageId": "m-x", "eventSource": "aws:s3", "body": INSIDE}, "m-x"),
        ({"eventSource": "aws:sqs", "body": "{"}, ""),
        ({}, ""),
        ("a text", ""),
        (None, ""),
    ],
    ids=["no body", "a body that is no text", "of another source", "no id", "empty", "a text", "null"],
)
def test_a_record_that_is_none_takes_no_neighbour_along(record: Any, named: str) -> None:
    """Without an id all of the batch comes back: what is posted is known then."""
    steps = Steps(example())
    records = [record, {"messageId": "m-1", "eventSource": "aws:sqs", "body": json.dumps(rendered("j-2"))}]

    assert [named] == steps.reconciler.batch(records, steps.time.clock().deadline(30))
    assert 1 == len(steps.ledger.lines("j-2"))
    assert 1 == sum(line["message"] == "failed" for line in steps.lines)
