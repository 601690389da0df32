"""A user's row where it disagrees with entries: what it waits for, and what is done where it cannot be read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.audit.balances import BalanceKeeper
from engine.audit.books import audit_of
from engine.audit.repairer import Repairer, RepairRefused, Wrong
from engine.audit.repairs.applying import State
from engine.ledger.dynamodb.store import DynamoStore
from tests.repairs.conftest import Place
from tests.support.events import failed, rendered
from tests.support.world import DisturbedClient

CHARGED = Decimal("999.2"), Decimal("-0.8")
"""What a user has to whom eight seconds were charged, and what was posted then."""


def test_a_row_waits_for_no_log_that_does_not_name_its_user(desk: Place) -> None:
    """Somebody has put in what no entry can undo, of another user: it was named together with what is wrong with the row."""
    desk.deliver(rendered("j-1"), rendered("j-2", user="u-2"))
    desk.insert("job#j-2", 2, ("job#j-2", 1), facts={"charge": 7}, userId=None)
    desk.move_row("u-1", posted="5", remaining="5")

    planned = desk.repair("u-1", wrong=Wrong.BALANCE, forged=[("job#j-2", 2)])

    assert ["job#j-2, entry 2"] == [problem.split(":")[0] for problem in planned.left]
    assert CHARGED == desk.balance("u-1")


def test_a_row_waits_for_a_log_that_names_its_user(desk: Place) -> None:
    """Also where nothing of it is the user's any more: what it comes to decides what the row should say."""
    desk.deliver(rendered("j-1"))
    desk.change("job#j-1", 1, userId="u-2")
    desk.move_row("u-1", posted="5", remaining="5")

    first = desk.repair("u-1", wrong=Wrong.BALANCE)
    waiting = desk.balance("u-1")
    desk.repair("u-1", wrong=Wrong.BALANCE)

    assert ("u-1: its balance waits until the entries above are in order",) == first.left
    assert (Decimal("1004.2"), Decimal("4.2")) == waiting
    assert CHARGED == desk.balance("u-1")


def test_where_the_row_is_wrong_a_person_says_what_was_posted_and_no_book_has_to_agree(desk: Place) -> None:
    """A charge was removed with its balance, and another telling of it came on the empty log.

    The log waited for the row, which waited for the log: whatever a person said, neither was ever put right. Five seconds are
    charged in the end, as 10:30 says.
    """
    desk.deliver(rendered("j-1"))
    desk.remove("job#j-1", 1)
    desk.move_row("u-1", posted="0.8", remaining="0.8")
    desk.deliver(rendered("j-1", seconds=5, at="10:30"))
    said = {"wrong": Wrong.BALANCE, "posted": [("job#j-1", 1)]}

    assert () == desk.plan("u-1").steps == desk.plan("u-1", wrong=Wrong.BALANCE).steps
    first = desk.repair("u-1", **said)
    second = desk.repair("u-1", **said)
    third = desk.plan("u-1", **said)

    assert (["job#j-1"], ["repair#u-1"]) == tuple([step.reference for step in each.steps] for each in (first, second))
    assert ((), ()) == (third.steps, third.left)
    assert (Decimal("999.5"), Decimal("-0.5")) == desk.balance("u-1")
    assert [] == desk.audit()


def unreadable(place: Place, user: str, posted: str) -> None:
    """Let a row say as a text what was posted."""
    place.world.client.update_item(
        TableName=place.world.tables.credits,
        Key={"userId": {"S": user}},
        UpdateExpression="SET posted = :posted",
        ExpressionAttributeValues={":posted": {"S": posted}},
    )


def test_where_a_row_says_no_number_nobody_guesses_what_moved_the_balance(desk: Place) -> None:
    """A forged refund was undone as if the balance had not moved with it: its user kept 500 credits, and the row agreed."""
    desk.deliver(rendered("j-1"))
    desk.insert("job#j-1", 2, ("job#j-1", 1), amount=Decimal(500), cost=Decimal(-500), type="refund")
    desk.move_row("u-1", posted="500", remaining="500")
    unreadable(desk, "u-1", "499.2")

    planned = desk.plan("u-1")

    assert () == planned.steps
    assert ["job#j-1", "u-1"] == [problem.split(":")[0] for problem in planned.left]
    assert all("Credits says no number" in problem for problem in planned.left)


def test_a_number_that_a_person_writes_into_a_row_tells_what_moved_the_balance(desk: Place) -> None:
    """What the text said, say: then the books tell that the forged refund has moved it."""
    desk.deliver(rendered("j-1"))
    desk.insert("job#j-1", 2, ("job#j-1", 1), amount=Decimal(500), cost=Decimal(-500), type="refund")
    desk.move_row("u-1", posted="500", remaining="500")

    desk.repair("u-1")

    assert CHARGED == desk.balance("u-1")


