"""The gates can fail: three changes for the worse, each caught by its own."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import handler
from benchmarks.budgets import (
    BLOCKS,
    CALLS,
    COLD_START_TO_FLOOR_MAX,
    MATCHING_THOUSAND_TO_TEN_MAX,
    PLANTED_ROUNDS,
    WARM_EVENT_TO_BARE_TRANSACTION_MAX,
)
from benchmarks.runtime_api import Sandbox
from benchmarks.test_matching import microseconds, rules
from benchmarks.test_warm import bare_request
from engine.ledger.store import Tables
from engine.policy import load_policy
from engine.policy.patterns import compile_pattern

pytestmark = pytest.mark.planted

EAGER = "import botocore.session, botocore.client, botocore.httpsession\n"


def test_an_eager_import_is_caught(
    artifact: Path,
    floor: Path,
    sandbox: Callable[[Path, str], Sandbox],
    new_event: Callable[[], dict[str, Any]],
    tmp_path: Path,
) -> None:
    """One line at the top of the handler, of what the function does not need."""
    worse = tmp_path / "task"
    shutil.copytree(artifact, worse)
    text = (artifact / "handler.py").read_text()
    (worse / "handler.py").write_text(text.replace("import gc\n", f"import gc\n{EAGER}", 1))
    shutil.rmtree(worse / "__pycache__")
    floors, ours = [], []

    for _ in range(PLANTED_ROUNDS):
        with sandbox(floor, "floor.handler") as box:
            floors.append(box.milliseconds_to(box.invoke({})))
        event = new_event()
        with sandbox(worse, "handler.lambda_handler") as box:
            ours.append(box.milliseconds_to(box.invoke(event)))

    assert statistics.median(ours) / statistics.median(floors) > COLD_START_TO_FLOOR_MAX


def test_a_loop_over_the_rules_is_caught() -> None:
    """Without the index a thousand rules cost a hundred times what ten cost."""
    several = {size: [compile_pattern(rule) for rule in rules(size)] for size in (10, 1000)}
    loops = {
        size: lambda event, predicates=predicates: [n for n, matches in enumerate(predicates) if matches(event)]
        for size, predicates in several.items()
    }
    medians = {size: statistics.median(microseconds(loop, 20) for _ in range(BLOCKS)) for size, loop in loops.items()}

    assert medians[1000] / medians[10] > MATCHING_THOUSAND_TO_TEN_MAX


def test_a_read_before_the_first_debit_is_caught(
    peer: Any, tables: Tables, new_event: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call for each event, as if the condition could not tell a duplicate.

    Each round has a ratio of its own, so that what else is at work on the machine is in both of its parts.
    """
    monkeypatch.setattr(
        "engine.reconcile.conductor.likely_log",
        lambda assessment, _policy, store, deadline: store.read(assessment.reference, deadline),
    )
    policy = load_policy("policies/video.yaml")
    ours: list[float] = []
    bare: list[float] = []

    for _ in range(4 * PLANTED_ROUNDS + 1):
        requests = [bare_request(tables, new_event(), policy) for _ in range(CALLS)]
        bare.append(_cpu(lambda: [peer.transact_write_items(**request) for request in requests]))  # noqa: B023  at once
        events = [new_event() for _ in range(CALLS)]
        ours.append(_cpu(lambda: [handler.lambda_handler(event) for event in events]))  # noqa: B023  at once

    ratios = [one / other for one, other in zip(ours[1:], bare[1:], strict=True)]
    assert statistics.median(ratios) > WARM_EVENT_TO_BARE_TRANSACTION_MAX


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
