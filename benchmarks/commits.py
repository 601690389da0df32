"""Two commits in one interleaved run: ``python -m benchmarks.commits OLD [NEW] [ROUNDS]`` (NEW: what is checked out).

Each commit's artifact is built by its own Makefile. In each round both start a fresh process through AWS's own runtime client,
the one and the other first in turn, and answer one event, then many by themselves, then batches of a queue. The database
always gives one answer at once, so that what is measured is the function alone; processor time is the process's own.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.canned import answering
from benchmarks.runtime_api import Sandbox
from tools import environments
from tools.environments import ROOT

GIT, MAKE = shutil.which("git") or "git", shutil.which("make") or "make"

ROUNDS = 25
SINGLE = 200
BATCHES, BATCH = 8, 48

FIRST_AT, SECONDS = datetime(2026, 1, 5, 10, tzinfo=UTC), itertools.count()

FIGURES = (
    "cold start ms",
    "init ms",
    "first invocation ms",
    "start CPU ms",
    "debit CPU us",
    "batch event CPU us",
    "memory MiB",
)


def main(old: str, new: str | None, rounds: int) -> None:
    """Measure both, and print each figure's medians and their ratio, with the quartiles of the rounds' own ratios."""
    environments.fill(environments.RIC)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tasks = {"old": artifact_of(old, folder / "old"), "new": artifact_of(new, folder / "new")}
        with answering(b"{}", folder) as endpoint:
            environment = {"AWS_ENDPOINT_URL": endpoint}
            taken = [round_of(tasks, environment, number) for number in range(rounds + 1)][1:]  # the first fills the caches
    for at, figure in enumerate(FIGURES):
        medians = {name: statistics.median(pair[name][at] for pair in taken) for name in tasks}
        low, _, high = statistics.quantiles([pair["new"][at] / pair["old"][at] for pair in taken], n=4)
        ratio = medians["new"] / medians["old"]
        print(f"{figure:20} {medians['old']:8.1f} -> {medians['new']:8.1f}   x{ratio:.3f}  (rounds {low:.3f} to {high:.3f})")


def artifact_of(commit: str | None, folder: Path) -> Path:
    """Build the artifact of a commit, or of what is checked out, and return where it is."""
    source = ROOT
    if commit is not None:
        source = folder / "source"
        subprocess.run([GIT, "worktree", "add", "--quiet", "--detach", source, commit], cwd=ROOT, check=True)
    target = folder / "task"
    target.mkdir(parents=True)
    command = [MAKE, "--silent", "build-ReconcilerFunction", f"ARTIFACTS_DIR={target}"]
    try:
        subprocess.run(command, cwd=source, check=True, env={**os.environ, "MAKEFLAGS": ""})
    finally:
        if commit is not None:
            subprocess.run([GIT, "worktree", "remove", "--force", source], cwd=ROOT, check=True)
    return target


def round_of(tasks: Mapping[str, Path], environment: Mapping[str, str], number: int) -> dict[str, list[float]]:
    """Return the figures of one round of both; they take turns in going first."""
    names = list(tasks) if number % 2 else list(tasks)[::-1]
    return {name: measured(tasks[name], environment) for name in names}


def measured(task: Path, environment: Mapping[str, str]) -> list[float]:
    """Return the figures of one process, in the order of ``FIGURES``."""
    with Sandbox(environments.RIC.python, task, "handler.lambda_handler", environment) as box:
        init = box.initialised()
        first = box.milliseconds_to(box.invoke(event()))
        start = cpu_seconds(box)
        for _ in range(SINGLE):
            box.invoke(event())
        single = cpu_seconds(box)
        for _ in range(BATCHES):
            box.invoke({"Records": [record(event()) for _ in range(BATCH)]})
        batch = cpu_seconds(box)
        memory = box.memory_kib_max() / 1024
    per_event = (single - start) / SINGLE, (batch - single) / BATCHES / BATCH
    return [first, init, first - init, start * 1e3, per_event[0] * 1e6, per_event[1] * 1e6, memory]


def cpu_seconds(box: Sandbox) -> float:
    """Return the processor time that the process has taken so far."""
    nanoseconds = Path(f"/proc/{box.process.pid}/schedstat").read_text().split()[0]  # of its one thread
    return int(nanoseconds) / 1e9


def event() -> dict[str, Any]:
    """Return an event of a job that was never seen, a second after the one before."""
    job = f"j-{uuid.uuid4().hex}"
    at = FIRST_AT + timedelta(seconds=next(SECONDS))
    detail = {"jobId": job, "userId": "u-1", "seconds": 8, "model": "veo-3", "result_url": f"s3://renders/{job}.mp4"}
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "source": "video.generation",
        "detail-type": "video.rendered",
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "detail": detail,
    }


def record(document: dict[str, Any]) -> dict[str, Any]:
    """Return an event as SQS hands it over."""
    return {"messageId": document["id"], "eventSource": "aws:sqs", "body": json.dumps(document)}


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(arguments[0], arguments[1] if len(arguments) > 1 else None, int(arguments[2]) if len(arguments) > 2 else ROUNDS)
