"""Tells the event bus of a batch of the Ledger's stream: each notice at least once, with an id of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from attrs import Factory, define, field, frozen

from engine.anomalies.bus import EVENTS_MAX, Bus
from engine.anomalies.low_balances import BalanceWatch
from engine.anomalies.notices import Notice, notices_of
from engine.domain.entry import Entry
from engine.domain.errors import LedgerError
from engine.domain.money import ZERO
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Telemetry

TOLD, UNTOLD = "NoticesTold", "NoticesUntold"
NOTICE_METRICS = (TOLD, UNTOLD)
"""What is counted: notices, and records that come again because one of theirs was not taken."""

Numbered = tuple[Entry, str]
"""An entry, and the sequence number of its record in the stream, by which that comes again."""


@define
class BatchTold:
    """What was told of a batch, by name; the records that must come again, and why."""

    counts: Counter[str] = Factory(Counter)
    again: list[str] = Factory(list)
    problem: str = ""

    def failed(self, number: str, problem: str) -> None:
        """Note a record of which something could not be told."""
        self.problem = problem
        if number not in self.again:
            self.again.append(number)


@frozen
class Notifier:
    """A bus, and, where the policy has bounds for them, the balances that it is told of."""

    bus: Bus
    telemetry: Telemetry = field(repr=False)
    watch: BalanceWatch | None = None

    def batch(self, records: Sequence[Numbered], deadline: Deadline) -> list[str]:
        """Tell what there is to tell of some entries, and return the sequence numbers of the records that must come again."""
        told = BatchTold()
        self._tell_entries(records, told)
        if self.watch is not None:
            for entry, number in first_of_each_user(records):
                self._tell_balance(self.watch, entry, number, told, deadline)
        if told.counts or told.again:
            fields = {"notices": dict(told.counts), **({"problem": told.problem} if told.again else {})}
            counts = {TOLD: told.counts.total(), UNTOLD: len(told.again)}
            self.telemetry.noted("told", fields, counts, is_wrong=bool(told.again))
        return told.again

    def _tell_entries(self, records: Sequence[Numbered], told: BatchTold) -> None:
        """Tell of each entry; of one log in the order of its entries."""
        notices = [(notice, number) for entry, number in records for notice in notices_of(entry)]
        for start in range(0, len(notices), EVENTS_MAX):
            self._send(notices[start : start + EVENTS_MAX], told)

    def _send(self, notices: Sequence[tuple[Notice, str]], told: BatchTold) -> bool:
        """Send at most ten notices, each with the number of its record, and say whether all were taken."""
        untold, problem = self.bus.send([(notice.name, notice.detail) for notice, _ in notices])
        for place, (notice, number) in enumerate(notices):
            if place in untold:
                told.failed(number, problem)
            else:
                told.counts[notice.name] += 1
        return not untold

    def _tell_balance(self, watch: BalanceWatch, entry: Entry, number: str, told: BatchTold, deadline: Deadline) -> None:
        try:
            for notice in watch.notices(entry, deadline):
                if not self._send([(notice, number)], told):
                    return
        except LedgerError as error:
            told.failed(number, str(error))


def first_of_each_user(records: Iterable[Numbered]) -> Iterator[Numbered]:
    """Yield of each user the first record that moves credits: all behind it comes again with it."""
    first: dict[str, Numbered] = {}
    for entry, number in records:
        if entry.amount != ZERO:
            first.setdefault(entry.user, (entry, number))
    yield from first.values()
