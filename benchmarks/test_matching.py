"""Which rules match an event: ours, beside moto's EventPattern and rule-engine, in one interleaved run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from benchmarks.budgets import BLOCKS, MATCHING_MICROSECONDS_MAX, MATCHING_THOUSAND_TO_TEN_MAX
from benchmarks.gates import at_most
from engine.policy.patterns.index import PatternIndex

rule_engine = pytest.importorskip("rule_engine")
moto_models = pytest.importorskip("moto.events.models")

type Engine = Callable[[Mapping[str, Any]], list[int]]
"""Says which rules match, by their numbers."""

SIZES = (10, 100, 1000)
EVENT: dict[str, Any] = {
    "version": "0",
    "id": "7bf73129-1428-4cd3-a780-95db273d1602",
    "detail-type": "video.rendered",
    "source": "video.generation",
    "account": "123456789012",
    "time": "2026-01-05T10:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail": {"jobId": "j-1", "userId": "u-1", "seconds": 8, "model": "model-7", "result_url": "s3://renders/j-1.mp4"},
}
ANSWERS = [
    (EVENT, [7]),
    ({**EVENT, "detail": {**EVENT["detail"], "model": "model-9"}}, [9]),
    ({**EVENT, "detail": {**EVENT["detail"], "model": "unknown"}}, []),
    ({**EVENT, "source": "audio.generation"}, []),
    ({**EVENT, "detail-type": "video.failed"}, []),
]
"""What every engine must say before it is timed."""


def rules(size: int) -> list[dict[str, Any]]:
    """Return a rule for each model: the policy of a company with very many models."""
    return [
        {"source": ["video.generation"], "detail-type": ["video.rendered"], "detail": {"model": [f"model-{number}"]}}
        for number in range(size)
    ]


def ours(size: int) -> Engine:
    """Return our index."""
    return PatternIndex.of(rules(size)).matching


def moto(size: int) -> Engine:
    """Return moto's patterns, asked one after the other, as moto's event bus does."""
    several = [moto_models.EventPattern.load(json.dumps(rule)) for rule in rules(size)]
    return lambda event: [number for number, pattern in enumerate(several) if pattern.matches_event(event)]


def rule_engine_loop(size: int) -> Engine:
    """Return compiled expressions of rule-engine, asked one after the other; it has no index."""
    several = [
        rule_engine.Rule(f"source == 'video.generation' and kind == 'video.rendered' and detail['model'] == 'model-{number}'")
        for number in range(size)
    ]

    def matching(event: Mapping[str, Any]) -> list[int]:
        thing = {"source": event["source"], "kind": event["detail-type"], "detail": event["detail"]}
        return [number for number, rule in enumerate(several) if rule.matches(thing)]

    return matching


ENGINES: dict[str, Callable[[int], Engine]] = {"ours": ours, "moto": moto, "rule-engine": rule_engine_loop}


def microseconds(engine: Engine, events: int) -> float:
    """Return how long one event takes."""
    started = time.perf_counter()
    for _ in range(events):
        engine(EVENT)
    return (time.perf_counter() - started) / events * 1e6


def measure() -> dict[tuple[str, int], float]:
    """Return the median microseconds per event of each engine and size, all of them in turn in each round."""
    engines = {(name, size): make(size) for name, make in ENGINES.items() for size in SIZES}
    for key, engine in engines.items():
        assert [answer for _, answer in ANSWERS] == [engine(event) for event, _ in ANSWERS], key
    taken: dict[tuple[str, int], list[float]] = {key: [] for key in engines}
    for _ in range(BLOCKS):
        for (name, size), engine in engines.items():
            taken[name, size].append(microseconds(engine, 1000 if name == "ours" else max(1, 200 // size)))
    return {key: statistics.median(values) for key, values in taken.items()}


def test_matching_hardly_grows_with_the_number_of_rules(benchmark: Any) -> None:
    """A thousand rules cost at most so much more than ten, and no peer is near."""
    medians = benchmark.pedantic(measure, rounds=1, iterations=1)
    benchmark.extra_info.update({f"{name} {size}": round(median, 1) for (name, size), median in medians.items()})
    benchmark.extra_info.update(thousand_to_ten=round(medians["ours", 1000] / medians["ours", 10], 2))

    print("\nmicroseconds per event" + "".join(f"{size:>12}" for size in SIZES))
    for name in ENGINES:
        print(f"{name:<22}" + "".join(f"{medians[name, size]:>12.1f}" for size in SIZES))
    at_most(medians["ours", 1000] / medians["ours", 10], MATCHING_THOUSAND_TO_TEN_MAX)
    at_most(medians["ours", 1000], MATCHING_MICROSECONDS_MAX)
    assert all(medians["ours", size] < medians[peer, size] for size in SIZES for peer in ("moto", "rule-engine"))