def test_a_row_that_says_no_number_is_put_right_before_its_logs(desk: Place) -> None:
    """A person says that the balance is right, and so that nothing forged has moved it."""
    desk.deliver(rendered("j-1"))
    desk.insert("job#j-1", 2, ("job#j-1", 1), amount=Decimal(500), cost=Decimal(-500), type="refund")
    unreadable(desk, "u-1", "-0.8")

    assert () == desk.repair("u-1", wrong=Wrong.POSTED).left

    assert CHARGED == desk.balance("u-1")
    assert [] == desk.audit()


def test_what_events_did_on_a_damaged_log_is_put_right_where_the_row_says_no_number(desk: Place) -> None:
    """The log waited for a number in the row, and the row for the log."""
    desk.deliver(rendered("j-1"))
    desk.change("job#j-1", 1, amount=Decimal(-2), cost=Decimal(2))
    desk.deliver(failed("j-1"))
    moved = desk.balance("u-1")
    unreadable(desk, "u-1", "1.2")

    assert () == desk.repair("u-1", wrong=Wrong.POSTED).left

    assert (Decimal("1001.2"), Decimal("1.2")) == moved
    assert (Decimal(1000), Decimal(0)) == desk.balance("u-1")
    assert [] == desk.audit()


def test_a_row_that_says_no_number_waits_for_what_is_not_archived(desk: Place) -> None:
    """Such an entry may have been posted just now: a row that is written without it would be wrong for ever."""
    desk.deliver(rendered("j-1"))
    desk.world.deliver(rendered("j-2"))
    desk.archived.seen = desk.items()  # the stream has lost it
    unreadable(desk, "u-1", "-1.6")

    planned = desk.plan("u-1", wrong=Wrong.POSTED)

    assert () == planned.steps
    assert ["job#j-2, entry 1", "u-1"] == [problem.split(":")[0] for problem in planned.left]


def test_choices_that_end_alike_are_left_to_nobody(desk: Place) -> None:
    """Charge and refund of a log that was gone came again, and cancel out: whether they moved the balance is the same."""
    desk.deliver(rendered("j-1"), failed("j-1"))
    before = desk.items()
    desk.remove("job#j-1", 2, 1)
    desk.deliver(rendered("j-1"), failed("j-1"))

    assert () == desk.repair("u-1").left

    assert (Decimal(1000), Decimal(0)) == desk.balance("u-1")
    assert [] == desk.audit()
    assert before.items() <= desk.items().items()


def test_choices_that_end_otherwise_are_left_to_a_person(desk: Place) -> None:
    """A refund that nobody had told before came on the empty log: it may be forged with the charge, and cancels it out."""
    desk.deliver(rendered("j-1"), rendered("j-1", seconds=16, at="10:30"))
    desk.remove("job#j-1", 2, 1)
    desk.deliver(rendered("j-1"), failed("j-1"))

    planned = desk.plan("u-1")

    assert () == planned.steps
    named = [problem.split(" for")[0] for problem in planned.left[:2]]
    assert ["job#j-1, entry 1 of -0.8", "job#j-1, entry 2 of 0.8"] == named

    desk.repair("u-1", posted=[("job#j-1", 1), ("job#j-1", 2)])
    assert (Decimal(1000), Decimal(0)) == desk.balance("u-1")
    assert [] == desk.audit()


def test_an_entry_that_a_person_acquits_has_to_agree_with_the_books(desk: Place) -> None:
    """It did not move the balance, so that nobody can have posted it: it stays in doubt."""
    desk.deliver(rendered("j-1"))
    forged = {**desk.item("job#j-1", 1), "amount": {"N": "-2"}, "cost": {"N": "2"}}
    desk.remove("job#j-1", 1)
    desk.write(forged)

    acquitted = desk.plan("u-1", posted=[("job#j-1", 1)])
    assert () == acquitted.steps
    assert ["job#j-1, entry 1 of -2"] == [problem.split(" for")[0] for problem in acquitted.left]
    assert () == desk.repair("u-1").left
    assert CHARGED == desk.balance("u-1")


# --- a balance that is held to the ledger, and off by itself ----------------------------------------------------------


def hold_balances(place: Place) -> None:
    """Look at balances as a scheduled run does where only events grant: the first one opens the book."""
    keeper = BalanceKeeper(place.store, place.time.now(), place.deadline, wanted=True, writes=True)
    keeper.look({row.user: row for row in place.store.credits(place.deadline, with_remaining=True)}, ())


def test_a_balance_that_was_changed_by_hand_is_taken_back_once(desk: Place) -> None:
    """Its entries and `posted` agree, so nothing else is wrong; the correction is believed, and no finding."""
    desk.deliver(rendered("j-1"))
    hold_balances(desk)
    desk.move_row("u-1", remaining="5")

    (left,) = desk.plan("u-1").left
    planned = desk.plan("u-1", wrong=Wrong.BALANCE)
    file = desk.written(planned)
    first, second = desk.apply(file), desk.apply(file)

    assert "5 too much" in left
    assert "only a person can say whether that is wrong; `--wrong balance` takes it back" in left
    assert ("repair#u-1", Decimal(0), Decimal(-5)) == (
        (step := planned.steps[0]).reference, step.correction.entry.amount, step.correction.moves.amount,
    )  # fmt: skip
    assert ((1, 0), (0, 1)) == tuple((each.count(State.DONE), each.count(State.DONE_BEFORE)) for each in (first, second))
    assert (CHARGED, []) == (desk.balance("u-1"), desk.audit())
    assert () == desk.plan("u-1").steps


