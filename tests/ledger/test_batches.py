"""Many events in few transactions: the same books as one by one, and a bad event costs its neighbours but a retry."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from engine.domain.envelope import Envelope, Source
from engine.ledger.store import ACTIONS_MAX, Tables
from engine.runtime.telemetry import Report
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tests.support.world import DisturbedClient, World


def deliver_together(world: World, *documents: dict[str, Any], client: Any = None) -> list[Any]:
    """Deliver events as one batch, and return how each ended: its outcome, or the name of its error."""
    envelopes = [Envelope(document, Source.QUEUE) for document in documents]
    results = world.reconciler(client).many(envelopes, world.deadline(60))
    return [result.outcome.value if isinstance(result, Report) else type(result).__name__ for result in results]


def counting(world: World) -> tuple[Any, Counter[str], list[int]]:
    """Return a client that counts its calls and the actions of each transaction."""
    sizes: list[int] = []
    calls: Counter[str] = Counter()

    def count(operation: str, request: dict[str, Any], send: Any) -> Any:
        calls[operation] += 1
        if operation == "transact_write_items":
            sizes.append(len(request["TransactItems"]))
        return send(**request)

    return DisturbedClient(world.client, count), calls, sizes


MIXED = [
    *(rendered(f"j-{number}", seconds=number + 1, user=f"u-{number % 3}") for number in range(20)),
    *(failed(f"j-{number}", user=f"u-{number % 3}") for number in range(0, 20, 3)),
    rendered("j-1", seconds=2, user="u-1"),
    rendered("j-5", seconds=99, user="u-2", at="12:00"),
    rendered("j-bad", seconds=-1, user="u-1"),
    rendered("j-lost", user="nobody"),
    rendered("j-1", seconds=2, user="u-2"),
    event("video.queued", {"jobId": "j-q", "userId": "u-1"}),
    rendered("test-1", user="u-1"),
]
"""Charges, refunds, a repetition, a later render, what makes no sense, an unknown user, a wrong owner, what is ignored."""


@pytest.mark.parametrize("overdraft", ["flag", "refuse", "allow"])
@pytest.mark.parametrize("with_rows", [True, False])
def test_a_batch_leaves_what_one_by_one_leaves(
    dynamodb: Any,
    tables: Tables,
    new_tables: Any,
    overdraft: str,
    with_rows: bool,  # noqa: FBT001
) -> None:
    """The same outcomes and byte for byte the same tables, also where the balance runs out on the way."""
    policy = example(("overdraft: flag", f"overdraft: {overdraft}"))
    together, single = World(dynamodb, tables, policy=policy), World(dynamodb, new_tables(), policy=policy)
    for world in (together, single):
        world.user("u-0", "1000").user("u-1", "6").user("u-2", "2")
        for number in range(20 if with_rows else 0):
            world.job(f"j-{number}", userId=f"u-{number % 3}")

    ends = deliver_together(together, *MIXED)
    one_by_one = [end for document in MIXED for end in deliver_together(single, document)]

    assert Counter(one_by_one) == Counter(ends)
    if overdraft == "refuse":  # which of a user's charges the balance covers depends on the order; what it adds up to does not
        return
    assert nets(single) == nets(together)
    assert single.everything()["credits"] == together.everything()["credits"]


def nets(world: World) -> dict[str, Decimal]:
    """Return what each reference adds up to."""
    sums: dict[str, Decimal] = {}
    for entry in world.everything()["ledger"]:
        sums[entry["reference"]] = sums.get(entry["reference"], Decimal(0)) + Decimal(entry["amount"])
    return sums


def test_a_hundred_actions_go_together(dynamodb: Any, tables: Tables) -> None:
    """49 debits of one user with their marks: 49 entries, 49 marks, one sum."""
    world = World(dynamodb, tables).user()
    for number in range(49):
        world.job(f"j-{number}")
    client, calls, sizes = counting(world)

    ends = deliver_together(world, *(rendered(f"j-{number}") for number in range(49)), client=client)

    assert ["debited"] * 49 == ends
    assert ({"transact_write_items": 1}, [99]) == (dict(calls), sizes)
    assert {"remaining": Decimal("960.8"), "posted": Decimal("-39.2")}.items() <= (world.user_row() or {}).items()
    assert all(world.job_row(f"j-{number}")["reconciled"] for number in range(49))  # type: ignore[index]


def test_no_transaction_has_more_than_a_hundred_actions(dynamodb: Any, tables: Tables) -> None:
    """Two hundred debits of two hundred users: three actions each."""
    world = World(dynamodb, tables)
    for number in range(200):
        world.user(f"u-{number}").job(f"j-{number}", userId=f"u-{number}")
    client, calls, sizes = counting(world)

    ends = deliver_together(world, *(rendered(f"j-{n}", user=f"u-{n}") for n in range(200)), client=client)

    assert ["debited"] * 200 == ends
    assert [99, 99, 99, 99, 99, 99, 6] == sizes
    assert max(sizes) <= ACTIONS_MAX
    assert 7 == calls.total()


def test_one_bad_event_costs_its_neighbours_one_retry(dynamodb: Any, tables: Tables) -> None:
    """A duplicate among thirty: the cancelled transaction, the other twenty-nine again, and no read at all."""
    world = World(dynamodb, tables).user()
    for number in range(30):
        world.job(f"j-{number}")
    world.deliver(rendered("j-7", seconds=8))
    client, calls, sizes = counting(world)

    ends = deliver_together(world, *(rendered(f"j-{number}", seconds=8) for number in range(30)), client=client)

    assert ["debited"] * 7 + ["duplicate"] + ["debited"] * 22 == ends
    assert ({"transact_write_items": 2}, [61, 59]) == (dict(calls), sizes)


def test_jobs_without_rows_cost_one_retry_for_all(dynamodb: Any, tables: Tables) -> None:
    """An application that writes no rows: once with marks, once without."""
    world = World(dynamodb, tables).user()
    client, calls, _ = counting(world)

    ends = deliver_together(world, *(rendered(f"j-{number}") for number in range(30)), client=client)

    assert ["debited"] * 30 == ends
    assert {"transact_write_items": 2} == dict(calls)


def test_events_of_one_job_keep_their_order(dynamodb: Any, tables: Tables) -> None:
    """Charge, refund and the next charge of a job in one batch, beside others; the log is read for none of them."""
    world = World(dynamodb, tables).user()
    world.job("j-1").job("j-2")
    client, calls, _ = counting(world)

    ends = deliver_together(
        world,
        rendered("j-1", at="10:00", seconds=8),
        rendered("j-2", at="10:00", seconds=8),
        failed("j-1", at="11:00"),
        rendered("j-1", at="12:00", seconds=9),
        client=client,
    )

    assert ["debited", "debited", "refunded", "debited"] == ends
    assert [("debit", Decimal("-0.8")), ("refund", Decimal("0.8")), ("debit", Decimal("-0.9"))] == world.amounts("j-1")
    assert 0 == calls["query"]


@pytest.mark.parametrize("lost", ["the request", "the answer"])
def test_what_is_lost_on_the_way_is_sent_again(dynamodb: Any, tables: Tables, lost: str) -> None:
    """With the same token, so that nothing is posted twice."""
    world = World(dynamodb, tables).user()
    failures = iter([True])

    def lose(_operation: str, request: dict[str, Any], send: Any) -> Any:
        if next(failures, False):
            if lost == "the answer":
                send(**request)
            raise ClientError({"Error": {"Code": "InternalServerError"}}, "TransactWriteItems")
        return send(**request)

    for number in range(10):
        world.job(f"j-{number}")
    ends = deliver_together(world, *(rendered(f"j-{n}") for n in range(10)), client=DisturbedClient(dynamodb, lose))

    assert ["debited"] * 10 == ends
    assert Decimal(-8) == (world.user_row() or {})["posted"]


def test_a_request_that_is_refused_as_a_whole_is_taken_apart(dynamodb: Any, tables: Tables) -> None:
    """One entry is larger than an item may be, say; its neighbours are posted one by one."""
    world = World(dynamodb, tables).user()
    large = rendered("j-large")

    def refuse_large(_operation: str, request: dict[str, Any], send: Any) -> Any:
        if "j-large" in json.dumps(request):
            message = "Item size has exceeded the maximum allowed size"
            raise ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "TransactWriteItems")
        return send(**request)

    client = DisturbedClient(dynamodb, refuse_large)
    ends = deliver_together(world, rendered("j-1"), large, rendered("j-2"), client=client)

    assert ["debited", "LedgerRefused", "debited"] == ends
    assert [] == world.entries("j-large")


def test_without_time_everything_comes_back(dynamodb: Any, tables: Tables) -> None:
    """Nothing is begun, nothing is lost."""
    world = World(dynamodb, tables).user()
    envelopes = [Envelope(rendered(f"j-{number}"), Source.QUEUE) for number in range(3)]

    results = world.reconciler().many(envelopes, world.deadline(0))

    assert ["TimeIsUp"] * 3 == [type(result).__name__ for result in results]
    assert [] == world.everything()["ledger"]


def test_sixteen_threads_of_batches_with_poison_end_in_the_right_sums(dynamodb: Any, tables: Tables) -> None:
    """Overlapping batches: each event twice, a fifth of them malformed, one hot user."""
    world = World(dynamodb, tables).user("u-1", "10000")
    events = [rendered(f"j-{number}", seconds=-1 if number % 5 == 4 else 10) for number in range(200)]
    batches = [events[start : start + 25] for start in range(0, 200, 25)] * 2

    with ThreadPoolExecutor(16) as pool:
        ends = Counter(end for ends in pool.map(lambda batch: deliver_together(world, *batch), batches) for end in ends)

    assert {"debited": 160, "duplicate": 160, "EventError": 80} == dict(ends)
    assert Decimal(-160) == (world.user_row() or {})["posted"]


def test_each_event_of_a_batch_has_its_own_log_line(dynamodb: Any, tables: Tables) -> None:
    """With its own outcome, as if it had come by itself."""
    world = World(dynamodb, tables).user()
    records = [
        {"messageId": f"m-{n}", "eventSource": "aws:sqs", "body": json.dumps(document)}
        for n, document in enumerate([rendered("j-1"), rendered("j-2", seconds=-1), rendered("j-1")])
    ]

    failures = world.reconciler().batch(records, world.deadline(30))

    assert ["m-1"] == failures
    assert ["debited", "error", "duplicate"] == [line["outcome"] for line in world.lines]
