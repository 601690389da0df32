"""Exports on disk are told apart by what is in them, and read whole or not at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.stream import Told, record_of
from engine.ledger.exports import ExportProblem
from engine.preview.planning.exports import Exports, Kind, kind_of
from engine.preview.planning.material import Material
from tests.support.events import failed, rendered
from tests.support.exported import EXPORT, export_balances, export_ledger, export_table
from tests.support.kept_plans import Books, plan_of
from tests.support.policies import example

DEARER = ('"0.10"', '"0.15"')


@pytest.fixture
def books() -> Books:
    """Return a ledger of two users with a credit each: one job of 0.80, and one of 0.80 that failed."""
    return Books(example(), {"ann": "1", "bo": "2"}).tell(
        rendered("j-1", user="ann"), rendered("j-2", user="bo"), failed("j-2", user="bo")
    )


def plan(*paths: Path) -> dict[str, Any]:
    """Return the plan of exports."""
    found = Exports.found_in(paths)
    entries, balances = found.entries if found.has_entries else None, found.credits if found.balances else None
    return plan_of(Material(found.events, entries, balances), example(), example(DEARER))


def test_exported_tables_say_what_the_ledger_says(books: Books, tmp_path: Path):
    """Ann pays 1.20 in place of 0.80, and has one credit: the whole plan is that of the ledger itself."""
    paths = export_ledger(tmp_path / "ledger", books), export_balances(tmp_path / "credits", books)

    told = plan(*paths)

    assert plan_of(books.material(), example(), example(DEARER)) == told
    assert ("0.4000", [("ann", "-0.2")]) == (told["net"]["by"], [(row["user"], row["then"]) for row in told["overdrafts"]])


def test_both_tables_may_lie_in_one_folder_and_files_may_have_any_name(books: Books, tmp_path: Path):
    """A copy that somebody has put in order is told by its content as well."""
    export_ledger(tmp_path / "all" / "a", books)
    export_balances(tmp_path / "all" / "b", books)
    summary = tmp_path / "all" / "a" / EXPORT / "manifest-summary.json"
    summary.rename(summary.with_name("what.txt"))

    assert 1 == plan(tmp_path / "all")["new_overdrafts"]


def test_entries_without_balances_say_nothing_of_overdrafts(books: Books, tmp_path: Path):
    """The number stays null, and the answer says what would tell it."""
    told = plan(export_ledger(tmp_path, books))

    assert (None, "0.4000") == (told["new_overdrafts"], told["net"]["by"])
    assert told["balances"]["why"].startswith("entries alone do not say")


def test_a_buss_events_are_read_from_folders_packed_or_not(tmp_path: Path):
    """As a rule, a delivery stream (which puts no break between events) or a replay of an archive has written them."""
    (tmp_path / "2026" / "01").mkdir(parents=True)
    (tmp_path / "2026" / "01" / "05").write_text(f"{json.dumps(rendered('j-1'))}\n{json.dumps(rendered('j-2'))}\n")
    (tmp_path / "2026" / "more").write_bytes(gzip.compress(json.dumps(failed("j-2")).encode()))
    (tmp_path / "2026" / "array.json").write_text(json.dumps([rendered("j-3"), rendered("j-4")], indent=1))

    stream = "".join(json.dumps(rendered(f"j-{n}", result_url="a}{b")) for n in (5, 6, 7))
    (tmp_path / "2026" / "stream").write_bytes(gzip.compress(f"{stream}\n{json.dumps(rendered('j-8'))} \n".encode()))

    told = plan(tmp_path)

    assert (9, "2.8000", "events") == (told["events"], told["net"]["by"], told["source"])


def test_events_and_a_ledger_may_stand_in_exports_side_by_side(books: Books, tmp_path: Path):
    """Then the events are planned, and the ledger says what users had."""
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "one").write_text(json.dumps(rendered("j-1", user="ann")))
    export_ledger(tmp_path / "ledger", books)
    export_balances(tmp_path / "credits", books)

    assert ("events", 1, 1) == tuple(plan(tmp_path)[name] for name in ("source", "events", "new_overdrafts"))


def test_a_line_of_an_archive_with_an_attribute_of_no_form_is_named_by_its_place(tmp_path: Path):
    """Somebody has put it there; all other lines are read."""
    good, bad = encode_item(Books(example()).tell(rendered("j-1")).entries()[0]), {"reference": {"S": "job#j-2"}}
    odd = {**bad, "sequence": {"N": "1"}, "amount": {"N": "much"}}
    lines = [record_of(Told.TAKEN_IN, datetime(2026, 1, 5, tzinfo=UTC), item).text() for item in (good, odd)]
    (tmp_path / "entries").write_text("\n".join(lines))

    told = plan(tmp_path)

    assert ("0.4000", ["job#j-2"]) == (told["net"]["by"], [each["reference"] for each in told["leftOut"]])


def test_a_line_of_an_archive_that_was_changed_is_named(tmp_path: Path):
    """By its file and its number: the digest says so."""
    item = encode_item(Books(example()).tell(rendered("j-1")).entries()[0])
    line = record_of(Told.TAKEN_IN, datetime(2026, 1, 5, tzinfo=UTC), item).text()
    (tmp_path / "entries").write_text(f"{line}\n{line.replace('-0.8', '-0.7')}\n")

    with pytest.raises(ExportProblem, match="entries: line 2: job#j-1, entry 1: is not what its digest says"):
        plan(tmp_path)


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _data(folder: Path, name: str = "aaaa") -> Path:
    return folder / EXPORT / "data" / f"{name}.json.gz"


def remove_a_file(folder: Path) -> None:
    """Half of a copy."""
    _data(folder).unlink()


def change_a_file(folder: Path) -> None:
    """The same items, packed anew."""
    _data(folder).write_bytes(gzip.compress(gzip.decompress(_data(folder).read_bytes()) + b"\n"))


def remove_the_files_manifest(folder: Path) -> None:
    """The summary names it."""
    (folder / EXPORT / "manifest-files.json").unlink()


def remove_the_summary(folder: Path) -> None:
    """Nothing says that all of it is here."""
    (folder / EXPORT / "manifest-summary.json").unlink()


def _edited(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / EXPORT / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def lose_a_line_of_the_manifest(folder: Path) -> None:
    """All files that it names are whole."""
    path = folder / EXPORT / "manifest-files.json"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def miscount_a_file(folder: Path) -> None:
    """The manifest says another number than the file has."""
    _edited(folder, "manifest-files.json", '"itemCount": 2', '"itemCount": 3')


def export_as_ion(folder: Path) -> None:
    """Another form."""
    _edited(folder, "manifest-summary.json", "DYNAMODB_JSON", "ION")


def export_changes(folder: Path) -> None:
    """An incremental export."""
    _edited(folder, "manifest-summary.json", "FULL_EXPORT", "INCREMENTAL_EXPORT")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove_a_file, r"aaaa\.json\.gz: is not there, and the manifest of .* names it: copy all of the export"),
        (change_a_file, r"aaaa\.json\.gz: is not what was exported \(its MD5 is another than the manifest's\): copy it again"),
        (remove_the_files_manifest, r"manifest-files\.json: is not there, and the manifest of .* names it"),
        (remove_the_summary, r"aaaa\.json\.gz: is a part of a table's export, and its manifest is not there: copy the whole"),
        (lose_a_line_of_the_manifest, r"has 1 items, and manifest-summary\.json says 3: copy all of the export again"),
        (miscount_a_file, r"aaaa\.json\.gz: has 2 items, and its manifest says 3: copy all of the export again"),
        (export_as_ion, r"is an export in the form ION; export the table as DYNAMODB_JSON"),
        (export_changes, r"is an export of changes; a full export of the table is needed"),
    ],
)
def test_half_an_export_is_refused_with_one_line(books: Books, tmp_path: Path, damage: Callable[[Path], None], said: str):
    """It names the file, what is wrong with it, and what would be right."""
    damage(export_ledger(tmp_path, books))

    with pytest.raises(ExportProblem, match=said) as told:
        plan(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", b"nothing of the kind", r"a\.txt: is neither a table that DynamoDB has exported nor a file of entries"),
        ("b.json", b'{"a": 1}', r"b\.json: is neither"),
        ("c.gz", b"\x1f\x8bx", r"c\.gz: cannot be read"),
        ("d.json", b'{"Metadata": {}, "Keys": {"id": {"S": "1"}}, "NewImage": {}}', r"d\.json: has the changes of a table"),
        ("e.json", b'{"Item": {"id": {"S": "1"}}}', r"e\.json: is a part of a table's export, and its manifest is not there"),
        ("_started", b"", r"holds no export"),
        (
            "f.gz",
            b'{"archive":1,"number":1,"previous":"","day":"2026-01-05","lines":0}',
            r"f\.gz: is of an archive .* by --archive",
        ),
    ],
)
def test_a_file_that_is_none_of_an_export_is_named(tmp_path: Path, name: str, text: bytes, said: str):
    """One that were passed over could be the half of a year."""
    (tmp_path / name).write_bytes(text)

    with pytest.raises(ExportProblem, match=said):
        plan(tmp_path)


def test_an_export_of_another_table_is_refused(tmp_path: Path):
    """The application's jobs say nothing of what was posted."""
    export_table(tmp_path, "Jobs", [{"jobId": "j-1", "userId": "ann"}])

    with pytest.raises(ExportProblem, match="is an export of Jobs; the tables of entries and of balances are read"):
        plan(tmp_path)


