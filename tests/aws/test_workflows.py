"""The workflows run the make targets that a person runs, and hold no secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.environments import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPLOY = ROOT / ".github" / "workflows" / "deploy.yml"
PINNED = re.compile(r"^ +- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
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
    """The targets of .ci/run, in its order; before them the policies."""
    gate = re.findall(r"^make ([a-z-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    (check,) = [path for path in WORKFLOWS if path.stem == "check"]
    targets = [step["run"].split()[1] for step in steps(check) if "run" in step]

    assert ["policies", *gate] == targets


def test_prod_comes_after_staging_and_staging_after_dev() -> None:
    """One after the other, each with the approvals of its environment."""
    job = jobs()["deploy"]

    assert ["dev", "staging", "prod"] == job["strategy"]["matrix"]["environment"]
    assert 1 == job["strategy"]["max-parallel"]
    assert "${{ matrix.environment }}" == job["environment"]


def jobs() -> dict[str, Any]:
    """Return the jobs of the deployment."""
    found: dict[str, Any] = yaml.safe_load(DEPLOY.read_text())["jobs"]
    return found


def used(job: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the actions of a job, without their version, with what they are given."""
    return [(step["uses"].split("@")[0], step.get("with", {})) for step in jobs()[job]["steps"] if "uses" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_named_by_its_commit_with_its_version_beside(path: Path) -> None:
    """A tag can be moved to other code, a commit cannot."""
    lines = [line for line in path.read_text().splitlines() if "uses:" in line]

    assert len(lines) == sum("uses" in step for step in steps(path))
    assert [] == [line for line in lines if not PINNED.match(line)]


def test_an_action_has_the_same_commit_wherever_it_is_used() -> None:
    """An update that forgets one place is seen."""
    found: dict[str, set[str]] = {}
    for step in (step for path in WORKFLOWS for step in steps(path) if "uses" in step):
        name, commit = step["uses"].split("@")
        found.setdefault(name, set()).add(commit)

    assert {1} == {len(commits) for commits in found.values()}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_checkout_leaves_no_token_behind(path: Path) -> None:
    """What is installed and run afterwards could read it."""
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]

    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_only_what_was_tested_is_deployed() -> None:
    """Built once; the tests run on that build, and what is deployed has its digest. Nothing is built where AWS is reached."""
    test, deploy = jobs()["test"], jobs()["deploy"]
    commands = [step["run"] for step in test["steps"] if "run" in step]
    (deployment,) = [step["run"] for step in deploy["steps"] if "run" in step]
    order = [commands.index(command) for command in ("make build", "make sbom", "make test BUILT=.aws-sam/build")]
    digest = next(step for step in test["steps"] if step.get("id") == "build")

    assert order == sorted(order)
    assert commands.index("make build") + 1 == commands.index(digest["run"])
    assert 'make digest OUTPUT="$GITHUB_OUTPUT"' == digest["run"]
    assert {"digest": "${{ steps.build.outputs.digest }}"} == test["outputs"]
    assert "test" == deploy["needs"]
    assert "make deploy-built " in deployment
    assert "DIGEST=${{ needs.test.outputs.digest }}" in deployment
    given, taken = dict(used("test")[-2:])["actions/upload-artifact"], dict(used("deploy"))["actions/download-artifact"]
    assert {"sbom", "build"} == {options["name"] for name, options in used("test") if name == "actions/upload-artifact"}
    assert {"name": "build", "path": ".aws-sam/build"} == taken
    assert given["if-no-files-found"] == "error"


def test_only_the_job_that_deploys_can_become_a_role_of_aws() -> None:
    """The job that installs and runs everything else's code gets no token."""
    whole = yaml.safe_load(DEPLOY.read_text())

    assert {"contents": "read"} == whole["permissions"]
    assert "permissions" not in whole["jobs"]["test"]
    assert {"contents": "read", "id-token": "write"} == whole["jobs"]["deploy"]["permissions"]
    assert "aws-actions/configure-aws-credentials" not in dict(used("test"))


def test_a_deployment_of_what_was_built_builds_nothing() -> None:
    """It checks the digest first, and stops where that is another one."""
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile.split("\ndeploy-built:")[1].split("\n\n")[0].splitlines()

    assert "setup ## to AWS, what was built and tested before, and only if its digest is DIGEST" == recipe[0].strip()
    assert "--is $(DIGEST)" in recipe[1]
    assert "-m tools.delivery" in recipe[2], "a rule that waits in vain is told before anything is deployed"
    assert "deploy --template-file .aws-sam/build/template.yaml" in recipe[3]
