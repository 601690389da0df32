"""Compaction: each entry once, exact to the last digit, by days that are over; run again it adds what is new, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from attrs import Factory, define
from typer.testing import CliRunner

from engine.cli.app import app
from engine.ledger.archive.bucket import FolderBucket
from engine.ledger.archive.chain import EMPTY, ArchiveObject, append
from engine.ledger.archive.compact import Compaction, Part
from engine.ledger.archive.parquet import COLUMNS
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.columns import row_of_line
from engine.ledger.dynamodb.stream import Record, Told, record_of, record_of_stream
from engine.runtime.clock import Clock
from tests.support.archived import MemoryHeads, stream_event
from tests.support.odd_items import odd_items as odd_items_of

LARGE = "-1234567890123456789012345678.0000000001"
"""As many digits as a credit can have."""

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
DEADLINE = Clock().deadline(3600)


def item(job: str, amount: str = "-0.8", sequence: Any = 1, **more: Any) -> dict[str, Any]:
    """Return an entry as the ledger keeps it."""
    stored = {
        "reference": f"job#{job}",
        "sequence": sequence,
        "userId": "u-1",
        "jobId": job,
        "type": "debit",
        "amount": Decimal(amount),
        "cost": -Decimal(amount),
        "occurredAt": "2026-11-28T11:59:59.9996Z",
        "postedAt": "2026-11-28T12:00:00.123456Z",
        "rule": "debit-rendered",
        "policy": "video@0123456789ab",
        "source": "event",
        "quantity": Decimal("8.3333333333333333333"),
        "price": {"book": "render-second", "rate": Decimal("0.10"), "unit": "veo-3", "effective": "2025-01-01T00:00:00Z"},
        "facts": {
            "charge": {"amount": Decimal("0.8"), "at": "2026-11-28T12:00:00Z", "content": {"detail.model": "veo-3"}},
            "refunds": [{"percent": Decimal(50), "at": "2026-11-28T13:00:00Z", "rule": "refund-failed"}],
        },
        "anomalies": [{"name": "costs-over-50"}, {"name": "no-result"}],
        **more,
    }
    return encode_item(stored)


@define
class Chain:
    """An archive in a folder, and what is compacted of it."""

    folder: Path
    heads: MemoryHeads = Factory(MemoryHeads)

    @property
    def bucket(self) -> FolderBucket:
        """Return the bucket."""
        return FolderBucket(self.folder / "bucket")

    def add(self, *records: Record, days: int = 0) -> None:
        """Append an object, some days after the first."""
        append(self.bucket, self.heads, [record.text() for record in records], NOON + timedelta(days=days), DEADLINE)

    def compact(self, work: str = "work") -> tuple[list[Part], Compaction]:
        """Compact, with files kept in a folder."""
        folder = self.folder / work
        folder.mkdir(exist_ok=True)
        made = Compaction(self.bucket, folder, row_of_line, DEADLINE)
        return list(made.run()), made

    def rows(self, columns: str = "*", where: str = "TRUE") -> list[tuple[Any, ...]]:
        """Return columns of all rows, as somebody asks for them."""
        files = str(self.folder / "bucket" / "parquet" / "**" / "*.parquet")
        query = f"SELECT {columns} FROM read_parquet('{files}') WHERE {where} ORDER BY reference, sequence"  # noqa: S608
        return duckdb.sql(query).fetchall()


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Return an empty archive."""
    (tmp_path / "bucket").mkdir()
    return Chain(tmp_path)


def inserted(*args: Any, **more: Any) -> Record:
    """Return the record of a new entry."""
    return record_of(Told.INSERT, NOON, item(*args, **more))


def explained(words: Any, *args: Any, **more: Any) -> Record:
    """Return the record of an entry that was explained."""
    changed = {**item(*args, **more), "explanation": encode_item({"words": words})["words"]}
    return record_of_stream(stream_event("MODIFY", NOON, changed))


