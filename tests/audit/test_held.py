"""What is held of users' credits against the entries: what somebody does to it is found, named, and put right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from attrs import Factory, evolve, frozen

from engine.audit.check import check_books
from engine.audit.repair import Repair, RepairRefused, Wrong, repair
from engine.audit.seals import REST
from engine.ledger.seals import SealedEntry
from engine.ledger.store import Tables
from engine.ledger.stored import EntryKey
from tests.audit.conftest import LATER, Day
from tests.simulation.database import Client, Database
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.held import submitted, with_holds
from tests.support.repairs import repair_everybody
from tests.support.world import DisturbedClient, World
from tools.local_aws import create_tables

TRUE = {"u-1": ("-2.1", "1.3"), "u-2": ("-2", "2")}
"""What was posted for each user, and what is held: see HeldDay."""


class HeldDay(Day):
    """Two users with 1,000 credits each, on tables in memory.

    Sealed: j-1 of u-1 was held (-0.80) and charged less (0.30 back: -0.50), j-2 of u-1 is held (-0.80) as j-4 of u-2 is
    (-2.00); j-3 of u-1 was held (-1.00) and has failed. Not sealed: j-5 of u-1 is held (-0.50), and j-6 of u-1 was held
    (-0.20) and charged more (-0.10: -0.30).
    """

    def __init__(self, world: World, time: ManualClock) -> None:
        self.world, self.time = world, time
        for user in ("u-1", "u-2"):
            world.user(user)
        world.deliver(
            submitted("j-1"),
            rendered("j-1", seconds=5),
            submitted("j-2"),
            submitted("j-3", seconds=10),
            failed("j-3"),
            submitted("j-4", user="u-2", seconds=20),
        )
        time.wait((REST + LATER).total_seconds())
        self.seal()
        world.deliver(submitted("j-5", seconds=5), submitted("j-6", seconds=2), rendered("j-6", seconds=3))

    def texts(self) -> dict[EntryKey, str]:
        """Return every entry as one text, by its place."""
        return {entry.line.key: entry.text for entry in self.store.entries(self.world.deadline())}

    def rows(self) -> dict[str, tuple[str, str]]:
        """Return what each user's row says was posted and is held, and see that the balance agrees."""
        rows = {user: self.world.user_row(user) or {} for user in TRUE}
        assert all(row["remaining"] == 1000 + row["posted"] for row in rows.values()), rows
        return {
            user: tuple(format(Decimal(row[name]).normalize(), "f") for name in ("posted", "held"))
            for user, row in rows.items()
        }


@pytest.fixture
def held_day() -> HeldDay:
    """Return the day."""
    client, time = Client(Database()), ManualClock()
    return HeldDay(World(client, create_tables(client, Tables()), with_holds(), time.clock()), time)


def n(number: str) -> dict[str, str]:
    """Return a number of DynamoDB."""
    return {"N": number}


def named(day: Day) -> list[str]:
    """Return what the audit and the seals say."""
    seen, verified = day.audit(), day.verify()
    lines = [f"{drift.user}: {drift.problem}" for drift in seen.drifts]
    lines += [f"{fault.reference}, entry {fault.sequence}: {fault.problem}" for fault in seen.faults]
    return lines + [f"{each.reference}, entry {each.sequence}: {each.problem}" for each in verified.open]


def repaired(day: Day, wrong: Wrong | None = None) -> Repair:
    """Repair what is found; each repair does what its rehearsal has shown."""
    return repair_everybody(day.ledger, "ticket 4711", wrong, day.world.deadline(600), is_shown=True)


def test_books_with_holds_agree(held_day: HeldDay) -> None:
    """Of u-1 1.3 are held: 0.8 for j-2 and 0.5 for j-5; 0.8 were charged, for j-1 and j-6."""
    seen = held_day.audit()

    assert [] == named(held_day)
    assert (True, Decimal("-4.1")) == (seen.is_clean, seen.net)
    assert TRUE == held_day.rows()


