"""Plans of repairs on the tables of a strict database: a log in one transaction, once, beside writers, over what was seen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.audit.logs import faults
from engine.audit.repairer import Wrong
from engine.audit.repairs.applying import RepairRun, State
from engine.audit.repairs.history import readable
from engine.domain.money import ZERO
from engine.ledger.audits import PutBack
from engine.ledger.dynamodb.audits import AuditedItem
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.moved import Moved
from engine.reconcile.plan_file import PlanFile, PlanFileError
from tests.repairs.conftest import Place
from tests.support.events import failed, rendered
from tests.support.world import DisturbedClient

CHARGED = Decimal("-0.8")


@pytest.fixture
def place(desk: Place) -> Place:
    """Return a ledger on the strict database; the command's tests have one on the local AWS."""
    return desk


def right(*posted: str) -> tuple[Decimal, Decimal]:
    """Return the balance and ``posted`` of a user to whom so much was posted."""
    total = sum(map(Decimal, posted), start=ZERO)
    return 1000 + total, total


def test_what_was_changed_is_put_back_and_nothing_moves(place: Place) -> None:
    """The entry is what it was to the byte, and no other is written."""
    place.deliver(rendered("j-1"))
    before = place.items()
    place.change("job#j-1", 1, amount=Decimal("-0.1"), cost=Decimal("0.1"), rule="another")

    planned = place.repair("u-1")

    assert before == place.items()
    assert right("-0.8") == place.balance("u-1")
    assert (
        "entry 1 was changed: `amount` is -0.1; -0.8 was posted, `cost` is 0.1; 0.8 was posted,"
        " `rule` is another; debit-rendered was posted",
    ) == planned.steps[0].because
    assert () == place.plan("u-1").steps


def test_what_is_gone_is_put_back(place: Place) -> None:
    """All of a log, and with it what it knew."""
    place.deliver(rendered("j-1"), failed("j-1"), rendered("j-2"))
    before = place.items()
    place.remove("job#j-1", 1, 2)

    place.repair("u-1")

    assert before == place.items()


def test_what_events_did_on_a_damaged_log_is_put_right_by_desired_less_posted(place: Place) -> None:
    """The charge was gone when the event came again: it was charged twice. Its first entry is put back over the second."""
    place.deliver(rendered("j-1"))
    place.remove("job#j-1", 1)
    place.deliver(rendered("j-1"))
    assert right("-0.8", "-0.8") == place.balance("u-1")

    planned = place.repair("u-1")
    place.deliver(*place.sent)

    assert right("-0.8") == place.balance("u-1")
    assert [(2, ZERO, "u-1", Decimal("0.8"))] == [
        (each.entry.sequence, each.entry.amount, each.entry.user, each.moves.amount) for each in planned.steps[0].corrections
    ]
    assert [] == faults([entry.line for entry in place.store.log("job#j-1", place.deadline)])


def test_a_forged_entry_is_undone_for_its_user_and_the_log_goes_back_to_its_owner(place: Place) -> None:
    """It stays where it is, as everything that was ever there; the balance had not moved."""
    place.deliver(rendered("j-1"))
    place.insert("job#j-1", 2, ("job#j-1", 1), userId="u-3", amount=Decimal(500), cost=Decimal(-500), type="refund")

    planned = place.plan("u-3")
    place.apply(planned)
    place.deliver(*place.sent, failed("j-1"))

    log = place.store.log("job#j-1", place.deadline)
    assert [("u-1", CHARGED), ("u-3", 500), ("u-3", -500), ("u-1", 0), ("u-1", Decimal("0.8"))] == [
        (entry.line.user, entry.line.amount) for entry in log
    ]
    assert right() == place.balance("u-1")
    assert right() == place.balance("u-3")


def test_a_plan_applied_twice_is_applied_once(place: Place) -> None:
    """Also where it is begun again after the archive has seen it."""
    place.deliver(rendered("j-1"), rendered("j-2"))
    place.change("job#j-1", 1, amount=Decimal("-0.1"))
    place.remove("job#j-2", 1)
    place.deliver(rendered("j-2"))
    file = place.written(place.plan("u-1"))

    first = place.apply(file)
    after = place.items()
    second = place.apply(file)

    assert {"job#j-1": State.DONE, "job#j-2": State.DONE} == first.states
    assert {"job#j-1": State.DONE_BEFORE, "job#j-2": State.DONE_BEFORE} == second.states
    assert after == place.items()