def test_a_day_that_is_over_is_a_file_and_the_last_one_is_left_out(chain: Chain) -> None:
    """The file says which head it rests on, by its name and beside its rows."""
    chain.add(inserted("j-1"), inserted("j-2"))
    chain.add(inserted("j-3"))
    head = chain.heads.now
    chain.add(inserted("j-4"), days=1)

    (part,), made = chain.compact()

    assert (3, "2026-11-29", []) == (part.entries, made.left, made.problems)
    assert part.key == f"parquet/day=2026-11-28/part-000000000002-{head.digest[:32]}.parquet"
    kept = duckdb.execute("SELECT value FROM parquet_kv_metadata(?)", [str(chain.folder / "bucket" / part.key)]).fetchall()
    assert {"number": 2, "digest": head.digest, "key": head.key, "day": "2026-11-28"} == json.loads(kept[0][0])
    assert [("job#j-1",), ("job#j-2",), ("job#j-3",)] == chain.rows("reference")


def test_every_column_has_what_the_entry_says(chain: Chain) -> None:
    """Exact: no credit is a binary float, and an instant keeps its day (below a millisecond it is cut off)."""
    chain.add(
        inserted("j-1", amount=LARGE),
        explained({"text": "so"}, "j-1", amount=LARGE),
    )
    chain.add(days=1)

    chain.compact()

    row = dict(zip(COLUMNS, chain.rows(", ".join(COLUMNS))[0], strict=True))
    entry = json.loads(row.pop("entry"))
    assert entry == item("j-1", amount=LARGE)
    assert json.loads(row.pop("facts"))["charge"]["amount"] == "0.8"
    assert '{"text": "so"}' == row.pop("explanation")
    assert row.pop("digest") == inserted("j-1", amount=LARGE).digest
    nothing = dict.fromkeys(("event_id", "correction", "resolution"))
    assert row == nothing | {
        "reference": "job#j-1",
        "sequence": 1,
        "user_id": "u-1",
        "job_id": "j-1",
        "type": "debit",
        "amount": Decimal(LARGE),
        "cost": -Decimal(LARGE),
        "held": Decimal(0),
        "quantity": Decimal("8.3333333333"),
        "occurred_at": datetime(2026, 11, 28, 11, 59, 59, 999000),  # noqa: DTZ001  columns are UTC, without saying so
        "posted_at": datetime(2026, 11, 28, 12, 0, 0, 123000),  # noqa: DTZ001  the same
        "rule": "debit-rendered",
        "policy": "video@0123456789ab",
        "model": "veo-3",
        "attempt": 0,
        "source": "event",
        "price": {
            "book": "render-second",
            "unit": "veo-3",
            "rate": Decimal("0.1"),
            "amount": None,
            "effective": datetime(2025, 1, 1),  # noqa: DTZ001  the same
            "minimum": None,
            "maximum": None,
        },
        "charge": {
            "amount": Decimal("0.8"),
            "at": datetime(2026, 11, 28, 12),  # noqa: DTZ001  the same
            "policy": None,
            "revision": 0,
            "said": {"detail.model": "veo-3"},
        },
        "refunds": [
            {
                "percent": Decimal(50),
                "amount": None,
                "at": datetime(2026, 11, 28, 13),  # noqa: DTZ001  the same
                "rule": "refund-failed",
                "policy": None,
            }
        ],
        "anomalies": ["costs-over-50", "no-result"],
        "archived_at": datetime(2026, 11, 28, 12),  # noqa: DTZ001  the same
    }


def test_what_is_held_and_for_which_attempt_have_columns(chain: Chain) -> None:
    """An entry that does not say holds nothing; one that knows nothing is about no attempt."""
    hold = {"amount": Decimal("0.8"), "at": "2026-11-28T12:00:00Z", "expiresAt": "2026-11-28T14:00:00Z", "attempt": 2}
    facts = {"hold": hold}
    chain.add(inserted("j-1", held=Decimal("0.8"), facts=facts), inserted("j-2", facts={}), inserted("j-3", held="much"))
    chain.add(days=1)

    _, made = chain.compact()

    assert [("job#j-1", Decimal("0.8"), 2), ("job#j-2", Decimal(0), None), ("job#j-3", None, 0)] == chain.rows(
        "reference, held, attempt"
    )
    assert ["job#j-3/1: `amount`, `cost` or `held` is no number of a credit"] == [
        problem.partition(": ")[2] for problem in made.problems
    ]