@pytest.mark.parametrize("moved", [{"remaining": "-5"}, {"remaining": "-1", "posted": "-1"}])
def test_a_balance_that_has_moved_since_is_left_alone(desk: Place, moved: dict[str, str]) -> None:
    """Somebody else has taken the change back, or something was posted: what the plan was about is another thing then."""
    desk.deliver(rendered("j-1"))
    hold_balances(desk)
    desk.move_row("u-1", remaining="5")
    planned = desk.plan("u-1", wrong=Wrong.BALANCE)
    desk.move_row("u-1", **moved)
    before = desk.balance("u-1")

    assert (1, before) == (desk.apply(planned).count(State.CHANGED), desk.balance("u-1"))


@pytest.mark.parametrize("changed", ["5", "-999.2"], ids=["to some", "to nothing"])
@pytest.mark.parametrize("by_plan", [True, False])
def test_a_balance_that_somebody_puts_right_meanwhile_is_not_moved_twice(
    desk: Place,
    changed: str,
    by_plan: bool,  # noqa: FBT001
) -> None:
    """Between the last look at the row and the transaction: the change is taken back by a second hand."""
    desk.deliver(rendered("j-1"))
    hold_balances(desk)
    desk.move_row("u-1", remaining=changed)
    file = desk.written(desk.plan("u-1", wrong=Wrong.BALANCE))
    keeper = BalanceKeeper(desk.store, desk.time.now(), desk.deadline)
    (drift,) = audit_of(desk.store, desk.deadline, keeper=keeper).balances

    def late(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation == "transact_write_items":
            desk.move_row("u-1", remaining=f"{-Decimal(changed):f}")
        return send(**request)

    store = DynamoStore(DisturbedClient(desk.world.client, late), desk.world.tables, desk.world.clock).audits()
    if by_plan:
        assert {"repair#u-1": State.CHANGED} == desk.apply(file, store).states
    else:
        with pytest.raises(RepairRefused, match="its row has changed meanwhile"):
            Repairer(store, "u-1", "a change by hand", desk.deadline).taken_back(drift)

    assert (CHARGED, []) == (desk.balance("u-1"), desk.audit())


def test_a_balance_of_no_row_s_number_is_taken_back_too(desk: Place) -> None:
    """Somebody has removed it: a balance that is not there counts as 0, and comes back once."""
    desk.deliver(rendered("j-1"))
    hold_balances(desk)
    key = {"userId": {"S": "u-1"}}
    desk.world.client.update_item(TableName=desk.world.tables.credits, Key=key, UpdateExpression="REMOVE remaining")
    file = desk.written(desk.plan("u-1", wrong=Wrong.BALANCE))

    assert {"repair#u-1": State.DONE} == desk.apply(file).states
    assert (CHARGED, []) == (desk.balance("u-1"), desk.audit())


def test_a_balance_that_says_no_number_or_is_not_held_is_left_to_a_person(desk: Place) -> None:
    """No number says by how much it should move; and where the application grants, any balance may be right."""
    desk.deliver(rendered("j-1"))
    desk.move_row("u-1", remaining="5")
    assert () == desk.plan("u-1", wrong=Wrong.BALANCE).steps
    desk.move_row("u-1", remaining="-5")
    hold_balances(desk)
    desk.world.client.update_item(
        TableName=desk.world.tables.credits,
        Key={"userId": {"S": "u-1"}},
        UpdateExpression="SET remaining = :text",
        ExpressionAttributeValues={":text": {"S": "many"}},
    )
    planned = desk.plan("u-1", wrong=Wrong.BALANCE)

    assert () == planned.steps
    assert ["u-1: the balance is no number; 999.2 follows"] == [left.split(", first")[0] for left in planned.left]


def test_a_balance_that_is_off_waits_for_the_entries(desk: Place) -> None:
    """Once they are in order it is taken back: a log that is put right moves balance and `posted` alike."""
    desk.deliver(rendered("j-1"))
    hold_balances(desk)
    desk.change("job#j-1", 1, amount=Decimal(5))
    desk.move_row("u-1", remaining="5")

    first = desk.repair("u-1", wrong=Wrong.BALANCE)
    second = desk.repair("u-1", wrong=Wrong.BALANCE)

    assert (["job#j-1"], ["repair#u-1"]) == tuple([step.reference for step in each.steps] for each in (first, second))
    assert ("u-1: its balance waits until the entries above are in order",) == first.left
    assert (CHARGED, []) == (desk.balance("u-1"), desk.audit())
