"""One user starts 200 jobs at once with credits for 50: 50 are held, 150 refused, whoever dies before it has its answer.

Each run of the tests takes 60 jobs and credits for 15, ``make proof`` takes all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import batched
from typing import Any

import pytest
from attrs import Factory, astuple, define

from engine.domain.decision import Outcome
from engine.domain.envelope import Source
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.calls import DynamoDB
from engine.ledger.store import Tables
from engine.policy import load_policy
from engine.reconcile.wiring import build_client
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Report
from tests.ledger.test_concurrency import HotUser
from tests.support.events import event
from tests.support.world import DisturbedClient, World
from tools.environments import ROOT
from tools.local_aws import REGION

pytestmark = pytest.mark.local_aws

POLICY = ROOT / "policies" / "video-with-holds.yaml"
SIZES = [(60, 15), pytest.param(200, 50, marks=pytest.mark.proof)]
"""How many jobs are started at once, and of how many the user can pay the hold."""

HELD = Decimal("0.8")
"""A job of 8 seconds."""

THREADS = 32
"""As many as the client has connections."""

PATIENT = Clock(steady=lambda: time.monotonic() / 10)
"""A busy machine is slow; the seconds that the requests take are simulated (``benchmarks/hot_user.py``)."""

KILLED_AFTER = (2, 4)
"""How many holds each process posts before it dies; what its other threads were at may be posted as well."""

THREADS_OF_THE_KILLED = 4

DIE = f"import sys; from {__name__} import start_and_die; start_and_die(*sys.argv[1:])"


def requests(jobs: int) -> list[dict[str, Any]]:
    """Return a request for each job, which is the same whenever it is sent."""
    detail = {"userId": "u-1", "seconds": 8, "model": "veo-3"}
    return [event("video.submitted", {"jobId": f"j-{number}", **detail}, id=f"r-{number}") for number in range(jobs)]


def world_of(client: DynamoDB, tables: Tables) -> World:
    """Return the tables under the policy with holds."""
    return World(client, tables, load_policy(POLICY), PATIENT)


def application(client: Any, tables: Tables, jobs: int, covered: int) -> World:
    """Return the same with what the application has written: the user, and the rows of the jobs."""
    rows = [{"jobId": f"j-{number}", "userId": "u-1", "status": "queued"} for number in range(jobs)]
    for some in batched(rows, 25):
        client.batch_write_item(RequestItems={tables.jobs: [{"PutRequest": {"Item": encode_item(row)}} for row in some]})
    return world_of(client, tables).user("u-1", str(covered * HELD))


def start_all(world: World, client: Any, jobs: int, threads: int = THREADS) -> list[Report]:
    """Ask for all jobs at once, and return the answers; an error is raised."""
    reconciler, together = world.reconciler(client), threading.Barrier(threads)

    def ask(document: dict[str, Any]) -> Report:
        return reconciler.event(document, Source.EVENT, world.deadline(60))

    with ThreadPoolExecutor(threads, initializer=together.wait) as pool:
        return list(pool.map(ask, requests(jobs)))


def outcomes(reports: Sequence[Report]) -> Counter[str]:
    """Return how many ended how."""
    return Counter(report.outcome.value for report in reports)


def standing(world: World) -> tuple[Decimal, Decimal, Decimal]:
    """Return what the user's row says: what can be spent, what is held, what was posted."""
    row = world.user_row() or {}
    return tuple(Decimal(row[name]) for name in ("remaining", "held", "posted"))  # type: ignore[return-value]


def held_by_job(world: World) -> Counter[Decimal]:
    """Return how many jobs hold how much, by their entries."""
    held = Counter[str]()
    for entry in world.everything()["ledger"]:
        held[entry["reference"]] += entry.get("held", 0)
    return Counter(map(Decimal, held.values()))


@pytest.mark.parametrize(("jobs", "covered"), SIZES)
def test_of_many_jobs_at_once_as_many_are_held_as_the_balance_covers(
    jobs: int, covered: int, dynamodb: DynamoDB, tables: Tables
) -> None:
    """No error, nothing below 0. Transactions meet on the user's row, as they do on AWS."""
    world, hot = application(dynamodb, tables, jobs, covered), HotUser(hold_seconds=0.002)

    reports = start_all(world, DisturbedClient(dynamodb, hot), jobs)

    assert {"held": covered, "refused": jobs - covered} == outcomes(reports)
    assert (Decimal(0), covered * HELD, -covered * HELD) == standing(world)
    assert {HELD: covered, Decimal(0): jobs - covered} == held_by_job(world)
    assert hot.conflicts > covered, "the test is void unless transactions really met"
    refused = [report.answer() for report in reports if report.outcome is Outcome.REFUSED]
    assert {"0", "0.0000"} >= {answer["held"] for answer in refused}
    assert all(0 <= Decimal(answer["missing"]) <= HELD for answer in refused), "by what others hold meanwhile"


@define
class DiesAfter:
    """Ends the process by SIGKILL when so many holds are posted, before the last of them is answered."""

    holds: int
    one: threading.Lock = Factory(threading.Lock)

    def __call__(self, _operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        answer = send(**request)
        if len(request.get("TransactItems", ())) > 1:
            self._one_more()
        return answer

    def _one_more(self) -> None:
        with self.one:
            self.holds -= 1
            if not self.holds:
                os.kill(os.getpid(), signal.SIGKILL)


def start_and_die(endpoint: str, tables: str, jobs: str, holds: str) -> None:
    """Start all jobs, and die when so many holds are posted."""
    client = build_client(REGION, endpoint, connections=THREADS_OF_THE_KILLED)
    world = world_of(client, Tables(*tables.split(",")))
    start_all(world, DisturbedClient(client, DiesAfter(int(holds))), int(jobs), THREADS_OF_THE_KILLED)


@pytest.mark.parametrize(("jobs", "covered"), SIZES)
def test_processes_that_are_killed_between_hold_and_answer_leave_no_more_held(
    jobs: int, covered: int, dynamodb: DynamoDB, tables: Tables, local_aws: str
) -> None:
    """The same requests again: who was held before the kill is told so, and no credit is held for nobody."""
    world = application(dynamodb, tables, jobs, covered)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for holds in KILLED_AFTER:
        command = [sys.executable, "-c", DIE, local_aws, ",".join(astuple(tables)), str(jobs), str(holds)]
        killed = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
        assert -signal.SIGKILL == killed.returncode, killed.stderr
    before = standing(world)[1]

    reports = start_all(world, dynamodb, jobs)

    assert 0 < before < covered * HELD
    known = [Decimal(report.answer()["held"]) for report in reports if report.outcome.value == "duplicate"]
    assert [HELD] * int(before / HELD) == known
    assert covered == len(known) + outcomes(reports)["held"]
    assert jobs - covered == outcomes(reports)["refused"]
    assert (Decimal(0), covered * HELD, -covered * HELD) == standing(world)
    assert {HELD: covered, Decimal(0): jobs - covered} == held_by_job(world)
