"""Each alarm of the template, driven to ALARM and back by causing its reason on the deployed stack.

The reason is real, and so is what the alarm sees of it: lines of the function's log, Lambda's counts, queues, executions.
The alarm is the deployed one. What decides between them is an evaluator of ours (``tests/support/cloudwatch.py``), since the
local AWS's own does not know dimensions or missing data; time is moved on its clock. What it decides is set as the alarm's
state, and the topic tells it to a queue that has subscribed.

Not real: in ``a_slow_init`` the milliseconds of the init, which the local AWS does not report (the lines are as Lambda
documents them); in ``an_undeliverable_event`` and ``an_entry_that_got_no_words`` who sends the letter, since the local
EventBridge and the local stream write none.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import frozen
from botocore.config import Config

from tests.support.cloudwatch import Alarm
from tests.support.failing_runs import (
    a_run_in_which_every_row_fails,
    a_run_in_which_every_row_fails_at_last,
    a_segment_that_fails_twice,
    set_seconds,
)
from tests.support.findings import FOUND, counts, findings, forget_what_others_have_left, record_of
from tests.support.holding import held
from tests.support.model_server import KEY
from tests.support.roles import roles_of
from tests.support.slow_database import slow_database
from tests.support.stack import (
    adjusted_item,
    entries,
    explained,
    flag_item,
    give,
    hold,
    inserted,
    put_job,
    rendered,
    renew_containers,
    set_key,
)
from tests.support.watch import Watch
from tests.support.without_archive import held_balances, make_alarm, without_archive
from tools.deployment import Deployment, wait_until
from tools.local_aws import LocalAwsError
from tools.template import resources

ALARMS = resources(None, "AWS::CloudWatch::Alarm")
AN_HOUR, SIX_HOURS = timedelta(hours=1), timedelta(hours=6)


@frozen
class Topic:
    """The stack's topic of alarms, and a queue that has subscribed to it."""

    stack: Deployment
    sqs: Any
    cloudwatch: Any
    queue: str

    def tell(self, alarm: Alarm, state: str) -> str:
        """Set an alarm's state, as CloudWatch does; return the state that the topic's subscriber reads of that alarm."""
        self.cloudwatch.set_alarm_state(AlarmName=alarm.name, StateValue=state, StateReason="evaluated by the tests")
        answer = self.sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=5, MaxNumberOfMessages=10)
        messages = answer.get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        (told,) = [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
        assert alarm.name == told["AlarmName"]
        new: str = told["NewStateValue"]
        return new


@pytest.fixture(scope="module")
def topic(deployed: Deployment) -> Iterator[Topic]:
    """Subscribe a queue to the topic of the alarms, as a person subscribes an address."""
    sns, sqs, cloudwatch = (deployed.aws.client(service) for service in ("sns", "sqs", "cloudwatch"))
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic_arn = deployed.outputs["AlarmsTopicArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    allowed["Condition"] = {"ArnEquals": {"aws:SourceArn": topic_arn}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
    yield Topic(deployed, sqs, cloudwatch, queue)
    for client in (sns, sqs, cloudwatch):
        client.close()


# --- the reasons ------------------------------------------------------------------------------------------------------


def new(stack: Deployment) -> tuple[str, str]:
    """Return a user with a hundred credits, and a job's id that nobody has used."""
    name = uuid.uuid4().hex[:12]
    give(stack, f"u-{name}", "100")
    return f"u-{name}", f"j-{name}"


def senseless(stack: Deployment) -> dict[str, Any]:
    """Return an event that the policy cannot price."""
    return rendered(*new(stack), seconds="eight")


@contextmanager
def an_event_that_makes_no_sense(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Delivered directly: the function raises. It is over when none comes for a while."""
    with pytest.raises(LocalAwsError, match="seconds"):
        stack.invoke(senseless(stack))
    yield


@contextmanager
def many_events_that_make_no_sense(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Eleven in a batch of the queue, of which one is fine: Lambda counts no error, the function does."""
    events = [*(senseless(stack) for _ in range(11)), rendered(*new(stack))]
    records = [
        {"eventSource": "aws:sqs", "messageId": f"m-{index}", "body": json.dumps(event)} for index, event in enumerate(events)
    ]
    assert 11 == len(stack.invoke({"Records": records})["batchItemFailures"])
    yield


@contextmanager
def a_second_policy_that_is_not_there(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Each event is posted, and says that the second policy could not be asked; it is over once none is named any more."""
    renew_containers(stack, SHADOW_POLICY_FILE="policies/not-there.yaml")
    try:
        assert "debited" == stack.invoke(rendered(*new(stack)))["outcome"]
        yield
    finally:
        renew_containers(stack, SHADOW_POLICY_FILE="")


@contextmanager
def a_run_that_fails(stack: Deployment, watch: Watch) -> Iterator[None]:
    """A permission of the catch-up is missing, so that a run cannot begin; with it again the next one succeeds."""
    with roles_of(stack, "CatchUpRole") as roles, roles["CatchUpRole"].without("FindAndMarkJobs", "dynamodb:DescribeTable"):
        with pytest.raises(LocalAwsError, match="FAILED"):
            stack.catch_up()
        yield
    stack.catch_up()


@contextmanager
def no_room(stack: Deployment, watch: Watch) -> Iterator[None]:
    """No invocation at once is left, in two periods one after the other."""
    functions = stack.aws.client("lambda", Config(retries={"total_max_attempts": 1}))
    functions.put_function_concurrency(FunctionName=stack.function, ReservedConcurrentExecutions=0)
    for _ in range(watch.alarm.periods):
        with pytest.raises(functions.exceptions.TooManyRequestsException):
            functions.invoke(FunctionName=stack.function, Payload=json.dumps(rendered(*new(stack))).encode())
        watch.let_pass(watch.alarm.period)
    yield
    functions.delete_function_concurrency(FunctionName=stack.function)
    functions.close()
    stack.invoke(rendered(*new(stack)))


@contextmanager
def a_database_that_is_slow(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Each answer of DynamoDB takes 1.6 seconds, for three minutes; then it is as fast as ever."""
    functions = stack.aws.client("lambda")
    before = functions.get_function_configuration(FunctionName=stack.function)["Environment"]["Variables"]
    with slow_database(stack.aws.endpoint) as database:
        slow = {"Variables": {**before, "AWS_ENDPOINT_URL_DYNAMODB": database.url}}
        functions.update_function_configuration(FunctionName=stack.function, Environment=slow)
        stack.invoke(rendered(*new(stack)))
        watch.let_pass(AN_HOUR)  # the cold start is none of this
        database.seconds = 1.6
        for _ in range(watch.alarm.periods):
            user, job = new(stack)
            put_job(stack, user, job)
            stack.invoke(rendered(user, job))
            watch.let_pass(watch.alarm.period)
        yield
        database.seconds = 0
        for _ in range(watch.alarm.periods):
            stack.invoke(rendered(*new(stack)))
            watch.let_pass(watch.alarm.period)
    functions.update_function_configuration(FunctionName=stack.function, Environment={"Variables": before})
    functions.close()


@contextmanager
def a_slow_init(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Lines of the platform as Lambda documents them, with inits of 900 and then of 120 milliseconds. Not measured: above."""
    for milliseconds in (900.0, 900.0):
        report_init(stack, milliseconds)
        watch.let_pass(watch.alarm.period)
    yield
    for milliseconds in (120.0, 120.0):
        report_init(stack, milliseconds)
        watch.let_pass(watch.alarm.period)


def report_init(stack: Deployment, milliseconds: float) -> None:
    """Write what Lambda writes after a cold start into the function's log, and a warm invocation's beside it."""
    now = datetime.now(UTC)
    metrics = {"durationMs": 12.3, "billedDurationMs": 13, "memorySizeMB": 512, "maxMemoryUsedMB": 80}
    lines = [
        {
            "time": now.isoformat(timespec="milliseconds"),
            "type": "platform.report",
            "record": {"requestId": uuid.uuid4().hex, "metrics": each},
        }
        for each in (metrics | {"initDurationMs": milliseconds}, metrics)
    ]
    write_lines(stack, stack.log_group, lines)


def write_lines(stack: Deployment, group: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write lines into a log, as of now."""
    logs, stream = stack.aws.client("logs"), uuid.uuid4().hex
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[
            {"timestamp": int(uuid.uuid1().time / 10_000 - 12_219_292_800_000), "message": json.dumps(line)} for line in lines
        ],
    )
    logs.close()


@contextmanager
def an_event_that_waits(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Nobody takes it from the queue, until its mapping is switched on again."""
    functions, (user, job) = stack.aws.client("lambda"), new(stack)
    (mapping,) = functions.list_event_source_mappings(FunctionName=f"{stack.function}:live")["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    stack.send(rendered(user, job))
    watch.let_pass(timedelta(minutes=11))
    yield
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    wait_until(lambda: not visible(stack, stack.events_queue), "the event was taken")
    functions.close()


@contextmanager
def an_event_that_keeps_coming_back(stack: Deployment, watch: Watch) -> Iterator[None]:
    """For half an hour the function has had no right to post it; then it has."""
    sent = datetime.now(UTC) - timedelta(minutes=31)
    attributes = {"ApproximateReceiveCount": "11", "SentTimestamp": str(int(sent.timestamp() * 1000))}
    message = {"messageId": "m-1", "eventSource": "aws:sqs", "attributes": attributes}
    batch = {"Records": [message | {"body": json.dumps(rendered(*new(stack)))}]}
    with roles_of(stack, "ReconcilerRole") as roles, roles["ReconcilerRole"].without("AppendToTheLedger", "dynamodb:PutItem"):
        assert [{"itemIdentifier": "m-1"}] == stack.invoke(batch)["batchItemFailures"]
        yield
    assert [] == stack.invoke(batch)["batchItemFailures"]


@contextmanager
def an_event_that_failed_for_good(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Delivered directly, raised on three times; then a person drops the letter."""
    functions = stack.aws.client("lambda")
    functions.invoke(FunctionName=stack.function, InvocationType="Event", Payload=json.dumps(senseless(stack)).encode())
    functions.close()
    wait_until(lambda: bool(visible(stack, stack.failed_events_queue)), "the event is a dead letter")
    yield
    purge(stack, stack.failed_events_queue)


@contextmanager
def an_undeliverable_event(stack: Deployment, watch: Watch) -> Iterator[None]:
    """The letter that EventBridge writes, sent by us: the local one writes none. Then a person drops it."""
    queue = stack.outputs["UndeliveredEventsQueueUrl"]
    sqs = stack.aws.client("sqs")
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(senseless(stack)))
    sqs.close()
    yield
    purge(stack, queue)


def visible(stack: Deployment, queue: str) -> int:
    """Return how many messages are in a queue and in nobody's hands."""
    sqs, name = stack.aws.client("sqs"), "ApproximateNumberOfMessages"
    count = int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])
    sqs.close()
    return count


def purge(stack: Deployment, queue: str) -> None:
    """Empty a queue."""
    sqs = stack.aws.client("sqs")
    sqs.purge_queue(QueueUrl=queue)
    sqs.close()
    wait_until(lambda: not visible(stack, queue), "the queue is empty")


@contextmanager
def many_anomalies_without_the_model(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Eleven in a batch, and the secret holds no key; it is over when there is one, and an hour has passed."""
    set_key(stack, "")
    for entry in explained(stack, new(stack)[0], anomaly=f"unlike-{uuid.uuid4().hex}", count=11):
        assert "rules" == entry["explanation"]["M"]["by"]["S"]
    yield
    watch.let_pass(AN_HOUR)
    set_key(stack, KEY)
    (entry,) = explained(stack, new(stack)[0], anomaly=f"unlike-{uuid.uuid4().hex}")
    set_key(stack, "")
    assert "model" == entry["explanation"]["M"]["by"]["S"]


@contextmanager
def an_entry_that_got_no_words(stack: Deployment, watch: Watch) -> Iterator[None]:
    """The letter that Lambda writes for a record of the stream, sent by us: the local one writes none. Then it is dropped."""
    queue = stack.outputs["UnexplainedEntriesQueueUrl"]
    sqs = stack.aws.client("sqs")
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"requestContext": {"condition": "RetryAttemptsExhausted"}}))
    sqs.close()
    yield
    purge(stack, queue)


@contextmanager
def many_jobs_that_no_event_told_of(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Eleven, found by the scheduled run; the next one finds none."""
    jobs_of_nobody(stack, 11)
    assert 11 == stack.catch_up()["adjustments"]
    yield
    watch.let_pass(SIX_HOURS)
    assert 0 == stack.catch_up()["adjustments"]


@contextmanager
def more_jobs_than_a_run_may_post(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Five where two are allowed; the run after the cap was raised posts the rest."""
    functions = stack.aws.client("lambda")
    before = functions.get_function_configuration(FunctionName=stack.catch_up_function)["Environment"]["Variables"]
    capped = {"Variables": {**before, "ADJUSTMENTS_CAP": "2"}}
    functions.update_function_configuration(FunctionName=stack.catch_up_function, Environment=capped)
    jobs_of_nobody(stack, 5)
    assert stack.catch_up()["capped"]
    yield
    functions.update_function_configuration(FunctionName=stack.catch_up_function, Environment={"Variables": before})
    functions.close()
    watch.let_pass(SIX_HOURS)
    assert not stack.catch_up()["capped"]


def jobs_of_nobody(stack: Deployment, count: int) -> None:
    """Write jobs that no event will tell of."""
    for _ in range(count):
        put_job(stack, *new(stack))


@contextmanager
def books_that_do_not_agree(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Somebody has written ``posted``, and takes it back."""
    key = {"userId": {"S": "u-drifts"}}
    stack.dynamodb.put_item(TableName=stack.tables.credits, Item={**key, "posted": {"N": "-5"}})
    with without_archive(stack):
        assert ["u-drifts"] == stack.catch_up()["audit"]["drifts"]
        yield
        stack.dynamodb.delete_item(TableName=stack.tables.credits, Key=key)
        watch.let_pass(SIX_HOURS)
        stack.catch_up()


@contextmanager
def audits_that_do_not_end(stack: Deployment, watch: Watch) -> Iterator[None]:
    """The last step of four runs in a row may not read Credits; that of the fifth may."""
    with without_archive(stack), unread_balances(stack):
        for _ in range(watch.alarm.periods):
            assert "problem" in stack.invoke({"parts": []}, stack.catch_up_function)["audit"]
            watch.let_pass(SIX_HOURS)
        yield
    with without_archive(stack):
        stack.catch_up()


@contextmanager
def comparisons_that_do_not_end(stack: Deployment, watch: Watch) -> Iterator[None]:
    """The same where there is an archive."""
    with unread_balances(stack):
        for _ in range(watch.alarm.periods):
            assert "problem" in stack.invoke({"parts": []}, stack.catch_up_function)["archive"]
            watch.let_pass(SIX_HOURS)
        yield
    stack.catch_up()


@contextmanager
def unread_balances(stack: Deployment) -> Iterator[None]:
    """Let scheduled runs read no table of Credits."""
    with roles_of(stack, "CatchUpRole") as roles, roles["CatchUpRole"].without("ReadBalances", "dynamodb:Scan"):
        yield


@contextmanager
def a_balance_that_was_changed_by_hand(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Where only events grant: somebody adds credits to a row, and takes them back."""
    user, _ = new(stack)
    with TemporaryDirectory() as folder, held_balances(stack, Path(folder)):
        stack.catch_up()
        give(stack, user, "105")
        assert 1 == counts(stack)["balance"]
        yield
        give(stack, user, "100")
        watch.let_pass(SIX_HOURS)
        assert "balance" not in counts(stack)
    stack.catch_up()


@contextmanager
def findings_of_every_kind(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Somebody is at work in the Ledger and in the bucket; then a person plans the repair of the user, and applies it."""
    with findings(stack) as made:
        assert dict.fromkeys(FOUND, 1) == counts(stack)
        yield
        made.put_right()
        watch.let_pass(SIX_HOURS)
        assert {} == counts(stack)


@contextmanager
def a_row_that_makes_no_sense(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Its seconds are no number; another row is fine. Then the application mends it."""
    user, job = new(stack)
    key = {"jobId": {"S": job}}
    put_job(stack, user, job)
    put_job(stack, *new(stack))
    set_seconds(stack, key, {"S": "eight"})
    assert 1 == stack.catch_up()["errors"]
    yield
    set_seconds(stack, key, {"N": "8"})
    watch.let_pass(SIX_HOURS)
    assert 0 == stack.catch_up()["errors"]


@contextmanager
def a_status_that_nobody_mapped(stack: Deployment, watch: Watch) -> Iterator[None]:
    """A render that a moderator stopped; in the next run it is one that failed."""
    user, job = new(stack)
    put_job(stack, user, job, "moderated")
    assert {"moderated": 1} == stack.catch_up()["unmapped"]
    yield
    put_job(stack, user, job, "failed")
    watch.let_pass(SIX_HOURS)
    assert {} == stack.catch_up()["unmapped"]


@contextmanager
def books_that_nobody_could_check_since(stack: Deployment, watch: Watch) -> Iterator[None]:
    """They did not agree; they do now, but the audits of a whole day do not end: nobody knows, and the alarm stays on."""
    key = {"userId": {"S": "u-drifts"}}
    stack.dynamodb.put_item(TableName=stack.tables.credits, Item={**key, "posted": {"N": "-5"}})
    with without_archive(stack):
        stack.catch_up()
        stack.dynamodb.delete_item(TableName=stack.tables.credits, Key=key)
        with unread_balances(stack):
            for _ in range(4):
                watch.let_pass(SIX_HOURS)
                assert "problem" in stack.invoke({"parts": []}, stack.catch_up_function)["audit"]
                assert watch.becomes("ALARM", within=timedelta())
        yield
        watch.let_pass(SIX_HOURS)
        stack.catch_up()


@contextmanager
def a_version_that_takes_nothing(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Eleven events, all refused, by a container that has taken none."""
    renew_containers(stack)
    events = [senseless(stack) | {"id": uuid.uuid4().hex} for _ in range(11)]
    records = [{"eventSource": "aws:sqs", "messageId": event["id"], "body": json.dumps(event)} for event in events]
    assert 11 == len(stack.invoke({"Records": records})["batchItemFailures"])
    yield


@contextmanager
def looks_back_that_fail(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Two runs in a row may not read the Ledger; the third may."""
    with roles_of(stack, "CatchUpRole") as roles, roles["CatchUpRole"].without("ReadTheLedger", "dynamodb:Scan"):
        for _ in range(watch.alarm.periods):
            stack.catch_up()
            watch.let_pass(SIX_HOURS)
        yield
    stack.catch_up()


@contextmanager
def baselines_that_fail(stack: Deployment, watch: Watch) -> Iterator[None]:
    """The same missing permission; the next run has it."""
    with roles_of(stack, "CatchUpRole") as roles, roles["CatchUpRole"].without("ReadTheLedger", "dynamodb:Scan"):
        stack.catch_up()
        yield
    watch.let_pass(SIX_HOURS)
    stack.catch_up()


@contextmanager
def entries_that_nothing_was_compared_with(stack: Deployment, watch: Watch) -> Iterator[None]:
    """A hundred and one of a model that nobody has rendered with; then six quiet hours."""
    user, _ = new(stack)
    give(stack, user, "1000")
    model = f"new-{uuid.uuid4().hex[:6]}"
    for start in range(0, 101, 40):
        events = [rendered(user, f"j-{uuid.uuid4().hex[:12]}", model=model) for _ in range(start, min(start + 40, 101))]
        records = [
            {"eventSource": "aws:sqs", "messageId": uuid.uuid4().hex, "body": json.dumps({**event, "id": uuid.uuid4().hex})}
            for event in events
        ]
        assert [] == stack.invoke({"Records": records})["batchItemFailures"]
    yield
    watch.let_pass(SIX_HOURS)
    stack.invoke(rendered(*new(stack)))
    watch.let_pass(3 * SIX_HOURS)


@contextmanager
def a_flag_that_nothing_explains(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Posted and archived two hours ago, and the stream passed it by; then a person has it explained, and that is archived."""
    item = {**flag_item(new(stack)[0], datetime.now(UTC) - timedelta(hours=2)), "anomalies": ODD}
    archive(stack, "INSERT", item, datetime.now(UTC) - timedelta(hours=2))
    stack.dynamodb.put_item(TableName=stack.tables.ledger, Item=item)
    assert 1 == stack.catch_up()["archive"]["unexplained"]
    yield
    item |= {"explanation": {"M": {}}}
    stack.dynamodb.put_item(TableName=stack.tables.ledger, Item=item)
    archive(stack, "MODIFY", item, datetime.now(UTC))
    watch.let_pass(SIX_HOURS)
    assert 0 == stack.catch_up()["archive"]["unexplained"]


ODD = {"L": [{"M": {"name": {"S": "odd"}}}]}


def archive(stack: Deployment, event: str, item: dict[str, Any], at: datetime) -> None:
    """Tell the archive of an entry as the stream would, as of an instant."""
    record = record_of(event, item)
    record["dynamodb"]["ApproximateCreationDateTime"] = at.timestamp()
    assert 1 == stack.invoke({"Records": [record]}, stack.archive_function)["records"]


@contextmanager
def many_credits_that_people_have_given(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Six hundred given and six hundred taken where a thousand are allowed; the stream tells of both. Then quiet days."""
    user, _ = new(stack)
    for amount in ("600", "-600"):
        stack.dynamodb.put_item(TableName=stack.tables.ledger, Item=adjusted_item(user, amount, datetime.now(UTC)))
    wait_until(lambda: counted(stack, user, watch.begun) == 2, "the stream has told of both")
    yield
    watch.let_pass(watch.alarm.range)


def counted(stack: Deployment, user: str, since: datetime) -> int:
    """Return how many corrections of a user the function has counted."""
    told = stack.log_lines(stack.explain_function, since)
    lines = [json.loads(line) for line in told if '"message": "corrected"' in line]
    return sum(f"adjust#{user}-" in reference for line in lines for reference in line["references"])


@contextmanager
def a_bus_that_takes_nothing(stack: Deployment, watch: Watch) -> Iterator[None]:
    """The function may not put events for a quarter of an hour; the record comes again, and then it may."""
    batch = {"Records": [held(stack, new(stack)[0])]}
    with roles_of(stack, "ExplainRole") as roles, roles["ExplainRole"].without("TellTheBus", "events:PutEvents"):
        for _ in range(watch.alarm.periods):
            assert stack.invoke(batch, stack.explain_function)["batchItemFailures"]
            watch.let_pass(watch.alarm.period)
        yield
    assert [] == stack.invoke(batch, stack.explain_function)["batchItemFailures"]


@contextmanager
def holds_that_expired(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Eleven in an hour, of jobs that have no row; an hour later none has."""
    for _ in range(11):
        hold(stack, *new(stack))
    look_for_holds(stack)
    yield
    watch.let_pass(AN_HOUR)
    look_for_holds(stack)


@contextmanager
def a_hold_that_does_not_end(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Somebody has written a text where its user's balance was; the look after it was mended releases it."""
    user, job = new(stack)
    hold(stack, user, job)
    credit = {
        "TableName": stack.credits_table,
        "Key": {"userId": {"S": user}},
        "UpdateExpression": "SET remaining = :remaining",
    }
    stack.dynamodb.update_item(**credit, ExpressionAttributeValues={":remaining": {"S": "99.2"}})
    look_for_holds(stack)
    yield
    stack.dynamodb.update_item(**credit, ExpressionAttributeValues={":remaining": {"N": "99.2"}})
    watch.let_pass(AN_HOUR)
    look_for_holds(stack)
    assert ["hold", "release"] == [entry["type"]["S"] for entry in entries(stack, job)]


def look_for_holds(stack: Deployment) -> None:
    """Do what the schedule of the holds does."""
    assert stack.invoke({"expire": "holds"}, stack.catch_up_function)["holds"]["finished"]


@contextmanager
def no_event_at_all(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Hours pass. Then one comes."""
    yield
    stack.invoke(rendered(*new(stack)))


@contextmanager
def no_run_at_all(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Twelve hours pass. Then the schedule works again."""
    yield
    stack.catch_up()


@contextmanager
def a_row_that_is_not_what_was_posted(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Something is posted for a user of whom the archive has no entry; then a run finds nothing that is new.

    What others have left in the archive a minute ago is under way to the first run, and news to the second.
    """
    key = {"userId": {"S": f"u-{uuid.uuid4().hex[:12]}"}}
    stack.dynamodb.put_item(TableName=stack.tables.credits, Item={**key, "posted": {"N": "-5"}})
    stack.catch_up()
    yield
    stack.dynamodb.delete_item(TableName=stack.tables.credits, Key=key)
    for _ in range(2):
        watch.let_pass(SIX_HOURS)
        stack.catch_up()


@contextmanager
def an_archive_that_may_not_be_written(stack: Deployment, watch: Watch) -> Iterator[None]:
    """A permission is missing for a quarter of an hour; with it again the batch is archived."""
    batch = {"Records": [inserted(stack, new(stack)[0])]}
    with roles_of(stack, "ArchiveRole") as roles, roles["ArchiveRole"].without("PutObjects", "s3:PutObject"):
        for _ in range(watch.alarm.periods):
            with pytest.raises(LocalAwsError, match="s3:PutObject"):
                stack.invoke(batch, stack.archive_function)
            watch.let_pass(watch.alarm.period)
        yield
    assert 1 == stack.invoke(batch, stack.archive_function)["records"]


@contextmanager
def entries_that_are_archived_late(stack: Deployment, watch: Watch) -> Iterator[None]:
    """What was posted twenty minutes ago, in two periods; then what was posted just now."""
    for _ in range(watch.alarm.periods):
        late = inserted(stack, new(stack)[0], datetime.now(UTC) - timedelta(minutes=20))
        stack.invoke({"Records": [late]}, stack.archive_function)
        watch.let_pass(watch.alarm.period)
    yield
    stack.invoke({"Records": [inserted(stack, new(stack)[0])]}, stack.archive_function)


@contextmanager
def what_is_no_record(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Put aside, once; it is over when none comes for a while."""
    assert 1 == len(stack.invoke({"Records": [{"eventName": "TRUNCATE"}]}, stack.archive_function)["odd"])
    yield


@contextmanager
def entries_that_became_a_day_old(stack: Deployment, watch: Watch) -> Iterator[None]:
    """The letter that Lambda writes for records of the stream, sent by us. Then they are taken in, and it is dropped."""
    queue = stack.outputs["UnarchivedEntriesQueueUrl"]
    sqs = stack.aws.client("sqs")
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"requestContext": {"condition": "RecordAgeExceeded"}}))
    sqs.close()
    yield
    purge(stack, queue)


Cause = Callable[[Deployment, Watch], AbstractContextManager[None]]

CAUSES: Mapping[str, Cause] = {
    "UnmappedRowsAlarm": a_status_that_nobody_mapped,
    "FailedRowsAlarm": a_row_that_makes_no_sense,
    "NothingTakenAlarm": a_version_that_takes_nothing,
    "UnfinishedLookBacksAlarm": looks_back_that_fail,
    "FailedBaselinesAlarm": baselines_that_fail,
    "UnjudgedEntriesAlarm": entries_that_nothing_was_compared_with,
    "UnexplainedFlagsAlarm": a_flag_that_nothing_explains,
    "ErrorsAlarm": an_event_that_makes_no_sense,
    "RejectedEventsAlarm": many_events_that_make_no_sense,
    "CatchUpErrorsAlarm": a_run_that_fails,
    "ThrottlesAlarm": no_room,
    "SlowEventsAlarm": a_database_that_is_slow,
    "SlowColdStartsAlarm": a_slow_init,
    "WaitingEventsAlarm": an_event_that_waits,
    "ReturningEventsAlarm": an_event_that_keeps_coming_back,
    "FailedEventsAlarm": an_event_that_failed_for_good,
    "UndeliveredEventsAlarm": an_undeliverable_event,
    "LostEventsAlarm": many_jobs_that_no_event_told_of,
    "ShadowErrorsAlarm": a_second_policy_that_is_not_there,
    "CappedScansAlarm": more_jobs_than_a_run_may_post,
    "DriftAlarm": books_that_do_not_agree,
    "UnfinishedAuditsAlarm": audits_that_do_not_end,
    "UnfinishedComparisonsAlarm": comparisons_that_do_not_end,
    "FoundBalanceAlarm": a_balance_that_was_changed_by_hand,
    "DifferencesAlarm": a_row_that_is_not_what_was_posted,
    "NoEventsAlarm": no_event_at_all,
    "ExplanationFallbacksAlarm": many_anomalies_without_the_model,
    "UnexplainedEntriesAlarm": an_entry_that_got_no_words,
    "NoCatchUpAlarm": no_run_at_all,
    "AdjustedCreditsAlarm": many_credits_that_people_have_given,
    "ArchiveErrorsAlarm": an_archive_that_may_not_be_written,
    "ArchiveBehindAlarm": entries_that_are_archived_late,
    "OddRecordsAlarm": what_is_no_record,
    "UnarchivedEntriesAlarm": entries_that_became_a_day_old,
    "UntoldNoticesAlarm": a_bus_that_takes_nothing,
    "ExpiredHoldsAlarm": holds_that_expired,
    "OverdueHoldsAlarm": a_hold_that_does_not_end,
}
"""The reason of each alarm: there within the ``with``, gone behind it."""

TOGETHER: Mapping[Cause, Sequence[str]] = {
    findings_of_every_kind: sorted(name for name in ALARMS if name.startswith("Found") and name not in CAUSES),
}
"""The alarms that have one reason: it is brought about once for all of them."""

FURTHER_CAUSES: tuple[tuple[str, Cause], ...] = (
    ("CatchUpErrorsAlarm", a_run_in_which_every_row_fails),
    ("CatchUpErrorsAlarm", a_run_in_which_every_row_fails_at_last),
    ("CatchUpErrorsAlarm", a_segment_that_fails_twice),
    ("DriftAlarm", books_that_nobody_could_check_since),
)
"""What else brings an alarm about."""


@pytest.fixture
def watch(deployed: Deployment, logical_id: str) -> Iterator[Watch]:
    """Return a watch of the deployed alarm."""
    watch = Watch(deployed, deployed_alarm(deployed, logical_id))
    yield watch
    watch.close()


def deployed_alarm(deployed: Deployment, logical_id: str) -> Alarm:
    """Return an alarm as it was deployed."""
    cloudwatch = deployed.aws.client("cloudwatch")
    if ALARMS[logical_id].get("Condition") in {"WithoutArchive", "AskShadow"}:
        make_alarm(deployed, logical_id)
    name = ALARMS[logical_id]["Properties"]["AlarmName"]["Fn::Sub"].replace("${Environment}", "dev")
    (described,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    cloudwatch.close()
    return Alarm.described(described)


def cause_of(logical_id: str) -> Cause:
    """Return the reason of an alarm; one of which nobody has brought that about may never begin."""
    if (cause := CAUSES.get(logical_id)) is None:
        pytest.fail(f"no cause for {logical_id}: a line in CAUSES says what brings it about")
    return cause


@pytest.mark.parametrize("logical_id", sorted(CAUSES))
def test_an_alarm_begins_with_its_reason_and_ends_with_it(
    deployed: Deployment, topic: Topic, watch: Watch, logical_id: str
) -> None:
    """Fine, then on, then fine again; a person is told of both."""
    begins_and_ends(deployed, topic, watch, cause_of(logical_id))


@pytest.mark.parametrize(("logical_id", "cause"), FURTHER_CAUSES, ids=[cause.__name__ for _, cause in FURTHER_CAUSES])
def test_an_alarm_begins_and_ends_with_another_reason(deployed: Deployment, topic: Topic, watch: Watch, cause: Cause) -> None:
    """The same of those that have more than one."""
    begins_and_ends(deployed, topic, watch, cause)


def begins_and_ends(deployed: Deployment, topic: Topic, watch: Watch, cause: Cause) -> None:
    """See the alarm fine, then on, then fine again; a person is told of both."""
    for queue in (deployed.failed_events_queue, deployed.outputs["UndeliveredEventsQueueUrl"]):
        purge(deployed, queue)
    if watch.alarm.missing in {"breaching", "ignore"}:
        with cause(deployed, watch):
            pass  # what has to come comes for the first time
    assert watch.becomes("OK", within=watch.alarm.range), "it is on before there is a reason"

    with cause(deployed, watch):
        assert watch.becomes("ALARM", within=watch.alarm.range), "it does not begin"
        assert "ALARM" == topic.tell(watch.alarm, "ALARM")

    assert watch.becomes("OK", within=AN_HOUR), "it does not end"
    assert "OK" == topic.tell(watch.alarm, "OK")


@pytest.mark.parametrize("cause", TOGETHER, ids=[cause.__name__ for cause in TOGETHER])
def test_alarms_of_one_reason_begin_and_end_with_it(deployed: Deployment, topic: Topic, cause: Cause) -> None:
    """A person is told of each by its name."""
    first, *others = alarms = [deployed_alarm(deployed, logical_id) for logical_id in TOGETHER[cause]]
    watch = Watch(deployed, first)
    forget_what_others_have_left(deployed, watch)
    assert watch.becomes("OK", within=first.range, others=others), "one is on before there is a reason"

    with cause(deployed, watch):
        assert watch.becomes("ALARM", within=first.range, others=others), "one does not begin"
        assert ["ALARM"] * len(alarms) == [topic.tell(alarm, "ALARM") for alarm in alarms]

    assert watch.becomes("OK", within=AN_HOUR, others=others), "one does not end"
    assert ["OK"] * len(alarms) == [topic.tell(alarm, "OK") for alarm in alarms]
    watch.close()


def test_every_alarm_has_a_cause_and_every_cause_an_alarm() -> None:
    """No line is left of one that is gone, and a new one without a line fails."""
    assert sorted(ALARMS) == sorted([*CAUSES, *(name for names in TOGETHER.values() for name in names)])
    with pytest.raises(pytest.fail.Exception, match="no cause for SilenceAlarm"):
        cause_of("SilenceAlarm")
