"""``reconciler plan --ledger`` and ``--export``: what they read, what they say, and that they write nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from typer.testing import CliRunner, Result

from engine.cli.app import app
from engine.ledger.archive.bucket import FolderBucket
from engine.ledger.store import Tables
from engine.reconcile import wiring
from tests.support.archived import Archived
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.exported import export_table
from tests.support.policies import EXAMPLE, example_text
from tests.support.world import World
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

FINE, FAILED, MISUSED = 0, 1, 2
DEARER = example_text(('"0.10"', '"0.15"'))
READS = frozenset({"DescribeTable", "Scan", "Query", "GetItem", "BatchGetItem"})


@define
class Desk:
    """Somebody at tables that refuse every write, with both policies and a folder: ann has 0.20 left, bo 99.20 of 100."""

    world: World
    folder: Path

    def plan(self, *options: str) -> Result:
        """Give the command."""
        words = ["plan", str(self.folder / "dearer.yaml"), "--policy", str(self.folder / "now.yaml"), *options]
        return CliRunner().invoke(app, words)

    def answer(self, *options: str) -> dict[str, Any]:
        """Return what it says as JSON."""
        result = self.plan(*options, "--json")
        assert FINE == result.exit_code, result.output
        told: dict[str, Any] = json.loads(result.stdout)
        return told


@pytest.fixture
def desk(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    """Return the desk; three jobs were posted, of which the last has failed."""
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "now.yaml").write_text(EXAMPLE)
    (tmp_path / "dearer.yaml").write_text(DEARER)
    world = World(dynamodb, tables, clock=ManualClock().clock()).user("ann", "1").user("bo", "100")
    world.deliver(rendered("j-1", user="ann"), rendered("j-2", user="bo"))
    world.deliver(rendered("j-3", user="bo"), failed("j-3", user="bo"))
    monkeypatch.setattr(wiring, "build_client", refusing(wiring.build_client))
    return Desk(world, tmp_path)


def refusing(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return what builds clients of AWS that refuse whatever is no read."""

    def refuse(model: Any, **_: Any) -> None:
        assert model.name in READS, f"a plan has asked for {model.name}"

    def built(*arguments: Any, **named: Any) -> Any:
        client = build(*arguments, **named)
        client.meta.events.register("before-call.*", refuse)
        return client

    return built


def test_a_ledger_is_planned_from_its_tables_and_nothing_is_written(desk: Desk):
    """Two jobs cost 1.20 in place of 0.80; ann had one credit, so that she would fall 0.20 below zero."""
    before = desk.world.everything()

    told = desk.answer("--ledger")

    assert {"now": "1.6000", "then": "2.4000", "by": "0.8000", "percent": "50.00"} == told["net"]
    assert [{"user": "ann", "now": "0.2", "then": "-0.2", "at": "2026-01-05T10:00:00Z"}] == told["overdrafts"]
    assert (1, "ledger", [], []) == tuple(told[name] for name in ("new_overdrafts", "source", "leftOut", "warnings"))
    assert before == desk.world.everything()


def test_a_person_reads_what_was_planned_and_who_would_be_overdrawn(desk: Desk):
    """In the terminal; figures to the right."""
    said = [" ".join(line.split()) for line in desk.plan("--ledger").stdout.splitlines()]

    assert "4 facts that the ledger keeps of 3 jobs and grants" in said
    assert "1 users would fall below zero, and do not now" in said
    assert "ann 0.2 -0.2 2026-01-05T10:00:00Z" in said


def test_a_pull_request_reads_it_too(desk: Desk):
    """What a reader opens."""
    said = desk.plan("--ledger", "--markdown").stdout

    assert said.startswith("### What this edit does to 4 facts that the ledger keeps of 3 jobs and grants\n")
    assert "- 1 users would fall below zero, and do not now\n" in said
    assert "<details><summary>1 users newly overdrawn</summary>" in said
    assert "| ann | 0.2 | -0.2 | 2026-01-05T10:00:00Z |" in said


