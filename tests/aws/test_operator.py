"""What the ``reconciler`` command may do with OperatorPolicy: all that it needs, and nothing else.

Enforced by a local AWS under IAM, on tables and queues of its own: each command is run with the rights of a role that has the
template's policy. Each permission is taken away in turn, and the named check misses it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from engine.audit.seals import REST
from engine.domain.instants import posting_text
from engine.ledger.archive.chain import append
from engine.ledger.archive.s3 import S3Bucket
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.runtime.clock import Clock
from tests.support.adjusting import a_list, a_plan_applied, an_approval
from tests.support.roles import reduced
from tests.support.staff import (
    ARCHIVE,
    FAILED,
    POLICY_TEXT,
    STACK,
    TABLES,
    Staff,
    permissions_of,
    policy_document,
    staff_with,
)
from tools.local_aws import ACCOUNT
from tools.template import load

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staff]:
    """Return a local AWS that enforces IAM, and who runs the command there."""
    with staff_with(tmp_path_factory.mktemp("operator"), "operator", "OperatorPolicy") as staff:
        yield staff


# --- the command, and what it needs ---------------------------------------------------------------------------------------


def a_replay(desk: Staff) -> str:
    """One debit: entry, balance and mark in one transaction."""
    event = desk.event()
    file = desk.folder / f"{event['detail']['jobId']}.jsonl"
    file.write_text(json.dumps(event))
    return desk.run("replay", str(file), "--policy", desk.policy_file(), "--verbose")


def a_replay_of_events_that_name_only_their_jobs(desk: Staff) -> str:
    """Their users are read from the rows of the jobs, all together."""
    events = [desk.event(), desk.event()]
    for event in events:
        row = {"jobId": event["detail"]["jobId"], "userId": event["detail"].pop("userId")}
        desk.owner.put_item(TableName=TABLES.jobs, Item={name: {"S": value} for name, value in row.items()})
    file = desk.folder / f"{desk.number}-by-rows.jsonl"
    file.write_text("\n".join(map(json.dumps, events)))
    policy = desk.folder / "by-rows.yaml"
    policy.write_text(POLICY_TEXT.replace("user: detail.userId", 'user: "detail.userId || row.userId"'))
    return desk.run("replay", str(file), "--policy", str(policy), "--workers", "1", "--verbose")


def a_scan(desk: Staff) -> str:
    """Charges a job whose event was lost, and renews the baselines."""
    detail = desk.event()["detail"]
    row = {"jobId": detail["jobId"], "userId": detail["userId"], "status": "completed", "model": "veo-3"}
    item = {name: {"S": value} for name, value in row.items()}
    item |= {"seconds": {"N": "8"}, "updatedAt": {"S": "2026-01-05T10:00:00Z"}}
    desk.owner.put_item(TableName=TABLES.jobs, Item=item)
    return desk.run("scan", "--policy", desk.policy_file(), "--segments", "1", "--json", "--verbose")


def a_statement(desk: Staff) -> str:
    """Reads a user's entries by the index, and the balance."""
    a_replay(desk)
    return desk.run("statement", f"u-{desk.number}")


def an_entry_explained(desk: Staff) -> str:
    """Reads a job's log."""
    a_replay(desk)
    return desk.run("explain", "--entry", f"job#j-{desk.number}")


def a_statement_of_a_stack(desk: Staff) -> str:
    """Reads the names of the tables from the stack's outputs."""
    a_replay(desk)
    return desk.run("statement", f"u-{desk.number}", "--stack", STACK)


def an_audit(desk: Staff) -> str:
    """Reads all entries and all balances."""
    return desk.run("audit")


def an_audit_that_seals_and_verifies(desk: Staff) -> str:
    """There is an entry that has rested long enough; what was sealed is held against what is there."""
    a_replay(desk)
    rested = posting_text(datetime.now(UTC) - REST - timedelta(milliseconds=1))
    desk.owner.update_item(
        TableName=TABLES.ledger,
        Key={"reference": {"S": f"job#j-{desk.number}"}, "sequence": {"N": "1"}},
        UpdateExpression="SET postedAt = :then",
        ExpressionAttributeValues={":then": {"S": rested}},
    )
    return desk.run("audit", "--seal", "--verify")


