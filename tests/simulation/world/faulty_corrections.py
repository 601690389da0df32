"""What posts corrections, as one invocation reaches it in memory: the faults are those of any call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from engine.ledger.corrections import CorrectionPosting
from engine.ledger.store import Receipt
from engine.runtime.clock import Clock, Deadline

if TYPE_CHECKING:
    from tests.simulation.faults import FaultyStore


@frozen(eq=False)
class FaultyCorrections:
    """The corrections of a store in memory. It is a ``ledger.corrections.CorrectionStore``."""

    store: FaultyStore

    @property
    def clock(self) -> Clock:
        """The clock of the machine that it runs on."""
        return self.store.clock

    def post(self, posting: CorrectionPosting, deadline: Deadline) -> Receipt:
        """Post a correction, with all that belongs to it."""
        receipt = self.store.caller.call("correct", lambda: self._post(posting, deadline), deadline)
        self.store.caller.dice.count[f"verdict {receipt.verdict.value}"] += 1
        return receipt

    def _post(self, posting: CorrectionPosting, deadline: Deadline) -> Receipt:
        claims = [(posting.claim, posting.guard, None)] if posting.claim is not None else []
        postings = [(posting.entry, posting.guard, None), *claims]
        known = self.store.known(postings)
        receipt = self.store.place.store.corrections().post(posting, deadline)
        self.store.note(postings, [receipt] * len(postings), known)
        return receipt

    def __getattr__(self, name: str) -> Any:
        return self.store.called(name, getattr(self.store.place.store.corrections(), name))
