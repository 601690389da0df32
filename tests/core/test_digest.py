"""The daily digest: what was flagged in the day before a run, told once a day, and never a reason for a run to fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.anomalies.digest import digest_of
from engine.ledger.dynamodb.wire import ServiceError
from engine.ledger.store import Tables
from engine.reconcile.scheduled import finish
from engine.runtime.clock import Clock
from handler import closing_steps
from tests.support.events import rendered
from tests.support.world import DisturbedClient, World

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def world(dynamodb: Any, tables: Tables) -> World:
    """Return a ledger whose entries were posted at noon."""
    return World(dynamodb, tables, clock=Clock(now=lambda: NOON)).user("u-1", "1000")


def digests(world: World) -> list[dict[str, Any]]:
    """Return the digests that were told."""
    return [line for line in world.lines if line.get("message") == "digest"]


def test_it_is_told_by_the_first_run_of_a_day(world: World) -> None:
    """Four runs of one day and one of the next: what was posted in the day before each."""
    world.deliver(rendered("j-1", seconds=700), rendered("j-2"))

    for hour in (13, 19, 25):
        at = (datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hour)).isoformat()
        finish(world.reconciler(), {"parts": [], "time": at}, closing_steps(), world.deadline())

    first, second = digests(world)
    assert ("2026-01-04T13:00:00Z", "2026-01-05T13:00:00Z", 1) == (first["since"], first["until"], first["entries"])
    assert ("2026-01-05T01:00:00Z", "2026-01-06T01:00:00Z", 1) == (second["since"], second["until"], second["entries"])
    assert ["job#j-1"] == [entry["reference"] for entry in first["dearest"]]


def test_a_run_does_not_fail_for_it(world: World) -> None:
    """What went wrong is told instead."""

    def disturb(operation: str, request: dict[str, Any], send: Any) -> Any:
        if "size(anomalies)" in request.get("FilterExpression", ""):
            raise ServiceError("AccessDeniedException", "no", 400, [])
        return send(**request)

    answer = finish(world.reconciler(DisturbedClient(world.client, disturb)), {"parts": []}, closing_steps(), world.deadline())

    assert 0 == answer["unfinished"]
    assert "AccessDeniedException" in digests(world)[0]["problem"]


def test_a_day_without_anomalies_has_one_sentence() -> None:
    """And no counts."""
    digest = digest_of([], NOON - timedelta(days=1), NOON)

    assert "From 2026-01-04T12:00:00Z to 2026-01-05T12:00:00Z nothing was flagged." == digest.paragraph()
    assert (0, {}, []) == tuple(digest.answer()[name] for name in ("entries", "anomalies", "dearest"))
