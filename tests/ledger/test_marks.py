"""The condition on the mark, on a table: what a row must say, and that nothing else of the posting moves where it does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from engine.domain.decision import Outcome
from engine.domain.envelope import Source
from engine.domain.errors import EventError
from engine.domain.job_row import Mark, RowTime, most_frequent
from engine.ledger.conditions import takes
from engine.ledger.dynamodb.marks import update_mark
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import ScanSlice, Tables
from engine.ledger.wanted import ALL, Wanted
from engine.reconcile.catch_up import scan
from tests.support.events import rendered
from tests.support.world import World

BARE = Mark("completed", sequence=2, read="completed")
POSTED = Mark("completed", sequence=2)
STILL_DUE = Mark("completed", settled=False, sequence=2)
OF_U1 = Mark("completed", sequence=2, user=("userId", "u-1"))
AS_READ = Mark("completed", sequence=2, read="completed", time=RowTime("updatedAt", read="2026-01-05T10:00:00Z"))
TIMELESS = Mark("completed", sequence=2, read="completed", time=RowTime("updatedAt"))
NOT_LATER = Mark("completed", sequence=2, time=RowTime("updatedAt", latest=datetime(2026, 1, 5, 10, 0, 5, tzinfo=UTC)))
SETTLED = {"reconciled": True, "reconciledStatus": "completed"}

CASES: list[tuple[str, Mark, dict[str, Any], bool]] = [
    ("none", BARE, {}, True),
    ("of an earlier version", BARE, SETTLED, True),
    ("a smaller one", BARE, {**SETTLED, "reconciledSequence": 1}, True),
    ("an equal one of the same status", BARE, {**SETTLED, "reconciledSequence": 2}, False),
    ("an equal one of another status", BARE, {**SETTLED, "reconciledStatus": "failed", "reconciledSequence": 2}, True),
    ("... once the row says another", BARE, {"status": "failed", "reconciledStatus": "x", "reconciledSequence": 2}, False),
    ("... of a posting", POSTED, {**SETTLED, "reconciledStatus": "failed", "reconciledSequence": 2}, False),
    ("a later one", BARE, {**SETTLED, "reconciledStatus": "failed", "reconciledSequence": 3}, False),
    ("a later refusal", BARE, {"reconciled": False, "reconciledSequence": 3}, False),
    ("a text", BARE, {"reconciledSequence": "3"}, True),
    ("a refusal over a smaller one", STILL_DUE, {**SETTLED, "reconciledSequence": 1}, True),
    ("a refusal over a later one", STILL_DUE, {**SETTLED, "reconciledSequence": 3}, False),
    ("its user", OF_U1, {}, True),
    ("another user", OF_U1, {"userId": "u-2"}, False),
    ("no user", OF_U1, {"userId": None}, True),
    ("the time as read", AS_READ, {}, True),
    ("another time", AS_READ, {"updatedAt": "2026-01-05T11:00:00Z"}, False),
    ("no time, as read", TIMELESS, {"updatedAt": None}, True),
    ("a time where none was read", TIMELESS, {}, False),
    ("an earlier time", NOT_LATER, {"updatedAt": "2026-01-05T09:59:59.999Z"}, True),
    ("the last time allowed", NOT_LATER, {"updatedAt": "2026-01-05T10:00:05Z"}, True),
    ("a later time", NOT_LATER, {"updatedAt": "2026-01-05T10:00:06Z"}, False),
    ("a time that is a number", NOT_LATER, {"updatedAt": 1}, True),
]


@pytest.mark.parametrize(("mark", "columns", "is_taken"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_row_takes_a_mark_only_as_its_condition_says(
    dynamodb: Any,
    tables: Tables,
    mark: Mark,
    columns: dict[str, Any],
    is_taken: bool,  # noqa: FBT001
) -> None:
    """On the table as in memory."""
    world = World(dynamodb, tables).job("j-1", **columns)
    before = world.job_row() or {}

    assert is_taken is DynamoStore(world.client, world.tables, world.clock).mark("j-1", mark, world.deadline())

    assert is_taken is takes(before, mark)
    assert is_taken is ((world.job_row() or {}) != before)


def test_a_mark_never_makes_a_row(dynamodb: Any, tables: Tables) -> None:
    """The job exists, or nothing is written."""
    world = World(dynamodb, tables)

    assert False is DynamoStore(world.client, world.tables, world.clock).mark("j-1", BARE, world.deadline())
    assert world.job_row() is None


def test_the_condition_asks_for_all_the_row_says_in_one_write() -> None:
    """No read, no action more: the same update, which gives back the row where it fails."""
    request = update_mark("Jobs", "j-1", OF_U1)

    assert "ALL_OLD" == request["ReturnValuesOnConditionCheckFailure"]
    assert "(attribute_not_exists(#user) OR #user = :user)" in request["ConditionExpression"]
    assert {"#user": "userId"} == request["ExpressionAttributeNames"]


@pytest.mark.parametrize("is_told", [False, True])
def test_an_event_of_another_user_moves_nothing_by_whichever_door(dynamodb: Any, tables: Tables, is_told: bool) -> None:  # noqa: FBT001
    """Directly, by replay and by queue, before the true event and after it; one message comes back."""
    world = World(dynamodb, tables).user("u-1").user("u-2").job("j-1").job("j-2")
    if is_told:
        world.deliver(rendered())
    world.deliver(rendered("j-2"))
    before = world.everything()

    for source in (Source.EVENT, Source.REPLAY):
        with pytest.raises(EventError, match=r"rule debit-rendered, field detail.userId: is 'u-2'; .* names 'u-1'"):
            world.deliver(rendered(user="u-2"), source=source)
    bodies = [rendered("j-2"), rendered(user="u-2")]
    records = [{"messageId": f"m-{n}", "body": json.dumps(body)} for n, body in enumerate(bodies)]
    assert ["m-1"] == world.reconciler().batch(records, world.deadline())

    assert before == world.everything()


def test_a_scan_of_a_row_that_changes_hands_moves_nothing(dynamodb: Any, tables: Tables) -> None:
    """It was read as one user's and is another's when it is posted: an error of the scan, and the row stays due."""
    world = World(dynamodb, tables).user("u-1").user("u-2").job("j-1")
    reconciler = world.reconciler()
    page = reconciler.ledger.due_jobs(ScanSlice(), ALL, world.deadline())
    world.job("j-1", userId="u-2")

    class Stale:
        def __getattr__(self, name: str) -> Any:
            return getattr(reconciler.ledger, name)

        def due_jobs(self, *_arguments: Any) -> Any:
            return page

    report = scan(evolve(reconciler, ledger=Stale()), [ScanSlice()], world.deadline())  # type: ignore[arg-type]

    assert (1, {}) == (report.errors, report.outcomes)
    assert [] == world.entries()


def test_a_row_with_nothing_but_its_key_takes_the_mark(dynamodb: Any, tables: Tables) -> None:
    """It names nobody and no time."""
    world = World(dynamodb, tables).user()
    dynamodb.put_item(TableName=tables.jobs, Item={"jobId": {"S": "j-1"}})

    assert [Outcome.DEBITED] == [report.outcome for report in world.deliver(rendered())]
    assert {"jobId": "j-1", **SETTLED, "reconciledSequence": 1} == world.job_row()


def test_rows_of_statuses_that_nobody_mapped_are_counted_by_readable_names(dynamodb: Any, tables: Tables) -> None:
    """Whatever an application has written there; the ignored stay in the database."""
    world = World(dynamodb, tables).user()
    for number, status in enumerate(["stopped", "stopped", "queued", "", None, 7, ["x"], "a\nb", "completed"]):
        world.job(f"j-{number}", status=status)
    ledger = DynamoStore(world.client, world.tables, world.clock)

    page = ledger.due_jobs(ScanSlice(), Wanted(["completed"], ignored=["queued"]), world.deadline())

    named = {"stopped": 2, "''": 1, "(missing)": 1, "(int) 7": 1, "a list with 1 element": 1, "'a\\nb'": 1}
    assert (["j-8"], named) == ([row["jobId"] for row in page.rows], page.unmapped)


def test_very_many_statuses_are_told_by_the_most_frequent() -> None:
    """An answer stays small, and all are counted."""
    told = most_frequent({f"s{number:02}": number for number in range(1, 41)})

    assert (20, sum(range(1, 41)), 40, sum(range(1, 22))) == (
        len(told),
        sum(told.values()),
        told["s40"],
        told["(others)"],
    )
