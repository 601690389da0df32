"""The public predecessor of this system, from its description: six calls, three of them writes that do not know each other."""

import os
import time
from decimal import Decimal
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr, Key
from debit import debit_of

dynamodb = boto3.resource("dynamodb")
ssm = boto3.client("ssm")
cloudwatch = boto3.client("cloudwatch")
events = boto3.client("events")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Debit one job, unless an index that trails behind already knows of it."""
    ledger = dynamodb.Table(os.environ["LEDGER_TABLE"])
    job, user, _ = debit_of(event)
    known = ledger.query(
        IndexName="UserIdIndex",
        KeyConditionExpression=Key("userId").eq(user) & Key("postedAt").eq(event["time"] + job),
        FilterExpression=Attr("jobId").eq(job),
    )
    if known["Items"]:
        return {"outcome": "duplicate"}
    price = Decimal(ssm.get_parameter(Name=os.environ["PRICE_PARAMETER"])["Parameter"]["Value"])
    amount = price * event["detail"]["seconds"]
    entry = {
        "reference": f"{user}#{time.time_ns()}",
        "sequence": 1,
        "userId": user,
        "jobId": job,
        "type": "debit",
        "amount": -amount,
        "postedAt": event["time"] + job,
    }
    ledger.put_item(Item=entry)
    dynamodb.Table(os.environ["CREDITS_TABLE"]).update_item(
        Key={"userId": user},
        UpdateExpression="SET remaining = remaining - :amount",
        ExpressionAttributeValues={":amount": amount},
    )
    dynamodb.Table(os.environ["JOBS_TABLE"]).update_item(
        Key={"jobId": job},
        UpdateExpression="SET reconciled = :true",
        ExpressionAttributeValues={":true": True},
    )
    cloudwatch.put_metric_data(
        Namespace="Reconciler", MetricData=[{"MetricName": "Debits", "Value": float(amount), "Unit": "Count"}]
    )
    return {"outcome": "debited"}
