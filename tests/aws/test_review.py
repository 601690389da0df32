"""What the workflow says of a pull request that edits a policy: made of the repository's own history and real events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.events import rendered
from tests.support.policies import EXAMPLE
from tools.environments import ROOT
from tools.review import LENGTH_MAX, MARK, Planned, comment

Repository = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def reviewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Return what reviews a repository: its last commit edits a policy, 8 seconds of a default model cost 0.80 before."""
    (tmp_path / "policies" / "tests").mkdir(parents=True)
    policy = tmp_path / "policies" / "video.yaml"
    policy.write_text(EXAMPLE)
    (tmp_path / "events.jsonl").write_text(json.dumps(rendered("j-1", model="veo-3")) + "\n")
    identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]

    def git(*arguments: str) -> None:
        subprocess.run(["/usr/bin/env", "git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--quiet")
    git("add", "policies")
    git("commit", "--quiet", "--message", "before")

    def review(edit: tuple[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
        assert edit[0] in EXAMPLE
        policy.write_text(EXAMPLE.replace(*edit))
        (tmp_path / "policies" / "tests" / "video.yaml").write_text("cases: []\n")
        git("add", "policies")
        git("commit", "--quiet", "--message", "edited")
        command = [sys.executable, "-m", "tools.review", "out", "--output", "told"]
        mine = {"PYTHONPATH": str(ROOT), **environment}
        return subprocess.run(command, cwd=tmp_path, env=os.environ | mine, capture_output=True, text=True, check=False)

    return review


PRICE = ('"0.10"', '"0.15"')


def test_an_edit_is_planned_against_what_it_is_merged_into(reviewed: Repository, tmp_path: Path) -> None:
    """8 seconds at 0.15 in place of 0.10: 1.20 for 0.80. Tests of policies are no policies."""
    done = reviewed(PRICE, PLAN_EVENTS="events.jsonl")
    text = (tmp_path / "out" / "plan.md").read_text()

    assert (0, "said=true\n") == (done.returncode, (tmp_path / "told").read_text())
    assert text.startswith(f"{MARK}\n## `policies/video.yaml`\n\n### What this edit does to 1 events\n")
    assert "| veo-3 | 1 | 1 | 0.8000 | 1.2000 | 0.4000 | 50.00 |" in text
    assert 1 == text.count("## `")


def test_a_mistake_in_the_policy_is_told_as_validate_tells_it(reviewed: Repository, tmp_path: Path) -> None:
    """With its line; the check fails."""
    done = reviewed(("rules:", "rools:"), PLAN_EVENTS="events.jsonl")

    assert 1 == done.returncode
    assert "\n    policies/video.yaml:" in (tmp_path / "out" / "plan.md").read_text()


def test_a_row_that_begins_later_is_planned_as_of_its_beginning(reviewed: Repository, tmp_path: Path) -> None:
    """No event of the past would show it: 8 seconds at 0.50 in place of 0.12, the rate in force until then."""
    row = """
    - effective: 2099-01-01T00:00:00Z
      changes: {default: "0.50"}
"""
    reviewed(("\nrules:", f"{row}\nrules:"), PLAN_EVENTS="events.jsonl")

    assert "| veo-3 | 1 | 1 | 0.9600 | 4.0000 | 3.0400 | 316.67 |" in (tmp_path / "out" / "plan.md").read_text()


def test_a_condition_that_holds_fails_the_check_and_is_told(reviewed: Repository, tmp_path: Path) -> None:
    """After the plan has been written: whoever is stopped sees why."""
    done = reviewed(PRICE, PLAN_EVENTS="events.jsonl", PLAN_FAIL_IF="net.percent > 5")

    assert (1, "said=true\n") == (done.returncode, (tmp_path / "told").read_text())
    assert "\n\n    the check fails: net.percent > 5\n\n" in (tmp_path / "out" / "plan.md").read_text()


@pytest.mark.parametrize(
    ("edit", "events", "said"),
    [
        (PRICE, "", "No plan: the variable PLAN_EVENTS of this repository names no events."),
        (("", ""), "events.jsonl", "No plan: no policy that was there before is edited."),
    ],
)
def test_without_events_or_an_edit_a_sentence_says_so(
    reviewed: Repository, tmp_path: Path, edit: tuple[str, str], events: str, said: str
) -> None:
    """The check is fine, and nothing is commented."""
    done = reviewed(edit, PLAN_EVENTS=events)

    assert 0 == done.returncode
    assert done.stdout.startswith(f"::notice::{said}")
    assert not (tmp_path / "told").exists()


def test_a_comment_is_never_too_long_for_github() -> None:
    """It is cut behind a line, says so, and leaves no part open."""
    rows = "\n".join(f"| job#{number} | u-1 |" for number in range(10_000))
    text = comment([Planned("policies/video.yaml", f"<details>\n{rows}\n</details>\n", has_failed=False)])

    assert LENGTH_MAX - 200 < len(text) < LENGTH_MAX + 200
    assert text.count("<details>") == text.count("</details>")
    assert text.endswith("| u-1 |\n\n</details>\n\n(cut here: more fits into no comment; the job's artifact has all of it)\n")
