"""A warm event: what the handler costs beside the bare transaction that it must make in any case."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

import handler
from benchmarks.budgets import WARM_EVENT_MILLISECONDS_MAX, WARM_EVENT_TO_BARE_TRANSACTION_MAX
from engine.assess import assess
from engine.clock import Clock
from engine.decide import decide
from engine.ledger import Tables
from engine.ledger.entries import item_of
from engine.ledger.postings import Posting
from engine.policy import Policy, load_policy
from engine.values import Envelope, JobLog, Source, Standing

BLOCKS, CALLS = 15, 20
POLICY = "policies/video.yaml"


def test_warm_debit(
    benchmark: Any,
    environment: dict[str, str],
    tables: Tables,
    new_event: Callable[[], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CPU of the handler's debit and of boto3's bare transaction with the same items, in interleaved blocks."""
    import boto3  # noqa: PLC0415  the peer, with its default settings

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    peer = boto3.client("dynamodb", endpoint_url=environment["AWS_ENDPOINT_URL"])
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

    peer.close()
    ratio = statistics.median(ours) / statistics.median(bare)
    benchmark.extra_info.update(
        cpu_microseconds=round(statistics.median(ours) * 1e6),
        bare_cpu_microseconds=round(statistics.median(bare) * 1e6),
        to_bare_transaction=round(ratio, 2),
    )
    print(f"\nwarm debit: {benchmark.extra_info}")
    assert ratio <= WARM_EVENT_TO_BARE_TRANSACTION_MAX
    assert max(wall) * 1000 < WARM_EVENT_MILLISECONDS_MAX


def bare_request(tables: Tables, event: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """Return the transaction of a debit, ready to be sent."""
    assessment = assess(Envelope(event, Source.EVENT), policy)
    assert assessment is not None
    decision = decide(assessment, JobLog(), Standing.ASSUMED_COVERED, policy)
    assert decision.entry is not None
    posting = Posting(decision.entry, item_of(decision.entry, Clock().now()), decision.guard, decision.mark)
    return {"TransactItems": posting.actions(tables), "ClientRequestToken": str(uuid.uuid4())}
