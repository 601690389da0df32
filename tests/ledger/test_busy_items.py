"""One refused item of a transaction costs its own postings and no other's."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from engine.domain.envelope import Envelope, Source
from engine.ledger.dynamodb.wire import ServiceError
from engine.ledger.store import Tables
from engine.runtime.telemetry import Report
from tests.support.busy import Meeting, Refusing
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

TRANSIENT = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
BUSY = ("u-busy", "job#j-busy/1", "j-busy")
"""The keys of the items of one posting: the user's row, the entry, the job's row."""

NEIGHBOURS = 40
SECONDS_MAX = 2.0
BATCH_SECONDS = 29.5
"""What the function leaves of its thirty seconds."""


def neighbours(world: World) -> list[dict[str, Any]]:
    """Return the events of forty users who have nothing to do with the one that is busy; their rows are there."""
    for number in range(NEIGHBOURS):
        world.user(f"u-{number}").job(f"j-{number}", userId=f"u-{number}")
    world.user("u-busy").job("j-busy", userId="u-busy")
    return [rendered(f"j-{number}", user=f"u-{number}") for number in range(NEIGHBOURS)]


def settle(world: World, disturb: Any, documents: list[dict[str, Any]]) -> list[Any]:
    """Deliver one batch over a client that ``disturb`` stands before, and return its results."""
    client = DisturbedClient(world.client, disturb)
    envelopes = [Envelope(document, Source.QUEUE) for document in documents]
    return world.reconciler(client).many(envelopes, world.deadline(BATCH_SECONDS))


def ends_of(results: list[Any]) -> Counter[str]:
    """Return how often each outcome, or name of an error, stands among the results."""
    return Counter(result.outcome.value if isinstance(result, Report) else type(result).__name__ for result in results)


def manual(dynamodb: Any, tables: Tables) -> tuple[World, ManualClock]:
    """Return tables with a clock that moves only when somebody waits."""
    clock = ManualClock()
    return World(dynamodb, tables, clock=clock.clock()), clock


@pytest.mark.parametrize("times", [1, 3, None])
@pytest.mark.parametrize("key", BUSY)
@pytest.mark.parametrize("code", TRANSIENT)
def test_neighbours_of_a_busy_item_do_not_wait_for_it(
    dynamodb: Any, tables: Tables, code: str, key: str, times: int | None
) -> None:
    """Forty are posted by the second request; the busy one as soon as it is taken, or it comes back alone."""
    world, clock = manual(dynamodb, tables)
    refusing = Refusing({key: {"Code": code}}, times, lambda: clock.elapsed)
    events = neighbours(world)
    events.insert(20, rendered("j-busy", user="u-busy"))

    results = settle(world, refusing, events)

    assert {f"job#j-{n}/1" for n in range(NEIGHBOURS)} <= refusing.posted.keys()
    last = max(at for posted, at in refusing.posted.items() if posted not in BUSY)
    print(f"{code} of {key}, {times or 'every'} time(s): neighbours after {last} s, all after {clock.elapsed:.2f} s")  # noqa: T201
    assert last <= SECONDS_MAX
    assert [99, 24, 96] == refusing.sizes[:3]  # 33 postings of three items, 8; then the 32 beside the busy one
    if times is not None:
        assert {"debited": 41} == ends_of(results)
        assert clock.elapsed <= SECONDS_MAX
        return
    assert {"debited": 40, "LedgerUnavailable": 1} == ends_of(results)
    told = str(results[20])
    assert all(part in told for part in ("rule debit-rendered", "job j-busy", "user u-busy", code))
    assert clock.elapsed <= 15.0
    assert [] == world.entries("j-busy")


def test_all_postings_of_a_busy_user_wait_and_no_other(dynamodb: Any, tables: Tables) -> None:
    """They share the update of one balance: together they are posted when it is free, in one transaction."""
    world, clock = manual(dynamodb, tables)
    refusing = Refusing({"u-busy": {"Code": "TransactionConflict"}}, 4, lambda: clock.elapsed)
    events = neighbours(world)[:10] + [rendered(f"j-b{number}", seconds=10, user="u-busy") for number in range(8)]
    for number in range(8):
        world.job(f"j-b{number}", userId="u-busy")

    results = settle(world, refusing, events)

    assert {"debited": 18} == ends_of(results)
    assert [47, 30, 17, 17, 17, 17] == refusing.sizes
    assert {"remaining": Decimal(992), "posted": Decimal(-8)}.items() <= (world.user_row("u-busy") or {}).items()


def test_one_that_never_comes_free_takes_no_time_from_one_that_does(dynamodb: Any, tables: Tables) -> None:
    """Three users are refused: one for ever, two six times. All are asked in turn, so that two are posted."""
    world, clock = manual(dynamodb, tables)
    conflict = {"Code": "TransactionConflict"}
    for user in ("u-a", "u-b", "u-c"):
        world.user(user)
    refusing = Refusing({"u-a": conflict}, None, lambda: clock.elapsed)
    passing = Refusing({"u-b": conflict, "u-c": conflict}, 6, lambda: clock.elapsed)

    def both(operation: str, request: dict[str, Any], send: Any) -> Any:
        return refusing(operation, request, lambda **again: passing(operation, again, send))

    results = settle(world, both, [rendered(f"j-{name}", user=f"u-{name}") for name in "abc"])

    assert ["LedgerUnavailable", "debited", "debited"] == [next(iter(ends_of([result]))) for result in results]
    assert passing.posted["u-b"] <= SECONDS_MAX
    assert clock.elapsed <= 15.0


def test_what_comes_later_waits_behind_its_own_job_alone(dynamodb: Any, tables: Tables) -> None:
    """A neighbour's render and failure are posted in two waves; neither waits for the busy job, which keeps its order."""
    world, clock = manual(dynamodb, tables)
    refusing = Refusing({"u-busy": {"Code": "ThrottlingError"}}, 5, lambda: clock.elapsed)
    world.user("u-busy").user("u-1")
    events = [rendered("j-busy", user="u-busy"), rendered("j-1"), failed("j-busy", user="u-busy"), failed("j-1")]

    results = settle(world, refusing, events)

    assert {"debited": 2, "refunded": 2} == ends_of(results)
    assert 0 == refusing.posted["job#j-1/2"]
    assert [("debit", Decimal("-0.8")), ("refund", Decimal("0.8"))] == world.amounts("j-busy")


