"""Poison on the bus: each event ends in the dead-letter queue, once, with its reason; what can be mended is posted, once.

Ten kinds, each by both deliveries at once: through the template's rule and queue, and by a rule that calls the function as
with ``Delivery=direct``. Letters are read and replayed by the ``reconciler`` command, as a person would.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.events import rendered
from tests.support.malformed import MALFORMED
from tests.support.stack import entries, give
from tools.deployment import Deployment, wait_until
from tools.environments import ROOT
from tools.local_aws import tables_environment, tables_named
from tools.template import template_rules

FINE, FAILED = 0, 1
COMMAND = Path(sys.executable).with_name("reconciler")
BY_QUEUE, DIRECTLY = "given-up", "function"
BUSES = {BY_QUEUE: "default", DIRECTLY: "direct"}

NO_SENSE = {name: (event, problem) for name, event, _field, problem in MALFORMED}

POISON: Mapping[str, tuple[dict[str, Any], str]] = {
    **{
        name: NO_SENSE[name]
        for name in (
            "no job", "a job that is a number", "no user", "negative seconds", "seconds in words", "no model",
            "a time before all prices",
        )
    },
    "a user that is not there": (rendered(), "no such user"),
    "a balance that is no number": (rendered(), "is no number"),
    "another user than the job's first": (rendered(), "first entry names"),
}  # fmt: skip
"""Ten kinds: the event, and a word of the reason."""

LETTERS = len(POISON) * len(BUSES)

MENDED = {"a user that is not there", "a balance that is no number", "no model", "a time before all prices"}


def named(kind: str, way: str) -> tuple[str, str]:
    """Return the user and the job of a kind, by one of the ways."""
    name = f"{kind.replace(' ', '-')}-{way}"
    return f"u-{name}", f"j-{name}"


def own(kind: str, way: str) -> dict[str, Any]:
    """Return the event of a kind with a user and a job of its own, wherever it has a good one."""
    event, _ = POISON[kind]
    user, job = named(kind, way)
    good = {"u-1": user, "j-1": job}
    detail = {name: good.get(value, value) if isinstance(value, str) else value for name, value in event["detail"].items()}
    return {**event, "detail": {**detail, "kind": kind}}


@pytest.fixture
def direct(deployed: Deployment) -> Iterator[None]:
    """Make a bus whose rule calls the function itself, by the template's own pattern."""
    events = deployed.aws.client("events")
    events.create_event_bus(Name="direct")
    events.put_rule(Name="direct", EventBusName="direct", EventPattern=json.dumps(template_rules()["VideoEvents"]))
    target = {"Id": "function", "Arn": f"{deployed.outputs['FunctionArn']}:live"}
    events.put_targets(Rule="direct", EventBusName="direct", Targets=[target])
    yield
    events.remove_targets(Rule="direct", EventBusName="direct", Ids=["function"])
    events.delete_rule(Name="direct", EventBusName="direct")
    events.delete_event_bus(Name="direct")
    events.close()


