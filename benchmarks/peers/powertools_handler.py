"""The obvious good way: boto3 with Powertools for AWS Lambda, as its documentation shows it."""

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent
from debit import transaction

logger = Logger(service="reconciler")
tracer = Tracer(service="reconciler")
metrics = Metrics(namespace="Reconciler", service="reconciler")
client = boto3.client("dynamodb")
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="detail.jobId")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
@idempotent(persistence_store=persistence, config=config)
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Debit one job."""
    client.transact_write_items(TransactItems=transaction(event))
    metrics.add_metric(name="Debits", unit=MetricUnit.Count, value=1)
    logger.info("debited", extra={"job": event["detail"]["jobId"]})
    return {"outcome": "debited"}
