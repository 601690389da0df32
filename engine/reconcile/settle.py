"""The one loop: propose, post, and learn from a refusal, until the store and the decision agree.

Whatever is posted goes through here: an event by itself, an event of a batch that was refused there, the flags of a look back,
a person's resolution of an anomaly.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define

from engine.domain.assessment import Assessment
from engine.domain.decision import Decision, Guard, Outcome, Standing
from engine.domain.entry import Entry
from engine.domain.envelope import Source
from engine.domain.errors import TimeIsUp
from engine.domain.fact_kinds import opens_its_log
from engine.domain.job_row import JobRow, Mark
from engine.domain.log import JobLog
from engine.ledger.store import Receipt, Store, Verdict
from engine.policy.model import Policy
from engine.rating.decide import decide
from engine.rating.job_row import ASSUMED_ROW, NO_ROW, learned, with_row
from engine.runtime.clock import Deadline
from engine.runtime.tracing import UNTRACED, Tracer

LESSONS_MAX = 7
"""What one posting can learn with nobody else at work: sequence, the job's row (three times), user, balance.

Only more is contention, and waits."""


class Proposal(Protocol):
    """What somebody wants the ledger to hold. Each refusal teaches it something, and it proposes anew."""

    @property
    def reference(self) -> str:
        """The log that it is about."""

    def decide(self, attempt: int, deadline: Deadline) -> Decision:
        """Return what is to be posted by all that is known so far; nothing where the ledger holds it already."""

    def learn(self, receipt: Receipt, deadline: Deadline) -> None:
        """Take in what a refused posting has told."""


class Poster(Protocol):
    """What takes postings: a store, or what posts something beside each."""

    def post(self, entry: Entry, guard: Guard, mark: Mark | None, deadline: Deadline) -> Receipt:
        """Post an entry, its balance and its mark, all together or not at all."""


def settle(proposal: Proposal, store: Poster, deadline: Deadline) -> tuple[Decision, int]:
    """Decide and post until the store and the decision agree; return the last decision, and in how many attempts.

    Raises EventError (the event makes no sense) or LedgerError (it must come back); either way nothing moved.
    """
    for attempt in deadline.attempts(at_once=LESSONS_MAX):
        decision = proposal.decide(attempt, deadline)
        if decision.entry is None:
            return decision, attempt
        receipt = store.post(decision.entry, decision.guard, decision.mark, deadline)
        if receipt.verdict is Verdict.POSTED:
            return decision, attempt
        proposal.learn(receipt, deadline)
    raise TimeIsUp(f"{proposal.reference}: others kept writing to it until the time was used up")


def likely_log(assessment: Assessment, policy: Policy, store: Store, deadline: Deadline) -> JobLog:
    """Return the log to decide on first.

    A charge is most often a job's first fact, so it is posted without a look: the condition tells if that was wrong. Where
    the policy reserves credits first, a look costs less than the transaction that would be cancelled.
    """
    follows_a_hold = policy.holds and bool(assessment.fact.charges)
    is_likely_first = opens_its_log(assessment.fact) and not follows_a_hold and not assessment.time_is_assumed
    return JobLog() if is_likely_first else store.read(assessment.reference, deadline)


@define(eq=False)
class EventProposal:
    """An event's own proposal. ``log``, ``row`` and ``standing`` are what is known or assumed so far.

    The first decision assumes that the user's balance covers it, that the job's row takes the mark, and, without a ``log``,
    that nothing was posted for the job.
    """

    assessment: Assessment
    policy: Policy
    store: Store
    log: JobLog | None = None
    tracer: Tracer = UNTRACED
    row: JobRow = ASSUMED_ROW
    standing: Standing = Standing.ASSUMED_COVERED
    decision: Decision | None = None
    """The last one."""

    @property
    def reference(self) -> str:
        return self.assessment.reference

    def decide(self, attempt: int, _deadline: Deadline) -> Decision:
        """Return what is to be posted. Raises EventError."""
        with self.tracer.span("decide") as span:
            decision = self.decided()
            span.annotate([self.assessment], policy=self.policy.identity, outcome=decision.outcome, attempt=attempt)
        return decision

    def decided(self) -> Decision:
        """Return what is to be posted, without a span of its own. Raises EventError."""
        log = self.log if self.log is not None else JobLog()
        decision = decide(self.assessment, log, self.standing, self.policy)
        self.decision = decision = with_row(decision, self.assessment, self.row, self.policy)
        return decision

    def learn(self, receipt: Receipt, deadline: Deadline) -> None:
        """Take in what the ledger, the user's row or the job's row has told. Raises LedgerError where a look fails."""
        self._learn_of_row(receipt)
        self.standing = receipt.standing or self.standing
        if receipt.verdict is Verdict.SEQUENCE_TAKEN:  # what was learned of the balance was of another amount
            self.log, self.standing = self._log_after(receipt, deadline), Standing.ASSUMED_COVERED

    def _learn_of_row(self, receipt: Receipt) -> None:
        if receipt.verdict is Verdict.NO_JOB_ROW:
            self.row = NO_ROW
        mark = self.decision.mark if self.decision is not None else None
        if receipt.verdict is Verdict.ROW_LEARNED and receipt.row is not None and mark is not None:
            self.row = learned(receipt.row, mark, self.assessment, self.policy)

    def _log_after(self, receipt: Receipt, deadline: Deadline) -> JobLog:
        """Return the log to decide on next.

        What the first entry knows, all later ones know. So a fact that is in the first entry is a duplicate, and the rest
        need not be read. A scan marks the row on what it finds, so it has to see all of it. So has a repeat that is ignored:
        it is flagged where a refund lies before it. And so has a hold, which may be closed since.
        """
        sees_all = self.assessment.source is Source.SCAN or bool(self.assessment.fact.holds)
        if receipt.log is not None and not sees_all and not self._repeats(receipt.log):
            told = decide(self.assessment, receipt.log, Standing.ASSUMED_COVERED, self.policy)
            if told.outcome is Outcome.DUPLICATE:
                return receipt.log
        return self.store.read(self.reference, deadline)

    def _repeats(self, log: JobLog) -> bool:
        """Say whether the event tells a charge whose repeats are ignored, at an instant of none in the log."""
        told = self.assessment.fact.charges
        return any(charge.once and all(charge.at != known.at for known in log.facts.charges) for charge in told)
