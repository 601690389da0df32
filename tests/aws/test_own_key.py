"""A key of your own: everything that keeps something is encrypted by it, and each role may use it for just what it opens."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import pytest

from tests.support.as_aws import DEFAULTS, translated
from tools.environments import ROOT
from tools.template import load
from tools.translate import resolved

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

SEALED_BY = {
    "AWS::DynamoDB::Table": ("SSESpecification", {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}),
    "AWS::S3::Bucket": (
        "BucketEncryption",
        {
            "ServerSideEncryptionConfiguration": [
                {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}
            ]
        },
    ),
    "AWS::SQS::Queue": ("KmsMasterKeyId", KEY),
    "AWS::SNS::Topic": ("KmsMasterKeyId", KEY),
    "AWS::SecretsManager::Secret": ("KmsKeyId", KEY),
    "AWS::Logs::LogGroup": ("KmsKeyId", KEY),
    "AWS::Lambda::Function": ("KmsKeyArn", KEY),
}
"""By which property each kind of resource that keeps something names its key."""

KEEPS_NOTHING = {
    *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Logs::MetricFilter", "AWS::Events::Rule"),
    *(
        "AWS::IAM::Role",
        "AWS::IAM::Policy",
        "AWS::IAM::ManagedPolicy",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SNS::Subscription",
    ),
    *("AWS::Lambda::Alias", "AWS::Lambda::Version", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission"),
    *("AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup", "AWS::StepFunctions::StateMachine"),
    *("AWS::Events::Archive", "AWS::Lambda::EventInvokeConfig"),
}
"""Settings without content. A run's input is an instant, its output counts; the archive of events is a copy of the bus."""


@functools.cache
def resources_of(key: str = "") -> dict[str, Any]:
    """Return the resources of a stack with this key, as SAM's own transform and CloudFormation make them."""
    parameters = {**DEFAULTS, "Archive": "on", "KmsKeyArn": key}
    ((whole),) = translated([(load(), parameters)])
    found: dict[str, Any] = resolved(whole, parameters)["Resources"]
    return found


def via(*services: str) -> dict[str, Any]:
    """Return the condition that a call to KMS comes from one of these services, on the caller's behalf."""
    named = [f"{service}.eu-west-1.amazonaws.com" for service in services]
    return {"StringEquals": {"kms:ViaService": named if len(named) > 1 else named[0]}}


def allowed(action: str | list[str], *services: str) -> tuple[str | list[str], str, dict[str, Any]]:
    """Return a permission on the key as it is compared below."""
    return action, KEY, via(*services)


BOTH = ["kms:Decrypt", "kms:GenerateDataKey"]


NEEDED = {
    "ReconcilerRole": [allowed("kms:Decrypt", "dynamodb", "sqs"), allowed("kms:GenerateDataKey", "sqs")],
    "CatchUpRole": [allowed("kms:Decrypt", "dynamodb"), allowed(BOTH, "s3")],
    "ArchiveRole": [allowed("kms:Decrypt", "dynamodb", "sqs"), allowed("kms:GenerateDataKey", "s3", "sqs")],
    "ExplainRole": [allowed("kms:Decrypt", "dynamodb", "secretsmanager", "sqs"), allowed("kms:GenerateDataKey", "sqs")],
    "OperatorPolicy": [allowed("kms:Decrypt", "dynamodb", "sqs"), allowed(BOTH, "s3")],
    "SupportPolicy": [allowed("kms:Decrypt", "dynamodb")],
}
"""Who reads tables needs Decrypt, who receives from a queue as well; who sends or puts also GenerateDataKey."""


def key_statements(stack: dict[str, Any]) -> dict[str, list[tuple[str | list[str], str, dict[str, Any]]]]:
    """Return what a stack permits with a key, by the role (or the managed policy) that has it."""
    found: dict[str, list[tuple[str | list[str], str, dict[str, Any]]]] = {}
    for name, body in stack.items():
        properties = body.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [properties["PolicyDocument"]] if body["Type"] in {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"} else []
        owners = [role.strip("<>") for role in properties["Roles"]] if body["Type"] == "AWS::IAM::Policy" else [name]
        for statement in (each for document in documents for each in document["Statement"]):
            if "kms:" in json.dumps(statement["Action"]):
                for owner in owners:
                    permission = statement["Action"], statement["Resource"], statement["Condition"]
                    found.setdefault(owner, []).append(permission)
    return found


def test_each_role_may_use_the_key_for_what_it_opens_and_for_nothing_else() -> None:
    """Through the services that it reaches, in this Region: a role's credentials alone decrypt nothing."""
    assert NEEDED == key_statements(resources_of(KEY))


def test_without_a_key_of_your_own_no_role_may_use_any() -> None:
    """The keys that AWS manages need no permission."""
    stack = resources_of()

    assert {} == key_statements(stack)
    assert not any(body["Type"] == "AWS::IAM::Policy" for body in stack.values())
    assert "kms" not in json.dumps([body.get("Properties") for body in stack.values()]).lower()


def test_whatever_keeps_something_is_encrypted_by_the_key() -> None:
    """Each kind of resource either names it or keeps nothing: a new kind has to be put in one of the two."""
    for name, body in resources_of(KEY).items():
        if body["Type"] in SEALED_BY:
            property_, value = SEALED_BY[body["Type"]]
            assert value == body["Properties"][property_], name
        else:
            assert body["Type"] in KEEPS_NOTHING, (name, body["Type"])


@pytest.mark.parametrize(("key", "by_sqs"), [(KEY, False), ("", True)])
def test_a_queue_is_encrypted_in_one_way(key: str, *, by_sqs: bool) -> None:
    """SQS refuses a queue with both: SetQueueAttributes, "You can use one type of server-side encryption at one time"."""
    queues = [body["Properties"] for body in resources_of(key).values() if body["Type"] == "AWS::SQS::Queue"]

    assert queues
    assert {(by_sqs, not by_sqs)} == {(queue["SqsManagedSseEnabled"], "KmsMasterKeyId" in queue) for queue in queues}


def key_policy() -> dict[str, Any]:
    """Return the key policy of the runbook."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    section = text.split("\n## A key of your own\n")[1].split("\n## ")[0]
    (document,) = re.findall(r"^    \{\n(?:^    .*\n)+?^    \}$", section, re.MULTILINE)
    policy: dict[str, Any] = json.loads(document)
    return policy


def test_the_runbooks_key_policy_lets_in_each_service_that_acts_without_a_role_of_ours() -> None:
    """EventBridge sends to the queues, CloudWatch to the topic and into the log groups; nothing else has no role."""
    statements = {statement["Sid"]: statement for statement in key_policy()["Statement"]}
    services = {sid: each["Principal"]["Service"] for sid, each in statements.items() if "Service" in each["Principal"]}
    seals = {"kms:Decrypt", "kms:GenerateDataKey*"}

    assert {
        "EventsIntoQueues": "events.amazonaws.com",
        "AlarmsIntoTheTopic": "cloudwatch.amazonaws.com",
        "Logs": "logs.REGION.amazonaws.com",
    } == services
    assert seals == set(statements["EventsIntoQueues"]["Action"]) == set(statements["AlarmsIntoTheTopic"]["Action"])
    assert {"aws:SourceAccount": "ACCOUNT"} == statements["EventsIntoQueues"]["Condition"]["StringEquals"]
    assert ":log-group:/aws/lambda/credit-reconciler-" in json.dumps(statements["Logs"]["Condition"])
    assert "arn:aws:iam::ACCOUNT:root" == statements["AccountAdministers"]["Principal"]["AWS"]
