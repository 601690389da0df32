"""What reaching the database costs: a posting, and a page of a scan, beside boto3 with the same request and answer."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from benchmarks.budgets import BLOCKS, CALLS, POST_TO_BARE_TRANSACTION_MAX, SCAN_ROW_TO_BOTO3_CLIENT_MAX
from benchmarks.canned import answering
from benchmarks.gates import at_most
from benchmarks.test_warm import bare_request
from engine.domain.decision import Standing
from engine.domain.envelope import Envelope, Source
from engine.domain.log import JobLog
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.signing import Credentials, Signer
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import Endpoint, WireClient
from engine.ledger.store import ScanSlice, Tables, Verdict
from engine.ledger.wanted import ALL
from engine.policy import load_policy
from engine.rating.assess import assess
from engine.rating.decide import decide
from engine.rating.job_row import ASSUMED_ROW, with_row
from engine.runtime.clock import Clock
from tools.local_aws import REGION

ROWS = 3_765
"""Of some 280 bytes: a page of 1 MB."""

SECONDS = 30.0
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}

Work = Callable[[], object]


@pytest.fixture
def nothing(tmp_path: Path) -> Iterator[str]:
    """Return a database that takes everything."""
    with answering(b"{}", tmp_path) as endpoint:
        yield endpoint


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """Return a database that answers with a page of jobs, all of them due."""
    rows = [
        {
            "jobId": f"j-{number:032x}",
            "userId": f"u-{number % 997:012}",
            "status": "completed",
            "model": "veo-3",
            "seconds": 8,
            "completedAt": "2026-01-05T10:00:00.123456Z",
            "result_url": f"s3://renders/2026/01/05/{number:032x}.mp4",
        }
        for number in range(ROWS)
    ]
    answer = {"Items": [encode_item(row) for row in rows], "Count": ROWS, "ScannedCount": ROWS}
    with answering(json.dumps(answer, separators=(",", ":")).encode(), tmp_path) as endpoint:
        yield endpoint


def test_post(benchmark: Any, nothing: str, new_event: Callable[[], dict[str, Any]], tables: Tables) -> None:
    """A decided debit until it is posted: made into items, signed, sent, answered."""
    policy, ledger = load_policy("policies/video.yaml"), ledger_on(nothing, tables)
    event = new_event()
    assessment = assess(Envelope(event, Source.EVENT), policy)
    assert assessment is not None
    decision = with_row(decide(assessment, JobLog(), Standing.ASSUMED_COVERED, policy), assessment, ASSUMED_ROW, policy)
    assert decision.entry is not None
    entry, guard, mark, deadline = decision.entry, decision.guard, decision.mark, ledger.clock.deadline(600)
    request, peer = bare_request(tables, event, policy), boto3.client("dynamodb", endpoint_url=nothing, **KEYS)
    assert ledger.post(entry, guard, mark, deadline).verdict is Verdict.POSTED

    medians = by_turns(
        benchmark,
        ours=lambda: [ledger.post(entry, guard, mark, deadline) for _ in range(CALLS)],
        bare=lambda: [peer.transact_write_items(**request) for _ in range(CALLS)],
    )
    peer.close(), ledger.close()
    ratio = medians["ours"] / medians["bare"]
    benchmark.extra_info.update(
        cpu_microseconds=round(medians["ours"] / CALLS * 1e6),
        bare_cpu_microseconds=round(medians["bare"] / CALLS * 1e6),
        to_bare_transaction=round(ratio, 2),
    )
    print(f"\npost: {benchmark.extra_info}")
    at_most(ratio, POST_TO_BARE_TRANSACTION_MAX)


def test_scan_page(benchmark: Any, page: str, tables: Tables) -> None:
    """A page of 1 MB until its rows can be looked at, beside boto3's client (which leaves them undecoded) and its resource."""
    ledger, part = ledger_on(page, tables), ScanSlice(0, 1)
    client = boto3.client("dynamodb", endpoint_url=page, **KEYS)
    table = boto3.resource("dynamodb", endpoint_url=page, **KEYS).Table(tables.jobs)
    deadline = ledger.clock.deadline(600)
    assert list(ledger.due_jobs(part, ALL, deadline).rows) == table.scan()["Items"]

    medians = by_turns(
        benchmark,
        ours=lambda: ledger.due_jobs(part, ALL, deadline),
        client=lambda: client.scan(TableName=tables.jobs),
        resource=table.scan,
    )
    client.close(), table.meta.client.close(), ledger.close()
    benchmark.extra_info.update(
        {f"{name}_microseconds_a_row": round(value / ROWS * 1e6, 1) for name, value in medians.items()}
    )
    benchmark.extra_info.update(
        to_client=round(medians["ours"] / medians["client"], 2), to_resource=round(medians["ours"] / medians["resource"], 2)
    )
    print(f"\nscan: {benchmark.extra_info}")
    at_most(medians["ours"] / medians["client"], SCAN_ROW_TO_BOTO3_CLIENT_MAX)


def ledger_on(endpoint: str, tables: Tables) -> DynamoStore:
    """Return a ledger with the client that the function has."""
    url, clock = urlsplit(endpoint), Clock()
    where = Endpoint(url.hostname or "", url.port or 80, is_tls=False)
    return DynamoStore(WireClient(where, Signer(Credentials("test", "test"), REGION), clock.now, 1, SECONDS), tables, clock)


def by_turns(benchmark: Any, ours: Work, **peers: Work) -> dict[str, float]:
    """Return the median processor time of each, all of them in turn in each round; the first round does not count."""
    taken: dict[str, list[float]] = {"ours": [], **{name: [] for name in peers}}

    def timed(name: str, work: Work) -> None:
        started = time.process_time()
        work()
        taken[name].append(time.process_time() - started)

    def others() -> None:
        for name, work in peers.items():
            timed(name, work)

    others(), timed("ours", ours)
    for values in taken.values():
        values.clear()
    benchmark.pedantic(timed, ("ours", ours), setup=others, rounds=BLOCKS, iterations=1)
    return {name: statistics.median(values) for name, values in taken.items()}
