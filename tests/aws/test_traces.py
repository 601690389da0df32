"""Traces as they leave the function: the built artifact, AWS's own runtime client, and a daemon that listens."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.runtime_api import Sandbox
from engine.ledger.store import Tables
from engine.policy.compiled import load_compiled
from engine.runtime.tracing import SPANS_MAX
from tests.support.events import failed, rendered
from tests.support.world import World
from tests.support.xray import Daemon, annotations, names
from tools import environments
from tools.local_aws import tables_environment

ROOT, PARENT = "1-5bef4de7-ad49b0e87f6ef6c87fc2e700", "9a9197af755a6419"
SAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=1:a87bd80c:0"
RETRIED = f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"
UNSAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=0"

PROBE = """\
import sys
import handler

def lambda_handler(event, context):
    before = set(sys.modules)
    answer = handler.lambda_handler(event, context)
    return {"answer": answer, "imported": sorted(set(sys.modules) - before), "sdk": "aws_xray_sdk" in sys.modules}
"""
"""The function, and what its process has imported."""

U_1 = "a24a7f55f278dd49"
"""`printf %s u-1 | sha256sum | cut -c 1-16`"""

Function = Callable[..., Sandbox]


@pytest.fixture
def world(dynamodb: Any, tables: Tables) -> World:
    """Return tables with one user."""
    return World(dynamodb, tables).user()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Return a daemon."""
    with Daemon() as listening:
        yield listening


@pytest.fixture
def function(artifact: Path, local_aws: str, tables: Tables, daemon: Daemon, tmp_path: Path) -> Function:
    """Return what starts the function, with other variables if need be."""
    environments.fill(environments.RIC)
    (tmp_path / "probe.py").write_text(PROBE)
    variables = {
        **tables_environment(tables),
        "AWS_ENDPOINT_URL": local_aws,
        "AWS_XRAY_DAEMON_ADDRESS": daemon.address,
        "PYTHONPATH": f"{tmp_path}:{artifact}",
    }

    def start(**more: str) -> Sandbox:
        return Sandbox(environments.RIC.python, artifact, "probe.lambda_handler", {**variables, **more})

    return start


@pytest.fixture
def policy(artifact: Path) -> str:
    """Return the policy's name and digest, as entries have it."""
    policy = load_compiled(artifact / "policies" / "video.yaml")
    assert policy is not None
    return policy.identity


def as_batch(*documents: dict[str, Any]) -> dict[str, Any]:
    """Return the batch that Lambda's poller makes of events."""
    records = [
        {"messageId": f"m-{number}", "body": json.dumps(document), "eventSource": "aws:sqs"}
        for number, document in enumerate(documents)
    ]
    return {"Records": records}


def test_a_sampled_event_shows_where_its_time_went(function: Function, world: World, daemon: Daemon, policy: str) -> None:
    """Policy, match, decide, post: each says which job, which user (not by name), which rule, and what came of it."""
    world.job("j-1")
    about = {"job": "j-1", "user": U_1, "rule": "debit-rendered", "policy": policy}

    with function() as box:
        answer = box.invoke(rendered("j-1"), SAMPLED)

    assert "debited" == answer.body["answer"]["outcome"]
    documents = daemon.documents()
    assert annotations(documents) == [
        ("policy", {"policy": policy}),
        ("match", about),
        ("decide", {**about, "outcome": "debited", "attempt": 1}),
        ("post", {**about, "verdict": "posted"}),
    ]
    assert "u-1" not in json.dumps(documents)


def test_its_subsegments_hang_below_the_segment_that_lambda_makes(function: Function, world: World, daemon: Daemon) -> None:
    """By the ids of the header; one ends before the next begins."""
    world.job("j-1")
    begun = time.time()

    with function() as box:
        box.invoke(rendered("j-1"), SAMPLED)

    documents = daemon.documents()
    assert [("subsegment", ROOT, PARENT)] * 4 == [(d["type"], d["trace_id"], d["parent_id"]) for d in documents]
    assert 4 == len({document["id"] for document in documents})
    instants = [begun, *(instant for d in documents for instant in (d["start_time"], d["end_time"])), time.time()]
    assert sorted(instants) == instants
    assert all("fault" not in document for document in documents)


