"""Build template.yaml with SAM and deploy it to the local AWS: the real template, the real artifact, real Lambda semantics.

    build()
    with run_local_aws() as aws, deployed(aws) as stack:
        stack.send(envelope)

Before the deployment a copy of the built template is made to fit: its functions run on AWS's own runtime client with
nothing else to import, so that a package missing from the artifact is missing here too; what fails comes back to a queue
after seconds, not minutes; and a new version serves all events at once, since there is no CodeDeploy. After it, what the local
CloudFormation drops is set through the API. Its EventBridge does not act on a target's retry policy or dead-letter queue.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from attrs import define, field

from engine.ledger.store import Tables
from tools import environments
from tools.environments import ROOT
from tools.local_aws import ACCOUNT, REGION, LocalAws, LocalAwsError
from tools.template import function_properties, load, resources

STACK_NAME = "cc-agent-reconciler-dev"
BUILD_DIR = ROOT / ".aws-sam" / "build"
BUCKET = "local-deployments"
LOG_EVENTS_MAX = 10_000

NOT_BEGUN, INVOCATIONS_MAX = "bootstrap exited during init", 3
"""What the local AWS says where it has ended a process that it was starting, as it does when others invoke it meanwhile."""

EVENTS_PER_CALL_MAX = 10

PATIENCE_SECONDS = 180.0
"""A machine with other work may need so long for what takes a second; nobody waits for what has come."""

VISIBILITY_SECONDS = 6
"""After how long a queue hands an event over again that failed. The template's minutes are for nobody to wait for.

