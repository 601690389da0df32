"""Two ledgers in memory with one history: nobody touches the one, and the other is damaged and repaired."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from attrs import Factory, define, evolve

from engine.audit.repairs.draft import Draft
from engine.audit.repairs.history import LogHistory, history, readable
from engine.audit.repairs.planning import Drafts, drafts
from engine.audit.repairs.suspects import Books as UserBooks
from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.entry import Correction, Entry
from engine.domain.facts import Facts
from engine.domain.instants import read_instant
from engine.domain.money import EXACT, ZERO
from engine.ledger.dynamodb.audits import AuditedItem
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.moved import Moved, sum_of
from engine.ledger.store import Store
from engine.policy import Policy
from engine.reconcile.corrections import Adjuster
from tests.support.books import Books

AT = read_instant("2026-01-09T12:00:00Z")
assert AT is not None

ANN = Identity("arn:aws:iam::1:user/ann", "AIDAANN", "ann")

FIRST = AT - timedelta(days=4)

PLAN = "f" * 64
"""The digest by which corrections of these tests are known."""


@define
class Ledger:
    """A ledger in memory, and the archive that saw everything come into it."""

    books: Books
    came: list[AuditedItem] = Factory(list)
    ticks: int = 0
    _there: set[tuple[str, int]] = Factory(set)
    """The places that are taken."""

    def deliver(self, *documents: dict[str, Any]) -> list[bool]:
        """Deliver events; the archive sees what is posted. Return of each whether it has posted anything."""
        return [self._delivered(document) for document in documents]

    def _delivered(self, document: dict[str, Any]) -> bool:
        before = len(self.came)
        with suppress(ValueError):  # what makes no sense on this log comes back later
            self._tell(document)
        self.see()
        return len(self.came) > before

    def _tell(self, document: dict[str, Any]) -> None:
        """Deliver an event, or let a person adjust a job or a user."""
        if "adjust" not in document:
            self.books.deliver(document)
            return
        adjuster = Adjuster.on(self.books.policy, cast("Store", self.books.store))
        adjuster.adjust(AdjustmentRequest(**document["adjust"]), ANN, self.books.run.deadline)

    def see(self) -> None:
        """Let the archive see what is new: what is there is dated as it comes."""
        for reference, log in self.books.store.kept.items():
            for index, (entry, _) in enumerate(log):
                if (reference, entry.sequence) not in self._there:
                    log[index] = entry, self._tick(reference, entry.sequence)
                    self.came.append(seen(log[index]))

    def _tick(self, reference: str, sequence: int) -> datetime:
        self._there.add((reference, sequence))
        self.ticks += 1
        return FIRST + timedelta(seconds=self.ticks)

    # --- what somebody does ---

    def change(self, reference: str, sequence: int, **changes: Any) -> None:
        """Change an entry: nobody is told."""
        log = self.books.store.kept[reference]
        (index,) = (number for number, (entry, _) in enumerate(log) if entry.sequence == sequence)
        log[index] = evolve(log[index][0], **changes), log[index][1]

    def remove(self, reference: str, *sequences: int) -> None:
        """Remove entries."""
        log = self.books.store.kept[reference]
        log[:] = [kept for kept in log if kept[0].sequence not in sequences]
        if not log:
            del self.books.store.kept[reference]
        for sequence in sequences:
            self._there.discard((reference, sequence))

    def insert(self, entry: Entry, *, moves: bool = False, is_seen: bool = True) -> None:
        """Put an entry there, with its balance or without."""
        store = self.books.store
        log = store.kept.setdefault(entry.reference, [])
        log.append((entry, FIRST))
        log.sort(key=lambda kept: kept[0].sequence)
        if moves:
            self.move(entry.user, Moved(entry.amount, entry.held))
        if is_seen:
            self.see()
        else:
            self._tick(entry.reference, entry.sequence)

    def move(self, user: str, by: Moved) -> None:
        """Move a balance, what the row says was posted, and what is held."""
        row = self.row(user)
        for name, number in {"remaining": by.amount, "posted": by.amount, "held": by.held}.items():
            row[name] = EXACT.add(row.get(name, ZERO), number)

    def row(self, user: str) -> dict[str, Any]:
        """Return a user's row itself."""
        assert self.books.store.balance(user, self.books.run.deadline) is not None
        return self.books.store.credits[user]

    # --- what a repair sees and does ---

    def history(self, reference: str) -> LogHistory:
        """Return the history of a log."""
        found = [seen(kept) for kept in self.books.store.kept.get(reference, ())]
        return history(reference, [seen for seen in self.came if seen.line.reference == reference], found)

    def references(self) -> list[str]:
        """Return every log that is there or was."""
        return sorted({*self.books.store.kept, *(seen.line.reference for seen in self.came)})

    def user_books(self) -> dict[str, UserBooks]:
        """Return the books of everybody."""
        first: dict[Any, AuditedItem] = {}
        for seen in self.came:
            first.setdefault(seen.line.key, seen)
        users = {*(str(seen.line.user) for seen in first.values()), *self.books.store.credits}
        return {user: self._books_of(user, first.values()) for user in users}

    def _books_of(self, user: str, first: Iterable[AuditedItem]) -> UserBooks:
        entries = tuple((seen.line.key, seen.line.moves) for seen in first if seen.line.user == user)
        row = self.books.store.credits.get(user, {})
        says = Moved(row.get("posted", ZERO), row.get("held", ZERO))
        return UserBooks(sum_of(moves for _, moves in entries), says, entries)

    def plan(self, forged: Iterable[tuple[str, int]] = ()) -> Drafts:
        """Return what puts everything right."""
        return drafts([self.history(each) for each in self.references()], self.user_books(), believes, frozenset(forged))

    def apply(self, planned: Drafts) -> None:
        """Do what was planned."""
        for draft in planned.drafts:
            self._apply(draft)

    def _apply(self, draft: Draft) -> None:
        store = self.books.store
        for each in draft.put_backs:
            entry, posted_at = readable(each.posted), read_instant(each.posted.posted_at)
            assert entry is not None
            assert posted_at is not None
            log = store.kept.setdefault(draft.history.reference, [])
            log[:] = [kept for kept in log if kept[0].sequence != each.place]
            log.append((entry, posted_at))
            log.sort(key=lambda kept: kept[0].sequence)
            self._there.add((draft.history.reference, each.place))
        for entry, moved in draft.corrections(AT, "a test"):
            self.insert(evolve(entry, correction=Correction("a test", "ann", plan=PLAN)))
            self.move(entry.user, moved)