def test_an_event_that_is_not_sampled_imports_and_sends_nothing(function: Function, world: World, daemon: Daemon) -> None:
    """Not with the first one and not with those after it."""
    world.job("j-1").job("j-2")

    with function() as box:
        box.invoke(rendered("j-1"), UNSAMPLED)
        second = box.invoke(rendered("j-2"), UNSAMPLED)

    assert ([], False) == (second.body["imported"], second.body["sdk"])
    assert [] == daemon.documents()


def test_each_invocation_of_a_container_is_traced_by_its_own_header(function: Function, world: World, daemon: Daemon) -> None:
    """Also a retry: the same trace, below another segment."""
    world.job("j-1").job("j-2").job("j-3")

    with function() as box:
        box.invoke(rendered("j-1"), UNSAMPLED)
        first = box.invoke(rendered("j-2"), SAMPLED)
        sampled = daemon.documents()
        box.invoke(rendered("j-1"), UNSAMPLED)
        unsampled = daemon.documents()
        box.invoke(rendered("j-3"), RETRIED)
        retried = daemon.documents()

    assert first.body["sdk"]
    assert "asyncio" not in first.body["imported"], "wrapt has become slow: see pyproject.toml"
    assert [PARENT] * 4 == [document["parent_id"] for document in sampled]
    assert [] == unsampled
    assert ["53995c3f42cd8ad8"] * 4 == [document["parent_id"] for document in retried]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", ""])
def test_a_daemon_that_is_not_there_harms_nothing(function: Function, world: World, address: str) -> None:
    """Nobody listens, or the address is none."""
    world.job("j-1").job("j-2")

    with function(AWS_XRAY_DAEMON_ADDRESS=address) as box:
        outcomes = [box.invoke(rendered(job), SAMPLED).body["answer"]["outcome"] for job in ("j-1", "j-2")]

    assert ["debited", "debited"] == outcomes


def test_an_event_that_makes_no_sense_is_a_fault(function: Function, world: World, daemon: Daemon) -> None:
    """With the field that is wrong, and without the message: it may name a user."""
    with function() as box, pytest.raises(RuntimeError, match="EventError"):
        box.invoke(rendered("j-1", seconds="many"), SAMPLED)

    (_, match) = documents = daemon.documents()
    assert ["policy", "match"] == names(documents)
    assert match["fault"] is True
    assert {"error": "EventError", "errors": 1, "rule": "debit-rendered", "field": "detail.seconds"} == match["annotations"]
    assert "cause" not in match


def test_a_posting_that_learns_shows_each_attempt(function: Function, world: World, daemon: Daemon) -> None:
    """The job has no row yet: the first transaction tells, the second one goes without its mark."""
    with function() as box:
        box.invoke(rendered("j-9"), SAMPLED)

    documents = daemon.documents()
    assert ["policy", "match", "decide", "post", "decide", "post"] == names(documents)
    assert [1, 2] == [d["annotations"]["attempt"] for d in documents if d["name"] == "decide"]
    assert ["no-job-row", "posted"] == [d["annotations"]["verdict"] for d in documents if d["name"] == "post"]


def test_a_duplicate_shows_what_the_database_said(function: Function, world: World, daemon: Daemon) -> None:
    """The first decision is a guess, which the transaction refuses; the second one knows."""
    world.job("j-1")

    with function() as box:
        box.invoke(rendered("j-1"), UNSAMPLED)
        box.invoke(rendered("j-1"), SAMPLED)

    told = [(name, about.get("outcome"), about.get("verdict")) for name, about in annotations(daemon.documents())[2:]]
    assert [("decide", "debited", None), ("post", None, "sequence-taken"), ("decide", "duplicate", None)] == told


