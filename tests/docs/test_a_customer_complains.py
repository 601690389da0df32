"""docs/how-to/a-customer-complains.md, word for word: each command of the page prints what the page shows behind it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.domain.envelope import Source
from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.how_to import DIGEST, printed, steps_of
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


STEPS = steps_of(ROOT / "docs" / "how-to" / "a-customer-complains.md")


def run(command: str) -> str:
    """Do a line of the page, and return what it prints."""
    return printed(command, {})


def plain(text: str) -> str:
    """Return a text as it is whatever the shipped policy says beside what it says here, without blanks at the end of lines."""
    return "\n".join(line.rstrip() for line in DIGEST.sub("@...", text).splitlines())


def test_each_command_prints_what_the_page_shows(world: World, tmp_path: Path) -> None:
    """In the page's order. Only what says so writes: 0.80 go back for j-8, which is flagged then, and that is resolved."""
    written = []
    for step in STEPS:
        before = world.everything()
        told = run(step.command)
        assert step.shown is None or plain(step.shown) == plain(told)
        written += [step.command.split()[1]] if before != world.everything() else []

    assert ["adjust", "look-back", "anomalies"] == written
    assert [("debit", Decimal("-0.8")), ("adjust", Decimal("0.8")), ("flag", 0), ("flag", 0)] == world.amounts("j-8")
    row = world.user_row("u-42")
    assert row is not None
    assert Decimal("19.2") == row["remaining"]


def test_what_was_given_back_and_resolved_is_told_so(world: World) -> None:
    """By the next look back; and the job's failure moves nothing more."""
    for step in STEPS:
        run(step.command)
    world.deliver(failed("j-8", user="u-42", at="13:00"))

    (found,) = json.loads(run("reconciler look-back --user u-42 --json"))["found"]

    assert (0, "flagged", True) == (Decimal(found["cost"]), found["state"], found["resolved"].startswith("ticket 4711"))
    assert Decimal("19.2") == Decimal(json.loads(run("reconciler statement u-42 --json"))["remaining"])


def test_the_customers_page_is_what_the_page_says_it_is(world: World, tmp_path: Path) -> None:
    """In the file that the page names: the customer reads what was given back, and not why."""
    (giving,) = (step.command for step in STEPS if step.command.startswith("reconciler adjust"))
    (writing,) = (step.command for step in STEPS if "--html" in step.command)
    run(giving)

    run(writing.replace("2026-02-01", "2999-01-01"))  # the command's own clock is the real one

    page = (tmp_path / "january.html").read_text()
    assert all(text in page for text in ("1 January 2026 to", "Job j-7", "Refund for job j-9", "19.20"))
    assert "Credit from our support team for job j-8" in page
    assert not any(text in page for text in ("debit-rendered", "rendered-twice", "e-2", "video@", "4711", "trailer"))
