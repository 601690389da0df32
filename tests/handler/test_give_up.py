"""What no retry helps: the function puts it into the queue of failed events once it has come three times, with its reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

import handler
from engine.domain.errors import EventError, LedgerRefused, LedgerUnavailable
from engine.reconcile.give_up import RECEIVES_MAX, SEND_SECONDS_MAX, FailedEvents, GivingUp, is_helpless
from engine.reconcile.wiring import CONNECT_SECONDS_MAX, READ_SECONDS_MAX
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Telemetry
from tests.support.events import rendered
from tests.support.invocations import Context
from tests.support.policies import example
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import REGION, LocalAws, tables_environment

OF_LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_SESSION_TOKEN": "test",
}

REQUEST = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)

Body = dict[str, Any] | str


class Invocation(Context):
    """An invocation with an id."""

    aws_request_id = REQUEST


def record(body: Body, receives: int | str = RECEIVES_MAX, *, message: str = "m-1", sent: datetime = NOW) -> dict[str, Any]:
    """Return a message as Lambda's poller delivers it when it was received so many times."""
    attributes = {"ApproximateReceiveCount": str(receives), "SentTimestamp": str(int(sent.timestamp() * 1000))}
    text = body if isinstance(body, str) else json.dumps(body)
    return {"messageId": message, "body": text, "attributes": attributes, "eventSource": "aws:sqs"}


class Letters:
    """The queue of failed events, and what is in it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.url: str = client.create_queue(QueueName=f"failed-{uuid.uuid4().hex[:8]}")["QueueUrl"]

    def read(self) -> list[dict[str, Any]]:
        """Return the letters, and remove them."""
        request = {"QueueUrl": self.url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
        letters: list[dict[str, Any]] = self.client.receive_message(**request).get("Messages", [])
        for letter in letters:
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=letter["ReceiptHandle"])
        return letters


@pytest.fixture
def letters(aws: LocalAws, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Letters]:
    """Return the queue that the function finds through its environment."""
    assert world
    client = aws.client("sqs")
    made = Letters(client)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", aws.endpoint)
    monkeypatch.setenv("FAILED_EVENTS_QUEUE_URL", made.url)
    yield made
    client.close()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[str], list[dict[str, Any]]]:
    """Return a function that returns the function's log lines of one message, since it was last asked."""

    def read(message: str) -> list[dict[str, Any]]:
        every = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [line for line in every if line["message"] == message]

    return read


def come_back(*records: dict[str, Any], seconds: float = 30.0) -> list[str]:
    """Return the messages of a batch that must come back."""
    answer = handler.lambda_handler({"Records": list(records)}, Invocation(seconds))
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def first(**detail: Any) -> Body:
    """Return the event ``e-1``."""
    return {**rendered("j-1", **detail), "id": "e-1"}


def other_user(world: World) -> Body:
    """Return the event of a job whose first entry names another user."""
    world.user("u-2").job("j-1", userId="u-1")
    come_back(record(rendered("j-1"), 1))
    return rendered("j-1", user="u-2", seconds=9)


def balance_in_words(world: World) -> Body:
    """Return the event of a user whose balance the application wrote as a text."""
    row = {"userId": {"S": "u-words"}, "remaining": {"S": "many"}}
    world.client.put_item(TableName=world.tables.credits, Item=row)
    return rendered("j-1", user="u-words")


