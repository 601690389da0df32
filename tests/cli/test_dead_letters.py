"""Dead letters: every envelope that they come in, why each is there, and that a replay posts once and loses nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.app import app, main
from engine.domain.errors import EventError
from engine.ledger.store import Tables
from engine.reconcile.dead_letters import DeadLetterQueue, read_letter
from engine.reconcile.give_up import FailedEvents, GivingUp
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Telemetry
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.world import World
from tools.local_aws import LocalAws

FINE, FAILED, MISUSED = 0, 1, 2

ARN = "arn:aws:events:us-east-1:123456789012:rule/credit-reconciler-dev-events"
SCHEDULED = {"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-01-05T12:00:00Z", "detail": {}}


def by_rule(event: Any) -> dict[str, Any]:
    """Return what EventBridge sends to a target's dead-letter queue."""
    said = {
        "RULE_ARN": ARN,
        "TARGET_ARN": "arn:aws:lambda:us-east-1:123456789012:function:credit-reconciler-dev",
        "ERROR_CODE": "NO_PERMISSIONS",
        "ERROR_MESSAGE": "User is not authorized to perform: lambda:InvokeFunction",
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "RETRY_ATTEMPTS": "185",
    }
    return message(event, said)


def by_function(event: Any, problem: str) -> dict[str, Any]:
    """Return what Lambda sends to a function's dead-letter queue."""
    return message(event, {"RequestID": str(uuid.uuid4()), "ErrorCode": "200", "ErrorMessage": problem})


def by_giving_up(event: Any, problem: str) -> dict[str, Any]:
    """Return what the function itself sends to its dead-letter queue: really, by what it sends with."""
    sent: list[dict[str, Any]] = []

    class Client:
        def send_message(self, **request: Any) -> dict[str, Any]:
            sent.append(request)
            return {"MessageId": "m"}

    clock, error = Clock(), EventError("e-1", "debit-rendered", "detail.seconds", problem)
    desk = GivingUp(lambda: FailedEvents(Client(), ""), example(), Telemetry(print, clock), clock.deadline(30), "r-1")
    assert [] == desk.coming_back([({"body": json.dumps(event), "attributes": {"ApproximateReceiveCount": "3"}}, error)])
    return {name: value for name, value in sent[0].items() if name != "QueueUrl"}


def by_destination(payload: Any, problem: str) -> dict[str, Any]:
    """Return what Lambda sends to a function's on-failure destination."""
    context = {"requestId": str(uuid.uuid4()), "condition": "RetriesExhausted", "approximateInvokeCount": 3}
    response = {"errorMessage": problem, "errorType": "EventError", "stackTrace": []}
    return message({"version": "1.0", "requestContext": context, "requestPayload": payload, "responsePayload": response})


