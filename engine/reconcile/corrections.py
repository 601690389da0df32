"""What people adjust: told once by its id, within the policy's bounds, and above the second of them by two people.

The bounds are the policy's, whoever runs the command. That an id counts once, that the second person is another and that a
proposal stands as it was read, the transaction itself asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, evolve, frozen

from engine.domain.adjustment import AdjustmentProposal, AdjustmentRequest, Approval, Identity
from engine.domain.decision import Decision, Guard, Outcome, Standing
from engine.domain.entry import Entry
from engine.domain.errors import CorrectionError
from engine.domain.instants import instant_text
from engine.domain.job_row import Mark
from engine.domain.log import JobLog
from engine.domain.money import ZERO
from engine.domain.references import ADJUST
from engine.ledger.conditions import holds, standing_of
from engine.ledger.corrections import PROPOSAL, CorrectionPosting, CorrectionStore
from engine.ledger.store import Receipt, Store, Verdict
from engine.ledger.stored import correction_in
from engine.policy.model import Policy
from engine.rating.adjust import (
    Asked,
    adjust,
    check_about,
    check_owner,
    check_request,
    needs_second_person,
    other_content,
    reversal_of,
    told_under,
)
from engine.rating.job_row import owner_of
from engine.reconcile.settle import settle
from engine.runtime.clock import Deadline

TRIES_MAX = 3
"""What a preview can learn of a user's row: that there is none, or that the balance does not cover the debit."""


@frozen
class Adjusted:
    """What became of a request.

    ``outcome`` is None where it waits for a second person, as ``proposal`` says; ``is_news`` says that it waits since now.
    ``entries`` are those that stand in the ledger by its id, as they are stored.
    """

    request: AdjustmentRequest
    outcome: Outcome | None
    proposal: AdjustmentProposal | None = None
    is_news: bool = True
    entries: tuple[Mapping[str, Any], ...] = ()


@frozen
class Preview:
    """What a request would post now: ``entry`` (None: nothing), and the user's row before it."""

    request: AdjustmentRequest
    outcome: Outcome
    entry: Entry | None
    row: Mapping[str, Any] | None
    needs_second_person: bool


@frozen(eq=False, repr=False)
class Adjuster:
    """A policy and a ledger, and what people adjust there."""

    policy: Policy
    store: Store
    corrections: CorrectionStore

    @classmethod
    def on(cls, policy: Policy, store: Store) -> Adjuster:
        """Return the adjuster of a ledger."""
        return cls(policy, store, store.corrections())

    def adjust(self, request: AdjustmentRequest, by: Identity, deadline: Deadline) -> Adjusted:
        """Adjust a user or a job, or take an adjustment back; above the policy's second bound keep it as a proposal.

        Told again under its id it is a duplicate. Raises CorrectionError for what is wrong with it, LedgerError where no
        answer comes; either way nothing moved.
        """
        request = self._completed(request, deadline)
        proposal = self.corrections.proposal(request.id, deadline)
        asked = Asked(request, by, self.store.clock.now())
        if proposal is not None:
            return self._waiting(asked, proposal, deadline)
        if not needs_second_person(request.amount, self.policy.adjustments):
            return self._settled(asked, deadline)
        preview = self._tried(asked, deadline)
        if preview.outcome in {Outcome.DUPLICATE, Outcome.REFUSED}:
            return Adjusted(request, preview.outcome, entries=self._entries(asked, deadline))
        return self._proposed(asked, deadline)

    def preview(self, request: AdjustmentRequest, by: Identity, deadline: Deadline) -> Preview:
        """Return what a request would post now. Raises as ``adjust`` does, and posts nothing."""
        request = self._completed(request, deadline)
        asked = Asked(request, by, self.store.clock.now())
        if (proposal := self.corrections.proposal(request.id, deadline)) is not None:
            self._check_waiting(asked, proposal)
        return self._tried(asked, deadline)

    def approve(self, name: str, by: Identity, deadline: Deadline) -> Adjusted:
        """Post what another person has proposed, as it stands, if the policy of today allows it. Raises as ``adjust`` does."""
        proposal = self.corrections.proposal(name, deadline)
        if proposal is None:
            return self._approved_before(name, deadline)
        if by.may_be(proposal.by):
            raise CorrectionError(f"{PROPOSAL}{name}", f"was proposed by {proposal.by.name}; another person has to approve it")
        if self._completed(proposal.request, deadline) != proposal.request:  # somebody has written it by hand
            raise CorrectionError(f"{PROPOSAL}{name}", "says something else than the adjustment that it takes back")
        asked = Asked(proposal.request, proposal.by, self.store.clock.now(), Approval(proposal, by))
        return self._settled(asked, deadline)

    # --- on the way -------------------------------------------------------------------------------------------------------

    def _completed(self, request: AdjustmentRequest, deadline: Deadline) -> AdjustmentRequest:
        """Return a request with what it takes back, where it does. Raises CorrectionError for what makes no sense."""
        if request.reverses:
            claimed = self.store.read(f"{ADJUST}{request.reverses}", deadline)
            request = reversal_of(request, claimed)
        check_request(request, self.policy)
        if request.about:
            check_about(request, self.store.read(request.about, deadline))
        return request

    def _settled(self, asked: Asked, deadline: Deadline) -> Adjusted:
        telling = Telling(asked, self.policy, self.store, self.corrections)
        decision, _ = settle(telling, telling, deadline)
        return Adjusted(asked.request, decision.outcome, entries=self._entries(asked, deadline))

    def _tried(self, asked: Asked, deadline: Deadline) -> Preview:
        """Return what would be posted, by the user's row as it stands."""
        request = asked.request
        row = self.store.balance(request.user, deadline)
        telling = Telling(asked, self.policy, self.store, self.corrections)
        for attempt in range(1, TRIES_MAX + 1):
            decision = telling.decide(attempt, deadline)
            debit = decision.entry.amount.copy_negate() if decision.entry is not None else ZERO
            if decision.guard is Guard.NONE or holds(row, decision.guard, debit):
                break
            telling.standing = standing_of(row, decision.guard, request.user)
        is_second_needed = needs_second_person(request.amount, self.policy.adjustments)
        return Preview(request, decision.outcome, decision.entry, row, is_second_needed)

    def _proposed(self, asked: Asked, deadline: Deadline) -> Adjusted:
        proposal = AdjustmentProposal(asked.request, asked.by, asked.at)
        standing = self.corrections.propose(proposal, deadline)
        if standing == proposal:
            return Adjusted(asked.request, None, proposal)
        return self._waiting(asked, standing, deadline)

    def _waiting(self, asked: Asked, proposal: AdjustmentProposal, deadline: Deadline) -> Adjusted:
        """Return the proposal that stands under an id, if it says the same; what was posted in between comes first."""
        self._check_waiting(asked, proposal)
        claimed = self.store.read(asked.claim_reference, deadline)
        if told_under(asked.request.id, claimed) is not None:
            return self._settled(asked, deadline)
        return Adjusted(proposal.request, None, proposal, is_news=False)

    def _check_waiting(self, asked: Asked, proposal: AdjustmentProposal) -> None:
        if evolve(proposal.request, reason="", about="") != evolve(asked.request, reason="", about=""):
            said = f"waits for approval since {instant_text(proposal.at)}, and says something else ({proposal.by.name})"
            raise CorrectionError(f"{PROPOSAL}{asked.request.id}", said)

    def _approved_before(self, name: str, deadline: Deadline) -> Adjusted:
        """Return what was approved already: whoever approves it again, as after a lost answer, is told so."""
        claimed = self.store.read(f"{ADJUST}{name}", deadline)
        if (told := told_under(name, claimed)) is None or claimed.user is None:
            raise CorrectionError(f"{PROPOSAL}{name}", "is no proposal that waits")
        request = AdjustmentRequest(name, claimed.user, told.amount, "", told.job, told.reverses)
        entries = self._entries(Asked(request, NOBODY, told.at), deadline)
        return Adjusted(request, Outcome.DUPLICATE, entries=entries)

    def _entries(self, asked: Asked, deadline: Deadline) -> tuple[Mapping[str, Any], ...]:
        """Return what stands in the ledger by an id, first where it moves."""
        references = dict.fromkeys((asked.reference, asked.claim_reference))
        stored = (entry for reference in references for entry in self.store.stored_entries_of(reference, deadline))
        return tuple(entry for entry in stored if correction_in(entry).get("id") == asked.request.id)


