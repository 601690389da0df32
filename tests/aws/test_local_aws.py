"""The local AWS itself: that it shows what AWS documents wherever other tests build on it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.ledger.store import Tables
from tools.deployment import wait_until
from tools.environments import ROOT
from tools.local_aws import ACCOUNT, LocalAws, table_names
from tools.template import table_schemas

START_AND_WAIT = """
from tools.local_aws import run_local_aws

with run_local_aws() as aws:
    print(aws.endpoint, flush=True)
    input()
"""

EVENT = {"Source": "video.generation", "DetailType": "video.rendered", "Detail": '{"jobId": "j-1"}'}


@pytest.fixture
def clients(aws: LocalAws) -> Iterator[dict[str, Any]]:
    """Return the clients of the services that hand events on."""
    made = {service: aws.client(service) for service in ("events", "sqs", "lambda", "iam", "logs")}
    yield made
    for client in made.values():
        client.close()


def make_queue(sqs: Any, name: str) -> tuple[str, str]:
    """Make a queue and return its URL and its ARN."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def receive(sqs: Any, url: str) -> list[dict[str, Any]]:
    """Return what is in a queue, waiting a moment for it."""
    answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def zipped(source: str) -> bytes:
    """Return a function's deployment package with one module ``index``."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", source)
    return package.getvalue()


def test_the_tables_are_those_of_the_template(dynamodb: Any, tables: Tables) -> None:
    """What every test of the ledger stands on."""
    for logical_id, name in table_names(tables).items():
        table = dynamodb.describe_table(TableName=name)["Table"]
        schema = table_schemas()[logical_id]
        assert schema["KeySchema"] == table["KeySchema"]
        assert [index["IndexName"] for index in schema.get("GlobalSecondaryIndexes", [])] == [
            index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])
        ]


def test_an_event_keeps_its_own_time(clients: dict[str, Any]) -> None:
    """Late and reordered events are only late and reordered if it does."""
    url, arn = make_queue(clients["sqs"], "own-time")
    clients["events"].put_rule(Name="own-time", EventPattern=json.dumps({"source": ["video.generation"]}))
    clients["events"].put_targets(Rule="own-time", Targets=[{"Id": "queue", "Arn": arn}])

    clients["events"].put_events(
        Entries=[{**EVENT, "Time": "2026-01-05T10:00:00Z"}, {**EVENT, "Time": "2026-01-05T09:59:59Z"}]
    )

    times: set[str] = set()
    while len(times) < 2 and (messages := receive(clients["sqs"], url)):
        times |= {json.loads(message["Body"])["time"] for message in messages}
    assert {"2026-01-05T10:00:00Z", "2026-01-05T09:59:59Z"} == times
    clients["events"].remove_targets(Rule="own-time", Ids=["queue"])
    clients["events"].delete_rule(Name="own-time")


def test_an_event_that_a_function_raises_on_ends_in_its_dead_letter_queue(clients: dict[str, Any]) -> None:
    """As it was sent, with the error in the attributes."""
    events, functions = clients["events"], clients["lambda"]
    url, arn = make_queue(clients["sqs"], "dead-letters")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}]}
    role = clients["iam"].create_role(RoleName="raises", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    function = functions.create_function(
        FunctionName="raises",
        Runtime="python3.12",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": zipped("def handler(event, context):\n    raise ValueError('seconds makes no sense')\n")},
        DeadLetterConfig={"TargetArn": arn},
    )
    events.put_rule(Name="raises", EventPattern=json.dumps({"detail-type": ["video.rendered"]}))
    events.put_targets(Rule="raises", Targets=[{"Id": "function", "Arn": function["FunctionArn"]}])

    events.put_events(Entries=[EVENT])

    (message,) = receive(clients["sqs"], url)
    assert {"jobId": "j-1"} == json.loads(message["Body"])["detail"]
    assert {"RequestID", "ErrorCode", "ErrorMessage"} == set(message["MessageAttributes"])
    assert "seconds makes no sense" in message["MessageAttributes"]["ErrorMessage"]["StringValue"]
    events.remove_targets(Rule="raises", Ids=["function"])
    events.delete_rule(Name="raises")


BOOTSTRAP = """#!/bin/sh
exec {python} - <<'END'
import os, sys, time, urllib.request
api = f"http://{{os.environ['AWS_LAMBDA_RUNTIME_API']}}/2018-06-01/runtime/invocation"
while True:
    with urllib.request.urlopen(f"{{api}}/next") as event:
        number, request = event.read().decode(), event.headers["Lambda-Runtime-Aws-Request-Id"]
    sys.stdout.write("".join(f"{{number}} {{line}}\\n" for line in range({lines})))
    sys.stdout.flush()
    urllib.request.urlopen(f"{{api}}/{{request}}/response", data=number.encode()).close()
END
"""
LINES = 2000


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_a_functions_log_has_what_it_wrote_before_its_answer(clients: dict[str, Any]) -> None:
    """All of it, and nothing of the invocation before, however busy the machine is: what was refused is read there."""
    functions = clients["lambda"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        archive.writestr(bootstrap, BOOTSTRAP.format(python=sys.executable, lines=LINES))
    role = f"arn:aws:iam::{ACCOUNT}:role/writes"
    code = {"ZipFile": package.getvalue()}
    functions.create_function(FunctionName="writes", Runtime="provided.al2023", Handler="-", Role=role, Code=code)

    def invoke(number: int) -> None:
        answer = functions.invoke(FunctionName="writes", Payload=str(number).encode())
        assert number == json.loads(answer["Payload"].read())

    with ThreadPoolExecutor(8) as pool:
        assert 80 == len(list(pool.map(invoke, range(80))))

    group = {"logGroupName": "/aws/lambda/writes"}
    pages = clients["logs"].get_paginator("describe_log_streams").paginate(**group)
    streams = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    written = [clients["logs"].get_log_events(**group, logStreamName=stream, limit=10_000)["events"] for stream in streams]
    for _start, *lines, _end, _report in [[event["message"] for event in events] for events in written]:
        assert [f"{lines[0].split()[0]} {line}" for line in range(LINES)] == lines
    assert 80 == len(written)


def test_it_ends_with_the_process_that_started_it_even_if_that_is_killed() -> None:
    """Nothing is left behind by a test run that was stopped."""
    command = [sys.executable, "-c", START_AND_WAIT]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        port = urlsplit(starter.stdout.readline().strip()).port
        assert port in listening_ports()

        starter.send_signal(signal.SIGKILL)

        wait_until(lambda: port not in listening_ports(), "the server has ended")


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_nobody_else_on_the_network_can_reach_it(aws: LocalAws) -> None:
    """It has no passwords."""
    port = urlsplit(aws.endpoint).port

    assert {"0100007F"} == {address for address, listening in listeners() if listening == port}


def listening_ports() -> set[int]:
    """Return the ports that this machine listens on."""
    return {port for _address, port in listeners()}


def listeners() -> set[tuple[str, int]]:
    """Return the addresses (as the kernel writes them, in hexadecimal) and ports that this machine listens on."""
    lines = [line.split() for file in ("tcp", "tcp6") for line in Path("/proc/net", file).read_text().splitlines()[1:]]
    local = [line[1].split(":") for line in lines if line[3] == "0A"]
    return {(address, int(port, 16)) for address, port in local}


def test_the_users_own_aws_account_is_out_of_reach() -> None:
    """Whatever is configured on the machine."""
    assert "test" == os.environ["AWS_ACCESS_KEY_ID"]
    assert os.devnull == os.environ["AWS_CONFIG_FILE"] == os.environ["AWS_SHARED_CREDENTIALS_FILE"]