@frozen
class Planted:
    """What somebody does, all that is named then, and what a person says is wrong (None: the tables tell by themselves)."""

    do: Callable[[HeldDay], None]
    named: tuple[str, ...]
    wrong: Wrong | None = None
    rows: Mapping[str, tuple[str, str]] = Factory(dict)
    """What rows say in the end, where that is not what they said before."""


DAMAGE: dict[str, Planted] = {
    "held was raised": Planted(
        lambda day: day.change_row("u-1", "SET held = held + :n", n=n("5")),
        ("u-1: the entries hold 1.3, Credits says that 6.3 are held",),
        Wrong.POSTED,
    ),
    "held was lowered, and a person calls it the balance": Planted(
        lambda day: day.change_row("u-2", "SET held = held - :n", n=n("2")),
        ("u-2: the entries hold 2, Credits says that 0 are held",),
        Wrong.BALANCE,
    ),
    "the row was written whole, without held": Planted(
        lambda day: day.change_row("u-2", "REMOVE held"),
        ("u-2: the entries hold 2, Credits says that 0 are held",),
        Wrong.POSTED,
    ),
    "held became a text": Planted(
        lambda day: day.change_row("u-1", "SET held = :s", s={"S": "1.3"}),
        ("u-1: the entries hold 1.3, Credits says that no number are held",),
        Wrong.POSTED,
    ),
    "posted and held were changed": Planted(
        lambda day: day.change_row("u-1", "ADD posted :n, held :n", n=n("-1")),
        ("u-1: the entries add up to -2.1, Credits says -3.1; the entries hold 1.3, Credits says that 0.3 are held",),
        Wrong.POSTED,
    ),
    "a sealed hold holds less": Planted(
        lambda day: day.change("job#j-2", 1, "SET held = :n", n=n("0.1")),
        (
            "u-1: the entries hold 0.6, Credits says that 1.3 are held",
            "job#j-2, entry 1: with it the entries add up to -0.8; -0.1 follows from its cost",
            "job#j-2, entry 1: was changed: what it holds is 0.1 more; 0.8 more was sealed",
        ),
    ),
    "a sealed hold holds nothing": Planted(
        lambda day: day.change("job#j-2", 1, "REMOVE held"),
        (
            "u-1: the entries hold 0.5, Credits says that 1.3 are held",
            "job#j-2, entry 1: with it the entries add up to -0.8; 0 follows from its cost",
            "job#j-2, entry 1: was changed: what it holds is 0 more; 0.8 more was sealed",
        ),
    ),
    "a sealed hold holds a text": Planted(
        lambda day: day.change("job#j-2", 1, "SET held = :s", s={"S": "much"}),
        (
            "u-1: the entries hold 0.5, Credits says that 1.3 are held",
            "job#j-2, entry 1: with it the entries add up to -0.8; 0 follows from its cost",
            "job#j-2, entry 1: what it holds is no number",
            "job#j-2, entry 1: was changed: what it holds is no number; 0.8 more was sealed",
        ),
    ),
    "a sealed settlement ends less than was held": Planted(
        lambda day: day.change("job#j-1", 2, "SET held = :n", n=n("-0.3")),
        (
            "u-1: the entries hold 1.8, Credits says that 1.3 are held",
            "job#j-1, entry 2: it ends the hold, and 0.5 are still held",
            "job#j-1, entry 2: was changed: what it holds is -0.3 more; -0.8 more was sealed",
        ),
    ),
    "a sealed release gives back more than was held": Planted(
        lambda day: day.change("job#j-3", 2, "SET held = :n", n=n("-3")),
        (
            "u-1: the entries hold -0.7, Credits says that 1.3 are held",
            "job#j-3, entry 2: with it -2 are held; less than nothing cannot be",
            "job#j-3, entry 2: was changed: what it holds is -3 more; -1 more was sealed",
        ),
    ),
    "a sealed hold is gone": Planted(
        lambda day: day.remove("job#j-4", 1),
        (
            "u-2: the entries add up to 0, Credits says -2; the entries hold 0, Credits says that 2 are held",
            "job#j-4, entry 1: is gone: -2 of u-2, posted 2026-01-05T12:00:00.000000Z",
        ),
    ),
    "a new hold holds more": Planted(
        lambda day: day.change("job#j-5", 1, "SET held = :n", n=n("5")),
        (
            "u-1: the entries hold 5.8, Credits says that 1.3 are held",
            "job#j-5, entry 1: it holds 5 more; 0.5 follows from what it knows",
        ),
    ),
    "a new hold holds more, and the row with it": Planted(
        lambda day: (
            day.change("job#j-5", 1, "SET held = :n", n=n("5")),
            day.change_row("u-1", "ADD held :n", n=n("4.5")),
        )[0],
        ("job#j-5, entry 1: it holds 5 more; 0.5 follows from what it knows",),
        rows={"u-1": ("-2.1", "5.8")},
    ),
    "a new settlement ends less than was held": Planted(
        lambda day: day.change("job#j-6", 2, "SET held = :n", n=n("-0.1")),
        (
            "u-1: the entries hold 1.4, Credits says that 1.3 are held",
            "job#j-6, entry 2: it ends the hold, and 0.1 are still held",
        ),
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_to_what_is_held_is_named_and_put_right(held_day: HeldDay, kind: str) -> None:
    """No entry that stands is touched, and a second repair finds nothing."""
    planted = DAMAGE[kind]
    planted.do(held_day)
    before = held_day.texts()

    assert sorted(planted.named) == sorted(named(held_day))
    done = repaired(held_day, planted.wrong)
    after = held_day.texts()

    assert () == done.left
    assert done.after.is_clean, done.after
    assert ((), ()) == (held_day.verify().open, repaired(held_day, planted.wrong).corrections)
    assert before == {key: entry for key, entry in after.items() if key in before}
    assert TRUE | planted.rows == held_day.rows()


def test_a_settlement_that_came_onto_a_damaged_hold_is_not_counted_back_twice(held_day: HeldDay) -> None:
    """The hold of 0.8 was made one of 0.1. The charge ended what it saw: so the row says that 0.7 are held for nothing."""
    held_day.change("job#j-2", 1, "SET held = :n", n=n("0.1"))
    held_day.world.deliver(rendered("j-2"))

    left = repaired(held_day).left
    done = repaired(held_day, Wrong.POSTED)

    assert ("u-1: the entries hold 0.5, Credits says that 1.2 are held; only a person can say what is wrong",) == left
    assert ((), True) == (done.left, done.after.is_clean)
    assert ("-2.1", "0.5") == held_day.rows()["u-1"]


def test_entries_that_a_person_calls_wrong_let_the_row_stay(held_day: HeldDay) -> None:
    """An entry of 0 that holds what the row says; the log of the row keeps it."""
    held_day.change_row("u-2", "SET held = held + :n", n=n("5"))

    (correction,) = repaired(held_day, Wrong.ENTRIES).corrections

    assert ("repair#u-2", Decimal(0), Decimal(5), Decimal(0)) == (
        correction.reference, correction.amount, correction.held, correction.moved,
    )  # fmt: skip
    assert ("-2", "7") == held_day.rows()["u-2"]
    assert held_day.audit().is_clean


def test_after_a_repair_a_hold_is_settled_as_ever(held_day: HeldDay) -> None:
    """What was held by a damaged entry is known again: the charge of 0.8 ends all of it."""
    held_day.change("job#j-2", 1, "SET held = :n", n=n("0.1"))
    repaired(held_day)

    (report,) = held_day.world.deliver(rendered("j-2"))

    assert ("settled", Decimal("-0.8")) == (report.outcome.value, report.entry.held if report.entry else None)
    assert ("-2.1", "0.5") == held_day.rows()["u-1"]
    assert held_day.audit().is_clean


def test_a_row_that_changes_meanwhile_is_not_written_over(held_day: HeldDay) -> None:
    """A hold comes between the look and the correction: what it holds must not be lost."""
    held_day.change_row("u-2", "SET held = held + :n", n=n("5"))

    def held_meanwhile(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation == "transact_write_items" and client.calls.count(operation) == 1:
            held_day.world.deliver(submitted("j-9", user="u-2", seconds=10))
        return send(**request)

    client = DisturbedClient(held_day.world.client, held_meanwhile)
    with pytest.raises(RepairRefused, match="its row has changed meanwhile"):
        repair(evolve(held_day.ledger, client=client), "u-2", "ticket 4711", Wrong.POSTED, held_day.world.deadline())

    assert ("-3", "8") == held_day.rows()["u-2"]
    assert repaired(held_day, Wrong.POSTED).after.is_clean
    assert ("-3", "3") == held_day.rows()["u-2"]


def test_a_refused_request_of_another_user_is_no_fault(held_day: HeldDay) -> None:
    """It says nothing of whose job it is. The balance of u-1 covers no 200 seconds of 20 credits each."""
    held_day.change_row("u-1", "SET remaining = :n, posted = :n", n=n("0"))
    held_day.world.deliver(submitted("j-9", seconds=200), submitted("j-9", user="u-2", seconds=10), failed("j-9", user="u-2"))

    assert ["flag", "hold", "release"] == [kind for kind, _ in held_day.world.amounts("j-9")]
    assert [] == [fault for fault in held_day.audit().faults if fault.reference == "job#j-9"]


def test_a_log_with_a_refused_request_of_another_user_is_repaired_for_its_own(held_day: HeldDay) -> None:
    """Who was refused is not named by that: a new hold that was changed goes back to what it knows."""
    held_day.change_row("u-1", "SET remaining = :n, posted = :n", n=n("0"))
    held_day.world.deliver(submitted("j-9", seconds=200), submitted("j-9", user="u-2", seconds=10))
    held_day.change_row("u-1", "SET remaining = :r, posted = :p", r=n("997.9"), p=n("-2.1"))
    held_day.change("job#j-9", 2, "SET held = :n", n=n("5"))

    done = repaired(held_day)

    assert [("job#j-9", "u-2", Decimal(-4))] == [(each.reference, each.user, each.held) for each in done.corrections]
    assert ({"u-1": ("-2.1", "1.3"), "u-2": ("-3", "3")}, True) == (held_day.rows(), done.after.is_clean)


def test_the_scheduled_run_tells_whose_held_credits_are_off(held_day: HeldDay) -> None:
    """As of what was posted: the user's name, one drift of one user."""
    held_day.change_row("u-2", "SET held = held + :n", n=n("5"))

    told = check_books(held_day.world.reconciler(), held_day.time.now(), held_day.world.deadline())["audit"]

    assert (["u-2"], []) == (told["drifts"], told["faults"])
    assert (1, "ERROR") == (held_day.world.lines[-1]["Drift"], held_day.world.lines[-1]["level"])


def test_a_seal_of_an_entry_that_holds_nothing_is_what_it_was_before() -> None:
    """So that no ledger which was ever sealed is called damaged; where something is held it stands at the end of the line."""
    plain = SealedEntry("2026", "job#j", 1, "u", Decimal("-0.8"), "ab", "cd")
    held = evolve(plain, held=Decimal("0.8"))

    assert '["2026","job#j",1,"u","-0.8","ab","cd"]' == plain.text()
    assert '["2026","job#j",1,"u","-0.8","ab","cd","0.8"]' == held.text()
    assert [plain, held, evolve(plain, facts=""), evolve(held, facts="")] == [
        SealedEntry.read(each.text()) for each in (plain, held, evolve(plain, facts=""), evolve(held, facts=""))
    ]
