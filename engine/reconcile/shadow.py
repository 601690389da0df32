"""A second policy that is asked beside the one that runs: what it would have posted is told, and moves nothing.

It is imported only where one is named. Whatever goes wrong here ends here: the event has been posted already, and its line
says what was wrong.
"""

from __future__ import annotations

import contextlib
import os
from decimal import Decimal
from typing import Protocol

from attrs import define, field

from engine.domain.assessment import Assessment
from engine.domain.entry_types import Outcome
from engine.domain.errors import EventError, PolicyError
from engine.domain.log import NO_ENTRIES
from engine.domain.money import EXACT, ZERO
from engine.domain.shadowed import FAILED, REJECTED, UNKNOWN, Shadowed
from engine.domain.texts import cut
from engine.policy import Policy, load_policy
from engine.policy.compiled import load_compiled
from engine.rating.beside import Beside, is_passed_over
from engine.rating.retelling import Untold
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Report, Telemetry

SLOW_SECONDS = 0.25
"""A thousand times what it takes. An answer of the second policy that takes longer holds up those who wait for the first."""

SLOW_MAX = 3
"""After so many of them a container asks the second policy no more."""

BY_NOBODY_KEPT = "the running policy ignores the event: whether it was told before is not known"
PASSED_OVER = "the ledger keeps nothing of the event, as another one counts: whether it was told before is not known"
NO_TIME = "no time was left"
TOO_SLOW = f"the second policy took longer than {SLOW_SECONDS} s {SLOW_MAX} times; this container asks it no more"
NOT_LOADED = "the second policy could not be loaded: see the line `shadow` of this container"


class Shadow(Protocol):
    """What is told beside a report."""

    def prepare(self) -> None:
        """Do what the first event would wait for."""

    def beside(self, report: Report, deadline: Deadline) -> Shadowed | None:
        """Return what a second policy would have posted, None where there is nothing to tell. Raises nothing."""


@define(eq=False, repr=False)
class SecondPolicy:
    """A second policy at work. It is a ``Shadow``. ``slow`` counts how often it took too long."""

    policies: Beside
    clock: Clock
    slow: int = field(default=0, init=False)

    def prepare(self) -> None:
        """Compile the patterns. Never fails: an event would say why."""
        with contextlib.suppress(Exception):
            self.policies.then.prepare()

    def beside(self, report: Report, deadline: Deadline) -> Shadowed | None:
        """Return what the second policy would have posted; None of an event that the ledger knew, or that neither takes."""
        try:
            return self._asked(report, deadline)
        except Exception as error:  # noqa: BLE001  the event is posted, whatever is wrong with the second policy
            return self._told(FAILED, cut(f"{type(error).__name__}: {error}"))

    def _asked(self, report: Report, deadline: Deadline) -> Shadowed | None:
        """Raises whatever a fault raises."""
        if report.entry is None and not _may_tell(report):
            return None
        if self.slow >= SLOW_MAX:
            return self._told(FAILED, TOO_SLOW)
        if deadline.left() <= 0:
            return self._told(UNKNOWN, NO_TIME)
        started = self.clock.steady()
        try:
            return self._answered(report)
        finally:  # a fault that takes long holds others up as well
            self.slow += self.clock.steady() - started > SLOW_SECONDS

    def _answered(self, report: Report) -> Shadowed | None:
        """Raises whatever a fault raises."""
        try:
            return self._judged(report)
        except EventError as error:
            if report.outcome is Outcome.DUPLICATE:
                return None
            return self._of(REJECTED, ZERO, report, error.rule, cut(str(error)))
        except Untold as untold:
            return self._told(UNKNOWN, cut(str(untold)))

    def _judged(self, report: Report) -> Shadowed | None:
        """Raises Untold, EventError, and whatever a fault raises."""
        known = report.assessment
        told = self._assessed(report)
        if known is None:
            return self._told(UNKNOWN, BY_NOBODY_KEPT, told.rule) if told is not None else None
        if told is None:
            return self._of(Outcome.IGNORED, ZERO, report) if report.entry is not None else None
        if report.outcome is Outcome.REFUSED:
            return self._of(Outcome.REFUSED, ZERO, report, told.rule)
        decision = self.policies.decided(told, known, report.before or NO_ENTRIES)
        amount = decision.entry.amount if decision.entry is not None else ZERO
        if report.entry is None:
            return self._told(UNKNOWN, PASSED_OVER, told.rule) if amount else None
        return self._of(decision.outcome, amount, report, told.rule)

    def _assessed(self, report: Report) -> Assessment | None:
        """Return what the second policy makes of it; that a hold has expired no policy tells. Raises Untold and EventError."""
        known = report.assessment
        if known is not None and known.fact.expiries:
            return known
        assert report.envelope is not None  # noqa: S101  whoever reports on an event has it
        return self.policies.assessed(report.envelope, known)

    def _of(self, outcome: str, amount: Decimal, report: Report, rule: str | None = None, why: str = "") -> Shadowed:
        posted = report.entry.amount if report.entry is not None else ZERO
        return Shadowed(self.policies.then.identity, str(outcome), rule, amount, EXACT.subtract(amount, posted), why)

    def _told(self, outcome: str, why: str, rule: str | None = None) -> Shadowed:
        return Shadowed(self.policies.then.identity, outcome, rule, why=why)


def _may_tell(report: Report) -> bool:
    """Say whether an event that has posted nothing may be news to another policy."""
    known = report.assessment
    if known is None or report.before is None:
        return report.outcome is Outcome.IGNORED
    if report.outcome is Outcome.CLOSED:  # the ledger keeps nothing of such a hold
        return True
    return report.outcome is Outcome.DUPLICATE and is_passed_over(known.fact, report.before.facts)


@define(eq=False, repr=False)
class Unloaded:
    """A second policy that could not be loaded: each event says so, as long as it stays so. It is a ``Shadow``."""

    file: str

    def prepare(self) -> None:
        """There is nothing to prepare."""

    def beside(self, report: Report, _deadline: Deadline) -> Shadowed | None:
        """Return that it failed, of each event that it would have been asked about."""
        return Shadowed(self.file, FAILED, why=NOT_LOADED) if report.entry is not None else None


def open_shadow(file: str, path: str, now: Policy, telemetry: Telemetry, clock: Clock) -> Shadow:
    """Return the shadow of the policy in a file, which stands at ``path``. One that must not run is told, once."""
    try:
        if os.path.exists(path):  # noqa: PTH110  a cold start does without pathlib
            return SecondPolicy(Beside(now, load_compiled(path) or load_policy(path)), clock)
        problem = f"there is no such file; the policies of this version are {', '.join(_names_beside(path))}"
    except PolicyError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001  a second policy never keeps the first from its work
        problem = f"{type(error).__name__}: {error}"
    telemetry.noted("shadow", {"file": file, "problem": problem}, {"ShadowErrors": 1}, is_wrong=True)
    return Unloaded(file)


def _names_beside(path: str) -> list[str]:
    """Raises OSError where there is no such folder."""
    return sorted(name for name in os.listdir(os.path.dirname(path)) if name.endswith(".yaml"))  # noqa: PTH120, PTH208  as above
