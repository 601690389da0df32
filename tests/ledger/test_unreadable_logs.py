"""An entry that a hand has made into none: nothing is posted to its log, and who asks is told which log, which entry and why.

Whoever can write the table can put anything into it. Others' logs go on, whatever the door.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from engine.anomalies.findings import resolve
from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.errors import EventError, LedgerError, LedgerRefused
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from engine.reconcile.corrections import Adjuster
from tests.audit.test_odd_items import ONE_IN, Odd, all_odd
from tests.ledger.test_due_holds import Desk
from tests.simulation.database import Client, Database
from tests.support.events import failed, rendered
from tests.support.odd_items import Item
from tests.support.world import World
from tools.local_aws import create_tables

UNREADABLE: Mapping[str, tuple[tuple[str, ...], Any, str]] = {
    "facts that are a text": (("facts",), {"S": "x"}, "AttributeError: 'str' object has no attribute 'get'"),
    "a charge that is a number": (("facts", "charge"), {"N": "7"}, "TypeError: 'int' object is not subscriptable"),
    "an amount that is endless": (
        ("facts", "charge", "amount"),
        {"S": "Infinity"},
        "its amount is Infinity",
    ),
    "an instant that is none": (("facts", "charge", "at"), {"S": "soon"}, "Invalid isoformat string: 'soon'"),
    "a policy that is a list": (("facts", "charge", "policy"), {"L": []}, "a list with 0 elements is no text"),
    "what was said as a number": (("facts", "charge", "content", "detail.model"), {"N": "7"}, "7 is no text"),
    "nobody's": (("userId",), None, "KeyError: 'userId'"),
}
"""What stands where in the entry of a charge, and what is said of that."""


def changed(item: Item, path: tuple[str, ...], value: Any) -> Item:
    """Return an item with another value at a path; None takes it away."""
    name, *rest = path
    if rest:
        return {**item, name: {"M": changed(item[name]["M"], tuple(rest), value)}}
    return {**{each: kept for each, kept in item.items() if each != name}, **({name: value} if value is not None else {})}


def damaged(path: tuple[str, ...], value: Any) -> World:
    """Return a world in which the charge of j-1 is damaged, and that of j-2 is not."""
    client: Any = Client(Database())
    world = World(client, create_tables(client, Tables())).user()
    world.deliver(rendered("j-1", seconds=700), rendered("j-2"))
    (entry,) = [item for item in client.scan(TableName=world.tables.ledger)["Items"] if item["reference"] == {"S": "job#j-1"}]
    client.put_item(TableName=world.tables.ledger, Item=changed(entry, path, value))
    return world


def balance(world: World) -> tuple[object, object]:
    """Return what the user has, and what was posted."""
    row = world.user_row()
    assert row is not None
    return row["remaining"], row["posted"]


@pytest.mark.parametrize(("path", "value", "why"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_event_is_told_which_entry_stands_in_its_way(path: tuple[str, ...], value: Any, why: str) -> None:
    """By itself, and in a batch with others, which are posted."""
    world = damaged(path, value)
    before = balance(world)
    with pytest.raises(LedgerRefused) as told:
        world.deliver(failed("j-1"))
    body = [{"messageId": job, "body": json.dumps(failed(job))} for job in ("j-1", "j-2")]

    assert world.reconciler().batch(body, world.deadline()) == ["j-1"]
    assert world.amounts("j-2")[-1] == ("refund", Decimal("0.8"))
    assert balance(world) == (before[0] + Decimal("0.8"), before[1] + Decimal("0.8"))  # type: ignore[operator]
    text = str(told.value)
    assert "rule refund-failed, job j-1, user u-1: job#j-1, entry 1: is no entry of this system (" in text
    assert why in text
    assert "); nothing is posted to this log as long as it stands there" in text
    assert told.value.is_of_an_item


def adjust(world: World) -> object:
    """Let a person give something back of j-1."""
    request = AdjustmentRequest(id="a-1", user="u-1", amount=Decimal("0.1"), reason="ticket 1", job="j-1")
    who = Identity("arn:aws:iam::1:user/ann", "ann", "ann")
    return Adjuster.on(world.policy, store(world)).adjust(request, who, world.deadline())


def store(world: World) -> DynamoStore:
    """Return the ledger at work."""
    return DynamoStore(world.client, world.tables, world.clock)


DOORS: Mapping[str, Callable[[World], object]] = {
    "adjust": adjust,
    "resolve": lambda world: resolve(store(world), "job#j-1", None, "looked at", world.deadline()),
    "entries": lambda world: store(world).entries_of("job#j-1", world.deadline()),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("path", "value", "why"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_person_is_told_so_too(path: tuple[str, ...], value: Any, why: str, door: str) -> None:
    """Whatever a person asks for that rests on the log."""
    world = damaged(path, value)
    before = balance(world)
    with pytest.raises(LedgerRefused) as told:
        DOORS[door](world)

    assert "job#j-1, entry 1: is no entry of this system (" in str(told.value)
    assert why in str(told.value)
    assert balance(world) == before


def test_a_scan_goes_on_with_all_others() -> None:
    """The row of the damaged log is an error of each run; nothing moves for it."""
    world = damaged(("facts",), {"S": "x"})
    for job in ("j-1", "j-2", "j-3"):
        world.job(job, status="failed")
    report = world.scan()

    assert report.errors == 1
    assert (world.amounts("j-2")[-1], world.amounts("j-3")[-1]) == (("refund", Decimal("0.8")), ("void", Decimal(0)))
    assert world.amounts("j-1") == [("debit", Decimal(-70))]


def test_one_hold_that_cannot_be_read_keeps_no_other_from_expiring() -> None:
    """It is told, counted as overdue, and tried again."""
    client: Any = Client(Database())
    desk = Desk(client, create_tables(client, Tables()))
    desk.user("u-1")
    jobs = [f"j-{number}" for number in range(40)]
    for job in jobs:
        desk.hold(job)
    (entry,) = [item for item in client.scan(TableName=desk.tables.ledger)["Items"] if item["reference"] == {"S": "job#j-7"}]
    client.put_item(TableName=desk.tables.ledger, Item={**entry, "facts": {"S": "x"}})
    first, second = desk.look("14:30"), desk.look("14:35")

    assert (first["due"], first["expired"], first["errors"], first["finished"]) == (40, 39, 1, True)
    assert (second["due"], second["expired"], second["errors"]) == (1, 0, 1)
    assert desk.metrics()["HoldsOverdue"] == 1
    assert all("job#j-7, entry 1: is no entry of this system" in problem for problem in desk.problems())
    client.put_item(TableName=desk.tables.ledger, Item=entry)
    assert desk.look("14:40")["expired"] == 1
    assert desk.balance() == (Decimal(100), Decimal(0))


@pytest.mark.parametrize("reference", ["job#", "grant#g-1", "adjust#a-1", "repair#u-1", "x"])
def test_a_hold_of_no_job_keeps_no_other_from_expiring(reference: str) -> None:
    """Only a hand can put one there. It is told as long as it stands there, and releases nothing, in no other log either."""
    client: Any = Client(Database())
    desk = Desk(client, create_tables(client, Tables()))
    desk.user("u-1")
    for job in ("j-1", "j-2", "j-3"):
        desk.hold(job)
    (entry,) = [item for item in client.scan(TableName=desk.tables.ledger)["Items"] if item["reference"] == {"S": "job#j-2"}]
    client.put_item(TableName=desk.tables.ledger, Item={**entry, "reference": {"S": reference}})
    first, second = desk.look("14:30"), desk.look("14:35")

    assert (first["due"], first["expired"], first["errors"], first["finished"]) == (4, 3, 1, True)
    assert (second["due"], second["expired"], second["errors"], second["finished"]) == (1, 0, 1, True)
    assert set(desk.problems()) == {f"{reference}, entry 1: holds credits for no job; it has to be removed"}
    assert {item["reference"]["S"] for item in client.scan(TableName=desk.tables.ledger)["Items"]} == {
        "job#j-1",
        "job#j-2",
        "job#j-3",
        reference,
    }
    assert desk.balance() == (Decimal(100), Decimal(0))


def refusal(world: World, event: dict[str, Any]) -> str:
    """Return why an event is not posted, empty where it is. Raises what is no error of this system."""
    try:
        world.deliver(event)
    except (EventError, LedgerError) as error:
        return str(error)
    return ""


def test_whatever_stands_in_a_log_its_event_is_settled_or_refused_by_name() -> None:
    """One in forty-one of all odd items in honest logs; never an error of Python's own."""
    odd, refused = Odd(), 0
    rows = odd.client.scan(TableName=odd.world.tables.credits)["Items"]
    entries = odd.items()
    for entry, name, item in all_odd(odd)[::ONE_IN]:
        job = entry["reference"]["S"].partition("job#")[2]
        if not job or not odd.put(item):
            continue
        for event in (rendered(job, seconds=700 if job == "j-1" else 10), failed(job)):
            if told := refusal(odd.world, event):
                refused += 1
                assert f"job {job}" in told or "field detail." in told, name
        for each in odd.items():
            odd.remove(each)
        for each in entries:
            odd.put(each)
        for row in rows:
            odd.client.put_item(TableName=odd.world.tables.credits, Item=row)

    assert refused > 5
