"""The README's example is what happens: its lines, on the deployed stack, make its entry and the balance that it names."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

from engine.ledger.dynamodb.attributes import decode_item
from tests.support.documentation import read_page
from tests.support.stack import balance, give, put_job
from tools.deployment import Deployment, wait_until
from tools.environments import ROOT

BLOCKS = {block.kind: block.text for block in read_page(ROOT / "README.md").blocks}
EVENT = json.loads(BLOCKS["json event"])
ENTRY = json.loads(BLOCKS["json entry"], parse_float=Decimal, parse_int=Decimal)

TOLD = "print(json.dumps([event, answer['FailedEntryCount'], str(balance)]))"


def run_lines(stack: Deployment) -> tuple[dict[str, Any], int, Decimal]:
    """Run the application's lines in a process of their own, and return what they put, what was refused, what they read."""
    command = [sys.executable, "-c", f"{BLOCKS['python']}\n{TOLD}"]
    done = subprocess.run(command, env=stack.aws.environment(), capture_output=True, text=True, check=True)
    event, failed, read = json.loads(done.stdout)
    return event, failed, Decimal(read)


def test_the_applications_lines_put_the_event_and_read_the_balance(deployed: Deployment) -> None:
    """8 seconds at 0.10: 100 becomes 99.20, however often the lines are run, and the entry is the one that the page shows."""
    detail = EVENT["detail"]
    give(deployed, detail["userId"], "100")
    put_job(deployed, detail["userId"], detail["jobId"])

    event, refused, _balance = run_lines(deployed)
    wait_until(lambda: balance(deployed, detail["userId"]) == Decimal("99.2"), "the video is charged")

    told = {"source": event["Source"], "detail-type": event["DetailType"], "time": event["Time"]}
    assert EVENT == {**told, "detail": json.loads(event["Detail"])}
    assert (0, Decimal("99.2")) == (refused, run_lines(deployed)[2])
    assert ENTRY == {name: value for name, value in stored(deployed).items() if name in ENTRY}


def stored(stack: Deployment) -> dict[str, Any]:
    """Return the entry as the table has it."""
    key = {"reference": {"S": ENTRY["reference"]}, "sequence": {"N": str(ENTRY["sequence"])}}
    item: dict[str, Any] = decode_item(stack.dynamodb.get_item(TableName=stack.ledger_table, Key=key)["Item"])
    return item
