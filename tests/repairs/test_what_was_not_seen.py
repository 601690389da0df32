"""What damage once went unseen, or was repaired to the users' harm: each is seen now, and put right.

Each test says in its first line what happened before there was an archive.
"""

from __future__ import annotations

from decimal import Decimal

from engine.audit.repairer import Wrong
from engine.ledger.moved import NOTHING
from tests.repairs.conftest import Place
from tests.support.events import failed, rendered
from tests.support.policies import example

IN_TWO_HOURS = ("refund: {percent: 100}", 'refund: {percent: 100, within: "2h"}')
DEARER = ('{default: "0.10", premium: "0.25"}', '{default: "0.46875", premium: "0.95"}')

CHARGED = Decimal("999.2"), Decimal("-0.8")
"""What a user has to whom eight seconds were charged, and what was posted then."""

BEFORE = Decimal(1000), Decimal(0)


def test_a_refund_outside_its_window_gives_nothing_back_after_a_repair(desk: Place) -> None:
    """The charge was forgotten with the entry that was gone, so that any refund paid everything back."""
    desk.world.policy = example(IN_TWO_HOURS)
    desk.deliver(rendered("j-1", at="10:00"))
    desk.remove("job#j-1", 1)

    desk.repair("u-1")
    desk.time.wait(7 * 60 * 60)
    desk.deliver(failed("j-1", at="18:00"))

    assert CHARGED == desk.balance("u-1")


def test_an_event_sent_again_after_an_edit_of_prices_charges_nothing_more(desk: Place) -> None:
    """The charge was forgotten with the entry that was gone: at the new price of 3.75 its event charged 2.95 more."""
    desk.deliver(rendered("j-1"))
    desk.remove("job#j-1", 1)

    desk.repair("u-1")
    desk.world.policy = example(DEARER)
    desk.deliver(*desk.sent)

    assert CHARGED == desk.balance("u-1")


def test_a_forged_correction_hides_nothing(desk: Place) -> None:
    """An entry that called itself the correction of a change silenced the alarm, the audit and the seals."""
    desk.deliver(rendered("j-1"))
    desk.change("job#j-1", 1, amount=Decimal("-0.2"), cost=Decimal("0.2"))
    found = {"name": "corrected", "reason": "x", "figures": {"entry": "1", "damage": "changed"}}
    correction = {"source": "repair", "type": "flag", "amount": Decimal(0), "cost": Decimal("0.2"), "anomalies": [found]}
    desk.insert("job#j-1", 2, ("job#j-1", 1), **correction)
    desk.move_row("u-1", posted="0.6", remaining="0.6")

    assert {"changed job#j-1 1", "unknown-correction job#j-1 2"} <= set(desk.audit())
    desk.repair("u-1")
    desk.repair("u-1", wrong=Wrong.BALANCE)

    assert CHARGED == desk.balance("u-1")
    assert [] == desk.audit()


def test_what_was_slipped_in_does_not_hide_behind_a_count(desk: Place) -> None:
    """Another entry was dated out of the seals, so that their count was right: nobody looked for what was added."""
    desk.deliver(rendered("j-1"), rendered("j-2", user="u-2"))
    desk.change("job#j-2", 1, postedAt="2031-01-05T12:00:00.000000Z")
    gift = {"amount": Decimal(5), "cost": Decimal(-5), "type": "grant", "jobId": None}
    desk.insert("grant#gift", 1, ("job#j-1", 1), **gift)

    assert {"changed job#j-2 1", "senseless grant#gift 1"} <= set(desk.audit())
    planned = desk.repair("u-1")
    desk.repair("u-2")

    assert ["grant#gift"] == [step.reference for step in planned.steps]
    assert CHARGED == desk.balance("u-1")
    assert [] == desk.audit()


