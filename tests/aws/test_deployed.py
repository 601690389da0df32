"""The whole product, end to end: built and deployed by SAM, called by EventBridge, under a role of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.ledger import Tables
from tools.deployment import Deployment, deploy, wait_until
from tools.local_aws import LocalAwsError, create_tables
from tools.template import resources


def give(stack: Deployment, user: str, credits_given: str) -> None:
    """Give a user credits as the video application does."""
    item = {"userId": {"S": user}, "remaining": {"N": credits_given}}
    stack.dynamodb.put_item(TableName=stack.tables.credits, Item=item)


def balance(stack: Deployment, user: str) -> Decimal:
    """Return a user's balance."""
    item = stack.dynamodb.get_item(TableName=stack.tables.credits, Key={"userId": {"S": user}}, ConsistentRead=True)["Item"]
    return Decimal(item["remaining"]["N"])


def rendered(user: str, job: str, **detail: Any) -> dict[str, Any]:
    """Return an event as the video application puts it on the bus."""
    return {
        "source": "video.generation",
        "detail-type": "video.rendered",
        "time": "2026-01-05T10:00:00Z",
        "detail": {"jobId": job, "userId": user, "seconds": 8, "model": "veo-3", "result_url": f"s3://renders/{job}"} | detail,
    }


@pytest.fixture(scope="module")
def beside_the_application(deployed: Deployment, built: Path) -> Iterator[Deployment]:
    """Return a second stack that uses the tables and the bus that the video application has already."""
    tables = create_tables(deployed.dynamodb, Tables("app.jobs", "app.credits", "Ledger-kept", "app.state"))
    events = deployed.aws.client("events")
    events.create_event_bus(Name="video")
    events.close()
    parameters = {"Environment": "staging", "EventBusName": "video"}
    parameters |= {
        "ExistingJobsTable": tables.jobs,
        "ExistingCreditsTable": tables.credits,
        "ExistingLedgerTable": tables.ledger,
    }
    stack = deploy(deployed.aws, built, name="cc-agent-reconciler-staging", parameters=parameters)
    yield stack
    stack.close()


def test_an_event_on_the_bus_changes_the_balance_once(deployed: Deployment) -> None:
    """8 seconds at 0.10 are 0.80, however often the event is sent."""
    give(deployed, "u-bus", "100")

    deployed.send(rendered("u-bus", "j-bus"), rendered("u-bus", "j-bus"), rendered("u-bus", "j-bus-2"))

    wait_until(lambda: balance(deployed, "u-bus") == Decimal("98.4"), "both jobs are charged")


def kept(stack: Deployment, job: str) -> list[dict[str, Any]]:
    """Return the messages about a job in the dead-letter queue."""
    return [message for message in stack.failed_events() if json.loads(message["Body"])["detail"]["jobId"] == job]


def test_an_event_that_makes_no_sense_is_kept_with_the_reason(deployed: Deployment) -> None:
    """It moves nothing, and names what is wrong."""
    give(deployed, "u-wrong", "100")

    deployed.send(rendered("u-wrong", "j-wrong", seconds="eight"))

    wait_until(lambda: bool(kept(deployed, "j-wrong")), "the event is in the dead-letter queue")
    (message,) = kept(deployed, "j-wrong")
    assert "seconds" in message["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert Decimal(100) == balance(deployed, "u-wrong")


def test_the_catch_up_charges_a_job_that_no_event_told_of(deployed: Deployment) -> None:
    """The schedule's own event, by the function's own role."""
    give(deployed, "u-lost", "100")
    row = {"jobId": {"S": "j-lost"}, "userId": {"S": "u-lost"}, "status": {"S": "completed"}, "seconds": {"N": "8"}}
    row |= {"model": {"S": "veo-3"}, "updatedAt": {"S": "2026-01-05T10:00:00Z"}}
    deployed.dynamodb.put_item(TableName=deployed.tables.jobs, Item=row)

    answer = deployed.catch_up()

    assert Decimal("99.2") == balance(deployed, "u-lost")
    assert [] == answer["audit"]["drifts"]


def test_the_catch_up_names_whose_books_do_not_agree(deployed: Deployment) -> None:
    """By the role's own rights: somebody has written ``posted``, and then put it right."""
    item = {"userId": {"S": "u-drift"}, "remaining": {"N": "10"}, "posted": {"N": "-5"}}
    deployed.dynamodb.put_item(TableName=deployed.tables.credits, Item=item)

    found = deployed.catch_up()["audit"]
    give(deployed, "u-drift", "10")

    assert ["u-drift"] == found["drifts"]
    assert [] == deployed.catch_up()["audit"]["drifts"]


def test_what_serves_events_may_not_read_whole_tables(deployed: Deployment) -> None:
    """A scan that is sent to it is refused by its role; the catch-up has one of its own."""
    with pytest.raises(LocalAwsError, match=r"not authorized to perform: dynamodb:Scan"):
        deployed.invoke({"slices": [{"segment": 0, "segments": 1}]})

    assert "rows" in deployed.invoke({"slices": [{"segment": 0, "segments": 1}]}, deployed.catch_up_function)


def test_the_dashboard_names_the_stacks_own_things(deployed: Deployment) -> None:
    """Every name in it was filled in."""
    cloudwatch = deployed.aws.client("cloudwatch")
    body = cloudwatch.get_dashboard(DashboardName="credit-reconciler-dev")["DashboardBody"]
    cloudwatch.close()

    assert "${" not in body
    for name in (deployed.function, deployed.catch_up_function, deployed.ledger_table, deployed.log_group):
        assert name in body
    assert json.loads(body)["widgets"]


def test_the_alarms_are_there_and_tell_the_topic(deployed: Deployment) -> None:
    """Each with its action both ways."""
    cloudwatch = deployed.aws.client("cloudwatch")
    alarms = {alarm["AlarmName"]: alarm for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    cloudwatch.close()

    expected = {alarm["Properties"]["AlarmName"]["Fn::Sub"] for alarm in resources(None, "AWS::CloudWatch::Alarm").values()}
    assert {name.replace("${Environment}", "dev") for name in expected} <= alarms.keys()
    topic = deployed.outputs["AlarmsTopicArn"]
    ours = [alarm for name, alarm in alarms.items() if name.startswith("credit-reconciler-dev-")]
    assert all([topic] == alarm["AlarmActions"] == alarm["OKActions"] for alarm in ours)


def test_the_applications_own_tables_and_bus_are_used_where_they_are_named(beside_the_application: Deployment) -> None:
    """No other tables of the kind are made, only the stack's own State, and the role reaches them."""
    stack = beside_the_application
    give(stack, "u-app", "100")

    stack.send(rendered("u-app", "j-app"), bus="video")

    wait_until(lambda: balance(stack, "u-app") == Decimal("99.2"), "the job is charged")
    given = {"app.jobs", "app.credits", "Ledger-kept", "app.state"}
    made = {"Jobs-dev", "Credits-dev", "Ledger-dev", "State-dev", "State-staging"}
    assert given | made == set(stack.dynamodb.list_tables()["TableNames"])
