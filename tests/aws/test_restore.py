"""The runbook's restore, by its own commands: a deployed stack loses half a day, and ends with what was worked out by hand."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from typer.testing import CliRunner

from engine.cli.app import app
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.marked import MARK
from tests.conftest import started
from tests.support.aws_cli import AwsCli, Shell, UsageError, commands
from tests.support.stack import balance, failed, give, put_job, rendered
from tools.deployment import Deployment, deploy, wait_until
from tools.environments import ROOT
from tools.local_aws import ACCOUNT, REGION, run_local_aws

SECTION = (ROOT / "docs" / "runbook.md").read_text().split("## Restoring a table\n")[1].split("\n## ")[0]
BLOCKS = commands(SECTION)
STACK = "cc-agent-reconciler-prod"
PARAMETERS = {
    "Environment": "prod",
    "AlarmEmail": "you@example.com",
    "EventDetailTypes": "video.rendered,video.failed,credits.purchased",
}


@define
class Rehearsal:
    """The stack, somebody at its runbook, and what Ledger and Credits were at the second to go back to."""

    stack: Deployment
    build: Path
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
        self.stack = evolve(self.stack, outputs=deploy(self.stack.aws, self.build, name=STACK, parameters=parameters).outputs)
        self.ran.append("sam deploy")
        return ""

    def reconciler(self, words: list[str]) -> str:
        """Run the command as it stands: it ends well."""
        self.ran.append(" ".join(words[:1]))
        result = CliRunner().invoke(app, words)
        assert 0 == result.exit_code, f"{words}: {result.output}"
        return result.output

    def run(self, first: int, last: int) -> list[str]:
        """Do the steps of the page, and return what each line printed."""
        return [self.shell.run(line) for block in BLOCKS[first - 1 : last] for line in block]

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


@pytest.fixture
def rehearsal(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    """Return the stack of production, whose functions may do only what their roles permit, with an archive of its events."""
    monkeypatch.chdir(ROOT)
    with started(run_local_aws(tmp_path, enforce_iam=True)) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        events = running.client("events")
        bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
        events.create_archive(ArchiveName="credit-reconciler-prod", EventSourceArn=bus)  # its CloudFormation makes none
        events.close()
        found = Rehearsal(deploy(running, built, name=STACK, parameters=PARAMETERS), built)
        programs = {"aws": found.aws, "sam": found.sam, "reconciler": found.reconciler}
        found.shell = Shell(programs, monkeypatch.setenv)
        found.shell.variables |= {"FROM": "2026-01-05T00:00:00Z", "UNTIL": "2026-01-05T23:59:59Z"}
        yield found
        found.stack.close()


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


MARKS = {
    "j-before": [True, "completed", 1],
    "j-done": [True, "failed", 2],
    "j-fails": [True, "failed", 2],
    "j-after": [True, "completed", 1],
    "j-later": [True, "completed", 1],
}


@pytest.mark.e2e
def test_the_runbooks_own_commands_bring_back_every_balance_net_and_mark(rehearsal: Rehearsal) -> None:
    """What was posted since is posted again, once; a purchase that came meanwhile waited in the queue."""
    half_a_day(rehearsal)
    assert MARKS == rehearsal.marks()

    rehearsal.run(1, 2)
    rehearsal.stack.send(purchased("u-2", "p-2", 5))
    rehearsal.run(3, 7)

    assert [Decimal("98.4"), 50, 10] == rehearsal.balances()
    assert MARKS == rehearsal.marks(), "marks rest on entries that are gone"
    has_what_the_first_had(rehearsal)

    rehearsal.run(8, 8)

    assert [Decimal("97.6"), 50, 10] == rehearsal.balances()
    assert MARKS == rehearsal.marks()

    rehearsal.run(9, 9)
    wait_until(lambda: rehearsal.balances()[1] == Decimal("79.2"), "what the archive and the queue hold is posted")
    rehearsal.run(10, 10)

    is_as_by_hand(rehearsal)
    assert {"sam deploy", "audit", "unmark", "scan", "events start-replay"} <= set(rehearsal.ran)


def has_what_the_first_had(rehearsal: Rehearsal) -> None:
    """Backups, protection, stream and tags; what serves events and what explains use it."""
    stack, dynamodb = rehearsal.stack, rehearsal.stack.dynamodb
    assert ("Ledger-prod-2", "Credits-prod-2") == (stack.ledger_table, stack.credits_table)
    for name in (stack.ledger_table, stack.credits_table, "Seals-prod-2"):
        table = dynamodb.describe_table(TableName=name)["Table"]
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        assert "ENABLED" == backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        assert True is table["DeletionProtectionEnabled"]
        tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        assert [{"Key": "Application", "Value": "credit-reconciler"}] == tags
    stream = dynamodb.describe_table(TableName=stack.ledger_table)["Table"]
    assert {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"} == stream["StreamSpecification"]
    functions = stack.aws.client("lambda")
    mappings = functions.list_event_source_mappings(FunctionName=stack.explain_function)["EventSourceMappings"]
    functions.close()
    assert [stream["LatestStreamArn"]] == [mapping["EventSourceArn"] for mapping in mappings]


def is_as_by_hand(rehearsal: Rehearsal) -> None:
    """100 less three times 0.80; 50 and 25 and 5 less 0.80; 10. Another scan and the schedule have nothing to say."""
    assert [Decimal("97.6"), Decimal("79.2"), 10] == rehearsal.balances()
    nets = {"job#j-before": "-0.8", "job#j-fails": "0", "job#j-done": "0", "job#j-after": "-0.8", "job#j-later": "-0.8"}
    nets |= {"job#j-nowhere": "-0.8", "grant#p-1": "25", "grant#p-2": "5"}
    assert nets == {reference: format(rehearsal.net(reference).normalize(), "f") for reference in nets}
    assert MARKS == rehearsal.marks()
    before = rehearsal.books()
    assert 0 == json.loads(rehearsal.reconciler(["scan", "--json"]))["adjustments"]
    assert before == rehearsal.books()
    found = rehearsal.stack.catch_up()["audit"]
    assert ([], [], 0) == (found["drifts"], found["faults"], found["seal"]["cameOrWent"])
    rules = rehearsal.stack.aws.client("events")
    assert "ENABLED" == rules.describe_rule(Name="credit-reconciler-prod-every-six-hours")["State"]
    rules.close()


# --- the commands as the AWS CLI takes them -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "dynamodb update-table --table Ledger-prod-2",
        "dynamodb update-table --deletion-protection-enabled",
        "dynamodb restore-table --target-table-name Ledger-prod-2",
        "dynamodb update-table --table-name Ledger-prod-2 --stream-specification Enabled=true",
        "dynamodb update-table --table-name Ledger-prod-2 Credits-prod-2",
        "dynamodb update-table Ledger-prod-2",
        "dynamodb wait table-exists --name Ledger-prod-2",
        "dynamodb list-tables --output text",
    ],
)
def test_a_command_that_the_aws_cli_would_refuse_is_refused(local_aws: str, aws: Any, line: str) -> None:
    """So that a wrong option in the page is a failed test."""
    with pytest.raises(UsageError):
        AwsCli(aws.client).run(line.split())


def test_an_unset_variable_is_an_error() -> None:
    """As with ``set -u``: the page gives each before it is used."""
    with pytest.raises(KeyError, match="LABEL"):
        Shell({}, lambda _name, _value: None).run("sam deploy --parameter-overrides ExistingLedgerStream=$LABEL")
