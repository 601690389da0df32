"""Somebody who runs the ``reconciler`` command with one of the template's managed policies, on a local AWS under IAM."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from attrs import define, field
from typer.testing import CliRunner

from engine.cli.app import app
from engine.ledger.store import Tables
from tests.conftest import started
from tests.support.as_aws import DEFAULTS, translated
from tests.support.events import rendered
from tests.support.roles import as_list
from tools.environments import ROOT
from tools.local_aws import ACCOUNT, REGION, LocalAws, create_tables, run_local_aws, tables_environment
from tools.template import load, resources, statements_of
from tools.translate import resolved

Document = dict[str, Any]

TABLES = Tables("Jobs-its", "Credits-its", "Ledger-its", "State-dev", "Seals-its")
QUEUES = FAILED, UNDELIVERED = "credit-reconciler-dev-failed-events", "credit-reconciler-dev-undelivered-events"
ARCHIVE = "archive-of-its-entries"
STACK = "cc"
"""What the translated template is a stack of."""

BOUNDS = '\nadjustments: {maximum: "100", second_person_above: "20"}\n'

POLICY_TEXT = (ROOT / "policies" / "video.yaml").read_text()


def permissions_of(policy: str) -> list[tuple[str, str]]:
    """Return what a managed policy of the template permits, as (statement, action)."""
    statements = statements_of(resources(None, "AWS::IAM::ManagedPolicy")[policy]["Properties"]["PolicyDocument"])
    own_key = {"UseTheKey", "OpenAndSealTheArchive"}
    return sorted(
        (each["Sid"], action) for each in statements if each["Sid"] not in own_key for action in as_list(each["Action"])
    )


def policy_document(policy: str, key: str = "") -> Document:
    """Return a managed policy of the template, of a stack with the tables and queues of this module."""
    parameters = {
        **DEFAULTS,
        "ExistingJobsTable": TABLES.jobs, "ExistingCreditsTable": TABLES.credits, "ExistingLedgerTable": TABLES.ledger,
        "ExistingSealsTable": TABLES.seals or "", "ExistingLedgerStream": "2026-11-28T00:00:00.000",
        "Archive": "on", "ExistingArchiveBucket": ARCHIVE, "KmsKeyArn": key,
    }  # fmt: skip
    (whole,) = translated([(load(), parameters)])
    made = resolved(whole, parameters)["Resources"][policy]["Properties"]["PolicyDocument"]
    document: Document = json.loads(json.dumps(made).replace("eu-west-1:123456789012", f"{REGION}:{ACCOUNT}"))
    return document


@define
class Staff:
    """A ledger that is looked after by people with roles, and what its owner does beside. ``role`` runs the commands."""

    aws: LocalAws
    folder: Path
    role: str
    document: Document
    """The policy of the role."""
    owner: Any = field(init=False)
    iam: Any = field(init=False)
    number: int = 0

    def __attrs_post_init__(self) -> None:
        self.owner, self.iam = self.aws.client("dynamodb"), self.aws.client("iam")

    def hire(self, role: str, document: Document) -> None:
        """Make a role that has this policy."""
        account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [account]})
        self.iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)
        self.iam.put_role_policy(RoleName=role, PolicyName="it", PolicyDocument=json.dumps(document))

    def make_stack(self) -> None:
        """Make a stack whose outputs name the tables."""
        names = {"Jobs": TABLES.jobs, "Credits": TABLES.credits, "Ledger": TABLES.ledger, "State": TABLES.state}
        outputs = {f"{kind}TableName": {"Value": name} for kind, name in names.items()}
        template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Outputs": outputs}
        formation = self.aws.client("cloudformation")
        formation.create_stack(StackName=STACK, TemplateBody=json.dumps(template))
        formation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        formation.close()

    def put(self, document: Document) -> None:
        """Let the role have this policy."""
        self.iam.put_role_policy(RoleName=self.role, PolicyName="it", PolicyDocument=json.dumps(document))

    def credentials(self, person: str = "somebody", role: str = "") -> dict[str, str]:
        """Return the variables with which a command has the rights of a role, the role under test for none."""
        sts = self.aws.client("sts")
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role or self.role}"
        got = sts.assume_role(RoleArn=arn, RoleSessionName=person)["Credentials"]
        sts.close()
        return {
            "AWS_ACCESS_KEY_ID": got["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": got["SecretAccessKey"],
            "AWS_SESSION_TOKEN": got["SessionToken"],
        }

    def session(self, role: str = "") -> boto3.Session:
        """Return a session with a role's rights, for whatever tool."""
        rights = self.credentials(role=role)
        return boto3.Session(
            rights["AWS_ACCESS_KEY_ID"], rights["AWS_SECRET_ACCESS_KEY"], rights["AWS_SESSION_TOKEN"], region_name=REGION
        )

    def run(self, *command: str, person: str = "somebody", role: str = "") -> str:
        """Run the command with a role's rights, and return all that it says."""
        environment = {**self.aws.environment(), **tables_environment(TABLES), **self.credentials(person, role)}
        result = CliRunner().invoke(app, list(command), env=environment)
        return f"{result.output}\n{result.exception}"

    def event(self) -> dict[str, Any]:
        """Return an event of a job and a user of its own, who has a hundred credits."""
        self.number += 1
        user, job = f"u-{self.number}", f"j-{self.number}"
        self.owner.put_item(TableName=TABLES.credits, Item={"userId": {"S": user}, "remaining": {"N": "100"}})
        return rendered(job, userId=user)

    def policy_file(self) -> str:
        """Return the file of a policy."""
        path = self.folder / "policy.yaml"
        path.write_text(POLICY_TEXT)
        return str(path)

    def bounded_policy_file(self) -> str:
        """Return the file of a policy with bounds of what one person adjusts."""
        path = self.folder / "bounded.yaml"
        path.write_text(f"{POLICY_TEXT}{BOUNDS}")
        return str(path)

    def close(self) -> None:
        """Close the connections."""
        self.owner.close()
        self.iam.close()


@contextlib.contextmanager
def staff_with(folder: Path, role: str, policy: str) -> Iterator[Staff]:
    """Run a local AWS that enforces IAM, with tables, two queues, a stack, and a role that has a policy of the template."""
    with started(run_local_aws(folder, enforce_iam=True)) as aws:
        staff = Staff(aws, folder, role, policy_document(policy))
        create_tables(staff.owner, TABLES)
        sqs = aws.client("sqs")
        for queue in QUEUES:
            sqs.create_queue(QueueName=queue)
        sqs.close()
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=ARCHIVE, ObjectLockEnabledForBucket=True)
        s3.close()
        staff.make_stack()
        staff.hire(role, staff.document)
        yield staff
        staff.close()
