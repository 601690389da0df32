"""After a restore: marks go whose entries are gone, all others stay, and the next scan posts what is missing, once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from typer.testing import CliRunner, Result

from engine.cli.app import app
from engine.domain.instants import instant_text
from engine.ledger.dynamodb.attributes import decode_item, encode, encode_item
from engine.ledger.dynamodb.marked import MARK, DynamoMarkStore
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import ScanSlice, Tables
from engine.ledger.stored import EntryKey
from engine.reconcile.unmark import Unmarker, UnmarkReport
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

FINE, MISUSED = 0, 2
RESTORED_TO = datetime(2026, 1, 6, tzinfo=UTC)
SINCE = instant_text(RESTORED_TO)


@define
class Restored:
    """A world that is restored to midnight: what was posted later is gone from the Ledger, and its marks are not."""

    world: World
    time: ManualClock
    _kept: list[dict[str, Any]]

    def lose(self) -> World:
        """Take Ledger and Credits back to what they were when they were kept."""
        dynamodb, tables = self.world.client, self.world.tables
        for item in dynamodb.scan(TableName=tables.ledger)["Items"]:
            key = {name: item[name] for name in ("reference", "sequence")}
            dynamodb.delete_item(TableName=tables.ledger, Key=key)
        for table, items in zip((tables.ledger, tables.credits), self._kept, strict=True):
            for item in items["Items"]:
                dynamodb.put_item(TableName=table, Item=item)
        return self.world

    def keep(self) -> None:
        """Remember both tables as they are now, an hour before midnight; then it is an hour after it."""
        tables = self.world.tables
        self._kept = [self.world.client.scan(TableName=table) for table in (tables.ledger, tables.credits)]
        self.time.wait(2 * 3600)


@pytest.fixture
def restored(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, policy: Path) -> Restored:
    """Return tables with a user of 1,000 credits, and the command pointed at them."""
    for name, value in {
        "AWS_ENDPOINT_URL_DYNAMODB": local_aws,
        "JOBS_TABLE": tables.jobs,
        "CREDITS_TABLE": tables.credits,
        "LEDGER_TABLE": tables.ledger,
        "STATE_TABLE": tables.state,
        "POLICY_FILE": str(policy),
    }.items():
        monkeypatch.setenv(name, value)
    time = ManualClock(elapsed=11 * 3600.0)  # since noon
    return Restored(World(dynamodb, tables, clock=time.clock()).user("u-1", "1000"), time, [])


def reconciler(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, list(arguments))


def unmarked(*options: str) -> dict[str, Any]:
    """Run it, and return its answer."""
    result = reconciler("unmark", "--since", SINCE, "--json", *options)
    assert FINE == result.exit_code, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def mark(world: World, job: str) -> list[Any]:
    """Return the three attributes of a job's mark."""
    row = world.job_row(job) or {}
    return [row.get(name) for name in MARK]


def test_marks_whose_entries_are_gone_go_and_the_scan_posts_what_is_missing_once(restored: Restored) -> None:
    """8 s at 0.10 are 0.80. One job was charged before, one after, one failed after; all that work is older."""
    world = restored.world.job("j-before").job("j-after").job("j-failed")
    world.deliver(rendered("j-before"), rendered("j-failed"))
    restored.keep()
    world.client.update_item(
        TableName=world.tables.jobs, Key=encode_item({"jobId": "j-failed"}), UpdateExpression="SET #s = :s, updatedAt = :t",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": encode("failed"), ":t": encode("2026-01-05T11:00:00Z")},
    )  # fmt: skip
    world.deliver(rendered("j-after"), failed("j-failed"))
    assert [True, "failed"] == mark(world, "j-failed")[:2]
    restored.lose()
    assert 0 == json.loads(reconciler("scan", "--json").stdout)["adjustments"], "the marks hide what is missing"

    answer = unmarked()
    after = [mark(world, job) for job in ("j-before", "j-after", "j-failed")]
    first, second = (json.loads(reconciler("scan", "--json").stdout) for _ in range(2))

    assert {"since": SINCE, "dryRun": False, "marks": 3, "unmarked": 2, "changed": 0, "unnumbered": 0} == answer
    assert [[True, "completed", 1], [None] * 3, [None] * 3] == after
    assert (2, 0) == (first["adjustments"], second["adjustments"])
    assert [Decimal("-0.8")] == [amount for _, amount in world.amounts("j-before")]
    assert [Decimal("-0.8")] == [amount for _, amount in world.amounts("j-after")]
    assert [Decimal("-0.8"), Decimal("0.8")] == [amount for _, amount in world.amounts("j-failed")]
    assert [True, "failed", 2] == mark(world, "j-failed")
    row = world.user_row() or {}
    assert (Decimal("998.4"), Decimal("-1.6")) == (row["remaining"], row["posted"])


