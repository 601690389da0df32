"""What an audit and its seals take: ``python -m benchmarks.sealing`` prints docs/decisions/0013's figures.

CPU of one reading of the ledger, in memory, without the network; medians of interleaved rounds. Write units by DynamoDB's
documented rule: one for each KB of a part.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from attrs import frozen

from engine.audit.logs import faults
from engine.audit.seals import sealed_entry
from engine.domain.envelope import Envelope, Source
from engine.ledger.dynamodb.attributes import Item
from engine.ledger.dynamodb.audits import AuditedItem
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.seals import PART_BYTES_MAX
from engine.policy import load_policy
from engine.preview.dry_run import DryRun, store_of
from tools.environments import ROOT

ENTRIES, ROUNDS = 2_000, 15
UNIT_BYTES = 1024
POSTED = datetime(2026, 1, 5, 12, tzinfo=UTC)


@frozen
class Figures:
    """Microseconds of CPU an entry, and bytes of the line that a seal keeps of it."""

    microseconds: Mapping[str, float]
    line_bytes: float

    @property
    def write_units(self) -> float:
        """Write units that sealing an entry takes."""
        return self.line_bytes / UNIT_BYTES

    def lines(self) -> list[str]:
        """Return the figures as a table."""
        reading = self.microseconds["reading"]
        rows = [f"| {name} | {value:.1f} | {value / reading:.2f} |" for name, value in self.microseconds.items()]
        head = ["| an entry | us of CPU | / reading |", "| --- | --- | --- |"]
        return [*head, *rows, "", f"a line: {self.line_bytes:.0f} bytes, {self.write_units:.2f} write units"]


def entries(count: int) -> list[Item]:
    """Return entries as the shipped policy makes them."""
    run = DryRun(load_policy(ROOT / "policies" / "video.yaml"), store_of())
    for number in range(count):
        run.reconcile(Envelope(_event(number), Source.EVENT))
    return [item_of(entry, POSTED) for entry in run.entries()]


def _event(number: int) -> dict[str, object]:
    detail = {"jobId": f"job-{number:012d}", "userId": f"user-{number % 97:08d}", "seconds": 8, "model": "veo-3"}
    return {
        "id": f"{number:08x}-1234-4abc-8def-000000000000",
        "source": "video.generation",
        "detail-type": "video.rendered",
        "time": "2026-01-05T10:00:00Z",
        "detail": {**detail, "result_url": f"s3://renders/{number}.mp4"},
    }


def measure(count: int = ENTRIES, rounds: int = ROUNDS) -> Figures:
    """Return the figures of ``rounds`` interleaved rounds over ``count`` entries."""
    items = entries(count)
    texts = [json.dumps(item) for item in items]
    work: dict[str, Callable[[], object]] = {
        "reading": lambda: [json.loads(text) for text in texts],
        "auditing": lambda: [faults([AuditedItem(item).line]) for item in items],
        "sealing": lambda: [sealed_entry(AuditedItem(item)).text() for item in items],
    }
    took: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, does in work.items():
            began = time.process_time()
            does()
            took[name].append((time.process_time() - began) / count * 1e6)
    line_bytes = statistics.mean(len(sealed_entry(AuditedItem(item)).text()) + 1 for item in items)
    return Figures({name: statistics.median(values) for name, values in took.items()}, line_bytes)


def main() -> None:
    """Print the figures."""
    figures = measure()
    print("\n".join(figures.lines()))
    print(f"a part: {PART_BYTES_MAX / figures.line_bytes:,.0f} entries; sealing a million entries:")
    print(f"{figures.write_units:.2f} million write units, {0.625 * figures.write_units:.2f} dollars on demand")


if __name__ == "__main__":
    main()
