"""Corrections as they are posted: a person's word, the claim of its id, and the proposal that was approved, all together.

An id is claimed by the log ``adjust#<id>``: whatever stands there first is what was told under it. The entry of a user's
adjustment is its own claim. A concession, or what takes an adjustment back, is an entry of another log: a void entry on
``adjust#<id>`` goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Protocol

from attrs import frozen

from engine.domain.adjustment import AdjustmentProposal, Approval, Identity
from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.ledger.store import Receipt
from engine.runtime.clock import Clock, Deadline

PROPOSAL = "proposal#"
"""What the key of a proposal in State begins with; its id follows."""


@frozen
class CorrectionPosting:
    """The entry of a correction, and what must hold for it: of its user's row, of its id, of the proposal behind it."""

    entry: Entry
    guard: Guard = Guard.NONE
    claim: Entry | None = None
    """The first entry of ``adjust#<id>``, where ``entry`` is on another log."""
    approval: Approval | None = None
    """The proposal goes as it is posted. It must stand as it was read, and be of another person than who approves."""


class CorrectionStore(Protocol):
    """What a person's corrections ask of the ledger, beside what postings do."""

    @property
    def clock(self) -> Clock:
        """The clock that dates what is posted."""

    def post(self, posting: CorrectionPosting, deadline: Deadline) -> Receipt:
        """Post a correction, its balance, its claim and its approval, all together or not at all.

        Beside a posting's own verdicts there are ID_TAKEN (``log`` is what stands on ``adjust#<id>``), PROPOSAL_GONE and
        PROPOSED_BY_THE_SAME.
        """

    def propose(self, proposal: AdjustmentProposal, deadline: Deadline) -> AdjustmentProposal:
        """Keep a proposal, and return the one that stands under its id: this one, or one that was there before."""

    def proposal(self, name: str, deadline: Deadline) -> AdjustmentProposal | None:
        """Return the proposal of an id, or None where there is none. Raises LedgerRefused for what is none."""

    def proposals(self, deadline: Deadline) -> Iterator[AdjustmentProposal]:
        """Yield all proposals, in no order. Raises LedgerRefused for what is none."""

    def withdraw(self, proposal: AdjustmentProposal, by: Identity, deadline: Deadline) -> bool:
        """Take a proposal away. False where it does not stand as it was read, or is not of ``by``."""

    def corrected(self, since: datetime | None, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield the entries with a correction that has an id, posted ``since``, as they are stored; in no order."""
