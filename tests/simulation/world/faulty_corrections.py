"""What posts corrections, and what reads whole logs, as one invocation reaches it in memory: with the faults of any call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import batched
from typing import TYPE_CHECKING, Any

from attrs import frozen

from engine.ledger.corrections import CorrectionPosting
from engine.ledger.store import Receipt
from engine.runtime.clock import Clock, Deadline

if TYPE_CHECKING:
    from tests.simulation.faults import FaultyStore


REFERENCES_A_PAGE = 3


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


@frozen(eq=False)
class FaultyHolds:
    """What finds holds that are due in a store in memory. It is a ``ledger.holds.HoldStore``."""

    store: FaultyStore

    def __getattr__(self, name: str) -> Any:
        return self.store.called(name, getattr(self.store.place.store.holds(), name))


@frozen(eq=False)
class FaultyLogs:
    """The logs of a store in memory. It is a ``ledger.logs.LogStore``; each page is a call of its own."""

    store: FaultyStore

    def entries(self, deadline: Deadline) -> Iterator[Any]:
        """Yield every entry, some references at a time; what was posted behind the reader is not seen."""
        store = self.store.place.store
        references = self._ask(lambda: list(store.kept), deadline)
        for some in batched(references, REFERENCES_A_PAGE):
            yield from self._ask(
                lambda some=some: [entry for name in some for entry in store.stored_entries_of(name, deadline)], deadline
            )

    def _ask(self, act: Callable[[], list[Any]], deadline: Deadline) -> list[Any]:
        return self.store.caller.call("logs", act, deadline)

    def __getattr__(self, name: str) -> Any:
        return self.store.called(name, getattr(self.store.place.store.logs(), name))