Longer than a batch takes on a busy machine: a message that is seen again meanwhile is worked on twice.
"""

BOOTSTRAP = """#!/bin/sh
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 AWS_EXECUTION_ENV=AWS_Lambda_python3.12
cd "$LAMBDA_TASK_ROOT" && exec {python} -m awslambdaric "$_HANDLER"
"""


@define(slots=False)
class Deployment:
    """A deployed stack: its outputs, and what one does with it."""

    aws: LocalAws
    name: str
    outputs: Mapping[str, str]
    _log_groups: dict[str, str] = field(factory=dict, init=False)

    @property
    def function(self) -> str:
        return self.outputs["FunctionName"]

    @property
    def catch_up_function(self) -> str:
        return self.outputs["CatchUpFunctionName"]

    @property
    def explain_function(self) -> str:
        return self.outputs["ExplainFunctionName"]

    @property
    def archive_function(self) -> str:
        return self.outputs["ArchiveFunctionName"]

    @property
    def jobs_table(self) -> str:
        return self.outputs["JobsTableName"]

    @property
    def credits_table(self) -> str:
        return self.outputs["CreditsTableName"]

    @property
    def ledger_table(self) -> str:
        return self.outputs["LedgerTableName"]

    @property
    def tables(self) -> Tables:
        return Tables(self.jobs_table, self.credits_table, self.ledger_table, seals=self.outputs["SealsTableName"])

    @property
    def events_queue(self) -> str:
        return self.outputs["EventsQueueUrl"]

    @property
    def failed_events_queue(self) -> str:
        return self.outputs["FailedEventsQueueUrl"]

    @property
    def log_group(self) -> str:
        return self.outputs["LogGroupName"]

    def send(self, *envelopes: Mapping[str, Any], bus: str = "default", by_service: bool = False) -> list[str]:
        """Put events on the bus and return the ids that EventBridge gave them; the envelopes' own ids do not get there.

        With ``by_service`` they come as from an AWS service, whose sources (``aws.*``) nobody else may put.
        """
        ids: list[str] = []
        told = {"TraceHeader": "the-service-itself"} if by_service else {}
        for start in range(0, len(envelopes), EVENTS_PER_CALL_MAX):
            entries = [_entry(envelope, bus) | told for envelope in envelopes[start : start + EVENTS_PER_CALL_MAX]]
            answer = self._events.put_events(Entries=entries)
            if answer["FailedEntryCount"]:
                raise LocalAwsError(f"EventBridge refused events: {answer['Entries']}")
            ids += [entry["EventId"] for entry in answer["Entries"]]
        return ids

    def invoke(self, payload: object, function: str | None = None) -> Any:
        """Invoke a function, wait for its answer and return it. Raises LocalAwsError if it raised."""
        name = function or self.function
        for left in reversed(range(INVOCATIONS_MAX)):
            answer = self._lambda.invoke(FunctionName=name, Payload=json.dumps(payload).encode())
            body = answer["Payload"].read().decode()
            if "FunctionError" not in answer:
                break
            if NOT_BEGUN not in body or not left:
                raise LocalAwsError(f"{name} raised: {body}")
        return json.loads(body)

    def catch_up(self) -> Any:
        """Do what the schedule does, now: run the state machine, and return its output. Raises LocalAwsError if it fails."""
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/credit-reconciler-dev-every-six-hours"],
            "detail": {},
        }
        run = self._states.start_execution(stateMachineArn=self.outputs["CatchUpRunArn"], input=json.dumps(event))
        ended: dict[str, Any] = {}

        def has_ended() -> bool:
            ended.update(self._states.describe_execution(executionArn=run["executionArn"]))
            return str(ended["status"]) != "RUNNING"

        wait_until(has_ended, "the scheduled run has ended", seconds=300)
        if ended["status"] != "SUCCEEDED":
            raise LocalAwsError(f"the scheduled run: {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
        return json.loads(ended["output"])

    def failed_events(self) -> list[dict[str, Any]]:
        """Return the messages in the function's dead-letter queue, and leave them there."""
        request = {"QueueUrl": self.failed_events_queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0}
        request["MessageAttributeNames"] = ["All"]
        seen: dict[str, dict[str, Any]] = {}
        while True:
            messages = self._sqs.receive_message(**request).get("Messages", [])
            new = {message["MessageId"]: message for message in messages if message["MessageId"] not in seen}
            if not new:
                return list(seen.values())
            seen |= new

    def log_lines(self, function: str | None = None, since: datetime | None = None) -> list[str]:
        """Return a function's log, one message a line, oldest first."""
        if function and function not in self._log_groups:
            self._log_groups[function] = self._log_group_of(function)
        group = self._log_groups[function] if function else self.log_group
        start = int(since.timestamp() * 1000) if since else 0
        return [event["message"].rstrip("\n") for event in self._log_events(group, start)]

    def _log_events(self, group: str, start: int) -> Iterator[dict[str, Any]]:
        """The local AWS gives the first 10,000 only, and no token for the rest: what follows is asked for by its time."""
        while len(page := self._logs.filter_log_events(logGroupName=group, startTime=start)["events"]) == LOG_EVENTS_MAX:
            start, before = page[-1]["timestamp"], start
            if start == before:
                raise RuntimeError(f"more than {LOG_EVENTS_MAX} lines within one millisecond in {group}")
            yield from (event for event in page if event["timestamp"] < start)
        yield from page

    def _log_group_of(self, function: str) -> str:
        """Return where a function writes: the scheduled run's log has a name that CloudFormation made."""
        logging: dict[str, str] = self._lambda.get_function_configuration(FunctionName=function)["LoggingConfig"]
        return logging["LogGroup"]

    def close(self) -> None:
        """Close the connections."""
        for client in ("dynamodb", "_events", "_lambda", "_states", "_sqs", "_logs"):
            if client in self.__dict__:
                self.__dict__.pop(client).close()

    @cached_property
    def dynamodb(self) -> Any:
        """The client that sees the stack's tables with the rights of the account's owner."""
        return self.aws.client("dynamodb")

    @cached_property
    def _events(self) -> Any:
        return self.aws.client("events")

    @cached_property
    def _lambda(self) -> Any:
        return self.aws.client("lambda")

    @cached_property
    def _states(self) -> Any:
        return self.aws.client("stepfunctions")

    @cached_property
    def _sqs(self) -> Any:
        return self.aws.client("sqs")

    @cached_property
    def _logs(self) -> Any:
        return self.aws.client("logs")