def dead_letters(desk: Staff) -> str:
    """Lists a letter, replays it, and removes it."""
    sqs = desk.aws.client("sqs")
    url = sqs.get_queue_url(QueueName=FAILED)["QueueUrl"]
    sqs.purge_queue(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(desk.event()))
    listed = desk.run("dead-letters", "list", "--queue", FAILED, "--policy", desk.policy_file())
    replayed = desk.run("dead-letters", "replay", "--all", "--queue", FAILED, "--policy", desk.policy_file())
    left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    sqs.close()
    return f"{listed}\n{replayed}\nleft: {left['ApproximateNumberOfMessages']}"


def an_unmark(desk: Staff) -> str:
    """Takes the mark off a job: its entry was posted since the restore."""
    detail = desk.event()["detail"]
    row = {"jobId": detail["jobId"], "userId": detail["userId"], "status": "completed", "model": "veo-3"}
    item = {name: {"S": value} for name, value in row.items()} | {"reconciledSequence": {"N": "1"}}
    desk.owner.put_item(TableName=TABLES.jobs, Item=item)
    said = desk.run("unmark", "--since", "2026-01-06T00:00:00Z", "--segments", "1", "--verbose")
    key = {"jobId": {"S": detail["jobId"]}}
    marked = "reconciledSequence" in desk.owner.get_item(TableName=TABLES.jobs, Key=key)["Item"]
    desk.owner.delete_item(TableName=TABLES.jobs, Key=key)
    return f"{said}\nmarked: {marked}"


def a_take_in(desk: Staff) -> str:
    """Reads what the archive has, appends an old entry, and lets the head name it; then what was appended is known."""
    desk.number += 1
    item = {
        "reference": {"S": f"job#j-{desk.number}"}, "sequence": {"N": "1"}, "userId": {"S": f"u-{desk.number}"},
        "type": {"S": "void"}, "amount": {"N": "0"}, "postedAt": {"S": "2026-01-05T10:00:00.000000Z"},
    }  # fmt: skip
    desk.owner.put_item(TableName=TABLES.ledger, Item=item)
    said = "\n".join(desk.run("archive", "take-in", "--archive", f"s3://{ARCHIVE}", "--json") for _ in range(2))
    desk.owner.delete_item(TableName=TABLES.ledger, Key={name: item[name] for name in ("reference", "sequence")})
    return said


Check = Callable[[Staff], str]

CHECKS: Mapping[tuple[str, str], Check] = {
    ("AppendToTheLedger", "dynamodb:PutItem"): a_replay,
    ("FindAndMarkJobs", "dynamodb:BatchGetItem"): a_replay_of_events_that_name_only_their_jobs,
    ("FindAndMarkJobs", "dynamodb:GetItem"): dead_letters,
    ("FindAndMarkJobs", "dynamodb:Scan"): a_scan,
    ("FindAndMarkJobs", "dynamodb:UpdateItem"): a_replay,
    ("KeepBaselines", "dynamodb:GetItem"): a_replay,
    ("KeepBaselines", "dynamodb:PutItem"): a_scan,
    ("ListProposals", "dynamodb:Scan"): a_list,
    ("ListTheArchive", "s3:ListBucketVersions"): a_take_in,
    ("LookAtTables", "dynamodb:DescribeTable"): a_statement,
    ("MoveBalances", "dynamodb:UpdateItem"): a_replay,
    ("ReadAndKeepSeals", "dynamodb:GetItem"): an_audit_that_seals_and_verifies,
    ("ReadAndKeepSeals", "dynamodb:PutItem"): an_audit_that_seals_and_verifies,
    ("ReadAndKeepSeals", "dynamodb:Query"): an_audit_that_seals_and_verifies,
    ("ReadAndSettleDeadLetters", "sqs:ChangeMessageVisibility"): dead_letters,
    ("ReadAndSettleDeadLetters", "sqs:DeleteMessage"): dead_letters,
    ("ReadAndSettleDeadLetters", "sqs:GetQueueUrl"): dead_letters,
    ("ReadAndSettleDeadLetters", "sqs:ReceiveMessage"): dead_letters,
    ("ReadTheArchive", "s3:GetObjectVersion"): a_take_in,
    ("ReadBalances", "dynamodb:GetItem"): a_statement,
    ("ReadBalances", "dynamodb:Scan"): an_audit,
    ("ReadStatements", "dynamodb:Query"): a_statement,
    ("ReadTheLedger", "dynamodb:BatchGetItem"): an_audit_that_seals_and_verifies,
    ("ReadTheLedger", "dynamodb:Query"): an_entry_explained,
    ("ReadTheLedger", "dynamodb:Scan"): an_audit,
    ("ReadTheStack", "cloudformation:DescribeStacks"): a_statement_of_a_stack,
    ("SettleProposals", "dynamodb:DeleteItem"): an_approval,
    ("TakeInAndKeepPlans", "s3:PutObject"): a_take_in,
}
"""What misses each permission."""

