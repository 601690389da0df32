"""Prices at ten places: no command shows a number with an exponent."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.audit.recount import recount
from engine.cli.app import app
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.stored import entry_of
from engine.policy import parse_policy
from tests.support.books import Books
from tests.support.events import failed, rendered

EXPONENT = re.compile(r"\d[eE][+-]?\d")
IDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{12,}")
"""Of events and policies: hexadecimal, so that one may have an e between its digits."""

POLICY = """\
version: 1
name: tiny
event: {job: detail.jobId, user: detail.userId, time: time}
money: {places: 10, rounding: half-even}
prices:
  frame:
    - effective: 2025-01-01T00:00:00Z
      rates:
        default:
          - {up_to: "0.0000001", rate: "0.0000004"}
          - {up_to: "0.000002", rate: "0.0000002"}
          - {rate: "0.0000001"}
rules:
  - name: debit-rendered
    match: {detail-type: [video.rendered]}
    action: debit
    charge: {price: frame, quantity: "multiply(detail.seconds, `0.00000015`)", minimum: "0.0000000001", maximum: "RATE"}
  - name: refund-failed
    match: {detail-type: [video.failed]}
    action: refund
    refund: {percent: "0.0000001"}
anomalies:
  - {name: dear, match: {charge: {amount: [{numeric: [">", 0]}]}}}
"""

TESTS = """\
policy: policy.yaml
tests:
  - name: another amount
    given:
      - {detail-type: video.rendered, time: 2026-01-05T10:00:00Z, detail: {jobId: j-1, userId: u-1, seconds: 1}}
    expect:
      - {job: j-1, type: debit, amount: "-0.0000000002"}
    users: {u-1: "0.0000001"}
    balances: {u-1: "0.0000002"}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy, an edited one, an event, and a test that fails."""
    policy = POLICY.replace("RATE", "0.0000002")
    broken = POLICY.replace("RATE", "0.00000000001").replace('0.0000001", rate', '0.000002", rate')
    (tmp_path / "policy.yaml").write_text(policy)
    (tmp_path / "edited.yaml").write_text(policy.replace('rate: "0.0000004"', 'rate: "0.0000009"'))
    (tmp_path / "broken.yaml").write_text(broken)
    (tmp_path / "event.json").write_text(json.dumps(rendered(seconds=1)))
    (tmp_path / "events.jsonl").write_text(json.dumps(rendered(seconds=0.5)) + "\n")
    (tmp_path / "tests.yaml").write_text(TESTS)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("explain event.json --policy policy.yaml", "multiply(detail.seconds, `0.00000015`) is 1 x 0.00000015 = 0.00000015"),
        ("explain event.json --policy policy.yaml", "up to 0.0000001: 0.0000001 x 0.0000004 = 0.00000000000004"),
        ("explain event.json --policy policy.yaml", "minimum 0.0000000001 counts instead"),
        ("explain event.json --policy policy.yaml --json", "0.0000000001"),
        ("plan edited.yaml --policy policy.yaml --events events.jsonl", "0.0000004 up to 0.0000001"),
        ("plan edited.yaml --policy policy.yaml --events events.jsonl --json", "0.0000000001"),
        ("validate broken.yaml", "the minimum 0.0000000001 is above the maximum 0.00000000001"),
        ("validate broken.yaml", "up to 0.000002 overlaps the tier before, which goes up to 0.000002"),
        ("validate broken.yaml", "`maximum` 0.00000000001 has more than the 10 places"),
        ("test tests.yaml", "debit -0.0000000001"),
    ],
)
def test_a_command_shows_plain_digits(command: str, shown: str) -> None:
    """Rates, bounds, tiers, amounts, balances; also in JSON, and in mistakes."""
    output = CliRunner().invoke(app, command.split(), env={"COLUMNS": "300"}).stdout

    assert shown in output
    assert not EXPONENT.search(IDS.sub("", output)), output


def test_entries_and_their_recount_show_plain_digits() -> None:
    """Amounts, figures of anomalies, facts; also of a refund, and of an event that says something else."""
    ledger = Books(parse_policy(POLICY.replace("RATE", "0.0000002"), "policy.yaml"))
    ledger.deliver(rendered(seconds=1), rendered(seconds=5000), failed(at="11:00"), rendered(seconds=70_000, at="12:00"))
    items = [item_of(entry, datetime(2026, 1, 5, 13, tzinfo=UTC)) for entry in ledger.entries_of("j-1")]

    lines = [line for count in recount([entry_of(decode_item(item)) for item in items]) for line in count.lines()]

    told = [*lines, json.dumps(items)]
    assert 4 <= len(items)
    assert [] == [line for line in told if EXPONENT.search(IDS.sub("", line))]
