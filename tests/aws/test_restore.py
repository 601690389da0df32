"""The runbook's restore, by its own commands: a deployed stack loses half a day, and ends with what was worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import started
from tests.support.aws_cli import AwsCli, Shell, UsageError
from tests.support.change_sets import deploy_by_change_set
from tests.support.rehearsal import PARAMETERS, STACK, Rehearsal, blocks, half_a_day, purchased
from tools.deployment import wait_until
from tools.environments import ROOT
from tools.local_aws import ACCOUNT, REGION, run_local_aws


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
        stack = deploy_by_change_set(running, built, name=STACK, parameters=PARAMETERS)
        found = Rehearsal(stack, built, blocks("Restoring a table")).at_work(monkeypatch.setenv)
        found.shell.variables |= {"FROM": "2026-01-05T00:00:00Z", "UNTIL": "2026-01-05T23:59:59Z"}
        yield found
        found.stack.close()


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
