"""Twenty-seven kinds of damage: each is found, named, and put right by entries that are added."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve, frozen

from engine.audit.repair import Repair, Wrong
from engine.audit.seals import REST
from tests.audit.conftest import LATER, Day
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.repairs import repair_everybody
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

TRUE = {"u-1": Decimal("-1.3"), "u-2": Decimal("-3.2"), "u-3": Decimal("-0.3")}
"""What was posted for each user: see Day."""

GRANTED = 1000
REASON = "found by the audit of Monday"


@frozen
class Planted:
    """What somebody does, what must be named, and what a person then says is wrong (None: the tables tell by themselves)."""

    do: Callable[[Day], None]
    named: str
    wrong: Wrong | None = None


def n(number: str) -> dict[str, str]:
    """Return a number of DynamoDB."""
    return {"N": number}


def s(text: str) -> dict[str, str]:
    """Return a text of DynamoDB."""
    return {"S": text}


SEALED_TIME = "2026-01-05T12:00:00.000000Z"

DAMAGE: dict[str, Planted] = {
    # the row of Credits
    "posted was raised": Planted(
        lambda day: day.change_row("u-1", "SET posted = posted + :n", n=n("5")),
        "drift: u-1: entries add up to -1.3, Credits says 3.7",
        Wrong.POSTED,
    ),
    "posted was lowered": Planted(
        lambda day: day.change_row("u-2", "SET posted = posted - :n", n=n("5")),
        "drift: u-2: entries add up to -3.2, Credits says -8.2",
        Wrong.POSTED,
    ),
    "the row was written whole, without posted": Planted(
        lambda day: day.change_row("u-2", "REMOVE posted"),
        "drift: u-2: entries add up to -3.2, Credits says 0",
        Wrong.POSTED,
    ),
    "posted became a text": Planted(
        lambda day: day.change_row("u-1", "SET posted = :s", s=s("-1.3")),
        "drift: u-1: entries add up to -1.3, Credits says no number",
        Wrong.POSTED,
    ),
    "a balance moved without its entry": Planted(
        lambda day: day.change_row("u-1", "ADD remaining :n, posted :n", n=n("-0.8")),
        "drift: u-1: entries add up to -1.3, Credits says -2.1",
        Wrong.BALANCE,
    ),
    "a user without entries has something posted": Planted(
        lambda day: day.change_row("u-9", "ADD remaining :n, posted :n", n=n("7")),
        "drift: u-9: entries add up to 0, Credits says 7",
        Wrong.BALANCE,
    ),
    # sealed entries that are gone
    "the only entry of a job is gone": Planted(
        lambda day: day.remove("job#j-1", 1), "removed: job#j-1, entry 1: is gone: -0.8 of u-1"
    ),
    "the first of two is gone": Planted(
        lambda day: day.remove("job#j-2", 1), "removed: job#j-2, entry 1: is gone: -0.8 of u-1"
    ),
    "the last of two is gone": Planted(lambda day: day.remove("job#j-2", 2), "removed: job#j-2, entry 2: is gone: 0.8 of u-1"),
    "the second of three is gone": Planted(
        lambda day: day.remove("job#j-3", 2), "removed: job#j-3, entry 2: is gone: 0.8 of u-1"
    ),
    "a whole log is gone": Planted(
        lambda day: day.remove("job#j-3", 1, 2, 3), "removed: job#j-3, entry 3: is gone: -0.5 of u-1"
    ),
    # sealed entries that were changed
    "a debit was made smaller": Planted(
        lambda day: day.change("job#j-4", 1, "SET amount = :n", n=n("-0.2")),
        "changed: job#j-4, entry 1: was changed: its amount is -0.2; -1.2 was sealed",
    ),
    "a debit was made nothing": Planted(
        lambda day: day.change("job#j-4", 1, "SET amount = :n", n=n("0")), "its amount is 0; -1.2 was sealed"
    ),
    "a debit became a gift": Planted(
        lambda day: day.change("job#j-5", 1, "SET amount = :n", n=n("2")), "its amount is 2; -2 was sealed"
    ),
    "an amount is gone": Planted(
        lambda day: day.change("job#j-5", 1, "REMOVE amount"), "its amount is no number; -2 was sealed"
    ),
    "an amount became a text": Planted(
        lambda day: day.change("job#j-5", 1, "SET amount = :s", s=s("-2")), "its amount is no number; -2 was sealed"
    ),
    "two amounts of one user were exchanged": Planted(
        lambda day: (
            day.change("job#j-4", 1, "SET amount = :n", n=n("-2")),
            day.change("job#j-5", 1, "SET amount = :n", n=n("-1.2")),
        )[0],
        "changed: job#j-4, entry 1: was changed: its amount is -2; -1.2 was sealed",
    ),
    "a debit was given to another user": Planted(
        lambda day: day.change("job#j-4", 1, "SET #user = :s", s=s("u-1")), "its user is u-1; u-2 was sealed"
    ),
    "the first of two was given to another user": Planted(
        lambda day: day.change("job#j-2", 1, "SET #user = :s", s=s("u-3")), "its user is u-3; u-1 was sealed"
    ),
    "what is known of a job was changed": Planted(
        lambda day: day.change("job#j-1", 1, "SET facts.charge.amount = :n", n=n("80")),
        "changed: job#j-1, entry 1: was changed, in neither amount nor user",
    ),
    "the cost was changed": Planted(
        lambda day: day.change("job#j-1", 1, "SET cost = :n", n=n("80")), "with it the entries add up to -0.8; -80 follows"
    ),
    "a refund was slipped in behind the seal": Planted(
        lambda day: day.insert(
            "job#j-1", 2, "job#j-1", amount=n("0.8"), cost=n("0"), type=s("refund"), postedAt=s(SEALED_TIME)
        ),
        "added: job#j-1, entry 2: was added behind seal 1",
    ),
    # entries that are too new to be sealed
    "the first of two new ones is gone": Planted(lambda day: day.remove("job#j-6", 1), "fault: job#j-6, entry 1: is missing"),
    "the last of two new ones is gone": Planted(
        lambda day: day.remove("job#j-6", 2),
        "drift: u-3: entries add up to -1.1, Credits says -0.3",
        Wrong.BALANCE,
    ),
    "a new debit was made smaller": Planted(
        lambda day: day.change("job#j-7", 1, "SET amount = :n", n=n("-0.1")),
        "fault: job#j-7, entry 1: with it the entries add up to -0.1; -0.3 follows from its cost",
    ),
    "the cost of a new debit was changed": Planted(
        lambda day: day.change("job#j-7", 1, "SET cost = :n", n=n("9")),
        "fault: job#j-7, entry 1: with it the entries add up to -0.3; -9 follows from its cost",
    ),
    "somebody has given himself a grant": Planted(
        lambda day: day.insert("grant#gift", 1, "job#j-7", amount=n("500"), cost=n("-500"), type=s("grant")),
        "drift: u-3: entries add up to 499.7, Credits says -0.3",
        Wrong.ENTRIES,
    ),
}


def named(day: Day) -> list[str]:
    """Return what the audit and the seals say, as the command says it."""
    seen, verified = day.audit(), day.verify()
    lines = [
        f"drift: {drift.user}: entries add up to {drift.ledger:f}, Credits says"
        f" {'no number' if drift.posted is None else format(drift.posted, 'f')}"
        for drift in seen.drifts
    ]
    lines += [f"fault: {fault.reference}, entry {fault.sequence}: {fault.problem}" for fault in seen.faults]
    lines += [
        f"{deviation.damage}: {deviation.reference}, entry {deviation.sequence}: {deviation.problem}"
        for deviation in verified.open
    ]
    return lines


def repaired(day: Day, wrong: Wrong | None) -> Repair:
    """Repair what is found, of one user after the other; each repair does what its rehearsal has shown."""
    return repair_everybody(day.ledger, REASON, wrong, day.world.deadline(600), is_shown=True)


def sums(day: Day) -> dict[str, tuple[Decimal, Decimal]]:
    """Return what was posted for each user, and what the balance was moved by."""
    rows = [day.world.user_row(user) for user in TRUE]
    assert all(row is not None for row in rows)
    return {
        user: (Decimal(row["posted"]), Decimal(row["remaining"]) - GRANTED)
        for user, row in zip(TRUE, rows, strict=True)
        if row is not None
    }


def left_to_a_person(day: Day) -> None:
    """What only a person can say is not guessed: nothing is written, and it says of whom."""
    before = day.world.everything()
    done = repaired(day, None)
    assert before == day.world.everything()
    assert 1 == len(done.left)
    assert "only a person can say what is wrong" in done.left[0]


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_named_and_put_right_by_entries(day: Day, kind: str) -> None:
    """No entry that stands is touched, each new one says why, and afterwards all events sent again change nothing."""
    planted = DAMAGE[kind]
    planted.do(day)
    before = day.entries()

    if planted.wrong is not None:
        left_to_a_person(day)
    assert any(planted.named in line for line in named(day)), f"not named among {named(day)}"
    done = repaired(day, planted.wrong)
    after = day.entries()
    day.world.deliver(*day.new_events, *day.sealed_events)

    assert () == done.left
    assert done.after.is_clean, done.after
    assert () == day.verify().open
    assert done.corrections, "nothing was corrected"
    assert before == {key: entry for key, entry in after.items() if key in before}, "an entry was changed or removed"
    for key in after.keys() - before.keys():
        assert after[key]["source"] == {"S": "repair"}
        assert after[key]["anomalies"]["L"][0]["M"]["reason"]["S"].startswith(f"{REASON} (")
    assert {user: (posted, posted) for user, posted in TRUE.items()} == sums(day)
    assert day.audit().is_clean


def test_there_are_more_than_twenty_kinds() -> None:
    """So that none is lost unnoticed."""
    assert 27 == len(DAMAGE)


def test_a_repair_done_twice_does_nothing_the_second_time(day: Day) -> None:
    """Each deviation is corrected once."""
    day.remove("job#j-2", 1)
    day.change("job#j-4", 1, "SET amount = :n", n=n("-0.2"))

    first, second = repaired(day, None), repaired(day, None)

    assert (2, 0) == (len(first.corrections), len(second.corrections))


def test_several_that_are_gone_from_one_log_are_corrected_once(day: Day) -> None:
    """The correction of the second stands where the fourth was: it is no change of that."""
    day.world.deliver(failed("j-3", at="13:00"))
    day.time.wait((REST + LATER).total_seconds())
    day.seal()
    day.remove("job#j-3", 2, 4)

    first, second = repaired(day, None), repaired(day, None)

    assert [(4, Decimal("0.8")), (5, Decimal("0.5"))] == [(each.sequence, each.amount) for each in first.corrections]
    assert () == second.corrections
    assert () == day.verify().open
    assert second.after.is_clean


@pytest.mark.parametrize("calls", [1, 2])
def test_a_repair_that_dies_on_the_way_is_finished_by_the_next(day: Day, calls: int) -> None:
    """An entry given to another user takes two corrections: with the first alone it counts as open."""
    day.change("job#j-4", 1, "SET #user = :s", s=s("u-1"))

    def die(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation == "transact_write_items" and client.calls.count(operation) == calls:
            raise KeyboardInterrupt
        return send(**request)

    client = DisturbedClient(day.world.client, die)
    with pytest.raises(KeyboardInterrupt):
        repair_everybody(evolve(day.ledger, client=client), REASON, None, day.world.deadline(600))
    assert ["job#j-4"] == [deviation.reference for deviation in day.verify().open]

    assert repaired(day, None).after.is_clean
    assert () == day.verify().open
    assert {user: (posted, posted) for user, posted in TRUE.items()} == sums(day)


def test_amounts_of_two_new_jobs_that_were_exchanged_go_back_to_their_jobs(day: Day) -> None:
    """The user's books agree all the while: what the jobs say of their cost tells which is whose."""
    day.change("job#j-6", 1, "SET amount = :n", n=n("-0.3"))
    day.change("job#j-7", 1, "SET amount = :n", n=n("-0.8"))
    assert not day.audit().drifts

    done = repaired(day, None)

    assert done.after.is_clean
    net = {job: sum(Decimal(entry["amount"]) for entry in day.world.entries(job)) for job in ("j-6", "j-7")}
    assert {"j-6": Decimal(0), "j-7": Decimal("-0.3")} == net


