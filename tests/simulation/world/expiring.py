"""The part of a scheduled run that says which holds have expired: it is told as any fact is, and posted by the same loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.domain.errors import LedgerError
from engine.domain.log import JobLog, log_of
from engine.domain.references import JOB
from engine.ledger.stored import entry_of
from engine.rating.expire import expiry_of
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.settle import EventProposal, settle
from tests.simulation.faults import Killed

if TYPE_CHECKING:
    from tests.simulation.world.play import World

RUN_SECONDS = 20


def expire(world: World, reconciler: Reconciler) -> None:
    """Tell of each job whose hold is open and due that it has expired. What fails or dies on the way the next run tells."""
    deadline = reconciler.clock.deadline(RUN_SECONDS)
    with contextlib.suppress(Killed, LedgerError):
        for reference, log in list(_with_hold(world)):
            now, hold = reconciler.clock.now(), log.facts.hold
            if hold is None or hold.expires_at > now:
                continue
            assessment = expiry_of(hold, reference.removeprefix(JOB), log.user or "", now)
            proposal = EventProposal(assessment, reconciler.policy, reconciler.ledger, log)
            decision, _ = settle(proposal, reconciler.ledger, deadline)
            world.count[f"expiry {decision.outcome.value}"] += 1
            world.tell(f"the run says that the hold of {reference} has expired: {decision.outcome.value}")


def _with_hold(world: World) -> Iterator[tuple[str, JobLog]]:
    """Yield the logs that have ever held anything, as they are at this moment."""
    logs: dict[str, list[object]] = {}
    for entry in world.place.entries():
        logs.setdefault(entry["reference"], []).append(entry)
    for reference, stored in logs.items():
        if any("hold" in entry["facts"] for entry in stored):  # type: ignore[index]  what is stored has facts
            yield reference, log_of(map(entry_of, stored))  # type: ignore[arg-type]
