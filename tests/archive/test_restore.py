"""A restore from the archive alone: tables equal to the item, whatever was lost or damaged, and nobody at work is harmed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from typer.testing import CliRunner

from engine.audit.restore import Restore
from engine.cli.app import app
from engine.domain.envelope import Source
from engine.domain.errors import LedgerRefused
from engine.ledger.archive.acknowledged import Acknowledged, keep
from engine.ledger.archive.bucket import FolderBucket
from engine.ledger.archive.chain import EMPTY, append
from engine.ledger.archive.originals import Originals, State, Told
from engine.ledger.dynamodb.attributes import encode, encode_item
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.stream import Told as Kind
from engine.ledger.dynamodb.stream import record_of
from engine.ledger.moved import Moved
from engine.ledger.store import Tables
from engine.policy import parse_policy
from tests.support.archived import Archived
from tests.support.clock import ManualClock
from tests.support.events import event, failed, rendered
from tests.support.policies import EXAMPLE
from tests.support.world import DisturbedClient, World
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

MARK = ("reconciled", "reconciledStatus", "reconciledSequence")
GRANT = """
  - name: grant-purchased
    match: {source: [video.generation], detail-type: [credits.purchased]}
    action: grant
    grant: {price: credit, quantity: detail.credits}
"""
POLICY = (
    EXAMPLE.replace("time: time}", "time: time, reference: detail.purchaseId}", 1)
    .replace("overdraft: flag", "overdraft: refuse", 1)
    .replace("\noverdraft:", f"{GRANT}overdraft:", 1)
    .replace("rules:\n", "  credit: [{effective: 2025-01-01T00:00:00Z, rates: {default: 1}}]\nrules:\n", 1)
)

type Items = list[dict[str, Any]]


def story() -> list[dict[str, Any]]:
    """Return what happened: charges, refunds, a job that failed first, a flagged entry, a purchase, a refused charge."""
    return [
        rendered("j-1"),
        rendered("j-2"),
        failed("j-2"),
        failed("j-3", at="09:00"),
        rendered("j-4", seconds=600, user="u-2"),
        event("credits.purchased", {"purchaseId": "p-1", "userId": "u-2", "credits": 25}),
        rendered("j-5", user="u-3"),
    ]


@define
class Place:
    """Tables with a history, their archive in a folder, and the restore at work on them or on others."""

    world: World
    archived: Archived
    policy: Path
    told: list[dict[str, Any]] = field(factory=list)

    @property
    def client(self) -> Any:
        """Return the client."""
        return self.world.client

    def items(self, table: str) -> Items:
        """Return all items of a table in an order of their own."""
        pages = self.client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return sorted((item for page in pages for item in page["Items"]), key=lambda item: json.dumps(item, sort_keys=True))

    def odd_items(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the entries by their keys, bytes too."""
        items = self.client.scan(TableName=self.world.tables.ledger)["Items"]
        return {(item["reference"]["S"], item["sequence"]["N"]): item for item in items}

    def tables(self) -> tuple[Items, Items, Items]:
        """Return Ledger, Credits and Jobs to the item."""
        tables = self.world.tables
        return self.items(tables.ledger), self.items(tables.credits), self.items(tables.jobs)

    def restore(self, *options: str, tables: Tables | None = None) -> tuple[int, dict[str, Any]]:
        """Give the command, and return its status and its answer."""
        assert isinstance(self.archived.bucket, FolderBucket)
        words = ["archive", "restore", "--archive", str(self.archived.bucket.folder), "--policy", str(self.policy), "--json"]
        environment = tables_environment(tables or self.world.tables)
        result = CliRunner().invoke(app, [*words, *options], env=environment)
        assert result.exit_code in {0, 1}, f"{result.output} {result.exception!r}"
        answer: dict[str, Any] = json.loads(result.stdout)
        return result.exit_code, answer

    def update(self, table: str, key: dict[str, Any], update: str, **values: Any) -> None:
        """Change an item as somebody does who goes around the engine."""
        given = {"ExpressionAttributeValues": encode_item({f":{name}": value for name, value in values.items()})}
        self.client.update_item(TableName=table, Key=encode_item(key), UpdateExpression=update, **(given if values else {}))

    def change(self, reference: str, sequence: int, update: str, **values: Any) -> None:
        """Change an entry."""
        self.update(self.world.tables.ledger, {"reference": reference, "sequence": sequence}, update, **values)

    def remove(self, reference: str, sequence: int | Decimal) -> None:
        """Remove an entry."""
        key = encode_item({"reference": reference, "sequence": sequence})
        self.client.delete_item(TableName=self.world.tables.ledger, Key=key)

    def tell_again(self) -> None:
        """Send all events once more, and let a scan look at all jobs."""
        self.world.deliver(*self.told, source=Source.REPLAY)
        self.world.scan()