HELPLESS: dict[str, tuple[Callable[[World], Body], str]] = {
    "no price": (
        lambda _: first(seconds="eight"),
        "event e-1, job 'j-1', user 'u-1', rule debit-rendered, field detail.seconds: is 'eight'; "
        "a finite number >= 0 is needed",
    ),
    "no job": (lambda _: first(jobId=None), "event e-1, user 'u-1', rule debit-rendered, field detail.jobId: "),
    "no id": (
        lambda _: {name: value for name, value in rendered("j-1", seconds="eight").items() if name != "id"},
        "event 'video.rendered' from queue, message m-1, job 'j-1', user 'u-1', rule debit-rendered, field detail.seconds: ",
    ),
    "no JSON": (lambda _: "{", "event message m-1, rule (none), field body: is not JSON: "),
    "no event": (lambda _: {"jobId": "j-1"}, "event message m-1, rule (none), field body: is no EventBridge event: "),
    "no user": (lambda _: first(userId="u-none"), "event e-1, job 'j-1', user 'u-none', rule debit-rendered, "),
    "another's job": (other_user, "job 'j-1', user 'u-2', rule debit-rendered, field detail.userId: "),
    "no number": (balance_in_words, "job j-1, user u-words: the balance of user 'u-words' is no number: {'S': 'many'}"),
}  # fmt: skip


@pytest.mark.parametrize(("body_of", "reason"), HELPLESS.values(), ids=HELPLESS)
def test_what_no_retry_helps_comes_back_twice_and_is_then_a_letter(
    world: World, letters: Letters, body_of: Callable[[World], Body], reason: str
) -> None:
    """With its body as it was, and its reason as Lambda's own dead-letter queue has it. Nothing moved."""
    body = body_of(world)
    before = world.everything()

    assert [["m-1"], ["m-1"], []] == [come_back(record(body, receives)) for receives in (1, 2, 3)]

    (letter,) = letters.read()
    said = {name: (value["DataType"], value["StringValue"]) for name, value in letter["MessageAttributes"].items()}
    assert record(body)["body"] == letter["Body"]
    assert reason in said.pop("ErrorMessage")[1]
    assert {"RequestID": ("String", REQUEST), "ErrorCode": ("Number", "200"), "Receives": ("Number", "3")} == said
    assert before == world.everything()


def test_of_a_batch_each_goes_its_own_way(world: World, letters: Letters, lines: Callable[..., Any]) -> None:
    """One is posted, one given up, one comes back since it has come but twice; a line tells of what was given up."""
    world.job("j-1")
    good, helpless, young = rendered("j-1"), rendered("j-2", seconds=-1), rendered("j-3", seconds=-1)

    back = come_back(record(good, 9, message="good"), record(helpless, 4, message="bad"), record(young, 2, message="young"))

    assert ["young"] == back
    assert [("debit", Decimal("-0.8"))] == world.amounts("j-1")
    (letter,) = letters.read()
    assert helpless == json.loads(letter["Body"])
    (line,) = lines("gave up")
    assert ("bad", 4, letter["MessageId"], "INFO") == tuple(line[key] for key in ("sqsMessage", "receives", "letter", "level"))
    assert line["problem"] == letter["MessageAttributes"]["ErrorMessage"]["StringValue"]


