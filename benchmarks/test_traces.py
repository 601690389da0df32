"""What a trace costs the invocation that is sampled, and all the others."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import handler
from benchmarks.budgets import (
    BLOCKS,
    CALLS,
    COLD_ROUNDS,
    SAMPLED_COLD_START_TO_FLOOR_MAX,
    SAMPLED_TO_UNSAMPLED_MAX,
    UNTRACED_SHARE_MAX,
)
from benchmarks.gates import at_most
from benchmarks.runtime_api import SAMPLED, UNSAMPLED, Sandbox
from engine.domain.envelope import Envelope, Source
from engine.policy import load_policy
from engine.rating.assess import assess
from engine.runtime.tracing import tracer_of
from tests.support.xray import Daemon

SPANS_OF_AN_EVENT = ("policy", "match", "decide", "post")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """Return a daemon that listens where the SDK sends, for the whole process: the SDK asks once."""
    with Daemon() as listening, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_XRAY_DAEMON_ADDRESS", listening.address)
        environment.setenv("LAMBDA_TASK_ROOT", "/var/task")
        yield listening


@pytest.mark.usefixtures("peer")
def test_a_sampled_debit(
    benchmark: Any, daemon: Daemon, new_event: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPU of sampled debits and of others, in interleaved blocks; each sampled one sends its four subsegments."""
    taken: dict[str, list[float]] = {UNSAMPLED: [], SAMPLED: []}

    def block(header: str) -> None:
        events = [new_event() for _ in range(CALLS)]
        monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
        started = time.process_time()
        for event in events:
            handler.lambda_handler(event)
        taken[header].append((time.process_time() - started) / CALLS)

    block(SAMPLED), block(UNSAMPLED)
    for times in taken.values():
        times.clear()
    daemon.documents()
    benchmark.pedantic(lambda: block(SAMPLED), setup=lambda: block(UNSAMPLED), rounds=BLOCKS, iterations=1)
    sent = daemon.documents()

    sampled, unsampled = (statistics.median(taken[header]) for header in (SAMPLED, UNSAMPLED))
    monkeypatch.setenv("_X_AMZN_TRACE_ID", UNSAMPLED)
    nothing = untraced_seconds(new_event())
    benchmark.extra_info.update(
        sampled_cpu_microseconds=round(sampled * 1e6),
        unsampled_cpu_microseconds=round(unsampled * 1e6),
        sampled_to_unsampled=round(sampled / unsampled, 2),
        untraced_microseconds=round(nothing * 1e6, 1),
        untraced_share=round(nothing / unsampled, 4),
    )
    print(f"\nsampled debit: {benchmark.extra_info}")
    assert set(SPANS_OF_AN_EVENT) == {document["name"] for document in sent}
    at_most(sampled / unsampled, SAMPLED_TO_UNSAMPLED_MAX)
    at_most(nothing / unsampled, UNTRACED_SHARE_MAX)


def untraced_seconds(event: dict[str, Any], events: int = 10_000) -> float:
    """Return what an event that is not sampled spends on asking, and on subsegments that do nothing."""
    assessment = assess(Envelope(event, Source.EVENT), load_policy("policies/video.yaml"))
    assert assessment is not None
    started = time.process_time()
    for _ in range(events):
        tracer = tracer_of(os.environ)
        for name in SPANS_OF_AN_EVENT:
            with tracer.span(name) as span:
                span.annotate([assessment], policy="video@0", outcome="debited", attempt=1)
    return (time.process_time() - started) / events


def test_a_cold_start_that_is_sampled(
    benchmark: Any,
    artifact: Path,
    floor: Path,
    sandbox: Callable[[Path, str], Sandbox],
    new_event: Callable[[], dict[str, Any]],
) -> None:
    """With the import of the SDK; by turns with one that is not sampled, and with the floor."""
    taken: dict[str, list[float]] = {"floor": [], UNSAMPLED: [], SAMPLED: []}

    def start(header: str) -> None:
        event = new_event()
        with sandbox(artifact, "handler.lambda_handler") as box:
            taken[header].append(box.milliseconds_to(box.invoke(event, header)))

    def start_the_others() -> None:
        with sandbox(floor, "floor.handler") as box:
            taken["floor"].append(box.milliseconds_to(box.invoke({})))
        start(UNSAMPLED)

    start_the_others(), start(SAMPLED)
    for times in taken.values():
        times.clear()
    benchmark.pedantic(lambda: start(SAMPLED), setup=start_the_others, rounds=COLD_ROUNDS, iterations=1)

    least = statistics.median(taken["floor"])
    sampled, unsampled = (statistics.median(taken[header]) for header in (SAMPLED, UNSAMPLED))
    benchmark.extra_info.update(
        sampled_milliseconds=round(sampled),
        unsampled_milliseconds=round(unsampled),
        sampled_to_floor=round(sampled / least, 2),
        unsampled_to_floor=round(unsampled / least, 2),
    )
    print(f"\nsampled cold start: {benchmark.extra_info}")
    at_most(sampled / least, SAMPLED_COLD_START_TO_FLOOR_MAX)
