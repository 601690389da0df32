"""Where a cold start's time goes: ``python -m benchmarks.profile_start ARTIFACT [ARTIFACT ...]`` prints a table.

Each artifact is started in turn, each time in a fresh process with Lambda's own runtime client imported first, against one
local AWS. The stages are told apart by what the process does (Python's audit events): when it opens the policy, when it
connects. A stage that does not occur takes no time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.store import Tables
from tools import environments
from tools.local_aws import LocalAws, create_tables, run_local_aws, tables_environment, tables_named

ROUNDS = 15

STAGES = {
    "python": "Python itself",
    "runtime": "Lambda's runtime client",
    "imports": "imports of the handler",
    "policy": "policy and client",
    "prime": "connection and first read",
    "first": "first debit",
    "second": "second debit",
}
"""In their order. Where init does nothing beforehand, ``policy`` and ``prime`` happen within the first debit."""

CHILD = """
import json, sys, time
marks = {"python": time.perf_counter()}
def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith((".yaml", ".yaml.compiled")):
        marks.setdefault("imports", time.perf_counter())
    elif event == "socket.connect":
        marks.setdefault("policy", time.perf_counter())
import awslambdaric.bootstrap
marks["runtime"] = time.perf_counter()
sys.addaudithook(watch)
import handler
marks["init"] = time.perf_counter()
for name, event in zip(("first", "second"), json.loads(sys.argv[1])):
    answer = handler.lambda_handler(event)
    assert answer["outcome"] == "debited", answer
    marks[name] = time.perf_counter()
print(json.dumps(marks), file=sys.stderr)
"""


def profile(artifact: Path, environment: Mapping[str, str], events: list[object]) -> dict[str, float]:
    """Return the milliseconds of each stage of one start."""
    command = [str(environments.RIC.python), "-c", CHILD, json.dumps(events)]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=artifact, env=environment, capture_output=True, text=True, check=True)
    marks = json.loads(done.stderr.splitlines()[-1])
    return stages(started, marks)


def stages(started: float, marks: dict[str, float]) -> dict[str, float]:
    """Return what lies between the marks, in milliseconds; what happened after init counts to the first debit."""
    init = marks["init"]
    ends = {
        "python": marks["python"],
        "runtime": marks["runtime"],
        "imports": min(marks["imports"], init),
        "policy": min(marks["policy"], init),
        "prime": init,
        "first": marks["first"],
        "second": marks["second"],
    }
    begins = [started, *ends.values()]
    return {name: (end - begin) * 1000 for begin, (name, end) in zip(begins, ends.items(), strict=False)}


def environment_of(aws: LocalAws, tables: Tables, artifact: Path) -> dict[str, str]:
    """Return what Lambda would set, and where the local AWS is."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(artifact),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": "profile",
        "AWS_LAMBDA_RUNTIME_API": "none",  # the handler initialises itself where there is one
        "AWS_REGION": "us-east-1",
        **aws.environment(),
        **tables_environment(tables),
    }


def rendered(tables: Tables, client: object) -> dict[str, object]:
    """Return an event of a job that was never seen; the application has written its row."""
    job = f"j-{uuid.uuid4().hex}"
    client.put_item(TableName=tables.jobs, Item=encode_item({"jobId": job, "userId": "u-1", "status": "completed"}))  # type: ignore[attr-defined]
    detail = {"jobId": job, "userId": "u-1", "seconds": 8, "model": "veo-3", "result_url": f"s3://renders/{job}.mp4"}
    time_and_kind = {"source": "video.generation", "detail-type": "video.rendered", "time": "2026-01-05T10:00:00Z"}
    return {"version": "0", "id": job, "account": "123456789012", "region": "us-east-1", **time_and_kind, "detail": detail}


def main() -> None:
    """Profile the artifacts by turns, and print the medians."""
    artifacts = [Path(name).resolve() for name in sys.argv[1:]]
    environments.fill(environments.RIC)
    taken: dict[Path, list[dict[str, float]]] = {artifact: [] for artifact in artifacts}
    with tempfile.TemporaryDirectory() as folder, run_local_aws(Path(folder)) as aws:
        client = aws.client("dynamodb")
        tables = create_tables(client, tables_named("profile"))
        client.put_item(TableName=tables.credits, Item=encode_item({"userId": "u-1", "remaining": 1_000_000}))
        for number in range(ROUNDS + 1):
            for artifact in artifacts:
                events = [rendered(tables, client) for _ in range(2)]
                seen = profile(artifact, environment_of(aws, tables, artifact), events)
                taken[artifact] += [seen] if number else []  # the first round only fills the page cache
    print("| milliseconds, medians |", " | ".join(path.parent.name for path in artifacts), "|")
    print("| --- |", " --- |" * len(artifacts))
    for name, what in STAGES.items():
        print(
            f"| {what} |",
            " | ".join(f"{statistics.median(seen[name] for seen in taken[path]):.1f}" for path in artifacts),
            "|",
        )


if __name__ == "__main__":
    main()
