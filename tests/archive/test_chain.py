"""The chain of the archive: appended by several, followed in order; each place is found where it is not as it was written."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define, frozen

from engine.domain.errors import LedgerRefused
from engine.ledger.archive.bucket import Bucket, FolderBucket, MemoryBucket
from engine.ledger.archive.chain import APPENDS_MAX, EMPTY, ArchiveObject, Break, Head, append, follow
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.store import Tables
from engine.runtime.clock import Clock

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
DEADLINE = Clock().deadline(3600)


@define
class Heads:
    """A head in memory; ``rivals`` move it first, each once, when somebody else wants to."""

    now: Head = EMPTY
    rivals: list[Head] = Factory(list)

    def head(self, _deadline: Any) -> Head:
        """Return the head."""
        return self.now

    def move(self, seen: Head, to: Head, _deadline: Any) -> bool:
        """Move it, unless a rival was faster."""
        if self.rivals:
            self.now = self.rivals.pop(0)
        if self.now != seen:
            return False
        self.now = to
        return True


@frozen
class Archive:
    """A chain of some objects, and its head."""

    bucket: MemoryBucket = Factory(MemoryBucket)
    heads: Heads = Factory(Heads)

    def add(self, *lines: str, at: datetime = NOON) -> Head:
        """Append lines."""
        return append(self.bucket, self.heads, lines, at, DEADLINE)

    def stray(self, *lines: str, after: Head, at: datetime = NOON) -> ArchiveObject:
        """Put an object that no head will name: its writer died."""
        stray = ArchiveObject.after(after, lines, at)
        self.bucket.put(stray.key, stray.body(), DEADLINE)
        return stray

    def read(self, after: Head = EMPTY, until: Head | None = None) -> list[str]:
        """Return the lines that follow, and what is broken, told with a star."""
        return list(told(follow(self.bucket, after, until or self.heads.now, DEADLINE)))


def told(found: Iterator[ArchiveObject | Break]) -> Iterator[str]:
    """Yield lines as they are; of a break its problem."""
    for each in found:
        yield from (f"* {each.problem}",) if isinstance(each, Break) else each.lines


def five() -> tuple[Archive, list[Head]]:
    """Return a chain of five objects over three days, and the head after each."""
    archive = Archive()
    days = (0, 0, 1, 1, 2)
    return archive, [archive.add(f"line {number}", at=NOON + timedelta(days=day)) for number, day in enumerate(days, start=1)]


def test_an_object_says_what_is_in_it() -> None:
    """Its key has day, number and both digests; gzip reads its bytes, which are always the same."""
    first = ArchiveObject.after(EMPTY, ['{"a": 1}', '{"b": 2}'], NOON)
    text = '{"archive":1,"number":1,"previous":"","day":"2026-11-28","lines":2}\n{"a": 1}\n{"b": 2}'

    assert text == gzip.decompress(first.body()).decode()
    assert first.digest == "6765e503a0e43ac84d96bd7c5e0476ea77c904c9f5a66714cd98a7e1c807bf18"
    assert first.key == f"entries/day=2026-11-28/000000000001-{'0' * 32}-{first.digest[:32]}.jsonl.gz"
    assert first.body() == ArchiveObject.read(first.key, first.body()).body()


def test_what_was_appended_is_read_in_order_from_any_head() -> None:
    """Whole, from each object on, and between two of them."""
    archive, heads = five()
    lines = [f"line {number}" for number in range(1, 6)]

    for number, head in enumerate([EMPTY, *heads]):
        assert lines[number:] == archive.read(after=head)
    assert lines[1:4] == archive.read(after=heads[0], until=heads[3])
    assert lines == list(told(follow(archive.bucket, EMPTY, None, DEADLINE)))


def test_what_a_writer_left_behind_when_it_died_is_no_part_of_the_chain() -> None:
    """The same lines come again by another writer; on the way, at the very end, and when a day is over."""
    archive, heads = five()
    archive.stray("line 3", after=heads[1], at=NOON)
    archive.stray("line 3", "line 4", after=heads[1], at=NOON + timedelta(days=4))
    archive.stray("line 6", after=heads[4])

    assert [f"line {number}" for number in range(1, 6)] == archive.read()
    assert ["line 4", "line 5"] == archive.read(after=heads[2])


@pytest.mark.parametrize("day", [0, 1])
def test_what_a_writer_left_behind_at_midnight_is_not_taken_for_what_came_instead(day: int) -> None:
    """It is the first key of a day, or the last of the day before, and what came instead stands behind it in the list."""
    archive = Archive()
    first = archive.add("line 1")
    after = NOON + timedelta(days=1)
    kept = ArchiveObject.after(first, ["line 2"], after).key
    lines = (f"died {number}" for number in range(1000))
    stray = next(line for line in lines if ArchiveObject.after(first, [line], NOON + timedelta(days=day)).key < kept)
    archive.stray(stray, after=first, at=NOON + timedelta(days=day))
    for number in range(2, 6):
        archive.add(f"line {number}", at=after)

    assert [f"line {number}" for number in range(1, 6)] == archive.read()
    assert [f"line {number}" for number in range(1, 6)] == list(told(follow(archive.bucket, EMPTY, None, DEADLINE)))


def test_without_a_head_what_came_last_counts() -> None:
    """Who has the bucket alone reads what a writer put just before it died: it was posted."""
    archive, heads = five()
    archive.stray("line 6", "line 7", after=heads[4])
    archive.stray("line 6", after=heads[4], at=NOON + timedelta(days=3))

    assert [f"line {number}" for number in range(1, 6)] == list(told(follow(archive.bucket, EMPTY, heads[4], DEADLINE)))
    rest = list(told(follow(archive.bucket, heads[4], None, DEADLINE)))
    assert sorted(rest) == ["line 6", "line 6", "line 7"]


def test_a_writer_that_was_overtaken_appends_behind_the_other() -> None:
    """Nothing is lost, and no number is taken twice."""
    archive, heads = five()
    rival = ArchiveObject.after(heads[4], ["of the other"], NOON)
    archive.bucket.put(rival.key, rival.body(), DEADLINE)
    archive.heads.rivals = [rival.head]

    assert archive.add("line 7").number == 7
    assert ["of the other", "line 7"] == archive.read(after=heads[4])


def test_a_writer_that_is_overtaken_for_ever_gives_up() -> None:
    """Its records come again: an error, and nothing appended."""
    archive = Archive()
    archive.heads.rivals = [Head(number, f"{number:064d}", "", "2026-11-28") for number in range(1, APPENDS_MAX + 1)]

    with pytest.raises(LedgerRefused, match="20 times"):
        archive.add("line")


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_an_object_that_is_gone_is_named_and_the_others_are_read(number: int) -> None:
    """Also the last one, which only the head still names."""
    archive, heads = five()
    del archive.bucket.objects[heads[number - 1].key]

    found = archive.read()
    assert [f"line {other}" for other in range(1, 6) if other != number] == [line for line in found if line[0] != "*"]
    (problem,) = [line for line in found if line[0] == "*"]
    assert ("what comes between is missing" if number < 5 else "objects 5 to 5 are missing") in problem


def test_an_object_that_was_changed_is_named() -> None:
    """Another line in it, or no archive at all; what follows is still read."""
    archive, heads = five()
    forged = ArchiveObject(2, heads[0].digest, "2026-11-28", ("line 2, and a gift",))
    for body in (forged.body(), b"", gzip.compress(b"[]"), gzip.compress(b"{}"), archive.bucket.objects[heads[1].key][:-9]):
        archive.bucket.objects[heads[1].key] = body
        found = archive.read()
        assert found[0] == "line 1"
        assert found[1].startswith(f"* {heads[1].key}: is ")
        assert found[2:] == ["line 3", "line 4", "line 5"]


def test_a_forged_branch_is_not_followed() -> None:
    """Two objects behind the second, made by somebody who may put: the longer way, and the one to the head, counts."""
    archive, heads = five()
    forged = archive.stray("a gift", after=heads[1])
    archive.stray("another", after=forged.head)
    lines = [f"line {number}" for number in range(1, 6)]
    problem = f"* {forged.key}: is no part of the chain, and others follow it: there are two branches"

    assert [*lines, problem] == archive.read()
    assert [*lines, problem] == list(told(follow(archive.bucket, EMPTY, None, DEADLINE)))
    assert lines[2:] == archive.read(after=heads[1])[:3]


@pytest.mark.parametrize("day", [0, 1, 2, 3])
def test_what_a_writer_left_behind_beside_the_last_object_hides_no_head(day: int) -> None:
    """The forged branch is the longer one by an object: the way to the head counts, whoever died beside its end."""
    archive, heads = five()
    after = NOON + timedelta(days=1)
    forged = archive.stray("a gift", after=heads[2], at=after)
    further = archive.stray("another", after=forged.head, at=after)
    archive.stray("one more", after=further.head, at=after)
    archive.stray("line 5", after=heads[3], at=NOON + timedelta(days=day))

    problem = f"* {forged.key}: is no part of the chain, and others follow it: there are two branches"
    assert [*(f"line {number}" for number in range(1, 6)), problem] == archive.read()


def test_a_forged_head_of_a_forged_object_is_told() -> None:
    """It passes over four objects that were posted, and what is appended then follows the forged one."""
    archive, heads = five()
    archive.heads.now = archive.stray("a gift", after=heads[0]).head
    archive.add("line 7")

    problem = f"* {heads[1].key}: is no part of the chain, and others follow it: there are two branches"
    assert ["line 1", "a gift", "line 7", problem] == archive.read()


def test_a_head_that_names_something_else_is_told() -> None:
    """Somebody has written the row of the head."""
    archive, heads = five()
    elsewhere = Head(4, "ab" * 32, heads[3].key.replace("28", "27"), "2026-11-27")

    (*_, problem) = archive.read(until=elsewhere)
    assert problem == f"* object 4 has the digest {heads[3].digest}; the head says {'ab' * 32}"


def test_three_writers_in_every_order_leave_one_chain() -> None:
    """Each has seen the head, put its object, and dies or moves it; whoever was overtaken appends again."""
    for order in permutations(range(3)):
        archive, heads = five()
        objects = [ArchiveObject.after(heads[4], [f"of {number}"], NOON) for number in range(3)]
        for new in objects:
            archive.bucket.put(new.key, new.body(), DEADLINE)
        for number in order:
            if not archive.heads.move(heads[4], objects[number].head, DEADLINE):
                archive.add(f"of {number}")
        assert [f"of {number}" for number in order] == archive.read(after=heads[4])


def test_a_folder_keeps_what_a_bucket_keeps(tmp_path: Path) -> None:
    """A copy on disk is read in the same way, and an object that is there is not written over."""
    archive, heads = five()
    folder: Bucket = FolderBucket(tmp_path / "copy")
    for key, body in archive.bucket.objects.items():
        folder.put(key, body, DEADLINE)
        folder.put(key, b"", DEADLINE)

    assert archive.read() == list(told(follow(folder, EMPTY, heads[4], DEADLINE)))
    assert folder.get("entries/none", DEADLINE) is None


@pytest.mark.local_aws
def test_the_head_in_a_table_moves_only_over_what_was_seen(dynamodb: Any, tables: Tables) -> None:
    """Two who have seen the same: one of them; told again after a lost answer: as if it had come."""
    heads = DynamoHeads(dynamodb, tables.seals)
    one, other, two = (
        Head(number, f"{number}{name}" * 32, f"key {name}", "2026-11-28") for number, name in ((1, "a"), (1, "b"), (2, "c"))
    )

    assert heads.head(DEADLINE) == EMPTY
    assert heads.move(EMPTY, one, DEADLINE)
    assert heads.move(EMPTY, one, DEADLINE)
    assert not heads.move(EMPTY, other, DEADLINE)
    assert heads.head(DEADLINE) == one
    assert heads.move(one, two, DEADLINE)
    assert not heads.move(one, other, DEADLINE)
    assert heads.head(DEADLINE) == two


@pytest.mark.local_aws
@pytest.mark.parametrize("odd", [{"object": {"S": "2"}}, {"digest": {"N": "1"}}, {"day": {"NULL": True}}, {"key": None}])
def test_a_row_that_is_no_head_is_told_by_its_place(dynamodb: Any, tables: Tables, odd: dict[str, Any]) -> None:
    """Whoever reads it, to archive or to audit, says where it stands and what is wrong; nothing is appended to it."""
    heads = DynamoHeads(dynamodb, tables.seals)
    assert heads.move(EMPTY, Head(1, "ab" * 32, "key", "2026-11-28"), DEADLINE)
    row = dynamodb.get_item(TableName=tables.seals, Key={"id": {"S": "archive"}, "number": {"N": "0"}})["Item"]
    dynamodb.put_item(TableName=tables.seals, Item={name: value for name, value in (row | odd).items() if value is not None})

    with pytest.raises(LedgerRefused, match=f"{tables.seals}: the row archive, 0 is no head of an archive"):
        append(MemoryBucket(), heads, ["line"], NOON, DEADLINE)
