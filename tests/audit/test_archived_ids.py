"""Ids of adjustments against the archive: each is told once, where its claim says; what forges one is named and undone."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.ledger.archive.bucket import MemoryBucket
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from engine.reconcile.corrections import Adjuster
from tests.repairs.conftest import Place, place_on
from tests.simulation.database import Client, Database
from tests.support.archived import MemoryHeads
from tests.support.events import rendered
from tools.local_aws import create_tables

ANN = Identity("arn:aws:iam::1:user/ann", "ann", "ann")

SAID = (
    AdjustmentRequest("c-1", "u-1", Decimal("0.1"), "slow", job="j-1"),
    AdjustmentRequest("a-1", "u-2", Decimal(5), "goodwill"),
    AdjustmentRequest("a-2", "u-2", Decimal(-3), "paid twice"),
    AdjustmentRequest("r-2", "", Decimal(0), "it was not", reverses="a-2"),
    AdjustmentRequest("c-3", "u-1", Decimal("0.2"), "the wrong job", job="j-3"),
    AdjustmentRequest("r-3", "", Decimal(0), "it was another", reverses="c-3"),
)
"""What people have said, each once: of a job, of a user, and what takes one of both back."""

POSTED = {"u-1": Decimal("-2.3"), "u-2": Decimal(5)}
"""j-1, j-2 and j-3 of u-1 cost 0.8 each, and 0.1 of it is conceded."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a ledger on which people have spoken, and its archive."""
    client = Client(Database())
    place = place_on(client, create_tables(client, Tables()), tmp_path)
    place.deliver(rendered("j-1"), rendered("j-2"), rendered("j-3"))
    adjuster = Adjuster.on(place.world.policy, DynamoStore(client, place.world.tables, place.world.clock))
    for request in SAID:
        adjuster.adjust(request, ANN, place.world.deadline())
        place.archived.hand_over()
        place.time.wait(1)
    return place


def forge(place: Place, like: tuple[str, int], where: tuple[str, int], **renamed: str) -> None:
    """Put an entry there that is made after another, with some names of it changed."""
    text = json.dumps(place.item(*like))
    for old, new in renamed.items():
        text = text.replace(json.dumps(old.replace("_", "-")), json.dumps(new))
    place.write({**json.loads(text), "reference": {"S": where[0]}, "sequence": {"N": str(where[1])}})


def concession(place: Place, job: str, name: str, *, moved: bool) -> None:
    """Forge the next entry of a job: a concession of 0.1 as this system would post it, under an id."""
    log = [place.item(reference, number) for reference, number in sorted(place.items()) if reference == f"job#{job}"]
    facts = log[-1]["facts"]["M"]
    told = {"M": {"id": {"S": name}, "amount": {"N": "0.1"}, "at": {"S": "2026-01-05T12:00:09Z"}}}
    item = place.item("job#j-1", 2) | {each: log[-1][each] for each in ("reference", "jobId", "userId")}
    item |= {"sequence": {"N": str(len(log) + 1)}, "cost": {"N": str(Decimal(log[-1]["cost"]["N"]) - Decimal("0.1"))}}
    item["facts"] = {"M": {**facts, "concessions": {"L": [*facts.get("concessions", {"L": []})["L"], told]}}}
    item["correction"] = {"M": {**item["correction"]["M"], "id": {"S": name}}}
    place.write(item)
    if moved:
        place.move_row("u-1", posted="0.1", remaining="0.1")