def seen(kept: tuple[Entry, datetime]) -> AuditedItem:
    """Return an entry as audits see it."""
    return AuditedItem(item_of(*kept))


def believes(seen: Any) -> bool:
    """Say whether a correction is of these tests' plan."""
    return seen.stored.get("correction", {}).get("plan") == PLAN


def ledger(policy: Policy) -> Ledger:
    """Return an empty ledger: everybody has 1,000 credits."""
    books = Books(policy, balances=dict.fromkeys(("u-1", "u-2", "u-3"), Decimal(1000)))
    return Ledger(books)


type Act = Callable[[Ledger], None]


def state(one: Ledger) -> dict[str, Any]:
    """Return what counts of a ledger: balances, and of each log whose it is, what is known and what it costs."""
    said = ("remaining", "posted", "held")
    rows = {user: tuple(row.get(name, ZERO) for name in said) for user, row in one.books.store.credits.items()}
    logs = {each: one.books.store.read(each, one.books.run.deadline) for each in one.references()}
    known = {name: log for name, log in logs.items() if any(log.facts.work)}
    counts = {name: (log.user, _work(log.facts), log.cost, log.posted, log.held) for name, log in known.items()}
    return {"rows": rows, "logs": counts}


def _work(facts: Facts) -> tuple[Any, ...]:
    """Return what is known, of holds only the one that is open: what has ended, or came too late to begin, says nothing."""
    return evolve(facts, holds=(facts.hold,) if facts.hold else ()).work
