"""Deploys as ``sam deploy`` does, without its process: packages are put into the bucket, and a change set is carried out.

Loading the SAM CLI takes the processor for eight seconds. That the template deploys by ``sam deploy`` itself is for the stack
that most tests share to show, and for the demo; a test that needs a stack of its own for another reason takes this.
"""

from __future__ import annotations

import hashlib
import io
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.deployment import BUCKET, STACK_NAME, Deployment, deploy
from tools.local_aws import LocalAws
from tools.template import load, resources

WAIT = {"Delay": 1, "MaxAttempts": 300}


def deploy_by_change_set(
    aws: LocalAws, build_dir: Path, *, name: str = STACK_NAME, parameters: Mapping[str, str] | None = None
) -> Deployment:
    """Deploy what ``build`` made and return the stack, as ``deploy`` does; run again, it updates the stack."""
    return deploy(aws, build_dir, name=name, parameters=parameters, by=carry_out)


def carry_out(aws: LocalAws, template: Path, name: str, parameters: Mapping[str, str]) -> None:
    """Make the stack what a template says. Raises botocore's WaiterError where it does not come to that."""
    cloudformation = aws.client("cloudformation")
    known = {summary["StackName"] for page in cloudformation.get_paginator("list_stacks").paginate()
             for summary in page["StackSummaries"] if summary["StackStatus"] != "DELETE_COMPLETE"}  # fmt: skip
    kind = "update" if name in known else "create"
    change_set = cloudformation.create_change_set(
        StackName=name,
        ChangeSetName=f"{kind}-{uuid.uuid4()}",
        ChangeSetType=kind.upper(),
        TemplateURL=packaged(aws, template),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )["Id"]
    cloudformation.get_waiter("change_set_create_complete").wait(ChangeSetName=change_set, WaiterConfig=WAIT)
    cloudformation.execute_change_set(ChangeSetName=change_set)
    cloudformation.get_waiter(f"stack_{kind}_complete").wait(StackName=name, WaiterConfig=WAIT)
    cloudformation.close()


def packaged(aws: LocalAws, template: Path) -> str:
    """Put the functions' packages and the template that names them into the bucket; return the template's address."""
    document: dict[str, Any] = load(template)
    s3 = aws.client("s3")
    for function in resources(document, "AWS::Serverless::Function").values():
        folder = template.parent / function["Properties"]["CodeUri"]
        key = f"{folder.name}-{look_of(folder)}.zip"
        if not s3.list_objects_v2(Bucket=BUCKET, Prefix=key).get("KeyCount"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=zipped(folder))
        function["Properties"]["CodeUri"] = f"s3://{BUCKET}/{key}"
    s3.put_object(Bucket=BUCKET, Key=f"{template.parent.name}.yaml", Body=yaml.safe_dump(document, sort_keys=False).encode())
    s3.close()
    return f"{aws.endpoint}/{BUCKET}/{template.parent.name}.yaml"


def look_of(folder: Path) -> str:
    """Return what tells a folder from another: its files' names, sizes and times, but for what each deployment writes anew."""
    looks = sorted(
        (str(file.relative_to(folder)), (stat := file.stat()).st_size, stat.st_mtime_ns if file.name != "bootstrap" else 0)
        for file in folder.rglob("*")
        if file.is_file()
    )
    return hashlib.sha256(repr(looks).encode()).hexdigest()


def zipped(folder: Path) -> bytes:
    """Return a package of a folder's files, with their permissions."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return package.getvalue()
