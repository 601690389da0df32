"""A second policy beside the first, both at work in memory, with every line that is written."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from attrs import Factory, define, evolve, field

from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError
from engine.ledger.memory import MemoryStore
from engine.policy import Policy
from engine.policy.model import Overdraft
from engine.preview.dry_run import STOPPED, store_of
from engine.rating.beside import Beside
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.shadow import SecondPolicy, Shadow
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Telemetry
from tests.support.events import failed, rendered
from tests.support.policies import example

NOW = example()
DEARER = example(('rates: {default: "0.10", premium: "0.25"}', 'rates: {default: "0.12", premium: "0.25"}'))
NO_DEFAULT = example(('rates: {default: "0.10", premium: "0.25"}', 'rates: {premium: "0.25"}'))
FINISHED = example(
    ("[video.rendered]}\n    action", "[video.finished]}\n    action"), ("video.rendered, time", "video.finished, time")
)
"""It charges for another event."""
BY_FRAMES = example(("quantity: detail.seconds", "quantity: detail.frames"))
"""It asks what the first policy has never asked."""


def broken() -> Policy:
    """Return a policy that fails at each event, as a fault of the program would."""
    return evolve(NOW, rules=tuple(evolve(rule, terms=None) for rule in NOW.rules))


def refusing(policy: Policy) -> Policy:
    """Return a policy with debits that wait for a balance."""
    return evolve(policy, overdraft=Overdraft.REFUSE)


@define
class Shaded:
    """A policy at work with another as its shadow; with None without any."""

    now: Policy
    then: Policy | None = None
    balances: Mapping[str, Decimal] | None = None
    clock: Clock = STOPPED
    shadow: Shadow | None = None
    lines: list[dict[str, Any]] = Factory(list)
    store: MemoryStore = field(init=False)

    @store.default
    def _store(self) -> MemoryStore:
        return store_of(self.balances)

    def reconciler(self) -> Reconciler:
        """Return the reconciler, as a container builds it."""
        shadow = self.shadow or (SecondPolicy(Beside(self.now, self.then), self.clock) if self.then is not None else None)
        telemetry = Telemetry(lambda line: self.lines.append(json.loads(line)), self.clock, {"FunctionName": "test"})
        return evolve(Reconciler(self.now, self.store, telemetry, self.clock), shadow=shadow)

    def deliver(self, *told: Document | Envelope) -> list[dict[str, Any] | None]:
        """Deliver events one by one, and return what was told of the shadow beside each."""
        reconciler, first = self.reconciler(), len(self.lines)
        for each in told:
            envelope = each if isinstance(each, Envelope) else Envelope(each, Source.EVENT)
            try:
                reconciler.reconcile(envelope, self.clock.deadline(60))
            except EventError:
                continue  # its line says it
        return [line.get("shadow") for line in self.lines[first:]]

    def batch(self, documents: Iterable[Document]) -> list[str]:
        """Deliver events in one batch of the queue, and return which of them come back."""
        records = [{"messageId": each["id"], "eventSource": "aws:sqs", "body": json.dumps(each)} for each in documents]
        return self.reconciler().batch(records, self.clock.deadline(60))

    @property
    def posted(self) -> Decimal:
        """What was posted, by the lines."""
        return _sum(line["amount"] for line in self.lines if line.get("amount"))

    @property
    def shadowed(self) -> Decimal:
        """What the shadow would have posted, by the lines."""
        return _sum(each["amount"] for each in self.shadows if "amount" in each)

    @property
    def difference(self) -> Decimal:
        """The sum of the differences, by the lines."""
        return _sum(each["difference"] for each in self.shadows if "difference" in each)

    @property
    def shadows(self) -> list[dict[str, Any]]:
        """What was told of the shadow, line by line."""
        return [line["shadow"] for line in self.lines if "shadow" in line]

    @property
    def unknown(self) -> list[str]:
        """Why some of it was not known."""
        return [each["why"] for each in self.shadows if each["outcome"] == "unknown"]

    def count(self, metric: str) -> float:
        """Return the sum of a metric."""
        return sum(line.get(metric, 0) for line in self.lines)


def _sum(amounts: Iterable[str]) -> Decimal:
    return functools.reduce(lambda total, amount: total + Decimal(amount), amounts, Decimal(0))


@functools.cache
def lines_of_every_outcome() -> Mapping[str, dict[str, Any]]:
    """Return a line for each way in which a shadow can end."""
    stories = (
        (Shaded(NOW, DEARER), (rendered(), failed(), failed("j-2"))),
        (Shaded(NOW, FINISHED), (rendered(),)),
        (Shaded(refusing(NOW), refusing(DEARER), {"u-1": Decimal(0)}), (rendered(),)),
        (Shaded(NOW, NO_DEFAULT), (rendered(),)),
        (Shaded(NOW, BY_FRAMES), (rendered(frames=192), failed())),
        (Shaded(NOW, broken()), (rendered(),)),
    )
    for shaded, events in stories:
        shaded.deliver(*events)
    return {line["shadow"]["outcome"]: line for shaded, _ in stories for line in shaded.lines}
