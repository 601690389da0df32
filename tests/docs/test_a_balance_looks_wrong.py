"""docs/how-to/a-balance-looks-wrong.md, word for word: each command of the page prints what the page shows behind it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.clock import ManualClock
from tests.support.events import rendered
from tests.support.how_to import alike, given, printed, steps_of
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

PAGE = ROOT / "docs" / "how-to" / "a-balance-looks-wrong.md"
JOBS = {"j-1": "ann", "j-2": "ann", "j-3": "ben", "j-4": "ben", "j-5": "cyn", "j-6": "dan", "j-7": "eve"}
TRAILER = "s3://renders/trailer.mp4"


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Return the page's morning: five users with 20 credits each, whose openings were taken, and what went wrong since."""
    file = tmp_path / "video.yaml"
    file.write_text((ROOT / "policies" / "video.yaml").read_text() + "grants: events\n")
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws, "POLICY_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr("engine.cli.statement.SECONDS_BETWEEN_LOOKS", 0)
    world = World(dynamodb, tables, load_policy(file), ManualClock().clock())
    for user in set(JOBS.values()):
        world.user(user, "20")
    for job, user in JOBS.items():
        world.job(job, userId=user)
        more = {"result_url": TRAILER} if user == "ben" else {}
        event = rendered(job, user=user, at="10:05" if job == "j-4" else "10:00", **more)
        world.deliver(*([event] if job != "j-2" else []))  # the event of j-2 is lost
    printed("reconciler audit --seal", {})
    for user in ("cyn", "dan"):
        _by_hand(world, tables.credits, {"userId": {"S": user}}, "ADD remaining :n", "5")
    _by_hand(world, tables.ledger, {"reference": {"S": "job#j-7"}, "sequence": {"N": "1"}}, "SET amount = :n", "-0.2")
    return world


def _by_hand(world: World, table: str, key: dict[str, Any], update: str, number: str) -> None:
    """Change an item as somebody does who goes around the engine."""
    world.client.update_item(
        TableName=table, Key=key, UpdateExpression=update, ExpressionAttributeValues={":n": {"N": number}}
    )


def test_each_command_prints_what_the_page_shows(world: World) -> None:
    """In the page's order. What looks writes nothing, and an audit ends with status 1 until all is right."""
    written, found = [], []
    for step in steps_of(PAGE):
        before, words = world.everything(), step.command.split()[1:3]
        result = given(step.command, {"LOGNAME": "ann"})
        assert step.shown is None or alike(step.shown) == alike(result.stdout), step.command
        written += [words] if before != world.everything() else []
        found += [words] if result.exit_code else []

    repair = ["audit", "--repair"]
    assert [["scan"], ["adjust", "ben"], repair, ["adjust", "dan"], repair, repair] == written
    assert [["audit"], repair, repair, repair, repair, ["audit", "--verify"], repair] == found
    world.deliver(rendered("j-2", user="ann", at="10:00"))  # the lost event comes after all, and changes nothing
    had = {user: json.loads(printed(f"reconciler statement {user} --json", {})) for user in sorted(set(JOBS.values()))}
    remaining = {user: Decimal(statement["remaining"]) for user, statement in had.items()}
    expected = {"ann": "18.4", "ben": "19.2", "cyn": "19.2", "dan": "24.2", "eve": "19.2"}
    assert {user: Decimal(balance) for user, balance in expected.items()} == remaining
    assert {Decimal(20)} == {Decimal(statement["grantedByApplication"]) for statement in had.values()}


def test_without_the_side_that_is_wrong_nothing_is_done(world: World) -> None:
    """As the page says: only a person can say it."""
    before = world.everything()

    result = given('reconciler audit --repair --user cyn --reason "ticket 4712" --yes', {})

    assert 1 == result.exit_code
    assert "only a person can say whether that is wrong" in " ".join(result.stdout.split())
    assert before == world.everything()


def test_whoever_has_spent_the_credits_meanwhile_ends_below_0(world: World) -> None:
    """The change is taken back whole, as the page warns."""
    world.job("j-8", userId="cyn").deliver(rendered("j-8", user="cyn", seconds=220, at="11:00"))
    given('reconciler audit --repair --user cyn --wrong balance --reason "ticket 4712" --yes', {})

    row = world.user_row("cyn")
    assert row is not None
    assert Decimal("-2.8") == row["remaining"]  # 20 - 0.8 - 22