FORGED: dict[str, tuple[Callable[[Place], Any], str, str]] = {
    "the id of a concession, on another job": (
        lambda place: concession(place, "j-2", "c-1", moved=False),
        "job#j-2 2",
        "its id was told on job#j-1: adjust#c-1 claims it for that log",
    ),
    "the same, with the balance": (
        lambda place: concession(place, "j-2", "c-1", moved=True),
        "job#j-2 2",
        "its id was told on job#j-1: adjust#c-1 claims it for that log",
    ),
    "the id of a user's adjustment, on a job, with the balance": (
        lambda place: concession(place, "j-2", "a-1", moved=True),
        "job#j-2 2",
        "its id was told on adjust#a-1, and belongs to what was told there",
    ),
    "the id of what took an adjustment back, on a job, with the balance": (
        lambda place: concession(place, "j-2", "r-2", moved=True),
        "job#j-2 2",
        "its id was told on adjust#a-2: adjust#r-2 claims it for that log",
    ),
    "an id that nothing claims, with the balance": (
        lambda place: concession(place, "j-2", "c-9", moved=True),
        "job#j-2 2",
        "its id is not claimed: adjust#c-9 has no entry, and it could be told again",
    ),
    "a claim for a job that lacks the word": (
        lambda place: forge(place, ("adjust#c-1", 1), ("adjust#c-9", 1), c_1="c-9", j_1="j-2"),
        "adjust#c-9 1",
        "it claims the id of an adjustment that job#j-2 does not have",
    ),
    "a claim for an adjustment that lacks what takes it back": (
        lambda place: forge(place, ("adjust#r-2", 1), ("adjust#r-9", 1), r_2="r-9", a_2="a-1"),
        "adjust#r-9 1",
        "it claims the id of an adjustment that adjust#a-1 does not have",
    ),
    "the id of a concession once more, on the same job, with the balance": (
        lambda place: concession(place, "j-1", "c-1", moved=True),
        "job#j-1 3",
        "it tells the id c-1, as entry 2 of its log does: an id is told once",
    ),
}


def test_what_people_have_said_is_no_finding(place: Place) -> None:
    """From a checkpoint on, and as a whole: words and claims come together, and each claim names the log of its word."""
    assert [] == place.audit()
    assert POSTED == {user: place.balance(user)[1] for user in POSTED}
    assert ((), ()) == (place.plan("u-1").steps, place.plan("u-2").steps)


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_word_or_claim_is_named_and_undone(place: Place, kind: str) -> None:
    """No word of a person is needed: word and claim are posted together, or were never posted. Then nothing is found."""
    do, where, problem = FORGED[kind]
    before = {user: place.balance(user) for user in POSTED}
    do(place)

    told = [f"{' '.join(map(str, each.key or ()))}: {each.problem}" for each in place.found() if each.kind == "senseless"]
    assert any(line.startswith(f"{where}: ") and problem in line for line in told), told
    plans = {user: place.plan(user) for user in POSTED}
    lines = " ".join(line for planned in plans.values() for step in planned.steps for line in step.lines())
    assert f" is forged: {problem}" in lines
    for planned in plans.values():
        assert () == planned.left
        assert not planned.steps or place.apply(planned).is_whole
    assert [] == place.audit()
    assert before == {user: place.balance(user) for user in POSTED}
    assert ((), ()) == (place.plan("u-1").steps, place.plan("u-2").steps)


def test_a_person_may_say_that_such_an_entry_was_posted(place: Place) -> None:
    """The archive lacks its claim, say, which was posted before the stream was on."""
    concession(place, "j-2", "c-9", moved=True)

    assert () == place.plan("u-1", posted=[("job#j-2", 2)]).steps
    assert ["job#j-2"] == [step.reference for step in place.plan("u-1").steps]


def test_a_word_that_is_older_than_the_archive_is_accused_by_no_repair(place: Place) -> None:
    """Nobody saw it come, so that its claim may have been lost before; the audit tells it all the same."""
    place.remove("adjust#c-1", 1)
    archived = place.archived
    archived.bucket, archived.heads, archived.seen = MemoryBucket(), MemoryHeads(), {}
    archived.take_in()

    told = [each.problem for each in place.found()]
    assert ["its id is not claimed: adjust#c-1 has no entry, and it could be told again"] == told
    assert () == place.plan("u-1").steps