def test_a_batch_is_traced_as_a_whole(function: Function, world: World, daemon: Daemon, policy: str) -> None:
    """One subsegment for all of its events, with what they have in common; of 48 users' events 33 fit into a transaction."""
    jobs = [f"j-{number}" for number in range(48)]
    for number, job in enumerate(jobs):
        world.user(f"u-{number}").job(job, userId=f"u-{number}")

    with function() as box:
        answer = box.invoke(as_batch(*(rendered(job, user=f"u-{job[2:]}") for job in jobs)), SAMPLED)

    assert {"batchItemFailures": []} == answer.body["answer"]
    about = {"rule": "debit-rendered", "policy": policy}
    assert annotations(daemon.documents()) == [
        ("policy", {"policy": policy}),
        ("match", {**about, "events": 48}),
        ("decide", {**about, "events": 48, "outcome": "debited"}),
        ("post", {**about, "events": 33, "verdict": "posted"}),
        ("post", {**about, "events": 15, "verdict": "posted"}),
    ]


def test_a_batch_of_one_event_says_as_much_as_the_event_alone(
    function: Function, world: World, daemon: Daemon, policy: str
) -> None:
    """As the queue delivers most of them."""
    world.job("j-1")
    about = {"job": "j-1", "user": U_1, "rule": "debit-rendered", "policy": policy}

    with function() as box:
        box.invoke(as_batch(rendered("j-1")), SAMPLED)

    assert annotations(daemon.documents()) == [
        ("policy", {"policy": policy}),
        ("match", {**about, "events": 1}),
        ("decide", {**about, "outcome": "debited"}),
        ("post", {**about, "verdict": "posted"}),
    ]


def test_an_event_of_a_batch_that_makes_no_sense_is_a_fault_of_its_match(
    function: Function, world: World, daemon: Daemon
) -> None:
    """The others are posted."""
    world.job("j-1").job("j-2")

    with function() as box:
        answer = box.invoke(as_batch(rendered("j-1"), rendered("j-3", seconds=-1), rendered("j-2")), SAMPLED)

    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == answer.body["answer"]
    documents = daemon.documents()
    assert ["policy", "match", "decide", "post"] == names(documents)
    assert [None, True, None, None] == [document.get("fault") for document in documents]
    assert (3, 1, "EventError") == tuple(documents[1]["annotations"][name] for name in ("events", "errors", "error"))


def test_a_slice_of_the_scan_shows_its_pages(function: Function, world: World, daemon: Daemon, policy: str) -> None:
    """And what was posted of them."""
    world.job("j-1").job("j-2").job("j-3", status="queued")

    with function() as box:
        answer = box.invoke({"slices": [{"segment": 0, "segments": 1}]}, SAMPLED)

    assert {"debited": 2} == answer.body["answer"]["outcomes"]
    about = {"user": U_1, "rule": "debit-rendered", "policy": policy, "events": 2}
    assert annotations(daemon.documents()) == [
        ("policy", {"policy": policy}),
        ("scan page", {"segment": 0, "rows": 2, "rows_read": 3}),
        ("match", about),
        ("decide", {**about, "outcome": "debited"}),
        ("post", {**about, "verdict": "posted"}),
    ]


def test_an_invocation_sends_so_many_subsegments_and_no_more(function: Function, world: World, daemon: Daemon) -> None:
    """Sixty events of one job are sixty turns; all of them are posted, and the last subsegment says that it is the last."""
    world.job("j-1")
    hours = [rendered("j-1", seconds=minute + 1, at=f"10:{minute:02d}") for minute in range(60)]

    with function() as box:
        answer = box.invoke(as_batch(*hours), SAMPLED)

    documents = daemon.documents()
    assert {"batchItemFailures": []} == answer.body["answer"]
    assert 60 == len(world.entries("j-1"))
    assert SPANS_MAX == len(documents)
    assert [SPANS_MAX - 1] == [number for number, d in enumerate(documents) if d.get("annotations", {}).get("last")]


def test_a_refund_is_traced_like_a_debit(function: Function, world: World, daemon: Daemon) -> None:
    """The rule and the outcome are its own."""
    world.job("j-1")

    with function() as box:
        box.invoke(rendered("j-1"), UNSAMPLED)
        box.invoke(failed("j-1"), SAMPLED)

    decided = next(document for document in daemon.documents() if document["name"] == "decide")
    assert ("refund-failed", "refunded") == (decided["annotations"]["rule"], decided["annotations"]["outcome"])
