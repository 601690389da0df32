"""Everything that the product may ever need, imported at the top."""

from typing import Any

import attrs  # noqa: F401
import boto3
import jmespath  # noqa: F401
import openai  # noqa: F401
import yaml  # noqa: F401
from aws_xray_sdk.core import xray_recorder  # noqa: F401
from debit import transaction

client = boto3.client("dynamodb")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Debit one job."""
    client.transact_write_items(TransactItems=transaction(event))
    return {"outcome": "debited"}
