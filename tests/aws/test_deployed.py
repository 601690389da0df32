"""The whole product, end to end: built and deployed by SAM, called by EventBridge, under a role of its own."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from engine.cli.app import app
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.store import Tables
from engine.policy.compiled import compile_policy
from engine.reconcile.dead_letters import read_letter
from tests.support.change_sets import deploy_by_change_set
from tests.support.model_server import FINE, KEY
from tests.support.stack import balance, entries, give, put_job, rendered, renew_containers
from tools.deployment import Deployment, delete, deploy, wait_until
from tools.local_aws import LocalAwsError, create_tables
from tools.template import load, resources


@pytest.fixture(scope="module")
def beside_the_application(deployed: Deployment, built: Path) -> Iterator[Deployment]:
    """Return a second stack that uses the tables and the bus that the video application has already, without a queue."""
    tables = create_tables(deployed.dynamodb, Tables("app.jobs", "app.credits", "Ledger-kept", "app.state", "Seals-kept"))
    events = deployed.aws.client("events")
    events.create_event_bus(Name="video")
    events.close()
    parameters = {"Environment": "staging", "EventBusName": "video", "Delivery": "direct"}
    parameters |= {
        "ExistingJobsTable": tables.jobs,
        "ExistingCreditsTable": tables.credits,
        "ExistingLedgerTable": tables.ledger,
        "ExistingSealsTable": tables.seals,
    }
    stack = deploy_by_change_set(deployed.aws, built, name="cc-agent-reconciler-staging", parameters=parameters)
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


def test_an_event_that_makes_no_sense_is_kept_and_holds_up_no_other(deployed: Deployment) -> None:
    """It moves nothing, comes back to the queue until that gives it up, and the letter says what is wrong."""
    give(deployed, "u-wrong", "100")

    deployed.send(rendered("u-wrong", "j-wrong", seconds="eight"), rendered("u-wrong", "j-right"))

    wait_until(lambda: bool(kept(deployed, "j-wrong")), "the event is in the dead-letter queue")
    (message,) = kept(deployed, "j-wrong")
    letter = read_letter(message, "failed-events")
    assert "given-up" == letter.way
    assert "j-wrong" == letter.events[0]["detail"]["jobId"]
    assert Decimal("99.2") == balance(deployed, "u-wrong")


def test_the_command_finds_tables_queues_and_policy_by_the_name_of_the_stack(deployed: Deployment) -> None:
    """By the outputs of the real template; a letter names its job and its user, and a look posts nothing."""
    give(deployed, "u-named", "100")
    deployed.send(rendered("u-named", "j-named"), rendered("u-named", "j-letter", seconds="eight"))
    wait_until(lambda: balance(deployed, "u-named") == Decimal("99.2"), "the job is charged")
    wait_until(lambda: bool(kept(deployed, "j-letter")), "the other event is a dead letter")

    statement = json.loads(command(deployed, "statement", "u-named"))
    letters = json.loads(command(deployed, "dead-letters", "list"))

    assert [("j-named", "-0.8")] == [(line["job"], line["amount"].rstrip("0")) for line in statement["entries"]]
    (letter,) = [letter for letter in letters if letter["jobs"] == ["j-letter"]]
    assert ["u-named"] == letter["users"]
    assert "field detail.seconds: is 'eight'" in letter["now"]
    assert Decimal("99.2") == balance(deployed, "u-named")


def command(stack: Deployment, *words: str) -> str:
    """Return what the command prints for machines, with nothing but the name of the stack."""
    result = CliRunner().invoke(app, [*words, "--stack", stack.name, "--json"], env=stack.aws.environment())
    assert 0 == result.exit_code, result.output
    return result.stdout


def test_events_come_in_batches(deployed: Deployment) -> None:
    """Twenty events of one user: each is charged, and the ledger knows that a queue has brought them."""
    give(deployed, "u-many", "100")

    deployed.send(*(rendered("u-many", f"j-many-{number}") for number in range(20)))

    wait_until(lambda: balance(deployed, "u-many") == Decimal(84), "twenty jobs are charged")
    key = {"reference": {"S": "job#j-many-7"}, "sequence": {"N": "1"}}
    entry = deployed.dynamodb.get_item(TableName=deployed.tables.ledger, Key=key)["Item"]
    assert {"S": "queue"} == entry["source"]


def test_the_catch_up_charges_a_job_that_no_event_told_of(deployed: Deployment) -> None:
    """The schedule's own event, by the function's own role."""
    give(deployed, "u-lost", "100")
    row = {"jobId": {"S": "j-lost"}, "userId": {"S": "u-lost"}, "status": {"S": "completed"}, "seconds": {"N": "8"}}
    row |= {"model": {"S": "veo-3"}, "updatedAt": {"S": "2026-01-05T10:00:00Z"}}
    deployed.dynamodb.put_item(TableName=deployed.tables.jobs, Item=row)

    answer = deployed.catch_up()

    assert Decimal("99.2") == balance(deployed, "u-lost")
    assert not drifts_of("u-lost", answer)


HOLDS = """\
version: 1
name: holds
event: {job: detail.jobId, user: detail.userId, time: time}
rules:
  - name: hold-submitted
    match: {detail-type: [video.submitted]}
    action: hold
    hold: {amount: "0.80", expires: 1h}
