"""A second opinion beside the local AWS: moto's server, asked the same questions of the real template.

Each question is put to both. Where the two answer otherwise, docs/decisions/0003-the-local-aws.md has a line with both answers
and with what AWS documents; a disagreement that has no line fails here, and so does a line that no longer holds.
"""

from __future__ import annotations

import io
import json
import re
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from attrs import frozen
from botocore.exceptions import ClientError

from tests.conftest import started
from tests.support.as_aws import DEFAULTS, translated
from tests.support.second_aws import answers, run_second_aws
from tools.environments import ROOT
from tools.local_aws import REGION, LocalAws, run_local_aws
from tools.template import load
from tools.translate import resolved

PAGE = ROOT / "docs" / "decisions" / "0003-the-local-aws.md"
RUN_SECONDS = 300.0

STEPS = """
ANSWERS = {answers}
def handler(event, context):
    step = {{"begin": "begin", "parts": "finish", "again": "again", "part": event.get("part")}}
    return ANSWERS[next(name for key, name in step.items() if key in event)]
"""

LEFT, DONE, CAPPED = (
    {"slices": slices, "capped": capped} for slices, capped in (([{"segment": 0}], False), ([], False), ([{}], True))
)
ONE_PART = {"parts": [{"part": "a"}], "atOnce": 1}
FINISHED, UNFINISHED = {"unfinished": 0, "allFailed": False}, {"unfinished": 1, "leftOver": [], "allFailed": True}
ALL_FAILED, AGAIN = {"unfinished": 0, "allFailed": True}, {"allFailed": False}


