"""The transaction that the peers post: an entry, the balance, the mark."""

import os
from typing import Any

CREDITS_A_SECOND = 2


def debit_of(event: dict[str, Any]) -> tuple[str, str, int]:
    """Return job, user and amount."""
    detail = event["detail"]
    return detail["jobId"], detail["userId"], detail["seconds"] * CREDITS_A_SECOND


def transaction(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the items of ``transact_write_items``."""
    job, user, amount = debit_of(event)
    entry = {
        "reference": {"S": f"job#{job}"},
        "sequence": {"N": "1"},
        "userId": {"S": user},
        "jobId": {"S": job},
        "type": {"S": "debit"},
        "amount": {"N": str(-amount)},
        "postedAt": {"S": event["time"]},
    }
    return [
        {
            "Put": {
                "TableName": os.environ["LEDGER_TABLE"],
                "Item": entry,
                "ConditionExpression": "attribute_not_exists(#reference)",
                "ExpressionAttributeNames": {"#reference": "reference"},
            }
        },
        {
            "Update": {
                "TableName": os.environ["CREDITS_TABLE"],
                "Key": {"userId": {"S": user}},
                "UpdateExpression": "ADD remaining :amount",
                "ConditionExpression": "remaining >= :debit",
                "ExpressionAttributeValues": {":amount": {"N": str(-amount)}, ":debit": {"N": str(amount)}},
            }
        },
        {
            "Update": {
                "TableName": os.environ["JOBS_TABLE"],
                "Key": {"jobId": {"S": job}},
                "UpdateExpression": "SET reconciled = :true",
                "ExpressionAttributeValues": {":true": {"BOOL": True}},
            }
        },
    ]
