"""Somebody at the runbook, on a deployed stack: its commands as they stand there, and what is there before and behind them."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from typer.testing import CliRunner

from engine.cli.app import app
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.marked import MARK
from tests.support.aws_cli import AwsCli, Shell, commands
from tests.support.change_sets import deploy_by_change_set
from tests.support.stack import balance, failed, give, put_job, rendered
from tools.deployment import Deployment, wait_until
from tools.environments import ROOT

STACK = "cc-agent-reconciler-prod"
PARAMETERS = {
    "Environment": "prod",
    "AlarmEmail": "you@example.com",
    "EventDetailTypes": "video.rendered,video.failed,credits.purchased",
}


def blocks(section: str) -> list[list[str]]:
    """Return the commands of a section of the runbook, block by block."""
    page = (ROOT / "docs" / "runbook.md").read_text()
    return commands(page.split(f"## {section}\n")[1].split("\n## ")[0])


@define
class Rehearsal:
    """The stack, somebody at its runbook, and what Ledger and Credits were at the second to go back to."""

    stack: Deployment
    build: Path
    blocks: list[list[str]]
    kept: dict[str, list[dict[str, Any]]] = field(factory=dict)
    shell: Shell = field(init=False)
    ran: list[str] = field(factory=list)

    def keep(self) -> None:
        """Remember both tables, and this second."""
        for table in (self.stack.ledger_table, self.stack.credits_table):
            self.kept[table] = self.stack.dynamodb.scan(TableName=table)["Items"]
        time.sleep(1.1)  # what is posted from now on is posted behind that whole second
        self.shell.variables["I"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def aws(self, words: list[str]) -> str:
        """Do it. The local AWS restores a table as it is now, so that it then gets what it had at that second."""
        self.ran.append(" ".join(words[:2]))
        said = AwsCli(self.stack.aws.client).run(words)
        if words[1] == "restore-table-to-point-in-time":
            given = dict(zip(words[2::2], words[3::2], strict=True))
            assert self.shell.variables["I"] == given["--restore-date-time"]
            self._put_back(given["--target-table-name"], self.kept[given["--source-table-name"]])
        return said

    def _put_back(self, table: str, items: list[dict[str, Any]]) -> None:
        dynamodb = self.stack.dynamodb
        keys = [key["AttributeName"] for key in dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]]
        for item in dynamodb.scan(TableName=table)["Items"]:
            dynamodb.delete_item(TableName=table, Key={name: item[name] for name in keys})
        for item in items:
            dynamodb.put_item(TableName=table, Item=item)

    def sam(self, words: list[str]) -> str:
        """Deploy with the parameters that the line gives, and no other: the environment of samconfig.toml names the stack."""
        assert ["deploy", "--config-env", "prod", "--parameter-overrides"] == words[:4]
        assert STACK == tomllib.loads((ROOT / "samconfig.toml").read_text())["prod"]["global"]["parameters"]["stack_name"]
        parameters = {name: value for name, _, value in (word.partition("=") for word in words[4:])}
        self.stack = evolve(
            self.stack, outputs=deploy_by_change_set(self.stack.aws, self.build, name=STACK, parameters=parameters).outputs
        )
        self.ran.append("sam deploy")
        return ""

    def reconciler(self, words: list[str]) -> str:
        """Run the command as it stands: it ends well."""
        self.ran.append(" ".join(words[:1]))
        result = CliRunner().invoke(app, words)
        assert 0 == result.exit_code, f"{words}: {result.output}"
        return result.output

    def at_work(self, setenv: Callable[[str, str], None]) -> Rehearsal:
        """Sit down at a shell."""
        programs = {"aws": self.aws, "sam": self.sam, "reconciler": self.reconciler}
        self.shell = Shell(programs, setenv)
        return self

    def run(self, first: int, last: int) -> list[str]:
        """Do the steps of the page, and return what each line printed."""
        return [self.shell.run(line) for block in self.blocks[first - 1 : last] for line in block]

    # --- what is there ---

    def net(self, reference: str) -> Decimal:
        """Return what the entries of a reference add up to."""
        return sum((Decimal(entry["amount"]) for entry in self._entries() if entry["reference"] == reference), Decimal(0))

    def marks(self) -> dict[str, list[Any]]:
        """Return each job's mark."""
        items = self.stack.dynamodb.scan(TableName=self.stack.jobs_table)["Items"]
        return {row["jobId"]: [row.get(name) for name in MARK] for row in map(decode_item, items)}

    def books(self) -> tuple[Any, ...]:
        """Return all entries and balances."""
        tables = (self.stack.ledger_table, self.stack.credits_table)
        return tuple(sorted(map(repr, self.stack.dynamodb.scan(TableName=table)["Items"])) for table in tables)

    def balances(self) -> list[Decimal]:
        """Return what the three users have."""
        return [balance(self.stack, user) for user in ("u-1", "u-2", "u-3")]

    def _entries(self) -> list[dict[str, Any]]:
        return [decode_item(item) for item in self.stack.dynamodb.scan(TableName=self.stack.ledger_table)["Items"]]


def purchased(user: str, purchase: str, count: int) -> dict[str, Any]:
    """Return the event of a purchase."""
    detail = {"purchaseId": purchase, "userId": user, "credits": count}
    return {**rendered(user, ""), "detail-type": "credits.purchased", "detail": detail}


def half_a_day(rehearsal: Rehearsal) -> None:
    """8 s at 0.10 are 0.80: before that second two jobs of u-1 are charged, and one of u-3 is charged and given back.

    Since then: one job of u-1 failed, two more were rendered; u-2 bought 25 credits and had a job of which Jobs knows nothing.
    """
    stack = rehearsal.stack
    for user, credits_given in (("u-1", "100"), ("u-2", "50"), ("u-3", "10")):
        give(stack, user, credits_given)
    for user, job in (("u-1", "j-before"), ("u-1", "j-fails"), ("u-3", "j-done")):
        put_job(stack, user, job)
        stack.send(rendered(user, job))
    wait_until(lambda: rehearsal.balances() == [Decimal("98.4"), 50, Decimal("9.2")], "three jobs are charged")
    _fails(stack, "u-3", "j-done")
    wait_until(lambda: rehearsal.balances()[2] == 10, "one is given back")
    rehearsal.keep()
    _fails(stack, "u-1", "j-fails")
    for job in ("j-after", "j-later"):
        put_job(stack, "u-1", job)
    stack.send(
        rendered("u-1", "j-after"), rendered("u-1", "j-later"), rendered("u-2", "j-nowhere"), purchased("u-2", "p-1", 25)
    )
    wait_until(lambda: rehearsal.balances() == [Decimal("97.6"), Decimal("74.2"), 10], "the rest of the day is posted")


def _fails(stack: Deployment, user: str, job: str) -> None:
    stack.dynamodb.update_item(
        TableName=stack.jobs_table,
        Key={"jobId": {"S": job}},
        UpdateExpression="SET #status = :failed, updatedAt = :at",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":failed": {"S": "failed"}, ":at": {"S": "2026-01-05T11:00:00Z"}},
    )
    stack.send(failed(user, job))
