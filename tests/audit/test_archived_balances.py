"""Balances that are held to the ledger where there is an archive: by the same book, told and counted as a finding."""

from __future__ import annotations

from typing import Any

import pytest

from engine.audit.archived import books
from engine.ledger.balances import PageKind
from engine.ledger.dynamodb.wire import ServiceError
from tests.support.archived_world import ArchivedWorld
from tests.support.events import rendered
from tests.support.policies import example
from tests.support.world import DisturbedClient

HOUR = 3600.0
EVENTS = example(("unknown_user: refuse", "unknown_user: flag\ngrants: events"))
COUNTED = ("FoundBalance", "NewDifferences", "ComparisonsUnfinished")


@pytest.fixture
def world() -> ArchivedWorld:
    """Return u-1 with 1,000 credits and j-1, charged (-0.8), under a policy by which only events grant."""
    world = ArchivedWorld()
    world.world.policy = EVENTS
    world.world.user("u-1").user("u-2")
    world.deliver(rendered("j-1"))
    return world


def run(world: ArchivedWorld, client: Any = None) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Let a scheduled run look an hour later; return what it tells, and what it counts (None: nothing)."""
    world.time.wait(HOUR)
    told = world.scheduled(client)
    return told["archive"], tuple(told["line"].get(name) for name in COUNTED)


def kinds(world: ArchivedWorld) -> list[PageKind]:
    """Return what the pages of the book of balances say."""
    return [page.kind for page in world.store.balance_pages(world.archived.deadline)]


def n(number: str) -> dict[str, str]:
    """Return a number of DynamoDB."""
    return {"N": number}


def test_the_first_run_opens_the_book_and_later_ones_hold_balances_to_it(world: ArchivedWorld) -> None:
    """A charge moves balance and postings alike."""
    first, counted = run(world)
    world.deliver(rendered("j-2"))
    second, counted_then = run(world)

    assert [PageKind.OPENING] == kinds(world)
    assert {"checkedSince": "2026-01-05T13:00:01Z", "drifts": []} == first["balances"] == second["balances"]
    assert (0, 0, 0) == counted == counted_then


def test_a_balance_that_was_changed_is_found_until_it_is_put_right(world: ArchivedWorld) -> None:
    """It is new once: the alarm of what is new does not ring again for it."""
    run(world)
    world.change_row("u-1", "ADD remaining :n", n=n("5"))
    first, counted = run(world)
    _, counted_then = run(world)
    world.change_row("u-1", "ADD remaining :n", n=n("-5"))
    last, counted_last = run(world)

    said = "u-1: the balance is 1004.2; 999.2 follows: 5 too much, first seen by the audit of 2026-01-05T14:00:01Z"
    assert ([said], {"balance": 1}) == (first["balances"]["drifts"], first["counts"])
    assert [said] == [each["problem"] for each in first["differences"]]
    assert [(1, 1, 0), (1, 0, 0), (0, 0, 0)] == [counted, counted_then, counted_last]
    assert ([], {}) == (last["balances"]["drifts"], last["counts"])


def test_a_user_whose_entries_disagree_is_said_once(world: ArchivedWorld) -> None:
    """That is what is wrong; of the balance nothing is said until it is right."""
    run(world)
    world.change_row("u-1", "ADD remaining :n, posted :n", n=n("5"))

    assert {"drift": 1} == run(world)[0]["counts"]


def test_the_book_is_closed_where_the_policy_lets_the_application_grant(world: ArchivedWorld) -> None:
    """And opened anew, by what is there then, where it no longer does."""
    run(world)
    world.world.policy = example()
    world.change_row("u-1", "ADD remaining :n", n=n("5"))
    told, counted = run(world)
    world.world.policy = EVENTS
    again, counted_again = run(world)

    assert [PageKind.OPENING, PageKind.CLOSED, PageKind.OPENING] == kinds(world)
    assert ("balances" in told, again["balances"]["drifts"]) == (False, [])
    assert (0, 0, 0) == counted == counted_again


@pytest.mark.parametrize("operation", ["query", "put_item"])
def test_a_book_that_cannot_be_read_or_kept_leaves_the_rest_found(world: ArchivedWorld, operation: str) -> None:
    """What is wrong with entries is told; of balances nobody knows, so nothing is counted of them, and that is an alarm."""
    world.remove("job#j-1", 1)

    def refused(name: str, request: dict[str, Any], send: Any) -> Any:
        if name == operation and request["TableName"] == world.world.tables.seals:
            raise ServiceError("AccessDeniedException", "may not", 400, [])
        return send(**request)

    told, counted = run(world, DisturbedClient(world.client, refused))
    later, counted_later = run(world)

    assert ({"removed": 1}, "may not") == (told["counts"], told["balances"]["problem"][-7:])
    assert (None, 1, 1) == counted
    assert (0, 0, 0) == counted_later
    assert later["balances"]["checkedSince"] is not None


# --- with more users than one audit keeps in memory ------------------------------------------------------------------


def test_the_row_of_a_user_who_does_nothing_is_looked_at_in_turn(
    world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of one of whom the archive has no entry. Once it is found it is found by each run, and never another's."""
    monkeypatch.setattr(books, "USERS_AT_ONCE_MAX", 1)
    world.world.policy = example()
    world.deliver(*[rendered(f"j-{user}", user=user) for user in ("u-2", "u-3", "u-4") if world.world.user(user)])
    run(world)
    for user in ("u-2", "u-5"):
        world.change_row(user, "ADD posted :n", n=n("5"))
    found = [told["counts"].get("drift", 0) for told, _ in (run(world) for _ in range(6))]

    assert (2, sorted(found)) == (max(found[:4]), found)
    assert {frozenset({"u-2"}), frozenset({"u-5"})} == {each.users for each in world.audit().differences}
    for user in ("u-2", "u-5"):
        world.change_row(user, "ADD posted :n", n=n("-5"))
    assert {} == run(world)[0]["counts"]
