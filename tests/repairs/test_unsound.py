"""An archive that is not as it was written proves nothing: a repair by plan refuses it, and goes on once it is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from engine.domain.errors import LedgerRefused
from engine.ledger.archive.bucket import FolderBucket
from engine.ledger.archive.chain import EMPTY, ArchiveObject, Head, follow
from engine.ledger.dynamodb.stream import Told, record_of
from tests.repairs.conftest import Place
from tests.support.events import rendered

CHARGED = Decimal("999.2"), Decimal("-0.8")
"""What a user has to whom eight seconds were charged, and what was posted then."""


def objects(place: Place) -> Iterator[ArchiveObject]:
    """Yield the objects of the chain as it is."""
    found = follow(place.archived.bucket, EMPTY, place.archived.heads.head(place.deadline), place.deadline)
    return (each for each in found if isinstance(each, ArchiveObject))


def gift(place: Place, after: Head) -> Head:
    """Put an object behind a head which says that the entry of j-1 was posted once more, as a gift; return its head."""
    item = {**place.item("job#j-1", 1), "reference": {"S": "grant#gift"}, "amount": {"N": "500"}, "cost": {"N": "-500"}}
    line = record_of(Told.INSERT, place.time.now(), item).text()
    forged = ArchiveObject.after(after, [line], place.time.now())
    place.archived.bucket.put(forged.key, forged.body(), place.deadline)
    return forged.head


def passed_over(place: Place, many: int) -> None:
    """Forge an object and the head, so that the last objects are passed over; then goes on what archives."""
    heads = [EMPTY, *(each.head for each in objects(place))]
    place.archived.heads.now = gift(place, heads[-1 - many])  # type: ignore[attr-defined]  it is one in memory
    place.deliver(rendered("j-9", user="u-3"))


def a_branch(place: Place) -> None:
    """Two of three objects are passed over."""
    passed_over(place, 2)


def a_stray(place: Place) -> None:
    """The last object alone is passed over: as if its writer had died, but that what it tells never comes again."""
    passed_over(place, 1)


def a_gap(place: Place) -> None:
    """An object is gone."""
    bucket = place.archived.bucket
    del bucket.objects[next(objects(place)).key]  # type: ignore[attr-defined]  it is one in memory


@pytest.mark.parametrize("harm", [a_branch, a_stray, a_gap])
def test_no_repair_is_planned_by_an_archive_that_is_not_whole(desk: Place, harm: Callable[[Place], None]) -> None:
    """The gift would be put back as if it had been posted, and a second repair would write again."""
    for number in (1, 2, 3):
        desk.deliver(rendered(f"j-{number}"))
    desk.change("job#j-1", 1, amount=Decimal("-0.1"))
    harm(desk)

    with pytest.raises(LedgerRefused, match="archive"):
        desk.plan("u-1")


def test_what_a_dead_writer_left_behind_forbids_no_repair(desk: Place) -> None:
    """Its lines came again in the object that counts, as lines of a batch that failed do."""
    desk.deliver(rendered("j-1"), rendered("j-2"))
    first, second = objects(desk)
    stray = ArchiveObject.after(first.head, [*second.lines, *second.lines], desk.time.now())
    desk.archived.bucket.put(stray.key, stray.body(), desk.deadline)
    desk.deliver(rendered("j-3", user="u-2"))
    desk.change("job#j-2", 1, amount=Decimal("-0.1"))

    desk.repair("u-1")

    assert (CHARGED[0] - Decimal("0.8"), CHARGED[1] * 2) == desk.balance("u-1")
    assert [] == desk.audit()


def test_a_person_repairs_by_the_branch_that_is_right(desk: Place) -> None:
    """Its objects are copied into a folder, and the head is put right: what goes on beside it is not there then."""
    desk.deliver(rendered("j-1"), rendered("j-2"))
    desk.change("job#j-1", 1, amount=Decimal("-0.1"))
    right = list(objects(desk))
    passed_over(desk, 2)

    folder = FolderBucket(desk.folder)
    for each in right:
        folder.put(each.key, each.body(), desk.deadline)
    desk.archived.bucket, desk.archived.heads.now = folder, right[-1].head  # type: ignore[attr-defined]
    desk.repair("u-1")

    assert {"N": "-0.8"} == desk.item("job#j-1", 1)["amount"]
