"""The plan as a job of Spark, started as a person starts it, on the Spark of this machine: Java and what PyPI has of it."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.domain.documents import read_document
from engine.domain.errors import EventError
from engine.ledger.archive.bucket import FolderBucket
from engine.ledger.archive.compact import Compaction
from engine.ledger.dynamodb.columns import row_of_line
from engine.ledger.store import Tables
from engine.policy import Policy, parse_policy
from engine.preview.planning.run import planned
from engine.preview.planning.work import Wish
from tests.planning.test_planning import EDITS, FULL
from tests.simulation.database import Client, Database
from tests.support.archived import Archived
from tests.support.clock import ManualClock
from tests.support.events import rendered
from tests.support.planning import made_lines
from tests.support.world import World
from tools import environments
from tools.local_aws import create_tables

PAGE = (environments.ROOT / "docs" / "how-to" / "plan-on-a-cluster.md").read_text()
JOB, POSTED = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
DAY = 24 * 60 * 60
YEAR = 365 * DAY
QUIET = ("--conf", "spark.ui.enabled=false", "--conf", "spark.ui.showConsoleProgress=false")
LIGHT = ("--driver-java-options", "-XX:TieredStopAtLevel=1")
"""What runs for seconds ends before Java's second compiler has paid: it takes half of all the processor's time."""

FEW = ("--partitions", "1")
"""As few partitions as there can be: each costs Spark some processes, and there is little in it."""

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark runs on Java, and there is none here"),
]


@pytest.fixture(scope="module")
def submit(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what submits a script of the page to Spark, which runs tasks on two cores."""
    environments.fill(environments.SPARK)
    script = tmp_path_factory.mktemp("job") / "script.py"

    def submitted(text: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
        script.write_text(text)
        spark = environments.SPARK.packages / "pyspark"
        command = [spark / "bin" / "spark-submit", "--master", "local[2]", *QUIET, *LIGHT, script, *arguments]
        mine = {"SPARK_HOME": str(spark), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
        return subprocess.run(command, env=os.environ | mine, capture_output=True, text=True, check=False)

    return submitted


def edited(folder: Path, *edits: str) -> tuple[Path, Path]:
    """Return the files of a policy as it is and as it is edited."""
    now, then = folder / "now.yaml", folder / "then.yaml"
    text = FULL
    for old, new in [pair for edit in edits for pair in EDITS[edit]]:
        text = text.replace(old, new)
    now.write_text(FULL)
    then.write_text(text)
    return now, then


def test_a_job_of_spark_answers_as_the_command_does(tmp_path: Path, submit: Callable[..., Any]):
    """To the byte: packed and plain files, odd lines, a log of another name under the edit, many edits at once."""
    now, then = edited(tmp_path, "another price", "another job", "other bursts")
    lines = made_lines(11, 600)
    files = [tmp_path / "events" / name for name in ("1.jsonl.gz", "2 more.jsonl", "3.jsonl")]
    files[0].parent.mkdir()
    files[0].write_bytes(gzip.compress(b"".join(lines[:200])))
    files[1].write_bytes(b"".join(lines[200:450]))
    files[2].write_bytes(b"\n" + b"".join(lines[450:]))
    options = [str(then), "--policy", str(now), "--group", 'kind="detail-type"']
    each = [part for file in files for part in ("--events", str(file))]
    expected = CliRunner().invoke(app, ["plan", *options, *each, "--json"])

    done = submit(JOB, *options, *FEW, "--events", files[0].parent, "--out", tmp_path / "answer.json")

    assert (1, 1) == (expected.exit_code, done.returncode), "the edit refuses events, which fails a check"
    assert json.loads(expected.stdout)["differences"]
    assert expected.stdout == (tmp_path / "answer.json").read_text()


def test_a_line_that_is_no_event_is_named_in_one_line(tmp_path: Path, submit: Callable[..., Any]):
    """And not as Java tells an error: a hundred lines, four times. Spark puts what a script complains of where it prints."""
    now, then = edited(tmp_path, "another price")
    (tmp_path / "events.jsonl").write_bytes(b"".join(made_lines(1, 3)) + b"nonsense\n")

    done = submit(JOB, then, "--policy", now, *FEW, "--events", tmp_path / "events.jsonl")

    assert 2 == done.returncode
    assert done.stdout.startswith(f"file:{tmp_path}/events.jsonl: line 4: is not JSON")
    assert 1 == done.stdout.count("\n")


def archive(folder: Path, lines: Sequence[bytes], policy: Policy) -> None:
    """Post events, as far as they make sense, and write them as Parquet; the last day, of one more event, is left out."""
    tables, client, time = Tables(), Client(Database()), ManualClock()
    create_tables(client, tables)
    world = World(client, tables, policy, time.clock())
    for user in {*(f"u-{number}" for number in range(17)), "u-99"}:
        world.user(user, "1000000")
    time.elapsed = YEAR
    archived = Archived(client, tables.ledger, time.now, FolderBucket(folder))
    for line in lines:
        with contextlib.suppress(EventError):
            world.deliver(read_document(line))
    archived.hand_over()
    time.elapsed += 2 * DAY
    world.deliver(rendered("one-more"))
    archived.hand_over()
    (folder / "work").mkdir()
    assert list(Compaction(archived.bucket, folder / "work", row_of_line, archived.deadline).run())


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with events, and with what the shipped archive has of them once they were posted."""
    folder, lines = tmp_path_factory.mktemp("archived"), made_lines(3, 300)
    archive(folder, lines, parse_policy(FULL, "now.yaml"))
    (folder / "events.jsonl").write_bytes(b"".join(lines))
    return folder


def test_the_archives_files_say_what_a_plan_of_the_events_says(archived: Path, submit: Callable[..., Any]):
    """What each type of entry has moved: by Spark, by DuckDB, and as the plan has it under the policy that posted."""
    policy = parse_policy(FULL, "now.yaml")
    with planned(Wish((archived / "events.jsonl",), policy, policy)) as outcome:
        planned_sums = {kind: now for kind, (now, _) in outcome.tally.sums.items()}

    done = submit(POSTED, archived / "parquet")
    by_spark = {kind: Decimal(moved) for kind, moved in map(str.split, done.stdout.splitlines())}
    sql = f"SELECT type, SUM(amount) FROM read_parquet('{archived}/parquet/**/*.parquet') GROUP BY type"  # noqa: S608  its own
    by_duckdb = dict(duckdb.sql(sql).fetchall())

    assert {"debit", "grant", "refund"} <= planned_sums.keys()
    assert by_spark == by_duckdb
    assert planned_sums == {kind: moved for kind, moved in by_spark.items() if moved}


def test_a_job_of_spark_plans_what_the_archives_files_keep(tmp_path: Path, archived: Path, submit: Callable[..., Any]):
    """As the command does of the same files; of jobs that differ by the same amount, another may come first."""
    now, then = edited(tmp_path, "another price")
    options = [str(then), "--policy", str(now)]
    expected = CliRunner().invoke(app, ["plan", *options, "--export", str(archived / "parquet"), "--json"])

    done = submit(JOB, *options, *FEW, "--entries", archived / "parquet", "--out", tmp_path / "answer.json")
    answers = [json.loads(expected.stdout), json.loads((tmp_path / "answer.json").read_text())]
    for answer in answers:
        answer["differences"].sort(key=lambda row: (abs(Decimal(row["by"])), row["reference"]))

    assert (expected.exit_code, done.returncode) == (0, 0)
    assert answers[0]["differences"]
    assert answers[0] == answers[1]
