"""A user's row where it disagrees with entries: what it waits for, and what is done where it cannot be read."""

from __future__ import annotations

from decimal import Decimal

from engine.audit.repairer import Wrong
from tests.repairs.conftest import Place
from tests.support.events import rendered

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
