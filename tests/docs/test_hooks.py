"""The hooks of pre-commit: the project's own tools, which find a planted mistake without the network."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.environments import DEV, ROOT

(REPOSITORY,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
HOOKS: dict[str, dict[str, Any]] = {hook["id"]: hook for hook in REPOSITORY["hooks"]}
MADE = re.compile(r"^(?:lint-\w+|policies):.*\n((?:\t.*\n)+)", re.MULTILINE)
"""The recipes of the Makefile that check."""
PARTS, ASKED = re.compile(r"^(lint-\w+):", re.MULTILINE), re.compile(r"^lint:.*\n\t.* --jobs=2 (.+)\n", re.MULTILINE)
"""The parts of ``make lint``, and those that it asks for."""

PLANTED = {
    "ruff-check": ("mistake.py", '"""A module."""\n\nimport os\n'),
    "ruff-format": ("mistake.py", '"""A module."""\n\nANSWER=42\n'),
    "mypy": ("mistake.py", '"""A module."""\n\nANSWER: int = "42"\n'),
    "cfn-lint": ("template.yaml", "Resources: {Table: {Type: AWS::DynamoDB::Table, Properties: {Colour: red}}}\n"),
    "policies": ("policy.yaml", "version: 1\nname: video\n"),
}
"""A file that the hook must refuse. What the floors of the house are held to has tests of its own."""


def test_no_hook_is_fetched_from_anywhere() -> None:
    """All are local, and each tool is one of the project's environment."""
    programs = {hook["entry"].split()[0] for hook in HOOKS.values()}

    assert "local" == REPOSITORY["repo"]
    assert {"system"} == {hook["language"] for hook in HOOKS.values()}
    assert all(Path(program).parent == DEV.folder / "bin" and (ROOT / program).exists() for program in programs)


def test_the_hooks_are_the_checks_of_make() -> None:
    """What `make lint` and `make policies` run, a commit runs, and nothing else."""
    makefile = (ROOT / "Makefile").read_text()
    lines = "".join(MADE.findall(makefile)).splitlines()
    made = {re.sub(r" (-|\$|\S+\.yaml).*", "", line.removeprefix("\t$(BIN)/")) for line in lines}
    hooked = {re.sub(r" -.*", "", hook["entry"].removeprefix(".venv/bin/")) for hook in HOOKS.values()}

    assert made == hooked
    assert [PARTS.findall(makefile)] == [parts.split() for parts in ASKED.findall(makefile)]


@pytest.mark.parametrize("name", PLANTED)
def test_a_hook_finds_a_planted_mistake(name: str, tmp_path: Path) -> None:
    """Called as pre-commit does: the entry, then the file."""
    file, text = PLANTED[name]
    (tmp_path / file).write_text(text)
    done = subprocess.run([*HOOKS[name]["entry"].split(), tmp_path / file], cwd=ROOT, capture_output=True, check=False)

    assert 0 != done.returncode, done.stdout


def test_every_hook_has_its_planted_mistake() -> None:
    """A new one needs a line above."""
    assert {*PLANTED, "floors"} == HOOKS.keys()
