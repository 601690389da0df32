"""Nothing but boto3's client and one transaction."""

from typing import Any

import boto3
from debit import transaction

client = boto3.client("dynamodb")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Debit one job."""
    client.transact_write_items(TransactItems=transaction(event))
    return {"outcome": "debited"}