def by_stream() -> dict[str, Any]:
    """Return what Lambda sends to the on-failure destination of a stream."""
    batch = {"shardId": "shardId-1", "startSequenceNumber": "1", "endSequenceNumber": "9", "batchSize": 9}
    context = {"requestId": str(uuid.uuid4()), "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3}
    return message({"version": "1.0", "requestContext": context, "DDBStreamBatchInfo": batch})


def message(body: Any, attributes: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what ``send_message`` takes; a string is the body itself. Without attributes: what a queue redrives."""
    said = {name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()}
    return {"MessageBody": body if isinstance(body, str) else json.dumps(body), "MessageAttributes": said}


def received(sent: dict[str, Any]) -> dict[str, Any]:
    """Return a message as the queue hands it over."""
    counts = {"SentTimestamp": "1767607200000", "ApproximateReceiveCount": "4"}
    attributes = sent["MessageAttributes"]
    return {
        "MessageId": "m-1", "ReceiptHandle": "r", "Body": sent["MessageBody"],
        "Attributes": counts, "MessageAttributes": attributes,
    }  # fmt: skip


# --- what a letter says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "way", "reason", "events"),
    [
        (
            by_rule(rendered()), "rule",
            "EventBridge could not deliver it after 185 retries: NO_PERMISSIONS "
            "User is not authorized to perform: lambda:InvokeFunction", 1,
        ),
        (by_function(rendered(), "no such user"), "function", "the function raised on it: no such user", 1),
        (
            by_giving_up(rendered(), "is 'eight'"), "given-up",
            "the function gave it up after 3 receives: event e-1, job 'j-1', user 'u-1', rule debit-rendered, "
            "field detail.seconds: is 'eight'", 1,
        ),
        (by_destination(rendered(), "no such user"), "destination", "RetriesExhausted after 3 attempts: no such user", 1),
        (
            by_destination({"Records": [{"body": json.dumps(rendered(job))} for job in "ab"]}, "late"),
            "destination", "RetriesExhausted after 3 attempts: late", 2,
        ),
        (
            by_destination({"Records": [{"eventSource": "aws:sqs", "body": "{"}]}, "x"),
            "destination", "RetriesExhausted after 3 attempts: x; a record of its batch is unreadable: ", 0,
        ),
        (by_stream(), "stream", "RetryAttemptsExhausted: 9 records of the ledger's stream", 0),
        (message(rendered()), "queue", "received 4 times, and never settled", 1),
        (message("no json"), "queue", "received 4 times, and never settled; the message is not JSON: ", 0),
        (message({"hello": 1}), "queue", "received 4 times, and never settled; it is no EventBridge event", 0),
        (by_rule(SCHEDULED), "rule", "EventBridge could not deliver it after 185 retries: NO_PERMISSIONS ", 0),
    ],
)  # fmt: skip
def test_each_envelope_says_why_it_is_there(sent: dict[str, Any], way: str, reason: str, events: int) -> None:
    """By the rule, the function, what it gave up, a destination, a stream, a queue; and what is none of them."""
    letter = read_letter(received(sent), "dead")

    assert (way, events) == (letter.way, len(letter.events))
    assert letter.reason.startswith(reason)
    assert letter.since is not None
    assert "2026-01-05T10:00:00+00:00" == letter.since.isoformat()
    assert (sent["MessageBody"] == json.dumps(SCHEDULED)) == letter.repeats


# --- the command ------------------------------------------------------------------------------------------------------


class Queue:
    """A dead-letter queue of the local AWS."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.url = client.create_queue(QueueName=f"dead-{uuid.uuid4().hex[:8]}")["QueueUrl"]

    def put(self, *messages: dict[str, Any]) -> list[str]:
        """Send letters, and return their ids."""
        return [self.client.send_message(QueueUrl=self.url, **sent)["MessageId"] for sent in messages]


@pytest.fixture
def queue(aws: LocalAws, dynamodb: Any, tables: Tables, policy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """Return a queue that the command finds through the environment."""
    client = aws.client("sqs")
    made = Queue(client)
    monkeypatch.setattr("engine.reconcile.dead_letters.WAIT_SECONDS", 0)  # the local queue answers for all of itself
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "JOBS_TABLE": tables.jobs,
        "CREDITS_TABLE": tables.credits,
        "LEDGER_TABLE": tables.ledger,
        "STATE_TABLE": tables.state,
        "POLICY_FILE": str(policy),
        "DEAD_LETTER_QUEUES": made.url,
    }.items():
        monkeypatch.setenv(name, value)
    yield made
    client.close()


@pytest.fixture
def world(queue: Queue, dynamodb: Any, tables: Tables) -> World:
    """Return the tables."""
    assert queue
    return World(dynamodb, tables).user("u-1", "1000")


def dead_letters(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["dead-letters", *(str(argument) for argument in arguments)])


def listed() -> dict[str, dict[str, Any]]:
    """Return the letters by their ids."""
    return {letter["id"]: letter for letter in json.loads(dead_letters("list", "--json").stdout)}


def test_what_was_fixed_is_posted_once_and_what_was_not_stays(world: World, queue: Queue) -> None:
    """Ten kinds of poison; then the user appears, and the rest says what is still wrong."""
    world.deliver(rendered("j-theirs", user="u-1"))
    fine, nobody, nothing, senseless, unread, foreign, again, batch, ignored, theirs = queue.put(
        by_rule(rendered("j-fine")),
        by_function(rendered("j-nobody", user="u-new"), "there is no such user in Credits"),
        by_destination(rendered("j-negative", seconds=-1), "is -1"),
        message(rendered("j-late", at="yesterday")),
        message("no json"),
        message({"hello": 1}),
        by_rule(SCHEDULED),
        by_destination({"Records": [{"body": json.dumps(event)} for event in (rendered("j-b"), failed("j-b"))]}, "timeout"),
        message({**rendered("j-other"), "source": "audio.generation"}),
        by_function(rendered("j-theirs", user="u-2", at="12:00"), "names another user"),
    )
    wrong = {nothing, senseless, unread, foreign, ignored, theirs}

    before = listed()
    first = dead_letters("replay", "--all", "--json")
    world.user("u-new", "100")
    second = dead_letters("replay", "--all", "--json")
    third = dead_letters("replay", "--all", "--json")

    assert {fine, batch} == {id_ for id_, letter in before.items() if letter["now"] == "ready"}
    assert "nothing to post: the next scheduled run does its work" == before[again]["now"]
    assert before[nobody]["now"].endswith("is 'u-new'; there is no such user in Credits")
    assert before[theirs]["now"].endswith("is 'u-2'; the job's first entry names 'u-1'")
    assert (["j-b"], ["u-1"]) == (before[batch]["jobs"], before[batch]["users"])
    assert FAILED == first.exit_code == second.exit_code == third.exit_code
    assert wrong | {nobody} == {result["id"] for result in json.loads(first.stdout) if result["problem"]}
    assert ["debited"] == next(r["outcomes"] for r in json.loads(second.stdout) if r["id"] == nobody)
    assert wrong == listed().keys()
    assert wrong == {result["id"] for result in json.loads(third.stdout)}
    assert all(result["problem"] for result in json.loads(third.stdout))
    assert [1, 1, 2] == [len(world.entries(job)) for job in ("j-fine", "j-nobody", "j-b")]
    assert 1 == len(world.entries("j-theirs"))
    assert "replay" == world.entries("j-fine")[0]["source"]


def test_what_the_function_gave_up_twice_since_an_answer_was_lost_is_posted_once(world: World, queue: Queue) -> None:
    """Its user was not there then, and is now: both letters are ready, one tells what is known, and both are deleted."""
    letter = by_giving_up(rendered("j-late"), "there is no such user in Credits")
    first, second = queue.put(letter, letter)
    assert {"ready"} == {each["now"] for each in listed().values()}

    result = dead_letters("replay", "--all", "--json")

    assert FINE == result.exit_code
    outcomes = {settled["id"]: settled["outcomes"] for settled in json.loads(result.stdout)}
    assert {first, second} == outcomes.keys()
    assert [["debited"], ["duplicate"]] == sorted(outcomes.values())
    assert 1 == len(world.entries("j-late"))
    assert {} == listed()


def test_a_letter_that_is_chosen_is_replayed_alone(world: World, queue: Queue) -> None:
    """The other stays as it was."""
    chosen, other = queue.put(message(rendered("j-1")), message(rendered("j-2")))

    result = dead_letters("replay", chosen)

    assert FINE == result.exit_code
    assert "deleted" in result.stdout
    assert [other] == list(listed())
    assert [] == world.entries("j-2")


def test_what_is_dropped_is_kept_in_a_file_first(world: World, queue: Queue, tmp_path: Path) -> None:
    """Nothing is lost that a person might ask for later."""
    (dropped,) = queue.put(message("no json"))

    other, *_ = queue.put(message("no json either"))

    result = dead_letters("drop", dropped, "--to", tmp_path / "dropped.jsonl", "--json")

    assert FINE == result.exit_code
    assert [dropped] == json.loads(result.stdout)["dropped"]
    assert "no json" == json.loads((tmp_path / "dropped.jsonl").read_text())["body"]
    assert [other] == list(listed())
    assert "1 dropped" in dead_letters("drop", "--all", "--to", tmp_path / "dropped.jsonl").stdout
    assert [] == world.entries()


def test_a_letter_is_shown_whole(world: World, queue: Queue) -> None:
    """With its events, its body as it was, and what the policy says of it now."""
    assert world
    told = rendered("j-1")
    (sent,) = queue.put(by_function(told, "timeout"))

    (shown,) = json.loads(dead_letters("show", sent, "--json").stdout)

    assert "j-1" == shown["events"][0]["detail"]["jobId"]
    assert ("function", "ready") == (shown["way"], shown["now"])
    assert "the function raised on it: timeout" == listed()[sent]["reason"]
    assert "timeout" in dead_letters("show").stdout
    assert "1 dead letters" in dead_letters("list").stdout
    assert json.dumps(told) == listed()[sent]["body"] == shown["body"]


@pytest.mark.parametrize("arguments", [("replay",), ("drop",), ("replay", "--all", "some-id"), ("drop", "--all", "some-id")])
def test_either_letters_are_named_or_all_are_meant(queue: Queue, arguments: tuple[str, ...]) -> None:
    """Nothing is deleted by leaving something out."""
    assert queue
    assert MISUSED == dead_letters(*arguments).exit_code


def test_a_letter_that_is_not_there_is_told(world: World, queue: Queue) -> None:
    """By its id; the queue is named by name as well as by URL."""
    assert world
    result = dead_letters("show", "no-such", "--queue", queue.url.rsplit("/", 1)[-1])

    assert FAILED == result.exit_code
    assert "no such letter: no-such" in result.stderr


def test_a_replay_that_dies_before_it_deletes_posts_nothing_when_it_comes_again(
    world: World, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letter comes back by itself; the ledger knows its event."""
    (letter,) = queue.put(message(rendered("j-1")))
    with monkeypatch.context() as dying:
        dying.setattr("engine.reconcile.dead_letters.HIDDEN_SECONDS", 0)  # it is seen again at once, not after five minutes
        dying.setattr("engine.cli.dead_letters.Desk.delete", killed)
        dying.setattr("engine.cli.dead_letters.Desk.put_back", lambda _: None)
        first = dead_letters("replay", letter)

    second = dead_letters("replay", letter, "--json")

    assert isinstance(first.exception, KeyboardInterrupt | SystemExit)
    assert [{"id": letter, "outcomes": ["duplicate"], "problem": None}] == json.loads(second.stdout)
    assert 1 == len(world.entries("j-1"))
    assert {} == listed()


def killed(*_: Any) -> None:
    """End the process, as a person or a machine does."""
    raise KeyboardInterrupt


def test_a_letter_that_was_held_for_too_long_is_no_error(world: World, queue: Queue) -> None:
    """Somebody else has settled it meanwhile."""
    assert world
    queue.put(message(rendered("j-1")))
    opened = DeadLetterQueue(queue.client, queue.url)
    (letter,) = opened.letters()
    opened.delete(letter)

    opened.release(letter)

    assert {} == listed()


@pytest.mark.parametrize("command", [("list",), ("show",), ("replay", "--all"), ("drop", "--all")])
def test_a_queue_that_is_not_there_is_told_in_words(
    world: World,
    command: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its name, with what the service says; no traceback."""
    assert world
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["reconciler", "dead-letters", *command, "--queue", "no-such-queue"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert FAILED == ended.value.code
    assert "no-such-queue: " in capsys.readouterr().err


def test_a_letter_on_80_columns_shows_whose_it_is_with_every_name_whole(
    world: World, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of 64 characters, a user with a UUID; the reason is folded between its words."""
    assert world
    monkeypatch.setenv("COLUMNS", "80")
    job, user = f"render-{'0123456789abcdef' * 3}-01234567", "3f2c8a51-9d1e-4c0a-8f37-5b0a6a1d2e4f"
    (sent,) = queue.put(by_function(rendered(job, user=user), f"there is no such user in Credits: {user}"))
    name = queue.url.rsplit("/", 1)[-1]

    lines = dead_letters("list").stdout.splitlines()

    assert ["1 dead letters", "id", "queue", "way"] == [lines[0], *lines[1].split()]
    assert f"{sent}  {name}  function" == lines[2]
    assert lines[3].startswith("    since   20")
    assert [
        f"    job     {job}",
        f"    user    {user}",
        "    reason  the function raised on it: there is no such user in Credits:",
        f"            {user}",
    ] == lines[4:8]
    assert user in "".join(lines[8:])
    assert all(len(line) <= 80 for line in lines)


def test_a_duplicate_is_known_already_and_nothing_is_written_by_a_look(world: World, queue: Queue) -> None:
    """The ledger is asked; entries, balances and marks stay as they were."""
    world.job("j-1").deliver(rendered("j-1"))
    known, new = queue.put(message(rendered("j-1")), message(rendered("j-2")))
    before = world.everything()

    found = listed()

    assert "known already: the ledger holds all of it" == found[known]["now"]
    assert "ready" == found[new]["now"]
    assert before == world.everything()


def test_a_ledger_that_is_not_there_is_told_where_letters_hold_events(
    world: World, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they hold none, nobody asks for it."""
    assert world
    monkeypatch.setenv("LEDGER_TABLE", "Ledgr")
    (sent,) = queue.put(by_stream())

    assert "there is no event in it" == listed()[sent]["now"]
    queue.put(message(rendered("j-1")))
    assert "LEDGER_TABLE=Ledgr: there is no such table" in str(dead_letters("list").exception)
    assert 2 == len(list(DeadLetterQueue(queue.client, queue.url).letters())), "they were put back"
