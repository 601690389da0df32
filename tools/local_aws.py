"""A local AWS for tests, demo and benchmarks: no Docker, no account, nothing that leaves this machine.

with run_local_aws() as aws:
    dynamodb = aws.client("dynamodb")
    create_tables(dynamodb, tables_named("try"))
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from attrs import frozen
from botocore.config import Config

from engine.ledger.store import Tables
from tools import environments
from tools.template import table_schemas

SERVER = Path(__file__).with_name("ministack_server.py")
REGION = "us-east-1"
ACCOUNT = "000000000000"
READY_SECONDS = 30
STOP_SECONDS = 10
ATTEMPTS = 3
"""How often to start when another process takes the port between its choice and its use."""


class LocalAwsError(RuntimeError):
    """The local AWS did not come up, or something on it failed. The message says where the log is."""


@frozen
class LocalAws:
    """Where the local AWS listens, and the folder that holds its log and its data."""

    endpoint: str
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "local-aws.log"

    def environment(self) -> dict[str, str]:
        """Return the variables that send every AWS SDK and tool here, and nowhere else, whatever the user has configured."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, config: Config | None = None) -> Any:
        """Return a boto3 client of ``service``; it reads nothing of the user's configuration or credentials."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 (any secret does here)
            config=config,
        )


def tables_named(suffix: str) -> Tables:
    """Return names for the tables, as template.yaml makes them for an Environment."""
    return Tables(f"Jobs-{suffix}", f"Credits-{suffix}", f"Ledger-{suffix}", f"State-{suffix}", f"Seals-{suffix}")


def tables_environment(tables: Tables) -> dict[str, str]:
    """Return the variables that name the tables to the function and to the command line."""
    return {
        "JOBS_TABLE": tables.jobs,
        "CREDITS_TABLE": tables.credits,
        "LEDGER_TABLE": tables.ledger,
        "STATE_TABLE": tables.state,
        "SEALS_TABLE": tables.seals,
    }


def table_names(tables: Tables) -> dict[str, str]:
    """Return the name of each table by its logical id in template.yaml."""
    return {
        "JobsTable": tables.jobs,
        "CreditsTable": tables.credits,
        "LedgerTable": tables.ledger,
        "StateTable": tables.state,
        "SealsTable": tables.seals,
    }


def create_tables(dynamodb: Any, tables: Tables) -> Tables:
    """Make the tables as template.yaml describes them, wait until they can be used, and return their names."""
    schemas, names = table_schemas(), table_names(tables)
    made = [dynamodb.create_table(TableName=name, **schemas[logical_id]) for logical_id, name in names.items()]
    for table in (answer["TableDescription"] for answer in made):
        if table["TableStatus"] != "ACTIVE":  # the local AWS makes a table at once
            waiter = dynamodb.get_waiter("table_exists")
            waiter.wait(TableName=table["TableName"], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return tables


def delete_tables(dynamodb: Any, tables: Tables) -> None:
    """Delete the tables with all that is in them."""
    for name in table_names(tables).values():
        dynamodb.delete_table(TableName=name)


@contextlib.contextmanager
def run_local_aws(folder: Path | None = None, *, enforce_iam: bool = False) -> Iterator[LocalAws]:
    """Run a local AWS on a free port of 127.0.0.1 and take it down again at the end, with all it has started.

    It fills its virtual environment first where that is missing. ``folder`` keeps its log and data; without one they are
    thrown away. With ``enforce_iam`` a Lambda function may do only what its role permits. Raises LocalAwsError if it does not
    come up, and ``CalledProcessError`` if it cannot be installed. It dies with this process, even if that is killed.
    """
    environments.fill(environments.MINISTACK)
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="local-aws-", ignore_cleanup_errors=True)))
        aws, process = _start(folder, enforce_iam=enforce_iam)
        try:
            yield aws
        finally:
            _stop(process)


def _start(folder: Path, *, enforce_iam: bool) -> tuple[LocalAws, subprocess.Popen[bytes]]:
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(ATTEMPTS):
        aws = LocalAws(f"http://127.0.0.1:{free_port()}", folder)
        with aws.log.open("ab") as log:
            process = subprocess.Popen(
                [environments.MINISTACK.python, SERVER],
                env=_server_environment(aws, enforce_iam=enforce_iam),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if _becomes_ready(aws, process):
            return aws, process
        _stop(process)
    raise LocalAwsError(f"the local AWS did not come up; its log ends with:\n{aws.log.read_text(errors='replace')[-2000:]}")


def _server_environment(aws: LocalAws, *, enforce_iam: bool) -> dict[str, str]:
    """Return the server's environment: exactly this, since every Lambda function inherits all of it."""
    return aws.environment() | {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(aws.folder),
        "TMPDIR": str(aws.folder),
        "STATE_DIR": str(aws.folder / "state"),
        "S3_DATA_DIR": str(aws.folder / "s3"),
        "GATEWAY_PORT": str(urlsplit(aws.endpoint).port),
        "BIND_HOST": "127.0.0.1",  # its own default is every interface
        "IOT_MTLS_ENABLED": "0",  # else it listens on another port, on every interface
        "LOG_LEVEL": "WARNING",
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.1",
        "SFN_WAIT_SCALE": "0",
        "AUTH": "true" if enforce_iam else "false",
    }


def _becomes_ready(aws: LocalAws, process: subprocess.Popen[bytes]) -> bool:
    address = urlsplit(aws.endpoint)
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
        try:
            connection.request("GET", "/_ministack/ready")
            if connection.getresponse().status == http.client.OK:
                return True
        except OSError:
            pass  # it does not listen yet
        finally:
            connection.close()
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and the Lambda functions that run below it, gently at first."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what the server left behind in its group
    if process.stdin is not None:
        process.stdin.close()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
