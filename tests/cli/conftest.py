"""What every command needs: a policy in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.policies import EXAMPLE


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Return the example policy as a file."""
    path = tmp_path / "policy.yaml"
    path.write_text(EXAMPLE)
    return path
