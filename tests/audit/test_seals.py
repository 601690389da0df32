"""Seals: each covers what was posted since the last one, and the chain of them cannot be changed without being seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from engine.audit import seals
from engine.audit.check import check_books
from engine.audit.seals import REST, Damage, Sealer, sealed_entry
from engine.ledger.audits import Line
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.audits import AuditedItem, DynamoAuditStore
from engine.ledger.dynamodb.seals import header_item, header_of, part_of
from engine.ledger.seals import NO_SEAL, Seal, SealedEntry
from engine.ledger.store import Tables
from tests.audit.conftest import LATER, Day
from tests.support.clock import START
from tests.support.events import rendered
from tests.support.repairs import repair_everybody
from tests.support.world import DisturbedClient

pytestmark = pytest.mark.local_aws

QUARTER = REST.total_seconds()


def test_a_seal_covers_what_was_posted_since_the_last_one(day: Day) -> None:
    """Three new entries rest a quarter of an hour, then they are sealed; where nothing is new there is no new seal."""
    too_early = day.seal().sealed
    day.time.wait(QUARTER + 1)
    second, third = day.seal().sealed, day.seal().sealed

    assert (1, 8, 8) == (too_early.number, too_early.entries, too_early.total)
    assert (2, 3, 11) == (second.number, second.entries, second.total)
    assert second == third
    assert (too_early.hash, too_early.until) == (second.previous, second.since)
    assert (2, 11, ()) == ((seen := day.verify()).seals, seen.entries, seen.deviations)
    assert (too_early.hash, second.hash) == seen.hashes


def test_an_entry_is_sealed_by_all_that_it_says_but_its_explanation() -> None:
    """Its digest does not depend on the order of the attributes."""
    item = encode_item({"reference": "job#j", "sequence": 1, "userId": "u", "amount": Decimal("-0.8"), "postedAt": "2026"})
    digest = AuditedItem(item).digest

    assert digest == AuditedItem({**dict(reversed(item.items())), "explanation": {"S": "a long video"}}).digest
    assert digest != AuditedItem({**item, "rule": {"S": "other"}}).digest
    assert digest != AuditedItem({**item, "amount": {"N": "-0.80000000000000000001"}}).digest


def test_what_was_sealed_once_has_the_same_hashes_for_good() -> None:
    """Else every ledger that was ever sealed would be called damaged.

    The first digest is what ``printf %s TEXT | sha256sum`` gives of the attributes as DynamoDB's own JSON, sorted by name and
    without a space: ``{"amount":{"N":"-0.8"},"facts":{"M":{"charge":...}},"postedAt":...}``; the others are made likewise.
    """
    facts = {"charge": {"amount": Decimal("0.8"), "at": "2026-01-05T10:00:00Z"}}
    entry = {"reference": "job#j", "sequence": 1, "userId": "u", "type": "debit", "amount": Decimal("-0.8"), "facts": facts}
    line = sealed_entry(AuditedItem(encode_item({**entry, "postedAt": "2026-01-05T10:00:00.000000Z"}))).text()

    assert line == (
        '["2026-01-05T10:00:00.000000Z","job#j",1,"u","-0.8",'
        '"0efc6cba58c5e56b32213584eb4f1b0f1b10736e60194e39bdd8819a4d135fec","fbba26e399809250c7d37bfa1036524d"]'
    )
    assert "500e2dae95ae2960f1224b0e1e50fe1c5066de1d7064864979561b2d224b46db" == part_of([line])[0]
    header = Seal(1, "", "2026-01-05T11:00:00.000000Z", 1, 1, ("p1", "p2"), "")
    assert "4e94feff30ccbbdb06b545be62309b3a6e7c3d6f77f03a95782552c575915e09" == header.hash


def test_an_entry_of_nothing_but_wrong_attributes_is_sealed_as_it_is() -> None:
    """A text is no amount, a number is no user: the seal keeps 0 of nobody, and the digest all that is there."""
    odd = AuditedItem({"sequence": {"N": "3"}, "amount": {"S": "x"}, "userId": {"N": "5"}, "facts": {"S": "q"}})

    assert Line("", 3, None, "", None, None) == odd.line
    assert ((), False, None) == (odd.anomalies, odd.is_explained, odd.facts)
    assert sealed_entry(odd).text() == (
        '["","",3,"","0","bf2986a10238e041f1a4e51df221e32f040ad101ca2d739d1766b4072bb81097","fa0e1b9fa9aa228d56963be23c01fd68"]'
    )


def test_a_seal_is_read_back_as_it_was() -> None:
    """Its hash stands beside it, and is that of its content."""
    seal = Seal(3, "a", "b", 4, 9, ("p", "q"), "h")

    assert (seal, seal.hash) == header_of(header_item(seal))
    assert seal.hash != evolve(seal, total=10).hash


def test_a_line_of_the_first_form_is_read() -> None:
    """It says nothing of what the entry knew; one of today does, behind the digest."""
    old = '["2026-01-05T12:00:00.000000Z","job#j-1",1,"u-1","-0.8","0a1b"]'
    today = '["2026-01-05T12:00:00.000000Z","job#j-1",1,"u-1","-0.8","0a1b","2c3d"]'
    entry = SealedEntry("2026-01-05T12:00:00.000000Z", "job#j-1", 1, "u-1", Decimal("-0.8"), "0a1b")

    assert (entry, evolve(entry, facts="2c3d")) == (SealedEntry.read(old), SealedEntry.read(today))
    assert (old, today) == (entry.text(), evolve(entry, facts="2c3d").text())


@pytest.fixture
def old_day(another_day: Callable[[], Day], monkeypatch: pytest.MonkeyPatch) -> Day:
    """Return a day that was sealed in the first form, before today's program came."""
    with monkeypatch.context() as before:
        before.setattr(seals, "sealed_entry", lambda entry: evolve(sealed_entry(entry), facts=""))
        return another_day()


