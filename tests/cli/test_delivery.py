"""`validate --delivers`: what a policy waits for, held to what a stack delivers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from engine.cli.app import app

SHOP = """\
version: 1
name: shop
event: {job: detail.jobId, user: detail.userId, time: time, reference: detail.purchaseId}
rules:
  - name: grant-pack
    match: {source: [shop], detail-type: [Pack Sold]}
    action: grant
    grant: {quantity: detail.credits}
"""
WAITS = "`grant-pack` waits for events that are not delivered: set EventSources=shop and EventDetailTypes=Pack Sold"
IGNORED = "renders/done is delivered, and no rule takes it: such events are counted as ignored"


def reconciler(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def test_validate_warns_of_rules_that_wait_for_what_is_not_delivered(tmp_path: Path) -> None:
    """With the rule's line and the value to set. A warning is no failure; without --delivers nothing is said."""
    shop = tmp_path / "shop.yaml"
    shop.write_text(SHOP)

    red = reconciler("validate", shop, "--delivers", "renders/done")
    green = reconciler("validate", shop, "--delivers", "shop/Pack Sold")

    assert (0, 0) == (red.exit_code, green.exit_code)
    warned = [f"warning: {shop}:5:5: {WAITS}", "      - name: grant-pack", "        ^", f"warning: {shop}: {IGNORED}"]
    assert warned == red.stdout.splitlines()[:-1]
    assert green.stdout == reconciler("validate", shop).stdout == red.stdout.splitlines(keepends=True)[-1]


def test_what_is_not_delivered_is_told_to_machines_and_beside_the_line(tmp_path: Path) -> None:
    """As JSON, and as annotations of a pull request."""
    shop = tmp_path / "shop.yaml"
    shop.write_text(SHOP)

    (result,) = json.loads(reconciler("validate", shop, "--delivers", "renders/done", "--json").stdout)
    lines = reconciler("validate", shop, "--delivers", "renders/done", "--format", "github").stdout.splitlines()

    assert ([], [(5, WAITS), (None, IGNORED)]) == (
        result["mistakes"],
        [(warning["line"], warning["message"]) for warning in result["warnings"]],
    )
    assert [f"::warning file={shop},line=5,col=5::{WAITS}", f"::warning file={shop}::{IGNORED}"] == lines


def test_what_is_delivered_has_to_be_pairs(policy: Path) -> None:
    """The wrong part is named, with what would be right."""
    result = reconciler("validate", policy, "--delivers", "renders")

    assert 2 == result.exit_code
    assert "--delivers: `renders` is no SOURCE/DETAIL-TYPE; write for example" in result.stderr
