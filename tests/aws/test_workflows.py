"""The workflows run the make targets that a person runs, and hold no secret."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import environments
from tools.environments import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPLOY = ROOT / ".github" / "workflows" / "deploy.yml"
PLAN = ROOT / ".github" / "workflows" / "plan.yml"
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


def test_zizmor_finds_nothing_that_could_be_misused() -> None:
    """Of severity low or more, without a network: injected text, tokens left behind, foreign code beside secrets."""
    environments.fill(environments.ZIZMOR)
    zizmor = environments.ZIZMOR.python.with_name("zizmor")

    done = subprocess.run(
        [zizmor, "--offline", "--no-progress", "--min-severity", "low", "--format", "json", *WORKFLOWS],
        capture_output=True,
        text=True,
        check=False,
    )

    assert [] == json.loads(done.stdout)
    assert 0 == done.returncode, done.stderr


def plan_job(name: str) -> dict[str, Any]:
    """Return a job of the workflow that plans pull requests."""
    found: dict[str, Any] = yaml.safe_load(PLAN.read_text())["jobs"][name]
    return found


def test_code_of_a_pull_request_can_write_nothing() -> None:
    """What runs it may become a role of AWS, and comments nothing; what comments gets no code, and may do nothing else."""
    whole = yaml.safe_load(PLAN.read_text())
    plan, comment = plan_job("plan"), plan_job("comment")

    assert {"contents": "read"} == whole["permissions"]
    assert {"contents": "read", "id-token": "write"} == plan["permissions"]
    assert {"pull-requests": "write"} == comment["permissions"]
    assert not any("run" in step or "actions/checkout" in step["uses"] for step in comment["steps"])


def test_nobody_else_s_code_runs_where_events_can_be_read() -> None:
    """On a fork no plan is made; the event that lends a fork the repository's own rights is not used."""
    triggers = yaml.safe_load(PLAN.read_text())[True]  # YAML reads ``on`` so

    assert {"pull_request": {"paths": ["policies/**"]}} == triggers
    assert "github.event.pull_request.head.repo.full_name == github.repository" == plan_job("plan")["if"]
    assert "plan" == plan_job("comment")["needs"]


COMMENTS = """
const { writeFileSync, mkdirSync } = require('fs')
const [script, kept] = [process.argv[2], JSON.parse(process.argv[3])]
const written = []
const github = {
  paginate: async (method, asked) => method(asked),
  rest: { issues: {
    listComments: async () => kept,
    updateComment: async ({ comment_id, body }) => written.push(['update', comment_id, body]),
    createComment: async ({ issue_number, body }) => written.push(['create', issue_number, body]),
  } },
}
const context = { repo: { owner: 'o', repo: 'r' }, issue: { number: 7 } }
const Async = Object.getPrototypeOf(async () => {}).constructor
new Async('github', 'context', 'require', script)(github, context, require).then(() => console.log(JSON.stringify(written)))
"""
"""What stands around the script on GitHub, as far as it is asked."""


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([], ["create", 7]),
        ([("User", "<!-- plan -->\nquoted"), ("Bot", "another's")], ["create", 7]),
        ([("Bot", "another's"), ("Bot", "<!-- plan -->\nold")], ["update", 2]),
    ],
)
def test_a_pull_request_has_one_comment(tmp_path: Path, kept: list[tuple[str, str]], expected: list[Any]) -> None:
    """The last plan takes the place of the one before; a person's comment stays, whatever it quotes."""
    script = plan_job("comment")["steps"][-1]["with"]["script"]
    (tmp_path / ".review").mkdir()
    (tmp_path / ".review" / "plan.md").write_text("<!-- plan -->\nnew")
    comments = [{"id": number, "user": {"type": kind}, "body": body} for number, (kind, body) in enumerate(kept, 1)]
    (tmp_path / "github.js").write_text(COMMENTS)

    done = subprocess.run(
        [node(), "github.js", script, json.dumps(comments)], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert [[*expected, "<!-- plan -->\nnew"]] == json.loads(done.stdout)


def node() -> str:
    """Return the command of this machine's node, or of the project's."""
    if (found := shutil.which("node")) is not None:
        return found
    environments.fill(environments.NODE)
    return str(environments.NODE.python.with_name("node"))
