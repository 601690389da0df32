"""The roles of a deployed stack: a permission taken away for a moment, and calls made with a role's own rights."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
from attrs import define

from tools.deployment import Deployment
from tools.local_aws import ACCOUNT, REGION

Document = dict[str, Any]


@define
class Role:
    """A role by its logical id, as it was deployed, with its one inline policy."""

    stack: Deployment
    iam: Any
    name: str
    policy: str

    def document(self) -> Document:
        """Return the policy as it is now."""
        document: Document = self.iam.get_role_policy(RoleName=self.name, PolicyName=self.policy)["PolicyDocument"]
        return document

    @contextlib.contextmanager
    def without(self, sid: str, action: str) -> Iterator[None]:
        """Take an action out of a statement, and put it back at the end."""
        whole = self.document()
        try:
            self.put(reduced(whole, sid, action))
            yield
        finally:
            self.put(whole)

    @contextlib.contextmanager
    def without_any(self) -> Iterator[None]:
        """Take away whatever the role may do, and put it back at the end."""
        whole = self.document()
        try:
            self.iam.delete_role_policy(RoleName=self.name, PolicyName=self.policy)
            yield
        finally:
            self.put(whole)

    def simulated(self, document: Document, action: str, resource: str) -> str:
        """Return what SimulateCustomPolicy says of a call under a policy: ``allowed``, or why not."""
        answer = self.iam.simulate_custom_policy(
            PolicyInputList=[json.dumps(document)], ActionNames=[action], ResourceArns=[resource]
        )
        decision: str = answer["EvaluationResults"][0]["EvalDecision"]
        return decision

    def session(self) -> boto3.Session:
        """Return a session with the role's own rights. Its trust is widened to the account for the moment that takes."""
        role = self.iam.get_role(RoleName=self.name)["Role"]
        trust = role["AssumeRolePolicyDocument"]
        account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        sts = self.stack.aws.client("sts")
        try:
            self._trust({**trust, "Statement": [*trust["Statement"], account]})
            credentials = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="somebody")["Credentials"]
        finally:
            self._trust(trust)
            sts.close()
        return boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name=REGION,
        )

    def put(self, document: Document) -> None:
        """Let the policy be this one."""
        if document["Statement"]:
            text = json.dumps(document)
            self.iam.put_role_policy(RoleName=self.name, PolicyName=self.policy, PolicyDocument=text)
        else:
            self.iam.delete_role_policy(RoleName=self.name, PolicyName=self.policy)

    def _trust(self, document: Document) -> None:
        self.iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=json.dumps(document))


def reduced(document: Document, sid: str, action: str) -> Document:
    """Return a policy without one action of a statement, and without the statement where it has no other."""
    statements = []
    for statement in document["Statement"]:
        left = [each for each in as_list(statement["Action"]) if (statement["Sid"], each) != (sid, action)]
        statements += [{**statement, "Action": left}] if left else []
    return {**document, "Statement": statements}


def as_list(value: str | list[str]) -> list[str]:
    """Return what IAM writes as one or as a list, as a list."""
    return [value] if isinstance(value, str) else value


@contextlib.contextmanager
def roles_of(stack: Deployment, *logical_ids: str) -> Iterator[dict[str, Role]]:
    """Return the stack's roles by their logical ids."""
    iam, cloudformation = stack.aws.client("iam"), stack.aws.client("cloudformation")
    roles = {}
    for logical_id in logical_ids:
        found = cloudformation.describe_stack_resource(StackName=stack.name, LogicalResourceId=logical_id)
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
        roles[logical_id] = Role(stack, iam, name, policy)
    yield roles
    iam.close()
    cloudformation.close()
