"""docs/how-to/goodwill-and-mistakes.md, word for word: each command prints what the page shows behind it."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.events import failed, rendered
from tests.support.how_to import alike, printed, steps_of
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

PAGE = ROOT / "docs" / "how-to" / "goodwill-and-mistakes.md"
VIDEO = ROOT / "policies" / "video.yaml"


def policy_of_the_page(folder: Path) -> Path:
    """Return the shipped policy with the bounds that the page says."""
    (bounds,) = re.findall(r"^```yaml\n(adjustments: .*\n)```$", PAGE.read_text(), re.MULTILINE)
    file = folder / "video.yaml"
    file.write_text(re.sub(r"^adjustments:.*\n", "", VIDEO.read_text(), flags=re.MULTILINE) + bounds)
    return file


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Return the page's example: u-42 has 20 credits, and 0.8 of them went for j-7."""
    file = policy_of_the_page(tmp_path)
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws, "POLICY_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    world = World(dynamodb, tables, load_policy(file)).user("u-42", "20").job("j-7", userId="u-42")
    world.deliver(rendered("j-7", user="u-42"))
    return world


def test_each_command_prints_what_the_page_shows(world: World) -> None:
    """Ann gives them all, but for the approval: that is Ben's. In the end the ledger holds what the page says."""
    for step in steps_of(PAGE):
        who = "ben" if " approve " in step.command else "ann"
        assert step.shown is None or alike(step.shown) == alike(printed(step.command, {"LOGNAME": who})), step.command

    row = world.user_row("u-42")
    assert row is not None
    assert Decimal("69.7") == row["remaining"]  # 20 - 0.8 + 5 + 0.5 - 5 + 50
    world.deliver(failed("j-7", user="u-42"))
    assert [("debit", Decimal("-0.8")), ("adjust", Decimal("0.5")), ("refund", Decimal("0.3"))] == world.amounts("j-7")
