"""``reconciler export``: every entry once, exact, in the form of the archive; it goes on where it stopped."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from attrs import define
from typer.testing import CliRunner

from engine.cli.app import app
from engine.domain.errors import LedgerRefused
from engine.ledger.dynamodb.exports import DynamoExportStore
from engine.ledger.dynamodb.stream import Record, Told
from engine.ledger.seals import canonical
from engine.ledger.store import Tables
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.world import World
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

NOON, HOUR = datetime(2026, 1, 5, 12, tzinfo=UTC), 3600


@define
class Place:
    """A ledger whose entries were posted an hour apart, beginning at noon, and a folder for exports."""

    world: World
    folder: Path

    def export(self, *options: str, status: int = 0) -> dict[str, Any]:
        """Give the command, and return its answer."""
        words = ["export", "--out", str(self.folder), "--json", *options]
        result = CliRunner().invoke(app, words, env=tables_environment(self.world.tables))
        assert status == result.exit_code, f"{result.output} {result.exception!r}"
        answer: dict[str, Any] = json.loads(result.stdout) if not status else {"said": result.stderr}
        return answer

    def lines(self) -> list[str]:
        """Return all lines."""
        files = sorted(self.folder.glob("*.jsonl.gz"))
        return [line for file in files for line in gzip.decompress(file.read_bytes()).decode().splitlines()]

    def items(self) -> list[dict[str, Any]]:
        """Return the table."""
        items: list[dict[str, Any]] = self.world.client.scan(TableName=self.world.tables.ledger)["Items"]
        return items


@pytest.fixture
def place(dynamodb: Any, tables: Tables, local_aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return six entries of three hours, and one that somebody has put there without an instant."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", local_aws)
    time = ManualClock()
    world = World(dynamodb, tables, clock=time.clock()).user("u-1").user("u-2")
    for events in (
        [rendered("j-1"), rendered("j-2", user="u-2")],
        [failed("j-2", user="u-2")],
        [rendered("j-3"), failed("j-3")],
    ):
        world.deliver(*events)
        time.wait(HOUR)
    odd = {"reference": {"S": "job#j-9"}, "sequence": {"N": "1.5"}, "explanation": {"S": "words"}}
    dynamodb.put_item(TableName=tables.ledger, Item=odd)
    return Place(world, tmp_path / "export")


def records(lines: list[str]) -> dict[str, Record]:
    """Return what lines tell, by the text of their item."""
    return {text_of(record): record for record in map(Record.read, lines)}


def text_of(record: Record) -> str:
    """Return the whole item of a record as a text."""
    words = {"explanation": record.explanation} if record.explanation else {}
    return canonical({**(record.item or {}), **words})


def test_every_entry_is_a_line_as_the_archive_has_it(place: Place) -> None:
    """To the digit, with its digest; taken in at the instant of the export."""
    answer = place.export()

    told = records(place.lines())
    assert {canonical(item) for item in place.items()} == told.keys()
    assert (6, 6, 8) == (answer["entries"], len(place.lines()), answer["files"])
    assert {Told.TAKEN_IN} == {record.told for record in told.values()}
    begun = json.loads((place.folder / "export.json").read_text())
    assert {begun["at"]} == {record.at for record in told.values()}


def test_a_span_is_by_when_an_entry_was_posted(place: Place) -> None:
    """What does not say when is in each, so that nothing can hide in between."""
    spans = {
        ("--until", "2026-01-05T12:30:00Z"): ["j-1", "j-2", "j-9"],
        ("--since", "2026-01-05T12:30:00Z", "--until", "2026-01-05T13:30:00Z"): ["j-2", "j-9"],
        ("--since", "2026-01-05T14:00:00Z"): ["j-3", "j-3", "j-9"],
        ("--since", "2026-01-06"): ["j-9"],
    }
    for number, (options, jobs) in enumerate(spans.items()):
        place.folder = place.folder.with_name(str(number))
        place.export(*options, "--segments", "1")
        assert [f"job#{job}" for job in jobs] == sorted(Record.read(line).key[0] for line in place.lines())


def test_an_export_that_broke_off_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are whole stay as they are; what was posted meanwhile belongs to the next export."""
    real, parts = DynamoExportStore.lines, []

    def breaks(self: Any, part: Any, *args: Any) -> Any:
        parts.append(part.segment)
        if part.segment == 5:
            raise LedgerRefused("the token has expired")
        return real(self, part, *args)

    monkeypatch.setattr(DynamoExportStore, "lines", breaks)
    broken = CliRunner().invoke(
        app, ["export", "--out", str(place.folder), "--workers", "1"], env=tables_environment(place.world.tables)
    )
    assert isinstance(broken.exception, LedgerRefused)
    before = {file: file.stat().st_mtime_ns for file in place.folder.glob("*.jsonl.gz")}
    assert 5 <= len(before) < 8
    monkeypatch.setattr(DynamoExportStore, "lines", real)

    answer = place.export()

    assert 6 == answer["entries"] == len(place.lines())
    assert before == {file: file.stat().st_mtime_ns for file in before}
    assert place.export() == answer


def test_a_folder_holds_one_export(place: Place) -> None:
    """Other options, another folder."""
    place.export("--segments", "2")

    said = place.export("--segments", "3", status=2)["said"]

    assert "holds another export" in said
    assert 3 == len(list(place.folder.iterdir()))


def test_parquet_stands_beside_the_lines(place: Place) -> None:
    """The same entries, by the same columns as the archive's; the odd one has its text whole."""
    place.export("--parquet", "--segments", "3")

    files = f"{place.folder}/parquet/*.parquet"
    query = "SELECT reference, sequence, amount, entry FROM read_parquet(?) ORDER BY 1, 2"
    rows = duckdb.execute(query, [files]).fetchall()
    places = [("job#j-1", 1), ("job#j-2", 1), ("job#j-2", 2), ("job#j-3", 1), ("job#j-3", 2), ("job#j-9", None)]
    assert places == [row[:2] for row in rows]
    assert ["-0.8", "-0.8", "0.8", "-0.8", "0.8"] == [f"{row[2].normalize():f}" for row in rows[:5]]
    without_words = [{name: value for name, value in item.items() if name != "explanation"} for item in place.items()]
    assert set(map(canonical, without_words)) == {row[3] for row in rows}
