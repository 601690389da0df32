"""A second policy beside the first, as the function finds it: by its environment, in tables that are real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import handler
from engine.policy.compiled import compile_policy
from tests.support.events import failed, rendered
from tests.support.invocations import SCHEDULED, Context
from tests.support.malformed import TIME
from tests.support.policies import example_text
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

DEARER = ('rates: {default: "0.10", premium: "0.25"}', 'rates: {default: "0.12", premium: "0.25"}')


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a second policy, compiled as the build does it, which the function finds by its environment."""
    file = tmp_path / "second.yaml"
    file.write_text(example_text(TIME, DEARER))
    compile_policy(file)
    monkeypatch.setenv("SHADOW_POLICY_FILE", str(file))
    return file


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines that were written since the last look."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_events_by_every_door_have_a_shadow_and_the_answer_has_none(
    world: World, second: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Directly, by the queue, and found by the scheduled run: the log that the database keeps tells what a refund refunds."""
    world.job("j-1").job("j-2").job("j-3", seconds=30)
    record = {"messageId": "m-1", "eventSource": "aws:sqs", "body": json.dumps(rendered("j-2", seconds=8))}

    answer = handler.lambda_handler(rendered("j-1", seconds=8), Context(60))
    handler.lambda_handler({"Records": [record]}, Context(60))
    handler.lambda_handler(SCHEDULED, Context(60))
    handler.lambda_handler(failed("j-1"), Context(60))

    shadows = {(line["job"], line["source"]): line["shadow"] for line in lines_of(capsys) if "shadow" in line}
    assert {
        ("j-1", "event"): ("0.9600", "0.1600"),  # the last of both: the refund
        ("j-2", "queue"): ("-0.9600", "-0.1600"),
        ("j-3", "scan"): ("-3.6000", "-0.6000"),
    } == {place: (shadow["amount"], shadow["difference"]) for place, shadow in shadows.items()}
    assert "shadow" not in answer


def test_a_second_policy_that_is_broken_is_told_and_the_first_is_at_work(
    world: World, second: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The function starts: it says once what is wrong, and each event is counted as one that could not be asked about."""
    second.write_text("version: 1\n")

    answers = [handler.lambda_handler(rendered(job, seconds=8), Context(60)) for job in ("j-1", "j-2")]

    told, *events = lines_of(capsys)
    assert ["debited", "debited"] == [answer["outcome"] for answer in answers]
    assert ("shadow", str(second), 1, "ERROR") == tuple(told[name] for name in ("message", "file", "ShadowErrors", "level"))
    assert f"{second}.compiled: was compiled from another text; build the artifact again" in told["problem"]
    assert [("failed", 1), ("failed", 1)] == [(line["shadow"]["outcome"], line["ShadowErrors"]) for line in events]
    assert 1 == len(world.entries("j-1")) == len(world.entries("j-2"))


def test_a_second_policy_that_is_not_there_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip in the parameter."""
    monkeypatch.setenv("SHADOW_POLICY_FILE", "policies/not-there.yaml")

    assert "debited" == handler.lambda_handler(rendered("j-1"), Context(60))["outcome"]

    told, _ = lines_of(capsys)
    assert "policies/not-there.yaml" == told["file"]
    assert (
        "there is no such file; the policies of this version are mediaconvert.yaml, video-with-holds.yaml, video.yaml"
        in told["problem"]
    )


TELL = """
import json, sys
import handler

handler.lambda_handler(json.loads(sys.argv[1]))
new = ("shadow", "shadowed", "beside", "retelling", "reprice", "kept_event", "which_rule")
print(json.dumps([name for name in new if any(each.endswith("." + name) for each in sys.modules)]), file=sys.stderr)
"""


@pytest.mark.parametrize("named", [False, True])
def test_without_a_second_policy_nothing_of_it_is_imported(world: World, second: Path, local_aws: str, *, named: bool) -> None:
    """Each cold start would pay for it. A process of its own, as within Lambda."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "SHADOW_POLICY_FILE"},
        **tables_environment(world.tables),
        "AWS_ENDPOINT_URL_DYNAMODB": local_aws,
        **({"SHADOW_POLICY_FILE": str(second)} if named else {"SHADOW_POLICY_FILE": ""}),
    }
    command = [sys.executable, "-c", TELL, json.dumps(rendered("j-1"))]

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert (7 if named else 0) == len(json.loads(done.stderr.splitlines()[-1]))
    assert named is ("shadow" in json.loads(done.stdout.splitlines()[-1]))
