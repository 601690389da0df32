"""Every command that prints for people, on screens of 60, 80 and 200 columns, with the longest names that applications use.

No identifier is broken over two lines, no line is longer than the screen unless a name is, and a pipe gets every row whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from engine.cli.app import app
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.events import failed, rendered
from tests.support.policies import EXAMPLE
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import LocalAws, tables_environment

USER, OTHER = "3f2c8a51-9d1e-4c0a-8f37-5b0a6a1d2e4f", "b7d9e0c2-1a3b-4d5e-9f60-718293a4b5c6"
JOB, LONG_JOB = "0c8f7b1e-6a5d-4e3c-9b2a-10fedcba9876", f"render-{'0123456789abcdef' * 3}-01234567"
SPACED = "job of a film of nineteen minutes, by night"

VIDEO = ROOT / "policies" / "video.yaml"

Command = Callable[[World, Path], tuple[list[str], list[str]]]
"""Prepares what a command finds, and returns its words and the names that it has to show whole."""


def a_statement(world: World, _: Path) -> tuple[list[str], list[str]]:
    """A user with three jobs; one name has blanks."""
    world.deliver(*(rendered(job, user=USER, seconds=900) for job in (JOB, LONG_JOB, SPACED)))
    return ["statement", USER], [USER, JOB, LONG_JOB, SPACED, "costs-over-50"]


def a_period(world: World, _: Path) -> tuple[list[str], list[str]]:
    """The same of a few days, with the balance before it."""
    world.deliver(*(rendered(job, user=USER, seconds=900) for job in (JOB, LONG_JOB)))
    return ["statement", USER, "--since", "2026-01-01", "--order", "occurrence"], [USER, JOB, LONG_JOB]


def a_job(world: World, _: Path) -> tuple[list[str], list[str]]:
    """A job's story: flagged, failed, with a row."""
    world.job(LONG_JOB, userId=USER)
    world.deliver({**rendered(LONG_JOB, user=USER, seconds=900), "id": OTHER}, failed(LONG_JOB, user=USER))
    return ["job", LONG_JOB], [USER, OTHER, LONG_JOB, "costs-over-50", world.policy.identity]


def a_job_that_nobody_knows(world: World, _: Path) -> tuple[list[str], list[str]]:
    """Where was looked is named."""
    return ["job", LONG_JOB], [LONG_JOB, world.tables.jobs, world.tables.ledger]


def a_look_back(world: World, _: Path) -> tuple[list[str], list[str]]:
    """Two jobs of one result, with the policy that is shipped."""
    world.policy = load_policy(VIDEO)
    world.deliver(
        *(rendered(job, user=USER, result_url="s3://one", at=at) for job, at in ((JOB, "10:00"), (LONG_JOB, "11:00")))
    )
    return ["look-back", "--user", USER, "--policy", str(VIDEO)], [USER, f"job#{LONG_JOB}", f"job#{JOB}", "rendered-twice"]


def flagged(world: World, _: Path) -> tuple[list[str], list[str]]:
    """Entries that the policy flags."""
    world.deliver(*(rendered(job, user=USER, seconds=900) for job in (JOB, LONG_JOB)))
    return ["anomalies", "list"], [USER, f"job#{JOB}", f"job#{LONG_JOB}"]


def one_flagged(world: World, _: Path) -> tuple[list[str], list[str]]:
    """All that is known of a flagged entry."""
    world.deliver(rendered(LONG_JOB, user=USER, seconds=900))
    return ["anomalies", "show", f"job#{LONG_JOB}"], [USER, f"job#{LONG_JOB}", "longer-than-5-minutes"]


def a_digest(world: World, _: Path) -> tuple[list[str], list[str]]:
    """What was flagged lately."""
    world.deliver(rendered(LONG_JOB, user=USER, seconds=900))
    return ["anomalies", "digest"], [USER, f"job#{LONG_JOB}"]


def an_audit(world: World, _: Path) -> tuple[list[str], list[str]]:
    """Somebody has moved a balance and changed an amount."""
    world.deliver(rendered(LONG_JOB, user=USER))
    key = encode_item({"reference": f"job#{LONG_JOB}", "sequence": 1})
    values = encode_item({":amount": Decimal("-0.7")})
    update = {"UpdateExpression": "SET amount = :amount", "ExpressionAttributeValues": values}
    world.client.update_item(TableName=world.tables.ledger, Key=key, **update)
    return ["audit"], [USER, f"job#{LONG_JOB}"]


def a_recount(world: World, _: Path) -> tuple[list[str], list[str]]:
    """A job's entries counted again."""
    world.deliver(rendered(LONG_JOB, user=USER), failed(LONG_JOB, user=USER))
    return ["explain", "--entry", f"job#{LONG_JOB}"], [USER, f"job#{LONG_JOB}", world.policy.identity]