ALSO_MISSED = (
    ("AppendToTheLedger", "dynamodb:PutItem", a_plan_applied),
    ("ReadTheLedger", "dynamodb:BatchGetItem", a_plan_applied),
    ("ReadTheLedger", "dynamodb:Scan", a_plan_applied),
    ("FindAndMarkJobs", "dynamodb:Scan", an_unmark),
    ("FindAndMarkJobs", "dynamodb:UpdateItem", an_unmark),
    ("ReadTheLedger", "dynamodb:BatchGetItem", an_unmark),
)
"""What else misses one: a command that needs no permission of its own is to keep those that it shares."""

MISSED = [(*permission, check) for permission, check in sorted(CHECKS.items())] + list(ALSO_MISSED)

SAYS_NO_REASON = {("KeepBaselines", "dynamodb:GetItem"): '"baselines": "unreadable"'}
"""Where the money moves all the same, and a line says what was missed."""


def test_each_permission_has_a_check_that_misses_it() -> None:
    """And no line is left of one that is gone."""
    assert sorted(CHECKS) == permissions_of("OperatorPolicy")


@pytest.mark.parametrize("check", sorted({check for _, _, check in MISSED}, key=lambda check: check.__name__))
def test_the_command_works_with_the_policy(desk: Staff, check: Check) -> None:
    """Nothing is refused, and what was asked for was done."""
    said = check(desk)

    assert "not authorized" not in said, said
    assert "unreadable" not in said
    assert check is not dead_letters or "left: 0" in said, said
    assert check is not an_unmark or "marked: False" in said, said
    assert check is not a_plan_applied or re.search(r"^posted +[1-9]", said, re.MULTILINE), said
    assert check is not a_take_in or '"problems": []' in said, said
    assert check is not an_approval or "approvedBy  ben" in said, said


@pytest.mark.slow
@pytest.mark.parametrize(("sid", "action", "check"), MISSED)
def test_no_permission_is_spare(desk: Staff, sid: str, action: str, check: Check) -> None:
    """Without it the check is refused, by its name; that it is done with it is seen above."""
    desk.put(reduced(desk.document, sid, action))
    try:
        said = check(desk)
    finally:
        desk.put(desk.document)

    assert SAYS_NO_REASON.get((sid, action), f"not authorized to perform: {action}") in " ".join(said.split()), said


def test_who_operates_compacts_the_archive_and_restores_nothing_from_it(desk: Staff) -> None:
    """A day that is over becomes a file. An entry that is gone stays gone: to put one there without its balance is forging."""
    a_take_in(desk)
    s3, tomorrow = desk.aws.client("s3"), datetime.now(UTC) + timedelta(days=1)
    heads = DynamoHeads(desk.owner, TABLES.seals)
    append(S3Bucket(s3, ARCHIVE), heads, [], tomorrow, Clock().deadline(60))
    s3.close()

    compacted = desk.run("archive", "compact", "--archive", f"s3://{ARCHIVE}", "--json")
    restored = desk.run(
        "archive", "restore", "--archive", f"s3://{ARCHIVE}", "--json", "--yes", "--policy", desk.policy_file()
    )

    assert '"files": 1' in compacted, compacted
    assert "not authorized to perform: dynamodb:PutItem" in restored, restored


# --- what is refused ---------------------------------------------------------------------------------------------------

ENTRY = {"reference": {"S": "job#j-1"}, "sequence": {"N": "1"}}
SEAL = {"id": {"S": "seal"}, "number": {"N": "1"}}
RICHER = {
    "UpdateExpression": "ADD remaining :amount, posted :amount",
    "ExpressionAttributeValues": {":amount": {"N": "1000"}},
}
CHEAPER = {"UpdateExpression": "SET amount = :amount", "ExpressionAttributeValues": {":amount": {"N": "0"}}}
USER, JOB = {"userId": {"S": "u-1"}}, {"jobId": {"S": "j-1"}}
QUEUE = {"QueueUrl": "{queue}"}

