"""The template under the eyes of checkov, which knows what goes wrong with stacks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tools.environments import ROOT
from tools.template import load

SECONDS_MAX = 600
RIGHT, WRONG = "template.yaml", "wrong.yaml"


@pytest.fixture(scope="module")
def findings(checkov: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """Return what checkov finds in the template and in one with a mistake: what passed, what failed, what is exempted.

    One run for both: checkov takes longer to start than to check.
    """
    folder = tmp_path_factory.mktemp("checkov")
    off, on = '  Archive:\n    Type: String\n    Default: "off"', '  Archive:\n    Type: String\n    Default: "on"'
    text = (ROOT / "template.yaml").read_text().replace(off, on)  # checkov looks at what is made by default
    (folder / RIGHT).write_text(text)
    (folder / WRONG).write_text(text.replace("PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", 1))
    options = ("--framework", "cloudformation", "--output", "json", "--skip-download", "--compact")
    done = subprocess.run(
        [checkov, "--file", RIGHT, WRONG, *options],
        cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
    )  # fmt: skip
    results: dict[str, list[dict[str, str]]] = json.loads(done.stdout)["results"]
    return results


def of(findings: dict[str, list[dict[str, str]]], file: str, result: str) -> list[tuple[str, str]]:
    """Return resource and check of each finding of a kind in a file."""
    return [
        (check["resource"].split(".")[-1], check["check_id"])
        for check in findings[result]
        if Path(check["file_path"]).name == file
    ]


def test_checkov_finds_nothing_that_is_not_exempted_with_a_reason(findings: dict[str, list[dict[str, str]]]) -> None:
    """Each exemption stands at its resource, and none is spare."""
    exempted = {
        (resource, skip["id"])
        for resource, body in load()["Resources"].items()
        for skip in body.get("Metadata", {}).get("checkov", {}).get("skip", [])
        if skip["comment"]
    }

    assert [] == of(findings, RIGHT, "failed_checks")
    assert ("ArchiveBucket", "CKV_AWS_21") in of(findings, RIGHT, "passed_checks")
    assert exempted == set(of(findings, RIGHT, "skipped_checks"))
    assert of(findings, RIGHT, "passed_checks")


def test_checkov_sees_what_is_wrong(findings: dict[str, list[dict[str, str]]]) -> None:
    """A table that cannot be restored is told: the check checks."""
    assert [("JobsTable", "CKV_AWS_28")] == of(findings, WRONG, "failed_checks")
