"""The function that archives, in a process of its own that may be killed at any moment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from attrs import define

ANSWER_SECONDS = 60.0

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(
    [__name__, "handler", "engine.reconcile.archive_function", "engine.ledger.archive.s3", "botocore.session"]
)


def write(connection: Connection, environment: Mapping[str, str]) -> None:
    """Be the function: take batches until nobody sends any more, and answer each once it is archived."""
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    from handler import archive_handler  # noqa: PLC0415  it is imported where the process is forked from

    with suppress(EOFError):
        while True:
            connection.send(archive_handler(connection.recv()))


@define
class Archiver:
    """A process that archives; killed, another one takes its place."""

    environment: Mapping[str, str]
    process: Any = None
    connection: Any = None

    def hand_over(self, records: Sequence[Any], seconds: float | None = None) -> Any:
        """Return what is answered; None where it was killed first: after so many ``seconds``, if any are given."""
        if self.process is None:
            self.connection, theirs = FORKS.Pipe()
            self.process = FORKS.Process(target=write, args=(theirs, self.environment), daemon=True)
            self.process.start()
            theirs.close()
        self.connection.send({"Records": list(records)})
        if not self.connection.poll(ANSWER_SECONDS if seconds is None else seconds):
            self.end()
            return None
        return self.connection.recv()

    def end(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
            self.process = None
