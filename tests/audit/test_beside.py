"""A repair beside a writer of the very log that it repairs, and one that is killed: tried at each of its requests.

On the strict database in this process, so that what comes between two requests comes there each time. Whatever comes, all is
right in the end, or it is named and left to a person; nothing is wrong without a word.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, frozen

from engine.audit.repair import Repair, RepairRefused, Wrong, repair
from engine.domain.errors import EventError
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.store import DynamoStore
from tests.audit.conftest import Day
from tests.simulation.database import Fresh
from tests.simulation.world.place import Timeline
from tests.simulation.world.strict import TABLES, StrictPlace
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.world import World

AGAIN_MAX = 5


class StrictDay(Day):
    """The day, on the strict database."""

    @classmethod
    def lived(cls) -> StrictDay:
        """Return the day, to be copied."""
        time = ManualClock()
        return cls(World(empty().client, TABLES, clock=time.clock()), time)

    @classmethod
    def again(cls) -> StrictDay:
        """Return the day once more, on tables of its own: to copy it takes less than to live it."""
        lived, day = one_day(), cls.__new__(cls)
        day.time = ManualClock(lived.time.elapsed)
        day.world = World(empty().client, TABLES, clock=day.time.clock())
        day.sealed_events, day.new_events = lived.sealed_events, lived.new_events
        for table in (TABLES.ledger, TABLES.credits, TABLES.seals):
            for item in lived.world.client.scan(TableName=table)["Items"]:
                day.world.client.put_item(TableName=table, Item=item)
        return day

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield all rows of a table."""
        yield from map(decode_item, self.world.client.scan(TableName=table, ConsistentRead=True)["Items"])

    def state(self) -> tuple[dict[str, tuple[Decimal, Decimal]], dict[str, Decimal]]:
        """Return what each user's row says, and what each log comes to, but for the repair's own; what is 0 is left out."""
        nets: dict[str, Decimal] = {}
        for row in self.rows(TABLES.ledger):
            nets[row["reference"]] = nets.get(row["reference"], Decimal(0)) + row["amount"]
        users = {row["userId"]: (row["posted"], row["remaining"]) for row in self.rows(TABLES.credits)}
        return users, {name: net for name, net in nets.items() if net and not name.startswith("repair#")}

    def tell(self, event: dict[str, Any]) -> None:
        """Tell an event, which a damaged log may refuse: it comes back later."""
        try:
            self.world.deliver(event)
        except EventError:
            return


def empty() -> StrictPlace:
    """Return empty tables, whose reads are never stale."""
    place = StrictPlace(Timeline())
    place.database.staleness = Fresh()
    return place


@functools.cache
def one_day() -> StrictDay:
    """Return the day that is copied."""
    return StrictDay.lived()


def n(value: str) -> dict[str, Any]:
    """Return a number of DynamoDB."""
    return {"N": value}


@frozen
class Damage:
    """What is done to the day, to whose job, and what a person says is wrong."""

    do: Callable[[Day], None]
    job: str
    user: str = "u-1"
    wrong: Wrong | None = None

    def events(self) -> dict[str, dict[str, Any]]:
        """Return what may come: what the job was told already, what ends it, another charge, and another job of the user."""
        first = rendered("j-7", user="u-3", seconds=3) if self.job == "j-7" else rendered(self.job, user=self.user)
        return {
            "the charge again": first,
            "a refund": failed(self.job, user=self.user, at="13:00"),
            "another charge": rendered(self.job, user=self.user, seconds=20, at="13:00"),
            "another job": rendered("j-99", user=self.user),
        }


DAMAGE: Mapping[str, Damage] = {
    "sealed: an amount": Damage(lambda day: day.change("job#j-1", 1, "SET amount = :a", a=n("-8")), "j-1"),
    "sealed: amount and cost": Damage(
        lambda day: day.change("job#j-1", 1, "SET amount = :a, cost = :c", a=n("-8"), c=n("8")), "j-1"
    ),
    "sealed: an amount in the middle": Damage(lambda day: day.change("job#j-3", 2, "SET amount = :a", a=n("3")), "j-3"),
    "sealed: the only entry is gone": Damage(lambda day: day.remove("job#j-1", 1), "j-1"),
    "sealed: the last is gone": Damage(lambda day: day.remove("job#j-2", 2), "j-2"),
    "sealed: the first is gone": Damage(lambda day: day.remove("job#j-2", 1), "j-2"),
    "sealed: another user": Damage(lambda day: day.change("job#j-1", 1, "SET #user = :u", u={"S": "u-2"}), "j-1"),
    "new: an amount": Damage(lambda day: day.change("job#j-7", 1, "SET amount = :a", a=n("-3")), "j-7", "u-3"),
    "new: a cost": Damage(lambda day: day.change("job#j-7", 1, "SET cost = :a", a=n("3")), "j-7", "u-3"),
    "new: the first is gone": Damage(lambda day: day.remove("job#j-6", 1), "j-6", "u-3"),
    "row: posted": Damage(lambda day: day.change_row("u-1", "ADD posted :x", x=n("5")), "j-1", wrong=Wrong.POSTED),
    "row: posted and balance": Damage(
        lambda day: day.change_row("u-1", "ADD posted :x, remaining :x", x=n("5")), "j-1", wrong=Wrong.BALANCE
    ),
}

