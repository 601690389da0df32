"""What tests do with a deployed stack: users and jobs as the application writes them, events, and what was posted."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

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
        "detail": {"jobId": job, "userId": user, "seconds": 8, "model": "veo-3", "result_url": f"s3://renders/{job}"} | detail,
    }


def failed(user: str, job: str) -> dict[str, Any]:
    """Return the event of a job that failed an hour later."""
    detail = {"jobId": job, "userId": user, "error": "out of memory"}
    return {**rendered(user, job), "detail-type": "video.failed", "time": "2026-01-05T11:00:00Z", "detail": detail}


def put_job(stack: Deployment, user: str, job: str, status: str = "completed", at: str = "2026-01-05T10:00:00Z") -> None:
    """Write a job's row as the application does: 8 seconds, 0.80 credits."""
    row = {"jobId": job, "userId": user, "status": status, "model": "veo-3", "updatedAt": at}
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


def renew_containers(stack: Deployment) -> None:
    """Let the function start anew with its next invocation: its environment has changed."""
    functions = stack.aws.client("lambda")
    variables = functions.get_function_configuration(FunctionName=stack.function)["Environment"]["Variables"]
    environment = {"Variables": {**variables, "RENEWED": uuid.uuid4().hex}}
    functions.update_function_configuration(FunctionName=stack.function, Environment=environment)
    functions.close()
