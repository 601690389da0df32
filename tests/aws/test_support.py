"""What a support desk may do with SupportPolicy: adjust and read, and nothing else.

Enforced by a local AWS under IAM, like the operator's policy. What IAM cannot bound, the amount, other tests hold: the command
refuses what is above the policy's maximum, and the transaction asks for another person above the second bound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import astuple
from botocore.exceptions import ClientError

from engine.audit.seals import REST
from engine.domain.instants import posting_text
from tests.support.adjusting import (
    a_concession,
    a_dearer_policy,
    a_list,
    a_proposal,
    a_withdrawal,
    an_adjustment,
    an_approval,
    planned,
)
from tests.support.roles import reduced
from tests.support.staff import FAILED, STACK, TABLES, Staff, permissions_of, policy_document, staff_with
from tools.local_aws import ACCOUNT
from tools.template import load

POLICY = "SupportPolicy"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
MANAGED_POLICY_CHARACTERS_MAX = 6144
NAME_CHARACTERS_MAX = 61
"""Of a table of an earlier stack, as the template's parameters have it."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staff]:
    """Return a local AWS that enforces IAM, and a support desk there."""
    with staff_with(tmp_path_factory.mktemp("support"), "support", POLICY) as staff:
        staff.hire("operator", policy_document("OperatorPolicy"))
        yield staff


# --- the command, and what it needs ---------------------------------------------------------------------------------------


def a_charged_job(desk: Staff) -> tuple[str, str]:
    """Let an operator charge a job, and return its user and its name."""
    event = desk.event()
    user, job = event["detail"]["userId"], event["detail"]["jobId"]
    row = {"jobId": job, "userId": user, "status": "completed", "model": "veo-3", "updatedAt": event["time"]}
    desk.owner.put_item(TableName=TABLES.jobs, Item={name: {"S": value} for name, value in row.items()})
    file = desk.folder / f"{job}.jsonl"
    file.write_text(json.dumps(event))
    desk.run("replay", str(file), "--policy", desk.policy_file(), role="operator")
    return user, job


def a_statement(desk: Staff) -> str:
    """Reads a user's entries by the index, and the balance."""
    return desk.run("statement", a_charged_job(desk)[0])


def a_statement_of_a_stack(desk: Staff) -> str:
    """Reads the names of the tables from the stack's outputs."""
    return desk.run("statement", a_charged_job(desk)[0], "--stack", STACK)


def a_jobs_story(desk: Staff) -> str:
    """Reads a job's log and its row."""
    return desk.run("job", a_charged_job(desk)[1], "--policy", desk.policy_file())


def an_audit(desk: Staff) -> str:
    """Reads all entries, all balances, and what these began with."""
    return desk.run("audit")


def let_an_entry_rest(desk: Staff) -> None:
    """Charge a job, long enough ago to be sealed."""
    _, job = a_charged_job(desk)
    rested = posting_text(datetime.now(UTC) - REST - timedelta(milliseconds=1))
    desk.owner.update_item(
        TableName=TABLES.ledger,
        Key={"reference": {"S": f"job#{job}"}, "sequence": {"N": "1"}},
        UpdateExpression="SET postedAt = :then",
        ExpressionAttributeValues={":then": {"S": rested}},
    )


def a_jobs_adjustment(desk: Staff) -> str:
    """Gives back a part of what a job has cost."""
    return a_concession(desk, *a_charged_job(desk))


def a_look_back(desk: Staff) -> str:
    """Finds what only many entries show."""
    return desk.run("look-back", "--policy", desk.policy_file())


def the_anomalies(desk: Staff) -> str:
    """Lists what was flagged."""
    return desk.run("anomalies", "list")


def an_entry_explained(desk: Staff) -> str:
    """Counts a job's entries again."""
    return desk.run("explain", "--entry", f"job#{a_charged_job(desk)[1]}")


Check = Callable[[Staff], str]

CHECKS: Mapping[tuple[str, str], Check] = {
    ("AppendAdjustments", "dynamodb:PutItem"): an_adjustment,
    ("ListProposals", "dynamodb:Scan"): a_list,
    ("LookAtTables", "dynamodb:DescribeTable"): a_statement,
    ("MoveBalances", "dynamodb:UpdateItem"): an_adjustment,
    ("Propose", "dynamodb:PutItem"): a_proposal,
    ("ReadBalances", "dynamodb:GetItem"): a_statement,
    ("ReadBalances", "dynamodb:Scan"): an_audit,
    ("ReadJobs", "dynamodb:GetItem"): a_jobs_story,
    ("ReadSeals", "dynamodb:Query"): an_audit,
    ("ReadState", "dynamodb:GetItem"): an_adjustment,
    ("ReadStatements", "dynamodb:Query"): a_statement,
    ("ReadTheLedger", "dynamodb:Query"): a_jobs_story,
    ("ReadTheLedger", "dynamodb:Scan"): an_audit,
    ("ReadTheStack", "cloudformation:DescribeStacks"): a_statement_of_a_stack,
    ("SettleProposals", "dynamodb:DeleteItem"): an_approval,
}
"""What misses each permission."""

