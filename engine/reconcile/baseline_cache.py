"""Keeps what is usual at hand: computed by the scheduled run, read at most once in ten minutes, never a reason to fail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field

from engine.domain.anomaly import Sample
from engine.ledger.store import Store
from engine.policy.model import Policy
from engine.rating.baselines import NO_BASELINES, UNREADABLE, Baselines, compute_baselines
from engine.runtime.clock import Clock, Deadline

SECONDS_BETWEEN_READS = 600.0
READ_SECONDS_MAX = 1.0
"""How long an event waits for a baseline. The money does not depend on it."""

WINDOW = timedelta(days=30)
"""What is usual is what was posted since."""

ENTRIES_MAX = 20_000
"""How many entries one run looks at: enough for a median, and the same cost whatever the Ledger's size."""


@define
class BaselineCache:
    """The baselines of one policy."""

    policy: Policy
    ledger: Store
    clock: Clock
    known: Baselines = NO_BASELINES
    read_at: float | None = None
    is_needed: bool = field(init=False)
    """Whether events are measured by them: each asks, and the policy would look through its anomalies each time."""

    @is_needed.default
    def _is_needed(self) -> bool:
        return self.policy.needs_baselines

    def current(self, deadline: Deadline) -> Baselines:
        """Return the baselines that hold now; none, with the reason, where there are none."""
        if not self.is_needed:
            return NO_BASELINES
        if self.read_at is None or self.clock.steady() - self.read_at >= SECONDS_BETWEEN_READS:
            self.known = self._read(deadline)
            self.read_at = self.clock.steady()
        return self.known.as_of(self.clock.now())

    def prime(self, deadline: Deadline) -> None:
        """Read the baselines even where no anomaly needs them: the connection stays open for what does."""
        self.known = self._read(deadline)
        self.read_at = self.clock.steady()

    def latest(self, deadline: Deadline) -> Baselines:
        """Return the baselines that are stored now, if they hold: what the scheduled run looks back with."""
        self.prime(deadline)
        return self.known.as_of(self.clock.now())

    def renew(self, deadline: Deadline) -> dict[str, Any] | None:
        """Compute the baselines from the ledger and store them; return what was done, or None where nothing needs them."""
        if not self.policy.measured:
            return None
        try:
            baselines = compute_baselines(self._samples(deadline), self.clock.now())
            self.ledger.store_baselines(self.policy.name, baselines, deadline)
        except Exception as error:  # noqa: BLE001  whatever it is, the scan must go on; the answer says what
            return {"problem": f"{type(error).__name__}: {error}"}
        self.known, self.read_at = baselines, self.clock.steady()
        groups = [baseline for groups in baselines.groups.values() for baseline in groups.values()]
        return {"groups": len(groups), "samples": sum(baseline.samples for baseline in groups)}

    def _samples(self, deadline: Deadline) -> Iterator[Sample]:
        wanted = set(self.policy.measured)
        found = self.ledger.samples(self.clock.now() - WINDOW, ENTRIES_MAX, deadline)
        yield from (sample for sample in found if sample.of in wanted)

    def _read(self, deadline: Deadline) -> Baselines:
        try:
            return self.ledger.load_baselines(self.policy.name, deadline.sooner(READ_SECONDS_MAX))
        except Exception:  # noqa: BLE001  whatever stands there, the money must move; the log says `unreadable`
            return evolve(NO_BASELINES, problem=UNREADABLE)
