"""The plan as a job of Spark, started as a person starts it, on the Spark of this machine: Java and what PyPI has of it."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from tests.planning.test_planning import EDITS, FULL
from tests.support.planning import made_lines
from tools import environments

PAGE = (environments.ROOT / "docs" / "how-to" / "plan-on-a-cluster.md").read_text()
SCRIPT = re.search(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
QUIET = ("--conf", "spark.ui.enabled=false", "--conf", "spark.ui.showConsoleProgress=false")

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark runs on Java, and there is none here"),
]


@pytest.fixture(scope="module")
def submit(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what submits the page's own script to Spark, which runs tasks on two cores."""
    environments.fill(environments.SPARK)
    assert SCRIPT is not None
    script = tmp_path_factory.mktemp("job") / "plan_job.py"
    script.write_text(SCRIPT[1])

    def submitted(*arguments: Any) -> subprocess.CompletedProcess[str]:
        spark = environments.SPARK.packages / "pyspark"
        command = [spark / "bin" / "spark-submit", "--master", "local[2]", *QUIET, script, *arguments]
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

    done = submit(*options, "--events", files[0].parent, "--out", tmp_path / "answer.json")

    assert (1, 1) == (expected.exit_code, done.returncode), "the edit refuses events, which fails a check"
    assert json.loads(expected.stdout)["differences"]
    assert expected.stdout == (tmp_path / "answer.json").read_text()


def test_a_line_that_is_no_event_is_named_in_one_line(tmp_path: Path, submit: Callable[..., Any]):
    """And not as Java tells an error: a hundred lines, four times. Spark puts what a script complains of where it prints."""
    now, then = edited(tmp_path, "another price")
    (tmp_path / "events.jsonl").write_bytes(b"".join(made_lines(1, 3)) + b"nonsense\n")

    done = submit(then, "--policy", now, "--events", tmp_path / "events.jsonl")

    assert 2 == done.returncode
    assert done.stdout.startswith(f"file:{tmp_path}/events.jsonl: line 4: is not JSON")
    assert 1 == done.stdout.count("\n")