def test_a_dry_run_counts_and_takes_nothing_away(restored: Restored) -> None:
    """``--verbose`` names each job with its mark."""
    world = restored.world.job("j-1")
    restored.keep()
    world.deliver(rendered("j-1"))
    before = restored.lose().everything()

    answer = unmarked("--dry-run")
    told = json.loads(reconciler("unmark", "--since", SINCE, "--dry-run", "--verbose").stderr.strip())

    assert (True, 1, 1) == (answer["dryRun"], answer["marks"], answer["unmarked"])
    expected = {"outcome": "unmarked", "job": "j-1", "reconciled": True, "reconciledStatus": "completed"}
    assert {**expected, "reconciledSequence": "1"} == told
    assert before == world.everything()


def test_a_mark_on_an_entry_that_was_posted_since_the_restore_goes_too(restored: Restored) -> None:
    """The lost refund was entry 2, and so is what was posted after the restore: which one is meant nobody can tell."""
    world = restored.world.job("j-1")
    world.deliver(rendered("j-1"))
    restored.keep()
    world.deliver(failed("j-1"))
    restored.lose()
    world.deliver(rendered("j-1", at="09:00", seconds=9))

    assert 2 == len(world.entries("j-1"))
    assert 1 == unmarked()["unmarked"]
    assert [None] * 3 == mark(world, "j-1")


ODD: dict[str, tuple[dict[str, Any], bool]] = {
    "refused, and due again": ({"reconciled": False, "reconciledSequence": 4}, True),
    "a sequence that no log has": ({"reconciled": True, "reconciledSequence": Decimal("0.5")}, True),
    "a status that is no text": ({"reconciled": True, "reconciledStatus": ["x", None], "reconciledSequence": 1}, True),
    "a sequence alone": ({"reconciledSequence": 7}, True),
    "made by hand": ({"reconciled": True, "reconciledStatus": "completed"}, False),
    "a sequence that is a text": ({"reconciled": True, "reconciledSequence": "1"}, False),
    "a sequence that is nothing": ({"reconciledSequence": {}}, False),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "goes"), ODD.values(), ids=ODD)
def test_a_mark_of_any_form_is_told_apart_by_the_entry_that_it_names(
    restored: Restored,
    columns: dict[str, Any],
    goes: bool,  # noqa: FBT001
) -> None:
    """One that names no entry stays: old jobs are marked by hand so that nobody is charged for them."""
    before = restored.world.job("j-1", **columns).job_row() or {}

    answer = unmarked()

    assert (1, int(goes), int(not goes)) == (answer["marks"], answer["unmarked"], answer["unnumbered"])
    assert {name: value for name, value in before.items() if not (goes and name in MARK)} == restored.world.job_row()


def test_what_stays_without_an_entry_is_told(restored: Restored) -> None:
    """So that nobody takes it for settled."""
    restored.world.job("j-1", reconciled=True, reconciledStatus="completed")

    assert "1 marks name no entry" in reconciler("unmark", "--since", SINCE).stderr


def test_a_job_whose_name_is_too_long_for_an_entry_holds_up_no_other(restored: Restored) -> None:
    """Its key has 2,048 bytes, the reference four more: DynamoDB would refuse to look for it."""
    restored.world.job("j" * 2048, reconciledSequence=1).job("j-1", reconciledSequence=1)

    assert 2 == unmarked()["unmarked"]


