"""What commands need: a policy in a file, a ledger that they find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.ledger.store import Tables
from tests.support.four_days import four_days as told_of
from tests.support.policies import EXAMPLE
from tests.support.world import World
from tools.local_aws import tables_environment


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Return the example policy as a file."""
    path = tmp_path / "policy.yaml"
    path.write_text(EXAMPLE)
    return path


@pytest.fixture
def four_days(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return four days of a user, on tables that the command finds through the environment."""
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws}.items():
        monkeypatch.setenv(name, value)
    return told_of(dynamodb, tables)
