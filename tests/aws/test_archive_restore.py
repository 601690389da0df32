"""The runbook's restore from the archive, by its own commands: a deployed stack loses its tables, and gets every item back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.domain.digits import as_text
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.runtime.clock import Clock
from tests.conftest import started
from tests.support.change_sets import deploy_by_change_set
from tests.support.rehearsal import PARAMETERS, STACK, Rehearsal, blocks, half_a_day
from tests.support.stack import rendered
from tools.deployment import wait_until
from tools.environments import ROOT
from tools.local_aws import run_local_aws

GIVEN = {"u-1": "97.6", "u-2": "74.2", "u-3": "10"}
"""What step 4 adds of each user: 100 given and three charges of 0.80; 50, 25 bought, one charge; 10."""


@pytest.fixture
def rehearsal(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    """Return the stack of production with its archive of entries, whose functions may do only what their roles permit."""
    monkeypatch.chdir(ROOT)
    with started(run_local_aws(tmp_path, enforce_iam=True)) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        stack = deploy_by_change_set(running, built, name=STACK, parameters={**PARAMETERS, "Archive": "on"})
        yield (found := Rehearsal(stack, built, blocks("Restoring from the archive")).at_work(monkeypatch.setenv))
        found.stack.close()


def archived(rehearsal: Rehearsal) -> int:
    """Return how many objects the chain has, by its head."""
    tables = rehearsal.stack.tables
    return DynamoHeads(rehearsal.stack.dynamodb, tables.seals).head(Clock().deadline(60)).number


def lose(rehearsal: Rehearsal) -> None:
    """Delete Ledger, Credits and Seals, and take every mark off the jobs."""
    stack, dynamodb = rehearsal.stack, rehearsal.stack.dynamodb
    for table in (stack.tables.ledger, stack.tables.credits, stack.tables.seals):
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=table)
    for row in dynamodb.scan(TableName=stack.jobs_table)["Items"]:
        update = "REMOVE reconciled, reconciledStatus, reconciledSequence"
        dynamodb.update_item(TableName=stack.jobs_table, Key={"jobId": row["jobId"]}, UpdateExpression=update)


def all_items(rehearsal: Rehearsal) -> tuple[list[str], ...]:
    """Return Ledger, Credits and Jobs to the item, as texts; a number that the local AWS has added to is 10.0, and is 10."""
    return tuple(sorted(map(text_of, items_of(rehearsal, table))) for table in ("ledger", "credits", "jobs"))


def items_of(rehearsal: Rehearsal, kind: str) -> list[dict[str, Any]]:
    """Return the items of a table."""
    table = getattr(rehearsal.stack, f"{kind}_table")
    items: list[dict[str, Any]] = rehearsal.stack.dynamodb.scan(TableName=table)["Items"]
    return items


def text_of(item: dict[str, Any]) -> str:
    """Return an item as a text."""
    return json.dumps(decode_item(item), default=as_text, sort_keys=True)


@pytest.mark.e2e
@pytest.mark.proof
def test_the_runbooks_own_commands_bring_back_every_item_from_the_archive_alone(rehearsal: Rehearsal) -> None:
    """Then all that was ever told, told again, changes nothing, and the chain goes on where it ended."""
    half_a_day(rehearsal)
    wait_until(lambda: archived(rehearsal) > 0 and everything_is_archived(rehearsal), "all of it is archived")
    before, number = all_items(rehearsal), archived(rehearsal)
    rehearsal.run(1, 1)
    lose(rehearsal)

    rehearsal.run(2, 3)
    give(rehearsal)
    rehearsal.run(5, 6)
    rehearsal.run(7, 7)

    assert before == all_items(rehearsal)
    assert number == archived(rehearsal)
    rehearsal.stack.send(rendered("u-1", "j-before"), rendered("u-2", "j-nowhere"), rendered("u-1", "j-new"))
    wait_until(lambda: rehearsal.net("job#j-new") == Decimal("-0.8"), "what is new is posted")
    wait_until(lambda: archived(rehearsal) > number, "and archived, behind what was there")
    assert 0 == json.loads(rehearsal.reconciler(["archive", "restore", "--archive", bucket(rehearsal), "--json"]))["missing"]
    assert {"create-table", "sam deploy", "archive", "audit", "scan"} <= {
        word for each in rehearsal.ran for word in (each, each.split()[-1])
    }


def everything_is_archived(_rehearsal: Rehearsal) -> bool:
    """Say whether the archive has what the tables have."""
    result = CliRunner().invoke(app, ["archive", "restore", "--stack", STACK, "--json"])
    return bool(json.loads(result.stdout)["unarchived"] == 0)


def bucket(rehearsal: Rehearsal) -> str:
    """Return the archive as the command takes it."""
    return f"s3://{rehearsal.stack.outputs['ArchiveBucketName']}"


def give(rehearsal: Rehearsal) -> None:
    """Do step 4 for each user, by the page's own line."""
    ((line,),) = rehearsal.blocks[3:4]
    listed = dict(row.split(",") for row in Path("balances.csv").read_text().splitlines()[1:])
    assert listed.keys() == GIVEN.keys()
    for user, amount in GIVEN.items():
        rehearsal.shell.run(line.replace("u-1", user).replace("97.6", amount))
    Path("balances.csv").unlink()
