"""The template under the eyes of checkov, which knows what goes wrong with stacks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tools.environments import ROOT
from tools.template import load

SECONDS_MAX = 120


def findings(checkov: Path, template: Path) -> dict[str, list[dict[str, str]]]:
    """Return what checkov finds in a template: what passed, what failed, what is exempted."""
    options = ("--framework", "cloudformation", "--output", "json", "--skip-download", "--compact")
    done = subprocess.run(
        [checkov, "--file", template.name, *options],
        cwd=template.parent, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
    )  # fmt: skip
    results: dict[str, list[dict[str, str]]] = json.loads(done.stdout)["results"]
    return results


def test_checkov_finds_nothing_that_is_not_exempted_with_a_reason(checkov: Path) -> None:
    """Each exemption stands at its resource, and none is spare."""
    found = findings(checkov, ROOT / "template.yaml")
    exempted = {
        (resource, skip["id"])
        for resource, body in load()["Resources"].items()
        for skip in body.get("Metadata", {}).get("checkov", {}).get("skip", [])
        if skip["comment"]
    }

    assert [] == [(check["resource"], check["check_id"]) for check in found["failed_checks"]]
    assert exempted == {(check["resource"].split(".")[-1], check["check_id"]) for check in found["skipped_checks"]}
    assert found["passed_checks"]


def test_checkov_sees_what_is_wrong(checkov: Path, tmp_path: Path) -> None:
    """A table that cannot be restored is told: the check checks."""
    text = (ROOT / "template.yaml").read_text()
    wrong = tmp_path / "template.yaml"
    wrong.write_text(text.replace("PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", 1))

    failed = {(check["resource"].split(".")[-1], check["check_id"]) for check in findings(checkov, wrong)["failed_checks"]}

    assert {("JobsTable", "CKV_AWS_28")} == failed
