"""Runs of the deployed catch-up that fail, each for its reason: what a ``with`` brings about, and what ends it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.refusing_database import RefusingDatabase, refusing_database
from tests.support.stack import entries, give, put_job
from tests.support.watch import Watch
from tools.deployment import Deployment
from tools.local_aws import LocalAwsError


def new(stack: Deployment) -> tuple[str, str]:
    """Return a user with a hundred credits, and a job's id that nobody has used."""
    name = uuid.uuid4().hex[:12]
    give(stack, f"u-{name}", "100")
    return f"u-{name}", f"j-{name}"


@contextmanager
def a_run_in_which_every_row_fails(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Two rows are due, and neither can be priced: the real state machine ends in its own error."""
    keys = rows_that_make_no_sense(stack, 2)
    assert "AllRowsFailed" in run_that_fails(stack)
    yield
    mend(stack, keys)
    assert 0 == stack.catch_up()["errors"]


@contextmanager
def a_run_in_which_every_row_fails_at_last(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Its only segment is given up, and taken up again: then the rows are read, and none of them can be priced."""
    keys = rows_that_make_no_sense(stack, 2)
    with refused_scans(stack) as database:
        database.refusals = 1
        assert "AllRowsFailed" in run_that_fails(stack)
        assert 0 == database.refusals
    assert ["Finish", "IsFinished", "Again", "FinishAgain", "IsFinishedAgain", "AllRowsFailed"] == last_states(stack)[2:]
    yield
    mend(stack, keys)
    assert 0 == stack.catch_up()["errors"]


@contextmanager
def a_segment_that_fails_twice(stack: Deployment, watch: Watch) -> Iterator[None]:
    """Given up, taken up again, refused again; then there is nothing in its way."""
    user, job = new(stack)
    put_job(stack, user, job)
    with refused_scans(stack) as database:
        database.refusals = 2
        run_that_fails(stack)
        assert 0 == database.refusals
    assert ["Finish", "IsFinished", "Again"] == last_states(stack)[2:]
    assert [] == entries(stack, job)
    yield
    stack.catch_up()
    assert ["debit"] == [entry["type"]["S"] for entry in entries(stack, job)]


def rows_that_make_no_sense(stack: Deployment, count: int) -> list[dict[str, Any]]:
    """Let rows be the only ones that are due, whose seconds are no number; return their keys."""
    stack.catch_up()
    keys = []
    for _ in range(count):
        user, job = new(stack)
        put_job(stack, user, job)
        keys.append({"jobId": {"S": job}})
        set_seconds(stack, keys[-1], {"S": "eight"})
    return keys


def mend(stack: Deployment, keys: list[dict[str, Any]]) -> None:
    """Write their seconds as the application should have done."""
    for key in keys:
        set_seconds(stack, key, {"N": "8"})


def run_that_fails(stack: Deployment) -> str:
    """Run the state machine, and return what its failure says."""
    with pytest.raises(LocalAwsError, match="FAILED") as failure:
        stack.catch_up()
    return str(failure.value)


def last_states(stack: Deployment) -> list[str]:
    """Return the states that the newest run has entered."""
    states = stack.aws.client("stepfunctions")
    runs = states.list_executions(stateMachineArn=stack.outputs["CatchUpRunArn"])["executions"]
    newest = max(runs, key=lambda run: run["startDate"])["executionArn"]
    history = states.get_execution_history(executionArn=newest, maxResults=1000)["events"]
    states.close()
    return [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]


@contextmanager
def refused_scans(stack: Deployment) -> Iterator[RefusingDatabase]:
    """Let the catch-up reach the database on a way that can refuse scans of Jobs."""
    functions = stack.aws.client("lambda")
    before = functions.get_function_configuration(FunctionName=stack.catch_up_function)["Environment"]["Variables"]
    with refusing_database(stack.aws.endpoint, "Scan", stack.tables.jobs) as database:
        other = {"Variables": {**before, "AWS_ENDPOINT_URL_DYNAMODB": database.url}}
        functions.update_function_configuration(FunctionName=stack.catch_up_function, Environment=other)
        yield database
        functions.update_function_configuration(FunctionName=stack.catch_up_function, Environment={"Variables": before})
    functions.close()


def set_seconds(stack: Deployment, key: Mapping[str, Any], value: Mapping[str, Any]) -> None:
    """Change a job's row as the application does."""
    update = {"UpdateExpression": "SET seconds = :value", "ExpressionAttributeValues": {":value": value}}
    stack.dynamodb.update_item(TableName=stack.tables.jobs, Key=key, **update)
