"""A warm event: what the handler costs beside the bare transaction that it must make in any case."""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

import handler
from benchmarks.budgets import (
    BATCH_EVENT_TO_BARE_TRANSACTION_MAX,
    BATCH_EVENTS_PER_SECOND_TO_BARE_MIN,
    BLOCKS,
    CALLS,
    HOLD_TO_DEBIT_MAX,
    SETTLE_TO_DEBIT_MAX,
    WARM_EVENT_MILLISECONDS_MAX,
    WARM_EVENT_TO_BARE_TRANSACTION_MAX,
)
from benchmarks.gates import at_least, at_most
from engine.domain.decision import Standing
from engine.domain.envelope import Envelope, Source
from engine.domain.log import JobLog
from engine.ledger.dynamodb.postings import EncodedPosting, item_of
from engine.ledger.store import Tables
from engine.policy import Policy, load_policy
from engine.rating.assess import assess
from engine.rating.decide import decide
from engine.rating.job_row import ASSUMED_ROW, with_row
from engine.runtime.clock import Clock

POLICY = "policies/video.yaml"
WITH_HOLDS = "policies/video-with-holds.yaml"


def test_warm_debit(benchmark: Any, peer: Any, tables: Tables, new_event: Callable[[], dict[str, Any]]) -> None:
    """CPU of the handler's debit and of boto3's bare transaction with the same items, in interleaved blocks."""
    policy = load_policy(POLICY)
    bare: list[float] = []
    ours: list[float] = []
    wall: list[float] = []

    def bare_block() -> None:
        requests = [bare_request(tables, new_event(), policy) for _ in range(CALLS)]
        started = time.process_time()
        for request in requests:
            peer.transact_write_items(**request)
        bare.append((time.process_time() - started) / CALLS)

    def our_block() -> None:
        events = [new_event() for _ in range(CALLS)]
        started, wall_started = time.process_time(), time.perf_counter()
        for event in events:
            handler.lambda_handler(event)
        ours.append((time.process_time() - started) / CALLS)
        wall.append((time.perf_counter() - wall_started) / CALLS)

    bare_block(), our_block()
    bare.clear(), ours.clear(), wall.clear()
    benchmark.pedantic(our_block, setup=bare_block, rounds=BLOCKS, iterations=1)

    ratio = statistics.median(ours) / statistics.median(bare)
    benchmark.extra_info.update(
        cpu_microseconds=round(statistics.median(ours) * 1e6),
        bare_cpu_microseconds=round(statistics.median(bare) * 1e6),
        to_bare_transaction=round(ratio, 2),
    )
    print(f"\nwarm debit: {benchmark.extra_info}")
    at_most(ratio, WARM_EVENT_TO_BARE_TRANSACTION_MAX)
    at_most(max(wall) * 1000, WARM_EVENT_MILLISECONDS_MAX)


