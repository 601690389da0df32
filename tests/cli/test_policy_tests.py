"""``reconciler test``: against an edit of the policy, and what no test has reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from engine.cli.app import app

FINE, FAILED, MISUSED = 0, 1, 2

POLICY = """\
version: 1
name: video
event: {job: detail.jobId, user: detail.userId, time: time}
prices:
  render-second:
    - effective: 2026-01-01T00:00:00Z
      by: detail.model
      rates: {default: "0.10", premium: "0.25"}
rules:
  - name: debit-rendered
    match: {detail-type: [video.rendered]}
    action: debit
    charge: {price: render-second, quantity: detail.seconds}
"""

TESTS = """\
policy: ../video.yaml
tests:
  - name: eight seconds cost 0.80
    given:
      - {detail-type: video.rendered, time: 2026-01-05T10:00:00Z, detail: {jobId: j-1, userId: u-1, seconds: 8, model: MODEL}}
    expect:
      - {job: j-1, type: debit, amount: "-0.80"}
"""
PREMIUM = TESTS.replace("MODEL", "premium").replace("0.80", "2.00")
STANDARD = TESTS.replace("MODEL", "veo-3")

PASSED = "policies/tests/video.yaml: 1 passed, 0 failed (video@"
NOT_REACHED = "    no test reached: rate render-second 2026-01-01T00:00:00Z premium"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a policy and one test, which does not reach the rate `premium`."""
    (tmp_path / "policies" / "tests").mkdir(parents=True)
    (tmp_path / "policies" / "video.yaml").write_text(POLICY)
    (tmp_path / "policies" / "tests" / "video.yaml").write_text(STANDARD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, columns: str = "") -> Result:
    """Run the tests."""
    return CliRunner().invoke(app, ["test", *arguments], env={"COLUMNS": columns})


def answers(*arguments: str) -> Any:
    """Return what a machine reads."""
    return json.loads(run(*arguments, "--json").stdout)


# --- an edit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [[], ["policies/tests/video.yaml"]])
def test_an_edit_is_tried_with_the_tests_of_the_policy_that_it_edits(folder: Path, files: list[str]) -> None:
    """8 x 0.11 = 0.88: the edited price alone is tried, and the shipped file is left as it is."""
    (folder / "edited.yaml").write_text(POLICY.replace('"0.10"', '"0.11"'))

    edited = run(*files, "--policy", "edited.yaml")

    assert FAILED == edited.exit_code
    assert [
        "- expected, + found:",
        "policies/tests/video.yaml:3: eight seconds cost 0.80",
        "    - job#j-1 debit -0.80",
        "    + job#j-1 debit -0.8800 by debit-rendered",
    ] == edited.stdout.splitlines()[:4]
    assert FINE == run(*files).exit_code


def test_an_edit_is_tried_with_no_test_of_another_policy(folder: Path) -> None:
    """Else each edit would fail at what others sell."""
    (folder / "policies" / "images.yaml").write_text(POLICY.replace("name: video", "name: images"))
    images = STANDARD.replace("video.yaml", "images.yaml")
    (folder / "policies" / "tests" / "images.yaml").write_text(images)

    assert ["policies/tests/video.yaml"] == [answer["file"] for answer in answers("--policy", "policies/video.yaml")]
    assert ["policies/tests/images.yaml"] == [answer["file"] for answer in answers("--policy", "policies/images.yaml")]


def test_an_edit_with_a_name_that_no_test_is_about_asks_for_a_file(folder: Path) -> None:
    """Nothing was tried: that must not look fine."""
    (folder / "edited.yaml").write_text(POLICY.replace("name: video", "name: vdieo"))

    asked = run("--policy", "edited.yaml")

    assert MISUSED == asked.exit_code
    assert "no file in policies/tests tests a policy that is called vdieo; name the file of tests\n" == asked.stderr
    assert FINE == run("policies/tests/video.yaml", "--policy", "edited.yaml").exit_code


def test_an_edit_needs_no_right_policy_beside_it(folder: Path) -> None:
    """Whoever mends a broken file tries the mended one."""
    (folder / "policies" / "video.yaml").write_text("version: 2\n")
    (folder / "edited.yaml").write_text(POLICY)

    assert FINE == run("policies/tests/video.yaml", "--policy", "edited.yaml").exit_code


def test_an_edit_that_is_broken_is_told_with_its_line(folder: Path) -> None:
    """By the edit's own name."""
    (folder / "edited.yaml").write_text(POLICY.replace("version: 1", "version: 2"))

    broken = run("policies/tests/video.yaml", "--policy", "edited.yaml")

    assert "edited.yaml:1:10: `2` is not known; allowed: 1" in str(broken.exception) + broken.output


# --- what no test reached ---------------------------------------------------------------------------------------------


def test_what_no_test_reached_is_counted() -> None:
    """A list of forty rates would hide the line that says what failed."""
    counted = run(columns="80")

    assert FINE == counted.exit_code
    assert [True, "    no test reached 1 of 3 rates, rules and anomalies; --verbose lists them"] == [
        line.startswith(PASSED) if at == 0 else line for at, line in enumerate(counted.stdout.splitlines())
    ]


@pytest.mark.parametrize("options", [(), ("--verbose",), ("--policy", "edited.yaml")])
def test_no_line_is_wider_than_the_screen(folder: Path, options: tuple[str, ...]) -> None:
    """Lines are folded between words, and no word is broken."""
    (folder / "edited.yaml").write_text(POLICY.replace('"0.10"', '"0.11"'))

    wide, narrow = (run(*options, columns=columns).stdout for columns in ("200", "40"))

    assert wide.split() == narrow.split()
    assert [] == [line for line in narrow.splitlines() if len(line) > 40 and len(line.split()) > 1]


def test_what_no_test_reached_is_listed_on_demand() -> None:
    """And is still no failure."""
    listed = run("--verbose")

    assert (FINE, NOT_REACHED) == (listed.exit_code, listed.stdout.splitlines()[-1])


def test_what_no_test_reached_can_be_a_failure(folder: Path) -> None:
    """It says what to add a test for; with that test it is fine."""
    missed = run("--require-coverage")
    (folder / "policies" / "tests" / "video-premium.yaml").write_text(PREMIUM)

    assert (FAILED, NOT_REACHED) == (missed.exit_code, missed.stdout.splitlines()[-1])
    assert FINE == run("--require-coverage").exit_code


def test_a_machine_is_told_all_that_no_test_reached(folder: Path) -> None:
    """Of a policy with two files of tests what neither reached."""
    told = ["rate render-second 2026-01-01T00:00:00Z premium"]
    assert [told] == [answer["notReached"] for answer in answers()]
    (folder / "policies" / "tests" / "more.yaml").write_text(STANDARD)
    assert [told, told] == [answer["notReached"] for answer in answers()]
    (folder / "policies" / "tests" / "more.yaml").write_text(PREMIUM)
    assert [[], []] == [answer["notReached"] for answer in answers()]
    assert (FINE, FINE) == (run("--json", "--require-coverage").exit_code, run("--json").exit_code)


def test_what_two_files_of_one_policy_do_not_reach_is_told_once(folder: Path) -> None:
    """Behind the last of them."""
    (folder / "policies" / "tests" / "more.yaml").write_text(STANDARD)

    assert ["policies/tests/more.yaml: 1 passed", PASSED, NOT_REACHED] == [
        next(start for start in ("policies/tests/more.yaml: 1 passed", PASSED, NOT_REACHED) if line.startswith(start))
        for line in run("--verbose").stdout.splitlines()
    ]
