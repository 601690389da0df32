"""An archive that is not as it was written proves nothing: a repair by plan refuses it, and goes on once it is right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from engine.domain.errors import LedgerRefused
from engine.ledger.archive.acknowledged import Acknowledged, keep
from engine.ledger.archive.bucket import FolderBucket
from engine.ledger.archive.chain import EMPTY, ArchiveObject, Head, append, follow
from engine.ledger.archive.records import Records
from engine.ledger.dynamodb.stream import Record, Told, record_of
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


def a_line(place: Place, line: str = '{"told": "insert"}') -> None:
    """The chain is sound, and one of its lines is no record: a posting may have stood there."""
    append(place.archived.bucket, place.archived.heads, [line], place.time.now(), place.deadline)


@pytest.mark.parametrize("harm", [a_branch, a_stray, a_gap, a_line])
def test_no_repair_is_planned_by_an_archive_that_is_not_whole(desk: Place, harm: Callable[[Place], None]) -> None:
    """The gift would be put back as if it had been posted, and a second repair would write again."""
    for number in (1, 2, 3):
        desk.deliver(rendered(f"j-{number}"))
    desk.change("job#j-1", 1, amount=Decimal("-0.1"))
    harm(desk)

    with pytest.raises(LedgerRefused, match="archive"):
        desk.plan("u-1")


def test_a_line_that_is_no_record_is_named_with_what_to_do(desk: Place) -> None:
    """The object, and the line as ``zcat`` shows it: the header is the first. Nothing accuses the charge that is not there."""
    desk.deliver(rendered("j-1"))
    a_line(desk)
    key = desk.archived.heads.now.key  # type: ignore[attr-defined]  it is one in memory

    with pytest.raises(LedgerRefused) as refused:
        desk.plan("u-1")

    assert re.search(f"{re.escape(key)}, line 2: is no record of the archive: .* the runbook says", str(refused.value))
    assert any(f"{key}, line 2: is no record" in each.problem for each in desk.found())


ODD: dict[str, Any] = {
    "at is no text": {"at": 3},
    "digest is no text": {"digest": None},
    "reference is no text": {"reference": ["job#j-1"]},
    "sequence is no number": {"sequence": "NaN"},
    "told is unknown": {"told": "sent"},
    "entry is a text": {"entry": "job#j-1"},
    "entry is of another place": {"reference": "job#j-9"},
    "explanation is none": {"told": "modify", "entry": None, "explanation": {"X": "long"}},
}


@pytest.mark.parametrize("odd", ODD)
def test_a_line_that_only_looks_like_a_record_is_none(desk: Place, odd: str) -> None:
    """It stops no audit, which names it, and no repair rests on it."""
    desk.deliver(rendered("j-1"))
    line = json.loads(next(objects(desk)).lines[0])
    a_line(desk, json.dumps({**line, **ODD[odd]}))

    assert ["archive"] == [each.kind for each in desk.found()]
    with pytest.raises(LedgerRefused, match=", line 2: "):
        desk.plan("u-1")


@pytest.mark.parametrize("line", ["", "[" * 100_000, '"x"', "NaN", "{}"], ids=["empty", "deep", "text", "nan", "none"])
def test_a_line_of_anything_stops_no_audit(desk: Place, line: str) -> None:
    """It is one finding."""
    desk.deliver(rendered("j-1"))
    a_line(desk, line)

    assert ["archive"] == [each.kind for each in desk.found()]
    with pytest.raises(LedgerRefused, match=", line 2: "):
        desk.plan("u-1")


def test_an_object_that_changes_while_a_repair_is_planned_is_refused(desk: Place) -> None:
    """It is read twice: what stood in it the first time would be missing."""
    desk.deliver(rendered("j-1"))
    key = desk.archived.heads.now.key  # type: ignore[attr-defined]  the same
    records = Records(desk.archived.bucket, desk.archived.heads.now, Record.read, desk.deadline)  # type: ignore[attr-defined]
    assert [1] == [len(list(found)) for _, found in records.objects()]
    desk.archived.bucket.objects[key] = b"junk"  # type: ignore[attr-defined]

    with pytest.raises(LedgerRefused, match="has changed while it was read"):
        list(records.of(key))


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


def test_a_person_says_that_the_branch_which_the_head_names_is_the_right_one(desk: Place) -> None:
    """The other one stays in the bucket, which nobody can change: what only it tells counts for nothing from then on."""
    desk.deliver(rendered("j-1"), rendered("j-2"), rendered("j-3"))
    desk.change("job#j-1", 1, amount=Decimal("-0.1"))
    right = list(objects(desk))[-1].head
    passed_over(desk, 2)
    desk.archived.heads.now = right  # type: ignore[attr-defined]  it is one in memory
    problems = [each.problem for each in desk.found() if each.kind == "archive"]
    assert [True] == [each.endswith("there are two branches") for each in problems]
    with pytest.raises(LedgerRefused, match="two branches"):
        desk.plan("u-1")

    for problem in problems:
        keep(
            desk.archived.bucket, Acknowledged(problem, "ann", "2026-01-06T08:00:00Z", "the head was put right"), desk.deadline
        )
    desk.repair("u-1")

    assert {"N": "-0.8"} == desk.item("job#j-1", 1)["amount"]
    assert "grant#gift" not in {reference for reference, _ in desk.items()}
