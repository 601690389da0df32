"""Repricing on a store in memory: a plan, its file, and its posting, as the commands do it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from engine.ledger.memory import MemoryStore
from engine.ledger.store import Store
from engine.policy import Policy
from engine.reconcile.plan_file import PlanFile
from engine.reconcile.repricing.apply import Applying, Done
from engine.reconcile.repricing.plan import Wish, make_plan
from engine.reconcile.repricing.which_jobs import Filters
from engine.runtime.clock import Deadline

NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)
BY = "arn:aws:iam::1:user/ann"
ALWAYS = float("inf")


def planned(
    store: MemoryStore, policy: Policy, file: Path, filters: Filters | None = None, *, spare: bool = False
) -> dict[str, Any]:
    """Write a plan, and return its head."""
    wish = Wish(policy, "the rate had a zero too many", BY, NOON, {"ledger": "Ledger"}, filters or Filters(), spare)
    return make_plan(wish, cast("Store", store), file, Deadline(store.clock, ALWAYS))


def applying(store: MemoryStore, policy: Policy, file: Path) -> Applying:
    """Return a run of a plan."""
    return Applying(PlanFile.open(file, "reprice"), policy, cast("Store", store), BY, Deadline(store.clock, ALWAYS))


def repriced(store: MemoryStore, policy: Policy, file: Path) -> Done:
    """Plan, and post the plan."""
    file.unlink(missing_ok=True)
    planned(store, policy, file)
    return applying(store, policy, file).post(1_000_000)
