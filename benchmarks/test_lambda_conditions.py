"""The cold start as Lambda has it: TLS to the database, and from the first event on a share of a processor only."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks.budgets import (
    COLD_ROUNDS,
    FIRST_TO_SECOND_INVOCATION_MAX,
    FLOOR_MILLISECONDS_QUIET,
    LAMBDA_MEGABYTES,
    LAMBDA_MILLISECONDS_P95,
    PLANTED_ROUNDS,
)
from benchmarks.gates import at_most
from benchmarks.runtime_api import Sandbox
from benchmarks.throttle import share_of
from benchmarks.tls import make_certificates, terminated
from engine.ledger.dynamodb.choice import choose_wire
from tools.local_aws import LocalAws

LATER = 3
"""How many invocations after the first are taken together: one alone may meet another process."""

Start = Callable[[Path], Sandbox]
Event = Callable[[], dict[str, Any]]


@pytest.fixture
def over_tls(
    aws: LocalAws, environment: dict[str, str], runtime_python: Path, artifact: Path, tmp_path: Path
) -> Iterator[Start]:
    """Return what starts a folder's handler with TLS to the database; it reads the roots of Lambda and one more."""
    certificates = make_certificates(tmp_path)
    bundle = tmp_path / "bundle.pem"
    roots = (artifact / "engine" / "ledger" / "dynamodb" / "amazon-roots.pem").read_text()
    bundle.write_text(roots + certificates.authority.read_text())
    with terminated(certificates, urlsplit(aws.endpoint).port or 80) as endpoint:
        database = {"AWS_ENDPOINT_URL_DYNAMODB": endpoint, "AWS_CA_BUNDLE": str(bundle)}
        variables = {**environment, **database}
        yield lambda folder: Sandbox(runtime_python, folder, "handler.lambda_handler", variables)


def test_first_invocation_under_lambda_s_conditions(
    benchmark: Any,
    artifact: Path,
    floor: Path,
    sandbox: Callable[[Path, str], Sandbox],
    over_tls: Start,
    new_event: Event,
) -> None:
    """Init runs free, each invocation has 0.29 of a processor; the floor, interleaved, tells how busy the machine is."""
    floors: list[float] = []
    seen: list[dict[str, float]] = []

    def start_the_floor() -> None:
        with sandbox(floor, "floor.handler") as box:
            floors.append(box.milliseconds_to(box.invoke({})))

    start_the_floor(), one_start(over_tls, artifact, new_event)
    floors.clear()
    benchmark.pedantic(
        lambda: seen.append(one_start(over_tls, artifact, new_event)), setup=start_the_floor, rounds=COLD_ROUNDS, iterations=1
    )

    totals = [start["init"] + start["first"] for start in seen]
    ratio, p95 = first_to_later(seen), statistics.quantiles(totals, n=20)[-1]
    benchmark.extra_info.update(
        milliseconds_init=round(statistics.median(start["init"] for start in seen)),
        milliseconds_first=round(statistics.median(start["first"] for start in seen), 1),
        milliseconds_second=round(statistics.median(start["second"] for start in seen), 1),
        milliseconds_later=round(statistics.median(start["later"] for start in seen), 1),
        first_to_second=round(ratio, 2),
        milliseconds_total_median=round(statistics.median(totals)),
        milliseconds_total_p95=round(p95),
        floor_milliseconds_p95=round(statistics.quantiles(floors, n=20)[-1]),
    )
    print(f"\nLambda's conditions: {benchmark.extra_info}")
    at_most(ratio, FIRST_TO_SECOND_INVOCATION_MAX)
    if statistics.quantiles(floors, n=20)[-1] <= FLOOR_MILLISECONDS_QUIET:
        at_most(p95, LAMBDA_MILLISECONDS_P95)
    else:
        print("the p95 is not judged: the floor itself is slow, so this machine has other work")


@pytest.mark.planted
def test_a_function_that_prepares_nothing_is_caught(artifact: Path, over_tls: Start, new_event: Event, tmp_path: Path) -> None:
    """Without the read in init the first event waits for roots, handshake and connection."""
    worse = tmp_path / "task"
    shutil.copytree(artifact, worse)
    text = (artifact / "handler.py").read_text()
    (worse / "handler.py").write_text(text.replace("    _prime(reconciler)\n", "", 1))
    shutil.rmtree(worse / "__pycache__")

    assert (
        first_to_later([one_start(over_tls, worse, new_event) for _ in range(PLANTED_ROUNDS)]) > FIRST_TO_SECOND_INVOCATION_MAX
    )


def one_start(start: Start, folder: Path, new_event: Event) -> dict[str, float]:
    """Return the milliseconds of init, of the first and second invocation, and of the median of those after the first."""
    share = share_of(LAMBDA_MEGABYTES)
    events = [new_event() for _ in range(1 + LATER)]
    box = start(folder)
    wire = choose_wire(box.environment)
    assert wire is not None, "botocore's client would be measured"
    assert wire.endpoint.is_tls
    with box:
        init = box.initialised()
        answers = [box.throttled(event, share) for event in events]
    assert {answer.body["outcome"] for answer, _ in answers} == {"debited"}
    first, *later = (milliseconds for _, milliseconds in answers)
    return {"init": init, "first": first, "second": later[0], "later": statistics.median(later)}


def first_to_later(seen: list[dict[str, float]]) -> float:
    """Return how much longer the first invocation takes than those after it: the median over all starts.

    Several together are steadier than the second alone, and a little quicker, so the bound is no easier to meet.
    """
    return statistics.median(start["first"] / start["later"] for start in seen)
