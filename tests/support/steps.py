"""The conductor on a ledger in memory: what it calls, what it reports, what it leaves."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import Any, cast

from engine.domain.envelope import Envelope, Source
from engine.ledger.memory import MemoryStore
from engine.ledger.store import Store
from engine.policy import Policy
from engine.reconcile.catch_up import ScanReport, scan, whole_table
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.scheduled import everything
from engine.runtime.telemetry import Report, Telemetry
from handler import closing_steps
from tests.support.clock import START, ManualClock
from tests.support.ledgers import FaultyStore


class Steps:
    """A reconciler over memory with a clock that moves by hand."""

    def __init__(self, policy: Policy, balance: str = "1000", level: int = logging.INFO) -> None:
        self.time = ManualClock()
        self.lines: list[dict[str, Any]] = []
        clock = self.time.clock()
        self.ledger = FaultyStore(MemoryStore(clock, {"u-1": {"userId": "u-1", "remaining": Decimal(balance)}}))
        telemetry = Telemetry(lambda line: self.lines.append(json.loads(line)), clock, {"FunctionName": "f"}, level)
        self.reconciler = Reconciler(policy, cast("Store", self.ledger), telemetry, clock)

    def deliver(self, *documents: dict[str, Any]) -> list[Report]:
        """Deliver events one after the other."""
        return [self.reconciler.event(document, Source.EVENT, self._deadline()) for document in documents]

    def reconcile(self, envelope: Envelope) -> Report:
        """Reconcile one envelope."""
        return self.reconciler.reconcile(envelope, self._deadline())

    def batch(self, *bodies: str, seconds: float = 30) -> list[str]:
        """Hand over a batch of a queue; the messages are called m-0, m-1 ..."""
        records = [{"messageId": f"m-{n}", "eventSource": "aws:sqs", "body": body} for n, body in enumerate(bodies)]
        return self.reconciler.batch(records, self._deadline(seconds))

    def scan(self, segments: int = 2, seconds: float = 30) -> ScanReport:
        """Scan the whole table of jobs."""
        return scan(self.reconciler, whole_table(segments), self._deadline(seconds))

    def scheduled(self) -> dict[str, Any]:
        """Do what the schedule does."""
        return everything(self.reconciler, START, closing_steps(), self._deadline(60))

    def _deadline(self, seconds: float = 30) -> Any:
        return self.time.clock().deadline(seconds)