def test_damage_after_a_repair_is_found_again(day: Day) -> None:
    """A correction covers what it found and nothing else: the same entry changed once more is news."""
    day.change("job#j-4", 1, "SET amount = :n", n=n("-0.2"))
    repaired(day, None)
    day.change("job#j-4", 1, "SET amount = :n", n=n("-0.3"))

    assert ["job#j-4"] == [deviation.reference for deviation in day.verify().open]
    assert {user: posted for user, posted in TRUE.items() if user == "u-2"} == {
        drift.user: drift.posted for drift in day.audit().drifts
    }
    assert repaired(day, None).after.is_clean


def test_a_row_of_credits_that_is_gone_comes_back_with_what_the_ledger_knows(day: Day) -> None:
    """What the application itself had granted is in no ledger: it is the application's to repeat."""
    day.remove_row("u-2")

    assert "drift: u-2: entries add up to -3.2, Credits says 0" in named(day)
    assert repaired(day, Wrong.BALANCE).after.is_clean
    assert {"userId": "u-2", "posted": Decimal("-3.2"), "remaining": Decimal("-3.2")} == day.world.user_row("u-2")


def test_an_entry_that_was_posted_long_after_it_was_dated_is_kept(day: Day) -> None:
    """Its balance moved with it, so nobody slipped it in: it is named, and counted from then on."""
    day.world.deliver(rendered("j-8", user="u-2", seconds=10))
    day.change("job#j-8", 1, "SET postedAt = :s", s=s(SEALED_TIME))
    assert any("added: job#j-8, entry 1: was added behind seal 1" in line for line in named(day))

    done = repaired(day, None)

    assert [("job#j-8", 2, Decimal(0))] == [(c.reference, c.sequence, c.amount) for c in done.corrections]
    assert done.after.is_clean
    assert () == day.verify().open
    assert 0 == day.seal().came_or_went
    assert Decimal("-4.2") == Decimal((day.world.user_row("u-2") or {})["posted"])


