"""How the virtual environments are filled where the first way does not work: behind a proxy, or from a private index."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import environments

PYTHON = """#!/bin/sh
echo "$*" >> calls
case "$*" in {succeeds}) exit 0 ;; esac
echo "invalid peer certificate" >&2
exit 1
"""

WAYS = {
    "uv, as it is": ("*'uv pip install'*", 1),
    "uv, with the certificates of the machine": ("*--system-certs*", 2),
    "pip": ("*'-m pip'*", 3),
}
"""What succeeds, as the shell matches it, and how many ways have been tried by then."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project's folder."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    return tmp_path


def calls(root: Path, succeeds: str) -> list[str]:
    """Fill an environment where only what the shell matches by ``succeeds`` works, and return what was called."""
    python = root / ".venv" / "bin" / "python"
    python.write_text(PYTHON.format(succeeds=succeeds))
    python.chmod(0o755)
    environments.install(environments.SAM, environments.SAM.requirements)
    return (root / "calls").read_text().splitlines()


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_tried_until_one_works(way: str, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Always by the hashes of the lock. Nobody reads complaints of a way that another one made good."""
    succeeds, tried = WAYS[way]

    found = calls(root, succeeds)

    assert tried == len(found)
    assert all("--require-hashes -r requirements/sam.txt" in call for call in found)
    assert "invalid peer certificate" not in capfd.readouterr().err


def test_where_no_way_works_the_last_complaint_is_shown(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """And the error says what was called."""
    with pytest.raises(environments.subprocess.CalledProcessError, match="pip"):
        calls(root, "nothing")

    assert "invalid peer certificate" in capfd.readouterr().err