DENIALS: tuple[tuple[str, str, Mapping[str, Any], str], ...] = (
    ("dynamodb", "put_item", {"TableName": TABLES.ledger, "Item": ENTRY}, "no entry without its balance"),
    ("dynamodb", "update_item", {"TableName": TABLES.ledger, "Key": ENTRY, **CHEAPER}, "an amount is never changed"),
    ("dynamodb", "delete_item", {"TableName": TABLES.ledger, "Key": ENTRY}, "an entry is never deleted"),
    ("dynamodb", "update_item", {"TableName": TABLES.credits, "Key": USER, **RICHER}, "no balance without its entry"),
    ("dynamodb", "put_item", {"TableName": TABLES.credits, "Item": USER}, "a user's row is the application's"),
    ("dynamodb", "delete_item", {"TableName": TABLES.credits, "Key": USER}, "a user's row is the application's"),
    ("dynamodb", "put_item", {"TableName": TABLES.jobs, "Item": JOB}, "no job is made or overwritten"),
    ("dynamodb", "delete_item", {"TableName": TABLES.jobs, "Key": JOB}, "no job is deleted"),
    ("dynamodb", "update_item", {"TableName": TABLES.seals, "Key": SEAL, **CHEAPER}, "a seal is never changed"),
    ("dynamodb", "delete_item", {"TableName": TABLES.seals, "Key": SEAL}, "a seal is never removed"),
    ("dynamodb", "delete_item", {"TableName": TABLES.state, "Key": {"id": {"S": "run"}}}, "a run is the schedule's"),
    ("dynamodb", "delete_table", {"TableName": TABLES.ledger}, "tables outlive everything"),
    ("sqs", "send_message", {**QUEUE, "MessageBody": "x"}, "it sends no event to be charged"),
    ("sqs", "purge_queue", QUEUE, "letters are dropped one by one, with a copy"),
    ("secretsmanager", "get_secret_value", {"SecretId": "openai"}, "it knows no key"),
    ("lambda", "invoke", {"FunctionName": "credit-reconciler-dev"}, "it works by itself"),
    ("events", "put_events", {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]}, "nor puts events"),
    ("cloudformation", "describe_stacks", {"StackName": "another"}, "it reads its own stack alone"),
    ("cloudformation", "delete_stack", {"StackName": STACK}, "nor changes it"),
    ("iam", "put_role_policy", {"RoleName": "operator", "PolicyName": "p", "PolicyDocument": "{}"}, "nor takes more rights"),
    ("kms", "list_keys", {}, "it sees no keys"),
)


@pytest.mark.parametrize(("service", "operation", "parameters", "why"), DENIALS, ids=lambda part: str(part)[:40])
def test_what_an_operator_has_no_business_with_is_refused(
    desk: Staff, service: str, operation: str, parameters: Mapping[str, Any], why: str
) -> None:
    """With the credentials of the role, by whatever tool."""
    client = desk.session().client(service, endpoint_url=desk.aws.endpoint)
    queue = f"{desk.aws.endpoint}/{ACCOUNT}/{FAILED}"
    given = {name: queue if value == "{queue}" else value for name, value in parameters.items()}

    with pytest.raises(ClientError, match="is not authorized to perform: "):
        getattr(client, operation)(**given)

    client.close()


def test_entries_and_balances_move_in_transactions_alone() -> None:
    """No tool that writes a single item can move a credit."""
    in_a_transaction = {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}}
    statements = {each["Sid"]: each for each in policy_document("OperatorPolicy")["Statement"]}

    assert in_a_transaction == statements["AppendToTheLedger"]["Condition"] == statements["MoveBalances"]["Condition"]


def test_a_key_of_ones_own_is_used_through_tables_and_queues_alone() -> None:
    """Two statements more, one of them for the archive; without a key there is none."""
    without = policy_document("OperatorPolicy")["Statement"]

    assert ["kms:Decrypt", ["kms:Decrypt", "kms:GenerateDataKey"]] == [
        each["Action"] for each in policy_document("OperatorPolicy", KEY)["Statement"] if each not in without
    ]


def test_its_arn_is_an_output() -> None:
    """So that it can be attached to the role of those who run the command."""
    assert {"Ref": "OperatorPolicy"} == load()["Outputs"]["OperatorPolicyArn"]["Value"]