@pytest.mark.parametrize("others", [{"reconciledSequence": 2}, {"reconciledStatus": "failed"}, {"reconciled": False}, None])
def test_a_mark_that_changed_since_it_was_read_stays(restored: Restored, others: dict[str, Any] | None) -> None:
    """Whichever part of it: another's mark is not ours to judge. And a row that is gone is not made again."""
    world = restored.world.job("j-1", reconciled=True, reconciledStatus="completed", reconciledSequence=1)

    def meanwhile(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation == "update_item":
            _change(world, others)
        return send(**request)

    marks = DynamoMarkStore(DisturbedClient(world.client, meanwhile), world.tables)
    report = Unmarker(marks, RESTORED_TO, is_dry=False).run(ScanSlice(), world.deadline())

    assert UnmarkReport(marks=1, changed=1) == report
    expected = {"reconciled": True, "reconciledStatus": "completed", "reconciledSequence": 1, **(others or {})}
    assert ([None] * 3 if others is None else [expected[name] for name in MARK]) == mark(world, "j-1")


def _change(world: World, others: dict[str, Any] | None) -> None:
    if others is None:
        world.client.delete_item(TableName=world.tables.jobs, Key=encode_item({"jobId": "j-1"}))
    else:
        world.job("j-1", **{"reconciled": True, "reconciledStatus": "completed", "reconciledSequence": 1, **others})


def test_entries_are_asked_for_by_hundreds_and_what_dynamodb_leaves_is_asked_for_again(restored: Restored) -> None:
    """150 marks; of each request DynamoDB leaves all but 60 keys. 50 entries are there: 100 marks go, in pages of 70."""
    world, asked = restored.world, []
    for number in range(150):
        world.job(f"j-{number}", reconciled=True, reconciledStatus="completed", reconciledSequence=1)
    for number in range(50):
        entry = {"reference": f"job#j-{number}", "sequence": 1, "postedAt": "2026-01-05T23:00:00.000000Z"}
        world.client.put_item(TableName=world.tables.ledger, Item=encode_item(entry))

    def reluctantly(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation == "scan":
            return send(**request, Limit=70)
        if operation != "batch_get_item":
            return send(**request)
        ((table, wanted),) = request["RequestItems"].items()
        asked.append(len(wanted["Keys"]))
        answer = send(RequestItems={table: {**wanted, "Keys": wanted["Keys"][:60]}})
        return {**answer, "UnprocessedKeys": {table: {**wanted, "Keys": wanted["Keys"][60:]}} if asked[-1] > 60 else {}}

    pages: list[int] = []
    marks = DynamoMarkStore(DisturbedClient(world.client, reluctantly), world.tables)
    report = Unmarker(marks, RESTORED_TO, is_dry=False, seen=pages.append).run(ScanSlice(), world.deadline())

    assert UnmarkReport(marks=150, unmarked=100) == report
    assert [70, 70, 10] == pages
    assert [70, 10, 70, 10, 10] == asked
    left = [decode_item(item) for item in world.client.scan(TableName=world.tables.jobs)["Items"]]
    assert {f"j-{number}" for number in range(50)} == {row["jobId"] for row in left if "reconciled" in row}


def test_more_than_a_hundred_entries_are_asked_for_in_several_requests(restored: Restored) -> None:
    """DynamoDB takes a hundred keys at once; of equal keys it takes one."""
    asked: list[int] = []

    def counted(_: str, request: dict[str, Any], send: Any) -> Any:
        asked.append(len(request["RequestItems"][restored.world.tables.ledger]["Keys"]))
        return send(**request)

    marks = DynamoMarkStore(DisturbedClient(restored.world.client, counted), restored.world.tables)
    keys: list[EntryKey] = [(f"job#j-{number % 130}", 1) for number in range(260)]

    assert {} == marks.posted_at(keys, restored.world.deadline())
    assert [100, 30] == asked


def test_what_is_read_is_strongly_consistent_and_only_what_is_needed(restored: Restored) -> None:
    """A mark that was set a moment ago is seen, and so is its entry."""
    restored.world.job("j-1", reconciledSequence=1)
    requests: dict[str, dict[str, Any]] = {}

    def noted(operation: str, request: dict[str, Any], send: Any) -> Any:
        requests[operation] = request
        return send(**request)

    marks = DynamoStore(DisturbedClient(restored.world.client, noted), restored.world.tables, restored.world.clock).marks()
    Unmarker(marks, RESTORED_TO, is_dry=False).run(ScanSlice(), restored.world.deadline())

    assert ["scan", "batch_get_item", "update_item"] == list(requests)
    (wanted,) = requests["batch_get_item"]["RequestItems"].values()
    assert True is requests["scan"]["ConsistentRead"] is wanted["ConsistentRead"]
    assert {"reference", "sequence", "postedAt"} == set(wanted["ExpressionAttributeNames"].values())


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("2026-01-06", "no instant with its zone"),
        ("2026-01-06T00:00:00", "no instant with its zone"),
        ("yesterday", "no instant with its zone"),
        ("2999-01-01T00:00:00Z", "still to come"),
    ],
)
def test_an_instant_that_is_none_is_wrong_usage(restored: Restored, since: str, said: str) -> None:
    """And nothing is read."""
    restored.world.job("j-1", reconciledSequence=1)

    result = reconciler("unmark", "--since", since)

    assert MISUSED == result.exit_code
    assert said in result.stderr
    assert 1 == mark(restored.world, "j-1")[2]


def test_without_an_instant_it_is_wrong_usage(restored: Restored) -> None:
    """There is no instant that one would want by default."""
    assert MISUSED == reconciler("unmark").exit_code