def test_an_entry_that_names_nobody_is_left_to_a_person(day: Day) -> None:
    """Nothing can be taken back from nobody."""
    day.change("job#j-4", 1, "REMOVE #user")

    done = repaired(day, Wrong.BALANCE)

    assert () == done.corrections
    assert any("job#j-4, entry 1: its user is missing" in problem for problem in done.left)
    assert any("u-2: its balance waits" in problem for problem in done.left)


def test_a_new_log_of_two_users_is_left_to_a_person(day: Day) -> None:
    """Which of the two is right nothing can tell, and so no balance is touched."""
    day.change("job#j-6", 1, "SET #user = :s", s=s("u-1"))
    before: Any = day.world.everything()

    done = repaired(day, Wrong.BALANCE)

    assert () == done.corrections
    assert before == day.world.everything()
    assert {"u-1", "u-3"} <= {problem.partition(":")[0] for problem in done.left}


def test_an_explanation_is_no_damage(day: Day) -> None:
    """The only attribute that may be added to an entry."""
    day.change("job#j-1", 1, "SET explanation = :s", s={"M": {"summary": s("a long video")}})

    assert [] == named(day)


def test_after_a_repair_a_refund_goes_to_the_rightful_user(day: Day) -> None:
    """Though the first entry of the log names another."""
    day.change("job#j-4", 1, "SET #user = :s", s=s("u-1"))
    repaired(day, None)

    (report,) = day.world.deliver(failed("j-4", user="u-2"))

    assert ("refunded", Decimal("1.2")) == (report.outcome.value, report.entry.amount if report.entry else None)
    assert day.audit().is_clean


