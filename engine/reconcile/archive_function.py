"""The Lambda function that archives: built once per container, from the environment."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.reconcile.wiring import Settings, archive_named, build_writer, log_level
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from engine.ledger.archive.writer import Writer


def answer(event: Any, deadline: Deadline) -> dict[str, Any]:
    """Append a batch of the Ledger's stream to the archive. Raises LedgerError where it has to come again, as a whole."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    return _writer().batch(records if isinstance(records, list) else [event], deadline)


@functools.cache
def clock() -> Clock:
    """Return the container's clock."""
    return Clock()


def prepare() -> None:
    """Import during init what the first batch would otherwise wait for."""
    _writer()


@functools.cache
def _writer() -> Writer:
    settings = Settings.from_environment(os.environ)
    telemetry = Telemetry(_write, clock(), {"FunctionName": settings.function}, log_level(settings.log_level))
    if (name := archive_named(os.environ)) is None:
        raise ValueError("ARCHIVE_BUCKET names no bucket to archive to")
    return build_writer(name, settings.tables, telemetry, clock())


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