@frozen
class Engine:
    """One of the two, and its account."""

    aws: LocalAws
    account: str
    runs_functions: bool

    def steps(self, called: Mapping[str, Any], order: list[str]) -> str:
        """Make a function that answers the steps of a run (in this order, where it runs nothing), and return its ARN."""
        functions, name = self.aws.client("lambda"), f"steps-{uuid.uuid4().hex[:8]}"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", STEPS.format(answers=dict(called)))
        code = {"ZipFile": packed.getvalue()}
        functions.create_function(
            FunctionName=name, Runtime="python3.12", Role=self.role(), Handler="index.handler", Code=code
        )
        functions.close()
        if not self.runs_functions:
            answers(self.aws, [called[step] for step in order])
        return f"arn:aws:lambda:{REGION}:{self.account}:function:{name}"

    def role(self) -> str:
        """Return a role that Lambda and Step Functions may take."""
        services = {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]}
        statement = {"Effect": "Allow", "Principal": services, "Action": "sts:AssumeRole"}
        iam, trust = self.aws.client("iam"), json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        role: str = iam.create_role(RoleName=f"r-{uuid.uuid4().hex[:8]}", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.close()
        return role


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """Return the local AWS and the second one."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    with started(run_local_aws(first)) as ministack, started(run_second_aws(second)) as moto:
        yield Engine(ministack, "000000000000", runs_functions=True), Engine(moto, "123456789012", runs_functions=False)


@cache
def made() -> dict[str, Any]:
    """Return the template's resources as AWS gets them."""
    (whole,) = translated([(load(), {})])
    found: dict[str, Any] = resolved(whole, dict(DEFAULTS))["Resources"]
    return found


def definition(function: str) -> str:
    """Return the real definition of the scheduled run, with this function as its steps."""
    run = made()["CatchUpRun"]["Properties"]
    text: str = run["DefinitionString"]
    for name, value in {**run["DefinitionSubstitutions"], "Function": function}.items():
        text = text.replace(f"${{{name}}}", value)
    return text


# --- questions -----------------------------------------------------------------------------------------------------------


def run_of(engine: Engine, called: Mapping[str, Any], order: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run the scheduled run to its end, and return how it ended and its history."""
    states = engine.aws.client("stepfunctions")
    text = definition(engine.steps(called, order))
    machine = states.create_state_machine(name=f"m-{uuid.uuid4().hex[:8]}", definition=text, roleArn=engine.role())
    run = states.start_execution(stateMachineArn=machine["stateMachineArn"], input="{}")["executionArn"]
    until = time.monotonic() + RUN_SECONDS
    while (ended := states.describe_execution(executionArn=run))["status"] == "RUNNING" and time.monotonic() < until:
        time.sleep(0.05)
    history = states.get_execution_history(executionArn=run)["events"]
    states.close()
    return ended, history


def told(engine: Engine, called: Mapping[str, Any], order: list[str]) -> str:
    """Return how a run ended, and which states it entered."""
    ended, history = run_of(engine, called, order)
    entered = [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]
    ending = ended.get("error") or ended.get("output") or ""
    return f"{ended['status']} {ending}: {' '.join(name for name in entered if name in MAIN_STATES)}"


MAIN_STATES = (
    "Begin", "Scan", "Finish", "IsFinished", "Again", "FinishAgain", "IsFinishedAgain", "Finished", "AllRowsFailed",
)  # fmt: skip


def a_run(engine: Engine) -> str:
    """One segment, done at once."""
    return told(engine, {"begin": ONE_PART, "a": DONE, "finish": FINISHED}, ["begin", "a", "finish"])


def a_run_without_segments(engine: Engine) -> str:
    """A Map over nothing."""
    return told(engine, {"begin": {"parts": [], "atOnce": 1}, "finish": FINISHED}, ["begin", "finish"])


def a_capped_segment(engine: Engine) -> str:
    """It has slices left and is not worked on: the Choice looks at both."""
    return told(engine, {"begin": ONE_PART, "a": CAPPED, "finish": FINISHED}, ["begin", "a", "finish"])


def an_unfinished_run(engine: Engine) -> str:
    """Finish says that segments were given up: the run goes through the second Map, here over nothing."""
    return told(
        engine, {"begin": ONE_PART, "a": DONE, "finish": UNFINISHED, "again": AGAIN}, ["begin", "a", "finish", "again"]
    )


def a_run_in_which_every_row_failed(engine: Engine) -> str:
    """It is no success."""
    return told(engine, {"begin": ONE_PART, "a": DONE, "finish": ALL_FAILED}, ["begin", "a", "finish"])


def one_in_which_they_failed_again(engine: Engine) -> str:
    """Nor is it one after the second Map."""
    called = {"begin": ONE_PART, "a": DONE, "finish": UNFINISHED, "again": ALL_FAILED}
    return told(engine, called, ["begin", "a", "finish", "again"])


def an_answer_without_a_member(engine: Engine) -> str:
    """A Choice over a member that is not there."""
    return told(engine, {"begin": ONE_PART, "a": DONE, "finish": {}}, ["begin", "a", "finish"])


def the_begin_of_a_task(engine: Engine) -> str:
    """Whether the history says when a task started."""
    _, history = run_of(engine, {"begin": ONE_PART, "a": DONE, "finish": FINISHED}, ["begin", "a", "finish"])
    return "TaskStarted" if any(event["type"] == "TaskStarted" for event in history) else "no TaskStarted"


def the_run_of_the_map(engine: Engine) -> str:
    """Whether the history names the run of the distributed Map."""
    _, history = run_of(engine, {"begin": ONE_PART, "a": DONE, "finish": FINISHED}, ["begin", "a", "finish"])
    return "MapRunStarted" if any(event["type"] == "MapRunStarted" for event in history) else "no MapRunStarted"


def refusal(error: ClientError) -> str:
    """Return the code of a refusal; where there is none, the status of the answer."""
    answer = error.response
    return f"refused: {answer['Error']['Code'] or answer['ResponseMetadata']['HTTPStatusCode']}"


def created(engine: Engine, change: Callable[[dict[str, Any]], object]) -> str:
    """Return whether a changed definition is taken."""
    document = json.loads(definition(f"arn:aws:lambda:{REGION}:{engine.account}:function:steps"))
    change(document["States"])
    states, name = engine.aws.client("stepfunctions"), f"m-{uuid.uuid4().hex[:8]}"
    try:
        states.create_state_machine(name=name, definition=json.dumps(document), roleArn=engine.role())
    except ClientError as error:
        return refusal(error)
    finally:
        states.close()
    return "taken"


def a_quoted_number(engine: Engine) -> str:
    """``MaxConcurrency: "8"``."""
    return created(
        engine, lambda states: (states["Scan"].pop("MaxConcurrencyPath"), states["Scan"].update(MaxConcurrency="8"))
    )


def a_state_that_is_not_there(engine: Engine) -> str:
    """``Next: Scans``."""
    return created(engine, lambda states: states["Begin"].update(Next="Scans"))


def a_definition_that_is_no_object(engine: Engine) -> str:
    """Text that is no JSON."""
    states = engine.aws.client("stepfunctions")
    try:
        states.create_state_machine(name="m-text", definition="{", roleArn=engine.role())
    except ClientError as error:
        return refusal(error)
    finally:
        states.close()
    return "taken"


def delivered(engine: Engine, *events: tuple[str, str]) -> str:
    """Return which events (source, detail-type) the template's rule sends to a queue."""
    bus, sqs, name = engine.aws.client("events"), engine.aws.client("sqs"), f"q-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    pattern = made()["VideoEvents"]["Properties"]["EventPattern"]
    bus.put_rule(Name=name, EventPattern=json.dumps(pattern))
    bus.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{engine.account}:{name}"}])
    bus.put_events(Entries=[{"Source": source, "DetailType": kind, "Detail": "{}"} for source, kind in events])
    found: set[str] = set()
    empty = 0
    while empty < (5 if found else 20):  # a busy machine delivers late
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        found |= {(body := json.loads(message["Body"]))["source"] + "/" + body["detail-type"] for message in got}
        empty = 0 if got else empty + 1
        time.sleep(0.1)
    bus.remove_targets(Rule=name, Ids=["q"])
    bus.delete_rule(Name=name)
    bus.close()
    sqs.close()
    return " ".join(sorted(found)) or "nothing"


def the_rules_events(engine: Engine) -> str:
    """Those of the video application, and others."""
    others = (("video.generation", "video.submitted"), ("another", "video.failed"), ("Video.Generation", "video.failed"))
    return delivered(engine, ("video.generation", "video.rendered"), ("video.generation", "video.failed"), *others)


def a_token_that_comes_again(engine: Engine) -> str:
    """A transaction sent twice with one ClientRequestToken."""
    table, name = engine.aws.client("dynamodb"), f"t-{uuid.uuid4().hex[:8]}"
    keys = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}
    keys["KeySchema"] = [{"AttributeName": "id", "KeyType": "HASH"}]
    table.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **keys)
    add = {"TableName": name, "Key": {"id": {"S": "a"}}, "UpdateExpression": "ADD n :one"}
    update = {"Update": {**add, "ExpressionAttributeValues": {":one": {"N": "1"}}}}
    for _ in range(2):
        table.transact_write_items(TransactItems=[update], ClientRequestToken="0123456789")
    found: str = table.get_item(TableName=name, Key={"id": {"S": "a"}})["Item"]["n"]["N"]
    table.close()
    return f"applied {found} times"