def test_what_was_sealed_in_the_first_form_is_compared_as_ever(old_day: Day) -> None:
    """Today's seal goes on behind it; damage behind both is named, and put right."""
    old_day.time.wait(QUARTER + 1)
    old_day.seal()
    assert (2, 11, ()) == ((seen := old_day.verify()).seals, seen.entries, seen.deviations)

    old_day.change("job#j-4", 1, "SET amount = :n", n={"N": "-0.2"})
    old_day.change("job#j-7", 1, "SET amount = :n", n={"N": "-0.1"})

    assert [("job#j-4", 1), ("job#j-7", 2)] == [(found.reference, found.seal) for found in old_day.verify().deviations]
    assert [False, True] == [found.facts_are_sealed for found in old_day.verify().deviations]
    assert repair_everybody(old_day.ledger, "ticket 7", None, old_day.world.deadline(60)).after.is_clean
    assert () == old_day.verify().open


def test_many_entries_make_several_parts(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """An item of DynamoDB has an end; memory does too."""
    monkeypatch.setattr("engine.audit.seals.PART_BYTES_MAX", 600)
    day.world.deliver(*(rendered(f"j-{number}") for number in range(10, 20)))
    day.time.wait(QUARTER + 1)

    seal = day.seal().sealed

    assert 13 == seal.entries
    assert len(seal.parts) > 3
    assert () == day.verify().deviations


def test_what_came_or_went_behind_a_seal_is_counted_by_the_next_audit(day: Day) -> None:
    """Without reading the seal itself, so that every scheduled run can do it."""
    day.remove("job#j-2", 1)
    day.remove("job#j-4", 1)
    assert -2 == day.seal().came_or_went

    day.insert("job#x-1", 1, "job#j-1")
    day.insert("job#x-2", 1, "job#j-1")
    day.insert("job#x-3", 1, "job#j-1")
    seen = day.seal()

    assert (1, False) == (seen.came_or_went, seen.is_clean)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("SET #total = :n", "seal 2: its total is 5; 11 follows"),
        ("SET entries = :n", "seal 2: its hash is"),
        ("SET previous = :s", "seal 2: the hash of the one before is x;"),
        ("SET parts = :l", "seal 2: its hash is"),
    ],
)
def test_a_seal_that_was_changed_is_named(day: Day, change: str, problem: str) -> None:
    """Though it cannot be put right: a seal says what was, and nothing else does."""
    day.time.wait(QUARTER + 1)
    day.seal()
    values = {":n": {"N": "5"}, ":s": {"S": "x"}, ":l": {"L": []}}
    update_seal(day, 2, change, {name: value for name, value in values.items() if name in change})

    found = day.verify().open

    assert any(deviation.problem.startswith(problem) for deviation in found), found
    assert {Damage.SEAL} <= {deviation.damage for deviation in found}


def test_a_seal_that_was_made_anew_breaks_the_chain_behind_it(day: Day) -> None:
    """Its own hash fits, but the next one holds the old one."""
    day.time.wait(QUARTER + 1)
    second = day.seal().sealed
    (first, _), _ = day.store.seals(day.world.deadline(60))
    forged = evolve(first, until=first.until.replace("2026", "2025"))
    day.world.client.put_item(TableName=day.world.tables.seals, Item=header_item(forged))

    problems = [deviation.problem for deviation in day.verify().open]

    assert f"seal 2: the hash of the one before is {second.previous}; {forged.hash} follows" in problems


def test_a_seal_or_a_part_that_is_gone_is_named(day: Day) -> None:
    """The chain has a gap; a part is known by its hash."""
    day.time.wait(QUARTER + 1)
    second = day.seal().sealed
    (part,) = second.parts
    day.world.client.delete_item(TableName=day.world.tables.seals, Key=encode_item({"id": f"part#{part}", "number": 0}))
    assert [f"seal 2: its part {part[:12]} is gone or was changed"] == [f.problem for f in day.verify().open]

    day.world.client.delete_item(TableName=day.world.tables.seals, Key=encode_item({"id": "seal", "number": 1}))
    assert "seal 2: its number is 2; 1 follows" in [deviation.problem for deviation in day.verify().open]


