"""moto's server, a second local AWS: another Step Functions interpreter, another EventBridge, another CloudFormation.

Its functions run nothing (that would need Docker): they answer what they were told to, one answer after the other.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools import environments
from tools.local_aws import LocalAws, LocalAwsError, free_port

READY_SECONDS = 120.0
SETTINGS = {"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}}


@contextlib.contextmanager
def run_second_aws(folder: Path) -> Iterator[LocalAws]:
    """Run the server on a free port of 127.0.0.1. Raises CalledProcessError where it cannot be installed."""
    environments.fill(environments.MOTO)
    port = free_port()
    aws = LocalAws(f"http://127.0.0.1:{port}", folder)
    command = [environments.MOTO.python.with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    environment = {**aws.environment(), "PATH": "/usr/bin:/bin", "HOME": str(folder), "MOTO_PORT": str(port)}
    with aws.log.open("ab") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        _tell(aws, "config", SETTINGS, seconds=READY_SECONDS)
        yield aws
    finally:
        process.terminate()
        process.wait(10)


def answers(aws: LocalAws, results: Sequence[Any]) -> None:
    """Let the functions answer these, one after the other."""
    _tell(aws, "static/lambda-simple/response", {"results": [json.dumps(result) for result in results]})


def _tell(aws: LocalAws, path: str, body: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    request = urllib.request.Request(  # noqa: S310  an address of this machine
        f"{aws.endpoint}/moto-api/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    while True:
        try:
            urllib.request.urlopen(request, timeout=5).close()  # noqa: S310  the same
        except OSError as error:
            if time.monotonic() > deadline:
                raise LocalAwsError(f"moto's server does not answer; its log is {aws.log}: {error}") from error
            time.sleep(0.1)
        else:
            return