"""


@pytest.fixture
def holding(deployed: Deployment, tmp_path: Path) -> Iterator[Deployment]:
    """Let the function serve a policy that holds credits before the work begins; the scheduled run keeps its own."""
    functions = deployed.aws.client("lambda")
    before = functions.get_function_configuration(FunctionName=deployed.function)["Environment"]["Variables"]
    functions.close()
    file = tmp_path / "holds.yaml"
    file.write_text(HOLDS)
    compile_policy(file)
    renew_containers(deployed, POLICY_FILE=str(file))
    yield deployed
    renew_containers(deployed, POLICY_FILE=before["POLICY_FILE"])


def look_for_holds(stack: Deployment) -> dict[str, Any]:
    """Do what the holds' schedule does, now: call its target with its input."""
    events = stack.aws.client("events")
    (target,) = events.list_targets_by_rule(Rule="credit-reconciler-dev-holds")["Targets"]
    events.close()
    answer: dict[str, Any] = stack.invoke(json.loads(target["Input"]), target["Arn"].rpartition(":")[2])["holds"]
    return answer


def test_a_hold_whose_job_died_is_released_by_the_schedule(holding: Deployment) -> None:
    """Asked for by direct invocation; of two jobs one was rendered (0.80), and its event was lost. Under IAM, all of it."""
    give(holding, "u-held", "2")
    submitted = [{**rendered("u-held", job), "detail-type": "video.submitted", "id": job} for job in ("j-died", "j-done")]
    assert ["held", "held"] == [holding.invoke(event)["outcome"] for event in submitted]
    assert Decimal("0.4") == balance(holding, "u-held")
    put_job(holding, "u-held", "j-done")

    answer = look_for_holds(holding)

    assert (0, True) == (answer["errors"], answer["finished"])
    assert ["hold", "release"] == [entry["type"]["S"] for entry in entries(holding, "j-died")]
    assert ["hold", "settle"] == [entry["type"]["S"] for entry in entries(holding, "j-done")]
    assert Decimal("1.2") == balance(holding, "u-held")
    assert 0 == look_for_holds(holding)["due"]


def drifts_of(user: str, answer: dict[str, Any]) -> list[str]:
    """Return what a run says of a user's books, by the archive."""
    found = answer["archive"]["differences"]
    return [each["problem"] for each in found if each["kind"] == "drift" and user in each["users"]]


def test_the_catch_up_names_whose_books_do_not_agree(deployed: Deployment) -> None:
    """By the role's own rights: somebody has written ``posted``, and then put it right."""
    item = {"userId": {"S": "u-drift"}, "remaining": {"N": "10"}, "posted": {"N": "-5"}}
    deployed.dynamodb.put_item(TableName=deployed.tables.credits, Item=item)

    found = deployed.catch_up()
    give(deployed, "u-drift", "10")

    assert ["the archived entries add up to 0, Credits says -5"] == drifts_of("u-drift", found)
    assert "audit" not in found, "where there is an archive nothing is sealed"
    assert [] == drifts_of("u-drift", deployed.catch_up())


def test_the_catch_up_flags_a_result_that_was_charged_twice(deployed: Deployment) -> None:
    """By the role's own rights; the credits stay where they are."""
    give(deployed, "u-twice", "100")
    deployed.send(*(rendered("u-twice", f"j-twice-{number}", result_url="s3://renders/one") for number in (1, 2)))
    wait_until(lambda: balance(deployed, "u-twice") == Decimal("98.4"), "both jobs are charged")

    answer = deployed.catch_up()

    key = {"reference": {"S": "job#j-twice-2"}, "sequence": {"N": "2"}}
    flag = deployed.dynamodb.get_item(TableName=deployed.tables.ledger, Key=key)["Item"]
    assert "problem" not in answer["lookBack"]
    assert ({"S": "flag"}, {"S": "rendered-twice"}, {"N": "0"}) == (flag["type"], flag["rule"], flag["amount"])
    assert Decimal("98.4") == balance(deployed, "u-twice")


