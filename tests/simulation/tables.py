"""How often each fault really occurred, and each branch of the decision: a world in which nothing happens proves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.domain.entry_types import Outcome
from engine.ledger.store import Verdict
from tests.simulation.constructs import CONSTRUCTS
from tests.simulation.faults import BUSY_MANY, BUSY_ONE, FAULTS, LASTING, STALE_READS, TIMED_OUT

FAULT_NAMES = (
    *FAULTS,
    LASTING,
    TIMED_OUT,
    *STALE_READS,
    BUSY_ONE,
    BUSY_MANY,
    "letter not kept",
    "letter kept, answer lost",
    "batch with a partial failure",
    "dead letter of Lambda",
    "dead letter of the queue",
    "dead letter of the function",
    "policy deployed",
    "clock jumped",
    "turns taken from one invocation by another",
)
"""What must occur in any thousand histories."""

BRANCH_NAMES = (
    *(f"verdict {verdict.value}" for verdict in Verdict),
    *(f"outcome {outcome.value}" for outcome in Outcome),
    "decided more than once",
    "comes back EventError",
    "comes back LedgerUnavailable",
    "comes back TimeIsUp",
    "anomaly overdraft",
    "anomaly unknown-user",
    "anomaly unknown-job",
    "anomaly conflicting-charge",
    "anomaly replaced-charge",
    "anomaly repeated-grant",
    "anomaly repeat-after-refund",
    "anomaly close-call",
    "anomaly unusual",
    "anomaly dear",
    "anomaly tests",
    "audit that came to its end",
    "audit that did not",
)
"""What is decided, and what the store answers, in any thousand histories."""


def tables(count: Mapping[str, int]) -> list[str]:
    """Return all tables as lines."""
    faults, branches = _lines(count, FAULT_NAMES), _lines(count, BRANCH_NAMES)
    used = _lines(count, tuple(CONSTRUCTS))
    return ["faults and chances", *faults, "", "branches taken", *branches, "", "entries that use", *used, ""]


def missing(count: Mapping[str, int]) -> list[str]:
    """Return what has not occurred."""
    return [name for name in (*FAULT_NAMES, *BRANCH_NAMES, *CONSTRUCTS) if not times(count, name)]


def times(count: Mapping[str, int], name: str) -> int:
    """Return how often something occurred; an outcome by whatever source."""
    if name.startswith("outcome "):
        return sum(many for said, many in count.items() if said.startswith(f"{name} by "))
    return count.get(name, 0)


def _lines(count: Mapping[str, int], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield f"  {name:<45} {times(count, name):>12,}"
