"""Cold start: from the start of the process to the first debit answered, through AWS's own runtime client."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.budgets import (
    COLD_HOLD_TO_DEBIT_MAX,
    COLD_ROUNDS,
    COLD_START_MILLISECONDS_P95,
    COLD_START_TO_FLOOR_MAX,
    FLOOR_MILLISECONDS_QUIET,
    MEMORY_MIB_MAX,
)
from benchmarks.gates import at_most
from benchmarks.runtime_api import Sandbox
from benchmarks.test_warm import POLICY, WITH_HOLDS, request_of

Start = Callable[..., Sandbox]


def test_cold_start_to_the_first_debit(
    benchmark: Any, artifact: Path, floor: Path, sandbox: Start, new_event: Callable[[], dict[str, Any]]
) -> None:
    """Interleaved with the floor, each round a fresh process from the built artifact; bytecode is never written."""
    floors: list[float] = []
    ours: list[float] = []
    memory: list[int] = []

    def start_the_floor() -> None:
        with sandbox(floor, "floor.handler") as box:
            floors.append(box.milliseconds_to(box.invoke({})))

    def start_ours() -> None:
        event = new_event()
        with sandbox(artifact, "handler.lambda_handler") as box:
            answer = box.invoke(event)
            ours.append(box.milliseconds_to(answer))
            memory.append(box.memory_kib_max())
        assert answer.body["outcome"] == "debited"

    start_the_floor()  # fills the page cache, for both
    start_ours()
    floors.clear(), ours.clear(), memory.clear()
    benchmark.pedantic(start_ours, setup=start_the_floor, rounds=COLD_ROUNDS, iterations=1)

    ratio = statistics.median(ours) / statistics.median(floors)
    p95 = statistics.quantiles(ours, n=20)[-1]
    benchmark.extra_info.update(
        milliseconds_median=round(statistics.median(ours)),
        milliseconds_p95=round(p95),
        floor_milliseconds_median=round(statistics.median(floors)),
        to_floor=round(ratio, 2),
        memory_mib=round(statistics.median(memory) / 1024, 1),
    )
    print(f"\ncold start: {benchmark.extra_info}")
    at_most(ratio, COLD_START_TO_FLOOR_MAX)
    at_most(statistics.median(memory) / 1024, MEMORY_MIB_MAX)
    if statistics.quantiles(floors, n=20)[-1] <= FLOOR_MILLISECONDS_QUIET:
        at_most(p95, COLD_START_MILLISECONDS_P95)
    else:
        print("the p95 is not judged: the floor itself is slow, so this machine has other work")


def test_cold_start_to_the_first_hold(
    benchmark: Any, artifact: Path, sandbox: Start, new_event: Callable[[], dict[str, Any]]
) -> None:
    """Interleaved with the first debit by the shipped policy, each in a fresh process: a hold imports what answers it."""
    taken: dict[str, list[float]] = {"debited": [], "held": []}

    def start(policy: str, event: dict[str, Any]) -> None:
        with sandbox(artifact, "handler.lambda_handler", POLICY_FILE=policy) as box:
            answer = box.invoke(event)
            taken[answer.body["outcome"]].append(box.milliseconds_to(answer))

    def debit() -> None:
        start(POLICY, new_event())

    def hold() -> None:
        start(WITH_HOLDS, request_of(new_event()))

    debit(), hold()
    for times in taken.values():
        times.clear()
    benchmark.pedantic(hold, setup=debit, rounds=COLD_ROUNDS, iterations=1)

    ratio = statistics.median(taken["held"]) / statistics.median(taken["debited"])
    benchmark.extra_info.update(hold_to_debit=round(ratio, 2))
    print(f"\ncold start to the first hold: {benchmark.extra_info}")
    at_most(ratio, COLD_HOLD_TO_DEBIT_MAX)