def test_jobs_that_cannot_be_told_anew_are_named_to_people(desk: Desk):
    """The edited policy asks for what was not kept."""
    (desk.folder / "dearer.yaml").write_text(example_text(("by: detail.model", "by: detail.size")))

    told, shown = desk.plan("--ledger").stdout, desk.plan("--ledger", "--markdown").stdout

    assert "left out: 3 (job#j-1, ...): rule `debit-rendered`: `detail.size` was not kept" in told
    assert "warning: 3 jobs and grants cannot be priced anew from what the ledger keeps" in told
    assert r"| job\#j-3 | bo | rule \`debit-rendered\`: \`detail.size\` was not kept |" in shown


def test_a_check_fails_where_somebody_would_be_overdrawn(desk: Desk):
    """With a ledger it is known, without one it is an error."""
    events = desk.folder / "events.jsonl"
    events.write_text(json.dumps(rendered()))

    failing = desk.plan("--ledger", "--fail-if", "new_overdrafts > 0")
    passing = desk.plan("--ledger", "--fail-if", "new_overdrafts > 1")
    unknown = desk.plan("--events", str(events), "--fail-if", "new_overdrafts > 0")

    assert [FAILED, FINE, MISUSED] == [result.exit_code for result in (failing, passing, unknown)]
    assert "the check fails: new_overdrafts > 0" in failing.stderr
    assert "`new_overdrafts` is not known: events do not say what users had; --ledger" in unknown.stderr


def test_events_are_planned_with_the_balances_of_the_ledger(desk: Desk):
    """Ann's job alone, of the file; what she had is of the tables."""
    events = desk.folder / "events.jsonl"
    events.write_text(json.dumps(rendered("j-1", user="ann")))

    told = desk.answer("--events", str(events), "--ledger")

    assert ("events", 1, "0.4000", 1) == (told["source"], told["events"], told["net"]["by"], told["new_overdrafts"])


def test_a_ledger_is_planned_as_of_a_day_and_of_a_time(desk: Desk):
    """From July on a second costs 0.12, and 0.15 from an earlier row: with --since behind all charges nothing is planned."""
    later = desk.answer("--ledger", "--as-of", "2026-08-01")
    none = desk.answer("--ledger", "--since", "2026-01-06")

    assert ("1.9200", "1.9200") == (later["net"]["now"], later["net"]["then"])
    assert ("there are no charges or grants in the ledger of that time", 0) == (none["warnings"][0], none["events"])


def test_a_ledger_is_grouped_by_what_it_keeps(desk: Desk):
    """The seconds were asked for, and so they are there; the error of a failure was not."""
    told = desk.answer("--ledger", "--group", "seconds=detail.seconds", "--group", "error=detail.error")

    assert [("8", "1.6000")] == [(row["key"], row["now"]) for row in told["groups"]["seconds"]]
    assert ["(none)"] == [row["key"] for row in told["groups"]["error"]]


# --- an archive, exports ----------------------------------------------------------------------------------------------


