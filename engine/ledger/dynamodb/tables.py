"""What the tables must be like, and a look at one: whether it is there, and has the key that the engine asks by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.domain.errors import LedgerRefused
from engine.ledger.dynamodb.calls import DynamoDB, call
from engine.runtime.clock import Deadline

KEYS: Mapping[str, Mapping[str, str]] = {
    "jobs": {"jobId": "S"},
    "credits": {"userId": "S"},
    "ledger": {"reference": "S", "sequence": "N"},
    "state": {"id": "S"},
    "seals": {"id": "S", "number": "N"},
}
"""The key of each table: its attributes with their types, as template.yaml has them."""

NO_SUCH_TABLE = "ResourceNotFoundException"


def table_problem(client: DynamoDB, kind: str, name: str, deadline: Deadline) -> str | None:
    """Return what is wrong with the table that is to be the one of ``kind``, or None where it can serve as that.

    Raises LedgerRefused where it may not be looked at, and LedgerUnavailable where no answer comes in time.
    """
    try:
        answer = call(client.describe_table, {"TableName": name}, deadline)
    except LedgerRefused as error:
        if NO_SUCH_TABLE in str(error):
            return "there is no such table"
        raise
    if not isinstance(table := answer.get("Table"), dict):
        return "what answers there is no DynamoDB"
    found, needed = _key(table), dict(KEYS[kind])
    return None if found == needed else f"its key is {_told(found)}; the table of {kind} has {_told(needed)}"


def _key(table: Mapping[str, Any]) -> dict[str, str]:
    types = {each["AttributeName"]: each["AttributeType"] for each in table.get("AttributeDefinitions", ())}
    return {each["AttributeName"]: types.get(each["AttributeName"], "?") for each in table.get("KeySchema", ())}


def _told(key: Mapping[str, str]) -> str:
    return " and ".join(f"{name} ({kind})" for name, kind in key.items()) or "none"