def test_what_was_sealed_keeps_its_price_when_its_event_comes_again(day: Day) -> None:
    """Charged 0.80 and sealed; the amount is changed, the price doubled, the entry repaired, the event comes again."""
    day.change("job#j-1", 1, "SET amount = :n", n=n("-5"))
    assert repaired(day, None).after.is_clean

    dearer = World(day.world.client, day.world.tables, example(('default: "0.10"', 'default: "0.20"')), clock=day.time.clock())
    (report,) = dearer.deliver(rendered("j-1"))

    assert "duplicate" == report.outcome.value
    assert TRUE["u-1"] == (day.world.user_row("u-1") or {})["posted"]
    assert day.audit().is_clean


def test_what_somebody_made_up_of_a_job_is_not_believed(day: Day) -> None:
    """Facts that are not those sealed would keep out the true event for ever."""
    day.change("job#j-1", 1, "SET facts.charge.amount = :n", n=n("0"))
    repaired(day, None)

    (report,) = day.world.deliver(rendered("j-1"))

    known = day.world.entries("j-1")[-1]["facts"]
    assert ("voided", ()) == (report.outcome.value, report.entry.anomalies if report.entry else None)
    assert (Decimal("0.8"), {"charge"}) == (known["charge"]["amount"], known.keys())
    assert Decimal("-0.8") == sum(amount for _, amount in day.world.amounts("j-1"))
    assert TRUE["u-1"] == (day.world.user_row("u-1") or {})["posted"]
    assert day.audit().is_clean
    day.world.deliver(rendered("j-1"), failed("j-1"))
    assert Decimal(0) == sum(amount for _, amount in day.world.amounts("j-1"))