@contextlib.contextmanager
def deployed(aws: LocalAws, build_dir: Path = BUILD_DIR, parameters: Mapping[str, str] | None = None) -> Iterator[Deployment]:
    """Deploy what ``build`` made, and close the connections at the end; the stack itself goes with the local AWS."""
    deployment = deploy(aws, build_dir, parameters=parameters)
    try:
        yield deployment
    finally:
        deployment.close()


def build(build_dir: Path = BUILD_DIR) -> Path:
    """Run ``sam build`` into ``build_dir`` and return it. Raises LocalAwsError with what SAM said if it fails.

    One at a time: builds share the folder of packages for Lambda.
    """
    with environments.only_one_process(Path(".aws-sam")):
        sam("build", "--build-dir", build_dir, environment={})
    return build_dir


type Deployer = Callable[[LocalAws, Path, str, Mapping[str, str]], None]
"""Makes a stack of a template's file, of a name and with parameters."""


def deploy_by_sam(aws: LocalAws, template: Path, name: str, parameters: Mapping[str, str]) -> None:
    """Run ``sam deploy``. Raises LocalAwsError with what SAM said if it fails."""
    sam(
        *("deploy", "--template-file", template, "--stack-name", name, "--s3-bucket", BUCKET),
        *("--region", REGION, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset"),
        *(
            "--parameter-overrides",
            *(f'{key}="{value}"' if " " in value else f"{key}={value}" for key, value in parameters.items()),
        ),
        environment=aws.environment(),
    )


def deploy(
    aws: LocalAws,
    build_dir: Path,
    *,
    name: str = STACK_NAME,
    parameters: Mapping[str, str] | None = None,
    by: Deployer = deploy_by_sam,
) -> Deployment:
    """Deploy what ``build`` made to the local AWS and return the stack. Run again, it updates the stack.

    Raises LocalAwsError with what SAM said if it fails.
    """
    localized = localize(build_dir, aws.folder / f"{name}-localized")
    _make_bucket(aws)
    by(aws, localized / "template.yaml", name, {"Environment": "dev", **(parameters or {})})
    _set_what_cloudformation_drops(aws, name, load(localized / "template.yaml"))
    outputs = _outputs(aws, name)
    if bucket := outputs.get("ArchiveBucketName"):
        _lock_the_archive(aws, bucket)
    return Deployment(aws, name, outputs)


def delete(aws: LocalAws, name: str) -> None:
    """Delete a stack, and wait until it is gone."""
    cloudformation = aws.client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    cloudformation.close()


def localize(build_dir: Path, target: Path) -> Path:
    """Copy a build to ``target`` and let its functions run on AWS's own runtime client there; return ``target``.

    Where that client cannot be installed (there is none for macOS) they run on the local AWS's own Python, which does not
    notice a missing package.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(build_dir, target, copy_function=_link_or_copy)
    template = load(build_dir / "template.yaml")
    functions = list(resources(template, "AWS::Serverless::Function").values())
    for function in functions:
        function["Properties"].pop("DeploymentPreference", None)
    try:
        environments.fill(environments.RIC)
    except subprocess.CalledProcessError:
        environments.say("AWS's runtime client cannot be installed here: functions run without it, a little less as on AWS")
    else:
        for function in functions:
            bootstrap = target / function["Properties"]["CodeUri"] / "bootstrap"
            bootstrap.write_text(BOOTSTRAP.format(python=shlex.quote(str(environments.RIC.python))))
            bootstrap.chmod(0o755)
            function["Properties"]["Runtime"] = "provided.al2023"
    for role in resources(template, "AWS::IAM::Role").values():
        _drop_conditions_on_events(role["Properties"]["Policies"])
    for queue in resources(template, "AWS::SQS::Queue").values():
        if "VisibilityTimeout" in queue["Properties"]:
            queue["Properties"]["VisibilityTimeout"] = VISIBILITY_SECONDS
    template["Parameters"]["LlmBaseUrl"]["AllowedPattern"] = ".*"  # a model on this machine speaks no TLS
    del template["Resources"]["ArchiveBucketPolicy"]  # nor does the local S3, which would refuse everything
    (target / "template.yaml").unlink()  # it may be a link to the one that was built
    (target / "template.yaml").write_text(yaml.safe_dump(template, sort_keys=False))
    return target


def _drop_conditions_on_events(policies: list[dict[str, Any]]) -> None:
    """Take away what PutEvents' source and detail-type must be: the local IAM does not know them, and would refuse all."""
    for statement in (statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]):
        keys = [key for tests in statement.get("Condition", {}).values() for key in tests]
        if any(key.startswith("events:") for key in keys):
            del statement["Condition"]