def test_a_ledger_is_planned_out_of_a_copy_of_its_archive(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Entries from the archive, balances from the table that is named; without one nobody knows what users had."""
    archive = desk.folder / "archive"
    Archived(desk.world.client, desk.world.tables.ledger, bucket=FolderBucket(archive)).hand_over(repeated=True)

    with_balances = desk.answer("--archive", str(archive))
    assert desk.answer("--ledger") == with_balances

    monkeypatch.delenv("CREDITS_TABLE")
    alone = desk.answer("--ledger", "--archive", str(archive))
    assert (None, with_balances["net"]) == (alone["new_overdrafts"], alone["net"])


@pytest.mark.parametrize("parquet", [(), ("--parquet",)])
def test_a_ledger_is_planned_out_of_its_own_export(desk: Desk, parquet: tuple[str, ...]):
    """Lines alone, or lines with Parquet files beside them: each entry counts once. Also Parquet alone."""
    folder = desk.folder / "export"
    made = CliRunner().invoke(app, ["export", "--out", str(folder), "--segments", "2", *parquet])
    assert FINE == made.exit_code, made.output

    for path in (folder, *((folder / "parquet",) if parquet else ())):
        told = desk.answer("--export", str(path))
        assert ("0.8000", 4, None) == (told["net"]["by"], told["events"], told["new_overdrafts"])


def test_a_ledger_is_planned_out_of_what_dynamodb_exports(desk: Desk):
    """The tables of entries and of balances say what the tables themselves say."""
    rows = desk.world.everything()
    paths = [export_table(desk.folder / name, name, rows[name]) for name in ("ledger", "credits")]

    assert desk.answer("--ledger") == desk.answer("--export", str(paths[0]), "--export", str(paths[1]))


def test_half_an_export_is_one_line_of_trouble(desk: Desk):
    """What, where, and what would be right."""
    folder = export_table(desk.folder / "e", "Ledger", desk.world.everything()["ledger"])
    next(folder.rglob("aaaa.json.gz")).unlink()

    result = desk.plan("--export", str(folder))

    assert (MISUSED, 1) == (result.exit_code, len(result.stderr.strip().splitlines()))
    assert "aaaa.json.gz: is not there" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name what to plan: --events FILE, --ledger, or --export PATH"),
        (("--ledger", "--since", "2026-01-02", "--until", "2026-01-01"), "--until is not after --since"),
        (("--events", "EVENTS", "--since", "2026-01-02"), "--since and --until bound what is planned of a ledger"),
        (("--ledger", "--export", "LEDGER"), "--ledger and an --export of it name two ledgers; name one"),
        (("--export", "CREDITS"), "an export of balances needs one of the entries beside it"),
        (("--archive", "/nowhere"), "/nowhere: there is no such folder; name a bucket like s3://BUCKET"),
        (("--export", "EMPTY"), "holds no export"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_what_would(desk: Desk, options: tuple[str, ...], said: str):
    """One line, and status 2."""
    (desk.folder / "EVENTS").write_text(json.dumps(rendered()))
    (desk.folder / "EMPTY").mkdir()
    rows = desk.world.everything()
    for name in ("LEDGER", "CREDITS"):
        export_table(desk.folder / name, name.title(), rows[name.lower()])

    result = desk.plan(*(str(desk.folder / word) if word.isupper() else word for word in options))

    assert MISUSED == result.exit_code
    assert said in " ".join(result.stderr.split())


def test_a_page_says_what_was_planned_and_who_would_be_overdrawn(desk: Desk):
    """In its warnings, beside what is left out, and in a table."""
    page = desk.folder / "plan.html"

    assert FINE == desk.plan("--ledger", "--html", str(page)).exit_code
    assert "Users who would fall below zero, and do not now: 1 overdrawn users" in page.read_text()
    assert "4 facts that the ledger keeps of 3 jobs and grants." in page.read_text()
    assert "the furthest below zero would be ann, with -0.2 at 2026-01-05T10:00:00Z" in page.read_text()


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_planned(desk: Desk):
    """No event is read for it. A page that stands there is left as it is where the plan fails."""
    page, old = desk.folder / "no-folder" / "plan.html", desk.folder / "old.html"
    old.write_text("of yesterday")
    nothing = desk.folder / "no-events.jsonl"
    nothing.write_text("no event\n")

    assert f"{page}: cannot be written: No such file or directory" == str(
        desk.plan("--events", str(nothing), "--html", str(page)).exception
    )
    assert FINE != desk.plan("--events", str(nothing), "--html", str(old)).exit_code
    assert FINE != desk.plan("--events", str(nothing), "--html", str(desk.folder / "new.html")).exit_code
    assert "of yesterday" == old.read_text()
    assert not (desk.folder / "new.html").exists()