@pytest.fixture
def place(dynamodb: Any, tables: Tables, local_aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return the story, told; the jobs' rows as the application has them by then; one entry is explained, all is archived."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", local_aws)
    monkeypatch.setattr("engine.audit.restore.SECONDS_BETWEEN_LOOKS", 0)
    policy, copy = tmp_path / "policy.yaml", tmp_path / "copy"
    policy.write_text(POLICY)
    copy.mkdir()
    world = World(dynamodb, tables, parse_policy(POLICY, "policy.yaml"), ManualClock().clock())
    for user, remaining in {"u-1": "1000", "u-2": "100", "u-3": "0.5"}.items():
        world.user(user, remaining)
    failures = {"status": "failed", "updatedAt": "2026-01-05T11:00:00Z"}
    world.job("j-1").job("j-2", **failures).job("j-3", **failures | {"updatedAt": "2026-01-05T09:00:00Z"})
    world.job("j-4", userId="u-2", seconds=600).job("j-5", userId="u-3")
    made = Place(world, Archived(dynamodb, tables.ledger, bucket=FolderBucket(copy)), policy, story())
    made.archived.heads = DynamoHeads(dynamodb, tables.seals)
    world.deliver(*made.told)
    made.archived.hand_over()
    made.change("job#j-4", 1, "SET explanation = :words", words={"text": "ten minutes of video", "by": "gpt-4.1"})
    made.archived.hand_over()
    return made


def is_what_the_tests_take_it_for(world: World) -> None:
    """60.00 for ten minutes, flagged; 0.80 given back; nothing for what failed first; u-3 has too little."""
    amounts = {job: world.amounts(job) for job in ("j-1", "j-2", "j-3", "j-4", "j-5")}

    assert amounts == {
        "j-1": [("debit", Decimal("-0.8"))],
        "j-2": [("debit", Decimal("-0.8")), ("refund", Decimal("0.8"))],
        "j-3": [("void", 0)],
        "j-4": [("debit", Decimal(-60))],
        "j-5": [("flag", 0)],
    }


# --- all is lost ------------------------------------------------------------------------------------------------------


def emptied(place: Place, tables: Tables) -> None:
    """Let new tables have what the application has: users with what it gave them, jobs without marks."""
    for row in place.items(place.world.tables.credits):
        given = Decimal(row["remaining"]["N"]) - Decimal(row.get("posted", {"N": "0"})["N"])
        item = {name: value for name, value in row.items() if name != "posted"} | {"remaining": encode(given)}
        place.client.put_item(TableName=tables.credits, Item=item)
    for row in place.items(place.world.tables.jobs):
        item = {name: value for name, value in row.items() if name not in MARK}
        place.client.put_item(TableName=tables.jobs, Item=item)


def test_new_tables_get_every_entry_what_was_posted_and_the_marks(place: Place, new_tables: Callable[[], Tables]) -> None:
    """To the item. The balance is the application's: it gives what it had given and what was posted, once, by ADD."""
    is_what_the_tests_take_it_for(place.world)
    before, tables, old = place.tables(), new_tables(), place.world.tables
    emptied(place, tables)
    was_empty = place.items(tables.ledger), place.items(tables.credits), place.items(tables.jobs)

    status, looked = place.restore(tables=tables)
    assert (1, 7, 7, 0) == (status, looked["archived"], looked["missing"], looked["changed"])
    assert was_empty == (place.items(tables.ledger), place.items(tables.credits), place.items(tables.jobs))

    status, done = place.restore("--yes", tables=tables)
    assert (0, 7, 2) == (status, done["written"]["entries"], done["written"]["posted"])
    assert (4, 1, True) == (done["written"]["marked"], done["written"]["due"], done["written"]["head"])
    for user, posted in (("u-1", "-0.8"), ("u-2", "-35")):
        place.update(tables.credits, {"userId": user}, "ADD remaining :posted", posted=Decimal(posted))
    place.world.tables = tables
    refused = [row for row in before[2] if row["jobId"]["S"] == "j-5"]
    assert before[0] == place.items(tables.ledger)
    assert before[1] == place.items(tables.credits)
    assert [row for row in before[2] if row not in refused] == [row for row in place.items(tables.jobs) if "reconciled" in row]
    assert DynamoHeads(place.client, old.seals).head(place.archived.deadline) == DynamoHeads(place.client, tables.seals).head(
        place.archived.deadline
    )

    place.world.deliver(rendered("j-5", user="u-3"), source=Source.REPLAY)  # it is still due, and refused again
    place.world.scan()
    restored = place.tables()
    place.tell_again()
    assert restored == place.tables()
    assert (0, 0) == (place.restore()[0], place.restore("--yes")[1]["written"]["entries"])


def test_users_without_a_row_get_what_was_posted_and_are_listed(
    place: Place, new_tables: Callable[[], Tables], tmp_path: Path
) -> None:
    """What the application gave is in no archive: a person is told whom, and of each what was posted."""
    tables, file = new_tables(), tmp_path / "balances.csv"

    status, done = place.restore("--yes", "--balances", str(file), tables=tables)

    assert (0, 3) == (status, done["withoutBalance"])
    assert ["user,posted", "u-1,-0.8", "u-2,-35", "u-3,0"] == file.read_text().splitlines()
    rows = [{"userId": {"S": "u-1"}, "posted": {"N": "-0.8"}}, {"userId": {"S": "u-2"}, "posted": {"N": "-35"}}]
    assert sorted(map(str, rows)) == sorted(map(str, place.items(tables.credits)))


# --- some of it is damaged --------------------------------------------------------------------------------------------


def damage(place: Place) -> None:
    """Change and remove entries, an explanation, what was posted, and marks."""
    tables = place.world.tables
    changes = "SET amount = :n, cost = :n, forged = :text, explanation = :text REMOVE postedAt"
    place.change("job#j-1", 1, changes, n=Decimal("-0.1"), text="by hand")
    place.remove("job#j-2", 1)
    place.change("job#j-4", 1, "SET explanation = :words", words="nothing to see here")
    place.remove("grant#p-1", 1)
    place.update(tables.credits, {"userId": "u-1"}, "SET posted = :n", n=Decimal(5))
    place.update(tables.credits, {"userId": "u-2"}, "SET posted = :n", n="no number")
    place.update(tables.jobs, {"jobId": "j-1"}, f"REMOVE {', '.join(MARK)}")
    place.update(tables.jobs, {"jobId": "j-2"}, "SET reconciledSequence = :n", n=9)


def test_damaged_tables_are_as_they_were(place: Place) -> None:
    """Looked at, nothing is written; said so, every item is again what it was; said so again, nothing is left to do."""
    before = place.tables()
    damage(place)
    damaged = place.tables()

    status, looked = place.restore()
    assert (1, damaged) == (status, place.tables())
    assert (2, 1, 1) == (looked["missing"], looked["changed"], looked["unexplained"])
    assert (2, 1) == (looked["posted"], looked["looseMarks"])
    assert ["job#j-1, entry 1"] == looked["named"]["changed"]
    assert "u-1: -0.8 was posted, Credits says 5" in looked["named"]["posted"]

    status, done = place.restore("--yes")
    assert (0, 4, 2, 1, 2) == (status, *(done["written"][name] for name in ("entries", "posted", "unmarked", "marked")))
    assert before == place.tables()
    assert (0, 0) == (place.restore()[0], place.restore("--yes")[1]["written"]["entries"])


def test_a_person_reads_what_differs_and_what_was_written(place: Place) -> None:
    """The numbers, some places of each kind by name, and what is left to do."""
    assert isinstance(place.archived.bucket, FolderBucket)
    words = ["archive", "restore", "--archive", str(place.archived.bucket.folder), "--policy", str(place.policy)]
    environment = {**tables_environment(place.world.tables), "COLUMNS": "200"}
    damage(place)

    looked = CliRunner().invoke(app, words, env=environment)
    done = CliRunner().invoke(app, [*words, "--yes"], env=environment)

    assert (1, 0) == (looked.exit_code, done.exit_code)
    shown = [line.split() for line in looked.stdout.splitlines()]
    assert all(line in shown for line in (["missing", "2"], ["changed", "1"], ["posted", "2"]))
    assert "changed: job#j-1, entry 1" in looked.stdout
    assert "posted: u-2: -35 was posted, Credits says no number" in looked.stdout
    assert "nothing was written; --yes writes what differs" in looked.stdout
    assert "Written" in done.stdout.splitlines()
    assert ["entries", "4"] in map(str.split, done.stdout.splitlines())


def test_an_archive_has_to_be_named(tmp_path: Path) -> None:
    """By an option, the stack or the variable; a folder that is not there is none."""
    for words, said in (
        ([], "name the archive, like s3://BUCKET, or a --stack"),
        (["--archive", str(tmp_path / "none")], "there is no such folder"),
        (["--archive", "s3://bucket/with/folder"], "is no bucket"),
    ):
        result = CliRunner().invoke(app, ["archive", "restore", *words], env={"COLUMNS": "200"})
        assert (2, True) == (result.exit_code, said in result.stderr), result.stderr


def test_what_the_archive_has_twice_is_put_back_once(place: Place) -> None:
    """Batches that came again, and what a writer left behind when it died."""
    place.world.deliver(rendered("j-6"))
    records = place.archived.hand_over(repeated=True)
    before = place.tables()
    place.remove("job#j-6", 1)

    status, done = place.restore("--yes")

    assert (0, len(records), 1) == (status, done["repeated"], done["written"]["entries"])
    assert before == place.tables()


def test_an_entry_that_the_archive_has_not_stays_and_its_user_is_left(place: Place) -> None:
    """Forged, or posted a moment ago: an audit says which. What was posted of its user is not guessed."""
    table = place.world.tables.ledger
    entry = next(item for item in place.items(table) if item["reference"]["S"] == "job#j-1")
    forged = {**entry, "sequence": {"N": "2"}, "amount": {"N": "500"}}
    place.client.put_item(TableName=table, Item=forged)
    place.update(place.world.tables.credits, {"userId": "u-1"}, "SET posted = :n", n=Decimal("499.2"))
    before = place.tables()

    status, done = place.restore("--yes")

    assert (1, 1, ["u-1"], ["job#j-1, entry 2"]) == (status, done["unarchived"], done["left"], done["named"]["unarchived"])
    assert before == place.tables()


def test_a_place_into_which_two_entries_came_is_left_to_a_person(place: Place) -> None:
    """Somebody freed it. The first may be the forged one: what stands there is not written over."""
    place.remove("job#j-1", 1)
    place.archived.hand_over()
    place.world.deliver(rendered("j-1", seconds=9))
    place.archived.hand_over()
    before = place.tables()[0]

    status, done = place.restore("--yes")

    assert (1, 1, ["job#j-1, entry 1"]) == (status, done["replaced"], done["named"]["replaced"])
    assert before == place.tables()[0]


def test_an_archive_that_is_not_whole_restores_nothing(place: Place) -> None:
    """One object is gone: half of an archive would put half of a ledger back, and take marks away that are right."""
    damage(place)
    damaged = place.tables()
    assert isinstance(place.archived.bucket, FolderBucket)
    next(iter(sorted(place.archived.bucket.folder.rglob("*.gz")))).unlink()

    status, answer = place.restore("--yes")

    assert 1 == status
    assert "missing" in answer["problems"][0]
    assert "written" not in answer
    assert damaged == place.tables()
    work = restoring(place)
    found, marks = work.look(), DynamoStore(place.client, place.world.tables, place.world.clock).marks()
    with pytest.raises(LedgerRefused, match="is not whole"):
        work.write(found, marks)


# --- beside others, and in pieces -------------------------------------------------------------------------------------


def restoring(place: Place, client: Any = None) -> Restore:
    """Return a restore on a client of its own."""
    ledger = DynamoStore(client or place.client, place.world.tables, place.world.clock)
    return Restore(ledger.restores(), ledger.audits(), place.archived.bucket, place.archived.deadline, workers=1)


def test_a_restore_says_of_each_step_how_far_it_is(place: Place) -> None:
    """The entries are in one object, what was explained later in another; of seven entries two are gone, and come back."""
    place.remove("job#j-1", 1)
    place.remove("job#j-2", 2)
    work, steps = restoring(place), list[tuple[str, int]]()
    work.seen = lambda step, count: steps.append((step, count))
    work.write(work.look(), DynamoStore(place.client, place.world.tables, place.world.clock).marks())

    read = [("objects of the archive", 1), ("objects of the archive", 2)]
    compared = [("entries of the ledger", count) for count in range(1, 6)]
    assert [*read, *compared, ("entries put back", 2)] == steps


def test_events_that_are_posted_meanwhile_are_not_harmed(place: Place) -> None:
    """At every fifth of the restore's calls something is posted. When all is quiet the same command finishes its work."""
    damage(place)
    place.update(place.world.tables.credits, {"userId": "u-2"}, "SET posted = :n", n=Decimal(7))
    numbers = iter(range(1000))

    def disturb(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        posts = next(numbers)
        if posts % 5 == 0:
            more = rendered(f"m-{posts}", user="u-1" if posts % 2 else "u-2", seconds=1)
            place.told.append(more)
            place.world.deliver(more)
        return send(**request)

    client = DisturbedClient(place.client, disturb)
    work = restoring(place, client)
    work.write(work.look(), DynamoStore(client, place.world.tables, place.world.clock).marks())
    place.archived.hand_over()

    status, done = place.restore("--yes")

    assert (0, []) == (status, done["left"])
    after = place.tables()
    assert {"u-1": sum_of(after[0], "u-1"), "u-2": sum_of(after[0], "u-2")} == {
        row["userId"]["S"]: Decimal(row["posted"]["N"]) for row in after[1] if "posted" in row
    }
    assert len(after[0]) == 7 + sum(
        event["detail"]["jobId"].startswith("m-") for event in place.told if "jobId" in event["detail"]
    )
    place.tell_again()
    assert after[0] == place.tables()[0]


def sum_of(entries: Items, user: str) -> Decimal:
    """Return what the entries of a user add up to."""
    return sum((Decimal(entry["amount"]["N"]) for entry in entries if entry["userId"]["S"] == user), Decimal(0))


class Killed(BaseException):
    """The process is gone."""


def test_a_restore_that_dies_anywhere_goes_on(place: Place) -> None:
    """Killed behind each of its writes, whose answer it never hears, and begun again: at the end every item is what it was."""
    before = place.tables()
    damage(place)

    kills = sum(1 for _ in killed_everywhere(place))
    place.restore("--yes")

    assert 4 <= kills  # entries of one object, perhaps several at once; two users; a mark. Marks are given when that is done
    assert before == place.tables()


def killed_everywhere(place: Place) -> Iterator[None]:
    """Begin a restore again and again, each killed behind its first write, until one has nothing to write."""

    def disturb(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        answer = send(**request)
        if operation in {"put_item", "update_item"}:
            raise Killed
        return answer

    client = DisturbedClient(place.client, disturb)
    marks = DynamoStore(client, place.world.tables, place.world.clock).marks()
    while True:
        work = restoring(place, client)
        try:
            work.write(work.look(), marks)
        except Killed:
            yield
        else:
            return


def test_without_a_head_the_chain_goes_on_where_it_ends(place: Place) -> None:
    """Of a ledger that was taken in, all is lost: a writer that found no head would begin a chain that nobody follows."""
    table, seals = place.world.tables.ledger, place.world.tables.seals
    folder = place.policy.parent / "another"
    folder.mkdir()
    place.archived = Archived(place.client, table, bucket=FolderBucket(folder))
    place.archived.take_in()
    before, last = place.items(table), place.archived.heads.head(place.archived.deadline)
    for item in before:
        place.client.delete_item(TableName=table, Key={name: item[name] for name in ("reference", "sequence")})
    place.client.delete_item(TableName=seals, Key={"id": {"S": "archive"}, "number": {"N": "0"}})

    assert place.restore()[0] == 1
    assert DynamoHeads(place.client, seals).head(place.archived.deadline) == EMPTY
    status, done = place.restore("--yes")

    assert (0, 7, True) == (status, done["written"]["entries"], done["written"]["head"])
    assert DynamoHeads(place.client, seals).head(place.archived.deadline) == last
    assert before == place.items(table)


@pytest.mark.proof
def test_what_somebody_has_put_there_by_hand_is_restored_as_it_was(place: Place) -> None:
    """Archived as it came: bytes, sets, a sequence that is no number of an entry. It is an audit's to say what it is."""
    table = place.world.tables.ledger
    entry = next(item for item in place.items(table) if item["reference"]["S"] == "job#j-1")
    odd = {
        **entry,
        "sequence": {"N": "1.5"},
        "facts": {"M": {"x": {"L": [{"B": b"\x00\xff"}, {"BS": [b"a"]}]}, "y": {"NULL": True}}},
        "amount": {"N": "500"},
        "cost": {"N": "9E+100"},
        "explanation": {"SS": ["a", "b"]},
    }
    del odd["userId"]
    place.client.put_item(TableName=table, Item=odd)
    place.archived.hand_over()
    before, credits_before = place.odd_items(), place.items(place.world.tables.credits)
    place.remove("job#j-1", Decimal("1.5"))

    status, done = place.restore("--yes")

    assert (0, 1) == (status, done["written"]["entries"])
    assert (before, credits_before) == (place.odd_items(), place.items(place.world.tables.credits))
    assert 0 == place.restore()[0]


def test_a_line_that_is_no_record_is_a_problem_of_the_archive(place: Place) -> None:
    """It is named, and nothing is restored over it."""
    item = place.items(place.world.tables.ledger)[0]
    place.archived.tell(record_of(Kind.TAKEN_IN, place.world.clock.now(), item))

    append(
        place.archived.bucket, place.archived.heads, ['{"told":"insert"}'], place.world.clock.now(), place.archived.deadline
    )

    before = place.tables()
    place.remove("job#j-1", 1)
    damaged = place.tables()

    status, answer = place.restore("--yes")

    assert 1 == status
    assert "line 2: is no record of the archive" in answer["problems"][0]
    assert ("written" not in answer, damaged) == (True, place.tables())
    said = Acknowledged(answer["problems"][0], "ann", "2026-11-29T08:00:00Z", "put there by a newer version")
    keep(place.archived.bucket, said, place.archived.deadline)
    status, answer = place.restore("--yes")
    assert (0, [], [said.problem]) == (status, answer["problems"], [each["problem"] for each in answer["acknowledged"]])
    assert before == place.tables()


def test_an_original_without_a_user_is_in_no_sum() -> None:
    """Somebody has put it there: no row of Credits can be asked for it."""
    with Originals() as originals:
        told = Told(("job#j-1", 1), "ab", is_whole=True, user="u-1", moves=Moved(Decimal(-2), Decimal(2)))
        originals.take("ab" * 32, [(0, told), (1, evolve(told, key=("job#j-1", 2), user="", moves=Moved(Decimal(500))))])

        assert (2, {"u-1": Moved(Decimal(-2), Decimal(2))}) == (originals.count, dict(originals.sums))


def test_states_have_the_names_that_the_answer_gives() -> None:
    """The JSON names them."""
    assert ["missing", "same", "changed", "unexplained", "replaced"] == [state.name.lower() for state in State]