def test_what_serves_events_may_not_read_whole_tables(deployed: Deployment) -> None:
    """A scan that is sent to it is refused by its role; the catch-up has one of its own."""
    with pytest.raises(LocalAwsError, match=r"not authorized to perform: dynamodb:Scan"):
        deployed.invoke({"slices": [{"segment": 0, "segments": 1}]})

    assert "rows" in deployed.invoke({"slices": [{"segment": 0, "segments": 1}]}, deployed.catch_up_function)


def explanation(stack: Deployment, job: str) -> dict[str, Any]:
    """Return what stands on a job's first entry."""
    key = {"reference": {"S": f"job#{job}"}, "sequence": {"N": "1"}}
    item = stack.dynamodb.get_item(TableName=stack.tables.ledger, Key=key, ConsistentRead=True).get("Item", {})
    return decode_item(item).get("explanation", {})


def test_a_flagged_event_is_explained_without_anyone_asking(deployed: Deployment) -> None:
    """By the rules as long as the secret holds no key, and by the model within half a minute once it does; told on the bus.

    The real stream, filter, function, client, secret, budget and bus, under a role of its own.
    """
    give(deployed, "u-flagged", "1000")
    clients = {service: deployed.aws.client(service) for service in ("secretsmanager", "events", "sqs")}
    queue = queue_of_explanations(clients["events"], clients["sqs"])
    put_job(deployed, "u-flagged", "j-plain")

    deployed.send(rendered("u-flagged", "j-flagged", seconds=600), rendered("u-flagged", "j-plain"))

    wait_until(lambda: bool(explanation(deployed, "j-flagged")), "the entry is explained")
    assert ("rules", "no-key") == tuple(explanation(deployed, "j-flagged")[name] for name in ("by", "why"))
    assert {} == explanation(deployed, "j-plain")
    assert Decimal("939.2") == balance(deployed, "u-flagged")

    secret = json.dumps({"api_key": KEY})
    clients["secretsmanager"].put_secret_value(SecretId=deployed.outputs["LlmSecretArn"], SecretString=secret)
    jobs = (f"j-flagged-{number}" for number in range(10))
    wait_until(lambda: is_explained_by_the_model(deployed, next(jobs)), "the model is asked")
    told = [json.loads(message["Body"]) for message in receive_all(clients["sqs"], queue)]
    assert {"credit.reconciler"} == {event["source"] for event in told}
    assert {"rules", "model"} == {event["detail"]["explanation"]["by"] for event in told}
    for client in clients.values():
        client.close()


def queue_of_explanations(events: Any, sqs: Any) -> str:
    """Return the URL of a queue that gets all that is explained, as somebody else's rule would have it."""
    queue: str = sqs.create_queue(QueueName="explained")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="explained", EventPattern=json.dumps({"detail-type": ["credits.anomaly.explained"]}))
    events.put_targets(Rule="explained", Targets=[{"Id": "queue", "Arn": arn}])
    return queue


def receive_all(sqs: Any, queue: str) -> list[dict[str, Any]]:
    """Return what is in a queue."""
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2, MaxNumberOfMessages=10).get("Messages", []):
        found += messages
    return found


def is_explained_by_the_model(stack: Deployment, job: str) -> bool:
    """Send another flagged event, and say whether it was explained by the model: a container looks for a key now and then."""
    stack.send(rendered("u-flagged", job, seconds=600))
    wait_until(lambda: bool(explanation(stack, job)), "the entry is explained")
    time.sleep(4)
    said = explanation(stack, job)
    return (said["by"], said["likely_cause"]) == ("model", FINE["likely_cause"])


def test_what_explains_can_move_no_credit(deployed: Deployment) -> None:
    """Its role reads what single users have left, and nothing else of that table: whatever runs under it could not write."""
    role = f"{deployed.name}-ExplainRole"
    iam = deployed.aws.client("iam")
    (name,) = [found["RoleName"] for found in iam.list_roles()["Roles"] if found["RoleName"].startswith(role)]
    arn = iam.get_role(RoleName=name)["Role"]["Arn"]
    table = f"arn:aws:dynamodb:us-east-1:000000000000:table/{deployed.tables.credits}"
    tried = ["dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:Scan"]
    answers = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=tried, ResourceArns=[table])
    iam.close()

    assert {"implicitDeny"} == {answer["EvalDecision"] for answer in answers["EvaluationResults"]}


