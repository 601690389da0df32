"""How often each fault really occurred, and each branch of the decision: a world in which nothing happens proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.domain.entry_types import EntryType, Outcome
from engine.ledger.store import Verdict
from tests.simulation.constructs import CONSTRUCTS
from tests.simulation.faults import BUSY_MANY, BUSY_ONE, FAULTS, LASTING, LEFT_OVER, MIXED, STALE_READS, TIMED_OUT

EVERYWHERE = (
    *FAULTS,
    LASTING,
    TIMED_OUT,
    *STALE_READS,
    BUSY_ONE,
    BUSY_MANY,
    MIXED,
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
FAULT_NAMES = EVERYWHERE
"""What must occur in any thousand histories in memory."""

STRICT_FAULT_NAMES = (*EVERYWHERE, LEFT_OVER)
"""What must occur in any two hundred histories on the strict database: it leaves keys over as well."""

VERDICTS = tuple(f"verdict {verdict.value}" for verdict in Verdict if verdict is not Verdict.PROPOSED_BY_THE_SAME)
"""What the store answers. On the strict database it is the product's own, which nobody looks into.

Whoever approves what he has proposed himself is told so before it comes to the store.
"""

ENTRY_NAMES = tuple(f"entry {kind.value}" for kind in EntryType)
FLAG_NAMES = (
    "overdraft",
    "unknown-user",
    "unknown-job",
    "conflicting-charge",
    "replaced-charge",
    "repeated-grant",
    "unusual",
    "dear",
    "tests",
    "burst",
    "close-call",
    "repeat-after-refund",
)
REFUSAL_NAMES = (
    "detail.jobId",
    "detail.purchaseId",
    "detail.userId || row.userId",
    "time",
    "detail.credits",
    "detail.back",
    "detail.input",
    "detail.attempt",
)
"""The fields of events that make no sense."""

OTHERS_NAMES = (
    "explained by model",
    "explained by rules: budget",
    "explained by rules: nonsense",
    "explained like another",
    "record of the stream that came again",
    "look back that came to its end",
    "repair that came to its end",
    "dead letter settled by the command",
    "killed at other work",
    "damage that was planted",
    "repair of damage that was disturbed",
    "word that made no sense",
    "adjustment that waits for another person",
    "repricing by hand",
    "plan of new prices",
    "job of a plan that was posted",
    "job of a plan that was posted before",
    "job of a plan that has changed",
    "job of a plan that was refused",
    "job of a plan that was left for the next run",
    "batch that was archived",
    "batch that was archived before",
    "turns taken from one archiver by another",
    "object that no head names",
    "archive whose day ends",
    "audit against the archive",
    "audit of a run against the archive",
    "entry that was archived too late",
)
"""What others do, who take part in some histories."""

BRANCH_NAMES = (
    *VERDICTS,
    *(f"outcome {outcome.value}" for outcome in Outcome),
    "decided more than once",
    "comes back EventError",
    "comes back LedgerUnavailable",
    "comes back TimeIsUp",
    *ENTRY_NAMES,
    *(f"flag {name}" for name in FLAG_NAMES),
    *(f"refused for {field}" for field in REFUSAL_NAMES),
    "audit that came to its end",
    "audit that did not",
    *OTHERS_NAMES,
)
"""What is decided, and what the store answers, in any thousand histories."""


def tables(count: Mapping[str, int], *, is_strict: bool = False) -> list[str]:
    """Return the tables as lines."""
    faults, branches = _names(is_strict=is_strict)
    told = (("faults and chances", faults), ("branches taken", branches), ("entries that use", tuple(CONSTRUCTS)))
    return [line for head, names in told for line in (head, *_lines(count, names), "")]


def missing(count: Mapping[str, int], *, is_strict: bool = False) -> list[str]:
    """Return what has not occurred; of few histories on the strict database only faults are asked for."""
    faults, branches = _names(is_strict=is_strict)
    return [name for name in (*faults, *(() if is_strict else (*branches, *CONSTRUCTS))) if not times(count, name)]


def _names(*, is_strict: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if is_strict:
        return STRICT_FAULT_NAMES, tuple(name for name in BRANCH_NAMES if name not in VERDICTS)
    return FAULT_NAMES, BRANCH_NAMES


def count_entries(count: Counter[str], entries: Iterable[Mapping[str, Any]]) -> None:
    """Count the kinds and the flags of the entries of a ledger."""
    for entry in entries:
        count[f"entry {entry['type']}"] += 1
        for anomaly in entry.get("anomalies") or ():
            count[f"flag {anomaly['name']}"] += 1


def times(count: Mapping[str, int], name: str) -> int:
    """Return how often something occurred; an outcome by whatever source."""
    if name.startswith("outcome "):
        return sum(many for said, many in count.items() if said.startswith(f"{name} by "))
    if name == "damage that was planted":
        return sum(many for said, many in count.items() if said.startswith("damage "))
    return count.get(name, 0)


def _lines(count: Mapping[str, int], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield f"  {name:<45} {times(count, name):>12,}"
