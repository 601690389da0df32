"""Every benchmark still runs: once or twice, on few events, and nothing is judged."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools.environments import DEV, ROOT


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.local_aws
def test_the_benchmarks_run(built: Path) -> None:
    """All that the gates are made of, from the real build to the real runtime client; what is built is not built again."""
    command = [
        DEV.python,
        "-m",
        "pytest",
        "benchmarks",
        "--tiny",
        "-m",
        "not peers and not planted",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # it is no worker of ours
    done = subprocess.run(command, cwd=ROOT, env={**own, "BUILT": str(built)}, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout
    assert "failed" not in done.stdout
    assert " skipped" not in done.stdout