def test_the_dashboard_names_the_stacks_own_things(deployed: Deployment) -> None:
    """Every name in it was filled in."""
    cloudwatch = deployed.aws.client("cloudwatch")
    body = cloudwatch.get_dashboard(DashboardName="credit-reconciler-dev")["DashboardBody"]
    cloudwatch.close()

    assert "${" not in body
    for name in (
        deployed.function,
        deployed.catch_up_function,
        deployed.explain_function,
        deployed.ledger_table,
        deployed.log_group,
    ):
        assert name in body
    assert json.loads(body)["widgets"]


def test_the_alarms_are_there_and_tell_the_topic(deployed: Deployment) -> None:
    """Each with its action both ways."""
    cloudwatch = deployed.aws.client("cloudwatch")
    alarms = {alarm["AlarmName"]: alarm for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    cloudwatch.close()

    made = resources(None, "AWS::CloudWatch::Alarm").values()
    expected = {each["Properties"]["AlarmName"]["Fn::Sub"] for each in made if each.get("Condition") != "WithoutArchive"}
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
    key = {"reference": {"S": "job#j-app"}, "sequence": {"N": "1"}}
    assert {"S": "event"} == stack.dynamodb.get_item(TableName=stack.tables.ledger, Key=key)["Item"]["source"]
    given = {"app.jobs", "app.credits", "Ledger-kept", "app.state", "Seals-kept"}
    made = {"Jobs-dev", "Credits-dev", "Ledger-dev", "State-dev", "Seals-dev", "State-staging"}
    assert given | made == set(stack.dynamodb.list_tables()["TableNames"])


def test_an_event_that_makes_no_sense_is_kept_with_the_reason_where_there_is_no_queue(
    beside_the_application: Deployment,
) -> None:
    """Lambda's own dead-letter queue, with the error that the function raised."""
    stack = beside_the_application
    give(stack, "u-app-wrong", "100")

    stack.send(rendered("u-app-wrong", "j-app-wrong", seconds="eight"), bus="video")

    wait_until(lambda: bool(kept(stack, "j-app-wrong")), "the event is in the dead-letter queue")
    (message,) = kept(stack, "j-app-wrong")
    assert "seconds" in message["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert Decimal(100) == balance(stack, "u-app-wrong")


def release_before(built: Path, folder: Path) -> Path:
    """Return a build whose rule calls the function: how events were delivered before there was a queue."""
    shutil.copytree(built, folder, copy_function=os.link)
    template = load(built / "template.yaml")
    (target,) = template["Resources"]["VideoEvents"]["Properties"]["Targets"]
    target["Arn"] = {"Fn::GetAtt": ["ReconcilerFunction", "Arn"]}
    del template["Resources"]["EventBatches"]
    (folder / "template.yaml").unlink()
    (folder / "template.yaml").write_text(yaml.safe_dump(template, sort_keys=False))
    return folder


def test_a_stack_in_use_is_updated_and_deleted_and_no_credit_is_lost(
    deployed: Deployment, built: Path, tmp_path: Path
) -> None:
    """From direct delivery to the queue; then everything goes but the tables with money in them."""
    name, parameters = (
        "cc-agent-reconciler-prod",
        {"Environment": "prod", "EventBusName": "prod", "AlarmEmail": "on-call@example.com"},
    )
    bus = deployed.aws.client("events")
    bus.create_event_bus(Name="prod")
    before = release_before(built, tmp_path / "before")
    stack = deploy_by_change_set(deployed.aws, before, name=name, parameters=parameters | {"Delivery": "direct"})
    give(stack, "u-prod", "100")
    stack.send(rendered("u-prod", "j-before"), bus="prod")
    wait_until(lambda: balance(stack, "u-prod") == Decimal("99.2"), "the job before the update is charged")

    deploy(deployed.aws, built, name=name, parameters=parameters | {"Delivery": "queue"})
    (target,) = bus.list_targets_by_rule(Rule="credit-reconciler-prod-events", EventBusName="prod")["Targets"]
    stack.send(rendered("u-prod", "j-after"), rendered("u-prod", "j-before"), bus="prod")
    wait_until(lambda: balance(stack, "u-prod") == Decimal("98.4"), "the job after the update is charged")
    delete(deployed.aws, name)

    assert target["Arn"].endswith(":credit-reconciler-prod-events")
    left = {table for table in deployed.dynamodb.list_tables()["TableNames"] if table.endswith("-prod")}
    assert {"Jobs-prod", "Credits-prod", "Ledger-prod", "Seals-prod"} == left
    assert Decimal("98.4") == balance(stack, "u-prod")
    for table in left:
        deployed.dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        deployed.dynamodb.delete_table(TableName=table)
    bus.close()
    stack.close()
