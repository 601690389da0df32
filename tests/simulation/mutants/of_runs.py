"""Bugs in the scan and its cap, in audits, and in how often the model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from engine.anomalies.explain import budget
from engine.audit import books, logs, seals
from engine.audit.books import Drift, total
from engine.ledger.memory import MemoryStore
from engine.reconcile import catch_up
from tests.simulation.mutants.mutant import Mutant, always, is_damaged, staged

# --- pages ------------------------------------------------------------------------------------------------------------


def _ends_at_an_empty_page(old: Any) -> Any:
    def page(self: Any, part: Any) -> Any:
        found = old(self, part)
        return found if found.rows else evolve(found, next_after=None)

    return page


def _forgets_the_last_page(old: Any) -> Any:
    def page(self: Any, *asked: Any) -> Any:
        found = old(self, *asked)
        is_last = found.next_after is None and asked[0].after is not None
        return evolve(found, rows=()) if is_last else found

    return page


# --- the cap ----------------------------------------------------------------------------------------------------------


def _takes_nothing(_old: Any) -> Any:
    return lambda _self, wanted: wanted


def _gives_back_twice(old: Any) -> Any:
    return lambda self, run, entries, deadline: old(self, run, 2 * entries, deadline)


# --- audits -----------------------------------------------------------------------------------------------------------


def _believes_the_first_look(_old: Any) -> Any:
    def look(store: Any, user: str, deadline: Any) -> Drift | None:
        row = store.credit(user, deadline)
        ledger = total(entry.line.moved for entry in store.entries_of_user(user, deadline))
        return None if ledger == row.posted else Drift(user, ledger, row.posted)

    return look


def _sees_nothing(_old: Any) -> Any:
    return lambda *_values: iter(())


# --- questions to the model -------------------------------------------------------------------------------------------


def _forgets_the_hour(old: Any) -> Any:
    def taken(counts: Any, now: Any, per_hour: int) -> Any:
        minute = int(now.timestamp()) // budget.MINUTE_SECONDS
        return old({at: count for at, count in counts.items() if at == minute}, now, per_hour)

    return taken


MUTANTS: Mapping[str, Mutant] = {
    "a page without rows is taken for the end": Mutant(catch_up.Scanner, "_page", _ends_at_an_empty_page),
    "the last page of a scan is forgotten": Mutant(MemoryStore, "due_jobs", _forgets_the_last_page),
    "the cap of a run is not shared": Mutant(catch_up.SharedAllowance, "take", _takes_nothing),
    "a run in one invocation has no cap": Mutant(catch_up.OwnAllowance, "take", _takes_nothing, shows_in=staged("j-cap-")),
    "what a run has not used is given back twice": Mutant(
        MemoryStore, "give_back_to_run", _gives_back_twice, one_in=60, shows_in=staged("j-late-")
    ),
    "an audit believes its first look": Mutant(
        books, "look_again", _believes_the_first_look, one_in=100, shows_in=staged("j-busy-")
    ),
    "an audit takes every balance for right": Mutant(books, "look_again", always(None), one_in=60, shows_in=is_damaged),
    "an audit looks at no single entry": Mutant(logs, "_shape_faults", _sees_nothing, one_in=200, shows_in=is_damaged),
    "what was changed behind a seal is taken for sealed": Mutant(seals, "_deviation", always(None)),
    "the model is asked whatever the hour allows": Mutant(budget.Budget, "take", always(value=True)),
    "questions of the minutes before are forgotten": Mutant(budget, "taken", _forgets_the_hour, one_in=60),
}
"""By what they do wrong."""
