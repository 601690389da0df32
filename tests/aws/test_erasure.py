"""docs/security.md's erasure of a user, by its own commands: the person's data go, and the books still agree."""

from __future__ import annotations

import json
import re
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.audit.seals import REST
from engine.cli.app import app
from engine.ledger.dynamodb.attributes import decode_item, encode_item
from engine.ledger.store import Tables
from tests.support.aws_cli import AwsCli, commands
from tests.support.clock import ManualClock
from tests.support.events import rendered
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import LocalAws, tables_environment

PAGE = (ROOT / "docs" / "security.md").read_text()


def section(title: str) -> list[list[str]]:
    """Return the commands of a section of the page, each as its words."""
    text = PAGE.split(f"### {title}\n")[1].split("\n## ")[0].split("\n### ")[0]
    return [shlex.split(line) for block in commands(text) for line in block]


def run_aws(local_aws: str, words: list[str], tables: Tables) -> None:
    """Do what the AWS CLI does with a command, on these tables in the place of the page's."""
    names = {"Jobs-prod": tables.jobs, "Credits-prod": tables.credits, "Ledger-prod": tables.ledger}
    AwsCli(LocalAws(local_aws, Path()).client).run([names.get(word, word) for word in words[1:]])


@pytest.fixture
def of_one_user(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Return tables with a user, a job of theirs that was charged and explained, and the command pointed at them."""
    monkeypatch.chdir(ROOT)
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws}.items():
        monkeypatch.setenv(name, value)
    time = ManualClock()
    world = World(dynamodb, tables, clock=time.clock())
    row = {"userId": "u-42", "remaining": Decimal(10), "email": "ada@example.com", "displayName": "Ada"}
    dynamodb.put_item(TableName=tables.credits, Item=encode_item(row))
    job = {"jobId": "j-1", "userId": "u-42", "status": "completed", "seconds": Decimal(8), "model": "veo-3"}
    job |= {"updatedAt": "2026-01-05T10:00:00Z", "result_url": "s3://renders/ada", "prompt": "Ada on a bicycle"}
    dynamodb.put_item(TableName=tables.jobs, Item=encode_item(job))
    world.deliver(rendered("j-1", user="u-42"))
    key = encode_item({"reference": "job#j-1", "sequence": Decimal(1)})
    explained = {":said": {"M": {"summary": {"S": "Ada rendered."}}}}
    told = {"UpdateExpression": "SET explanation = :said", "ExpressionAttributeValues": explained}
    dynamodb.update_item(TableName=tables.ledger, Key=key, **told)
    time.wait(REST.total_seconds() + 60)
    assert 1 == world.scheduled()["audit"]["seal"]["entries"]
    return world


def stored(world: World) -> str:
    """Return all that is in the three tables, as text."""
    tables = (world.tables.jobs, world.tables.credits, world.tables.ledger)
    return json.dumps([world.client.scan(TableName=table)["Items"] for table in tables])


def test_a_user_is_erased_by_the_pages_own_commands_and_the_books_still_agree(of_one_user: World, local_aws: str) -> None:
    """What leads to the person is gone; amounts, marks and seals are what they were: 10 less 8 seconds at 0.10."""
    world, run = of_one_user, []
    assert all(
        found in stored(world) for found in ("ada@example.com", "Ada on a bicycle", "s3://renders/ada", "Ada rendered.")
    )

    for words in section("A user is erased"):
        if words[0] == "aws":
            run_aws(local_aws, words, world.tables)
        elif words[1] != "dead-letters":
            result = CliRunner().invoke(app, words[1:])
            assert 0 == result.exit_code, result.output
        run.append(words[1])

    assert ["scan", "dead-letters", "dynamodb", "dynamodb", "dynamodb", "audit", "audit"] == run
    assert [] == re.findall(r"ada\b|ada@", stored(world), re.IGNORECASE)
    row = decode_item(world.client.get_item(TableName=world.tables.credits, Key={"userId": {"S": "u-42"}})["Item"])
    assert {"userId": "u-42", "remaining": Decimal("9.2"), "posted": Decimal("-0.8")} == row


def test_a_user_id_that_is_changed_in_the_ledger_is_found(of_one_user: World) -> None:
    """As the page says: the seal covers it, so the ledger is no place for a name."""
    world = of_one_user
    key = encode_item({"reference": "job#j-1", "sequence": Decimal(1)})
    changed = {"UpdateExpression": "SET userId = :id", "ExpressionAttributeValues": {":id": {"S": "nobody"}}}
    world.client.update_item(TableName=world.tables.ledger, Key=key, **changed)

    result = CliRunner().invoke(app, ["audit", "--verify"])

    assert 1 == result.exit_code
    assert "job#j-1" in result.output


def test_what_is_known_of_a_user_is_told(of_one_user: World) -> None:
    """The statement names the job and what it cost."""
    (words,) = section("A user asks what you know")

    result = CliRunner().invoke(app, words[1:])

    assert 0 == result.exit_code, result.output
    assert "j-1" in result.output
    assert "-0.8" in result.output
    assert of_one_user.tables.credits


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL), ids=("producer", "bus"))
def test_the_examples_of_policies_are_policies(block: str) -> None:
    """JSON with one statement about PutEvents on one bus, and conditions whose keys IAM has for it."""
    (statement,) = json.loads(block)["Statement"]
    keys = {key for tests in statement["Condition"].values() for key in tests}

    assert "events:PutEvents" == statement["Action"]
    assert re.fullmatch(r"arn:aws:events:[a-z0-9-]+:\d{12}:event-bus/[a-z]+", statement["Resource"])
    assert keys <= {"events:source", "events:detail-type", "aws:PrincipalArn"}
