"""An audit against the archive: what it says of honest work, of damage, and of what was put right."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from engine.audit.archived import checkpoints
from engine.audit.archived import part as archived_part
from engine.audit.archived.audit import audit_archive
from engine.audit.archived.older import repeated
from engine.audit.archived.rounds import Round, last_round
from engine.audit.archived.seen import Archive
from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.instants import posting_text
from engine.ledger.archive.bucket import MemoryBucket
from engine.ledger.archive.chain import EMPTY
from engine.ledger.dynamodb.stream import Record, record_of_stream
from engine.reconcile.corrections import Adjuster
from tests.support.archived_world import ArchivedWorld
from tests.support.events import failed, rendered


def n(number: str) -> dict[str, str]:
    """Return a number of DynamoDB."""
    return {"N": number}


def s(text: str) -> dict[str, str]:
    """Return a text of DynamoDB."""
    return {"S": text}


J_3 = rendered("j-3", user="u-2", seconds=12)


@pytest.fixture
def world() -> ArchivedWorld:
    """Return u-1 with j-1, charged (-0.8) and given back, and j-2, charged (-0.8); and u-2 with j-3, charged (-1.2)."""
    world = ArchivedWorld()
    world.world.user("u-1").user("u-2")
    world.deliver(rendered("j-1"), failed("j-1"), rendered("j-2"), J_3)
    return world


def test_honest_work_is_no_finding(world: ArchivedWorld) -> None:
    """From checkpoint to checkpoint, and as a whole; a second look at nothing new reads no object."""
    first = world.audit()
    world.deliver(failed("j-3", user="u-2"), rendered("j-4"))
    second = world.audit()
    third = world.audit()
    whole = world.audit(whole=True)

    assert [(), (), (), ()] == [each.differences for each in (first, second, third, whole)]
    assert [4, 2, 0, 6] == [each.records for each in (first, second, third, whole)]
    assert [4, 6, 6, 6] == [each.entries for each in (first, second, third, whole)]
    assert [2, 2, 2, 2] == [each.users for each in (first, second, third, whole)]
    assert all(each.is_finished and each.is_kept for each in (first, second, third, whole))


def test_what_comes_twice_counts_once(world: ArchivedWorld) -> None:
    """In one part, and when the first time was before the checkpoint: the stream hands over at least once."""
    world.audit()
    world.world.deliver(rendered("j-4"))
    records = world.archived.hand_over(repeated=True)
    assert [] == world.found()
    world.archived.tell(*records)
    world.time.wait(3600)
    world.deliver(rendered("j-5"))

    assert [] == world.found()
    assert world.audit().entries == 6


def test_what_comes_again_out_of_the_order_of_time_counts_once(world: ArchivedWorld) -> None:
    """Between a record and its repeat stand others that are hours older, of a shard that was late; before a checkpoint."""
    world.time.wait(3 * 3600)
    old = world.archived.tell
    world.world.deliver(rendered("j-10"))
    again = world.archived.hand_over()
    world.world.deliver(rendered("j-11", user="u-2"))
    (late,) = world.archived.hand_over()
    old(evolve(late, at="2026-01-05T12:30:00.000000Z"))
    world.time.wait(3600)
    world.deliver(rendered("j-12"))
    assert [] == world.found()
    old(*again)
    world.time.wait(60)
    world.deliver(rendered("j-13"))

    assert [] == world.found()
    old(*again)
    assert [] == world.found()
    assert [] == world.found(whole=True)


def test_what_comes_again_beside_an_entry_under_way_of_the_same_amount_counts_once(world: ArchivedWorld) -> None:
    """The one would stand in for the other: the sum would agree by chance, and be wrong from then on."""
    world.world.deliver(rendered("j-9", user="u-2"))
    old = world.archived.hand_over()
    world.time.wait(3600)
    world.world.deliver(rendered("j-10"))
    again = world.archived.hand_over()
    world.archived.tell(*old)  # a batch of an hour ago comes again, as an object of its own
    assert [] == world.found()
    world.archived.tell(*again)
    world.world.deliver(rendered("j-11"))
    assert [] == world.found()
    world.archived.hand_over()
    last = world.audit()

    assert ((), 7) == (last.differences, last.entries)


def far_behind(world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """Return the record of a charge of u-1 that comes again later than what is looked through: behind a batch of old ones.

    What is looked through is 20,000 records; here it is one.
    """
    monkeypatch.setattr("engine.audit.archived.older.RECORDS_NEAR", 1)
    world.world.deliver(rendered("j-9", user="u-2"))
    old = world.archived.hand_over()
    world.time.wait(3600)
    world.world.deliver(rendered("j-10"))
    again = world.archived.hand_over()
    world.archived.tell(*old)
    assert [] == world.found()
    return again


def test_a_repeat_far_behind_is_counted_twice_and_then_once(world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's books differ, so that they are counted again: nobody is told of anything."""
    again = far_behind(world, monkeypatch)
    world.archived.tell(*again)
    twice = world.audit()

    assert ((), 7) == (twice.differences, twice.entries)
    assert [[], []] == [world.found(), world.found(whole=True)]