def test_a_line_that_is_no_item_is_named(books: Books, tmp_path: Path):
    """By its file and its number."""
    export_table(tmp_path, "Ledger", books.entries())
    path = _data(tmp_path, "bbbb")
    path.write_bytes(gzip.compress(b'{"Item": 5}\n'))

    with pytest.raises(ExportProblem, match="bbbb.*its MD5"):
        plan(tmp_path)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b'{"source": "s", "detail-type": "t", "Item": {}}', Kind.EVENTS),
        (b'[\n {"source": "s", "detail-type": "t"}, {"a', Kind.EVENTS),
        (b'{\n  "source": "s",\n  "detail-type": "t"\n}', Kind.EVENTS),
        (b'{"Item": {}}\n{"It', Kind.ITEMS),
        (b'{"told": "insert"}', Kind.RECORDS),
        (b"PAR1\x15\x04", Kind.PARQUET),
        (b"sQMSpEILNgoQmarvDFonGQ==\n", Kind.BESIDE),
        (b'["a"]', Kind.UNKNOWN),
        (b"", Kind.BESIDE),
    ],
)
def test_a_file_is_known_by_what_it_begins_with(tmp_path: Path, text: bytes, kind: Kind):
    """Whatever its name, and packed or not."""
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))

    assert [kind, kind] == [kind_of(plain), kind_of(packed)]
