"""docs/how-to/change-a-price.md, word for word: from the edit to the first charge, and back."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.clock import START, ManualClock
from tests.support.events import as_json, failed, rendered
from tests.support.how_to import alike, printed, steps_of
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment
from tools.review import MARK, review

PAGE = ROOT / "docs" / "how-to" / "change-a-price.md"
ROW, CASE = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
VIDEO, TESTS = "policies/video.yaml", "policies/tests/video.yaml"
IDENTITY = re.compile(r"video@[0-9a-f]{12}")
CHANGES = re.compile(r"\d+(?= passed)|(?<=digest  )[ ]*[0-9a-f]{64}")
NEW_YEAR = datetime(2027, 1, 1, 12, tzinfo=UTC)
DECEMBER = [
    rendered("j-1", user="ann", seconds=20, model="premium", at="2026-12-10T10:00:00Z"),
    rendered("j-2", user="ann", seconds=4, model="premium", at="2026-12-10T11:00:00Z"),
    rendered("j-3", user="ben", seconds=10, at="2026-12-11T10:00:00Z"),
    rendered("j-4", user="cyn", seconds=8, model="premium", at="2026-12-12T10:00:00Z"),
    failed("j-4", user="cyn", at="2026-12-12T10:30:00Z"),
]


class _Today(datetime):
    """The day of the edit."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime(2026, 12, 20, tzinfo=tz)


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Return a repository whose last commit has the shipped policy, and users with 100 credits each."""
    begin(tmp_path, monkeypatch)
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws}.items():
        monkeypatch.setenv(name, value)
    clock = ManualClock((NEW_YEAR - START).total_seconds()).clock()
    monkeypatch.setattr("engine.cli.validate.datetime", _Today)
    monkeypatch.setattr("engine.cli.reprice.Clock", lambda: clock)
    world = World(dynamodb, tables, clock=clock)
    for user, job in {"ann": "j-9", "ben": "j-10"}.items():
        world.user(user, "100").job(job, userId=user)
    return world


def begin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a repository whose last commit has the shipped policy, with the events of December beside it."""
    monkeypatch.chdir(folder)
    (folder / "policies" / "tests").mkdir(parents=True)
    for name in (VIDEO, TESTS):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for command in (["init", "-q"], ["add", "policies"], ["commit", "-qm", "The prices of November"]):
        git(*command)
    (folder / "december.jsonl").write_text("".join(f"{as_json(each)}\n" for each in DECEMBER))


def git(*arguments: str) -> None:
    """Give git a command in this folder, as somebody without settings."""
    identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    subprocess.run(["/usr/bin/env", "git", *identity, *arguments], check=True, capture_output=True)


def edit() -> None:
    """Do what the page says under Edit and Test."""
    policy, tests = Path(VIDEO), Path(TESTS)
    before, rules = policy.read_text().split("\n\nrules:")
    policy.write_text(f"{before}\n{ROW}\nrules:{rules}")
    tests.write_text(f"{tests.read_text()}\n{CASE}")


def deploy(world: World) -> None:
    """Let the edited policy charge two jobs of the new year, then take the edit back."""
    world.policy = load_policy(VIDEO)
    world.deliver(
        rendered("j-9", user="ann", model="premium", at="2027-01-01T08:00:00Z"),
        rendered("j-10", user="ben", at="2027-01-01T09:00:00Z"),
    )


@pytest.mark.local_aws
def test_each_command_prints_what_the_page_shows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 seconds of Ann's cost 2.40 at 0.30, and 2.00 once all is rolled back; Ben's 8 at the default cost 0.96 all along."""
    edit()
    wrong = load_policy(VIDEO).identity
    for step in steps_of(PAGE):
        if step.command.startswith("reconciler explain"):
            deploy(world)
            monkeypatch.setenv("POLICY_FILE", VIDEO)
        if step.command.startswith("reconciler reprice"):
            git("checkout", "--", "policies")
        out = printed(IDENTITY.sub(wrong, step.command), {})
        assert step.shown is None or plain(step.shown) == plain(out), step.command

    left = {user: (world.user_row(user) or {})["remaining"] for user in ("ann", "ben")}
    assert {"ann": Decimal(98), "ben": Decimal("99.04")} == left


def test_the_comment_on_a_pull_request_begins_as_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned by the workflow's own tool, against the last commit."""
    (shown,) = re.findall(r"^```markdown\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    begin(tmp_path, monkeypatch)
    edit()

    monkeypatch.setattr("tools.review.datetime", _Today)
    assert review("HEAD", Path("out"), {"PLAN_EVENTS": "december.jsonl"}) is False
    assert Path("out", "plan.md").read_text().startswith(f"{MARK}\n{shown}")


def plain(text: str) -> str:
    """Return a text as it is whatever else the shipped policy and its tests say."""
    return CHANGES.sub("...", alike(text))
