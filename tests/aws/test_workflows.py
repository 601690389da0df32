"""The workflows run the make targets that a person runs, and hold no secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.environments import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def steps(path: Path) -> list[dict[str, Any]]:
    """Return the steps of a workflow's jobs."""
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_make_and_nothing_else(path: Path) -> None:
    """What is green here is green there."""
    commands = [step["run"].split() for step in steps(path) if "run" in step]

    assert commands
    assert all(command[0] == "make" and command[1] in TARGETS for command in commands)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_holds_no_secret_and_asks_for_little(path: Path) -> None:
    """AWS is reached by a role that trusts GitHub's token; the repository is only read."""
    text = path.read_text()

    assert "secrets." not in text
    assert "AKIA" not in text
    assert "read" == yaml.safe_load(text)["permissions"]["contents"]


def test_every_push_is_checked_as_by_the_gate() -> None:
    """The targets of .ci/run, in its order."""
    gate = re.findall(r"^make ([a-z-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    (check,) = [path for path in WORKFLOWS if path.stem == "check"]
    targets = [step["run"].split()[1] for step in steps(check) if "run" in step]

    assert gate == [target for target in targets if target != "policies"]


def test_prod_comes_after_staging_and_staging_after_dev() -> None:
    """One after the other, each with the approvals of its environment."""
    (deploy,) = [path for path in WORKFLOWS if path.stem == "deploy"]
    job = yaml.safe_load(deploy.read_text())["jobs"]["deploy"]

    assert ["dev", "staging", "prod"] == job["strategy"]["matrix"]["environment"]
    assert 1 == job["strategy"]["max-parallel"]
    assert "${{ matrix.environment }}" == job["environment"]
