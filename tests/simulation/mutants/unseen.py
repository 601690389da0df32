"""Deliberate bugs that no history sees, and why. Some change nothing that counts; the others are shown by a test of their own.

They are no part of ``MUTANTS``. Whoever lets the simulation see one moves it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from engine.ledger.dynamodb import audits, explanations, own_rows, store
from engine.rating import decide
from engine.reconcile import settle
from tests.simulation.mutants.mutant import Mutant
from tests.simulation.mutants.of_reads import answers_eventually, asks_eventually, is_log, is_row, is_whole, of_keys, stale
from tests.simulation.mutants.of_requests import each_try_with_its_own_token, without_a_token
from tests.simulation.world.strict import TABLES


@frozen
class Unseen:
    """A mutant, and why histories do not see it. ``is_equivalent``: what it does wrong never counts."""

    mutant: Mutant
    why: str
    is_equivalent: bool = True


def _marks_by_its_own(old: Any) -> Any:
    return lambda assessment, _facts, sequence: old(assessment, assessment.fact, sequence)


def _owner_last(old: Any) -> Any:
    def with_row(decision: Any, assessment: Any, row: Any, policy: Any) -> Any:
        is_posted = row.owner is not None and decision.entry is None
        return decision if is_posted else old(decision, assessment, row, policy)

    return with_row


SEQUENCE = "whoever decides on an old log finds the place of the next entry taken, and reads again"
LOOKS_AGAIN = "an audit looks again at what does not add up, by the table and by the index, before it says so"
BY_ITSELF = "a test by itself shows it: in histories a second lies between the two"

UNSEEN: Mapping[str, Unseen] = {
    "a log may be read as it was": Unseen(stale(store.DynamoStore, "_log_request", answers_eventually), SEQUENCE),
    "an audit may read an entry that is not there yet": Unseen(
        stale(audits, "items", asks_eventually(is_whole(TABLES.ledger))), LOOKS_AGAIN
    ),
    "an audit may read what all rows of users said": Unseen(
        stale(audits, "items", asks_eventually(is_whole(TABLES.credits))), LOOKS_AGAIN
    ),
    "a repair may read a log that goes on": Unseen(
        stale(audits, "items", asks_eventually(is_log)),
        "a correction asks that its place is free, and what was not read takes it",
    ),
    "a verification may miss entries": Unseen(
        stale(audits, "items_at", of_keys), "what is sealed is minutes old, and a replica trails by a second"
    ),
    "a seal may follow an earlier one": Unseen(
        stale(audits, "headers_request", answers_eventually), "its number is taken then, and the next run seals"
    ),
    "the questions of this hour may be read as they were": Unseen(
        stale(explanations, "call", asks_eventually(is_row(TABLES.state))),
        "a question is taken only over the count that was read",
    ),
    "an entry that is new may be taken for gone": Unseen(
        stale(explanations, "call", asks_eventually(is_row(TABLES.ledger))), BY_ITSELF, is_equivalent=False
    ),
    "a run may read what was left of another": Unseen(
        stale(store, "run_request", answers_eventually), BY_ITSELF, is_equivalent=False
    ),
    "a row that prices read may be read as it was": Unseen(
        stale(own_rows, "_wanted", answers_eventually),
        "the judge takes any version that the row has ever said; a test by itself shows it",
        is_equivalent=False,
    ),
    "a posting goes without a token": Unseen(
        Mutant(store.DynamoStore, "_transact", without_a_token, is_strict=True),
        "sent again it finds its own entry in its place; what a run gives back has no such place, and is counted twice",
        is_equivalent=False,
    ),
    "each try of a posting has a token of its own": Unseen(
        Mutant(store.DynamoStore, "_transact", each_try_with_its_own_token, is_strict=True), "the same", is_equivalent=False
    ),
    "a mark is made before facts join": Unseen(
        Mutant(decide, "_mark", _marks_by_its_own),
        "a late event marks a row that says what is known already: nothing is left to be charged there",
    ),
    "a duplicate is known before the job's row is asked": Unseen(
        Mutant(settle, "with_row", _owner_last),
        "a row is asked by a posting alone, and a log that has the fact was posted under that very condition",
    ),
}
"""By what they do wrong."""
