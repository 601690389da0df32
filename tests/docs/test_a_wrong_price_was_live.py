"""docs/how-to/a-wrong-price-was-live.md, word for word: each command of the page prints what the page shows behind it."""

from __future__ import annotations

import json
import re
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.app import app
from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

VIDEO = (ROOT / "policies" / "video.yaml").read_text()
WRONG = VIDEO.replace('premium: "0.25"', 'premium: "2.50"', 1)

BLOCK = re.compile(r"^```sh\n(?P<lines>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.DOTALL | re.MULTILINE)
PAGE = ROOT / "docs" / "how-to" / "a-wrong-price-was-live.md"
STEPS = [(found["lines"].replace("\\\n", "").splitlines(), found["shown"]) for found in BLOCK.finditer(PAGE.read_text())]
IDENTITY = re.compile(r"video@[0-9a-f]{12}")
CHANGES = re.compile(
    r"(?<=digest  )[0-9a-f]{64}|(?<=plan  )[ ]*[0-9a-f]{64}|(?<=econds  )[ ]*[0-9.]+|(?<=erSecond  )[ ]*[0-9.]+"
)
"""Digests and durations: another each time."""


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Return the morning of the page: the wrong price was deployed at 04:00, the mended one at 10:00."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    for name, text in {"policies/video.yaml": VIDEO, "wrong.yaml": WRONG}.items():
        (tmp_path / name).write_text(text)
    places = {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws, "POLICY_FILE": "policies/video.yaml"}
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    noon = ManualClock().clock()
    monkeypatch.setattr("engine.cli.reprice.Clock", lambda: noon)
    world = World(dynamodb, tables, clock=noon)
    for user, jobs in {"ann": "123", "ben": "4", "cyn": "56"}.items():
        world.user(user, "100")
        for number in jobs:
            world.job(f"j-{number}", userId=user)
    right, wrong = load_policy("policies/video.yaml"), load_policy("wrong.yaml")
    for policy, events in (
        (right, [rendered("j-1", user="ann", model="premium", at="03:00")]),
        (
            wrong,
            [
                rendered("j-2", user="ann", model="premium", at="04:30"),
                rendered("j-3", user="ann", seconds=10, at="05:00"),
                rendered("j-4", user="ben", seconds=20, model="premium", at="06:00"),
                rendered("j-5", user="cyn", seconds=4, model="premium", at="09:00"),
                failed("j-5", user="cyn", at="09:30"),
            ],
        ),
        (right, [rendered("j-6", user="cyn", model="premium", at="10:30")]),
    ):
        world.policy = policy
        world.deliver(*events)
    return world


def run(line: str) -> Result:
    """Do a line of the page."""
    program, *words = shlex.split(IDENTITY.sub(load_policy("wrong.yaml").identity, line))
    result = CliRunner().invoke(app, words, env={"COLUMNS": "120"})
    assert ("reconciler", 0) == (program, result.exit_code), f"{line}: {result.output} {result.exception}"
    return result


def plain(text: str) -> str:
    """Return a text as it is whatever the shipped policy says beside, and however wide a duration is."""
    spaced = re.sub(r"(?<=\S) {2,}", "  ", IDENTITY.sub("video@...", text))
    return "\n".join(line.rstrip() for line in CHANGES.sub("...", spaced).splitlines())


def test_each_command_prints_what_the_page_shows(world: World) -> None:
    """In the page's order. Only one of them posts, and by hand: 18 and 45 go back."""
    posting = []
    for lines, shown in STEPS:
        for line in lines:
            before = world.everything()
            printed = run(line).stdout
            assert shown is None or plain(shown) == plain(printed)
            posting += [line] if before != world.everything() else []

    assert ["reconciler apply plan.jsonl"] == posting
    balances = {user: Decimal((world.user_row(user) or {})["remaining"]) for user in ("ann", "ben", "cyn")}
    assert {"ann": Decimal(95), "ben": Decimal(95), "cyn": Decimal(98)} == balances


def test_a_failure_afterwards_gives_back_the_right_price(world: World) -> None:
    """As the page says: 2.00 for j-2, and not the 20.00 that it was charged first."""
    for lines, _ in STEPS:
        for line in lines:
            run(line)
    world.deliver(failed("j-2", user="ann", at="12:00"))

    assert [("debit", Decimal(-20)), ("reprice", Decimal(18)), ("refund", Decimal(2))] == world.amounts("j-2")


def test_what_the_page_says_of_the_files_lines_is_there(world: World) -> None:
    """A person can look at any job of it."""
    for lines, _ in STEPS[:2]:
        for line in lines:
            run(line)
    head, *jobs, end = map(json.loads, Path("plan.jsonl").read_text().splitlines())

    assert {"policy", "tables", "reason", "by", "at", "filters", "total", "byModel", "byDay", "leftOut"} <= head.keys()
    assert ["j-2", "j-4", "j-5"] == [line["job"] for line in jobs]
    assert {"charge", "amount", "revision", "price", "quantity"} <= jobs[0]["charges"][0].keys()
    assert ["sha256"] == list(end)