NOBODY = Identity("", "", "")


@define(eq=False)
class Telling:
    """A request on its way into the ledger. It is a ``settle.Proposal``, and posts each decision with its claim."""

    asked: Asked
    policy: Policy
    store: Store
    corrections: CorrectionStore
    standing: Standing = Standing.ASSUMED_COVERED
    claim: Entry | None = None
    """What claims the id beside the last decision."""
    is_gone: bool = False
    """Whether the proposal that was approved no longer stands."""

    @property
    def reference(self) -> str:
        return self.asked.reference

    def decide(self, _attempt: int, deadline: Deadline) -> Decision:
        """Return what is to be posted, by the logs as they stand; nothing where the id has told it. Raises CorrectionError."""
        claimed = self.store.read(self.asked.claim_reference, deadline)
        if self._is_told(claimed):
            return Decision(Outcome.DUPLICATE)
        if self.is_gone:
            raise CorrectionError(f"{PROPOSAL}{self.asked.request.id}", "was withdrawn, or is another one since it was read")
        log = claimed if self.reference == self.asked.claim_reference else self.store.read(self.reference, deadline)
        if self.asked.request.job and not log.sequence:
            self._check_row(deadline)
        decision, self.claim = adjust(self.asked, log, claimed, self.standing, self.policy)
        return decision

    def _check_row(self, deadline: Deadline) -> None:
        """Ask the job's own row whose job it is: the ledger does not know it yet."""
        row = self.store.job_row(self.asked.request.job, deadline)
        check_owner(self.asked.request, owner_of(row, self.policy) if row is not None else None)

    def _is_told(self, claimed: JobLog) -> bool:
        told = told_under(self.asked.request.id, claimed)
        if told is None:
            return False
        if problem := other_content(self.asked.request, told, claimed.user):
            raise CorrectionError(self.asked.claim_reference, problem)
        return True

    def post(self, entry: Entry, guard: Guard, _mark: Mark | None, deadline: Deadline) -> Receipt:
        """Post the entry with the claim of its id and the approval that it comes from."""
        return self.corrections.post(CorrectionPosting(entry, guard, self.claim, self.asked.approval), deadline)

    def learn(self, receipt: Receipt, _deadline: Deadline) -> None:
        """Take in what a refused posting has told; the logs are read anew each time. Raises CorrectionError."""
        if receipt.verdict is Verdict.PROPOSED_BY_THE_SAME:
            problem = "was proposed by the same person; another has to approve it"
            raise CorrectionError(f"{PROPOSAL}{self.asked.request.id}", problem)
        self.is_gone = receipt.verdict is Verdict.PROPOSAL_GONE
        self.standing = receipt.standing or Standing.ASSUMED_COVERED
