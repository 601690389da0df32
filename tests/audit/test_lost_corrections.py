"""A correction that a hand has changed so that nobody can tell any more what it corrects: it is not made a second time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from engine.audit.books import Audit, audit
from engine.audit.repair import Repair, Wrong, rehearse, repair
from engine.audit.seals import Sealer, verify
from tests.audit.test_odd_items import Odd
from tests.support.events import failed, rendered
from tests.support.odd_items import Item

LOST: Mapping[str, Any] = {
    "another list": {"L": [{"S": "x"}]},
    "figures that are a list": {"L": [{"M": {"name": {"S": "corrected"}, "figures": {"L": []}}}]},
    "a figure that is no text": {"L": [{"M": {"name": {"S": "corrected"}, "figures": {"M": {"entry": {"N": "1"}}}}}]},
    "a name that is none": {"L": [{"M": {"name": {"N": "1"}}}]},
}
"""What stands in the place of the anomalies of a correction."""


def correction(odd: Odd) -> Item:
    """Return what corrects the charge that was doubled by hand."""
    (item,) = [each for each in odd.items() if (each["reference"], each["sequence"]) == ({"S": "job#j-2"}, {"N": "2"})]
    return item


def row(odd: Odd) -> Item:
    """Return the user's row."""
    (item,) = odd.client.scan(TableName=odd.world.tables.credits)["Items"]
    found: Item = item
    return found


def repaired(odd: Odd, wrong: Wrong | None = None) -> Repair:
    """Return what a repair of the user has done."""
    return repair(odd.ledger, "u-1", "once more", wrong, odd.world.deadline(10**9))


def audited(odd: Odd) -> Audit:
    """Return what an audit says now."""
    return audit(odd.ledger, odd.world.deadline(10**9))


@pytest.mark.parametrize("anomalies", LOST.values(), ids=LOST)
@pytest.mark.parametrize("is_sealed", [False, True], ids=["not sealed yet", "sealed"])
def test_it_is_not_made_again(anomalies: Any, *, is_sealed: bool) -> None:
    """The log comes to what it says, and the row to all entries: so what was counted back is not counted back again."""
    odd = Odd()
    if is_sealed:
        seal(odd)
    before = row(odd)
    odd.put({**correction(odd), "anomalies": anomalies})
    assert len(audited(odd).faults) == 1
    assert rehearse(odd.ledger, "u-1", "once more", None, odd.world.deadline(10**9)).after.is_clean
    done, again = repaired(odd), repaired(odd)

    assert [(each.amount, each.moved) for each in done.corrections] == [(0, 0)] * (2 if is_sealed else 1)
    assert "entry 2, a correction that cannot be read any more, has counted it back" in done.corrections[-1].problem
    assert (done.left, again.left, again.corrections) == ((), (), ())
    assert again.after.is_clean
    assert not verify(odd.ledger.audits(), odd.world.deadline(10**9)).open
    odd.world.deliver(rendered("j-2", seconds=10))
    assert row(odd) == before
    odd.world.deliver(failed("j-2"))
    assert audited(odd).is_clean
    assert (row(odd)["remaining"], row(odd)["posted"]) == ({"N": "1000"}, {"N": "0"})


def seal(odd: Odd) -> None:
    """Seal what has been posted, the correction too."""
    odd.time.wait(1200.0)
    deadline = odd.world.deadline(10**9)
    audit(odd.ledger, deadline, sealer=Sealer(odd.ledger.audits(), odd.time.now(), deadline))


@pytest.mark.parametrize("is_sealed", [False, True], ids=["not sealed yet", "sealed"])
def test_where_its_amount_is_told_elsewhere_that_is_put_right_first(*, is_sealed: bool) -> None:
    """Its amount was changed too: a seal has it, or else its cost and the row agree on it. Nothing of that moves twice."""
    odd = Odd()
    if is_sealed:
        seal(odd)
    before = row(odd)
    odd.put({**correction(odd), "amount": {"N": "5"}, "anomalies": LOST["another list"]})
    done = repaired(odd)

    assert [(each.amount, each.moved) for each in done.corrections] == [(-4, 0), (0, 0)]
    assert (done.left, row(odd)) == ((), before)
    assert done.after.is_clean


def test_what_nothing_else_tells_is_left_to_a_person() -> None:
    """Its amount and its cost were changed too, and no seal has them: the row does not come to the entries."""
    odd = Odd()
    before = row(odd)
    odd.put({**correction(odd), "amount": {"N": "5"}, "cost": {"N": "-3"}, "anomalies": LOST["another list"]})
    for wrong in (None, Wrong.BALANCE):
        done = repaired(odd, wrong)

        assert (done.corrections, row(odd)) == ((), before)
        (told, *_, waits) = done.left
        assert "entry 2, a correction, cannot be read, and nothing else tells whether it has counted that back" in told
        assert waits == "u-1: its balance waits until the entries above are in order"


def test_what_is_damaged_behind_it_is_counted_back_as_ever() -> None:
    """The correction says nothing of what came later."""
    odd = Odd()
    odd.world.deliver(failed("j-2"))
    seal(odd)
    before = row(odd)
    odd.put({**correction(odd), "anomalies": LOST["another list"]})
    (refund,) = [each for each in odd.items() if (each["reference"], each["sequence"]) == ({"S": "job#j-2"}, {"N": "3"})]
    odd.put({**refund, "amount": {"N": "7"}})
    done = repaired(odd)

    assert sorted(each.amount for each in done.corrections) == [-6, 0, 0]
    assert (done.left, row(odd)) == ((), before)
    assert done.after.is_clean
