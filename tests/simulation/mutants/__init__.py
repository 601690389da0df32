"""Deliberate bugs in the engine, each one line of somebody's bad day: the simulation has to catch every one of them.

A mutant is a place, the name of what stands there, and what takes its place (it gets what stood there before).

    of_rules        what a job should cost: facts, prices, refunds, what is known already, recounting
    of_constructs   tiers, bounds, rows without a time, repeats: each construct of the policy
    of_attempts     jobs that are tried more than once: which attempt counts, and what comes back of those below
    of_holds        which request counts, what ends a hold, what is asked of the balance, what a refusal is
    of_corrections  what people say: ids, concessions, adjustments, charges that are priced anew
    of_tables       what a posting asks of the rows that it moves, and what it writes there
    of_delivery     events that are lost or told for each other: the loop, batches, the queue, giving up
    of_runs         the scan and its cap; audits; how often the model is asked
    of_requests     what is sent to DynamoDB; only the strict database shows these
    of_reads        reads that may be stale, on the strict database too
    of_items        items with an attribute too many
    of_order        steps of the decision in another order
    of_archives     the archive: what is appended, its head, what records say, how it is followed
    unseen          those that no history sees, and why

``python -m tests.simulation.choose`` finds for each the first seed that catches it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.simulation.mutants import (
    of_archives,
    of_attempts,
    of_constructs,
    of_corrections,
    of_delivery,
    of_holds,
    of_items,
    of_order,
    of_reads,
    of_requests,
    of_rules,
    of_runs,
    of_tables,
)
from tests.simulation.mutants.mutant import Mutant, caught

__all__ = ["MUTANTS", "Mutant", "caught"]

MUTANTS: Mapping[str, Mutant] = {
    **of_rules.MUTANTS,
    **of_constructs.MUTANTS,
    **of_corrections.MUTANTS,
    **of_tables.MUTANTS,
    **of_delivery.MUTANTS,
    **of_runs.MUTANTS,
    **of_requests.MUTANTS,
    **of_reads.MUTANTS,
    **of_items.MUTANTS,
    **of_order.MUTANTS,
    **of_archives.MUTANTS,
    **of_attempts.MUTANTS,
    **of_holds.MUTANTS,
}
"""By what they do wrong."""
