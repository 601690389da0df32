"""docs/how-to/a-customer-complains.md, word for word: each command of the page prints what the page shows behind it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.domain.envelope import Source
from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

VIDEO = ROOT / "policies" / "video.yaml"
TRAILER = "s3://renders/trailer.mp4"


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Return the day of the page: u-42 has 20 credits, a trailer that was told of under two jobs, and a job that failed."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws, "POLICY_FILE": str(VIDEO)}.items():
        monkeypatch.setenv(name, value)
    time = ManualClock()
    world = World(dynamodb, tables, load_policy(VIDEO), time.clock()).user("u-42", "20")
    for job, more in {"j-7": {"result_url": TRAILER}, "j-8": {"result_url": TRAILER}, "j-9": {"status": "failed"}}.items():
        world.job(job, userId="u-42", **more)
    story = (
        rendered("j-7", user="u-42", result_url=TRAILER, at="10:00"),
        rendered("j-8", user="u-42", result_url=TRAILER, at="10:05"),
        rendered("j-9", user="u-42", seconds=12, at="10:30"),
        failed("j-9", user="u-42", at="11:00"),
    )
    for number, event in enumerate(story, start=1):
        world.deliver({**event, "id": f"e-{number}"}, source=Source.QUEUE)
        time.wait(60)
    return world


BLOCK = re.compile(r"^```sh\n(?P<lines>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.DOTALL | re.MULTILINE)
STEPS = [
    (found["lines"].splitlines(), found["shown"])
    for found in BLOCK.finditer((ROOT / "docs" / "how-to" / "a-customer-complains.md").read_text())
]
WIDE = {"COLUMNS": "120"}


def run(line: str) -> str:
    """Do a line of the page, and return what it prints."""
    program, *words = shlex.split(line)
    result = CliRunner().invoke(app, words, env=WIDE)
    assert ("reconciler", 0) == (program, result.exit_code), f"{line}: {result.output} {result.exception}"
    return result.stdout


def plain(text: str) -> str:
    """Return a text as it is whatever the shipped policy says beside what it says here, without blanks at the end of lines."""
    return "\n".join(line.rstrip() for line in re.sub(r"video@[0-9a-f]{12}", "video@...", text).splitlines())


def test_each_command_prints_what_the_page_shows(world: World, tmp_path: Path) -> None:
    """In the page's order. Until the last step nothing is written; then the charge of j-8 is flagged, and that is resolved."""
    before, ran = world.everything(), []
    *looking, (closing, _) = STEPS
    for lines, shown in looking:
        printed = "\n".join(run(line) for line in lines)
        assert shown is None or plain(shown) == plain(printed)
        ran += [line.split()[1] for line in lines]
    assert before == world.everything()

    for line in closing:
        run(line)

    assert ["statement", "look-back", "job", "statement", "statement"] == ran
    assert ["debit", "flag", "flag"] == [kind for kind, _ in world.amounts("j-8")]
    assert "flagged, resolved: ticket 4711" in " ".join(run("reconciler look-back --user u-42").split())


def test_the_customers_page_is_what_the_page_says_it_is(world: World, tmp_path: Path) -> None:
    """In the file that the page names, with the words that it quotes."""
    for lines, _ in STEPS:
        for line in lines:
            if "--html" in line:
                run(line)

    page = (tmp_path / "january.html").read_text()
    assert all(text in page for text in ("1 January 2026 to 31 January 2026", "Job j-7", "Refund for job j-9", "18.40"))
    assert not any(text in page for text in ("debit-rendered", "rendered-twice", "e-2", "video@"))
