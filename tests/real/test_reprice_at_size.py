"""A wrong price that charged many jobs, put right by the two commands as processes of their own, killed on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import batched
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from engine.domain.envelope import Envelope, Source
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.store import Tables
from engine.policy import load_policy
from engine.reconcile.plan_file import PlanFile
from tests.support.events import rendered
from tests.support.policies import EXAMPLE, example_text
from tests.support.world import World
from tools.local_aws import REGION, tables_environment

pytestmark = [pytest.mark.local_aws, pytest.mark.slow]

JOBS_OF_A_USER = 25
WRONG = example_text(('"0.10", premium: "0.25"', '"1.00", premium: "2.50"'))
MANY = int(os.environ.get("JOBS", "2000"))
SIZES = [(200, (0.4,)), pytest.param(MANY, (0.2, 0.5, 0.8), marks=[pytest.mark.proof, pytest.mark.timeout(7200)])]
"""How many jobs, and behind how much of the plan a run is killed."""

MEGABYTES_MAX = 160

COUNT_TOLD = 1000
"""Figures of so many jobs are worth telling."""


def jobs(count: int) -> Iterator[dict[str, Any]]:
    """Yield the events of jobs: 1 to 60 seconds, every second one premium."""
    for number in range(count):
        model = "premium" if number % 2 else "veo-3"
        user = f"u-{number // JOBS_OF_A_USER}"
        yield rendered(f"j-{number}", user=user, seconds=number % 60 + 1, model=model, at=f"{number % 24:02}:00")


def right_cost(count: int) -> Counter[str]:
    """Return by user what these jobs should have cost, in hundredths: 10 or 25 a second."""
    costs: Counter[str] = Counter()
    for number in range(count):
        costs[f"u-{number // JOBS_OF_A_USER}"] += (number % 60 + 1) * (25 if number % 2 else 10)
    return costs


class Desk:
    """Where a person runs the commands: each a process, whose memory is looked at."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.megabytes: dict[str, float] = {}

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command."""
        command = [sys.executable, "-m", "engine.cli", *arguments, "--by", "ann", "--json"]
        out = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdout=out, stderr=out, text=True)

    def run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run a command to its end, and return its status and its answer."""
        process = self.begin(*arguments)
        while True:
            self._look(process.pid, arguments[0])
            try:
                out, err = process.communicate(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
            assert "Traceback" not in err
            return process.returncode, json.loads(out)

    def _look(self, process: int, name: str) -> None:
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            return
        (peak,) = [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")] or [0.0]
        self.megabytes[name] = max(peak, self.megabytes.get(name, 0.0))

    def file(self, name: str, text: str) -> Path:
        """Write a file, and return where it is."""
        (self.folder / name).write_text(text)
        return self.folder / name


@pytest.fixture
def desk(tables: Tables, local_aws: str, tmp_path: Path) -> Desk:
    """Return somebody at the tables."""
    place = {"AWS_ENDPOINT_URL_DYNAMODB": local_aws, "AWS_REGION": REGION}
    return Desk(tmp_path, {**os.environ, **tables_environment(tables), **place})


@pytest.mark.parametrize(("count", "kills"), SIZES)
def test_what_was_planned_is_posted_to_the_last_digit(
    count: int, kills: tuple[float, ...], *, dynamodb: Any, desk: Desk, tables: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs are killed by SIGKILL; the next goes on. In the end each user has what the right price leaves."""
    world = charged(count, World(dynamodb, tables), desk.file("wrong.yaml", WRONG))
    right, plan = str(desk.file("right.yaml", EXAMPLE)), desk.folder / "plan.jsonl"
    started = time.monotonic()
    status, head = desk.run("reprice", "--policy", right, "--reason", "ten times too much", "--out", str(plan))
    seconds = time.monotonic() - started
    for share in kills:
        killed(desk.begin("apply", str(plan), "--policy", right), world, plan, share)
    ended, done = desk.run("apply", str(plan), "--policy", right)
    again, nothing = desk.run("apply", str(plan), "--policy", right)

    cost = right_cost(count)
    assert (0, 0, 0) == (status, ended, again)
    assert Decimal(sum(cost.values())) * 9 / 100 == Decimal(head["total"]["difference"]) == Decimal(done["credits"])
    assert (count, count) == (done["postedBefore"] + done["posted"], nothing["postedBefore"])
    assert (0, Decimal(done["credits"])) == (nothing["posted"], Decimal(nothing["credits"]))
    balances = {user: 10_000 - Decimal(hundredths) / 100 for user, hundredths in cost.items()}
    assert balances == remaining(world)
    assert max(desk.megabytes.values()) < MEGABYTES_MAX
    with capsys.disabled():
        told = {"jobs": count, "planned in": round(seconds, 1), "after kills": done, "megabytes": desk.megabytes}
        sys.stdout.write(f"{json.dumps(told)}\n" if count >= COUNT_TOLD else "")


def charged(count: int, world: World, policy: Path) -> World:
    """Return a world in which the jobs were charged by the wrong policy."""
    for user in right_cost(count):
        row = {"userId": user, "remaining": Decimal(10_000)}
        world.client.put_item(TableName=world.tables.credits, Item=encode_item(row))
    world.policy = load_policy(policy)
    reconciler = world.reconciler()
    for some in batched(jobs(count), 500):
        reports = reconciler.many([Envelope(document, Source.REPLAY) for document in some], world.deadline(600))
        assert not [report for report in reports if isinstance(report, Exception)]
        world.lines.clear()
    return world


def killed(process: subprocess.Popen[str], world: World, plan: Path, share: float) -> None:
    """Kill a run once so much of the plan is posted."""
    lines = PlanFile.open(plan, "reprice")
    wanted = int(lines.lines_count * share)
    job = next(line for number, line in enumerate(lines.lines()) if number == wanted)
    key = encode_item({"reference": f"job#{job['job']}", "sequence": int(job["sequence"]) + 1})
    while process.poll() is None and not _is_there(world, key):
        time.sleep(lines.lines_count / 100_000)
    process.kill()
    process.communicate()


def _is_there(world: World, key: dict[str, Any]) -> bool:
    """Say whether an entry is there; a busy machine may not say it in time."""
    try:
        return "Item" in world.client.get_item(TableName=world.tables.ledger, Key=key, ConsistentRead=True)
    except ReadTimeoutError:
        return False


def remaining(world: World) -> dict[str, Decimal]:
    """Return what each user has."""
    pages = world.client.get_paginator("scan").paginate(TableName=world.tables.credits, ConsistentRead=True)
    return {row["userId"]["S"]: Decimal(row["remaining"]["N"]) for page in pages for row in page["Items"]}
