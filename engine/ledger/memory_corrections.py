"""Corrections on the store in memory: the answers that the tables give."""
# ruff: noqa: ARG002  the protocol hands over deadlines, and nothing waits here

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Protocol

from attrs import frozen

from engine.domain.adjustment import AdjustmentProposal, Approval, Identity
from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.errors import LedgerRefused
from engine.domain.instants import posting_text
from engine.domain.job_row import Mark
from engine.domain.log import log_of
from engine.ledger.corrections import CorrectionPosting
from engine.ledger.store import Receipt, Verdict
from engine.ledger.stored import correction_in
from engine.runtime.clock import Clock, Deadline

PROPOSAL_GONE, PROPOSED_BY_THE_SAME = map(Receipt, (Verdict.PROPOSAL_GONE, Verdict.PROPOSED_BY_THE_SAME))


class Logs(Protocol):
    """What the store in memory does for corrections as for events."""

    @property
    def clock(self) -> Clock: ...
    def post(self, entry: Entry, guard: Guard, mark: Mark | None, deadline: Deadline) -> Receipt: ...
    def entries_of(self, reference: str, deadline: Deadline) -> list[Entry]: ...
    def stored_entries_of(self, reference: str, deadline: Deadline) -> list[dict[str, Any]]: ...


@frozen(eq=False, repr=False)
class MemoryCorrectionStore:
    """A store in memory, and its proposals. It is a ``ledger.corrections.CorrectionStore``."""

    store: Logs
    references: Collection[str]
    """Of all logs that it has; it is looked at anew each time."""
    kept: dict[str, AdjustmentProposal]
    """Proposals by their id."""

    @property
    def clock(self) -> Clock:
        """The clock that dates what is posted."""
        return self.store.clock

    def post(self, posting: CorrectionPosting, deadline: Deadline) -> Receipt:
        """Post a correction, its balance, its claim and its approval, all together or not at all. Raises LedgerRefused."""
        if (refusal := self._refused(posting, deadline)) is not None:
            return refusal
        receipt = self.store.post(posting.entry, posting.guard, None, deadline)
        if receipt.verdict is not Verdict.POSTED:
            return receipt
        if posting.claim is not None:
            self.store.post(posting.claim, Guard.NONE, None, deadline)
        if posting.approval is not None:
            del self.kept[posting.approval.proposal.request.id]
        return receipt

    def _refused(self, posting: CorrectionPosting, deadline: Deadline) -> Receipt | None:
        """Return why the claim or the approval does not hold. The id comes first: what was told under it is told."""
        claim, entry = posting.claim, posting.entry
        if claim is not None:
            if (claim.reference, claim.sequence) == (entry.reference, entry.sequence):
                raise LedgerRefused("a transaction holds an item but once")
            if told := self.store.entries_of(claim.reference, deadline):
                return Receipt(Verdict.ID_TAKEN, log=log_of(told[:1]))
        return self._not_approved(posting.approval) if posting.approval is not None else None

    def _not_approved(self, approval: Approval) -> Receipt | None:
        proposal = approval.proposal
        if self.kept.get(proposal.request.id) != proposal:
            return PROPOSAL_GONE
        return PROPOSED_BY_THE_SAME if approval.by.may_be(proposal.by) else None

    # --- proposals ---

    def propose(self, proposal: AdjustmentProposal, deadline: Deadline) -> AdjustmentProposal:
        """Keep a proposal, and return the one that stands under its id."""
        return self.kept.setdefault(proposal.request.id, proposal)

    def proposal(self, name: str, deadline: Deadline) -> AdjustmentProposal | None:
        """Return the proposal of an id, or None where there is none."""
        return self.kept.get(name)

    def proposals(self, deadline: Deadline) -> Iterator[AdjustmentProposal]:
        """Yield all proposals."""
        yield from list(self.kept.values())

    def withdraw(self, proposal: AdjustmentProposal, by: Identity, deadline: Deadline) -> bool:
        """Take a proposal away. False where it does not stand as it was read, or is not of ``by``."""
        is_there = self.kept.get(proposal.request.id) == proposal and by.key == proposal.by.key
        if is_there:
            del self.kept[proposal.request.id]
        return is_there

    # --- what was corrected ---

    def corrected(self, since: datetime | None, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield the entries with a correction that has an id, posted ``since``, as they are stored."""
        earliest = posting_text(since) if since is not None else ""
        for reference in list(self.references):
            for stored in self.store.stored_entries_of(reference, deadline):
                if "id" in correction_in(stored) and stored["postedAt"] >= earliest:
                    yield stored
