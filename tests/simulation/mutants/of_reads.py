"""Reads that are no more strongly consistent: on the strict database they may show what stood there a moment ago.

Most of them no history sees: ``unseen.py`` has those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.ledger.dynamodb import audits
from tests.simulation.mutants.mutant import Broken, Mutant
from tests.simulation.world.strict import TABLES

type Request = Mapping[str, Any]


def eventual(request: Request) -> dict[str, Any]:
    """Return a request that takes what it gets."""
    return {name: value for name, value in request.items() if name != "ConsistentRead"}


def answers_eventually(old: Any) -> Any:
    """Let what writes a request write one that takes what it gets."""
    return lambda *values, **named: eventual(old(*values, **named))


def asks_eventually(is_meant: Callable[[Request], bool]) -> Broken:
    """Let what sends requests (``call``, ``items``) send those that are meant as ones that take what they get."""

    def broken(old: Any) -> Any:
        def send(operation: Any, request: Request, deadline: Any, **named: Any) -> Any:
            return old(operation, eventual(request) if is_meant(request) else request, deadline, **named)

        return send

    return broken


def of_keys(old: Any) -> Any:
    """Let what reads many items by their keys take what it gets."""
    return lambda client, table, wanted, deadline: old(client, table, eventual(wanted), deadline)


def is_row(table: str) -> Callable[[Request], bool]:
    """Return what tells a read of one row of a table."""
    return lambda request: request["TableName"] == table and "Key" in request


def is_whole(table: str) -> Callable[[Request], bool]:
    """Return what tells a read of a whole table, and no index."""
    return lambda request: (
        request["TableName"] == table and not request.keys() & {"Key", "KeyConditionExpression", "IndexName"}
    )


def is_log(request: Request) -> bool:
    """Tell the read of a log."""
    return request["TableName"] == TABLES.ledger and "#reference = :reference" in request.get("KeyConditionExpression", "")


def stale(place: Any, name: str, broken: Broken) -> Mutant:
    """Return a mutant of the strict database."""
    return Mutant(place, name, broken, is_strict=True)


MUTANTS: Mapping[str, Mutant] = {
    "an audit may read what a user's row said": stale(audits, "call", asks_eventually(is_row(TABLES.credits))),
}
"""By what they do wrong."""
