"""What a plan says beside what happens: the same events, delivered to real tables under either policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.domain.documents import read_document
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError
from engine.ledger.store import Tables
from engine.policy import Policy
from engine.preview.planning.answer import answer_of
from engine.preview.planning.run import planned
from engine.preview.planning.work import Wish
from tests.planning.test_planning import EDITS, NOW, policy, written
from tests.support.planning import made_lines
from tests.support.world import World

USERS = [*(f"u-{number}" for number in range(17)), "u-99"]
BATCH = 20
AT_BEGINNING = Decimal(1000)

Posted = dict[str, Decimal]
"""What was posted for each user, from the user's side."""

pytestmark = pytest.mark.local_aws


def by_plan(path: Path, then: Policy) -> dict[str, tuple[Decimal, Decimal]]:
    """Return what a plan says of each user who is concerned, now and then. A plan counts from the company's side."""
    wish = Wish((path,), NOW, then)
    with planned(wish) as outcome:
        rows = [*answer_of(wish, outcome)["groups"]["user"]]
    return {row["key"]: (-Decimal(row["now"]), -Decimal(row["then"])) for row in rows}


def by_delivery(world: World, documents: Sequence[Any]) -> Posted:
    """Deliver events in batches to fresh tables, and return by how much each balance has moved."""
    for user in USERS:
        world.user(user, f"{AT_BEGINNING:f}")
    reconciler = world.reconciler()
    for start in range(0, len(documents), BATCH):
        envelopes = [Envelope(document, Source.EVENT) for document in documents[start : start + BATCH]]
        ended = reconciler.many(envelopes, world.deadline(120))
        assert [] == [end for end in ended if isinstance(end, Exception) and not isinstance(end, EventError)]
    rows = {user: world.user_row(user) or {} for user in USERS}
    assert {user: row["remaining"] - AT_BEGINNING for user, row in rows.items()} == {
        user: row.get("posted", Decimal(0)) for user, row in rows.items()
    }
    return {user: row["remaining"] - AT_BEGINNING for user, row in rows.items()}


def read(lines: Sequence[bytes]) -> list[Any]:
    """Return the events of lines; what is none is refused by a plan and by a delivery alike."""
    return [read_document(line) for line in lines]


def compared(new_tables: Callable[[], Tables], dynamodb: Any, folder: Path, lines: list[bytes], edit: str) -> None:
    """Hold a plan to two deliveries of its events: of who is concerned both figures, of all others that nothing changes."""
    then = policy(*EDITS[edit])
    said = by_plan(written(folder, lines), then)
    was, became = (by_delivery(World(dynamodb, new_tables(), each), read(lines)) for each in (NOW, then))

    happened = {user: (was[user], became[user]) for user in USERS if was[user] != became[user]}
    assert happened == {user: pair for user, pair in said.items() if pair[0] != pair[1]}
    assert happened, "the edit moves nothing: the events are too few"


@pytest.mark.parametrize("edit", ["another price", "another refund, within an hour"])
def test_users_end_with_what_was_planned(new_tables: Callable[[], Tables], dynamodb: Any, tmp_path: Path, edit: str) -> None:
    """Of every user the balance, to the last digit."""
    compared(new_tables, dynamodb, tmp_path, made_lines(12, 120), edit)


@pytest.mark.proof
@pytest.mark.parametrize(
    "edit", ["another price", "another refund, within an hour", "whole credits", "an expression", "no price for others"]
)
def test_users_of_many_events_end_with_what_was_planned(
    new_tables: Callable[[], Tables], dynamodb: Any, tmp_path: Path, edit: str
) -> None:
    """Five hundred events: more logs of several facts, refunds in part, and events that one of the policies refuses."""
    compared(new_tables, dynamodb, tmp_path, made_lines(12, 500), edit)
