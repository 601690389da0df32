"""Make of installed packages what a function needs, and nothing else. Runs with the standard library alone.

    python3.12 -m tools.artifact FOLDER [archive | explain]

``FOLDER`` holds the packages, the engine and the policies. The policies are compiled, and rules that would wait in vain for
their events are told. Then what only the build needed goes: YAML, boto3's resource layer, and botocore's descriptions of every
service but DynamoDB and SQS (27 of its 28 MB, of which a cold start would list the directories). Functions that write or read
the archive of entries keep S3 as well; the function that explains keeps two others in SQS's place, and what explains.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.environments import ROOT
from tools.roots import write_roots

DATA_KEPT = ("dynamodb", "_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")
"""What botocore reads to make a client of DynamoDB."""

KEPT_FOR_EVENTS = ("sqs",)
"""What the functions that serve events reach beside: the queue of what is given up."""

ARCHIVE = "archive"
KEPT_TO_ARCHIVE = (*KEPT_FOR_EVENTS, "s3")
"""What the functions reach that write or read the archive of entries."""

EXPLAIN = "explain"
KEPT_TO_EXPLAIN = ("events", "secretsmanager")
"""What the function that explains reaches beside."""

ONLY_TO_EXPLAIN = ("engine/anomalies/explain",)
ONLY_FOR_THE_BUILD = ("yaml", "_yaml", "boto3", "s3transfer", "bin")
ONLY_FOR_A_LAPTOP = (
    "engine/cli",
    "engine/preview",
    "engine/audit/repair.py",
    "engine/audit/repairer.py",
    "engine/audit/rehearsal.py",
    "engine/audit/take_in.py",
    "engine/ledger/dynamodb/exported.py",
    "policies/tests",
    "engine/policy/words.py",
    "engine/policy/schema.py",
    "engine/policy/delivery.py",
)
NEVER_USED = ("aws_xray_sdk/ext", "wrapt/_wrappers.cpython-312-x86_64-linux-gnu.so")
"""What the X-Ray SDK would patch other libraries with, and what would make that quicker."""

INSTALLERS_NOTES = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")
"""What an installer writes about itself beside a package: another version of pip writes it otherwise."""

SAME_EVERY_TIME = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
"""Sets are written in the order of their hashes; two builds of one source are to be equal."""


def compile_policies(folder: Path) -> None:
    """Write the compiled form of every policy beside it. Raises CalledProcessError where one is broken."""
    policies = sorted(str(path) for path in (folder / "policies").glob("*.yaml"))
    environment = {**os.environ, **SAME_EVERY_TIME, "PYTHONPATH": str(folder)}
    subprocess.run(
        [sys.executable, "-s", "-S", "-m", "engine.policy.compiled", *policies], cwd=folder, env=environment, check=True
    )


def warn_of_delivery(folder: Path) -> None:
    """Say which rules of the policy wait for events that the template, with its defaults, does not deliver."""
    environment = {**os.environ, **SAME_EVERY_TIME, "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, "-S", "-m", "tools.delivery"], cwd=ROOT, env=environment, check=True)


def precompile(folder: Path) -> None:
    """Note the methods that attrs writes when the handler is imported. Raises CalledProcessError where there are none."""
    environment = {**os.environ, **SAME_EVERY_TIME, "PYTHONPATH": str(folder)}
    subprocess.run(
        [sys.executable, "-s", "-S", "-m", "engine.runtime.precompiled", str(folder)], cwd=folder, env=environment, check=True
    )


KEPT = {"": KEPT_FOR_EVENTS, ARCHIVE: KEPT_TO_ARCHIVE, EXPLAIN: KEPT_TO_EXPLAIN}
"""What a function reaches beside DynamoDB, by what it is for."""


def trim(folder: Path, purpose: str) -> None:
    """Remove what the function never imports or reads."""
    for name in (*ONLY_FOR_THE_BUILD, *ONLY_FOR_A_LAPTOP, *NEVER_USED, *(() if purpose == EXPLAIN else ONLY_TO_EXPLAIN)):
        remove(folder / name)
    for path in folder.glob("*.dist-info"):
        if path.name.split("-")[0].lower() in {"pyyaml", "boto3", "s3transfer"}:
            remove(path)
        for name in INSTALLERS_NOTES:
            remove(path / name)
    for path in (folder / "botocore" / "data").iterdir():
        if path.name not in (*DATA_KEPT, *KEPT[purpose]):
            remove(path)
    for path in sorted(folder.rglob("__pycache__")):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main() -> None:
    """Trim the folder that was given."""
    folder, purpose = Path(sys.argv[1]).resolve(), "".join(sys.argv[2:])
    compile_policies(folder)
    if not purpose:
        warn_of_delivery(folder)
    write_roots(folder / "botocore" / "cacert.pem", folder / "engine" / "ledger" / "dynamodb" / "amazon-roots.pem")
    trim(folder, purpose)
    precompile(folder)


if __name__ == "__main__":
    main()