def test_a_log_that_somebody_has_written_to_since_is_left_alone(place: Place) -> None:
    """Another plan takes it as it is by then."""
    place.deliver(rendered("j-1"), rendered("j-2"))
    place.change("job#j-1", 1, amount=Decimal("-0.1"))
    place.change("job#j-2", 1, amount=Decimal("-0.1"))
    file = place.written(place.plan("u-1"))
    place.deliver(failed("j-1"))

    done = place.apply(file)

    assert {"job#j-1": State.CHANGED, "job#j-2": State.DONE} == done.states
    assert not done.is_whole
    place.repair("u-1")
    assert right("-0.8") == place.balance("u-1")


def test_an_event_between_the_look_and_the_transaction_is_seen_by_its_conditions(place: Place) -> None:
    """The place of the correction is taken, and nothing of that log is written."""
    place.deliver(rendered("j-1"))
    place.remove("job#j-1", 1)
    place.deliver(rendered("j-1"))
    file = place.written(place.plan("u-1"))

    def late(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation == "transact_write_items" and client.calls.count(operation) == 1:
            place.world.deliver(failed("j-1"))
        return send(**request)

    client = DisturbedClient(place.world.client, late)
    before = place.item("job#j-1", 1)
    done = place.apply(file, _on(place, client))

    assert {"job#j-1": State.CHANGED} == done.states
    assert before == place.item("job#j-1", 1)
    place.repair("u-1")
    assert right() == place.balance("u-1")


def test_a_second_damage_between_the_look_and_the_transaction_is_not_written_over(place: Place) -> None:
    """The condition names every attribute as it was found."""
    place.deliver(rendered("j-1"))
    place.change("job#j-1", 1, amount=Decimal("-0.1"))
    file = place.written(place.plan("u-1"))

    def late(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation == "transact_write_items":
            place.change("job#j-1", 1, amount=Decimal("-0.2"))
        return send(**request)

    done = place.apply(file, _on(place, DisturbedClient(place.world.client, late)))

    assert {"job#j-1": State.CHANGED} == done.states
    assert {"N": "-0.2"} == place.item("job#j-1", 1)["amount"]


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_dies_is_finished_by_the_next(place: Place, calls: int, when: str) -> None:
    """Before a transaction or behind it, whose answer is then lost."""
    place.deliver(rendered("j-1"), rendered("j-2"))
    place.remove("job#j-1", 1)
    place.remove("job#j-2", 1)
    place.deliver(rendered("j-1"), rendered("j-2"))
    file = place.written(place.plan("u-1"))

    def die(operation: str, request: dict[str, Any], send: Any) -> Any:
        is_it = operation == "transact_write_items" and client.calls.count(operation) == calls
        if is_it and when == "before":
            raise KeyboardInterrupt
        answer = send(**request)
        if is_it:
            raise KeyboardInterrupt
        return answer

    client = DisturbedClient(place.world.client, die)
    with pytest.raises(KeyboardInterrupt):
        place.apply(file, _on(place, client))
    done = place.apply(file)

    assert done.is_whole
    assert calls - (when == "before") == done.count(State.DONE_BEFORE)
    assert right("-0.8", "-0.8") == place.balance("u-1")


def test_an_explanation_that_came_meanwhile_stays(place: Place) -> None:
    """It is the one attribute that is added to an entry."""
    place.deliver(rendered("j-1"))
    place.change("job#j-1", 1, amount=Decimal("-0.1"), explanation={"text": "as it is"})

    place.repair("u-1")

    assert {"M": {"text": {"S": "as it is"}}} == place.item("job#j-1", 1)["explanation"]
    assert {"N": "-0.8"} == place.item("job#j-1", 1)["amount"]


def test_more_than_a_transaction_holds_is_put_back_in_several(place: Place) -> None:
    """A log of 150 entries is gone; what is added comes with the last of them."""
    place.deliver(rendered("j-1"))
    item = place.item("job#j-1", 1)
    lost = [AuditedItem({**item, "sequence": {"N": str(number)}}) for number in range(2, 152)]
    last = readable(AuditedItem({**item, "sequence": {"N": "152"}}))
    assert last is not None

    assert place.store.put_back([PutBack(each, None) for each in lost], [(last, Moved(CHARGED))], place.deadline)

    assert 152 == len(place.items())
    assert right("-0.8", "-0.8") == place.balance("u-1")


def test_a_plan_that_was_changed_is_not_applied(place: Place) -> None:
    """What was looked at is applied, and nothing else."""
    place.deliver(rendered("j-1"))
    place.change("job#j-1", 1, amount=Decimal("-0.1"))
    file = place.written(place.plan("u-1"))
    file.path.write_text(file.path.read_text().replace("ticket", "thicket"))

    with pytest.raises(PlanFileError, match="was changed since it was written"):
        PlanFile.open(file.path, "repair")


def _on(place: Place, client: Any) -> Any:
    """Return the tables through another client."""
    return DynamoStore(client, place.world.tables, place.world.clock).audits()


def test_checking_writes_nothing(place: Place) -> None:
    """It says of each log how it stands."""
    place.deliver(rendered("j-1"))
    place.change("job#j-1", 1, amount=Decimal("-0.1"))
    file, before = place.written(place.plan("u-1")), place.items()

    checked = RepairRun(file, place.store, "ben", place.deadline).check()

    assert {"job#j-1": State.DUE} == checked.states
    assert before == place.items()


def test_an_event_between_the_looks_at_a_row_is_not_written_over(place: Place) -> None:
    """``posted`` is set over what the plan saw, and over nothing else: the event's debit stays in it."""
    place.deliver(rendered("j-1"))
    place.move_row("u-1", posted="5")
    file = place.written(place.plan("u-1", wrong=Wrong.POSTED))

    def late(operation: str, request: dict[str, Any], send: Any) -> Any:
        answer = send(**request)
        if operation == "get_item" and client.calls.count(operation) == 1:
            place.world.deliver(rendered("j-2"))
        return answer

    client = DisturbedClient(place.world.client, late)
    done = place.apply(file, _on(place, client))

    assert {"repair#u-1": State.CHANGED} == done.states
    assert right("-0.8", "-0.8", "5")[1] == place.balance("u-1")[1]
    place.repair("u-1", wrong=Wrong.POSTED)
    assert Decimal("-1.6") == place.balance("u-1")[1]


def test_an_event_that_comes_while_an_entry_is_put_back_is_not_passed_over(place: Place) -> None:
    """Nothing is added, so that no place is taken: the run says that the log has changed, and the next plan ends it."""
    place.deliver(rendered("j-1"))
    place.change("job#j-1", 1, amount=Decimal("-0.1"), cost=Decimal("0.1"))
    file = place.written(place.plan("u-1"))

    def late(operation: str, request: dict[str, Any], send: Any) -> Any:
        answer = send(**request) if operation == "query" else None
        if operation == "query" and client.calls.count(operation) == 1:
            place.world.deliver(failed("j-1"))
        return answer or send(**request)

    client = DisturbedClient(place.world.client, late)
    done = place.apply(file, _on(place, client))

    assert {"job#j-1": State.CHANGED} == done.states
    place.repair("u-1")
    assert right() == place.balance("u-1")


@pytest.mark.parametrize("was_removed", [False, True])
def test_a_refund_on_an_entry_that_was_damaged_for_a_while_is_no_forgery(place: Place, was_removed: bool) -> None:  # noqa: FBT001
    """Somebody has made the charge small, or taken it away, and put it back as it was: only the archive still tells of it."""
    place.deliver(rendered("j-1"))
    whole = place.item("job#j-1", 1)
    if was_removed:
        place.remove("job#j-1", 1)
    else:
        place.change("job#j-1", 1, amount=Decimal("-0.1"), cost=Decimal("0.1"))
    place.deliver(failed("j-1"))
    place.write(whole)
    assert (right("-0.8") if was_removed else right("-0.8", "0.1")) == place.balance("u-1")

    place.repair("u-1")

    assert right() == place.balance("u-1")
    place.deliver(*place.sent)
    assert right() == place.balance("u-1")
