"""What a plan takes at any size: ``python -m benchmarks.planning --events 1000000`` prints docs/decisions/0030's figures.

Seconds of the processor, beside the floor: ``json.loads`` on the same lines, by itself, in the same run. Each measurement is a
process of its own, the peak is its largest resident memory; of several workers the sum of their seconds, the largest of their
peaks and the seconds that passed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from engine.policy import parse_policy
from engine.preview.planning.run import planned
from engine.preview.planning.work import Wish
from tools.environments import ROOT

EDIT = ('"0.10", premium', '"0.11", premium')
"""The edit that is planned: ten percent on all but one model."""

SOLD = (4, 5, 6, 8, 8, 8, 10, 12, 15, 16, 20, 30)
"""Seconds that most videos have."""

SECONDS_A_DAY = 86_400
MEGABYTE = 1 << 10
"""In the units of ``ru_maxrss``."""


# --- events ---


def made_events(count: int, seed: int = 1) -> Iterator[str]:
    """Yield events as a service sends them: eighty models, some users who do much, failures, redeliveries, some mistakes."""
    chance = random.Random(seed)  # noqa: S311  chance comes from a seed, to be made again
    last: list[str] = []
    for number in range(count):
        if last and chance.random() < 0.02:
            yield chance.choice(last)
            continue
        last = [*last[-20:], _event(chance, number, count)]
        yield last[-1]


def _event(chance: random.Random, number: int, count: int) -> str:
    kind = chance.random()
    job = number if kind > 0.06 else max(0, number - chance.randrange(1, 2000))
    of_job = random.Random(job)  # noqa: S311  a failure names what was ordered
    detail = {
        "jobId": f"job-{job:012d}",
        "userId": f"user-{int(50_000 * of_job.random() ** 3) if kind > 0.001 else 'other'}",
        "seconds": _seconds(of_job),
        "model": f"model-{int(of_job.paretovariate(1.0)) % 80}",
        "result_url": f"s3://renders/{job:012d}.mp4",
    }
    seconds = int(60 * SECONDS_A_DAY * number / count)
    at = f"2025-{11 + seconds // (30 * SECONDS_A_DAY):02d}-{1 + seconds // SECONDS_A_DAY % 30:02d}"
    clock = f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return json.dumps(
        {
            "version": "0",
            "id": f"{number:08x}-1234-4abc-8def-000000000000",
            "detail-type": "video.failed" if kind < 0.05 else "video.rendered",
            "source": "video.generation",
            "account": "123456789012",
            "time": f"{at}T{clock}Z",
            "region": "us-east-1",
            "resources": [],
            "detail": detail,
        }
    )


def _seconds(chance: random.Random) -> Any:
    kind = chance.random()
    if kind < 0.0005:
        return chance.choice([float("nan"), "a few", None, 12345678901234567890123])
    return chance.choice(SOLD) if kind < 0.8 else chance.randrange(1, 60) if kind < 0.97 else chance.randrange(2, 60) / 2


# --- measurements ---


@frozen
class Taken:
    """What a measurement took: seconds that passed, seconds of the processor, megabytes at the peak; and what it said."""

    passed: float
    processor: float
    peak: float
    said: str = ""


def taken(work: Callable[..., str], *arguments: Any) -> Taken:
    """Return what some work took in a process of its own, with the processes that it starts."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measured, args=(theirs, work, arguments))
    process.start()
    result: Taken = ours.recv()
    process.join()
    return result


def _measured(pipe: Any, work: Callable[..., str], arguments: tuple[Any, ...]) -> None:
    started, before = time.monotonic(), time.process_time()
    said = work(*arguments)
    passed, processor = time.monotonic() - started, time.process_time() - before
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children.ru_maxrss) / MEGABYTE
    pipe.send(Taken(passed, processor + children.ru_utime + children.ru_stime, peak, said))


def floor(path: Path) -> str:
    """Read each line as JSON, and do nothing with it."""
    with path.open("rb") as file:
        for line in file:
            json.loads(line)
    return ""


def plan(path: Path, workers: int) -> str:
    """Plan the edit; return what it says, so that two measurements can be compared."""
    text = (ROOT / "policies" / "video.yaml").read_text()
    now, then = parse_policy(text, "video.yaml"), parse_policy(text.replace(*EDIT), "edited.yaml")
    with planned(Wish((path,), now, then, workers=workers)) as outcome:
        return (
            f"{outcome.tally.sums} {len(outcome.differences)} {len(outcome.refused)} {sorted(outcome.tally.outcomes.items())}"
        )


def figures(events: int, rounds: int) -> list[str]:
    """Return the figures as a table."""
    with TemporaryDirectory(prefix="planning-") as folder:
        path = Path(folder) / "events.jsonl"
        with path.open("w") as file:
            file.writelines(f"{line}\n" for line in made_events(events))
        measured = [(taken(floor, path), taken(plan, path, 1), taken(plan, path, 2)) for _ in range(rounds)]
    assert len({plan_.said for _, *plans in measured for plan_ in plans}) == 1, "one worker and two say different things"
    head = [f"| {events} events | seconds | of the processor | / floor | peak MB |", "| --- | --- | --- | --- | --- |"]
    names = "json.loads, line by line", "plan, 1 worker", "plan, 2 workers"
    return [*head, *(row_of(name, [row[place] for row in measured], measured) for place, name in enumerate(names))]


def row_of(name: str, column: list[Taken], measured: list[Any]) -> str:
    """Return a row of the table: medians, and the median of the shares of each round."""
    shares = statistics.median(each.processor / row[0].processor for each, row in zip(column, measured, strict=True))
    passed, processor, peak = (
        statistics.median(getattr(each, figure) for each in column) for figure in ("passed", "processor", "peak")
    )
    return f"| {name} | {passed:.1f} | {processor:.1f} | {shares:.1f} | {peak:.0f} |"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=27_000)
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    print("\n".join(figures(asked.events, asked.rounds)))


if __name__ == "__main__":
    main()
