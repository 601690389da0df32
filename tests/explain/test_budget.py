"""The budget: in no hour, wherever it begins, more calls than are allowed, however many containers ask."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.anomalies.explain.budget import Budget, taken
from engine.ledger.dynamodb.explanations import DynamoExplanationStore
from engine.ledger.dynamodb.wire import ServiceError
from engine.ledger.store import Tables
from engine.reconcile.wiring import build_client
from engine.runtime.clock import Clock
from tests.support.clock import ManualClock
from tests.support.world import DisturbedClient
from tools.environments import ROOT

START = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)
HOUR = 3600


def most_in_any_hour(instants: list[float]) -> int:
    """Return the most instants that lie in one window of an hour. The fullest window begins with one of them."""
    return max((sum(begin <= at < begin + HOUR for at in instants) for begin in instants), default=0)


@given(st.lists(st.floats(0, 400), max_size=200), st.integers(1, 9))
def test_no_hour_has_more_than_are_allowed_and_what_is_over_is_given_again(pauses: list[float], per_hour: int) -> None:
    """Whatever the pauses between the questions."""
    counts: dict[int, int] = {}
    granted: list[float] = []
    at = 0.0
    for pause in pauses:
        at += pause
        after = taken(counts, START + timedelta(seconds=at), per_hour)
        if after is not None:
            counts = after
            granted.append(at)
        else:
            assert per_hour <= sum(earlier > at - HOUR - 120 for earlier in granted), "it was refused for nothing"

    assert per_hour >= most_in_any_hour(granted)
    assert len(counts) <= 62


def test_a_call_whose_answer_is_lost_counts(dynamodb: Any, tables: Tables) -> None:
    """The row was written, and nobody learned of it: the next attempt takes another one."""
    lost: list[str] = []

    def disturb(operation: str, request: dict[str, Any], send: Any) -> Any:
        answer = send(**request)
        if operation == "update_item" and not lost:
            lost.append(operation)
            raise ServiceError("InternalServerError", "lost", 500, [])
        return answer

    budget = Budget(DynamoExplanationStore(DisturbedClient(dynamodb, disturb), tables), 2, Clock())

    assert budget.take(Clock().deadline(20))
    assert not budget.take(Clock().deadline(20))


def test_without_the_table_there_is_no_call() -> None:
    """Refused or out of reach: an explanation by the rules costs nothing."""

    def disturb(*_: Any) -> Any:
        raise ServiceError("AccessDeniedException", "no", 400, [])

    clock = ManualClock().clock()

    client = DisturbedClient(build_client(endpoint="http://127.0.0.1:1"), disturb)
    assert not Budget(DynamoExplanationStore(client, Tables()), 60, clock).take(clock.deadline(20))


CONTAINER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path

from engine.runtime.clock import Clock
from engine.anomalies.explain.budget import Budget
from engine.ledger.store import Tables
from engine.reconcile.wiring import build_ledger

table, shared, per_hour = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
store = build_ledger(Tables(state=table), Clock()).explanations()
now = lambda: datetime.fromtimestamp(float((shared / "now").read_text()), UTC)
budget = Budget(store, per_hour, Clock(now=now))
print("ready", flush=True)
for _ in sys.stdin:
    at = now().timestamp()
    print(at if budget.take(Clock().deadline(20)) else "spent", flush=True)
"""


def test_eight_containers_together_never_ask_more_often(tables: Tables, local_aws: str, tmp_path: Path) -> None:
    """Eight processes ask one table at once, again and again, while their clock goes on by a quarter of an hour each time."""
    environment = {**os.environ, "AWS_ENDPOINT_URL": local_aws, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CONTAINER, tables.state, str(tmp_path), "5"]
    (tmp_path / "now").write_text(str(START.timestamp()))
    containers = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    granted: list[float] = []
    for container in containers:
        assert container.stdout is not None
        assert "ready\n" == container.stdout.readline()
    for turn in range(10):
        (tmp_path / "now").write_text(str(START.timestamp() + turn * 900.5))
        for container in containers:
            assert container.stdin is not None
            container.stdin.write("ask\n")
            container.stdin.flush()
        answers = [container.stdout.readline().strip() for container in containers if container.stdout]
        granted += [float(answer) for answer in answers if answer != "spent"]
    for container in containers:
        container.communicate(timeout=300)

    assert 5 == most_in_any_hour(granted)
    assert 10 == len(granted), "five at the start, and five once the hour is over"
