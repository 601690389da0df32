"""Items that are written with an attribute too many, or from which one is not taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.ledger import memory, memory_logs, stored
from engine.ledger.dynamodb import marks, postings
from tests.simulation.mutants.mutant import Mutant


def _keeps_more(old: Any) -> Any:
    """An entry says when its event came, for whoever may want to know."""
    return lambda entry, posted_at: {**old(entry, posted_at), "receivedAt": entry.occurred_at.isoformat()}


def _keeps_nothing_as_null(old: Any) -> Any:
    """What an entry does not say is kept as NULL."""
    return lambda entry, posted_at: (
        {name: {"NULL": True} for name in stored.stored_of(entry, posted_at)} | old(entry, posted_at)
    )


def _in_credits(old: Any) -> Any:
    return lambda price: {**old(price), "currency": "credits"}


def _names_its_last_posting(old: Any) -> Any:
    """A user's row keeps the amount that moved it last."""

    def add(*values: Any) -> Any:
        update = old(*values)["Update"]
        return {"Update": {**update, "UpdateExpression": f"{update['UpdateExpression']} SET lastAmount = :amount"}}

    return add


def _keeps_the_status(_old: Any) -> Any:
    return "SET reconciled = :settled, reconciledSequence = :sequence, reconciledStatus = :marked, reconciledAs = :marked"


def _signs_its_mark(old: Any) -> Any:
    def write(row: Any, mark: Any) -> None:
        old(row, mark)
        row["reconciledBy"] = "reconciler"

    return write


MUTANTS: Mapping[str, Mutant] = {
    "an entry has an attribute too many": Mutant(memory_logs, "stored_of", _keeps_more),
    "a price has an attribute too many": Mutant(stored, "stored_price", _in_credits),
    "what an entry does not say is kept as NULL": Mutant(postings, "item_of", _keeps_nothing_as_null, is_strict=True),
    "a user's row keeps what moved it last": Mutant(postings, "add_credits", _names_its_last_posting, is_strict=True),
    "a mark leaves an attribute of its own": Mutant(memory, "_write", _signs_its_mark),
    "a mark leaves an attribute of its own in DynamoDB": Mutant(marks, "JOB_MARKED", _keeps_the_status, is_strict=True),
}
"""By what they do wrong."""
