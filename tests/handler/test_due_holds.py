"""Holds that are due, through the function: by the input of their own schedule, and by the schedule that does everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import handler
from tests.support.events import event
from tests.support.invocations import SCHEDULED, Context
from tests.support.world import World

POLICY = """\
version: 1
name: holds
event: {job: detail.jobId, user: detail.userId, time: time}
rules:
  - {name: submitted, match: {detail-type: [submitted]}, action: hold, hold: {amount: "0.80", expires: 1h}}
"""


@pytest.fixture
def holding(world: World, tmp_path: Path) -> World:
    """Return tables in which 0.80 of u-1's 1,000 credits are held for j-1, and have long been due."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    assert "held" == handler.lambda_handler(event("submitted", {"jobId": "j-1", "userId": "u-1"}), Context())["outcome"]
    return world


@pytest.mark.parametrize("told", [{"expire": "holds"}, SCHEDULED])
def test_a_hold_that_is_due_is_released(holding: World, told: dict[str, Any]) -> None:
    """All is as it was: what can be spent, and nothing held."""
    answer = handler.lambda_handler(told, Context())["holds"]

    assert {"seen": 1, "due": 1, "expired": 1, "errors": 0, "byRow": 0, "finished": True} == answer
    assert ["hold", "release"] == [entry["type"] for entry in holding.entries()]
    assert (1000, 0) == tuple((holding.user_row() or {})[name] for name in ("remaining", "held"))


def test_what_asks_to_expire_something_else_is_no_kind_of_invocation(world: World) -> None:
    """It is refused like whatever else is no event."""
    with pytest.raises(ValueError, match="field event"):
        handler.lambda_handler({"expire": "entries"}, Context())
    assert [] == world.everything()["ledger"]