def test_a_duplicate_is_told_while_its_user_is_busy(dynamodb: Any, tables: Tables) -> None:
    """An entry that the answer shows stands for good: whatever becomes of the balance, the event is known."""
    world, clock = manual(dynamodb, tables)
    world.user("u-busy").user("u-1")
    world.deliver(rendered("j-busy", user="u-busy"))
    key = {"reference": {"S": "job#j-busy"}, "sequence": {"N": "1"}}
    entry = dynamodb.get_item(TableName=tables.ledger, Key=key)["Item"]
    reasons = {"job#j-busy/1": {"Code": "ConditionalCheckFailed", "Item": entry}, "u-busy": {"Code": "TransactionConflict"}}

    results = settle(
        world, Refusing(reasons, None, lambda: clock.elapsed), [rendered("j-busy", user="u-busy"), rendered("j-1")]
    )

    assert {"duplicate": 1, "debited": 1} == ends_of(results)
    assert 0 == clock.elapsed


def test_a_condition_beside_a_conflict_is_not_believed(dynamodb: Any, tables: Tables) -> None:
    """The job's row seems to be gone while the user's is busy: asked again, it is there, and gets its mark."""
    world, clock = manual(dynamodb, tables)
    world.user("u-busy").user("u-1").job("j-busy", userId="u-busy")
    reasons = {"j-busy": {"Code": "ConditionalCheckFailed"}, "u-busy": {"Code": "TransactionConflict"}}

    results = settle(world, Refusing(reasons, 1, lambda: clock.elapsed), [rendered("j-busy", user="u-busy"), rendered("j-1")])

    assert {"debited": 2} == ends_of(results)
    assert True is (world.job_row("j-busy") or {})["reconciled"]


