"""What tests do with a deployed stack: users and jobs as the application writes them, events, and what was posted."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.domain.entry import Correction, Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.fact import Adjustment, Hold
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.postings import item_of
from tests.support.canaries import DETAIL, ROW
from tools.deployment import Deployment


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
        "detail": {"jobId": job, "userId": user, "seconds": 8, "model": "veo-3", "result_url": f"s3://renders/{job}", **DETAIL}
        | detail,
    }


def failed(user: str, job: str) -> dict[str, Any]:
    """Return the event of a job that failed an hour later."""
    detail = {"jobId": job, "userId": user, "error": "out of memory", **DETAIL}
    return {**rendered(user, job), "detail-type": "video.failed", "time": "2026-01-05T11:00:00Z", "detail": detail}


def put_job(stack: Deployment, user: str, job: str, status: str = "completed", at: str = "2026-01-05T10:00:00Z") -> None:
    """Write a job's row as the application does: 8 seconds, 0.80 credits."""
    row = {"jobId": job, "userId": user, "status": status, "model": "veo-3", "updatedAt": at, **ROW}
    item = {name: {"S": value} for name, value in row.items()} | {"seconds": {"N": "8"}}
    stack.dynamodb.put_item(TableName=stack.tables.jobs, Item=item)


def entries(stack: Deployment, job: str) -> list[dict[str, Any]]:
    """Return a job's entries, as DynamoDB has them."""
    answer = stack.dynamodb.query(
        TableName=stack.tables.ledger,
        KeyConditionExpression="#reference = :reference",
        ExpressionAttributeNames={"#reference": "reference"},
        ExpressionAttributeValues={":reference": {"S": f"job#{job}"}},
        ConsistentRead=True,
    )
    items: list[dict[str, Any]] = answer["Items"]
    return items


def renew_containers(stack: Deployment, function: str | None = None, **variables: str) -> None:
    """Let a function start anew with its next invocation: its environment has changed, by ``variables`` and more."""
    functions, name = stack.aws.client("lambda"), function or stack.function
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    environment = {"Variables": {**before, "RENEWED": uuid.uuid4().hex, **variables}}
    functions.update_function_configuration(FunctionName=name, Environment=environment)
    functions.close()


@contextlib.contextmanager
def served_with(stack: Deployment, timeout: int, **variables: str) -> Iterator[None]:
    """Let the alias, which the queue calls, lead to a version with another timeout and more variables; then back."""
    functions, name = stack.aws.client("lambda"), stack.function
    before = functions.get_function_configuration(FunctionName=name)
    version = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    own: dict[str, str] = before["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Timeout=timeout, Environment={"Variables": {**own, **variables}}
    )
    changed = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=changed)
    try:
        yield
    finally:
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        functions.update_function_configuration(FunctionName=name, Timeout=before["Timeout"], Environment={"Variables": own})
        functions.close()


def set_key(stack: Deployment, key: str) -> None:
    """Put the model's key into its secret; the function that explains finds it at once."""
    secrets = stack.aws.client("secretsmanager")
    secrets.put_secret_value(SecretId=stack.outputs["LlmSecretArn"], SecretString=json.dumps({"api_key": key}))
    secrets.close()
    renew_containers(stack, stack.explain_function)


def explained(stack: Deployment, user: str, anomaly: str, count: int = 1) -> list[dict[str, Any]]:
    """Hand new entries of a user to the function that explains, as the Ledger's stream does; return them as they are then.

    They move nothing. In the Ledger they have no anomalies, so that the stream itself passes them by.
    """
    items = [flag_item(user, datetime.now(UTC)) for _ in range(count)]
    for item in items:
        stack.dynamodb.put_item(TableName=stack.tables.ledger, Item=item)
    told = {"L": [{"M": {"name": {"S": anomaly}}}]}
    records = [
        {"eventName": "INSERT", "dynamodb": {"SequenceNumber": str(number), "NewImage": {**item, "anomalies": told}}}
        for number, item in enumerate(items, start=1)
    ]
    begun = datetime.now(UTC)
    if stack.invoke({"Records": records}, stack.explain_function)["batchItemFailures"]:
        raise RuntimeError("\n".join(stack.log_lines(stack.explain_function, begun)))
    return [entries(stack, item["jobId"]["S"])[0] for item in items]


def flag_item(user: str, at: datetime) -> dict[str, Any]:
    """Return an entry that moves nothing, posted at an instant."""
    job = f"j-{uuid.uuid4().hex[:12]}"
    entry = Entry(
        reference=f"job#{job}", job=job, sequence=1, user=user, type=EntryType.FLAG, amount=Decimal(0), occurred_at=at,
        rule="flag-of-a-test", policy="test", facts=Facts(), cost=Decimal(0), money=Money(), source=Source.EVENT,
    )  # fmt: skip
    return item_of(entry, at)


def inserted(stack: Deployment, user: str, at: datetime | None = None) -> dict[str, Any]:
    """Write an entry that moves nothing, and return the record that the Ledger's stream has of it, as of an instant."""
    now = datetime.now(UTC)
    item = flag_item(user, now)
    stack.dynamodb.put_item(TableName=stack.ledger_table, Item=item)
    keys = {name: item[name] for name in ("reference", "sequence")}
    change = {"ApproximateCreationDateTime": (at or now).timestamp(), "Keys": keys, "NewImage": item}
    return {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": change}


def adjusted_item(user: str, amount: str, at: datetime) -> dict[str, Any]:
    """Return the entry by which a person has adjusted a user, posted at an instant."""
    name = f"{user}-{uuid.uuid4().hex[:12]}"
    told = Adjustment(name, Decimal(amount), at)
    entry = Entry(
        reference=f"adjust#{name}", job=None, sequence=1, user=user, type=EntryType.ADJUST, amount=told.amount, occurred_at=at,
        rule="adjust", policy="test", facts=Facts(adjustments=(told,)), cost=told.amount.copy_negate(), money=Money(),
        source=Source.COMMAND, correction=Correction("a mistake", "arn:aws:iam::111122223333:user/ann", name),
    )  # fmt: skip
    return item_of(entry, at)


def hold(stack: Deployment, user: str, job: str) -> None:
    """Write an entry that holds 0.80 credits of a user, who has 100, for a job: it was due a minute ago."""
    at = datetime.now(UTC) - timedelta(minutes=61)
    held = Hold(Decimal("0.8"), at, at + timedelta(hours=1))
    entry = Entry(
        reference=f"job#{job}", job=job, sequence=1, user=user, type=EntryType.HOLD, amount=Decimal("-0.8"), occurred_at=at,
        rule="hold-of-a-test", policy="test", facts=Facts(holds=(held,)), cost=Decimal("0.8"), money=Money(),
        source=Source.EVENT, held=Decimal("0.8"),
    )  # fmt: skip
    stack.dynamodb.put_item(TableName=stack.tables.ledger, Item=item_of(entry, datetime.now(UTC)))
    row = {"userId": user, "remaining": Decimal("99.2"), "posted": Decimal("-0.8"), "held": Decimal("0.8")}
    stack.dynamodb.put_item(TableName=stack.tables.credits, Item=encode_item(row))
