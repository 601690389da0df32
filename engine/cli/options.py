"""Options that several commands share, and what they open."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from attrs import frozen

from engine.cli import status
from engine.ledger.store import Store, Tables
from engine.policy import load_policy
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.wiring import Settings, build_ledger
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Telemetry

FAILED = status.FAILED
MISUSED = status.MISUSED

FOREVER_SECONDS = 10.0 * 365 * 24 * 60 * 60
PATIENCE_SECONDS = 60.0
"""How long the command goes on trying one request before it gives up."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint-url", help="DynamoDB to use.  [default: as every AWS tool finds it]")
]
JobsTable = Annotated[str, typer.Option(envvar="JOBS_TABLE", help="Table of jobs.")]
CreditsTable = Annotated[str, typer.Option(envvar="CREDITS_TABLE", help="Table of balances.")]
LedgerTable = Annotated[str, typer.Option(envvar="LEDGER_TABLE", help="Table of entries.")]
StateTable = Annotated[str, typer.Option(envvar="STATE_TABLE", help="Table of baselines and counters.")]
SealsTable = Annotated[str, typer.Option(envvar="SEALS_TABLE", help="Table of seals.")]
PolicyFile = Annotated[Path, typer.Option("--policy", envvar="POLICY_FILE", help="Policy file.", exists=True, dir_okay=False)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Write the log line of each outcome to standard error.")]

DEFAULT_POLICY = Path("policies/video.yaml")


@frozen
class Target:
    """The tables that a command works on."""

    tables: Tables
    endpoint: str | None

    def ledger(self, connections: int = 10) -> Store:
        """Open the tables."""
        return build_ledger(self.tables, Clock(), connections, self.endpoint)

    def description(self) -> dict[str, str]:
        """Return what tells this target from another."""
        from_environment = Settings.from_environment(os.environ).endpoint
        return {
            "jobs": self.tables.jobs,
            "credits": self.tables.credits,
            "ledger": self.tables.ledger,
            "endpoint": self.endpoint or from_environment or "aws",
        }


def open_reconciler(target: Target, policy: Path, connections: int, write: Callable[[str], None]) -> Reconciler:
    """Return a reconciler on the target that reports each outcome to ``write``."""
    clock = Clock()
    telemetry = Telemetry(write, clock, {"FunctionName": "reconciler"}, logging.INFO)
    return Reconciler(load_policy(policy), target.ledger(connections), telemetry, clock)


def reporter(*, verbose: bool, then: Callable[[], None] = lambda: None) -> Callable[[str], None]:
    """Return what takes the log lines: it counts, and shows them where that was asked for."""

    def write(line: str) -> None:
        if verbose:
            print(line, file=sys.stderr)
        then()

    return write


def forever() -> Deadline:
    """Return a deadline that does not come."""
    return Clock().deadline(FOREVER_SECONDS)


def patience() -> Deadline:
    """Return the deadline of one request."""
    return Clock().deadline(PATIENCE_SECONDS)
