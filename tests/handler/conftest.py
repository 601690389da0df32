"""Tables that the function finds through its environment alone."""

from __future__ import annotations

from typing import Any

import pytest

from engine.ledger.store import Tables
from tests.support.malformed import TIME
from tests.support.policies import example_text
from tests.support.world import World


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> World:
    """Return tables that the function finds through its environment alone."""
    (tmp_path / "policy.yaml").write_text(example_text(TIME))
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", local_aws)
    monkeypatch.setenv("JOBS_TABLE", tables.jobs)
    monkeypatch.setenv("CREDITS_TABLE", tables.credits)
    monkeypatch.setenv("LEDGER_TABLE", tables.ledger)
    monkeypatch.setenv("STATE_TABLE", tables.state)
    monkeypatch.setenv("SEALS_TABLE", tables.seals)
    monkeypatch.setenv("POLICY_FILE", str(tmp_path / "policy.yaml"))
    return World(dynamodb, tables).user("u-1", "1000")