def reasons(_: World, folder: Path) -> tuple[list[str], list[str]]:
    """Why an event costs what it costs."""
    (folder / "event.json").write_text(json.dumps(rendered(LONG_JOB, user=USER)))
    return ["explain", str(folder / "event.json")], [USER, f"job#{LONG_JOB}", "flag-test-renders"]


def a_plan(_: World, folder: Path) -> tuple[list[str], list[str]]:
    """An edit that makes jobs dearer, and that refuses what it has no rate for."""
    (folder / "edited.yaml").write_text(EXAMPLE.replace('"0.10"', '"0.11"').replace('default: "0.12", ', ""))
    events = [rendered(job, user=USER) for job in (JOB, LONG_JOB)]
    events.append({**rendered(OTHER, user=USER, at="2026-07-05T10:00:00Z"), "id": OTHER})
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    words = ["plan", str(folder / "edited.yaml"), "--events", str(folder / "events.jsonl")]
    return words, [USER, f"job#{JOB}", f"job#{LONG_JOB}", OTHER]


def a_replay(_: World, folder: Path) -> tuple[list[str], list[str]]:
    """One event is put aside: the file that has it is named."""
    file = folder / "events-of-a-very-long-day.jsonl"
    file.write_text(f"{json.dumps(rendered(LONG_JOB, user=USER))}\nno json\n")
    return ["replay", str(file)], [f"{file}.rejects.jsonl"]


def a_scan(world: World, _: Path) -> tuple[list[str], list[str]]:
    """A row that makes no sense is named."""
    world.job(LONG_JOB, userId=USER, seconds="long")
    return ["scan", "--segments", "1"], [LONG_JOB]


def a_policy_test(_: World, folder: Path) -> tuple[list[str], list[str]]:
    """A test that differs names job and rule."""
    given = json.dumps(rendered(LONG_JOB, user=USER))
    expected = f"[{{job: {JOB}, type: debit, amount: 1}}]"
    text = f"policy: policy.yaml\ntests:\n  - name: a test\n    given: [{given}]\n    expect: {expected}\n"
    (folder / "tests.yaml").write_text(text)
    return ["test", str(folder / "tests.yaml")], [f"job#{LONG_JOB}", f"job#{JOB}", "debit-rendered"]


def an_unmark(world: World, _: Path) -> tuple[list[str], list[str]]:
    """Counts alone: the instant is whole."""
    world.job(LONG_JOB, userId=USER, reconciled=True, reconciledSequence=1)
    return ["unmark", "--since", "2026-01-06T00:00:00Z", "--segments", "1"], ["2026-01-06T00:00:00Z"]


def nobody(world: World, _: Path) -> tuple[list[str], list[str]]:
    """A user who is not there, and where was looked."""
    return ["statement", OTHER], [OTHER, world.tables.credits, world.tables.ledger]


COMMANDS: Mapping[str, Command] = {
    command.__name__: command
    for command in (
        *(
            a_statement,
            a_period,
            a_job,
            a_job_that_nobody_knows,
            a_look_back,
            flagged,
            one_flagged,
            a_digest,
            an_audit,
            a_recount,
            reasons,
        ),
        *(a_plan, a_replay, a_scan, a_policy_test, an_unmark, nobody),
    )
}


@pytest.fixture
def world(dynamodb: Any, tables: Tables, aws: LocalAws, monkeypatch: pytest.MonkeyPatch, policy: Path) -> World:
    """Return tables that the command finds through the environment."""
    monkeypatch.chdir(policy.parent)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("POLICY_FILE", str(policy))
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0)
    for name, value in tables_environment(tables).items():
        monkeypatch.setenv(name, value)
    return World(dynamodb, tables).user(USER, "1000")


@pytest.mark.parametrize("name", COMMANDS)
def test_names_are_whole_on_every_screen(world: World, name: str, tmp_path: Path) -> None:
    """And lines are no longer than the screen, but for those that hold one name alone."""
    words, names = COMMANDS[name](world, tmp_path)
    for columns in (60, 80, 200, None):
        environment = {"COLUMNS": str(columns)} if columns else {}
        for left in tmp_path.glob("*.rejects.jsonl"):
            left.unlink()
        result = CliRunner().invoke(app, words, env=environment)
        lines = f"{result.stdout}\n{result.stderr}".splitlines()

        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert [] == [each for each in names if not any(each in line for line in lines)], (columns, lines)
        if columns is not None:
            assert [] == [line for line in lines if cell_len(line) > columns and not _is_one_name(line, names)], columns


def _is_one_name(line: str, names: list[str]) -> bool:
    return len(line.split()) == 1 or line.strip() in names
