"""Least privilege: no permission of a role is spare, and what a role has no business with is refused.

Enforced for real, by the local AWS under IAM: every call that the functions make themselves by their roles (``CHECKS``), and
every call of ``DENIALS``, made with the credentials of the role itself.

Simulated, since the local AWS makes these calls without asking IAM (a test holds that it does): what the services call for us,
polling the queue, the discarded records of the stream, logs, the steps of the state machine, and the start of
its runs (``SIMULATED``). IAM's SimulateCustomPolicy, the local AWS's own, says of the deployed policy that the documented call
is allowed with the permission, and denied without it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import frozen
from botocore.exceptions import ClientError

from engine.audit.seals import REST
from engine.domain.instants import posting_text
from engine.domain.references import spread
from engine.ledger.stored import HOLD_SHARDS
from engine.policy.compiled import compile_policy
from tests.support.holding import held, holding, submitted
from tests.support.model_server import KEY, Exchange, ModelServer
from tests.support.roles import Role, as_list, reduced, roles_of
from tests.support.stack import entries, explained, failed, give, hold, inserted, put_job, rendered, renew_containers, set_key
from tests.support.without_archive import held_balances, without_archive
from tools.deployment import Deployment, wait_until
from tools.environments import ROOT
from tools.local_aws import ACCOUNT, REGION
from tools.template import role_statements

ROLES = role_statements()
PERMISSIONS = sorted(
    (role, sid, action)
    for role, statements in ROLES.items()
    for sid, statement in statements.items()
    for action in as_list(statement["Action"])
)

WHOLE_TABLE = {"slices": [{"segment": 0, "segments": 1}]}


class RefusedError(RuntimeError):
    """IAM refused what the function tried. The message is what the function said."""


@pytest.fixture(scope="module")
def roles(deployed: Deployment) -> Iterator[dict[str, Role]]:
    """Return the roles of the stack."""
    with roles_of(deployed, *ROLES) as roles:
        yield roles


# --- what needs each permission ---------------------------------------------------------------------------------------


def new(stack: Deployment) -> tuple[str, str]:
    """Return a user with a hundred credits, and a job's id that nobody has used."""
    name = uuid.uuid4().hex[:12]
    give(stack, f"u-{name}", "100")
    return f"u-{name}", f"j-{name}"


def an_event(stack: Deployment) -> None:
    """A first debit: entry, balance and mark in one transaction."""
    assert "debited" == stack.invoke(rendered(*new(stack)))["outcome"]


def a_refund(stack: Deployment) -> None:
    """The job's log has an entry already, so it is read."""
    user, job = new(stack)
    stack.invoke(rendered(user, job))
    assert "refunded" == stack.invoke(failed(user, job))["outcome"]


def a_cold_start_that_reads_what_is_usual(stack: Deployment) -> None:
    """A container of its own; the money moves without baselines, and the answer says that they could not be read."""
    renew_containers(stack)
    answer = stack.invoke(rendered(*new(stack)))
    if answer.get("baselines") == "unreadable":
        raise RefusedError("baselines: unreadable")


def a_letter(stack: Deployment) -> None:
    """An event of the queue that makes no sense, received three times, is put into the queue of failed events."""
    body = json.dumps(rendered(*new(stack), seconds="eight"))
    attributes = {"ApproximateReceiveCount": "3"}
    message = {"messageId": "m-1", "eventSource": "aws:sqs", "attributes": attributes, "body": body}
    begun = datetime.now(UTC)
    if stack.invoke({"Records": [message]})["batchItemFailures"]:
        raise RefusedError("\n".join(stack.log_lines(since=begun)))
    assert body in [letter["Body"] for letter in stack.failed_events()]


BY_ROWS = (ROOT / "policies" / "video.yaml").read_text().replace("user: detail.userId", 'user: "detail.userId || row.userId"')