def test_the_first_damage_comes_first(day: Day) -> None:
    """In the order of posting."""
    day.change("job#j-5", 1, "SET amount = :n", n={"N": "-1"})
    day.remove("job#j-2", 2)

    assert [("job#j-2", 2), ("job#j-5", 1)] == [
        (deviation.reference, deviation.sequence) for deviation in day.verify().deviations
    ]


def test_two_that_seal_at_once_make_one_seal(day: Day) -> None:
    """The second finds the number taken, and what it stored means nothing."""
    day.time.wait(QUARTER + 1)
    deadline = day.world.deadline(60)
    one, two = (Sealer(day.store, day.time.now(), deadline) for _ in range(2))
    for entry in day.store.entries(deadline):
        one.take(entry)
        two.take(entry)

    first, second = one.close(), two.close()

    assert first == second
    assert [1, 2] == [seal.number for seal, _ in day.store.seals(deadline)]
    assert () == day.verify().deviations


def test_a_sealing_whose_answer_is_lost_is_done(day: Day) -> None:
    """The header is known again as its own."""

    def lose_the_first(operation: str, request: dict[str, Any], send: Any) -> Any:
        answer = send(**request)
        if operation == "put_item" and "hash" in request["Item"] and client.calls.count("put_item") == 2:
            raise ConnectionError
        return answer

    client = DisturbedClient(day.world.client, lose_the_first)
    day.time.wait(QUARTER + 1)
    deadline = day.world.deadline(60)
    sealer = Sealer(DynamoAuditStore(client, day.world.tables, day.world.clock), day.time.now(), deadline)
    for entry in day.store.entries(deadline):
        sealer.take(entry)
    with pytest.raises(ConnectionError):
        sealer.close()

    assert 2 == day.store.last_seal(deadline).number
    assert sealer.store.keep(day.store.last_seal(deadline), deadline), "the same header again"
    assert not sealer.store.keep(evolve(day.store.last_seal(deadline), total=1), deadline), "another one"


def test_the_scheduled_run_seals_and_logs_the_hash(day: Day) -> None:
    """The log is where nobody of this system can change it."""
    day.time.wait(QUARTER + 1)

    answer = check_books(day.world.reconciler(), START, day.world.deadline(60))["audit"]

    seal = day.store.last_seal(day.world.deadline(60))
    assert {"number": 2, "entries": 11, "hash": seal.hash, "cameOrWent": 0} == answer["seal"]
    line = day.world.lines[-1]
    assert ("audited", seal.hash, 0) == (line["message"], line["seal"]["hash"], line["Drift"])


def test_where_there_is_no_table_of_seals_the_books_are_checked_all_the_same(day: Day) -> None:
    """It is told, and four such runs in a row alarm."""
    tables = day.world.tables
    day.world.tables = Tables(tables.jobs, tables.credits, tables.ledger, tables.state, "no-such-table")

    answer = check_books(day.world.reconciler(), START, day.world.deadline(60))["audit"]

    assert (3, 11, []) == (answer["users"], answer["entries"], answer["drifts"])
    assert "LedgerRefused" in answer["seal"]["problem"]
    assert (0, 1) == tuple(day.world.lines[-1][name] for name in ("Drift", "AuditsUnfinished"))


def test_damage_is_an_alarm(day: Day) -> None:
    """An entry of a sealed job is gone: its user drifts, its log has a gap, the seals count one less."""
    day.remove("job#j-2", 1)

    answer = check_books(day.world.reconciler(), START, day.world.deadline(60))["audit"]

    assert ["u-1"] == answer["drifts"]
    assert ["job#j-2, entry 1: is missing"] == answer["faults"]
    assert -1 == answer["seal"]["cameOrWent"]
    assert 3 == day.world.lines[-1]["Drift"]
    assert json.loads(json.dumps(answer)) == answer


def test_an_audit_that_is_out_of_time_seals_nothing(day: Day) -> None:
    """Half a reading would miss entries for ever."""
    day.time.wait(QUARTER + LATER.total_seconds())

    answer = check_books(day.world.reconciler(), START, day.world.deadline(2.0))["audit"]

    assert "the audit's time was used up" in answer["problem"]
    assert 1 == day.store.last_seal(day.world.deadline(60)).number


def test_before_the_first_seal_there_is_none(dynamodb: Any, tables: Tables, time: Any) -> None:
    """And nothing to verify."""
    store = DynamoAuditStore(dynamodb, tables, time.clock())

    assert NO_SEAL == store.last_seal(time.clock().deadline(60))


def update_seal(day: Day, number: int, update: str, values: dict[str, Any]) -> None:
    """Change a header, as nothing of this system can."""
    names = {"ExpressionAttributeNames": {"#total": "total"}} if "#total" in update else {}
    day.world.client.update_item(
        TableName=day.world.tables.seals,
        Key=encode_item({"id": "seal", "number": number}),
        UpdateExpression=update,
        ExpressionAttributeValues=values,
        **names,
    )
