"""A deployed stack with an archive as it would be without, for a moment; and its scheduled run under another policy.

The function knows no archive then, and its role is the one that the template makes where there is none. The alarms that are
only there without an archive are made as the template says.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.policy.compiled import compile_policy
from tests.support.roles import roles_of
from tools.deployment import Deployment
from tools.environments import ROOT
from tools.template import resources, role_statements

CATCH_UP = "CatchUpRole"
OF_AN_ARCHIVE = frozenset({"ReadTheHead", "KeepTheBookOfBalances", "ReadTheArchive", "ListTheArchive", "KeepCheckpoints"})


@contextmanager
def without_archive(stack: Deployment) -> Iterator[None]:
    """Let scheduled runs know no archive, nor their role."""
    sealing = role_statements()[CATCH_UP]["SealEntries"]
    with variables_of_runs(stack, ARCHIVE_BUCKET=None), roles_of(stack, CATCH_UP) as roles:
        role, whole = roles[CATCH_UP], roles[CATCH_UP].document()
        left = [each for each in whole["Statement"] if each["Sid"] not in OF_AN_ARCHIVE]
        (seals,) = [each["Resource"] for each in whole["Statement"] if each["Sid"] == "ReadTheHead"]
        try:
            role.put({**whole, "Statement": [*left, {**sealing, "Resource": seals}]})
            yield
        finally:
            role.put(whole)


@contextmanager
def held_balances(stack: Deployment, folder: Path) -> Iterator[None]:
    """Let scheduled runs go by the same policy, but that only events grant; the next run after it ends that."""
    text = (ROOT / "policies" / "video.yaml").read_text()
    policy = folder / f"held-{uuid.uuid4().hex}.yaml"
    policy.write_text(f"{text}\ngrants: events\n" if "\ngrants:" not in text else text)
    compile_policy(policy)  # the function reads no YAML
    with variables_of_runs(stack, POLICY_FILE=str(policy)):
        yield


@contextmanager
def variables_of_runs(stack: Deployment, **variables: str | None) -> Iterator[None]:
    """Give the function of scheduled runs other variables (None: not this one), and its own again at the end."""
    functions, name = stack.aws.client("lambda"), stack.catch_up_function
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = {key: value for key, value in {**before, **variables}.items() if value is not None}
    try:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
        yield
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": before})
        functions.close()


def make_alarm(stack: Deployment, logical_id: str) -> None:
    """Make an alarm of the template that this stack has not."""
    said = resources(None, "AWS::CloudWatch::Alarm")[logical_id]["Properties"]
    values: dict[str, Any] = {
        json.dumps({"Ref": "CatchUpFunction"}): stack.catch_up_function,
        json.dumps({"Ref": "ReconcilerFunction"}): stack.function,
        json.dumps({"Ref": "Alarms"}): stack.outputs["AlarmsTopicArn"],
        json.dumps(said["AlarmName"]): said["AlarmName"]["Fn::Sub"].replace("${Environment}", "dev"),
    }

    def filled(part: Any) -> Any:
        if isinstance(part, dict) and (value := values.get(json.dumps(part))) is not None:
            return value
        if isinstance(part, dict):
            return {key: filled(each) for key, each in part.items()}
        return [filled(each) for each in part] if isinstance(part, list) else part

    cloudwatch = stack.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(**filled(said))
    cloudwatch.close()