def sam(*arguments: str | Path, environment: Mapping[str, str]) -> None:
    """Run the SAM CLI in the project's folder. Raises LocalAwsError with all that it said if it fails."""
    environments.fill(environments.SAM)
    path = os.pathsep.join([str(environments.SAM.python.parent), str(environments.DEV.python.parent), os.environ["PATH"]])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_", "MAKE", "MFLAGS"))}
    own = {"PATH": path, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.3"}
    command = [environments.SAM.python.with_name("sam"), *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, **own, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalAwsError(f"sam {arguments[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def wait_until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Ask until ``holds()``, ever less often; raises LocalAwsError, naming ``what`` was waited for, after ``seconds``.

    A pause is a fifth of what was waited already, within bounds: asking costs the server's time, and the tests wait for it.
    """
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        if waited > seconds:
            raise LocalAwsError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(min(max(waited / 5, 0.02), 0.5))


def _entry(envelope: Mapping[str, Any], bus: str) -> dict[str, Any]:
    entry = {
        "Source": envelope["source"],
        "DetailType": envelope["detail-type"],
        "Detail": json.dumps(envelope["detail"]),
        "EventBusName": bus,
    }
    return entry | ({"Time": envelope["time"]} if "time" in envelope else {})


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _make_bucket(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    s3.close()


def _outputs(aws: LocalAws, name: str) -> dict[str, str]:
    cloudformation = aws.client("cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    cloudformation.close()
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _lock_the_archive(aws: LocalAws, bucket: str) -> None:
    """Let nobody remove what is in a bucket, which CloudFormation drops too: as the template has it with its defaults."""
    s3 = aws.client("s3")
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 365}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    s3.close()


def _set_what_cloudformation_drops(aws: LocalAws, name: str, template: dict[str, Any]) -> None:
    """Set the functions' dead-letter queues and the tables' point-in-time recovery, and a number that arrived as a text."""
    cloudformation, functions, queues = aws.client("cloudformation"), aws.client("lambda"), aws.client("sqs")
    dynamodb = aws.client("dynamodb")
    made = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    }
    for logical_id in resources(template, "AWS::Serverless::Function"):
        if logical_id not in made or "DeadLetterQueue" not in function_properties(logical_id, template):
            continue
        queue, _attribute = function_properties(logical_id, template)["DeadLetterQueue"]["TargetArn"]["Fn::GetAtt"]
        attributes = queues.get_queue_attributes(QueueUrl=made[queue], AttributeNames=["QueueArn"])["Attributes"]
        functions.update_function_configuration(
            FunctionName=made[logical_id], DeadLetterConfig={"TargetArn": attributes["QueueArn"]}
        )
        if alias := function_properties(logical_id, template).get("AutoPublishAlias"):
            version = functions.publish_version(FunctionName=made[logical_id])["Version"]
            functions.update_alias(FunctionName=made[logical_id], Name=alias, FunctionVersion=version)
    for logical_id, mapping in resources(template, "AWS::Lambda::EventSourceMapping").items():
        if "ScalingConfig" not in mapping["Properties"]:
            continue
        scaling = functions.get_event_source_mapping(UUID=made[logical_id])["ScalingConfig"]
        functions.update_event_source_mapping(UUID=made[logical_id], ScalingConfig=scaling)
    for logical_id, table in resources(template, "AWS::DynamoDB::Table").items():
        if logical_id in made and "PointInTimeRecoverySpecification" in table["Properties"]:
            dynamodb.update_continuous_backups(
                TableName=made[logical_id],
                PointInTimeRecoverySpecification=table["Properties"]["PointInTimeRecoverySpecification"],
            )
    for client in (cloudformation, functions, queues, dynamodb):
        client.close()