def test_a_correction_that_is_gone_is_put_back_and_not_made_again(desk: Place) -> None:
    """It was made twice: once in its place, and once behind it."""
    desk.deliver(rendered("j-1"))
    desk.remove("job#j-1", 1)
    desk.deliver(*desk.sent)
    desk.repair("u-1")
    whole = desk.items()
    desk.remove("job#j-1", 2)

    desk.repair("u-1")

    assert whole == desk.items()
    assert CHARGED == desk.balance("u-1")
    assert [] == desk.audit()


def test_one_item_that_cannot_be_read_stops_no_repair(desk: Place) -> None:
    """It stopped audits and repairs of everybody."""
    desk.deliver(rendered("j-1"), rendered("j-2", user="u-2"))
    desk.change("job#j-1", 1, facts="junk", anomalies=[1], amount="text", correction=[])
    desk.insert("job#j-1", 2, ("job#j-2", 1), facts={"charge": 7}, source="repair", userId=None)
    desk.write({**desk.item("job#j-2", 1), "sequence": {"N": "1.5"}})
    desk.change("job#j-2", 1, amount=Decimal("-0.1"))

    desk.repair("u-2")
    planned = desk.repair("u-1")

    assert {"N": "-0.8"} == desk.item("job#j-2", 1)["amount"]
    assert ["job#j-1, entry 2"] == [problem.split(":")[0] for problem in planned.left]
    desk.remove("job#j-1", 2)
    assert () == desk.repair("u-1").left
    assert {"N": "-0.8"} == desk.item("job#j-1", 1)["amount"]
    assert CHARGED == desk.balance("u-1") == desk.balance("u-2")
    desk.deliver(*desk.sent, failed("j-1"))
    assert BEFORE == desk.balance("u-1")


def test_every_audit_compares_what_is_there_with_what_was_posted(desk: Place) -> None:
    """Scheduled runs never compared entries with their seals: a change of a user in two entries was seen by nobody."""
    desk.deliver(rendered("j-1"), rendered("j-2", user="u-2"))
    desk.change("job#j-1", 1, userId="u-2")
    desk.change("job#j-2", 1, userId="u-1")

    assert ["changed job#j-1 1", "changed job#j-2 1"] == desk.audit()
    desk.repair("u-1")
    assert [] == desk.audit()


def test_an_entry_without_its_time_is_put_back(desk: Place) -> None:
    """No index had it, and so no statement and no look at its user's books."""
    desk.deliver(rendered("j-1"))
    before = desk.items()
    desk.change("job#j-1", 1, postedAt=None)

    assert "changed job#j-1 1" in desk.audit()
    desk.repair("u-1")

    assert before == desk.items()


def test_nobody_is_paid_for_an_entry_that_was_put_there(desk: Place) -> None:
    """Where entries and balance disagreed, and a person said that the balance is wrong, the forger had 500 credits more."""
    desk.deliver(rendered("j-1", user="u-3"))
    forged = {"amount": Decimal(500), "cost": Decimal(-500), "type": "refund"}
    desk.insert("job#j-1", 2, ("job#j-1", 1), **forged)

    planned = desk.repair("u-3", wrong=Wrong.BALANCE)

    assert CHARGED == desk.balance("u-3")
    assert [NOTHING] == [each.moves for step in planned.steps for each in getattr(step, "corrections", ())]
    assert [] == desk.audit()


def test_an_entry_at_an_odd_place_is_undone_where_a_person_names_it(desk: Place) -> None:
    """A gift between two entries: nothing of this system writes there."""
    desk.deliver(rendered("j-1"), failed("j-1"))
    desk.write({**desk.item("job#j-1", 1), "sequence": {"N": "1.5"}, "amount": {"N": "50"}, "type": {"S": "refund"}})

    named = desk.plan("u-1", forged=[("job#j-1", Decimal("1.5"))])
    assert desk.apply(named).is_whole
    desk.deliver(*desk.sent)

    assert BEFORE == desk.balance("u-1")
    assert Decimal(0) == sum(entry.line.moved for entry in desk.store.log("job#j-1", desk.deadline))
    assert () == desk.plan("u-1").steps
