"""The look back: the scheduled run flags what only many entries show. It moves nothing, and may be done again."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from attrs import define, field

from engine.domain.decision import Outcome
from engine.policy.model import Policy
from engine.rating.baselines import NO_BASELINES
from engine.rating.trends import LookBack
from engine.reconcile.flags import flag
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

type Answer = dict[str, Any]

SHARE = 4
"""At most a quarter of the time goes into it."""

OVERLAP = timedelta(days=1)
"""Four scheduled runs: what the last three could not see, this one sees."""

ENTRIES_MAX = 250_000
"""How many entries are held at once: some 200 MB of the 512 that the function has."""

FLAGS_MAX = 1000
"""How many entries one run flags; the next one goes on."""

POST_RESERVE_SECONDS = 1.0
"""No further page is read with less time than this left, so that what was found can be posted."""


def look_back(reconciler: Reconciler, _at: datetime, deadline: Deadline) -> Answer:
    """Flag what only many entries show, and return what was done; nothing where the policy looks for no such thing.

    Of a ledger that cannot be read in time only a part is seen (``unread``): then flags may be missing.
    Never fails: the money has moved before.
    """
    within = longest(reconciler.policy)
    if within is None:
        reconciler.telemetry.looked_back({})
        return {}
    look = LookBackRun(reconciler, deadline.sooner(deadline.left() / SHARE))
    try:
        look.read(within + OVERLAP)
        look.flag()
    except Exception as error:  # noqa: BLE001  whatever it is, what the run has done stays told
        look.answer["problem"] = f"{type(error).__name__}: {error}"
        reconciler.telemetry.looked_back(look.answer, is_finished=False)
    else:
        reconciler.telemetry.looked_back(look.answer, look.answer["flags"], is_finished=not look.answer["unread"])
    return {"lookBack": look.answer}


def longest(policy: Policy) -> timedelta | None:
    """Return over how long entries are looked at together; None where they are not."""
    return max((detector.within for detector in policy.detectors if detector.within is not None), default=None)


@define
class LookBackRun:
    """One look back at the ledger."""

    reconciler: Reconciler
    deadline: Deadline
    looking: LookBack = field(init=False)
    answer: Answer = field(factory=lambda: {"entries": 0, "flags": 0, "unread": False})

    @looking.default
    def _looking(self) -> LookBack:
        policy = self.reconciler.policy
        is_measured = any(detector.of is not None for detector in policy.looking_back)
        return LookBack(policy, self.reconciler.baselines.latest(self.deadline) if is_measured else NO_BASELINES)

    def read(self, span: timedelta) -> None:
        """Look at what was posted within ``span``, as far as time and memory go."""
        since = self.reconciler.clock.now() - span
        for page in self.reconciler.ledger.recent(since, self.deadline):
            self.looking.add(page)
            self.answer["entries"] += len(page)
            if self.answer["entries"] >= ENTRIES_MAX or self.deadline.left() < POST_RESERVE_SECONDS:
                self.answer["unread"] = True
                return

    def flag(self) -> None:
        """Post the flags."""
        policy, ledger = self.reconciler.policy, self.reconciler.ledger
        for trend in islice(self.looking.trends(), FLAGS_MAX):
            self.answer["flags"] += flag(trend, policy, ledger, self.deadline) is Outcome.FLAGGED