ALSO_DONE: tuple[Check, ...] = (a_withdrawal, a_jobs_adjustment, a_look_back, the_anomalies, an_entry_explained)
"""What else a desk does, with no permission of its own."""


def test_each_permission_has_a_check_that_misses_it() -> None:
    """And no line is left of one that is gone."""
    assert sorted(CHECKS) == permissions_of(POLICY)


@pytest.mark.parametrize("check", sorted({*CHECKS.values(), *ALSO_DONE}, key=lambda check: check.__name__))
def test_the_desk_works_with_the_policy(desk: Staff, check: Check) -> None:
    """Nothing is refused, and no command ends with an error."""
    said = check(desk)

    assert "not authorized" not in said, said
    assert said.endswith(("\nNone", "balance: 105")), said


@pytest.mark.slow
@pytest.mark.parametrize(("sid", "action", "check"), [(*permission, check) for permission, check in sorted(CHECKS.items())])
def test_no_permission_is_spare(desk: Staff, sid: str, action: str, check: Check) -> None:
    """Without it the check is refused, by its name; that it is done with it is seen above."""
    desk.put(reduced(desk.document, sid, action))
    try:
        said = check(desk)
    finally:
        desk.put(desk.document)

    assert f"not authorized to perform: {action}" in " ".join(said.split()), said


# --- what is refused ---------------------------------------------------------------------------------------------------

NUMBER = {"N": "1"}
USER, JOB = {"userId": {"S": "u-1"}}, {"jobId": {"S": "j-1"}}
RICHER = {
    "UpdateExpression": "ADD remaining :amount, posted :amount",
    "ExpressionAttributeValues": {":amount": {"N": "1000"}},
}
CHEAPER = {"UpdateExpression": "SET amount = :amount", "ExpressionAttributeValues": {":amount": {"N": "0"}}}
RECONCILED = {"UpdateExpression": "SET reconciled = :yes", "ExpressionAttributeValues": {":yes": {"BOOL": True}}}


def entry_of(log: str) -> dict[str, Any]:
    """Return the key of a log's first entry."""
    return {"reference": {"S": log}, "sequence": NUMBER}


