"""The scan of the table of jobs: what is asked of DynamoDB, and what comes back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.ledger.dynamodb.jobs import scan_request
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import ScanSlice, Tables
from engine.ledger.wanted import ALL, Wanted
from tests.support.attempts import NUMBERED
from tests.support.events import rendered
from tests.support.policies import example
from tests.support.world import World

MARKS = [
    ("never marked", {}, True),
    ("marked at this status", {"reconciled": True, "reconciledStatus": "completed"}, False),
    ("marked at an earlier status", {"reconciled": True, "reconciledStatus": "failed"}, True),
    ("marked as due", {"reconciled": False, "reconciledStatus": "completed"}, True),
    ("marked by hand without a status", {"reconciled": True}, True),
    ("a status without a mark", {"reconciledStatus": "completed"}, True),
    ("a mark that is text", {"reconciled": "true", "reconciledStatus": "completed"}, True),
]


@pytest.mark.parametrize(("columns", "is_due"), [case[1:] for case in MARKS], ids=[case[0] for case in MARKS])
def test_the_server_sends_only_rows_that_are_due(dynamodb: Any, tables: Tables, columns: dict[str, Any], is_due: bool) -> None:  # noqa: FBT001
    """What is settled at its status never leaves the database."""
    world = World(dynamodb, tables).job("j-1", **columns)

    rows = due(world)

    assert (["j-1"] if is_due else []) == [row["jobId"] for row in rows]


@pytest.mark.parametrize("status", ["rendering", "", None, 7])
def test_a_status_without_a_mapping_stays_in_the_database(dynamodb: Any, tables: Tables, status: Any) -> None:
    """The policy's catch-up has nothing to say about it."""
    world = World(dynamodb, tables).job("j-1", status=status)

    assert [] == due(world)


def test_only_what_the_policy_looks_at_is_fetched(dynamodb: Any, tables: Tables) -> None:
    """Prompts and pictures stay where they are."""
    world = World(dynamodb, tables).job("j-1", prompt="a cat, very long")

    (row,) = due(world)

    assert {"jobId", "userId", "status", "seconds", "model", "result_url", "updatedAt"} == row.keys()


def test_segments_share_the_table_between_them(dynamodb: Any, tables: Tables) -> None:
    """Every row is in one segment and in no other."""
    world = World(dynamodb, tables)
    for number in range(40):
        world.job(f"j-{number}")

    found = [row["jobId"] for segment in range(4) for row in due(world, ScanSlice(segment, 4))]

    assert sorted(f"j-{number}" for number in range(40)) == sorted(found)


def test_a_table_of_several_pages_is_read_to_its_end(dynamodb: Any, tables: Tables) -> None:
    """DynamoDB answers a megabyte at a time; a page may hold nothing that is due and yet not be the last."""
    world = World(dynamodb, tables)
    for number in range(12):
        world.job(f"j-{number:02}", prompt="x" * 200_000, status="rendering" if number % 3 else "completed")

    report = world.user().scan(segments=1)

    assert (4, 4) == (report.rows, report.adjustments)


def test_without_exact_statuses_every_row_without_a_mark_is_fetched() -> None:
    """A policy may match statuses by prefix; then the server cannot choose among them."""
    request = scan_request("Jobs", ScanSlice(), ALL)

    assert "NOT (reconciled = :true AND reconciledStatus = #status)" == request["FilterExpression"]
    assert "ProjectionExpression" not in request


def test_where_attempts_are_numbered_the_filter_leaves_out_only_what_is_ignored() -> None:
    """A request names no value that it does not use: DynamoDB refuses one that does."""
    attributes = frozenset({"attempt"})

    few = scan_request("Jobs", ScanSlice(), Wanted(None, attributes, ["queued"], settled=bool))
    none = scan_request("Jobs", ScanSlice(), Wanted(settled=bool))

    assert "NOT #status IN (:s0)" == few["FilterExpression"]
    assert {":s0": {"S": "queued"}} == few["ExpressionAttributeValues"]
    assert {"TableName": "Jobs", "Segment": 0, "TotalSegments": 1} == none


def test_a_table_of_numbered_attempts_is_scanned_to_its_end(dynamodb: Any, tables: Tables) -> None:
    """The second completion, whose event was lost, is charged; the scan after it finds only the row without an attempt."""
    world = World(dynamodb, tables, example(NUMBERED)).user().job("j-1", attempt=1).job("j-2", attempt="4").job("j-3")
    world.deliver(rendered(attempt=1))
    assert (2, 1, 1) == ((first := world.scan()).rows, first.adjustments, first.errors)
    marked = world.job_row() or {}
    world.job("j-1", **{**marked, "attempt": 2, "seconds": 20})

    assert (2, 1, 1) == ((second := world.scan()).rows, second.adjustments, second.errors)

    assert (1, 0, 1) == ((third := world.scan()).rows, third.adjustments, third.errors)
    assert [Decimal("-0.8"), Decimal("-1.2")] == [entry["amount"] for entry in world.entries()]
    found = [(world.job_row(job) or {})["reconciledStatus"] for job in ("j-1", "j-2")]
    assert ["completed#2", "completed#4"] == found


def test_more_statuses_than_a_filter_takes_are_asked_for_in_parts(dynamodb: Any, tables: Tables) -> None:
    """DynamoDB's IN has at most 100 operands; of 101 ignored statuses none leaves the database."""
    world = World(dynamodb, tables).job("j-0", status="s0").job("j-100", status="s100").job("j-101", status="s101")
    ledger = DynamoStore(world.client, world.tables, world.clock)

    wanted = Wanted(["s101"], ignored=[f"s{number}" for number in range(101)])
    page = ledger.due_jobs(ScanSlice(), wanted, world.deadline())

    assert (["j-101"], {}) == ([row["jobId"] for row in page.rows], page.unmapped)


def due(world: World, part: ScanSlice | None = None) -> list[Any]:
    """Return all rows of a slice that are due."""
    ledger = DynamoStore(world.client, world.tables, world.clock)
    wanted = Wanted(["completed", "failed"], example().row_attributes)
    page = ledger.due_jobs(part or ScanSlice(), wanted, world.deadline())
    assert page.next_after is None
    return list(page.rows)