def test_a_correction_says_who_and_why(chain: Chain) -> None:
    """Under names that are no words of SQL."""
    correction = {"reason": "ticket 4711", "by": "arn:aws:iam::1:user/ann", "id": "a-1", "plan": "ab" * 32}
    chain.add(inserted("j-1", correction=correction, resolution={"entries": [1], "note": "fine"}))
    chain.add(days=1)

    chain.compact()

    said = {"told_by": "arn:aws:iam::1:user/ann", "reason": "ticket 4711", "id": "a-1", "approved_by": None}
    assert [({**said, "plan": "ab" * 32, "about": None}, "fine")] == chain.rows("correction, resolution")


def test_an_entry_that_the_archive_has_again_is_one_row(chain: Chain) -> None:
    """In one object, in another of the day, on another day, and taken in long after; the first counts, whatever came later."""
    chain.add(inserted("j-1"), inserted("j-1"))
    chain.add(inserted("j-1"), inserted("j-2"))
    chain.add(inserted("j-1", amount="500"), inserted("j-3"), days=1)
    chain.add(record_of(Told.TAKEN_IN, NOON, item("j-2")), inserted("j-2", sequence=2), days=9)
    chain.add(days=10)

    parts, made = chain.compact()

    assert ([2, 1, 1], [4, 2, 2], []) == ([p.entries for p in parts], [p.records for p in parts], made.problems)
    rows = [("job#j-1", 1), ("job#j-2", 1), ("job#j-2", 2), ("job#j-3", 1)]
    assert rows == chain.rows("reference, sequence")
    assert [(Decimal("-0.8"),)] == chain.rows("amount", "reference = 'job#j-1'")


@pytest.mark.parametrize("work", ["work", "fresh"])
def test_it_goes_on_where_it_ended(chain: Chain, work: str) -> None:
    """With the files of the run before at hand, and with none: nothing is written twice, nothing over another."""
    chain.add(inserted("j-1"))
    chain.add(inserted("j-2"), days=1)
    (first,), _ = chain.compact()
    body = (chain.folder / "bucket" / first.key).read_bytes()
    assert ([], "2026-11-29") == (chain.compact(work)[0], chain.compact(work)[1].left)
    chain.add(inserted("j-1"), inserted("j-3"), days=1)
    chain.add(days=2)

    (second,), _ = chain.compact(work)

    assert (2, "parquet/day=2026-11-29/part-000000000003") == (second.entries, second.key[:40])
    assert body == (chain.folder / "bucket" / first.key).read_bytes()
    assert [("job#j-1",), ("job#j-2",), ("job#j-3",)] == chain.rows("reference")


def test_what_a_dead_writer_left_behind_is_passed_by(chain: Chain) -> None:
    """Its records come again; a stray of the next day does not end the day before it is over."""
    chain.add(inserted("j-1"))
    head = chain.heads.now
    stray = ArchiveObject.after(head, [inserted("j-2").text()], NOON + timedelta(days=1))
    chain.bucket.put(stray.key, stray.body(), DEADLINE)
    parts, _ = chain.compact()
    assert [1] == [part.entries for part in parts]
    chain.add(inserted("j-2"), inserted("j-3"))  # of a writer whose clock is a little behind
    chain.add(days=1)
    chain.add(days=2)

    parts, made = chain.compact()

    assert ([2, 0], []) == ([part.entries for part in parts], made.problems)
    assert [("job#j-1",), ("job#j-2",), ("job#j-3",)] == chain.rows("reference")


def test_a_broken_chain_ends_it_and_says_where(chain: Chain) -> None:
    """Days before are written; the others once the archive is whole again."""
    chain.add(inserted("j-1"))
    chain.add(inserted("j-2"), days=1)
    chain.add(days=1)
    key = chain.heads.now.key
    chain.add(inserted("j-3"), days=2)
    chain.add(days=3)
    path = chain.folder / "bucket" / key
    body = path.read_bytes()
    path.unlink()

    parts, made = chain.compact()
    assert ([1], True) == ([part.entries for part in parts], "what comes between is missing" in made.problems[0])

    path.write_bytes(body)
    assert [1, 1] == [part.entries for part in chain.compact()[0]]