def together(*actions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a transaction."""
    return {"TransactItems": list(actions)}


DENIALS: tuple[tuple[str, str, Mapping[str, Any], str], ...] = (
    ("dynamodb", "transact_write_items", together({"Put": {"TableName": TABLES.ledger, "Item": entry_of("grant#g-1")}}),
     "it grants no purchase"),
    ("dynamodb", "transact_write_items", together({"Put": {"TableName": TABLES.ledger, "Item": entry_of("repair#u-1")}}),
     "it repairs nothing"),
    ("dynamodb", "transact_write_items",
     together(*({"Put": {"TableName": TABLES.ledger, "Item": entry_of(log)}} for log in ("adjust#a-1", "grant#g-1"))),
     "nor beside an adjustment"),
    ("dynamodb", "put_item", {"TableName": TABLES.ledger, "Item": entry_of("adjust#a-1")}, "no entry without its balance"),
    ("dynamodb", "update_item", {"TableName": TABLES.ledger, "Key": entry_of("job#j-1"), **CHEAPER}, "no amount is changed"),
    ("dynamodb", "delete_item", {"TableName": TABLES.ledger, "Key": entry_of("adjust#a-1")}, "an entry is never deleted"),
    ("dynamodb", "update_item", {"TableName": TABLES.credits, "Key": USER, **RICHER}, "no balance without its entry"),
    ("dynamodb", "put_item", {"TableName": TABLES.credits, "Item": USER}, "a user's row is the application's"),
    ("dynamodb", "update_item", {"TableName": TABLES.jobs, "Key": JOB, **RECONCILED}, "it marks no job"),
    ("dynamodb", "scan", {"TableName": TABLES.jobs}, "it looks at single jobs"),
    ("dynamodb", "put_item", {"TableName": TABLES.seals, "Item": {"id": {"S": "seal"}, "number": NUMBER}}, "it seals nothing"),
    ("dynamodb", "put_item", {"TableName": TABLES.state, "Item": {"id": {"S": "baselines#video"}}}, "nor says what is usual"),
    ("dynamodb", "transact_write_items",
     together({"Delete": {"TableName": TABLES.state, "Key": {"id": {"S": "run"}}}}), "a run is the schedule's"),
    ("dynamodb", "delete_item", {"TableName": TABLES.state, "Key": {"id": {"S": "proposal#a-1"}}},
     "a proposal goes with what it was for, in a transaction"),
    ("dynamodb", "delete_table", {"TableName": TABLES.ledger}, "tables outlive everything"),
    ("sqs", "receive_message", {"QueueUrl": "{queue}"}, "dead letters hold whole events"),
    ("secretsmanager", "get_secret_value", {"SecretId": "openai"}, "it knows no key"),
    ("lambda", "invoke", {"FunctionName": "credit-reconciler-dev"}, "it sends no event to be charged"),
    ("events", "put_events", {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]}, "nor puts one"),
    ("cloudformation", "delete_stack", {"StackName": STACK}, "it changes no stack"),
    ("iam", "put_role_policy", {"RoleName": "support", "PolicyName": "p", "PolicyDocument": "{}"}, "nor takes more rights"),
    ("sts", "assume_role", {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/operator", "RoleSessionName": "somebody"},
     "nor another role"),
)  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "parameters", "why"), DENIALS, ids=[why for *_, why in DENIALS])
def test_what_a_desk_has_no_business_with_is_refused(
    desk: Staff, service: str, operation: str, parameters: Mapping[str, Any], why: str
) -> None:
    """With the credentials of the role, by whatever tool."""
    client = desk.session().client(service, endpoint_url=desk.aws.endpoint)
    queue = f"{desk.aws.endpoint}/{ACCOUNT}/{FAILED}"
    given = {name: queue if value == "{queue}" else value for name, value in parameters.items()}

    with pytest.raises(ClientError, match="is not authorized to perform: "):
        getattr(client, operation)(**given)

    client.close()


def test_an_entry_of_an_adjustment_is_appended_by_a_transaction(desk: Staff) -> None:
    """The conditions by key let through what they are for: it is not that all is refused."""
    client = desk.session().client("dynamodb", endpoint_url=desk.aws.endpoint)
    entries = [entry_of(f"{log}a-raw") for log in ("adjust#", "job#")]
    client.transact_write_items(**together(*({"Put": {"TableName": TABLES.ledger, "Item": entry}} for entry in entries)))
    client.put_item(TableName=TABLES.state, Item={"id": {"S": "proposal#a-raw"}})
    client.transact_write_items(**together({"Delete": {"TableName": TABLES.state, "Key": {"id": {"S": "proposal#a-raw"}}}}))
    client.close()
    for entry in entries:
        desk.owner.delete_item(TableName=TABLES.ledger, Key=entry)


COMMANDS: tuple[tuple[str, ...], ...] = (
    ("replay", "{events}", "--policy", "{policy}", "--verbose"),
    ("scan", "--policy", "{policy}", "--segments", "1"),
    ("unmark", "--since", "2026-01-06T00:00:00Z", "--segments", "1"),
    ("audit", "--seal"),
    ("audit", "--verify"),
    ("audit", "--repair", "--user", "{user}", "--reason", "a mistake", "--yes"),
    ("apply", "{plan}", "--policy", "{dearer}", "--by", "ann"),
    ("dead-letters", "list", "--queue", FAILED, "--policy", "{policy}"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command[:2]) for command in COMMANDS])
def test_a_command_that_is_the_operators_is_refused(desk: Staff, command: tuple[str, ...]) -> None:
    """By the name of what it lacks, with an entry there to be sealed."""
    let_an_entry_rest(desk)
    if "--seal" not in command:
        desk.run("audit", "--seal", role="operator")

    files = files_of(desk)

    assert "not authorized" in desk.run(*(files.get(part, part) for part in command))


def files_of(desk: Staff) -> dict[str, str]:
    """Return the files that commands are given: a policy, another with higher prices, events, a plan; and a user."""
    events = desk.folder / "events.jsonl"
    events.write_text(json.dumps(desk.event()))
    _, plan = planned(desk, role="operator")
    return {
        "{policy}": desk.policy_file(),
        "{events}": str(events),
        "{dearer}": a_dearer_policy(desk),
        "{plan}": plan,
        "{user}": a_charged_job(desk)[0],
    }


def test_its_arn_is_an_output() -> None:
    """So that it can be attached to the role of those who answer customers."""
    assert {"Ref": POLICY} == load()["Outputs"]["SupportPolicyArn"]["Value"]


@pytest.mark.parametrize("policy", ["SupportPolicy", "OperatorPolicy"])
def test_a_policy_fits_into_what_iam_takes(policy: str) -> None:
    """White space is not counted. The names of tables may be long."""
    document = json.dumps(policy_document(policy, KEY), separators=(",", ":"))
    for name in astuple(TABLES):
        document = document.replace(name, name.ljust(NAME_CHARACTERS_MAX, "x"))

    assert len(document) <= MANAGED_POLICY_CHARACTERS_MAX