def test_a_good_event_is_never_given_up(
    world: World, letters: Letters, lines: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that is missing, then a database that does not answer: it comes back until it is posted."""
    world.job("j-1")
    with monkeypatch.context() as broken:
        broken.setenv("LEDGER_TABLE", "NoSuchLedger")
        assert ["m-1"] == come_back(record(rendered("j-1"), 998))
        broken.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
        assert ["m-1"] == come_back(record(rendered("j-1"), 999), seconds=1.5)

    assert [] == come_back(record(rendered("j-1"), 1000))
    assert [("debit", Decimal("-0.8"))] == world.amounts("j-1")
    assert [] == letters.read()
    assert [("m-1", 998), ("m-1", 999)] == [(line["sqsMessage"], line["receives"]) for line in lines("comes back")]


def test_without_the_queue_s_name_all_comes_back_as_it_did(
    world: World, letters: Letters, lines: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue itself gives it up then; no line is written that was not written before."""
    monkeypatch.delenv("FAILED_EVENTS_QUEUE_URL")

    assert ["m-1"] == come_back(record("{", 999))
    assert [] == letters.read()
    assert [] == lines("comes back") + lines("gave up") + lines("not given up")


@pytest.mark.parametrize("receives", ["", "-3", "3.0", "many", "9" * 16])
def test_a_count_that_is_none_gives_nothing_up(letters: Letters, receives: str) -> None:
    """Nor does a record without one, which only a person can have made."""
    assert ["m-1"] == come_back(record("{", receives))
    assert ["m-2"] == come_back({"messageId": "m-2", "eventSource": "aws:sqs", "body": "{", "attributes": {"x": None}})
    assert ["m-3"] == come_back({"messageId": "m-3", "eventSource": "aws:sqs", "body": "{"})
    assert [] == letters.read()


def test_a_letter_that_cannot_be_sent_lets_the_event_come_back(
    letters: Letters, lines: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is gone: nothing is lost, and the log says why. Another body, which is none at all, cannot be sent either."""
    monkeypatch.setenv("FAILED_EVENTS_QUEUE_URL", f"{letters.url}-gone")

    assert ["m-1", "m-2"] == come_back(record("{", 3), {**record("{", 3, message="m-2"), "body": None})

    told = lines("not given up")
    assert [("m-1", "ERROR"), ("m-2", "ERROR")] == [(line["sqsMessage"], line["level"]) for line in told]
    assert "NonExistentQueue" in told[0]["notSent"]


DIES_AFTER_ITS_LETTER = """
import json, os, signal, sys
from engine.reconcile.give_up import FailedEvents
import handler

keep = FailedEvents.keep

def keep_and_die(self, *letter):
    keep(self, *letter)
    os.kill(os.getpid(), signal.SIGKILL)

FailedEvents.keep = keep_and_die
handler.lambda_handler(json.loads(sys.argv[1]))
"""


def test_a_process_that_dies_after_its_letter_leaves_two_and_one_entry(letters: Letters, world: World) -> None:
    """The event comes back, since nobody answered for it. Once its user is there, both letters together post once."""
    event = first(userId="u-late")
    command = [sys.executable, "-c", DIES_AFTER_ITS_LETTER, json.dumps({"Records": [record(event)]})]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    killed = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    again = come_back(record(event, RECEIVES_MAX + 1))
    left = [json.loads(letter["Body"]) for letter in letters.read()]
    world.user("u-late")

    assert (-signal.SIGKILL, []) == (killed.returncode, again), killed.stderr
    assert [event, event] == left
    assert [] == come_back(*(record(letter, 1, message=f"m-{number}") for number, letter in enumerate(left)))
    assert [("debit", Decimal("-0.8"))] == world.amounts("j-1")


def test_a_letter_is_not_begun_without_the_time_to_end_it(letters: Letters) -> None:
    """An invocation that is cut off would bring the whole batch back."""
    assert SEND_SECONDS_MAX >= CONNECT_SECONDS_MAX + READ_SECONDS_MAX
    assert ["m-1"] == come_back(record("{", 3), seconds=SEND_SECONDS_MAX)
    assert [] == letters.read()


def test_a_body_that_leaves_no_room_goes_without_its_reason(letters: Letters) -> None:
    """A message of SQS holds 1 MiB, attributes included; 2 KiB are set aside for those of a letter."""
    whole, less = "x" * (1024 * 1024 - 2047), "x" * (1024 * 1024 - 2048)

    assert [] == come_back(record(whole, message="m-1"))
    assert [] == come_back(record(less, message="m-2"))

    by_size = {len(letter["Body"]): letter.get("MessageAttributes", {}).keys() for letter in letters.read()}
    assert {len(whole): set(), len(less): {"RequestID", "ErrorCode", "ErrorMessage", "Receives"}} == by_size


# --- what is told of what comes back, and what a letter can hold ------------------------------------------------------


class Sent:
    """A client that keeps what is sent."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def send_message(self, **request: Any) -> dict[str, Any]:
        """Take a message."""
        self.requests.append(request)
        return {"MessageId": "letter"}


def desk(lines: list[str], client: Sent | None = None) -> GivingUp:
    """Return what gives up, at noon."""
    clock = Clock(now=lambda: NOW)
    queue = FailedEvents(client or Sent(), "url")
    return GivingUp(lambda: queue, example(), Telemetry(lines.append, clock), clock.deadline(60), REQUEST)


def test_of_what_comes_back_again_the_oldest_is_told_by_its_age() -> None:
    """Half an hour and a second; what has come twice SQS itself still counts, and one without a time says nothing."""
    told: list[str] = []
    busy = LedgerUnavailable("busy")
    old, older = (record("{}", 3 + n, message=str(n), sent=NOW - timedelta(seconds=1800 + n)) for n in (0, 1))
    young = record("{}", 2, message="young", sent=NOW - timedelta(days=1))
    timeless = {"messageId": "timeless", "attributes": {"ApproximateReceiveCount": "9"}}

    back = desk(told).coming_back([(each, busy) for each in (young, old, older, timeless, None)])

    assert [young, old, older, timeless, None] == back
    (line,) = map(json.loads, told)
    assert ("1", 4, 2, 1801.0, "WARNING") == tuple(
        line[key] for key in ("sqsMessage", "receives", "events", "ReturnedSeconds", "level")
    )
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert [{"Name": "ReturnedSeconds", "Unit": "Seconds"}] == directive["Metrics"]


def test_nothing_is_told_where_nothing_comes_back_again() -> None:
    """A first failure is no news, nor is what was given up."""
    told: list[str] = []
    giving_up = desk(told)

    giving_up.coming_back([(record("{}", 2), LedgerUnavailable("busy"))])
    giving_up.coming_back([(record("{}", 3), EventError("e", "r", "f", "p"))])

    assert ["gave up"] == [json.loads(line)["message"] for line in told]


def test_a_reason_has_a_kilobyte_of_characters_that_a_queue_takes() -> None:
    """No line breaks or control characters, and no half of a character: 29 bytes, 497 times two, and one is left."""
    sent = Sent()

    desk([], sent).coming_back([(record("["), EventError("e1\n", "r\x00", "f", "é" * 1000))])

    (request,) = sent.requests
    reason = request["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert "event e1 , rule r , field f: " + "é" * 497 == reason


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EventError("e", "r", "f", "p"), True),
        (LedgerRefused("no number", field="remaining", is_of_an_item=True), True),
        (LedgerRefused("too large", is_of_an_item=True).about("e", job="j", user="u", rule="r"), True),
        (LedgerRefused("AccessDeniedException"), False),
        (LedgerUnavailable("no answer"), False),
        (RuntimeError("a mistake of ours"), False),
    ],
)
def test_what_is_wrong_with_an_event_is_told_from_what_is_wrong_with_all(error: Exception, *, expected: bool) -> None:
    """A mistake of the engine may be mended by the next version: the event waits for it."""
    assert expected is is_helpless(error)


TELL = """
import json, sys
import handler

answer = handler.lambda_handler(json.loads(sys.argv[1]))
imported = [name for name in ("engine.reconcile.give_up", "botocore") if name in sys.modules]
print(json.dumps([answer, imported]), file=sys.stderr)
"""


@pytest.mark.parametrize(("body", "imported"), [(rendered("j-1"), []), ("{", ["engine.reconcile.give_up", "botocore"])])
def test_a_good_batch_imports_nothing_of_it(
    world: World, letters: Letters, local_aws: str, body: Body, imported: list[str]
) -> None:
    """Neither this nor a client of the queue: each cold start would pay for them. A process of its own, as within Lambda."""
    environment = {
        **tables_environment(world.tables),
        **OF_LAMBDA,
        "AWS_ENDPOINT_URL_DYNAMODB": local_aws,
        "AWS_ENDPOINT_URL_SQS": os.environ["AWS_ENDPOINT_URL_SQS"],
        "FAILED_EVENTS_QUEUE_URL": letters.url,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", TELL, json.dumps({"Records": [record(body)]})]

    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)

    assert [{"batchItemFailures": []}, imported] == json.loads(done.stderr.splitlines()[-1])
    assert len(imported) == 2 * len(letters.read())