@pytest.fixture
def dead_letters(deployed: Deployment, tmp_path: Path) -> Callable[..., tuple[int, Any]]:
    """Return a function that runs ``reconciler dead-letters ...`` and returns its exit status and its answer."""
    environment = {**deployed.aws.environment(), **tables_environment(tables_named("dev")), "PATH": "/usr/bin:/bin"}
    environment |= {"DEAD_LETTER_QUEUES": deployed.failed_events_queue, "POLICY_FILE": str(ROOT / "policies" / "video.yaml")}

    def run(*arguments: str | Path) -> tuple[int, Any]:
        command = [COMMAND, "dead-letters", *arguments, "--json"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


def prepare(stack: Deployment) -> None:
    """Let everything be there but what is wrong: users, one of whom has a balance in words, and a job of another user."""
    for kind in POISON:
        for way in BUSES:
            user, job = named(kind, way)
            if kind == "a balance that is no number":
                item = {"userId": {"S": user}, "remaining": {"S": "many"}}
                stack.dynamodb.put_item(TableName=stack.tables.credits, Item=item)
            elif kind != "a user that is not there":
                give(stack, user, "100")
            if kind == "another user than the job's first":
                give(stack, f"{user}-first", "100")
                stack.invoke(rendered(job, user=f"{user}-first", at="09:00"))


def waiting(stack: Deployment, queue: str) -> int:
    """Return how many messages are in a queue, those in somebody's hands included."""
    sqs = stack.aws.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    sqs.close()
    return sum(int(attributes[name]) for name in names)


def emptied(stack: Deployment) -> None:
    """Begin with no letters of others."""
    sqs = stack.aws.client("sqs")
    sqs.purge_queue(QueueUrl=stack.failed_events_queue)
    sqs.close()


def mended_policy(folder: Path) -> Path:
    """Write the policy that takes events without a model, and knows a price for 1999."""
    text = (ROOT / "policies" / "video.yaml").read_text()
    for old, new in (("effective: 2020-", "effective: 1990-"), ("by: detail.model  ", "by: \"detail.model || 'default'\"  ")):
        assert 1 == text.count(old)
        text = text.replace(old, new)
    path = folder / "mended.yaml"
    path.write_text(text)
    return path


def posted(stack: Deployment) -> dict[str, int]:
    """Return how many entries each job has that could be mended."""
    jobs = [named(kind, way)[1] for kind in MENDED for way in BUSES]
    return {job: len(entries(stack, job)) for job in jobs}


def says_why(letter: dict[str, Any], kind: str, way: str) -> bool:
    """Say whether a listed letter says by its reason what was wrong, and by ``now`` that it still is."""
    begin = {BY_QUEUE: "the function gave it up after ", DIRECTLY: "the function raised on it: "}[way]
    wrong = POISON[kind][1]
    return letter["reason"].startswith(begin) and wrong in letter["reason"] and wrong in letter["now"]


def send_poison(stack: Deployment) -> None:
    """Send ten kinds by both ways, and wait until all of them are given up."""
    prepare(stack)
    for way, bus in BUSES.items():
        stack.send(*(own(kind, way) for kind in POISON), bus=bus)
    wait_until(lambda: waiting(stack, stack.failed_events_queue) >= LETTERS, "all letters are there")
    assert 0 == waiting(stack, stack.events_queue), "more letters may come"


def mend_tables(stack: Deployment) -> None:
    """Let the users appear that are not there, and the balances be numbers."""
    for way in BUSES:
        for kind in ("a user that is not there", "a balance that is no number"):
            give(stack, named(kind, way)[0], "100")


def correct_an_event(stack: Deployment) -> None:
    """Let the producer send one of them again as it should have been."""
    event = own("seconds in words", BY_QUEUE)
    stack.send({**event, "detail": {**event["detail"], "seconds": 8}})
    wait_until(lambda: bool(entries(stack, event["detail"]["jobId"])), "the corrected event is posted")


def test_poison_becomes_dead_letters_once_and_is_posted_once_when_it_is_mended(
    deployed: Deployment, direct: None, dead_letters: Callable[..., tuple[int, Any]], tmp_path: Path
) -> None:
    """Twenty letters with reasons. Users, balances and the policy are mended, an event is corrected, the rest is dropped."""
    emptied(deployed)
    send_poison(deployed)
    _, letters = dead_letters("list")
    by_kind = {(letter["events"][0]["detail"]["kind"], letter["way"]): letter for letter in letters}
    assert LETTERS == len(letters)
    assert {(kind, way) for kind in POISON for way in BUSES} == by_kind.keys()
    assert [] == [which for which, letter in by_kind.items() if not says_why(letter, *which)]
    assert {0} == set(posted(deployed).values())

    mend_tables(deployed)
    policy = mended_policy(tmp_path)
    first_status, first = dead_letters("replay", "--all", "--policy", policy)
    second_status, second = dead_letters("replay", "--all", "--policy", policy)
    assert (FAILED, FAILED) == (first_status, second_status)
    assert [["debited"]] * 8 == [result["outcomes"] for result in first if result["problem"] is None]
    assert 12 == len([result for result in second if result["problem"]]) == len(second)
    assert {1} == set(posted(deployed).values())

    correct_an_event(deployed)
    status, dropped = dead_letters("drop", "--all", "--to", tmp_path / "dropped.jsonl")
    assert (FINE, 12) == (status, len(dropped["dropped"]))
    assert 12 == len((tmp_path / "dropped.jsonl").read_text().splitlines())
    assert 0 == waiting(deployed, deployed.failed_events_queue)
