"""What the soak runs on: the local AWS, or the strict database behind a server of its own, in which transactions meet."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

from tests.simulation.database import Database, run_server
from tests.simulation.database.staleness import Seeded
from tools.environments import ROOT
from tools.local_aws import LocalAws, run_local_aws

LOCAL, STRICT = "local", "strict"
NAMES = (LOCAL, STRICT)

BETWEEN_SECONDS_MAX = 0.006
"""How long the strict database holds a prepared transaction, so that others meet it."""


@frozen
class Engine:
    """A database that runs: where, in which process, and what it refused as senseless (known at the end)."""

    name: str
    aws: LocalAws
    process: int
    refused: Callable[[], list[str]] = list


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[Engine]:
    """Run an engine by its name."""
    with _local(folder) if name == LOCAL else _strict(folder) as engine:
        yield engine


@contextlib.contextmanager
def _local(folder: Path) -> Iterator[Engine]:
    before = children()
    with run_local_aws(folder) as aws:
        yield Engine(LOCAL, aws, next(iter(children() - before)))


@contextlib.contextmanager
def _strict(folder: Path) -> Iterator[Engine]:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-m", "tests.soak.engines"], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    assert process.stdin is not None
    assert process.stdout is not None

    def refused() -> list[str]:
        process.stdin.close()
        told: list[str] = json.loads(process.stdout.readline())
        return told

    try:
        yield Engine(STRICT, LocalAws(process.stdout.readline().strip(), folder), process.pid, refused)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def children() -> set[int]:
    """Return the processes that this one has begun. A thread that ends meanwhile leaves its own to another: look again."""
    while True:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            threads = list(Path("/proc/self/task").iterdir())
            return {int(child) for thread in threads for child in (thread / "children").read_text().split()}


def serve() -> None:
    """Serve the strict database until standard input ends; say then what it refused as senseless."""
    chance = random.Random(0)
    database = Database(staleness=Seeded.of(7))
    database.between = lambda: time.sleep(chance.random() * BETWEEN_SECONDS_MAX)
    with run_server(database) as server:
        print(server.endpoint, flush=True)
        sys.stdin.read()
        print(json.dumps(database.validation_errors), flush=True)


if __name__ == "__main__":
    serve()
