"""Webhooks that are sent again, refunds by amount, revoked purchases: eight at once, in any order, some killed on the way."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from engine.audit.recount import recount
from engine.domain.errors import LedgerError
from engine.ledger.store import Tables
from engine.ledger.stored import entry_of
from engine.policy import parse_policy
from tests.support.events import event
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

THREADS = 8

POLICY = """\
version: 1
name: video
event: {job: detail.jobId, user: "detail.userId || row.userId", time: time, reference: detail.invoice}
prices:
  second:
    - {effective: 2026-01-01T00:00:00Z, rates: {default: "0.10"}}
    - {effective: 2026-01-05T10:15:00Z, changes: {default: "0.20"}}
rules:
  - {name: done, match: {detail-type: [done]}, action: debit, repeats: ignore, charge: {price: second, quantity: row.seconds}}
  - {name: cut, match: {detail-type: [cut]}, action: refund, refund: {amount: detail.back}}
  - {name: bought, match: {detail-type: [bought]}, action: grant, grant: {quantity: detail.credits}}
  - {name: refunded, match: {detail-type: [refunded]}, action: revoke, revoke: {amount: detail.credits}}
  - {name: disputed, match: {detail-type: [disputed]}, action: revoke, revoke: {amount: detail.credits, series: disputes}}
"""

TOLD = [
    *(event("done", {"jobId": "j-1"}, f"2026-01-05T{at}:00Z") for at in ("10:00", "10:30", "11:00")),
    event("cut", {"jobId": "j-1", "back": "0.30"}, "2026-01-05T12:00:00Z"),
    event("bought", {"userId": "u-1", "invoice": "p-1", "credits": 10}, "2026-01-05T09:00:00Z"),
    event("refunded", {"userId": "u-1", "invoice": "p-1", "credits": 2}, "2026-01-05T10:00:00Z"),
    event("refunded", {"userId": "u-1", "invoice": "p-1", "credits": 5}, "2026-01-05T11:00:00Z"),
    event("disputed", {"userId": "u-1", "invoice": "p-1", "credits": 4}, "2026-01-05T10:30:00Z"),
    event("disputed", {"userId": "u-1", "invoice": "p-1", "credits": 0}, "2026-01-05T12:00:00Z"),
]
"""8 seconds at the 0.10 of 10:00, less 0.30; ten credits less the five that were refunded; the dispute was won."""


class Killed(BaseException):
    """The process is gone."""


def killed_at(chance: random.Random) -> Any:
    """Return what ends a process at its n-th call, before the database has it or after."""
    left, is_after = chance.randint(1, 12), chance.random() < 0.5

    def disturb(_operation: str, request: dict[str, Any], send: Any) -> Any:
        nonlocal left
        left -= 1
        if left or not is_after:
            if not left:
                raise Killed
            return send(**request)
        send(**request)
        raise Killed

    return disturb


def one_process(world: World, seed: int) -> None:
    """Deliver all events in an order of its own; half of the processes do not see the end."""
    chance = random.Random(seed)  # noqa: S311  nothing secret
    client = DisturbedClient(world.client, killed_at(chance)) if seed % 2 else world.client
    with suppress(Killed):
        for told in chance.sample(TOLD, len(TOLD)):
            with suppress(LedgerError):
                world.deliver(told, client=client)


@pytest.mark.parametrize("seed", range(0, 80, 20))
def test_whoever_is_killed_all_end_in_what_was_told(dynamodb: Any, tables: Tables, seed: int) -> None:
    """0.80 less 0.30 for the job, 10 less 5 of the purchase: 104.50, and all of it told again changes nothing."""
    world = World(dynamodb, tables, parse_policy(POLICY, "policy.yaml")).user("u-1", "100").job("j-1", seconds=8)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda number: one_process(world, seed + number), range(THREADS)))
    world.deliver(*TOLD)
    posted = world.entries("j-1"), world.user_row()
    world.deliver(*reversed(TOLD))

    assert posted == (world.entries("j-1"), world.user_row())
    assert (Decimal("104.5"), Decimal("4.5")) == (posted[1]["remaining"], posted[1]["posted"])
    assert Decimal("-0.5") == sum(Decimal(str(entry["amount"])) for entry in posted[0])
    assert [] == [count.problems for count in recount([entry_of(entry) for entry in posted[0]]) if count.failed]