@pytest.mark.parametrize("code", ["ValidationError", "ItemCollectionSizeLimitExceeded", "SomethingNew"])
def test_an_item_that_is_refused_for_good_costs_its_own_postings(dynamodb: Any, tables: Tables, code: str) -> None:
    """Forty go again at once, without it; by itself it tells what is wrong, with its subject."""
    world, clock = manual(dynamodb, tables)
    message = "Number overflow. Attempting to store a number with magnitude larger than supported range"
    refusing = Refusing({"u-busy": {"Code": code, "Message": message}}, None, lambda: clock.elapsed)
    events = [*neighbours(world)[:20], rendered("j-busy", user="u-busy")]

    results = settle(world, refusing, events)

    assert {"debited": 20, "LedgerRefused": 1} == ends_of(results)
    assert [63, 60, 3] == refusing.sizes
    assert 0 == clock.elapsed
    assert str(results[-1]).endswith(
        "rule debit-rendered, job j-busy, user u-busy: DynamoDB refuses "
        f"-0.8000 on `remaining` and `posted` of user 'u-busy': {code}: {message}"
    )


def test_a_throttled_read_holds_up_nobody_else(dynamodb: Any, tables: Tables) -> None:
    """A refund reads its job's log first: one whose partition is throttled for ever comes back, the others are posted."""
    world, clock = manual(dynamodb, tables)
    world.user("u-busy").user("u-1")
    world.deliver(rendered("j-busy", user="u-busy"), rendered("j-1"), rendered("j-2"))
    posted: dict[str, float] = {}

    def throttled(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation == "query" and request["ExpressionAttributeValues"][":reference"] == {"S": "job#j-busy"}:
            raise ServiceError("ProvisionedThroughputExceededException", "the partition is hot", 400, [])
        answer = send(**request)
        if operation == "transact_write_items":
            posted[operation] = clock.elapsed
        return answer

    results = settle(world, throttled, [failed("j-busy", user="u-busy"), failed("j-1"), failed("j-2")])

    assert {"LedgerUnavailable": 1, "refunded": 2} == ends_of(results)
    assert posted["transact_write_items"] <= SECONDS_MAX
    assert "job j-busy, user u-busy" in str(results[0])


THREADS, BATCHES, EACH = 8, 24, 12


def test_eight_threads_whose_batches_share_a_user(dynamodb: Any, tables: Tables) -> None:
    """Transactions that meet are refused as DynamoDB refuses them. Every event comes twice; each is posted once."""
    world = World(dynamodb, tables).user("u-hot", "10000")
    batches = []
    for batch in range(BATCHES):
        world.user(f"u-{batch}", "100")
        own = [rendered(f"j-{batch}-{n}", seconds=10, user=f"u-{batch}") for n in range(EACH // 2)]
        batches.append(own + [rendered(f"j-{batch}-h{n}", seconds=10, user="u-hot") for n in range(EACH // 2)])
    meeting, began = Meeting(0.005), time.monotonic()

    with ThreadPoolExecutor(THREADS) as pool:
        results = [end for ends in pool.map(lambda one: settle(world, meeting, one), batches * 2) for end in ends]

    seconds = time.monotonic() - began
    print(f"{len(results)} events: {meeting.requests} requests, {meeting.conflicts} conflicts, {seconds:.1f} s")  # noqa: T201
    assert {"debited": 288, "duplicate": 288} == ends_of(results)
    assert meeting.conflicts >= THREADS
    assert Decimal(-144) == (world.user_row("u-hot") or {})["posted"]
    assert {Decimal(-6)} == {(world.user_row(f"u-{batch}") or {})["posted"] for batch in range(BATCHES)}
    entries = Counter(entry["reference"] for entry in world.everything()["ledger"])
    assert (288, {1}) == (len(entries), set(entries.values()))
