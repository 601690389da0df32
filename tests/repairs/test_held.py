"""Repairs by plan of what is held: entries go back as they were posted, and rows say again what the entries hold."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.audit.repairer import Wrong
from engine.ledger.moved import Moved
from tests.repairs.conftest import Place
from tests.support.events import failed, rendered
from tests.support.held import submitted, with_holds


@pytest.fixture
def holds(desk: Place) -> Place:
    """Return a ledger in memory whose policy knows holds: j-1 of u-1 is held (0.8), and j-2 was held (0.5) and charged 0.4."""
    desk.world.policy = with_holds()
    desk.deliver(submitted("j-1"), submitted("j-2", seconds=5), rendered("j-2", seconds=4))
    return desk


def row(place: Place, user: str = "u-1") -> tuple[Decimal, Decimal, Decimal]:
    """Return a user's balance, what was posted, and what is held."""
    return *place.balance(user), Decimal((place.world.user_row(user) or {}).get("held", 0))


HELD = (Decimal("998.8"), Decimal("-1.2"), Decimal("0.8"))
"""0.8 are held for j-1; for j-2 0.4 were charged."""


def test_an_archive_with_holds_agrees(holds: Place) -> None:
    """Entry by entry, and in the sums of users."""
    assert (HELD, []) == (row(holds), holds.audit())


@pytest.mark.parametrize("held", [None, Decimal("0.1"), "much"])
def test_a_hold_that_was_changed_goes_back_as_it_was_posted(holds: Place, held: object) -> None:
    """That moves nothing, and nothing is added."""
    before = holds.items()
    holds.change("job#j-1", 1, held=held)
    assert ["changed job#j-1 1"] == holds.audit()

    planned = holds.repair("u-1")

    assert ((), [()]) == (planned.left, [each.corrections for each in planned.steps])
    assert (HELD, [], before) == (row(holds), holds.audit(), holds.items())


def test_what_a_charge_did_on_a_damaged_hold_is_put_right(holds: Place) -> None:
    """The hold of 0.8 was made one of 0.1; the charge of 0.8 ended 0.1, so that 0.7 stayed held for nothing."""
    holds.change("job#j-1", 1, held=Decimal("0.1"))
    holds.deliver(rendered("j-1"))
    assert Decimal("0.7") == row(holds)[2]

    planned = holds.repair("u-1")

    (correction,) = planned.steps[0].corrections
    assert (Decimal(0), Decimal("-0.7"), Moved(held=Decimal("-0.7"))) == (
        correction.entry.amount, correction.entry.held, correction.moves,
    )  # fmt: skip
    assert "job#j-1: add: entry 3, 0.0 and 0.7 less held for u-1, `held` moves by -0.7" in planned.steps[0].lines()
    assert ((Decimal("998.8"), Decimal("-1.2"), Decimal(0)), []) == (row(holds), holds.audit())
    assert () == holds.plan("u-1").steps


def test_a_hold_that_is_gone_and_came_again_is_held_once(holds: Place) -> None:
    """It was held twice; its first entry goes back over the second, and what the second had moved is taken back."""
    holds.remove("job#j-1", 1)
    holds.deliver(submitted("j-1"))
    assert (Decimal("998.0"), Decimal("-2.0"), Decimal("1.6")) == row(holds)

    holds.repair("u-1")
    holds.deliver(*holds.sent)

    assert (HELD, []) == (row(holds), holds.audit())


@pytest.mark.parametrize("paid", [False, True])
def test_a_forged_hold_is_undone(holds: Place, paid: bool) -> None:  # noqa: FBT001
    """It stays where it is. The row tells whether it had moved with it."""
    forged = {"held": Decimal(9), "amount": Decimal(-9), "cost": Decimal(9)}
    holds.insert("job#j-9", 1, ("job#j-1", 1), **forged)
    if paid:
        holds.move_row("u-1", remaining="-9", posted="-9", held="9")

    planned = holds.repair("u-1", forged=[("job#j-9", 1)])

    (correction,) = planned.steps[0].corrections
    assert (Decimal(9), Decimal(-9)) == (correction.entry.amount, correction.entry.held)
    assert (Moved(Decimal(9), Decimal(-9)) if paid else Moved()) == correction.moves
    assert (HELD, []) == (row(holds), holds.audit())


@pytest.mark.parametrize(
    ("wrong", "held", "added"), [(Wrong.POSTED, "0.8", "0"), (Wrong.BALANCE, "0.8", "0"), (Wrong.ENTRIES, "5.8", "5")]
)
def test_a_person_says_what_is_wrong_with_a_row(holds: Place, wrong: Wrong, held: str, added: str) -> None:
    """The balance stays in any case: it was not what was changed."""
    holds.move_row("u-1", held="5")
    assert ["drift u-1"] == holds.audit()
    (left,) = holds.plan("u-1").left

    (step,) = holds.repair("u-1", wrong=wrong).steps

    assert "u-1: the entries hold 0.8, Credits says that 5.8 are held; only a person can say what is wrong" == left
    assert (Decimal(added), Moved()) == (step.correction.entry.held, step.correction.moves)
    assert ((*HELD[:2], Decimal(held)), []) == (row(holds), holds.audit())
    assert () == holds.plan("u-1").steps


def test_a_row_that_says_no_number_of_what_is_held_says_it_again(holds: Place) -> None:
    """As where it says none of what was posted: a person has to say that the row is wrong."""
    holds.world.client.update_item(
        TableName=holds.world.tables.credits, Key={"userId": {"S": "u-1"}}, UpdateExpression="SET held = :text",
        ExpressionAttributeValues={":text": {"S": "0.8"}},
    )  # fmt: skip

    assert "Credits says that no number are held" in holds.plan("u-1").left[0]
    holds.repair("u-1", wrong=Wrong.POSTED)
    assert (HELD, []) == (row(holds), holds.audit())


def test_a_plan_says_of_the_row_what_it_did_before(holds: Place) -> None:
    """Applied once; where a hold comes in between, nothing is done."""
    holds.move_row("u-1", held="5")
    late, again = (holds.written(holds.plan("u-1", wrong=Wrong.POSTED)) for _ in range(2))
    holds.deliver(submitted("j-3", seconds=1))

    assert not holds.apply(late).is_whole
    assert Decimal("5.9") == row(holds)[2]
    assert not holds.apply(again).is_whole


def test_after_a_repair_a_failure_releases_all_of_a_hold(holds: Place) -> None:
    """The log knows what is held for it."""
    holds.change("job#j-1", 1, held=Decimal("0.1"))
    holds.repair("u-1")
    holds.deliver(failed("j-1"))

    assert ((Decimal("999.6"), Decimal("-0.4"), Decimal(0)), []) == (row(holds), holds.audit())
