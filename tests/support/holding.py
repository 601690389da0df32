"""A deployed stack whose policy holds credits for work that is submitted."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.fact import Hold
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.ledger.dynamodb.postings import item_of
from engine.policy.compiled import compile_policy
from tests.support.stack import rendered, renew_containers
from tools.deployment import Deployment

POLICY = """\
version: 1
name: holding
event: {job: detail.jobId, user: detail.userId, time: time}
rules:
  - name: hold-submitted
    match: {source: [video.generation], detail-type: [video.submitted]}
    action: hold
    hold: {amount: "0.80", expires: 2h}
  - name: debit-rendered
    match: {source: [video.generation], detail-type: [video.rendered]}
    action: debit
    charge: {amount: "0.60"}
  - name: refund-failed
    match: {source: [video.generation], detail-type: [video.failed]}
    action: refund
    refund: {percent: 100}
overdraft: refuse
low_balance: {below: "0.50", recovered: "0.60"}
"""


def submitted(user: str, job: str) -> dict[str, Any]:
    """Return the request to hold what a job will cost: 0.80 credits."""
    told = rendered(user, job)
    return {**told, "id": uuid.uuid4().hex, "detail-type": "video.submitted", "time": "2026-01-05T09:59:00Z"}


def held(stack: Deployment, user: str) -> dict[str, Any]:
    """Write the entry of a hold and what it moves, and return the stream's record of it. The stream tells of it as well."""
    job, now = f"j-{uuid.uuid4().hex[:12]}", datetime.now(UTC)
    known = Facts(holds=(Hold(Decimal("0.80"), now, now + timedelta(hours=2)),))
    entry = Entry(
        reference=f"job#{job}", job=job, sequence=1, user=user, type=EntryType.HOLD, amount=Decimal("-0.80"), occurred_at=now,
        rule="hold-of-a-test", policy="test", facts=known, cost=Decimal("0.80"), money=Money(), source=Source.EVENT,
        held=Decimal("0.80"),
    )  # fmt: skip
    item = item_of(entry, now)
    stack.dynamodb.put_item(TableName=stack.ledger_table, Item=item)
    stack.dynamodb.update_item(
        TableName=stack.credits_table,
        Key={"userId": {"S": user}},
        UpdateExpression="ADD posted :less, held :more",
        ExpressionAttributeValues={":less": {"N": "-0.80"}, ":more": {"N": "0.80"}},
    )
    change = {"SequenceNumber": "1", "ApproximateCreationDateTime": now.timestamp(), "NewImage": item}
    return {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": change}


@contextlib.contextmanager
def holding(stack: Deployment) -> Iterator[None]:
    """Let the functions serve ``POLICY``: events are handed to them directly, then they serve the stack's own again."""
    names = stack.function, stack.explain_function
    before = {name: policy_file(stack, name) for name in names}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "holding.yaml"
        file.write_text(POLICY)
        compile_policy(file)
        for name in names:
            renew_containers(stack, name, POLICY_FILE=str(file))
        try:
            yield
        finally:
            for name in names:
                renew_containers(stack, name, POLICY_FILE=before[name])


def policy_file(stack: Deployment, function: str) -> str:
    """Return which policy a function serves."""
    functions = stack.aws.client("lambda")
    variables = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    functions.close()
    found: str = variables["POLICY_FILE"]
    return found
