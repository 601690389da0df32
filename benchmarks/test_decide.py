"""The pure core: match, price and decide, without a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.budgets import DECIDE_MICROSECONDS_MAX
from benchmarks.gates import at_most
from engine.domain.decision import Decision, Standing
from engine.domain.envelope import Envelope, Source
from engine.domain.log import JobLog
from engine.policy import load_policy
from engine.rating.assess import assess
from engine.rating.decide import decide


def test_decide_one_event(benchmark: Any, new_event: Callable[[], dict[str, Any]]) -> None:
    """The shipped policy on a first debit."""
    policy, envelope = load_policy("policies/video.yaml"), Envelope(new_event(), Source.EVENT)

    def decide_one() -> Decision:
        assessment = assess(envelope, policy)
        assert assessment is not None
        return decide(assessment, JobLog(), Standing.ASSUMED_COVERED, policy)

    decision = benchmark(decide_one)

    assert decision.entry is not None
    benchmark.extra_info.update(microseconds=round(benchmark.stats.stats.median * 1e6, 1))
    at_most(benchmark.stats.stats.median * 1e6, DECIDE_MICROSECONDS_MAX)