QUESTIONS: Mapping[str, Callable[[Engine], str]] = {
    question.__name__.replace("_", " "): question
    for question in (
        a_run, a_run_without_segments, a_capped_segment, an_unfinished_run, a_run_in_which_every_row_failed,
        one_in_which_they_failed_again, an_answer_without_a_member, the_begin_of_a_task,
        the_run_of_the_map, a_quoted_number, a_state_that_is_not_there, a_definition_that_is_no_object, the_rules_events,
        a_token_that_comes_again,
    )
}  # fmt: skip

EXPECTED = {
    "an unfinished run": (
        'SUCCEEDED {"allFailed": false}: Begin Scan Finish IsFinished Again FinishAgain IsFinishedAgain Finished'
    ),
    "a run in which every row failed": "FAILED AllRowsFailed: Begin Scan Finish IsFinished AllRowsFailed",
    "one in which they failed again": (
        "FAILED AllRowsFailed: Begin Scan Finish IsFinished Again FinishAgain IsFinishedAgain AllRowsFailed"
    ),
    "a run": 'SUCCEEDED {"unfinished": 0, "allFailed": false}: Begin Scan Finish IsFinished Finished',
    "a run without segments": 'SUCCEEDED {"unfinished": 0, "allFailed": false}: Begin Scan Finish IsFinished Finished',
    "a capped segment": 'SUCCEEDED {"unfinished": 0, "allFailed": false}: Begin Scan Finish IsFinished Finished',
    "the rules events": "video.generation/video.failed video.generation/video.rendered",
}
"""What both must say, worked out from the definition and the pattern."""


def disagreements() -> dict[str, tuple[str, str]]:
    """Return the page's table: what ministack and what moto say, by the question."""
    section = PAGE.read_text().split("\n## A second opinion\n")[1]
    rows = re.findall(r"^\| ([a-z ]+) \| `([^`]+)` \| `([^`]+)` \| ", section, re.MULTILINE)
    return {question: (first, second) for question, first, second in rows}


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_two_agree_or_the_page_says_how_they_do_not(engines: tuple[Engine, Engine], question: str) -> None:
    """A new disagreement has to be looked at, and AWS's documentation decides which of the two is right."""
    first, second = (QUESTIONS[question](engine) for engine in engines)

    if question in disagreements():
        assert disagreements()[question] == (first, second)
    else:
        assert first == second == EXPECTED.get(question, first)


def test_the_page_has_no_line_that_nobody_asks() -> None:
    """And at least one: the table is read."""
    assert disagreements().keys() <= QUESTIONS.keys()
    assert disagreements()