def test_a_repeat_far_behind_beside_an_entry_of_the_same_amount_is_a_drift_until_sums_begin_anew(
    world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not proven: the one stands in for the other, and the sum agrees by chance. The audit of the whole ends it."""
    again = far_behind(world, monkeypatch)
    world.archived.tell(*again)
    world.world.deliver(rendered("j-11"))
    by_chance = world.found()
    world.archived.hand_over()
    told = world.found()

    assert [] == by_chance
    assert ["drift: job#j-11 1: the archived entries add up to -3.2, Credits says -2.4"] == [
        each.split("; ")[0] for each in told
    ]
    assert [[], []] == [world.found(whole=True), world.found()]


def test_a_row_that_was_changed_by_the_amount_of_a_repeat_far_behind_is_found_by_the_whole(
    world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not proven, the other way round: no audit from a checkpoint sees it."""
    again = far_behind(world, monkeypatch)
    world.archived.tell(*again)
    world.change_row("u-1", "ADD posted :n", n=n("-0.8"))

    assert [[], []] == [world.found(), world.found()]
    assert ["drift: u-1: the archived entries add up to -1.6, Credits says -2.4"] == world.found(whole=True)


def test_what_was_written_before_a_record_is_not_searched_for_it(world: ArchivedWorld) -> None:
    """Checkpoints say when a head had been written, the first that saw it; clocks may differ by five minutes."""
    world.audit()
    world.time.wait(600)
    world.audit()
    world.time.wait(200)
    world.deliver(rendered("j-4"))
    world.audit()
    (last, *_) = checkpoints.last(world.archived.bucket, world.world.deadline(60))

    assert not isinstance(last, str)
    assert (("2026-01-05T12:00:04.000000Z", 4), ("2026-01-05T12:13:25.000000Z", 5)) == last.written
    places = [
        repeated(f"2026-01-05T{at}.000000Z", last.written).after for at in ("12:05:03", "12:05:04", "12:18:24", "12:18:25")
    ]
    assert [0, 4, 4, 5] == places


@pytest.mark.parametrize("forged", [(5, 3), ("2026-01-05T12:00:00.000000Z", "3"), ("", 3.5), ("", 3, 3), 3, None], ids=str)
def test_a_checkpoint_that_says_nonsense_of_what_was_written_is_none(world: ArchivedWorld, forged: Any) -> None:
    """It is told, and the audit goes on from the one before."""
    world.audit()
    bucket, deadline = world.archived.bucket, world.world.deadline(60)
    good = next(each for each in checkpoints.last(bucket, deadline) if not isinstance(each, str))
    checkpoints.keep(bucket, evolve(good, count=good.count + 1, written=(forged,)), deadline)
    world.deliver(rendered("j-4"))
    told = world.audit(writes=False)

    assert (1, 5) == (told.records, told.entries)
    assert [True] == [each.problem.startswith("checkpoints/heads/000000000002-") for each in told.differences]


def test_what_is_under_way_behind_a_late_record_is_no_finding(world: ArchivedWorld) -> None:
    """The newest object has a record that is hours old; what was archived before it is not taken for missing."""
    world.time.wait(3 * 3600)
    world.deliver(rendered("j-10"))
    world.world.deliver(rendered("j-11", user="u-2"))
    (late,) = world.archived.changes(world.time.now())
    world.archived.tell(evolve(record_of_stream(late), at="2026-01-05T12:30:00.000000Z"))
    world.world.deliver(rendered("j-12"))
    world.time.wait(20)

    assert [] == [line for line in world.found() if not line.startswith("senseless: job#j-11")]


def test_what_is_under_way_is_no_finding(world: ArchivedWorld) -> None:
    """Entries that the archive has not seen yet, of a user for whom others came: within a minute, and they are no surplus."""
    world.audit()
    world.deliver(rendered("j-4"))
    world.world.deliver(rendered("j-5"), rendered("j-6", user="u-2"))

    assert [] == world.found()


def test_an_archive_that_does_not_follow_is_told(world: ArchivedWorld) -> None:
    """After a quarter of an hour: the writer stands still."""
    world.audit()
    world.world.deliver(rendered("j-5"))
    world.time.wait(16 * 60)

    (found,) = world.found()
    assert found == "unarchived: job#j-5 1: was posted 2026-01-05T12:00:04.000000Z, and the archive has not seen it come"


def test_an_explanation_is_added_by_right(world: ArchivedWorld) -> None:
    """Later, once; what replaces it is a finding, at once and much later."""
    world.audit()
    world.time.wait(3600)
    world.change("job#j-1", 1, "SET explanation = :e", e={"M": {"summary": s("long")}})
    assert [] == world.found()
    world.change("job#j-2", 1, "SET explanation = :e", e={"M": {"summary": s("long")}})
    world.change("job#j-2", 1, "SET explanation = :e", e={"M": {"summary": s("another")}})
    assert ["changed: job#j-2 1: its explanation is not the one that was given"] == world.found()
    world.change("job#j-1", 1, "SET explanation = :e", e={"M": {"summary": s("another")}})
    assert "changed: job#j-1 1: its explanation is not the one that was given" in world.found()


Do = Callable[[ArchivedWorld], Any]

FORGED = {"userId": s("u-9"), "jobId": s("j-9"), "reference": s("job#j-9")}

DAMAGE: dict[str, tuple[Do, list[str]]] = {
    "an amount was changed": (
        lambda world: world.change("job#j-2", 1, "SET amount = :n", n=n("-0.2")),
        ["changed: job#j-2 1: was changed: its amount is -0.2; -0.8 was posted"],
    ),
    "what is known was changed": (
        lambda world: world.change("job#j-1", 1, "SET #facts.charge.amount = :n", n=n("80")),
        ["changed: job#j-1 1: was changed: its facts"],
    ),
    "an entry is gone": (
        lambda world: world.remove("job#j-3", 1),
        ["removed: job#j-3 1: is gone: -1.2 of u-2, posted 2026-01-05T12:00:03.000000Z"],
    ),
    "an entry without a time": (
        lambda world: world.change("job#j-3", 1, "REMOVE postedAt"),
        ["changed: job#j-3 1: was changed: its postedAt is missing; 2026-01-05T12:00:03.000000Z was posted"],
    ),
    "something else stands in its place": (
        lambda world: world.put({**world.remove("job#j-3", 1), "amount": n("5")}),
        ["changed: job#j-3 1: was changed: its amount is 5; -1.2 was posted"],
    ),
    "an event came again on an empty log": (
        lambda world: (world.remove("job#j-3", 1), world.time.wait(90_000), world.deliver(J_3)),
        [
            "changed: job#j-3 1: was changed: its postedAt is 2026-01-06T13:00:0",
            "drift: u-2: the archived entries add up to -1.2, Credits says -2.4",
        ],
    ),
    "the row was raised": (
        lambda world: world.change_row("u-1", "SET posted = :n", n=n("9")),
        ["drift: u-1: the archived entries add up to -0.8, Credits says 9"],
    ),
    "a row without entries": (
        lambda world: world.change_row("u-7", "SET posted = :n", n=n("9")),
        ["drift: u-7: the archived entries add up to 0, Credits says 9"],
    ),
    "a row that is no number": (
        lambda world: world.change_row("u-1", "SET posted = :n", n=s("x")),
        ["drift: u-1: the archived entries add up to -0.8, Credits says no number"],
    ),
    "an entry that calls itself a correction": (
        lambda world: world.put({**world.item("job#j-1", 2), "sequence": n("3"), "source": s("repair"), "amount": n("0.7")}),
        [
            "drift: job#j-1 3: the archived entries add up to -0.1, Credits says -0.8; job#j-1, entry 3 alone makes it up",
            "unknown-correction: job#j-1 3: it calls itself a correction, and no plan that was applied has it",
            "senseless: job#j-1 3: with it the entries add up to 0.7; 0 follows from its cost",
        ],
    ),
    "an odd sequence": (
        lambda world: world.put({**world.item("job#j-1", 2), "sequence": n("1.5"), "amount": n("0")}),
        ["unreadable: job#j-1 1.5: is no entry of this system (its sequence is 1.5; a whole number from 1 on is needed)"],
    ),
    "an entry that was dated back": (
        lambda world: world.put({**world.item("job#j-3", 1), **FORGED, "postedAt": s("2026-01-01T00:00:00.000000Z")}),
        [
            "drift: job#j-9 1: the archived entries add up to -1.2, Credits says 0; job#j-9, entry 1 alone makes it up",
            "senseless: job#j-9 1: it says that it was posted 2026-01-01T00:00:00.000000Z, and came 2026-01-05T12:00:04",
        ],
    ),
    "an amount that does not follow": (
        lambda world: world.put(
            {**world.item("job#j-3", 1), **FORGED, "amount": n("-0.1"), "postedAt": s("2026-01-05T12:00:04Z")}
        ),
        ["drift: job#j-9 1: ", "senseless: job#j-9 1: with it the entries add up to -0.1; -1.2 follows from its cost"],
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("is_old", [False, True], ids=["new", "old"])
def test_damage_is_found_by_its_name_and_again_until_it_is_put_right(world: ArchivedWorld, kind: str, *, is_old: bool) -> None:
    """Whether entries came before the checkpoint or after it; the next audit says it again, and so does one of the whole."""
    do, expected = DAMAGE[kind]
    if is_old:
        world.audit()
    do(world)
    found, again, whole = world.found(), world.found(), world.found(whole=True, writes=False)

    assert [line.split(": ")[0] for line in found] == [line.split(": ")[0] for line in whole]
    for lines in (found, again):
        assert len(expected) == len(lines), lines
        for line, start in zip(lines, sorted(expected, key=_place), strict=True):
            told = re.sub("; they agreed at object [0-9]+", "", line)
            assert told.startswith(start) or (not is_old and told.startswith("drift: u-1")), lines


def _place(line: str) -> list[str]:
    return line.split(": ")[:2]


def test_what_was_put_back_is_no_finding(world: ArchivedWorld) -> None:
    """Just as it was: changed, or removed; also when the checkpoint lies between."""
    world.audit()
    changed, gone = world.item("job#j-2", 1), world.remove("job#j-3", 1)
    world.change("job#j-2", 1, "SET amount = :n", n=n("-0.2"))
    assert len(world.found()) == 2
    world.time.wait(7200)
    world.put(changed)
    world.put(gone)

    assert [] == world.found()
    assert [] == world.found(whole=True)


def test_what_is_no_entry_is_done_with_once_it_is_gone(world: ArchivedWorld) -> None:
    """Nothing that is added could undo it; it never moved a balance, so that no sum knows it."""
    world.audit()
    world.put({**world.item("job#j-1", 1), "sequence": n("1.5"), "amount": n("500"), "source": s("repair")})
    found = world.found()
    assert any(line.startswith("unreadable: job#j-1 1.5: ") for line in found)
    assert not any(line.startswith("drift") for line in found)
    world.client.delete_item(TableName=world.world.tables.ledger, Key={"reference": s("job#j-1"), "sequence": n("1.5")})
    world.archived.hand_over()

    assert [] == world.found()
    assert [] == world.found(whole=True)


def test_a_believed_correction_settles_what_stands_before_it(world: ArchivedWorld) -> None:
    """A forged entry in a log is named until a correction that was planned says what it comes to."""
    world.put({**world.item("job#j-1", 2), "sequence": n("3"), "amount": n("3"), "postedAt": s("2026-01-05T12:00:04.5Z")})
    assert any(line.startswith("senseless: job#j-1 3: ") for line in world.found())
    correction = {**world.item("job#j-1", 2), "source": s("repair"), "amount": n("-3"), "type": s("debit")}
    world.put({**correction, "sequence": n("4"), "postedAt": s("2026-01-05T12:00:05Z")})

    assert [] == world.found(believed=lambda entry: entry.line.sequence == 4)


def test_a_claim_without_its_word_is_found(world: ArchivedWorld) -> None:
    """An id of an adjustment is claimed for a concession that its job does not have; an honest one is no finding."""
    adjuster = Adjuster.on(world.world.policy, world.ledger)
    request = AdjustmentRequest(id="a-1", user="u-1", amount=Decimal("0.1"), reason="ticket 1", job="j-2")
    adjuster.adjust(request, Identity("arn:aws:iam::1:user/ann", "ann", "ann"), world.world.deadline())
    world.archived.hand_over()
    assert [] == world.found()
    claim = world.item("adjust#a-1", 1)
    text = json.dumps(claim).replace("a-1", "a-2").replace("j-2", "j-3").replace("u-1", "u-2")
    world.put(json.loads(text))

    expected = "senseless: adjust#a-2 1: it claims the id of an adjustment that job#j-3 does not have"
    assert [expected] == world.found() == world.found() == world.found(whole=True)


@pytest.mark.parametrize("first", ["adjust#a-1", "job#j-4"])
def test_a_word_and_its_claim_that_come_by_different_shards_are_no_finding(world: ArchivedWorld, first: str) -> None:
    """One of them is archived, together with all of its log so far, and the other still under way."""
    world.world.deliver(rendered("j-4"))
    charged = [record_of_stream(change) for change in world.archived.changes(world.time.now())]
    adjuster = Adjuster.on(world.world.policy, world.ledger)
    request = AdjustmentRequest(id="a-1", user="u-1", amount=Decimal("0.1"), reason="ticket 1", job="j-4")
    adjuster.adjust(request, Identity("arn:aws:iam::1:user/ann", "ann", "ann"), world.world.deadline())
    told = [record_of_stream(change) for change in world.archived.changes(world.time.now())]
    world.archived.tell(*charged, *(record for record in told if record.key[0] == first))

    assert [] == world.found()
    world.archived.tell(*(record for record in told if record.key[0] != first))
    assert [] == world.found() == world.found(whole=True)


def test_the_archive_itself_is_looked_at(world: ArchivedWorld) -> None:
    """An object that is gone, found by each audit; a checkpoint that somebody made up is not gone on with."""
    world.audit()
    assert isinstance(world.archived.bucket, MemoryBucket)
    world.deliver(rendered("j-4"))
    gone = world.archived.heads.now.key
    world.deliver(rendered("j-5"))
    del world.archived.bucket.objects[gone]
    found, again = world.found(), world.found()
    forged = {key: body for key, body in world.archived.bucket.objects.items() if key.startswith("checkpoints/heads/")}
    world.archived.bucket.objects[max(forged).replace("-", "0-")] = b"{}"
    key = max(forged)
    world.archived.bucket.objects[key] = forged[key].replace(b"u-1", b"u-2")

    assert any(line.startswith("archive: ") and "what comes between is missing" in line for line in found)
    assert any(line.startswith("archive: ") for line in again)
    assert any("is not what its key says" in line for line in world.found())


@pytest.mark.parametrize("of", ["checkpoints/heads/", "checkpoints/rounds/", "checkpoints/sums/", "entries/"])
def test_what_is_nested_deeper_than_can_be_read_stops_no_audit(world: ArchivedWorld, of: str) -> None:
    """Anything may stand in a bucket: it is told where it matters, as whatever else is not what its key says."""
    world.audit()
    assert isinstance(world.archived.bucket, MemoryBucket)
    objects, deep = world.archived.bucket.objects, b"[" * 100_000
    objects["checkpoints/rounds/000000000001-" + "0" * 32 + ".json"] = deep
    for key in [key for key in objects if key.startswith(of)]:
        objects[key] = gzip.compress(deep) if key.endswith(".gz") else deep
    deadline = world.world.deadline(600)

    assert Round(is_over=True) == last_round(world.archived.bucket, deadline)
    assert (of == "checkpoints/rounds/") == (() == world.audit().differences)


@pytest.mark.parametrize(
    ("limit", "most", "parts"),
    [("RECORDS_MAX", 4, [4, 8, 10]), ("CHARACTERS_MAX", 4_000, [4, 8, 10]), ("CHARACTERS_MAX", 1, [*range(1, 11), 10])],
)
def test_a_part_ends_by_records_or_by_what_they_take(
    world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, parts: list[int]
) -> None:
    """So its memory is bounded, whatever an entry has: a line here has 1,000 to 1,300 characters. All of it is audited."""
    for number in range(4, 10):
        world.deliver(rendered(f"j-{number}"))
    monkeypatch.setattr(archived_part, limit, most)
    ends = list[int]()
    archive = Archive(world.archived.bucket, Record.read, world.archived.heads.now)
    seen = audit_archive(archive, world.store, world.world.deadline(600), lambda _: False, writes=False, seen=ends.append)

    assert parts == ends
    assert (10, 10, 0, True) == (seen.records, seen.entries, seen.damages, seen.is_finished)


def test_an_audit_that_has_no_time_left_goes_on_where_it_was(world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts of two records: each audit reads as far as its time goes; of the books only the last one says something."""
    monkeypatch.setattr(archived_part, "RECORDS_MAX", 2)
    for number in range(4, 12):
        world.deliver(rendered(f"j-{number}"))
    seen = world.audit()
    assert (seen.is_finished, seen.records) == (True, 12)

    world.change("job#j-11", 1, "SET amount = :n", n=n("-7"))
    for number in range(20, 50):
        world.time.wait(400)
        world.deliver(rendered(f"j-{number}", user="u-2"))
    steps = 0
    while not (seen := _slow_audit(world)).is_finished:
        steps += 1
        assert steps < 20
    assert steps > 1
    assert [each.kind for each in seen.differences] == ["changed"]
    assert seen.until == world.archived.heads.now


def _slow_audit(world: ArchivedWorld) -> Any:
    """Audit with forty seconds where each object takes two."""
    bucket, get = world.archived.bucket, MemoryBucket.get

    class Slow(MemoryBucket):
        def get(self, key: str, deadline: Any) -> bytes | None:
            world.time.wait(2 if key.startswith("entries/") else 0)
            return get(self, key, deadline)

    assert isinstance(bucket, MemoryBucket)
    world.archived.bucket = Slow(bucket.objects)
    try:
        return world.audit(seconds=40)
    finally:
        world.archived.bucket = bucket


def test_entries_that_are_older_than_the_archive_are_taken_in() -> None:
    """They are dated long before their records, by right; their corrections are believed."""
    world = ArchivedWorld()
    world.world.user("u-1")
    world.world.deliver(rendered("j-1"), rendered("j-2"))
    world.time.wait(timedelta(days=400).total_seconds())
    world.archived.take_in()
    world.deliver(rendered("j-3"))

    assert [] == world.found()
    world.change("job#j-1", 1, "SET amount = :n", n=n("7"))
    assert ["changed: job#j-1 1: was changed: its amount is 7; -0.8 was posted"] == world.found()


def test_no_archive_yet_is_no_finding() -> None:
    """Before the first object everything is on its way; the head has number 0."""
    world = ArchivedWorld()
    world.world.user("u-1")
    world.world.deliver(rendered("j-1"))

    assert world.archived.heads.now == EMPTY
    assert [] == world.found()


def test_sums_are_kept_in_pages(world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many users there are sixteen pages, then 256; an audit of a few of them writes only theirs."""
    monkeypatch.setattr("engine.audit.archived.sums.USERS_OF_A_PAGE", 2)
    for number in range(10, 70):
        world.world.user(f"u-{number}")
        world.deliver(rendered(f"j-{number + 100}", user=f"u-{number}"))
    world.audit()
    world.audit()
    assert isinstance(world.archived.bucket, MemoryBucket)
    before = set(world.archived.bucket.objects)
    world.deliver(rendered("j-500", user="u-17"))

    assert [] == world.found()
    new = [key for key in set(world.archived.bucket.objects) - before if key.startswith("checkpoints/sums/")]
    assert len(new) == 1
    assert [] == world.found(whole=True)
    assert posting_text(world.time.now()) > "2026"


def lost(world: ArchivedWorld) -> None:
    """Let the stream lose what has happened since it was read last."""
    world.archived.seen = world.archived.items()


def test_what_came_where_something_unknown_was_removed_is_told(world: ArchivedWorld) -> None:
    """The stream has lost an entry, which is gone; its event came again in its place."""
    world.audit()
    world.world.deliver(rendered("j-5"))
    lost(world)
    world.remove("job#j-5", 1)
    world.deliver(rendered("j-5"))

    found = world.found()
    assert ["drift: u-1", "unarchived: job#j-5 1"] == [": ".join(line.split(": ")[:2]) for line in found]
    assert found[1].endswith(": something was removed here before it came, and the archive has not seen that come")


def test_an_audit_of_the_whole_finds_what_the_stream_has_lost(world: ArchivedWorld) -> None:
    """An entry came, one was changed and one removed while nobody read the stream for more than a day."""
    world.audit()
    for number in range(10, 40):
        world.deliver(rendered(f"j-{number}"))
    world.world.deliver(rendered("j-5"))
    key = {"reference": s("job#j-11"), "sequence": n("1")}
    update = {"UpdateExpression": "SET amount = :n", "ExpressionAttributeValues": {":n": n("5")}}
    world.client.update_item(TableName=world.world.tables.ledger, Key=key, **update)
    world.client.delete_item(TableName=world.world.tables.ledger, Key={**key, "reference": s("job#j-12")})
    lost(world)
    world.time.wait(3600)
    world.deliver(rendered("j-6"))

    assert {"drift: u-1"} == {": ".join(line.split(": ")[:2]) for line in world.found()}
    found = [": ".join(line.split(": ")[:2]) for line in world.found(whole=True)]
    assert ["changed: job#j-11 1", "drift: u-1", "removed: job#j-12 1", "unarchived: job#j-5 1"] == found
    assert found == [": ".join(line.split(": ")[:2]) for line in world.found()]


def test_what_is_younger_than_a_quarter_of_an_hour_is_left_to_the_next_audit_of_the_whole(world: ArchivedWorld) -> None:
    """Writers are at work while it reads."""
    world.time.wait(3600)
    world.world.deliver(rendered("j-5"))

    assert [] == world.found(whole=True)
