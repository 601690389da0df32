"""What a second policy costs beside the first: a warm debit, a batch, a refund, and the start. ``docs/decisions/0034``.

``python -m benchmarks.shadow [BLOCKS]`` runs the handler on a database that takes everything, without a second policy and with
one, in blocks by turns; it prints the medians of processor time, and what the second policy is asked by itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import handler
from benchmarks.canned import answering
from engine.domain.envelope import Envelope, Source
from engine.policy import load_policy, parse_policy
from engine.policy.compiled import compile_policy
from engine.preview.dry_run import DryRun, store_of
from engine.rating.beside import Beside
from engine.reconcile.shadow import SecondPolicy
from engine.runtime.clock import Clock
from tools.environments import ROOT

FIRST = ROOT / "policies" / "video.yaml"
DEARER = ('default: "0.10"', 'default: "0.11"')

CALLS = 100
BATCH = 48
STARTS = 21

AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}

START = """
import os, time
started = time.process_time()
import handler
handler._reconciler(handler.Settings.from_environment(os.environ))
print(time.process_time() - started)
"""


def new_event(kind: str = "video.rendered", job: str | None = None, at: str = "2026-01-05T10:00:00Z") -> dict[str, Any]:
    """Return an event of a job, one of its own if none is named."""
    name = job or uuid.uuid4().hex
    detail = {"jobId": name, "userId": "u-1", "seconds": 8, "model": "veo-3", "result_url": f"s3://r/{name}.mp4"}
    event = {"id": uuid.uuid4().hex, "source": "video.generation", "detail-type": kind, "time": at, "detail": detail}
    return event if kind == "video.rendered" else {**event, "detail": {"jobId": name, "userId": "u-1"}}


def second_policy(folder: Path) -> Path:
    """Return the file of a policy of other prices, compiled as the build does it."""
    file = folder / "second.yaml"
    text = FIRST.read_text()
    assert DEARER[0] in text
    file.write_text(text.replace(*DEARER))
    compile_policy(file)
    return file


def by_turns(blocks: int, works: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Return the median of each work's microseconds of processor for one event; each says how many it had."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for block in range(blocks + 1):
        for name, work in works.items():
            started = time.process_time()
            events = work()
            if block:  # the first warms up
                taken[name].append((time.process_time() - started) / events * 1e6)
    return {name: statistics.median(each) for name, each in taken.items()}


def served(second: str, invocations: Callable[[], Iterable[Any]], events: int) -> Callable[[], int]:
    """Return the work of serving invocations, with that second policy."""

    def work() -> int:
        os.environ["SHADOW_POLICY_FILE"] = second
        for each in invocations():
            with contextlib.redirect_stdout(io.StringIO()):
                handler.lambda_handler(each)
        return events

    return work


def batches() -> list[dict[str, Any]]:
    """Return two batches of the queue."""
    return [
        {
            "Records": [
                {"messageId": str(number), "eventSource": "aws:sqs", "body": json.dumps(new_event())}
                for number in range(BATCH)
            ]
        }
        for _ in range(2)
    ]


def asked(file: Path) -> dict[str, Callable[[], int]]:
    """Return the work of asking the second policy alone: of a job's first event, of its refund, and of one that is known."""
    now, clock = load_policy(FIRST), Clock()
    shadow = SecondPolicy(Beside(now, parse_policy(file.read_text(), str(file))), clock)
    run, charge = DryRun(now, store_of()), new_event(job="j-1")
    ends = {}
    for name, event in {
        "charge": charge,
        "refund": new_event("video.failed", "j-1", "2026-01-05T11:00:00Z"),
        "known": charge,
    }.items():
        envelope = Envelope(event, Source.EVENT)
        ends[name] = run.reconciler.settled(envelope, run.deadline).told(envelope, 0.0)
    deadline = clock.deadline(3600)

    def work(name: str) -> Callable[[], int]:
        return lambda: len([shadow.beside(ends[name], deadline) for _ in range(CALLS)])

    return {f"asked: {name}": work(name) for name in ends}


def starts(file: Path) -> dict[str, float]:
    """Return the median milliseconds of processor of importing the handler and building its reconciler."""
    taken: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(STARTS):
        for name, second in (("without", ""), ("with", str(file))):
            environment = {**os.environ, "SHADOW_POLICY_FILE": second}
            done = subprocess.run([sys.executable, "-c", START], cwd=ROOT, env=environment, capture_output=True, check=True)
            taken[name].append(float(done.stdout) * 1000)
    return {name: statistics.median(each) for name, each in taken.items()}


def main() -> None:
    """Print the figures."""
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    with TemporaryDirectory() as place, answering(b"{}", Path(place)) as endpoint:
        file = second_policy(Path(place))
        os.environ |= {**AWS, "AWS_ENDPOINT_URL_DYNAMODB": endpoint, "POLICY_FILE": str(FIRST)}
        works = {}
        for name, second in (("without", ""), ("with", str(file))):
            works[f"debit {name}"] = served(second, lambda: [new_event() for _ in range(CALLS)], CALLS)
            works[f"batch {name}"] = served(second, batches, 2 * BATCH)
        taken = by_turns(blocks, {**works, **asked(file)})
        for name, microseconds in taken.items():
            print(f"{name:16} {microseconds:7.1f} us")
        for name in ("debit", "batch"):
            print(f"{name}: with / without {taken[f'{name} with'] / taken[f'{name} without']:.2f}")
        begun = starts(file)
        print(f"start: {begun['without']:.1f} ms without, {begun['with']:.1f} with; {begun['with'] / begun['without']:.2f}")


if __name__ == "__main__":
    main()
