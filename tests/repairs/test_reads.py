"""What planning a repair reads of the archive: all of it once, and once more what is about the user."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from attrs import Factory, define

from engine.audit.repairs.gather import Gathered
from engine.ledger.archive.bucket import MemoryBucket
from engine.ledger.archive.chain import PREFIX
from engine.ledger.archive.records import Records
from engine.ledger.dynamodb.stream import Record
from tests.repairs.conftest import Place
from tests.support.events import rendered

USERS, JOBS = 10, 40


@define
class Counting(MemoryBucket):
    """Counts how often each object of the chain is read."""

    gets: Counter[str] = Factory(Counter)

    def get(self, key: str, *rest: Any) -> bytes | None:
        """Return an object, and count."""
        self.gets[key] += key.startswith(PREFIX)
        return super().get(key, *rest)

    def often(self) -> list[int]:
        """Return how many objects were read once, how many twice, and so on."""
        times = Counter(count for count in self.gets.values() if count)
        return [times[count] for count in range(1, max(times) + 1)]


@pytest.fixture
def bucket(desk: Place) -> Counting:
    """Return the archive of forty charges of ten users, each in an object of its own."""
    for user in range(USERS):
        desk.world.user(f"u-{user}")
    desk.deliver(*(rendered(f"j-{job}", user=f"u-{job % USERS}") for job in range(JOBS)))
    assert isinstance(desk.archived.bucket, MemoryBucket)
    desk.archived.bucket = counting = Counting(desk.archived.bucket.objects)
    return counting


def test_a_plan_reads_every_object_once_and_those_of_its_user_once_more(desk: Place, bucket: Counting) -> None:
    """Four charges of the user, and the removal of one: five objects of forty-one."""
    desk.remove("job#j-1", 1)
    bucket.gets.clear()
    planned = desk.plan("u-1")

    assert [JOBS - 4, 5] == bucket.often()
    assert ["job#j-1"] == [step.reference for step in planned.steps]


def test_a_plan_without_anything_to_do_reads_no_more(desk: Place, bucket: Counting) -> None:
    """Neither does one of a user of whom the archive has nothing."""
    assert () == desk.plan("u-1").steps
    assert [JOBS - 4, 4] == bucket.often()
    bucket.gets.clear()
    assert () == desk.plan("u-99").steps
    assert [JOBS] == bucket.often()


def test_whom_only_the_ledger_names_is_looked_up_in_the_users_own_objects(desk: Place, bucket: Counting) -> None:
    """Somebody gave a charge away: the archive does not say to whom. The four objects of that user are read once more, too."""
    desk.change("job#j-1", 1, userId="u-2")
    bucket.gets.clear()
    planned = desk.plan("u-1")

    assert [JOBS - 8, 9] == bucket.often()
    assert ["job#j-1"] == [step.reference for step in planned.steps]


def test_what_was_gathered_is_what_stands_in_the_archive(desk: Place, bucket: Counting) -> None:
    """The books of all whom the user's logs name, and of a place that two entries came into the first one, whosever it is."""
    desk.remove("job#j-12", 1)
    desk.insert("job#j-12", 1, like=("job#j-11", 1), amount=Decimal(-7))
    desk.insert("job#j-11", 2, like=("job#j-11", 1), userId="u-3", amount=Decimal(-5))
    records = Records(bucket, desk.archived.heads.now, Record.read, desk.deadline)
    found = Gathered(desk.store, records, "u-1", frozenset(), desk.believed.believes, desk.deadline)

    charges = {user: {(f"job#j-{job}", 1): Decimal("-0.8") for job in range(JOBS) if job % USERS == user} for user in range(4)}
    charges[3]["job#j-11", 2] = Decimal(-5)
    assert ["job#j-1", "job#j-11", "job#j-12", "job#j-21", "job#j-31"] == [each.reference for each in found.histories]
    assert {f"u-{user}": charges[user] for user in (1, 2, 3)} == {
        user: {key: moves.amount for key, moves in each.entries} for user, each in found.books.items()
    }
    assert {"u-1": Decimal("-3.2"), "u-2": Decimal("-3.2"), "u-3": Decimal("-8.2")} == {
        user: each.archived.amount for user, each in found.books.items()
    }