def test_warm_hold(
    benchmark: Any, peer: Any, new_event: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPU of a request to hold, of the charge that settles it, and of a debit alone, in interleaved blocks.

    The debit is by the shipped policy. A hold is answered with what the user has left, which is a read more; what settles it
    reads the log first.
    """
    assert peer
    taken: dict[str, list[float]] = {"debit": [], "hold": [], "settle": []}

    def block(name: str, policy: str, events: list[dict[str, Any]], outcome: str) -> None:
        monkeypatch.setenv("POLICY_FILE", policy)
        started = time.process_time()
        answers = [handler.lambda_handler(event) for event in events]
        taken[name].append((time.process_time() - started) / len(events))
        assert {outcome} == {answer["outcome"] for answer in answers}

    def debits() -> None:
        block("debit", POLICY, [new_event() for _ in range(CALLS)], "debited")

    def holds() -> None:
        charges = [new_event() for _ in range(CALLS)]
        block("hold", WITH_HOLDS, [request_of(charge) for charge in charges], "held")
        block("settle", WITH_HOLDS, charges, "settled")

    debits(), holds()
    for times in taken.values():
        times.clear()
    benchmark.pedantic(holds, setup=debits, rounds=BLOCKS, iterations=1)

    cpu = {name: statistics.median(times) for name, times in taken.items()}
    benchmark.extra_info.update(
        cpu_microseconds=round(cpu["hold"] * 1e6),
        hold_to_debit=round(cpu["hold"] / cpu["debit"], 2),
        settle_to_debit=round(cpu["settle"] / cpu["debit"], 2),
    )
    print(f"\nwarm hold: {benchmark.extra_info}")
    at_most(cpu["hold"] / cpu["debit"], HOLD_TO_DEBIT_MAX)
    at_most(cpu["settle"] / cpu["debit"], SETTLE_TO_DEBIT_MAX)


def request_of(charge: dict[str, Any]) -> dict[str, Any]:
    """Return the request to hold what a charge takes."""
    return {**charge, "id": str(uuid.uuid4()), "detail-type": "video.submitted", "time": "2026-01-05T09:55:00Z"}


def test_warm_batch(benchmark: Any, peer: Any, tables: Tables, new_event: Callable[[], dict[str, Any]]) -> None:
    """A queue's batch of 48 events against the same events one by one: CPU of each event, and events a second."""
    policy = load_policy(POLICY)
    taken: dict[str, list[tuple[float, float]]] = {"bare": [], "single": [], "batch": []}

    def timed(name: str, work: Callable[[], None]) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        taken[name].append(((time.process_time() - cpu) / BATCH, (time.perf_counter() - wall) / BATCH))

    def others() -> None:
        requests = [bare_request(tables, new_event(), policy) for _ in range(BATCH)]
        timed("bare", lambda: [peer.transact_write_items(**request) for request in requests])  # type: ignore[arg-type,return-value]
        events = [new_event() for _ in range(BATCH)]
        timed("single", lambda: [handler.lambda_handler(event) for event in events])  # type: ignore[arg-type,return-value]

    def batch() -> None:
        records = [record(new_event()) for _ in range(BATCH)]
        answers: list[Any] = []
        timed("batch", lambda: answers.append(handler.lambda_handler({"Records": records})))
        assert answers == [{"batchItemFailures": []}]

    others(), batch()
    for times in taken.values():
        times.clear()
    benchmark.pedantic(batch, setup=others, rounds=BLOCKS, iterations=1)

    cpu = {name: statistics.median(times[0] for times in values) for name, values in taken.items()}
    wall = {name: statistics.median(times[1] for times in values) for name, values in taken.items()}
    benchmark.extra_info.update(
        cpu_microseconds=round(cpu["batch"] * 1e6),
        cpu_to_bare_transaction=round(cpu["batch"] / cpu["bare"], 2),
        events_per_second_to_bare=round(wall["bare"] / wall["batch"], 1),
        events_per_second_to_single=round(wall["single"] / wall["batch"], 1),
    )
    print(f"\nwarm batch: {benchmark.extra_info}")
    at_most(cpu["batch"] / cpu["bare"], BATCH_EVENT_TO_BARE_TRANSACTION_MAX)
    at_least(wall["bare"] / wall["batch"], BATCH_EVENTS_PER_SECOND_TO_BARE_MIN)


BATCH = 48
"""As many debits of one user as a transaction holds, with their marks."""


def record(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as SQS hands it over."""
    return {"messageId": event["id"], "eventSource": "aws:sqs", "body": json.dumps(event)}


def bare_request(tables: Tables, event: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """Return the transaction of a debit, ready to be sent."""
    assessment = assess(Envelope(event, Source.EVENT), policy)
    assert assessment is not None
    decision = with_row(decide(assessment, JobLog(), Standing.ASSUMED_COVERED, policy), assessment, ASSUMED_ROW, policy)
    assert decision.entry is not None
    posting = EncodedPosting(decision.entry, item_of(decision.entry, Clock().now()), decision.guard, decision.mark)
    return {"TransactItems": posting.actions(tables), "ClientRequestToken": str(uuid.uuid4())}