@contextmanager
def told_by_rows(stack: Deployment) -> Iterator[list[dict[str, Any]]]:
    """Let the function serve a policy that finds the user in the job's row; return two events that need it."""
    functions = stack.aws.client("lambda")
    variables = functions.get_function_configuration(FunctionName=stack.function)["Environment"]["Variables"]
    functions.close()
    events = []
    for user, job in (new(stack), new(stack)):
        put_job(stack, user, job)
        events.append(rendered(user, job))
        del events[-1]["detail"]["userId"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "by-rows.yaml"
        file.write_text(BY_ROWS)
        compile_policy(file)
        renew_containers(stack, POLICY_FILE=str(file))
        try:
            yield events
        finally:
            renew_containers(stack, POLICY_FILE=variables["POLICY_FILE"])


def an_event_told_by_its_row(stack: Deployment) -> None:
    """The event does not say its user: the job's row does."""
    with told_by_rows(stack) as (event, _):
        assert "debited" == stack.invoke(event)["outcome"]


def a_batch_told_by_its_rows(stack: Deployment) -> None:
    """The rows of a batch are read together."""
    with told_by_rows(stack) as events:
        records = [
            {"messageId": f"m-{number}", "eventSource": "aws:sqs", "body": json.dumps(event)}
            for number, event in enumerate(events)
        ]
        begun = datetime.now(UTC)
        if stack.invoke({"Records": records})["batchItemFailures"]:
            raise RefusedError("\n".join(stack.log_lines(since=begun)))


def a_request_to_hold(stack: Deployment) -> None:
    """It is answered with what the user has left; where that cannot be read, the hold stands all the same."""
    with holding(stack):
        answer = stack.invoke(submitted(*new(stack)))
    assert "held" == answer["outcome"]
    if answer["remaining"] is None:
        raise RefusedError("remaining: nobody could read it")
    assert "99.2" == answer["remaining"]


def a_scan(stack: Deployment) -> None:
    """Charges a job whose event was lost."""
    user, job = new(stack)
    put_job(stack, user, job)
    scanned(stack)
    assert ["debit"] == [entry["type"]["S"] for entry in entries(stack, job)]


def a_scan_of_a_job_with_entries(stack: Deployment) -> None:
    """The event was charged, that it failed was not told: the log is read, and the charge refunded."""
    user, job = new(stack)
    stack.invoke(rendered(user, job))
    put_job(stack, user, job, "failed", "2026-01-05T11:00:00Z")
    scanned(stack)
    assert ["debit", "refund"] == [entry["type"]["S"] for entry in entries(stack, job)]


def a_run_that_begins(stack: Deployment) -> None:
    """Samples the ledger, stores baselines, asks for the size of the table of jobs, and becomes the run under way."""
    answer = stack.invoke({"begin": "run-of-a-test"}, stack.catch_up_function)
    raise_problem(answer["baselines"])


def a_step_of_a_run(stack: Deployment) -> None:
    """Reads what the run may still post, and takes some of it."""
    user, job = new(stack)
    put_job(stack, user, job)
    (part,) = stack.invoke({"begin": "run-of-a-test"}, stack.catch_up_function)["parts"]
    scanned(stack, part)
    assert ["debit"] == [entry["type"]["S"] for entry in entries(stack, job)]


def in_shard(shard: int) -> str:
    """Return a job's id that nobody has used, whose holds are found in a shard."""
    return next(
        job for job in iter(lambda: f"j-{uuid.uuid4().hex[:12]}", "") if spread(f"job#{job}") % len(HOLD_SHARDS) == shard
    )


def looked_for_holds(stack: Deployment, *jobs: str) -> None:
    """Make holds that are due, and let the function look for such: each is released."""
    for job in jobs:
        hold(stack, f"u-{job}", job)
    answer = stack.invoke({"expire": "holds"}, stack.catch_up_function)["holds"]
    raise_problem(answer)
    for job in jobs:
        assert ["hold", "release"] == [entry["type"]["S"] for entry in entries(stack, job)]


def a_look_at_a_hold_that_is_due(stack: Deployment) -> None:
    """Finds it by the index, asks what came after it, and reads its log and the one row of its job."""
    looked_for_holds(stack, in_shard(0))


def a_look_at_holds_that_are_due(stack: Deployment) -> None:
    """Those of one shard come together: the rows of their jobs are read with one request."""
    looked_for_holds(stack, in_shard(1), in_shard(1))


def an_audit_that_seals(stack: Deployment) -> None:
    """Reads the last seal, and keeps a new one: there is an entry that has just rested long enough."""
    user, job = new(stack)
    stack.invoke(rendered(user, job))
    key = {"reference": {"S": f"job#{job}"}, "sequence": {"N": "1"}}
    rested = posting_text(datetime.now(UTC) - REST - timedelta(milliseconds=1))
    stack.dynamodb.update_item(
        TableName=stack.ledger_table,
        Key=key,
        UpdateExpression="SET postedAt = :then",
        ExpressionAttributeValues={":then": {"S": rested}},
    )
    audit = stack.invoke({"parts": []}, stack.catch_up_function)["audit"]
    raise_problem(audit)
    raise_problem(audit["seal"])
    assert audit["seal"]["number"], "nothing was sealed"


def an_audit_of_books_that_do_not_agree(stack: Deployment) -> None:
    """Looks again at the user's entries, by the index, and at the balance."""
    key = {"userId": {"S": "u-books"}}
    stack.dynamodb.put_item(TableName=stack.tables.credits, Item={**key, "posted": {"N": "-5"}})
    try:
        audit = stack.invoke({"parts": []}, stack.catch_up_function)["archive"]
    finally:
        stack.dynamodb.delete_item(TableName=stack.tables.credits, Key=key)
    raise_problem(audit)
    assert audit["counts"]["drift"]


def an_audit_that_holds_balances(stack: Deployment) -> None:
    """Opens the book of balances, and ends it once the application may grant again."""
    with TemporaryDirectory() as folder, held_balances(stack, Path(folder)):
        audit = stack.invoke({"parts": []}, stack.catch_up_function)["archive"]
    stack.invoke({"parts": []}, stack.catch_up_function)
    raise_problem(audit)
    raise_problem(audit["balances"])
    assert audit["balances"]["checkedSince"]


def an_explanation(stack: Deployment) -> None:
    """Looks whether there is one, asks the model, and stores what it says."""
    (entry,) = explained(stack, new(stack)[0], anomaly=f"unlike-{uuid.uuid4().hex}")
    said = entry["explanation"]["M"]
    if said["by"]["S"] != "model":
        raise RefusedError(f"explained by the rules: {said['why']['S']}")


def an_explanation_with_a_new_key(stack: Deployment) -> None:
    """In a container of its own, which has to read the key."""
    renew_containers(stack, stack.explain_function)
    an_explanation(stack)


def an_explanation_of_one_like_another(stack: Deployment) -> None:
    """What the model said of the first within the hour is read, and counts for the second."""
    user, anomaly = new(stack)[0], f"alike-{uuid.uuid4().hex}"
    explained(stack, user, anomaly)
    (second,) = explained(stack, user, anomaly)
    if "like" not in second["explanation"]["M"]:
        raise RefusedError("the model was asked again")


def an_explanation_that_is_told(stack: Deployment) -> None:
    """Puts it on the bus."""
    begun = datetime.now(UTC)
    an_explanation(stack)
    lines = stack.log_lines(stack.explain_function, begun)
    if any('"message": "untold"' in line for line in lines):
        raise RefusedError("told to nobody")


def a_low_balance(stack: Deployment) -> None:
    """The balance is read; that it could not be is told, and the record comes again."""
    user, _ = new(stack)
    give(stack, user, "0.10")
    with holding(stack):
        begun = datetime.now(UTC)
        failures = stack.invoke({"Records": [held(stack, user)]}, stack.explain_function)["batchItemFailures"]
    if failures:
        raise RefusedError("\n".join(stack.log_lines(stack.explain_function, begun)))


def an_explanation_that_knows_the_user(stack: Deployment) -> None:
    """The model is told of the entry that the user had before."""
    user, job = new(stack)
    stack.invoke(rendered(user, job))
    (entry,) = explained(stack, user, anomaly=f"unlike-{uuid.uuid4().hex}")
    if "had 1 entries before" not in entry["explanation"]["M"]["summary"]["S"]:
        raise RefusedError("the model was told of no entry before")


def an_archived_batch(stack: Deployment) -> None:
    """Puts an object, reads where the chain stands, and lets it stand there."""
    assert 1 == stack.invoke({"Records": [inserted(stack, new(stack)[0])]}, stack.archive_function)["records"]


def an_audit_against_the_archive(stack: Deployment) -> None:
    """Reads where the chain stands and what is new in it, and keeps a checkpoint."""
    an_archived_batch(stack)
    raise_problem(stack.invoke({"parts": []}, stack.catch_up_function)["archive"])


def scanned(stack: Deployment, event: Mapping[str, Any] = WHOLE_TABLE) -> None:
    """Scan the table of jobs; what went wrong with a row stands in the log."""
    begun = datetime.now(UTC)
    if stack.invoke(event, stack.catch_up_function)["errors"]:
        raise RefusedError("\n".join(stack.log_lines(stack.catch_up_function, begun)))


def raise_problem(answer: Mapping[str, Any]) -> None:
    """Raise what the answer of a scheduled run tells of what did not work."""
    if "problem" in answer:
        raise RefusedError(answer["problem"])


def says_what_it_was_told(exchange: Exchange) -> None:
    """Answer as the model does, with how many entries of the user it was told of."""
    (told,) = exchange.data["entries"]
    exchange.explain(summary=f"The user had {told['this_user_recently']['entries']} entries before.")


@pytest.fixture(scope="module", autouse=True)
def model(deployed: Deployment, model_server: ModelServer) -> Iterator[None]:
    """Let the function that explains reach a model, with a key; leave it without one, as it was deployed."""
    set_key(deployed, KEY)
    model_server.does(says_what_it_was_told)
    yield
    model_server.does()
    set_key(deployed, "")


Check = Callable[[Deployment], None]

CHECKS: Mapping[tuple[str, str, str], Check] = {
    ("ReconcilerRole", "AppendToTheLedger", "dynamodb:PutItem"): an_event,
    ("ReconcilerRole", "ReadTheLedger", "dynamodb:Query"): a_refund,
    ("ReconcilerRole", "MoveBalances", "dynamodb:UpdateItem"): an_event,
    ("ReconcilerRole", "ReadBalances", "dynamodb:GetItem"): a_request_to_hold,
    ("ReconcilerRole", "MarkJobs", "dynamodb:UpdateItem"): an_event,
    ("ReconcilerRole", "ReadRowsOfJobs", "dynamodb:BatchGetItem"): a_batch_told_by_its_rows,
    ("ReconcilerRole", "ReadRowsOfJobs", "dynamodb:GetItem"): an_event_told_by_its_row,
    ("ReconcilerRole", "ReadBaselines", "dynamodb:GetItem"): a_cold_start_that_reads_what_is_usual,
    ("ReconcilerRole", "KeepFailedEvents", "sqs:SendMessage"): a_letter,
    ("CatchUpRole", "AppendToTheLedger", "dynamodb:PutItem"): a_scan,
    ("CatchUpRole", "ReadTheLedger", "dynamodb:Query"): a_scan_of_a_job_with_entries,
    ("CatchUpRole", "ReadTheLedger", "dynamodb:Scan"): a_run_that_begins,
    ("CatchUpRole", "ReadTheLedger", "dynamodb:BatchGetItem"): a_look_at_holds_that_are_due,
    ("CatchUpRole", "FindHoldsThatAreDue", "dynamodb:Query"): a_look_at_holds_that_are_due,
    ("CatchUpRole", "ReadStatements", "dynamodb:Query"): an_audit_of_books_that_do_not_agree,
    ("CatchUpRole", "MoveBalances", "dynamodb:UpdateItem"): a_scan,
    ("CatchUpRole", "ReadBalances", "dynamodb:GetItem"): an_audit_of_books_that_do_not_agree,
    ("CatchUpRole", "ReadBalances", "dynamodb:Scan"): an_audit_against_the_archive,
    ("CatchUpRole", "FindAndMarkJobs", "dynamodb:BatchGetItem"): a_look_at_holds_that_are_due,
    ("CatchUpRole", "FindAndMarkJobs", "dynamodb:DescribeTable"): a_run_that_begins,
    ("CatchUpRole", "FindAndMarkJobs", "dynamodb:GetItem"): a_look_at_a_hold_that_is_due,
    ("CatchUpRole", "FindAndMarkJobs", "dynamodb:Scan"): a_scan,
    ("CatchUpRole", "FindAndMarkJobs", "dynamodb:UpdateItem"): a_scan,
    ("CatchUpRole", "ReadTheHead", "dynamodb:GetItem"): an_audit_against_the_archive,
    ("CatchUpRole", "KeepTheBookOfBalances", "dynamodb:PutItem"): an_audit_that_holds_balances,
    ("CatchUpRole", "KeepTheBookOfBalances", "dynamodb:Query"): an_audit_that_holds_balances,
    ("CatchUpRole", "SealEntries", "dynamodb:PutItem"): an_audit_that_seals,
    ("CatchUpRole", "SealEntries", "dynamodb:Query"): an_audit_that_seals,
    ("CatchUpRole", "KeepBaselinesAndTheRun", "dynamodb:GetItem"): a_step_of_a_run,
    ("CatchUpRole", "KeepBaselinesAndTheRun", "dynamodb:PutItem"): a_run_that_begins,
    ("CatchUpRole", "KeepBaselinesAndTheRun", "dynamodb:UpdateItem"): a_step_of_a_run,
    ("CatchUpRole", "ReadTheArchive", "s3:GetObjectVersion"): an_audit_against_the_archive,
    ("CatchUpRole", "ListTheArchive", "s3:ListBucketVersions"): an_audit_against_the_archive,
    ("CatchUpRole", "KeepCheckpoints", "s3:PutObject"): an_audit_against_the_archive,
    ("ArchiveRole", "PutObjects", "s3:PutObject"): an_archived_batch,
    ("ArchiveRole", "MoveTheHead", "dynamodb:GetItem"): an_archived_batch,
    ("ArchiveRole", "MoveTheHead", "dynamodb:PutItem"): an_archived_batch,
    ("ExplainRole", "SeeWhetherThereIsAnExplanation", "dynamodb:GetItem"): an_explanation,
    ("ExplainRole", "AddAnExplanation", "dynamodb:UpdateItem"): an_explanation,
    ("ExplainRole", "ReadStatements", "dynamodb:Query"): an_explanation_that_knows_the_user,
    ("ExplainRole", "ReadBaselines", "dynamodb:GetItem"): an_explanation_of_one_like_another,
    ("ExplainRole", "KeepTheBudget", "dynamodb:UpdateItem"): an_explanation,
    ("ExplainRole", "ReadBalances", "dynamodb:GetItem"): a_low_balance,
    ("ExplainRole", "ReadTheKey", "secretsmanager:GetSecretValue"): an_explanation_with_a_new_key,
    ("ExplainRole", "TellTheBus", "events:PutEvents"): an_explanation_that_is_told,
}
"""What fails without a permission: one line for each, by role, statement and action."""

SAYS_NO_REASON = {
    ("ReconcilerRole", "ReadBaselines", "dynamodb:GetItem"): "baselines: unreadable",
    ("ReconcilerRole", "ReadBalances", "dynamodb:GetItem"): "remaining: nobody could read it",
    ("ExplainRole", "ReadStatements", "dynamodb:Query"): "the model was told of no entry before",
    ("ExplainRole", "ReadBaselines", "dynamodb:GetItem"): "the model was asked again",
    ("ExplainRole", "KeepTheBudget", "dynamodb:UpdateItem"): "explained by the rules: ",
    ("ExplainRole", "ReadTheKey", "secretsmanager:GetSecretValue"): "explained by the rules: no-key",
    ("ExplainRole", "TellTheBus", "events:PutEvents"): "told to nobody",
}
"""Where a refusal is told by another word than IAM's own."""


@frozen
class Call:
    """What a service calls for us, on which resource, and the page of AWS that says so."""

    resource: str
    page: str


def arn(service: str, resource: str) -> str:
    """Return an ARN of the stack's account."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


POLLED = Call(
    arn("sqs", "credit-reconciler-dev-events"),
    "Lambda Developer Guide, Creating and configuring an Amazon SQS event source mapping, Execution role permissions",
)
LOGGED = Call(
    arn("logs", "log-group:/aws/lambda/credit-reconciler-dev:log-stream:2026/01/05/[7]0a1b"),
    "Lambda Developer Guide, Sending Lambda function logs to CloudWatch Logs, Required IAM permissions",
)
LOGGED_BY_CATCH_UP = Call(arn("logs", "log-group:{log}:log-stream:2026/01/05/[$LATEST]0a1b"), LOGGED.page)
STEPPED = Call(
    arn("lambda", "function:credit-reconciler-dev-catch-up"),
    "Step Functions Developer Guide, Invoke an AWS Lambda function with Step Functions, IAM policies",
)
MAP = "Step Functions Developer Guide, IAM policies for using Distributed Map states"
MAPPED = Call(arn("states", "stateMachine:credit-reconciler-dev-catch-up"), MAP)
FOLLOWED = Call(arn("states", "execution:credit-reconciler-dev-catch-up:0a1b"), MAP)
REDRIVEN = Call(arn("states", "execution:credit-reconciler-dev-catch-up/Again:0a1b"), MAP)
SCHEDULED = Call(
    MAPPED.resource, "EventBridge User Guide, Using identity-based policies for Amazon EventBridge, Permissions for targets"
)

LOGGED_BY_EXPLAIN = Call(
    arn("logs", "log-group:/aws/lambda/credit-reconciler-dev-explain:log-stream:2026/01/05/[$LATEST]0a1b"), LOGGED.page
)
FOLLOWED_BY_STREAM = Call(
    "{stream}", "Lambda Developer Guide, Process DynamoDB records with Lambda, Configuring permissions for the execution role"
)
DISCARDED = Call(
    arn("sqs", "credit-reconciler-dev-unexplained-entries"),
    "Lambda Developer Guide, Retain discarded batches for a DynamoDB event source, Permissions",
)
LOGGED_BY_ARCHIVE = Call(
    arn("logs", "log-group:/aws/lambda/credit-reconciler-dev-archive:log-stream:2026/01/05/[$LATEST]0a1b"), LOGGED.page
)
UNARCHIVED = Call(arn("sqs", "credit-reconciler-dev-unarchived-entries"), DISCARDED.page)
TRACED = Call("*", "Lambda Developer Guide, Visualize Lambda function invocations using AWS X-Ray, Execution role permissions")

SIMULATED: Mapping[tuple[str, str, str], Call] = {
    ("ReconcilerRole", "SendTraces", "xray:PutTraceSegments"): TRACED,
    ("ReconcilerRole", "SendTraces", "xray:PutTelemetryRecords"): TRACED,
    ("CatchUpRole", "SendTraces", "xray:PutTraceSegments"): TRACED,
    ("CatchUpRole", "SendTraces", "xray:PutTelemetryRecords"): TRACED,
    ("ReconcilerRole", "TakeEvents", "sqs:ReceiveMessage"): POLLED,
    ("ReconcilerRole", "TakeEvents", "sqs:DeleteMessage"): POLLED,
    ("ReconcilerRole", "TakeEvents", "sqs:GetQueueAttributes"): POLLED,
    ("ReconcilerRole", "WriteLogs", "logs:CreateLogStream"): LOGGED,
    ("ReconcilerRole", "WriteLogs", "logs:PutLogEvents"): LOGGED,
    ("CatchUpRole", "WriteLogs", "logs:CreateLogStream"): LOGGED_BY_CATCH_UP,
    ("CatchUpRole", "WriteLogs", "logs:PutLogEvents"): LOGGED_BY_CATCH_UP,
    ("ExplainRole", "FollowTheLedger", "dynamodb:DescribeStream"): FOLLOWED_BY_STREAM,
    ("ExplainRole", "FollowTheLedger", "dynamodb:GetRecords"): FOLLOWED_BY_STREAM,
    ("ExplainRole", "FollowTheLedger", "dynamodb:GetShardIterator"): FOLLOWED_BY_STREAM,
    ("ExplainRole", "FollowTheLedger", "dynamodb:ListStreams"): FOLLOWED_BY_STREAM,
    ("ExplainRole", "KeepUnexplainedEntries", "sqs:SendMessage"): DISCARDED,
    ("ExplainRole", "SendTraces", "xray:PutTraceSegments"): TRACED,
    ("ExplainRole", "SendTraces", "xray:PutTelemetryRecords"): TRACED,
    ("ExplainRole", "WriteLogs", "logs:CreateLogStream"): LOGGED_BY_EXPLAIN,
    ("ExplainRole", "WriteLogs", "logs:PutLogEvents"): LOGGED_BY_EXPLAIN,
    ("ArchiveRole", "FollowTheLedger", "dynamodb:DescribeStream"): FOLLOWED_BY_STREAM,
    ("ArchiveRole", "FollowTheLedger", "dynamodb:GetRecords"): FOLLOWED_BY_STREAM,
    ("ArchiveRole", "FollowTheLedger", "dynamodb:GetShardIterator"): FOLLOWED_BY_STREAM,
    ("ArchiveRole", "FollowTheLedger", "dynamodb:ListStreams"): FOLLOWED_BY_STREAM,
    ("ArchiveRole", "KeepUnarchivedEntries", "sqs:SendMessage"): UNARCHIVED,
    ("ArchiveRole", "SendTraces", "xray:PutTraceSegments"): TRACED,
    ("ArchiveRole", "SendTraces", "xray:PutTelemetryRecords"): TRACED,
    ("ArchiveRole", "WriteLogs", "logs:CreateLogStream"): LOGGED_BY_ARCHIVE,
    ("ArchiveRole", "WriteLogs", "logs:PutLogEvents"): LOGGED_BY_ARCHIVE,
    ("CatchUpRunRole", "TakeSteps", "lambda:InvokeFunction"): STEPPED,
    ("CatchUpRunRole", "StartSegments", "states:StartExecution"): MAPPED,
    ("CatchUpRunRole", "FollowSegments", "states:DescribeExecution"): FOLLOWED,
    ("CatchUpRunRole", "FollowSegments", "states:StopExecution"): FOLLOWED,
    ("CatchUpRunRole", "RedriveSegments", "states:RedriveExecution"): REDRIVEN,
    ("CatchUpScheduleRole", "StartRuns", "states:StartExecution"): SCHEDULED,
}
"""What the services call for us, which the local AWS does without asking IAM."""


def check_of(permission: tuple[str, str, str]) -> Check:
    """Return what fails without a permission; a permission of which nobody has said that is spare."""
    if (check := CHECKS.get(permission)) is None:
        pytest.fail(f"no named check for {' '.join(permission)}: a line in CHECKS says what fails without it")
    return check


@pytest.mark.parametrize(("role", "sid", "action"), PERMISSIONS)
def test_no_permission_is_spare(deployed: Deployment, roles: dict[str, Role], role: str, sid: str, action: str) -> None:
    """Without it what needs it is refused, and the refusal names it; with it again it is done."""
    permission = (role, sid, action)
    if permission in SIMULATED:
        resource, policy = SIMULATED[permission].resource, roles[role].document()
        resource = resource.format(stream=stream_of(deployed), log=deployed.outputs["CatchUpLogGroupName"])
        assert "allowed" == roles[role].simulated(policy, action, resource)
        assert "implicitDeny" == roles[role].simulated(reduced(policy, sid, action), action, resource)
        return
    check = check_of(permission)
    refusal = SAYS_NO_REASON.get(permission, refusal_of(action))
    with without_archive(deployed) if sid == "SealEntries" else nullcontext():
        with roles[role].without(sid, action), pytest.raises(RuntimeError, match=refusal):
            check(deployed)
        check(deployed)


def refusal_of(action: str) -> str:
    """Return the pattern of what IAM says when nothing allows an action; S3 names the resource as well."""
    return f'is not authorized to perform: {action} (on resource: "[^"]*" )?because'


def stream_of(stack: Deployment) -> str:
    """Return the stream of the Ledger."""
    arn_of_stream: str = stack.dynamodb.describe_table(TableName=stack.ledger_table)["Table"]["LatestStreamArn"]
    return arn_of_stream


def test_each_permission_is_either_taken_away_or_simulated() -> None:
    """And no line is left of one that is gone."""
    assert not CHECKS.keys() & SIMULATED.keys()
    assert set(PERMISSIONS) >= CHECKS.keys() | SIMULATED.keys() | SAYS_NO_REASON.keys()
    with pytest.raises(pytest.fail.Exception, match="no named check for ReconcilerRole ForgetEntries dynamodb:DeleteItem"):
        check_of(("ReconcilerRole", "ForgetEntries", "dynamodb:DeleteItem"))


def test_what_is_simulated_is_not_enforced_by_the_local_aws(deployed: Deployment, roles: dict[str, Role]) -> None:
    """All of it taken away, and nothing is refused. Where this fails, it has learnt to: move the lines to CHECKS."""
    user, job = new(deployed)
    begun = datetime.now(UTC)
    with ExitStack() as without:
        for role, sid, action in SIMULATED:
            without.enter_context(roles[role].without(sid, action))
        deployed.send(rendered(user, job))
        wait_until(lambda: bool(entries(deployed, job)), "the queue was polled")
        wait_until(lambda: bool(deployed.log_lines(since=begun)), "it was logged")
        letter = dead_letter(deployed, rendered(user, f"{job}-wrong", seconds="eight"))
        run = started_by_a_rule(deployed, roles["CatchUpScheduleRole"])
    assert f"{job}-wrong" in letter
    assert "SUCCEEDED" == run


def dead_letter(stack: Deployment, event: dict[str, Any]) -> str:
    """Invoke the function asynchronously with what it raises on; return the letter."""
    functions, job = stack.aws.client("lambda"), event["detail"]["jobId"]
    functions.invoke(FunctionName=stack.function, InvocationType="Event", Payload=json.dumps(event).encode())
    functions.close()
    letters: list[str] = []

    def has_come() -> bool:
        letters[:] = [message["Body"] for message in stack.failed_events() if job in message["Body"]]
        return bool(letters)

    wait_until(has_come, "the event is in the dead-letter queue")
    return letters[0]


def started_by_a_rule(stack: Deployment, role: Role) -> str:
    """Let a rule with the schedule's role start the state machine, and return how its run ended."""
    events, states = stack.aws.client("events"), stack.aws.client("stepfunctions")
    machine = stack.outputs["CatchUpRunArn"]
    role_arn = role.iam.get_role(RoleName=role.name)["Role"]["Arn"]
    known = {run["executionArn"] for run in states.list_executions(stateMachineArn=machine)["executions"]}
    events.put_rule(Name="as-scheduled", EventPattern=json.dumps({"source": ["as.scheduled"]}))
    events.put_targets(Rule="as-scheduled", Targets=[{"Id": "run", "Arn": machine, "RoleArn": role_arn}])
    events.put_events(Entries=[{"Source": "as.scheduled", "DetailType": "now", "Detail": "{}"}])
    ended: dict[str, str] = {}

    def has_ended() -> bool:
        ended.update(
            {run["executionArn"]: run["status"] for run in states.list_executions(stateMachineArn=machine)["executions"]}
        )
        return bool(ended.keys() - known) and "RUNNING" not in ended.values()

    wait_until(has_ended, "the run has ended")
    events.remove_targets(Rule="as-scheduled", Ids=["run"])
    events.delete_rule(Name="as-scheduled")
    events.close()
    states.close()
    (new_run,) = ended.keys() - known
    return ended[new_run]


# --- what is refused --------------------------------------------------------------------------------------------------


ACTIONS = {"Invoke": "InvokeFunction", "ListObjectVersions": "ListBucketVersions"}
"""What IAM calls an operation, where it has another name."""


@frozen
class Denial:
    """A call that a role must not be able to make, and why. ``{name}`` in its parameters is a name of the stack."""

    role: str
    service: str
    operation: str
    parameters: Mapping[str, Any]
    why: str

    @property
    def action(self) -> str:
        service = {"stepfunctions": "states"}.get(self.service, self.service)
        operation = self.operation.title().replace("_", "")
        return f"{service}:{ACTIONS.get(operation, operation)}"


ENTRY = {"reference": {"S": "job#j-1"}, "sequence": {"N": "1"}}
SEAL, THE_HEAD = {"id": {"S": "seal"}, "number": {"N": "1"}}, {"id": {"S": "archive"}, "number": {"N": "0"}}
USER, JOB, STATE = {"userId": {"S": "u-1"}}, {"jobId": {"S": "j-1"}}, {"id": {"S": "run"}}
RICHER = {
    "UpdateExpression": "ADD remaining :amount, posted :amount",
    "ExpressionAttributeValues": {":amount": {"N": "1000"}},
}
CHEAPER = {"UpdateExpression": "SET amount = :amount", "ExpressionAttributeValues": {":amount": {"N": "0"}}}
HOT, CATCH_UP, RUN, SCHEDULE = "ReconcilerRole", "CatchUpRole", "CatchUpRunRole", "CatchUpScheduleRole"
EXPLAIN, ARCHIVE = "ExplainRole", "ArchiveRole"

DENIALS = (
    Denial(HOT, "dynamodb", "delete_item", {"TableName": "{ledger}", "Key": ENTRY}, "an entry is never deleted"),
    Denial(HOT, "dynamodb", "update_item", {"TableName": "{ledger}", "Key": ENTRY, **CHEAPER}, "an amount is never changed"),
    Denial(HOT, "dynamodb", "put_item", {"TableName": "{ledger}", "Item": ENTRY}, "no entry without its balance"),
    Denial(HOT, "dynamodb", "update_item", {"TableName": "{credits}", "Key": USER, **RICHER}, "no balance without its entry"),
    Denial(HOT, "dynamodb", "put_item", {"TableName": "{credits}", "Item": USER}, "a user's row is the application's"),
    Denial(HOT, "dynamodb", "delete_item", {"TableName": "{credits}", "Key": USER}, "a user's row is the application's"),
    Denial(HOT, "dynamodb", "put_item", {"TableName": "{jobs}", "Item": JOB}, "no job is made or overwritten"),
    Denial(HOT, "dynamodb", "scan", {"TableName": "{ledger}"}, "an event needs one job's log"),
    Denial(HOT, "dynamodb", "scan", {"TableName": "{credits}"}, "an event needs one user"),
    Denial(HOT, "dynamodb", "scan", {"TableName": "{jobs}"}, "an event needs one job"),
    Denial(HOT, "dynamodb", "put_item", {"TableName": "{state}", "Item": STATE}, "the schedule alone keeps baselines"),
    Denial(HOT, "dynamodb", "delete_table", {"TableName": "{ledger}"}, "tables outlive everything"),
    Denial(HOT, "secretsmanager", "get_secret_value", {"SecretId": "openai"}, "the money's path knows no secret"),
    Denial(HOT, "events", "put_events", {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{{}}"}]}, "nor an event"),
    Denial(HOT, "sqs", "send_message", {"QueueUrl": "{events}", "MessageBody": "x"}, "the rule alone sends events"),
    Denial(HOT, "sqs", "purge_queue", {"QueueUrl": "{failed_events}"}, "dead letters are a person's"),
    Denial(HOT, "lambda", "invoke", {"FunctionName": "{catch_up}"}, "the state machine alone calls it"),
    Denial(HOT, "lambda", "update_function_configuration", {"FunctionName": "{function}"}, "it cannot take another role"),
    Denial(HOT, "iam", "put_role_policy", {"RoleName": "r", "PolicyName": "p", "PolicyDocument": "{{}}"}, "nor more rights"),
    Denial(HOT, "stepfunctions", "start_execution", {"stateMachineArn": "{machine}"}, "the schedule alone starts runs"),
    Denial(CATCH_UP, "dynamodb", "delete_item", {"TableName": "{ledger}", "Key": ENTRY}, "an entry is never deleted"),
    Denial(CATCH_UP, "dynamodb", "update_item", {"TableName": "{ledger}", "Key": ENTRY, **CHEAPER}, "nor changed"),
    Denial(CATCH_UP, "dynamodb", "put_item", {"TableName": "{ledger}", "Item": ENTRY}, "no entry without its balance"),
    Denial(CATCH_UP, "dynamodb", "update_item", {"TableName": "{credits}", "Key": USER, **RICHER}, "no balance by itself"),
    Denial(CATCH_UP, "dynamodb", "put_item", {"TableName": "{jobs}", "Item": JOB}, "no job is made or overwritten"),
    Denial(CATCH_UP, "secretsmanager", "get_secret_value", {"SecretId": "openai"}, "the money's path knows no secret"),
    Denial(CATCH_UP, "sqs", "receive_message", {"QueueUrl": "{events}"}, "events are not its work"),
    Denial(CATCH_UP, "lambda", "invoke", {"FunctionName": "{function}"}, "it calls nobody, itself neither"),
    Denial(CATCH_UP, "dynamodb", "delete_table", {"TableName": "{credits}"}, "tables outlive everything"),
    Denial(CATCH_UP, "dynamodb", "update_item", {"TableName": "{seals}", "Key": SEAL, **CHEAPER}, "a seal is never changed"),
    Denial(CATCH_UP, "dynamodb", "delete_item", {"TableName": "{seals}", "Key": SEAL}, "a seal is never removed"),
    Denial(CATCH_UP, "dynamodb", "put_item", {"TableName": "{seals}", "Item": SEAL}, "where an archive is nothing is sealed"),
    Denial(CATCH_UP, "dynamodb", "put_item", {"TableName": "{seals}", "Item": THE_HEAD}, "who audits does not move the head"),
    Denial(CATCH_UP, "dynamodb", "get_item", {"TableName": "{seals}", "Key": SEAL}, "nor reads seals"),
    Denial(HOT, "dynamodb", "put_item", {"TableName": "{seals}", "Item": SEAL}, "who posts does not seal"),
    Denial(EXPLAIN, "dynamodb", "put_item", {"TableName": "{ledger}", "Item": ENTRY}, "it adds words to an entry, no entry"),
    Denial(EXPLAIN, "dynamodb", "delete_item", {"TableName": "{ledger}", "Key": ENTRY}, "an entry is never deleted"),
    Denial(EXPLAIN, "dynamodb", "update_item", {"TableName": "{credits}", "Key": USER, **RICHER}, "it moves no credit"),
    Denial(EXPLAIN, "dynamodb", "get_item", {"TableName": "{credits}", "Key": USER}, "it sees no balance"),
    Denial(EXPLAIN, "dynamodb", "put_item", {"TableName": "{jobs}", "Item": JOB}, "it knows no job"),
    Denial(EXPLAIN, "dynamodb", "update_item", {"TableName": "{state}", "Key": STATE, **CHEAPER}, "in State its own rows"),
    Denial(EXPLAIN, "sqs", "send_message", {"QueueUrl": "{events}", "MessageBody": "x"}, "it sends no event to be charged"),
    Denial(EXPLAIN, "lambda", "invoke", {"FunctionName": "{function}"}, "nor straight to the function"),
    Denial(ARCHIVE, "s3", "get_object", {"Bucket": "{bucket}", "Key": "entries/a"}, "what it has put it cannot read"),
    Denial(ARCHIVE, "s3", "put_object", {"Bucket": "{bucket}", "Key": "plans/a", "Body": "x"}, "it keeps no plan"),
    Denial(ARCHIVE, "s3", "put_object", {"Bucket": "{bucket}", "Key": "checkpoints/a", "Body": "x"}, "nor a checkpoint"),
    Denial(ARCHIVE, "s3", "delete_object", {"Bucket": "{bucket}", "Key": "entries/a"}, "it hides nothing"),
    Denial(ARCHIVE, "s3", "list_object_versions", {"Bucket": "{bucket}"}, "nor sees what is there"),
    Denial(ARCHIVE, "dynamodb", "put_item", {"TableName": "{seals}", "Item": SEAL}, "who archives does not seal"),
    Denial(ARCHIVE, "dynamodb", "get_item", {"TableName": "{ledger}", "Key": ENTRY}, "it knows what the stream tells"),
    Denial(ARCHIVE, "dynamodb", "put_item", {"TableName": "{ledger}", "Item": ENTRY}, "it posts nothing"),
    Denial(CATCH_UP, "s3", "put_object", {"Bucket": "{bucket}", "Key": "entries/a", "Body": "x"}, "who audits archives none"),
    Denial(CATCH_UP, "s3", "delete_object", {"Bucket": "{bucket}", "Key": "checkpoints/a"}, "nor hides anything"),
    Denial(HOT, "s3", "put_object", {"Bucket": "{bucket}", "Key": "entries/a", "Body": "x"}, "who posts does not archive"),
    Denial(RUN, "lambda", "invoke", {"FunctionName": "{function}"}, "it steps through the catch-up alone"),
    Denial(RUN, "dynamodb", "get_item", {"TableName": "{credits}", "Key": USER}, "it sees no data"),
    Denial(RUN, "stepfunctions", "delete_state_machine", {"stateMachineArn": "{machine}"}, "it does not change itself"),
    Denial(SCHEDULE, "lambda", "invoke", {"FunctionName": "{catch_up}"}, "it starts runs, and takes no step of one"),
    Denial(SCHEDULE, "events", "put_rule", {"Name": "other", "ScheduleExpression": "rate(1 minute)"}, "it makes no rules"),
)  # fmt: skip


@pytest.fixture(scope="module")
def call_as(deployed: Deployment, roles: dict[str, Role]) -> Callable[[Denial], None]:
    """Return a function that makes a call with the rights of its role."""
    sessions = {name: role.session() for name, role in roles.items()}
    names = {
        "ledger": deployed.ledger_table, "credits": deployed.credits_table, "jobs": deployed.jobs_table, "state": "State-dev",
        "seals": deployed.outputs["SealsTableName"], "bucket": deployed.outputs["ArchiveBucketName"],
        "function": deployed.function, "catch_up": deployed.catch_up_function, "machine": deployed.outputs["CatchUpRunArn"],
        "events": deployed.events_queue, "failed_events": deployed.failed_events_queue,
    }  # fmt: skip

    def make(denial: Denial) -> None:
        client = sessions[denial.role].client(denial.service, endpoint_url=deployed.aws.endpoint)
        try:
            getattr(client, denial.operation)(**filled(denial.parameters, names))
        finally:
            client.close()

    return make


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """Return parameters with the stack's own names in them."""
    match value:
        case str():
            return value.format(**names)
        case dict():
            return {key: filled(part, names) for key, part in value.items()}
        case list():
            return [filled(part, names) for part in value]
        case _:
            return value


@pytest.mark.parametrize("denial", DENIALS, ids=lambda denial: f"{denial.role}-{denial.action}-{denial.why}")
def test_what_a_role_has_no_business_with_is_refused(denial: Denial, call_as: Callable[[Denial], None]) -> None:
    """With the credentials of the role itself, as somebody would who has taken over the function."""
    with pytest.raises(ClientError, match=refusal_of(denial.action)):
        call_as(denial)


def test_iam_cannot_tell_a_new_entry_from_an_old_one(deployed: Deployment, roles: dict[str, Role]) -> None:
    """In a transaction of its own making the role may write over an entry: what keeps entries is the engine's condition.

    IAM has no condition key for whether an item exists. docs/decisions/0010-least-privilege.md says what does prevent it.
    """
    client = roles["ReconcilerRole"].session().client("dynamodb", endpoint_url=deployed.aws.endpoint)
    key = {"reference": {"S": "job#j-over"}, "sequence": {"N": "1"}}
    put = {"TableName": deployed.tables.ledger, "Item": {**key, "userId": {"S": "u-over"}, "amount": {"N": "0"}}}
    guarded = {**put, "ConditionExpression": "attribute_not_exists(userId)"}

    client.transact_write_items(TransactItems=[{"Put": put}])
    client.transact_write_items(TransactItems=[{"Put": put}])
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        client.transact_write_items(TransactItems=[{"Put": guarded}])

    deployed.dynamodb.delete_item(TableName=deployed.tables.ledger, Key=key)
    client.close()