KNOWN = {("new: a cost", "the charge again")}
"""Where an event that comes before the repair believes the damaged entry, and nothing in the tables can tell it afterwards."""


class Killed(BaseException):
    """The process is gone."""


@define(eq=False)
class Between:
    """A client that lets something happen before or after one of its requests, and counts them."""

    client: Any
    act: Callable[[], None]
    place: int
    is_after: bool
    calls: int = 0

    def __getattr__(self, operation: str) -> Any:
        def send(**request: Any) -> Any:
            self.calls += 1
            is_here = self.calls == self.place
            if is_here and not self.is_after:
                self.act()
            answer = getattr(self.client, operation)(**request)
            if is_here and self.is_after:
                self.act()
            return answer

        return send


def repaired(day: StrictDay, damage: Damage) -> Repair:
    """Repair until there is nothing more to correct."""
    for _ in range(AGAIN_MAX):
        try:
            done = repair(day.ledger, damage.user, "tried", damage.wrong, day.world.deadline(600))
        except RepairRefused:
            continue
        if not done.corrections:
            return done
    raise AssertionError("a repair that comes to no end")


def verdict(day: StrictDay, damage: Damage, event: dict[str, Any] | None, right: Any) -> str:
    """Repair to the end, send everything again, and say what became of it: right, left to a person, wrong without a word."""
    repaired(day, damage)
    for each in [*day.sealed_events, *day.new_events, *([event] if event else [])]:
        day.tell(each)
    done = repaired(day, damage)
    if day.state() == right:
        return "right"
    is_named = done.left or not done.after.is_clean or day.verify().open
    return "left to a person" if is_named else "wrong without a word"


def right_after(event: dict[str, Any] | None) -> Any:
    """Return what a day comes to to which nothing was done."""
    day = StrictDay.again()
    if event:
        day.tell(event)
    return day.state()


def disturbed(damage: Damage, act: Callable[[StrictDay], None], place: int, *, is_after: bool) -> tuple[StrictDay, int]:
    """Repair a damaged day while something happens at one request; return the day, and how many requests there were."""
    day = StrictDay.again()
    damage.do(day)
    client = Between(day.world.client, lambda: act(day), place, is_after)
    with suppress(RepairRefused, Killed):
        repair(DynamoStore(client, TABLES, day.world.clock), damage.user, "tried", damage.wrong, day.world.deadline(600))
    return day, client.calls


def at_each_request(damage: Damage, act: Callable[[StrictDay], None], event: dict[str, Any] | None) -> Counter[str]:
    """Return how often it ended in which way, and how many requests the repair has."""
    right, found = right_after(event), Counter[str]()
    for place in itertools.count(1):
        for is_after in (False, True):
            day, calls = disturbed(damage, act, place, is_after=is_after)
            found[verdict(day, damage, event, right)] += 1
        if calls < place:  # there is no such request
            break
    assert place > 10, "a repair has more requests"
    return found


FEW = [
    ("new: an amount", "the charge again"),
    ("new: the first is gone", "the charge again"),
    ("sealed: an amount", "a refund"),
]
ALL = [(name, event) for name, damage in DAMAGE.items() for event in damage.events()]


@pytest.mark.parametrize(
    ("name", "event"), [*FEW, *(pytest.param(*each, marks=pytest.mark.proof) for each in ALL if each not in FEW)]
)
def test_an_event_of_the_log_between_any_two_requests_of_a_repair_makes_nothing_wrong_unseen(name: str, event: str) -> None:
    """The repair ends where somebody has written to the log, and the next one sees what was written."""
    damage = DAMAGE[name]
    told = damage.events()[event]
    found = at_each_request(damage, lambda day: day.tell(told), told)

    assert found["right"]
    assert ("wrong without a word" in found) is ((name, event) in KNOWN)


def killed(_day: StrictDay) -> None:
    """End the process."""
    raise Killed


@pytest.mark.parametrize(
    "name",
    ["new: the first is gone", *(pytest.param(name, marks=pytest.mark.proof) for name in DAMAGE if "first" not in name)],
)
def test_a_repair_that_is_killed_anywhere_is_done_by_the_next_one(name: str) -> None:
    """Between any two requests, and before and after each write: nothing is corrected twice."""
    assert {"right"} == at_each_request(DAMAGE[name], killed, None).keys()
