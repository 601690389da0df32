"""The flag of what only many entries show, as what is posted: by the one loop, like everything."""

from __future__ import annotations

from attrs import frozen

from engine.domain.assessment import Assessment
from engine.domain.decision import Decision, Outcome
from engine.ledger.store import Receipt, Store
from engine.policy.model import Policy
from engine.rating.decide import mark_only
from engine.rating.trends import Trend, flagged
from engine.reconcile.settle import settle
from engine.runtime.clock import Deadline


def flag(trend: Trend, policy: Policy, store: Store, deadline: Deadline) -> Outcome:
    """Flag the log of the entry that completes a trend. Raises LedgerError; then nothing was posted."""
    decision, _ = settle(FlagProposal(flagged(trend), policy, store), store, deadline)
    return decision.outcome


@frozen
class FlagProposal:
    """The flag of a trend. It moves nothing, whatever is due."""

    assessment: Assessment
    policy: Policy
    store: Store

    @property
    def reference(self) -> str:
        return self.assessment.reference

    def decide(self, _attempt: int, deadline: Deadline) -> Decision:
        """Return the flag, by the log as it stands now; nothing where it is flagged already."""
        return mark_only(self.assessment, self.store.read(self.reference, deadline), self.policy)

    def learn(self, receipt: Receipt, deadline: Deadline) -> None:
        """Nothing: each decision looks at the log."""
