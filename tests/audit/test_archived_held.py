"""What is held against the archive: of users by their sums, of entries one by one, and what a restore writes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.audit.archived import books
from engine.audit.archived.sums import UserSum
from engine.audit.restore import Restore
from engine.ledger.moved import Moved
from tests.support.archived_world import ArchivedWorld
from tests.support.events import rendered
from tests.support.held import submitted, with_holds


@pytest.fixture
def world() -> ArchivedWorld:
    """Return u-1, for whom 0.8 are held for j-1, and u-2, who was charged 0.5 of 0.8 that were held for j-2."""
    world = ArchivedWorld()
    world.world.policy = with_holds()
    world.world.user("u-1").user("u-2")
    world.deliver(submitted("j-1"), submitted("j-2", user="u-2"), rendered("j-2", user="u-2", seconds=5))
    return world


def n(number: str) -> dict[str, str]:
    """Return a number of DynamoDB."""
    return {"N": number}


def test_a_ledger_with_holds_agrees_with_its_archive(world: ArchivedWorld) -> None:
    """Twice: the second audit goes on from the sums that the first has kept."""
    assert [] == world.found()
    world.deliver(rendered("j-1"))
    assert [] == world.found()
    assert [] == world.found(whole=True)


@pytest.mark.parametrize("at_once", [300_000, 1])
def test_a_row_that_says_another_number_of_what_is_held_drifts(
    world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """The users are compared all at once, or some in each audit; u-2, who holds nothing any more, is found as well."""
    monkeypatch.setattr(books, "USERS_AT_ONCE_MAX", at_once)
    assert [] == world.found()
    world.change_row("u-1", "SET held = :n", n=n("5"))
    world.change_row("u-2", "SET held = :n", n=n("0.1"))

    found = {line for _ in range(2) for line in world.found()}

    assert found == {
        "drift: u-1: the archived entries hold 0.8, Credits says that 5 are held; they agreed at object 3",
        "drift: u-2: the archived entries hold 0, Credits says that 0.1 are held; they agreed at object 3",
    }


def test_an_entry_that_alone_makes_up_what_is_held_is_named(world: ArchivedWorld) -> None:
    """Somebody has put a hold there without its row: by the archive it came."""
    assert [] == world.found()
    hold = world.item("job#j-1", 1)
    world.deliver(submitted("j-3", seconds=1))
    world.put({**hold, "reference": {"S": "job#j-9"}})

    (found,) = world.found()

    assert found.startswith(
        "drift: job#j-9 1: the archived entries add up to -1.7, Credits says -0.9; the archived entries hold"
    )
    assert found.endswith("they agreed at object 3; job#j-9, entry 1 alone makes it up")


def test_what_an_entry_holds_that_does_not_follow_is_senseless(world: ArchivedWorld) -> None:
    """It came so: nothing was changed, and the entry says itself that it cannot be."""
    hold = world.item("job#j-1", 1)
    world.put({**hold, "reference": {"S": "job#j-9"}, "held": n("7")})

    (found,) = (line for line in world.found() if line.startswith("senseless"))

    assert found == "senseless: job#j-9 1: its held is 7; 0.8 follows"


def test_a_page_of_users_who_hold_nothing_is_what_it_was_before() -> None:
    """So that pages which are kept already stay; where something is, or was, held it stands behind the sums."""
    plain = UserSum("u-1", Moved(Decimal("-0.8")), 2, 7, 6, Moved(Decimal("-0.3")))
    held = UserSum("u-1", Moved(Decimal("-0.8"), Decimal("0.5")), 2, 7, 6, Moved(Decimal("-0.3")))

    assert '["u-1", "-0.8", 2, 7, 6, "-0.3"]' == plain.text()
    assert '["u-1", "-0.8", 2, 7, 6, "-0.3", "0.5", "0"]' == held.text()
    assert (plain, held) == (UserSum.read(plain.text()), UserSum.read(held.text()))


# --- a restore --------------------------------------------------------------------------------------------------------


def restored(world: ArchivedWorld) -> tuple[dict[str, list[str]], Any]:
    """Restore what differs; return what was named before, and what was done."""
    work = Restore(world.ledger.restores(), world.store, world.archived.bucket, world.archived.deadline, workers=1)
    found = work.look()
    return found.named, work.write(found, world.ledger.marks())


def row(world: ArchivedWorld, user: str) -> dict[str, Any]:
    """Return a user's row."""
    return world.world.user_row(user) or {}


def test_a_restore_lets_rows_say_what_is_held(world: ArchivedWorld) -> None:
    """Of a hold whose entry was changed, too; the balance is the application's, and stays."""
    before = row(world, "u-1"), row(world, "u-2")
    world.change("job#j-1", 1, "SET held = :n", n=n("5"))
    world.change_row("u-1", "REMOVE held")
    world.change_row("u-2", "SET held = :n", n=n("0.3"))

    named, done = restored(world)

    assert ["u-1: 0.8 are held, Credits says 0", "u-2: 0.0 are held, Credits says 0.3"] == named["posted"]
    assert ((1, 2, ()), before) == ((done.entries, done.posted, done.left), (row(world, "u-1"), row(world, "u-2")))
    assert [] == world.found()


def test_a_restore_of_lost_tables_holds_again_what_is_open(world: ArchivedWorld) -> None:
    """Both rows come again, without a balance; the one that holds nothing says nothing of it."""
    for reference, sequence in (("job#j-1", 1), ("job#j-2", 1), ("job#j-2", 2)):
        world.remove(reference, sequence)
    for user in ("u-1", "u-2"):
        world.client.delete_item(TableName=world.world.tables.credits, Key={"userId": {"S": user}})

    restored(world)

    assert {"userId": "u-1", "posted": Decimal("-0.8"), "held": Decimal("0.8")} == row(world, "u-1")
    assert {"userId": "u-2", "posted": Decimal("-0.5")} == row(world, "u-2")
