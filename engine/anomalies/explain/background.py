"""What explanations rest on beside the entries: what is usual, what the users did before, what was said of entries alike.

What cannot be read is not known, and an explanation is made without it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from attrs import field, frozen

from engine.anomalies.explain.brief import Recent
from engine.domain.entry import Entry
from engine.domain.errors import LedgerError
from engine.ledger.explanations import ExplanationStore, Likeness
from engine.ledger.store import Store
from engine.ledger.stored import NO_ENTRY
from engine.rating.baselines import NO_BASELINES, Baselines
from engine.runtime.clock import Deadline

RECENT_ENTRIES_MAX = 20
LIKE_WITHIN = timedelta(hours=1)
"""How long what was said of one entry counts for others that are flagged for the same reasons."""

UNREADABLE = (LedgerError, *NO_ENTRY)
"""What a store raises that gives no answer, or whose answer is not of this system."""


@frozen
class Background:
    """What is known in a ledger of the entries that are to be explained."""

    ledger: Store
    explanations: ExplanationStore = field(init=False)

    @explanations.default
    def _explanations(self) -> ExplanationStore:
        return self.ledger.explanations()

    def baselines(self, policy: str, deadline: Deadline) -> Baselines:
        """Return what is usual for each model, as far as it still holds."""
        try:
            return self.ledger.load_baselines(policy, deadline).as_of(self.ledger.clock.now())
        except UNREADABLE:
            return NO_BASELINES

    def recent(self, user: str, without: Collection[Entry], deadline: Deadline) -> Recent:
        """Return what the user's last entries were ``without`` those in question (eventually consistent)."""
        in_question = {(entry.reference, entry.sequence) for entry in without}
        try:
            last = self.explanations.last_entries_of(user, RECENT_ENTRIES_MAX + len(without), deadline)
        except UNREADABLE:
            return Recent()
        others = [entry for entry in last if (entry.reference, entry.sequence) not in in_question][:RECENT_ENTRIES_MAX]
        charges = tuple(charge for entry in others if (charge := entry.charge) is not None)
        return Recent(len(others), sum(entry.is_flagged for entry in others), charges)

    def likeness(self, alike: tuple[str, ...], deadline: Deadline) -> Likeness | None:
        """Return what the model said within the hour of an entry with the same ``alike``, or None."""
        try:
            return self.explanations.likeness(alike, self.ledger.clock.now() - LIKE_WITHIN, deadline)
        except UNREADABLE:
            return None

    def remember(self, alike: tuple[str, ...], likeness: Likeness, deadline: Deadline) -> None:
        """Keep for an hour what the model said of an entry. Where that fails, it is asked once more."""
        now = self.ledger.clock.now()
        try:
            self.explanations.remember(alike, likeness, now, now + LIKE_WITHIN, deadline)
        except LedgerError:
            return
