"""Bugs in what a posting asks of the rows that it moves, and in what it writes there, as the store in memory shows them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.domain.decision import Guard
from engine.ledger import conditions, memory
from engine.ledger.memory import MemoryStore
from tests.simulation.mutants.mutant import Mutant, always, staged

# --- balances ---------------------------------------------------------------------------------------------------------


def _moves_only_with_a_mark(old: Any) -> Any:
    def keep(self: Any, entry: Any, guard: Any, mark: Any, now: Any) -> None:
        row = dict(self.credits.get(entry.user, {"userId": entry.user}))
        old(self, entry, guard, mark, now)
        if mark is None and entry.user in self.credits:
            self.credits[entry.user] = row

    return keep


def _adds_twice(old: Any) -> Any:
    def move(self: Any, user: str, amount: Decimal, held: Decimal) -> None:
        if user not in self.credits:
            old(self, user, amount, held)
        old(self, user, amount, held)

    return move


def _asks_for_a_row_alone(old: Any) -> Any:
    return lambda row, guard, *asked: old(row, Guard.EXISTS if guard is Guard.COVERED else guard, *asked)


def _asks_for_no_row(old: Any) -> Any:
    return lambda row, guard, *asked: old({} if row is None and guard is Guard.EXISTS else row, guard, *asked)


# --- marks ------------------------------------------------------------------------------------------------------------


def _makes_rows(old: Any) -> Any:
    def not_marked(self: Any, job: Any, mark: Any) -> Any:
        if mark is not None and job is not None:
            self.jobs.setdefault(job, {"jobId": job})
        return old(self, job, mark)

    return not_marked


def _puts_what_it_knows(old: Any) -> Any:
    def write(row: Any, mark: Any) -> None:
        old(row, mark)
        row.pop("prompt", None)

    return write


MUTANTS: Mapping[str, Mutant] = {
    "the condition on the sequence is dropped": Mutant(MemoryStore, "_taken", always(None)),
    "the balance moves only with a mark": Mutant(MemoryStore, "_keep", _moves_only_with_a_mark),
    "the first ADD of a user is made twice": Mutant(MemoryStore, "_move", _adds_twice),
    "whether the balance covers a debit is not asked": Mutant(memory, "holds", _asks_for_a_row_alone),
    "whether the user has a row is not asked": Mutant(memory, "holds", _asks_for_no_row),
    "the condition on the row's user is dropped": Mutant(conditions, "_user_allows", always(value=True)),
    "a mark goes over a later time": Mutant(conditions, "_time_allows", always(value=True), one_in=100),
    "a mark goes over that of a later fact": Mutant(
        conditions, "_sequence_allows", always(value=True), one_in=100, shows_in=staged("j-race-")
    ),
    "a mark makes a row": Mutant(MemoryStore, "_not_marked", _makes_rows),
    "a mark is put with what the engine knows of the row": Mutant(memory, "_write", _puts_what_it_knows),
}
"""By what they do wrong."""