def odd_items() -> Iterator[dict[str, Any]]:
    """Yield what somebody has put into the ledger by hand."""
    yield item("j-1", sequence=Decimal("1.5"))
    yield item("j-1", sequence=Decimal("2.5"))
    yield item("j-2", amount="0.00000000001")
    yield {**item("j-3"), "amount": {"S": "much"}, "facts": {"L": []}, "price": {"N": "1"}, "anomalies": {"M": {}}}
    yield {**item("j-4"), "facts": {"M": {"charge": {"M": {"amount": {"S": "x"}, "content": {"NULL": True}}}}}}
    yield {name: item("j-5")[name] for name in ("reference", "sequence")}
    yield {**item("j-6"), "userId": {"SS": ["a", "b"]}, "cost": {"N": "1E+100"}, "quantity": {"N": "-1E-100"}}
    yield {**item("j-7"), "correction": {"S": "'; DROP TABLE"}, "resolution": {"N": "5"}, "explanation": {"BOOL": True}}


def test_what_somebody_has_put_there_by_hand_stops_nothing(chain: Chain) -> None:
    """Columns that it does not fill are empty, ``entry`` has all of it, and what moves no number of a credit is named."""
    odd = list(odd_items())
    chain.add(*(record_of(Told.INSERT, NOON, each) for each in odd))
    chain.add(days=1)

    (part,), made = chain.compact()

    assert len(odd) == part.entries
    assert {json.dumps({n: v for n, v in each.items() if n != "explanation"}, sort_keys=True) for each in odd} == {
        json.dumps(json.loads(entry), sort_keys=True) for (entry,) in chain.rows("entry")
    }
    named = sorted(problem.split(": ")[1] for problem in made.problems)
    assert ["job#j-2/1", "job#j-3/1", "job#j-5/1", "job#j-6/1"] == named


@pytest.mark.proof
def test_no_odd_item_stops_it(chain: Chain) -> None:
    """Each attribute of an entry, at any depth, with each value that DynamoDB holds: all of them are rows."""
    odd = [each for _, each in odd_items_of(item("j-1"))]
    numbered = [{**each, "reference": {"S": f"job#odd-{number}"}} for number, each in enumerate(odd)]
    chain.add(*(record_of(Told.INSERT, NOON, each) for each in numbered))
    chain.add(days=1)

    (part,), _ = chain.compact()

    assert len(numbered) == part.entries > 500


def test_the_command_says_what_it_wrote(chain: Chain) -> None:
    """And ends with status 1 where the chain is broken."""
    chain.add(inserted("j-1"))
    broken = chain.folder / "bucket" / chain.heads.now.key
    chain.add(days=1)
    words = ["archive", "compact", "--archive", str(chain.folder / "bucket"), "--json"]

    result = CliRunner().invoke(app, words)
    assert (0, 1, "2026-11-29") == (
        result.exit_code,
        (answer := json.loads(result.stdout))["entries"],
        answer["stillWritten"],
    )

    told = CliRunner().invoke(app, words[:-1], env={"COLUMNS": "200"})
    assert ["Compact", "files         0", "entries       0", "stillWritten  2026-11-29"] == told.stdout.splitlines()

    broken.unlink()
    for part in (chain.folder / "bucket").rglob("*.parquet"):
        part.unlink()
    assert 1 == CliRunner().invoke(app, words).exit_code
    assert 2 == CliRunner().invoke(app, ["archive", "compact", "--archive", str(chain.folder / "none")]).exit_code


def test_nothing_is_compacted_of_an_empty_archive(chain: Chain) -> None:
    """No file, no problem."""
    assert chain.heads.now == EMPTY
    parts, made = chain.compact()
    assert ([], "", []) == (parts, made.left, made.problems)
