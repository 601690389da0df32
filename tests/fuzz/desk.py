"""A function at its tables: in memory, or in the strict database, where every request is one that DynamoDB takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest.mock import patch

from attrs import Factory, define, field

import handler
from engine.domain.errors import EventError
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.memory import MemoryStore
from engine.reconcile.reconciler import Reconciler
from engine.runtime.telemetry import Telemetry
from tests.simulation.world.place import Timeline
from tests.simulation.world.strict import TABLES, StrictPlace
from tests.support.clock import ManualClock
from tests.support.policies import example

NOW = "2026-01-05T12:00:00Z"
"""What the desk's clock shows."""

OPENING = Decimal(1000)
KNOWN_USERS = frozenset({"u-1", "u-2"})
ROW = {
    "jobId": "j-1",
    "userId": "u-1",
    "status": "completed",
    "seconds": 8,
    "model": "veo-3",
    "updatedAt": "2026-01-05T09:00:00Z",
}
MESSAGE_CHARACTERS_MAX = 4_000
ANOTHER_SEGMENT = "Please use ExclusiveStartKey with correct Segment"
"""What DynamoDB says where a forged step of a scan goes on behind a job of another segment: it alone knows which is whose."""

State = tuple[tuple[str, ...], ...]


@define(eq=False)
class Desk:
    """Tables with two users and a job's row, and the function at them."""

    is_strict: bool = False
    lines: list[str] = Factory(list)
    time: ManualClock = Factory(ManualClock)
    place: StrictPlace | None = None
    store: Any = field(init=False)

    @store.default
    def _store(self) -> Any:
        clock = self.time.clock()
        if not self.is_strict:
            store = MemoryStore(clock, jobs={"j-1": dict(ROW)})
            store.credits.update({user: {"userId": user, "remaining": OPENING} for user in KNOWN_USERS})
            return store
        self.place = StrictPlace(Timeline())
        self.place.put_job(dict(ROW))
        for user in KNOWN_USERS:
            self.place.add_credits(user, OPENING)
        return DynamoStore(self.place.client, TABLES, clock)

    def reconciler(self) -> Reconciler:
        """Return the reconciler at these tables."""
        clock = self.time.clock()
        return Reconciler(example(), self.store, Telemetry(self.lines.append, clock, {"FunctionName": "fuzz"}), clock)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let the Lambda function stand at these tables."""
        reconciler = self.reconciler()
        with patch.object(handler, "_reconciler", lambda _settings: reconciler):
            yield

    # --- what stands in the tables ---

    def entries(self) -> list[Any]:
        """Return the amount, the user and the text of each entry."""
        if self.place is not None:
            return [(row["amount"], row["userId"], repr(row)) for row in self.place.entries()]
        return [(entry.amount, entry.user, repr(entry)) for log in self.store.all_logs() for entry in log]

    def credits(self) -> dict[str, dict[str, Any]]:
        """Return the rows of Credits."""
        return dict(self.place.rows()[1] if self.place is not None else self.store.credits)

    def state(self) -> State:
        """Return what must not change where nothing may move."""
        return tuple(sorted(text for *_, text in self.entries())), tuple(sorted(map(repr, self.credits().items())))

    def moved(self) -> dict[str, Fraction]:
        """Return by how much each balance has moved; asserts that entries, ``posted`` and ``remaining`` say the same."""
        sums: dict[str, Fraction] = {}
        for amount, user, _ in self.entries():
            sums[user] = sums.get(user, Fraction(0)) + Fraction(amount)
        rows = self.credits()
        assert KNOWN_USERS == rows.keys(), "a row of Credits came or went"
        for user, row in rows.items():
            assert sums.get(user, 0) == Fraction(row.get("posted", 0)) == Fraction(row["remaining"]) - Fraction(OPENING)
        assert not any(amount for user, amount in sums.items() if user not in rows), "an entry moves what has no row"
        return {user: amount for user, amount in sums.items() if amount}

    def check_lines(self) -> None:
        """Assert that each log line is one line of JSON, and that DynamoDB would have taken each request."""
        for line in self.lines:
            assert "\n" not in line
            json.loads(line)
        wrong = [] if self.place is None else [one for one in self.place.wrong() if ANOTHER_SEGMENT not in one]
        assert not wrong, wrong[:1]


def check_refusal(error: EventError) -> None:
    """Assert that a refusal names what, where and what is wrong, in one line that a terminal shows as it is."""
    assert all(isinstance(part, str) and part for part in (error.event, error.rule, error.field, error.problem)), error.args
    text = str(error)
    assert text.isprintable(), f"a terminal would obey {text!r}"
    assert len(text) <= MESSAGE_CHARACTERS_MAX, f"{len(text)} characters: {text[:200]}"
