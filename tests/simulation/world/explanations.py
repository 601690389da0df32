"""Where the function that explains keeps its words in memory. On the strict database it is the product's own store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import Factory, define, frozen

from engine.domain.entry import Entry
from engine.ledger.dynamodb.explanations import DynamoExplanationStore
from engine.ledger.explanations import Calls, Likeness, RecentEntry
from engine.ledger.store import Tables
from engine.runtime.clock import Clock, Deadline
from tests.simulation.faults import Caller, FaultyStore

type Key = tuple[str, int]
type Words = Mapping[str, str]

READS = DynamoExplanationStore(None, Tables())  # type: ignore[arg-type]  it reads records, and sends nothing
NO_CALLS = Calls(0, {})


@define(eq=False)
class Shelf:
    """What is kept of explanations: the words by their entries, what was said of entries alike, the calls of the model."""

    words: dict[Key, Words] = Factory(dict)
    likenesses: dict[tuple[str, ...], tuple[Likeness, datetime]] = Factory(dict)
    calls: Calls = NO_CALLS


@frozen(eq=False)
class ExplainedMemory:
    """A store in memory as the function that explains reaches it: all of ``store``, and a shelf."""

    store: FaultyStore
    shelf: Shelf

    @property
    def clock(self) -> Clock:
        """The clock of the machine."""
        return self.store.clock

    def explanations(self) -> MemoryExplanations:
        """Return where explanations are kept."""
        return MemoryExplanations(self.store, self.shelf)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@frozen(eq=False)
class MemoryExplanations:
    """Explanations in memory, each request a call that may fail. It is a ``ledger.explanations.ExplanationStore``."""

    store_: FaultyStore
    shelf: Shelf

    @property
    def caller(self) -> Caller:
        """Whose calls they are."""
        return self.store_.caller

    def inserted(self, record: Any) -> tuple[Entry, str] | None:
        """Return the entry of a record, as on DynamoDB."""
        return READS.inserted(record)

    def _entries(self) -> Iterator[Entry]:
        return (entry for log in self.store_.place.store.all_logs() for entry in log)

    def _is_open(self, entry: Entry) -> bool:
        key = (entry.reference, entry.sequence)
        is_there = any((each.reference, each.sequence) == key for each in self._entries())
        return is_there and key not in self.shelf.words

    def is_open(self, entry: Entry, deadline: Deadline) -> bool:
        """Say whether the entry is there and has no explanation yet."""
        return self.caller.call("is open", lambda: self._is_open(entry), deadline)

    def store(self, entry: Entry, explanation: Words, deadline: Deadline) -> bool:
        """Store an explanation; False where there is one: sent again after a lost answer it is False too."""
        return self.caller.call("store words", lambda: self._store(entry, explanation), deadline)

    def _store(self, entry: Entry, explanation: Words) -> bool:
        if not self._is_open(entry):
            return False
        self.shelf.words[entry.reference, entry.sequence] = dict(explanation)
        return True

    def last_entries_of(self, user: str, entries_max: int, deadline: Deadline) -> list[RecentEntry]:
        """Return a user's last entries."""
        return self.caller.call("last entries", lambda: self._last_entries_of(user, entries_max), deadline)

    def _last_entries_of(self, user: str, entries_max: int) -> list[RecentEntry]:
        stored = list(self.store_.place.store.entries_of_user(user, Deadline(self.store_.clock, 0.0)))
        return [_recent(each) for each in reversed(stored[-entries_max:])]

    def likeness(self, alike: tuple[str, ...], since: datetime, deadline: Deadline) -> Likeness | None:
        """Return what was said after ``since`` of entries alike."""
        said, at = self.caller.call("likeness", lambda: self.shelf.likenesses.get(alike, (None, since)), deadline)
        return said if at > since else None

    def remember(self, alike: tuple[str, ...], likeness: Likeness, at: datetime, _until: datetime, deadline: Deadline) -> None:
        """Keep what was said of an entry."""
        self.caller.call("remember", lambda: self.shelf.likenesses.update({alike: (likeness, at)}), deadline)

    def calls(self, deadline: Deadline) -> Calls:
        """Return the calls so far."""
        return self.caller.call("calls", lambda: self.shelf.calls, deadline)

    def take_call(self, before: Calls, by_minute: Mapping[int, int], deadline: Deadline) -> bool:
        """Let ``by_minute`` be the calls if they are still those ``before``."""
        return self.caller.call("take call", lambda: self._take(before, by_minute), deadline)

    def _take(self, before: Calls, by_minute: Mapping[int, int]) -> bool:
        if self.shelf.calls.version != before.version:
            return False
        self.shelf.calls = Calls(before.version + 1, dict(by_minute))
        return True


def _recent(stored: Mapping[str, Any]) -> RecentEntry:
    amount = Decimal(stored["amount"])
    held = Decimal(stored.get("held", 0))
    return RecentEntry(stored["reference"], stored["sequence"], stored["type"], amount, bool(stored.get("anomalies")), held)
