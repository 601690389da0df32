"""What a scheduled run costs on AWS, worked out: ``python -m benchmarks.catch_up`` prints docs/scale.md's table.

Read units by DynamoDB's documented rules: a scan takes half a unit for each 4 KB that it reads, whatever it filters out, and
reads at most 1 MB at once. Prices are the published ones of us-east-1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import frozen

from benchmarks.capacity import LAMBDA_GB, LAMBDA_GB_SECOND, LAMBDA_PER_MILLION
from engine.reconcile.scheduled import SEGMENT_BYTES, SEGMENTS_MAX, WORK_SECONDS

ROW_BYTES = 280
PAGE_BYTES = 2**20
UNIT_BYTES = 4096
UNITS_OF_4_KB = 0.5
"""Eventually consistent."""

PAGE_SECONDS = 0.1
"""Assumed: what DynamoDB takes for a page of 1 MB, and our part of one in which little is due."""

AT_ONCE = 8
STEP_SECONDS = 0.05
"""Assumed: what Step Functions takes between two invocations."""

READ_UNITS_PER_MILLION = 0.125
TRANSITIONS_PER_MILLION = 25.0
"""Dollars."""

TRANSITIONS_OF_A_RUN = 6
TRANSITIONS_OF_A_SEGMENT = 2
TRANSITIONS_OF_AN_INVOCATION = 2

HISTORY_EVENTS_MAX = 25_000
HISTORY_EVENTS_OF_AN_INVOCATION = 7
"""What an execution's history takes of a task and a choice."""

RUNS_A_MONTH = 4 * 30
JOBS = (1_000_000, 10_000_000, 100_000_000)


@frozen
class Run:
    """What one run over ``jobs`` rows takes."""

    jobs: int
    row_bytes: int = ROW_BYTES

    @property
    def table_bytes(self) -> int:
        return self.jobs * self.row_bytes

    @property
    def segments(self) -> int:
        return max(1, min(SEGMENTS_MAX, math.ceil(self.table_bytes / SEGMENT_BYTES)))

    @property
    def read_units(self) -> float:
        return math.ceil(self.table_bytes / UNIT_BYTES) * UNITS_OF_4_KB

    @property
    def invocations(self) -> int:
        """Each begins no further page after its second."""
        pages = math.ceil(self.table_bytes / PAGE_BYTES / self.segments)
        return self.segments * math.ceil(pages / round(WORK_SECONDS / PAGE_SECONDS))

    @property
    def history_events(self) -> int:
        """Of one segment's execution."""
        return HISTORY_EVENTS_OF_AN_INVOCATION * math.ceil(self.invocations / self.segments)

    @property
    def minutes(self) -> float:
        rounds = math.ceil(self.segments / AT_ONCE) * self.invocations / self.segments
        return rounds * (WORK_SECONDS + STEP_SECONDS) / 60

    @property
    def dollars(self) -> float:
        transitions = (
            TRANSITIONS_OF_A_RUN + TRANSITIONS_OF_A_SEGMENT * self.segments + TRANSITIONS_OF_AN_INVOCATION * self.invocations
        )
        compute = self.invocations * (LAMBDA_PER_MILLION / 1e6 + WORK_SECONDS * LAMBDA_GB * LAMBDA_GB_SECOND)
        return self.read_units * READ_UNITS_PER_MILLION / 1e6 + transitions * TRANSITIONS_PER_MILLION / 1e6 + compute


def rows() -> Iterator[str]:
    """Yield the table's rows."""
    for jobs in JOBS:
        run = Run(jobs)
        cells = (
            f"{jobs // 1_000_000} million",
            f"{run.read_units:,.0f}",
            f"{run.segments}",
            f"{run.invocations:,}",
            f"{run.minutes:.1f}",
            f"{run.dollars:.3f}",
            f"{run.dollars * RUNS_A_MONTH:.2f}",
        )
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(rows()))
