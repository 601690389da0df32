"""Whoever waits for a long audit is told how far it is, and at its end all that was read."""

from __future__ import annotations

import pytest

from engine.audit import books
from engine.audit.archived import whole
from engine.audit.archived.audit import audit_archive
from engine.audit.archived.seen import Archive
from engine.audit.books import audit
from engine.audit.seals import verify
from engine.ledger.dynamodb.stream import Record
from tests.audit.conftest import Day
from tests.support.archived_world import ArchivedWorld, nobody
from tests.support.events import rendered

pytestmark = pytest.mark.local_aws


def test_an_audit_says_on_its_way_and_at_its_end_how_many_entries_it_has_read(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day has 11 entries, of which two jobs have two and one has three; every fourth is a look at the clock."""
    monkeypatch.setattr(books, "ENTRIES_BETWEEN_LOOKS_AT_THE_CLOCK", 4)
    counts = list[int]()
    audit(day.ledger, day.world.deadline(600), counts.append)

    assert [4, 8, 11] == counts


def test_a_look_at_the_seals_says_how_many_of_the_entries_it_has_compared(day: Day) -> None:
    """The eight of the first seal, and the three of the second."""
    day.time.wait(3600)
    day.seal()
    counts = list[int]()
    verify(day.store, day.world.deadline(600), counts.append)

    assert [8, 11] == counts


def test_a_comparison_of_the_whole_goes_on_counting_in_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six records of the archive, then the six entries of the ledger: every second is a look at the clock."""
    monkeypatch.setattr(whole, "ENTRIES_BETWEEN_LOOKS_AT_THE_CLOCK", 2)
    world, counts = ArchivedWorld(), list[int]()
    world.world.user("u-1", "100")
    world.deliver(*(rendered(f"j-{number}", user="u-1") for number in range(6)))
    archive = Archive(world.archived.bucket, Record.read, world.archived.heads.now)
    deadline = world.world.deadline(600)
    audit_archive(archive, world.store, deadline, nobody, writes=False, whole=True, seen=counts.append)

    assert [6, 8, 10, 12] == counts
