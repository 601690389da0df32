"""What a posting writes, by DynamoDB's documented rules: an entry that outgrows a kilobyte would cost half as much again."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from benchmarks.capacity import KB, costs, held_costs, item_bytes, read_units
from engine.domain.envelope import Envelope, Source
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from engine.policy import Policy, load_policy
from engine.preview.dry_run import Silence
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Clock
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tests.support.world import DisturbedClient, World
from tools.environments import ROOT

JOB, USER = "j-3f2b8c1e-77aa-4d10-9d3e-0a1b2c3d4e5f", "u-5d7e9a10-1234-4abc-8def-001122334455"

VIDEO, WITH_HOLDS = (load_policy(ROOT / "policies" / f"{name}.yaml") for name in ("video", "video-with-holds"))
SUBMITTED = event("video.submitted", {"jobId": "j-1", "userId": "u-1", "seconds": 10, "model": "veo-3"})


def record(document: dict[str, Any]) -> dict[str, Any]:
    """Return an event as the queue hands it over."""
    return {"messageId": "m-1", "eventSource": "aws:sqs", "body": json.dumps(document)}


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"a": "b"}, 2),
        ({"a": "é"}, 3),
        ({"a": True, "b": False}, 4),
        ({"a": Decimal("12.5")}, 4),  # three digits: two bytes and one more
        ({"a": Decimal(-1000)}, 4),  # one digit, the byte for all numbers and the sign's
        ({"a": []}, 4),
        ({"a": ["b"]}, 6),
        ({"a": {"b": "c"}}, 7),
    ],
)
def test_an_item_is_measured_as_documented(item: dict[str, object], size: int) -> None:
    """Names and values in UTF-8; a number half a byte a digit; three bytes for a list or a map, one for each element."""
    assert size == item_bytes(encode_item(item))


def test_an_entry_fits_into_a_kilobyte() -> None:
    """With identifiers of 38 characters and the shipped policy."""
    events = [
        rendered(JOB, user=USER, model="veo-3.1-fast-generate-001", resolution="1080p", at="2026-12-01T10:00:00Z"),
        failed(JOB, user=USER, at="2026-12-01T11:00:00Z"),
        failed(f"{JOB}-never", user=USER),
    ]

    debit, refund, void, duplicate = costs(VIDEO, events)

    assert ["debit", "refund", "void", "duplicate"] == [cost.kind for cost in (debit, refund, void, duplicate)]
    assert max(cost.entry_bytes for cost in (debit, refund, void)) <= KB
    assert [7, 7, 5, 7] == [cost.write_units for cost in (debit, refund, void, duplicate)]
    assert debit.dollars < 7


def test_a_hold_and_what_settles_it_fit_into_a_kilobyte_each() -> None:
    """With identifiers of 38 characters. A hold marks no row, and is found when it is due; its answer and the log are read."""
    events = [
        event("video.submitted", {"jobId": JOB, "userId": USER, "seconds": 10, "model": "veo-3.1-fast-generate-001"}),
        rendered(JOB, user=USER, model="veo-3.1-fast-generate-001", at="11:00"),
    ]

    held, settled, both = held_costs(WITH_HOLDS, events)

    assert ["hold", "settle"] == [cost.kind for cost in (held, settled)]
    assert [(6, 1), (7, 1), (13, 2)] == [(cost.write_units, cost.read_units) for cost in (held, settled, both)]
    assert max(cost.entry_bytes for cost in both.costs) <= KB


def test_a_hold_writes_its_entry_and_the_balance_and_reads_what_is_left(dynamodb: Any, tables: Tables) -> None:
    """The row of its job is left as it is, though it is there."""
    world, sent = World(dynamodb, tables, WITH_HOLDS).user().job(status="queued"), []

    def noted(operation: str, request: dict[str, Any], send: Any) -> Any:
        sent.append((operation, len(request.get("TransactItems", ()))))
        return send(**request)

    world.deliver(SUBMITTED, client=DisturbedClient(dynamodb, noted))

    assert [("transact_write_items", 2), ("get_item", 0)] == sent
    assert "reconciled" not in (world.job_row() or {})


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("policy", "requests"), [(VIDEO, ["transact_write_items"]), (WITH_HOLDS, ["query", "transact_write_items"])]
)
def test_a_charge_looks_at_its_log_first_only_where_the_policy_holds(
    policy: Policy, requests: list[str], dynamodb: Any, tables: Tables, *, together: bool
) -> None:
    """There a hold is mostly in the log: the transaction without a look would be cancelled, and paid."""
    world = World(dynamodb, tables, policy).user().job()
    world.deliver(SUBMITTED)
    client = DisturbedClient(dynamodb, lambda _operation, request, send: send(**request))

    if together:
        assert [] == world.reconciler(client).batch([record(rendered())], world.deadline())
    else:
        world.deliver(rendered(), client=client)

    assert requests == [call for call in client.calls if call != "get_item"]
    assert Decimal("999.2") == (world.user_row() or {})["remaining"]


class Reads:
    """A database with a row of each job, whose transactions all succeed; it counts the units of consistent reads."""

    def __init__(self, row_bytes: int) -> None:
        self.row_bytes, self.units = row_bytes, 0

    def transact_write_items(self, **_request: Any) -> dict[str, Any]:
        """Take a posting."""
        return {}

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Return the row of one job."""
        return {"Item": self._row(request["Key"], request)}

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Return the rows of some jobs."""
        ((table, wanted),) = request["RequestItems"].items()
        return {"Responses": {table: [self._row(key, wanted) for key in wanted["Keys"]]}}

    def _row(self, key: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        assert request["ConsistentRead"]
        row = {**key, "userId": {"S": "u-1"}, "prompt": {"S": ""}}
        row["prompt"] = {"S": "x" * (self.row_bytes - item_bytes(row))}
        self.units += read_units(row)
        return {name: value for name, value in row.items() if name in request["ExpressionAttributeNames"].values()}


WITH_ROW = example(("user: detail.userId", 'user: "detail.userId || row.userId"'))


def _silent(number: int) -> dict[str, Any]:
    """Return an event that does not say its user."""
    return event("video.rendered", {"jobId": f"j-{number}", "seconds": 8, "model": "veo-3", "result_url": "s3://r"})


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("policy", "events", "row_bytes", "units"),
    [
        (example(), [rendered("j-1"), rendered("j-2")], 1000, 0),
        (WITH_ROW, [rendered("j-1"), rendered("j-2")], 1000, 0),
        (WITH_ROW, [_silent(1), rendered("j-2"), _silent(3)], 1000, 2),
        (WITH_ROW, [_silent(1), _silent(2), _silent(3)], 4 * KB, 3),
        (WITH_ROW, [_silent(1), _silent(2), _silent(3)], 4 * KB + 1, 6),
    ],
    ids=["a policy without rows", "events that say it", "two of three", "rows of 4 KB", "rows of more: all of a row counts"],
)
def test_a_charge_reads_a_unit_for_each_4_kb_of_the_row_that_it_needs_and_nothing_else(
    policy: Policy, events: list[dict[str, Any]], row_bytes: int, units: int, *, together: bool
) -> None:
    """One by one and in a batch alike."""
    database: Any = Reads(row_bytes)
    clock = Clock()
    reconciler = Reconciler(policy, DynamoStore(database, Tables(), clock), Silence(lambda _line: None, clock), clock)
    envelopes = [Envelope(each, Source.QUEUE) for each in events]

    if together:
        assert not [end for end in reconciler.many(envelopes, clock.deadline(9)) if isinstance(end, Exception)]
    else:
        for envelope in envelopes:
            reconciler.settled(envelope, clock.deadline(9))

    assert units == database.units
