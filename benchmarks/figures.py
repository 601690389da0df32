"""What a run of the benchmarks says: each figure that has a gate, in one table that report and comparison share."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks import budgets

Notes = Mapping[str, Mapping[str, Any]]
"""What each benchmark has noted, by its name."""

PYTHON = "a Python that does nothing"
FLOOR = 'importing boto3 and making a client ("the floor")'
TIMES_OF_ANOTHER_HOUR = math.inf
"""Of milliseconds the gate judges, not the comparison: a machine may take twice as long as it did a day before."""

BARE = "boto3's bare `transact_write_items`, the same items"


@frozen
class Figure:
    """One figure: which benchmark notes it under which key, what it is compared with in the same run, its gate and aim."""

    benchmark: str
    key: str
    what: str
    peer: str
    gate: float
    aim: str
    is_least: bool = False
    drift_max: float = 0.5
    """By what share it may be worse than the saved one. Ratios differ by a tenth or two for no reason at all, and by more on
    another processor; what creeps in below this is seen by whoever reads the table of ``make bench``."""

    def seen(self, notes: Notes) -> float | None:
        """Return what a run has seen, None where its benchmark did not run."""
        noted = notes.get(self.benchmark, {}).get(self.key)
        return None if noted is None else float(noted)

    def worse_by(self, before: float, now: float) -> float:
        """Return by what share ``now`` is worse than ``before``; negative where it is better."""
        return (before / now if self.is_least else now / before) - 1


FIGURES = (
    Figure(
        "test_cold_start_to_the_first_debit",
        "to_floor",
        "cold start: process start to the first debit answered",
        FLOOR,
        budgets.COLD_START_TO_FLOOR_MAX,
        "<= 0.60",
    ),
    Figure(
        "test_cold_start_to_the_first_debit",
        "memory_mib",
        "memory after the first debit, MiB",
        "",
        budgets.MEMORY_MIB_MAX,
        "<= 40",
    ),
    Figure(
        "test_first_invocation_under_lambda_s_conditions",
        "first_to_second",
        "first invocation after init, with TLS and 0.29 vCPU",
        "the invocations after it",
        budgets.FIRST_TO_SECOND_INVOCATION_MAX,
        "<= 1.5",
    ),
    Figure(
        "test_first_invocation_under_lambda_s_conditions",
        "milliseconds_total_p95",
        "cold start with TLS and 0.29 vCPU, p95, milliseconds",
        "",
        budgets.LAMBDA_MILLISECONDS_P95,
        "< 400",
        drift_max=TIMES_OF_ANOTHER_HOUR,
    ),
    Figure(
        "test_warm_debit",
        "to_bare_transaction",
        "CPU of a warm debit",
        BARE,
        budgets.WARM_EVENT_TO_BARE_TRANSACTION_MAX,
        "<= 0.50",
    ),
    Figure(
        "test_warm_hold",
        "hold_to_debit",
        "CPU of a warm hold, answered with what is left",
        "a warm debit",
        budgets.HOLD_TO_DEBIT_MAX,
        "",
    ),
    Figure(
        "test_warm_hold",
        "settle_to_debit",
        "CPU of a warm charge that settles a hold",
        "a warm debit",
        budgets.SETTLE_TO_DEBIT_MAX,
        "",
    ),
    Figure(
        "test_post",
        "to_bare_transaction",
        "CPU of posting alone",
        f"{BARE}, against a database that answers at once",
        budgets.POST_TO_BARE_TRANSACTION_MAX,
        "",
    ),
    Figure(
        "test_warm_batch",
        "cpu_to_bare_transaction",
        "CPU of an event in a batch of 48",
        BARE,
        budgets.BATCH_EVENT_TO_BARE_TRANSACTION_MAX,
        "<= 0.12",
    ),
    Figure(
        "test_warm_batch",
        "events_per_second_to_bare",
        "events a second in a batch",
        f"{BARE}, one by one",
        budgets.BATCH_EVENTS_PER_SECOND_TO_BARE_MIN,
        ">= 3.5",
        is_least=True,
    ),
    Figure(
        "test_scan_page",
        "to_client",
        "CPU of a row of a scan, decoded",
        "boto3's client, which leaves it undecoded",
        budgets.SCAN_ROW_TO_BOTO3_CLIENT_MAX,
        "",
    ),
    Figure("test_help", "to_python", "CPU of `reconciler --help`", PYTHON, budgets.HELP_TO_PYTHON_MAX, "<= 2.5"),
    Figure("test_validate", "to_python", "CPU of `reconciler validate`", PYTHON, budgets.VALIDATE_TO_PYTHON_MAX, "<= 10"),
    Figure(
        "test_matching_hardly_grows_with_the_number_of_rules",
        "thousand_to_ten",
        "matching an event against 1,000 rules",
        "against 10 rules",
        budgets.MATCHING_THOUSAND_TO_TEN_MAX,
        "<= 2.5",
    ),
    Figure(
        "test_matching_hardly_grows_with_the_number_of_rules",
        "ours 1000",
        "matching at 1,000 rules, microseconds",
        "",
        budgets.MATCHING_MICROSECONDS_MAX,
        "<= 10",
        drift_max=TIMES_OF_ANOTHER_HOUR,
    ),
)


def read(path: Path) -> Notes:
    """Return what a run of pytest-benchmark has noted."""
    return {benchmark["name"]: benchmark["extra_info"] for benchmark in json.loads(path.read_text())["benchmarks"]}


def seen(notes: Notes) -> Iterator[tuple[Figure, float]]:
    """Yield the figures that a run has seen."""
    for figure in FIGURES:
        value = figure.seen(notes)
        if value is not None:
            yield figure, value
